/* opt.h: the options of a tool, one table: it parses, checks ranges, holds the defaults and makes --help. A letter or a
 * long name means the same in all tools (pm.7 has the list), so the rows that several tools have are macros here. */
#ifndef PM_CLI_OPT_H
#define PM_CLI_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum pm_opt_kind {
	PM_OPT_FLAG,            /* bool *: set true; "--no-NAME" sets it false where `negatable` */
	PM_OPT_STR,             /* const char **; borrowed from argv */
	PM_OPT_STRS,            /* struct pm_opt_list *: may be given several times */
	PM_OPT_INT,             /* int64_t *, within min .. max */
	PM_OPT_REAL,            /* double *, within min .. max */
	PM_OPT_CHOICE,          /* const char **: one of the words of `choices`, "a|b|c" */
};

struct pm_opt_list {
	const char **v;
	size_t n, cap;
};

struct pm_opt {
	char letter;            /* 0: none */
	const char *name;       /* long name, without "--" */
	enum pm_opt_kind kind;
	const char *arg;        /* what --help calls the value; NULL for flags */
	void *to;
	const char *fallback;   /* the default, as it would be typed; NULL: none */
	const char *help;       /* one line, lower case */
	double min, max;        /* both 0: any */
	const char *choices;
	bool negatable;
	bool given;             /* set by the parser */
};

struct pm_tool {
	const char *name;       /* "pm-pack" */
	const char *operands;   /* "[FILE …]" */
	const char *brief;      /* one line: what it does */
	struct pm_opt *opts;
	size_t nopts;
	const char *more;       /* what --help says at its end, or NULL */
	bool help, version;     /* set by the parser: -h, --help; -V, --version (it stops there) */
};

/* Reads argv: options in any order, operands kept; "--" ends options, "-" is an operand, "-l2048", "-l 2048", "--length=2048"
 * and "--length 2048" are one, flags bundle. Defaults are set first. On return argv[1 .. *argc − 1] are the operands.
 * Errors are status 64. */
int pm_opt_parse(struct pm_tool *t, int *argc, char **argv, struct pm_err *e);

/* Whether option `name` was on the command line; a name that is not in the table is a fault (false). */
bool pm_opt_given(const struct pm_tool *t, const char *name);

/* An error (status 64) if `name` was given: "--name has no effect WHY". Otherwise 0. */
int pm_opt_refuse(const struct pm_tool *t, const char *name, const char *why, struct pm_err *e);

/* The text of --help, to stdout. */
void pm_opt_help(const struct pm_tool *t);

#define PM_OPT_MODEL(p)  {.letter = 'm', .name = "model", .kind = PM_OPT_STR, .arg = "DIR|NAME", .to = (p), \
	.help = "model directory, or a name that was fetched (ORG/NAME)"}
#define PM_OPT_OUTPUT(p, what)  {.letter = 'o', .name = "output", .kind = PM_OPT_STR, .arg = "PATH", .to = (p), .help = (what)}
#define PM_OPT_ADAPTER(p)  {.letter = 'a', .name = "adapter", .kind = PM_OPT_STRS, .arg = "DIR[=W]", .to = (p), \
	.help = "PEFT adapter to apply, with a weight [1]; may be repeated"}
#define PM_OPT_LENGTH(p, dflt, what)  {.letter = 'l', .name = "length", .kind = PM_OPT_INT, .arg = "L", .to = (p), \
	.fallback = (dflt), .min = 1, .max = 16777216, .help = (what)}
#define PM_OPT_SEED(p)  {.letter = 's', .name = "seed", .kind = PM_OPT_INT, .arg = "N", .to = (p), .fallback = "0", \
	.min = 0, .max = 9007199254740992.0, .help = "seed of everything random"}
#define PM_OPT_JSON(p, what)  {.name = "json", .kind = PM_OPT_FLAG, .to = (p), .help = (what)}
#define PM_OPT_QUIET(p)  {.letter = 'q', .name = "quiet", .kind = PM_OPT_FLAG, .to = (p), .help = "no progress, no remarks"}
#define PM_OPT_VERBOSE(p)  {.letter = 'v', .name = "verbose", .kind = PM_OPT_FLAG, .to = (p), .help = "say more"}

/* What a tool that computes on a device asks for. */
struct pm_opt_device {
	const char *device, *precision;
	int64_t threads;
	bool reference, profile;
};
#define PM_OPT_DEVICE(d) \
	{.letter = 'd', .name = "device", .kind = PM_OPT_STR, .arg = "DEV", .to = &(d)->device, \
	 .help = "device: number, cpu, gpu or part of its name [first GPU, else CPU]"}, \
	{.letter = 'j', .name = "threads", .kind = PM_OPT_INT, .arg = "N", .to = &(d)->threads, .fallback = "0", .min = 0, .max = 4096, \
	 .help = "threads of a CPU device, 0 for all"}, \
	{.name = "precision", .kind = PM_OPT_CHOICE, .arg = "P", .to = &(d)->precision, .fallback = "auto", .choices = "f32|bf16|auto", \
	 .help = "arithmetic of products: f32, bf16 or auto"}, \
	{.name = "reference", .kind = PM_OPT_FLAG, .to = &(d)->reference, .help = "plain kernels and f32 everywhere"}, \
	{.name = "profile", .kind = PM_OPT_FLAG, .to = &(d)->profile, .help = "print a table of kernel times at the end"}

#endif
