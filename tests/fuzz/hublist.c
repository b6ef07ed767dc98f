/* The hub's list of a repository's files, the form in which the cache keeps it, and the answer about a revision. */
#include "fuzz.h"
#include "hub/list.h"

static int parse_hublist(const uint8_t *data, size_t size, struct pm_err *e)
{
	static const struct pm_hub_want want = {.model = true}, quant = {.model = true, .quant = "Q4_K_M"};
	const char *text = size ? (const char *)data : "";
	struct pm_hub_list l = {0}, kept = {0}, again = {0};
	struct pm_str s = {0};
	struct pm_err none;
	char commit[41];
	bool *keep;
	size_t i;
	int r = pm_hub_list_page(&l, text, size, e), k;

	if (r == 0)
		r = pm_hub_list_close(&l, e);
	for (i = 0; i < l.n; i++)
		must(pm_path_inside(l.v[i].path) && (!l.v[i].hash[0] || strlen(l.v[i].hash) == 40 || strlen(l.v[i].hash) == 64));
	keep = pm_alloc(l.n, sizeof *keep, &none);
	if (r == 0) {
		pm_hub_select(keep, &l, &want, &none);
		pm_hub_select(keep, &l, &quant, &none);
		for (i = 0; i < l.n && l.v[i].size != PM_HUB_SIZE_UNKNOWN; i++)
			;
		must(pm_hub_list_write(&s, &l, &none) == 0);
		must(i < l.n || (pm_hub_list_read(&again, s.data, s.len, "list", &none) == 0 && again.n == l.n));
	}
	k = pm_hub_list_read(&kept, text, size, "list", &none);
	if (k != 0 && r != 0)
		r = pm_hub_revision_read(commit, text, size, &none) == 0 ? 0 : r;
	else
		r = 0;
	free(keep);
	pm_str_free(&s);
	pm_hub_list_free(&l);
	pm_hub_list_free(&kept);
	pm_hub_list_free(&again);
	return r;
}

FUZZ(parse_hublist)
