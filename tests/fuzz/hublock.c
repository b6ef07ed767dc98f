/* A lock file of pm-fetch. */
#include "fuzz.h"
#include "hub/pin.h"

static int parse_hublock(const uint8_t *data, size_t size, struct pm_err *e)
{
	struct pm_hub_pins p = {0}, again = {0};
	struct pm_err none;
	int r = pm_hub_pins_parse(&p, size ? (const char *)data : "", size, "lock", e);
	size_t i, k;

	for (i = 0; i < p.n; i++)
		for (k = 0; k < p.v[i].list.n; k++)
			must(pm_path_inside(p.v[i].list.v[k].path));
	if (r == 0) {
		const char *path = fuzz_file("lock", "", 0);

		must(pm_hub_pins_write(&p, path, &none) == 0 && pm_hub_pins_read(&again, path, &none) == 0 && again.n == p.n);
	}
	pm_hub_pins_free(&p);
	pm_hub_pins_free(&again);
	return r;
}

FUZZ(parse_hublock)
