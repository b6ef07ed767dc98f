/* rows.h: the rows that a training run draws from, in any order. A stream of blocks (or of tokens: then a document is a row)
 * is read once, checked, and kept in a spool file without a name, so a pipe will do and memory does not grow with the data. */
#ifndef PM_TRAIN_ROWS_H
#define PM_TRAIN_ROWS_H

#include "base/hash.h"
#include "io/tokens.h"
#include "model/model.h"

struct pm_rows;

/* paths: n names, "-" for stdin; n = 0: stdin. tmp: directory of the spool file. vocab: ids must be below it. tokenizer: a stream
 * that names another tokenizer's hash is refused; NULL: any. No rows at all: status 65. */
int pm_rows_open(struct pm_rows **out, const char *const *paths, size_t n, const char *tmp, int64_t vocab, const char *tokenizer, struct pm_err *e);
/* Or one made by hand: new, add … (a record without bounds is one document), then pm_rows_close as ever. */
int pm_rows_new(struct pm_rows **out, const char *tmp, int64_t vocab, struct pm_err *e);
int pm_rows_add(struct pm_rows *r, const struct pm_record *rec, struct pm_err *e);
int64_t pm_rows_count(const struct pm_rows *r);
int64_t pm_rows_length(const struct pm_rows *r);        /* tokens of the longest row */
int64_t pm_rows_longest(const struct pm_rows *r);       /* tokens of the longest document */
double pm_rows_weight(const struct pm_rows *r);         /* of all predictions */
const char *pm_rows_hash(const struct pm_rows *r);      /* SHA-256 of all rows, for resuming; "" for rows made by hand */
int pm_rows_get(struct pm_rows *r, int64_t i, struct pm_record *rec, struct pm_err *e);
void pm_rows_close(struct pm_rows *r);

/* Lays a row into rows at .. at+L−1 of a batch, with the targets (−1 where nothing is predicted or its weight is 0) and weights of the
 * predictions. Returns the sum of the weights, and adds the number of predictions that count to *trained. */
double pm_rows_lay(const struct pm_record *rec, struct pm_batch *b, int64_t at, int32_t *target, float *weight, int64_t *trained);

#endif
