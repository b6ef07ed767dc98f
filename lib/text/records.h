/* records.h: data sets: the records of a file, one after the other, and what each one means.
 *
 * A file holds JSON lines, one JSON array of objects, or (NAME.csv, NAME.tsv) a table with a line of names; it may be packed (input.h). All are
 * read strictly (valid UTF-8, no duplicate keys), and an error names file, line and column. A format is a jq program that takes one record to its normal form (pm-format.5): share/format/NAME.jq, found
 * by the record's keys (share/detect.jq) or named. */
#ifndef PM_TEXT_RECORDS_H
#define PM_TEXT_RECORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"

struct pm_records;

/* "-" is stdin. The file is opened, nothing is read yet. */
int pm_records_open(struct pm_records **out, const char *path, struct pm_err *e);

/* What is no JSON is a table with commas, whatever the file's name. */
void pm_records_expect_table(struct pm_records *r);

/* The next record, which the caller decrefs, and the line on which it begins. 1; 0: the end; −1. After an error of status 65 the
 * next call goes on with the next line, in JSON lines and tables; in an array, and where packed data is damaged, there is no going on
 * (pm_records_stuck). */
int pm_records_next(struct pm_records *r, json_t **record, int64_t *line, struct pm_err *e);
bool pm_records_stuck(const struct pm_records *r);

/* What stands for the file in messages. */
const char *pm_records_name(const struct pm_records *r);
void pm_records_close(struct pm_records *r);

struct pm_format;

/* share: the directory that holds detect.jq and format/. name: a format, or NULL: found by the keys of the first record. map: a jq
 * program that every record goes through first, or NULL; it may give several records, or none. */
int pm_format_new(struct pm_format **out, const char *share, const char *name, const char *map, struct pm_err *e);

/* Names the parts of a record: "prompt=question,completion=answer" makes of every record, before the map, one that has only these keys, with the
 * values that it has under others ("meta.answer": within an object). Status 64 where it is no such list. */
int pm_format_columns(struct pm_format *f, const char *columns, struct pm_err *e);

/* The normal forms of a record, an array the caller decrefs. A record with "ids" is passed on as it is. */
int pm_format_apply(struct pm_format *f, const json_t *record, json_t **list, struct pm_err *e);

/* The format's name; NULL while it is not known. Forget: the next record may be of another (a new file). */
const char *pm_format_name(const struct pm_format *f);
void pm_format_forget(struct pm_format *f);
void pm_format_free(struct pm_format *f);

#endif
