/* A directory whose weights were quantised: config.json, a 0, model.safetensors. Every view there is in the end can be read; as floats or,
 * where the size is odd, as blocks. */
#include "base/mem.h"
#include "fuzz.h"
#include "quant/published.h"

static int open_published(const uint8_t *data, size_t size, struct pm_err *e)
{
	struct two t = split(data, size);
	struct pm_store *s = NULL;
	unsigned sum = 0;
	char *dir;
	size_t i, k;
	int r;

	dir = pm_strdup(fuzz_file("config.json", (const uint8_t *)t.a, t.na), e);
	fuzz_file("model.safetensors", (const uint8_t *)t.b, t.nb);
	*strrchr(dir, '/') = 0;
	r = pm_published_open(&s, dir, PM_F16, size % 2, e);
	free(dir);
	if (r < 0)
		return -1;
	for (i = 0; i < pm_store_count(s); i++) {
		const struct pm_view *v = pm_store_at(s, i);
		uint64_t n = 1;
		int d;

		must(pm_store_find(s, v->name) == v);
		for (d = 0; d < v->nd; d++)
			n *= v->dim[d];
		must(v->bytes == pm_dtype_bytes(v->type, n));
		for (k = 0; k < v->bytes; k++)
			sum += v->data[k];
	}
	must(sum < UINT32_MAX);
	pm_store_close(s);
	return 0;
}

FUZZ(open_published)
