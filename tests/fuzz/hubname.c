/* What a user, a page or a lock file may call a repository, and an address of one. What is accepted may become a path. */
#include "fuzz.h"
#include "hub/cache.h"

static void must_be_safe(const struct pm_hub_name *n)
{
	struct pm_err e;
	char *repo = pm_hub_repo("/hub", n, &e);

	must(repo && !strchr(repo + 5, '/') && !strstr(repo, ".."));
	must(pm_path_inside(n->revision) && pm_path_inside(n->id) && (!n->path || pm_path_inside(n->path)));
	must(!n->quant || !strchr(n->quant, '/'));
	free(repo);
}

static int parse_hubname(const uint8_t *data, size_t size, struct pm_err *e)
{
	char text[2000];
	struct pm_hub_name n;
	int r, k;

	snprintf(text, sizeof text, "%.*s", (int)size, size ? (const char *)data : "");
	r = pm_hub_name_parse(&n, text, e);
	if (r == 0)
		must_be_safe(&n);
	pm_hub_name_free(&n);
	k = pm_hub_name_url(&n, text, "https://h", e);
	if (k == 0)
		must_be_safe(&n);
	pm_hub_name_free(&n);
	if (r < 0 && k != 0) {
		must(e->status == PM_USAGE || k > 0);
		e->status = PM_DATA;    /* the command line's status is its own */
		return -1;
	}
	return 0;
}

FUZZ(parse_hubname)
