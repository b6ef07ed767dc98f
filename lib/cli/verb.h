/* verb.h: a tool with verbs, "pm-gguf dump FILE": each verb is a tool of its own, with its own options, help and page. */
#ifndef PM_CLI_VERB_H
#define PM_CLI_VERB_H

#include <stddef.h>

#include "cli/tool.h"

struct pm_verb {
	const char *name;               /* "dump" */
	struct pm_tool *tool;           /* named "pm-gguf dump" */
	int (*run)(struct pm_tool *t, int argc, char **argv, struct pm_err *e);
};

/* What main of such a tool returns. argv[1] is the verb, and what follows it goes to the verb through pm_tool_main. `t` has no options of its own
 * but --help, which lists the verbs, and --version. */
int pm_verb_main(struct pm_tool *t, const struct pm_verb *const *verbs, size_t n, int argc, char **argv);

#endif
