/* csv.h: records of a table: a line of names, then a line a record (RFC 4180: fields may stand in quotation marks, with the delimiter, line
 * ends and doubled marks in them). */
#ifndef PM_TEXT_CSV_H
#define PM_TEXT_CSV_H

#include "base/json.h"
#include "io/input.h"

struct pm_csv;

/* delimiter: ',' or '\t'. The input is the caller's. */
int pm_csv_new(struct pm_csv **out, struct pm_input *in, char delimiter, struct pm_err *e);
void pm_csv_free(struct pm_csv *c);

/* The next record: an object of strings by the names of the columns. 1; 0: the end; −1, and the next call goes on behind. *line: where it
 * begins. */
int pm_csv_next(struct pm_csv *c, json_t **record, int64_t *line, struct pm_err *e);

#endif
