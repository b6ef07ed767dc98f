/* A generation_config.json beside a config.json that is not read again. */
#include "fuzz.h"
#include "run/defaults.h"

static int parse_generation(const uint8_t *data, size_t size, struct pm_err *e)
{
	struct pm_spec spec = {.config = json_object()};
	struct pm_generation g;
	size_t i;
	int r;

	fuzz_file("generation_config.json", data, size);
	r = pm_generation_load(&g, fuzz_tmp, &spec, NULL, e);
	if (r == 0) {
		must(g.temperature >= 0 && g.top_p > 0 && g.penalty > 0 && g.top_k >= 0 && g.max_tokens >= 0);
		for (i = 0; i < g.nstop; i++)
			must(g.stop[i] >= 0);
		pm_generation_free(&g);
	}
	json_decref(spec.config);
	return r;
}

FUZZ(parse_generation)
