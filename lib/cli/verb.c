#include "cli/verb.h"

#include <string.h>

#include "base/str.h"

static int no_verb(struct pm_tool *t, int argc, char **argv, struct pm_err *e)
{
	(void)t;
	if (argc > 1)
		return pm_fail(e, PM_USAGE, "unknown verb '%s' (see --help)", argv[1]);
	return pm_fail(e, PM_USAGE, "a verb was wanted (see --help)");
}

int pm_verb_main(struct pm_tool *t, const struct pm_verb *const *verbs, size_t n, int argc, char **argv)
{
	struct pm_str list = {0};
	struct pm_err e;
	size_t i;
	int status = 0;

	for (i = 0; argc > 1 && i < n; i++)
		if (!strcmp(argv[1], verbs[i]->name))
			return pm_tool_main(verbs[i]->tool, argc - 1, argv + 1, verbs[i]->run);
	if (pm_str_printf(&list, &e, "verbs (%s VERB --help says more):\n", t->name) < 0)
		status = -1;
	for (i = 0; status == 0 && i < n; i++)
		status = pm_str_printf(&list, &e, "  %-10s %s\n", verbs[i]->name, verbs[i]->tool->brief);
	t->more = list.data;
	status = pm_tool_main(t, argc, argv, no_verb);
	pm_str_free(&list);
	return status;
}
