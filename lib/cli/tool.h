/* tool.h: what is around every tool: the main wrapper, where its files are, remarks, progress and signals. This room is the
 * one that reads the environment and writes to stderr. */
#ifndef PM_CLI_TOOL_H
#define PM_CLI_TOOL_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "cli/opt.h"

/* Where things are. A program under build/bin of a checkout uses that checkout's kernels/ and share/; an installed one
 * $PREFIX/share/pm. PM_SHARE overrides. PM_CACHE, else XDG_CACHE_HOME/pm, else ~/.cache/pm holds compiled kernels and vocabularies (PM_CACHE
 * empty: no cache, NULL here). */
/* What was fetched (lib/hub/cache.h) lies in `hub`: HF_HUB_CACHE, else HF_HOME/hub, else XDG_CACHE_HOME/huggingface/hub, else
 * ~/.cache/huggingface/hub; files that are of no repository in `urls`: "fetched" in the cache above. NULL: there is no such place. */
struct pm_env {
	char *kernels, *share, *cache, *hub, *urls;
	char *pocl;                     /* where PoCL writes what it compiles: POCL_CACHE_DIR, else pocl/kcache beside "pm" above, else in /tmp */
	const char *endpoint;           /* HF_ENDPOINT, or NULL; borrowed */
	const char *mask, *target;      /* PM_MASK and POCL_KERNELLIB_NAME, or NULL; borrowed: of pm_dev_opts */
	struct pm_arena names;          /* what lives as long as this: names that were looked up */
};

/* Runs a tool: --help and --version, the option table, then run(argc, argv), argv[1] the first operand. `run` returns 0, −1 with
 * the error set, or (a tool that ends in good order may still say PM_NEGATIVE, or 130) an exit status above 0. Prints the error as one line
 * ("pm-pack: …") and returns the exit status. A failed write to stdout is an error here, too. */
int pm_tool_main(struct pm_tool *t, int argc, char **argv, int (*run)(struct pm_tool *t, int argc, char **argv, struct pm_err *e));

/* An environment variable, or NULL where it is not set or empty. A leading "~/" in pm_env_path is the home directory. */
const char *pm_env_word(const char *name);
char *pm_env_path(const char *name, struct pm_err *e);
/* Whether a variable says yes: 1, on, yes or true. */
bool pm_env_is_true(const char *name);
/* HF_HOME, else huggingface in XDG_CACHE_HOME or ~/.cache; NULL where no home is known. */
char *pm_env_hf_home(struct pm_err *e);

/* Sets the variables by which PoCL is told how to compile, before OpenCL is first used: no kernel in many versions (dev/dev.h), and a lesser
 * processor than there is where the mask hides AVX-512 or AVX2. What the user has set stays. pm_tool_main calls it with PM_MASK. */
void pm_env_opencl(const char *mask);

/* The places above; the caller frees with pm_env_free. */
int pm_env_get(struct pm_env *env, struct pm_err *e);
void pm_env_free(struct pm_env *env);

/* The time that a user's --date says (NULL: SOURCE_DATE_EPOCH, in UTC; else now, in local time): what results may depend on. Status 64, 78. */
int pm_when(struct tm *out, const char *date, struct pm_err *e);

/* The command line as one string (for provenance; a shell would read it as it was), set by pm_tool_main; and the version. */
const char *pm_tool_command(void);
const char *pm_tool_version(void);

/* A value on stdout, as a line of JSON. */
int pm_print_json(const json_t *v, struct pm_err *e);

/* A remark on stderr: "pm-pack: 3 rows were cut". */
void pm_say(const struct pm_tool *t, const char *fmt, ...) PM_PRINTF(2, 3);

/* One line on a terminal that is rewritten at most ten times a second: "train  120/400  30%  2.1 step/s  2:13 left  loss 1.83".
 * Silent unless stderr is a terminal (or PM_PROGRESS=1). total 0: unknown. */
struct pm_progress {
	const char *what, *unit;
	uint64_t total;
	double start, shown;
	bool on;
};

void pm_progress_begin(struct pm_progress *p, const char *what, const char *unit, uint64_t total, bool quiet);
void pm_progress_at(struct pm_progress *p, uint64_t done, const char *extra);   /* extra may be NULL */
void pm_progress_end(struct pm_progress *p);                                      /* wipes the line */

/* After pm_signals_catch, SIGINT and SIGTERM only set a number that pm_signals_got gives (0: none): the tool ends in
 * good order and exits with 128 + number. A second one of the kind kills at once. */
void pm_signals_catch(void);
int pm_signals_got(void);

/* Seconds of a clock that never goes back. */
double pm_clock(void);

#endif
