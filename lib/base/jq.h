/* jq.h: jq programs (libjq) over JSON values. Inputs were read strictly before they come here; numbers pass through
 * jq as doubles. */
#ifndef PM_BASE_JQ_H
#define PM_BASE_JQ_H

#include "base/json.h"

struct pm_jq;

/* Compiles a program; `name` stands in its error messages. `args` (an object, or NULL) becomes named variables: {"x": 1}
 * is $x. */
int pm_jq_new(struct pm_jq **out, const char *program, const char *name, const json_t *args, struct pm_err *e);
/* The same with a directory of modules: `include "NAME";` in the program finds NAME.jq there. */
int pm_jq_new_in(struct pm_jq **out, const char *program, const char *name, const char *library, const json_t *args, struct pm_err *e);
int pm_jq_file(struct pm_jq **out, const char *path, const json_t *args, struct pm_err *e);

/* Runs it on one input: *out is a new array of everything it gave. An error raised in the program is status 65 with its
 * own words. */
int pm_jq_run(struct pm_jq *q, const json_t *in, json_t **out, struct pm_err *e);

/* Compiles the program in a file (with a directory of modules, or NULL) and runs it once. With `cache`, a directory, what it gave is kept there under the
 * hash of program, modules and input, and the next time libjq has nothing to do: it takes 40 ms to compile a page of jq. */
int pm_jq_once(json_t **out, const char *path, const char *name, const char *library, const json_t *in, const char *cache, struct pm_err *e);
void pm_jq_free(struct pm_jq *q);

#endif
