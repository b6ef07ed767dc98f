/* A config.json, through its family's program; without tensors. */
#include "fuzz.h"
#include "spec/spec.h"

static int parse_spec(const uint8_t *data, size_t size, struct pm_err *e)
{
	struct pm_spec *s = NULL;
	struct pm_err other;
	double factor, *inv;
	int64_t dims;
	int i;

	if (pm_spec_load(&s, fuzz_file("config.json", data, size), "share", NULL, NULL, e) < 0)
		return -1;
	must(pm_spec_parameters(s) > 0 && pm_spec_cached(s) > 0 && pm_spec_active(s) > 0 && pm_spec_active(s) <= pm_spec_parameters(s));
	for (i = 0; i < s->nropes; i++) {
		dims = s->ropes[i].dims;
		if (dims > 4096)
			continue;
		inv = pm_alloc((size_t)dims / 2, sizeof *inv, &other);
		must(inv && (pm_rope_frequencies(&s->ropes[i], s, 100, inv, &factor, &other) == 0 || other.text[0]));
		free(inv);
	}
	pm_spec_free(s);
	return 0;
}

FUZZ(parse_spec)
