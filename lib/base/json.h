/* json.h: strict JSON (jansson: no duplicate keys, valid UTF-8, errors with line and column) and the questions that
 * readers of configurations ask. Objects keep the file's order. */
#ifndef PM_BASE_JSON_H
#define PM_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

/* Text to a value the caller decrefs, or NULL with the error set ("name: line 3, column 7: …", status 65). A whole
 * number that no int64 holds is read as a real. */
json_t *pm_json_parse(const char *text, size_t n, const char *name, struct pm_err *e);
json_t *pm_json_file(const char *path, struct pm_err *e);

/* The same for one line of a file of JSON lines ("name: line 12, column 7: …"). */
json_t *pm_json_line(const char *text, size_t n, const char *name, int64_t line, struct pm_err *e);

/* Appends the compact text of a value. */
int pm_json_text(struct pm_str *out, const json_t *v, struct pm_err *e);

/* Writes a value as a file, indented, closed by a line's end. */
int pm_json_save(const char *path, const json_t *v, struct pm_err *e);

/* Members of an object. Each returns 0, 1 where the key is absent or null (*out is left as it was), or −1 where the
 * value is of another kind. An integer may be written as a float (8192.0). Strings are borrowed from the value. */
int pm_json_int(int64_t *out, const json_t *o, const char *key, struct pm_err *e);
int pm_json_real(double *out, const json_t *o, const char *key, struct pm_err *e);
int pm_json_bool(bool *out, const json_t *o, const char *key, struct pm_err *e);
int pm_json_str(const char **out, const json_t *o, const char *key, struct pm_err *e);

/* An element's number under the same rule; −1 where it is none. */
int pm_json_to_int(int64_t *out, const json_t *v);

#endif
