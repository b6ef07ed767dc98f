/* A safetensors file: the bytes of every tensor can be read, and are as many as its shape says. */
#include "fuzz.h"
#include "io/safetensors.h"

static int parse_safetensors(const uint8_t *data, size_t size, struct pm_err *e)
{
	struct pm_safetensors *s = NULL;
	unsigned sum = 0;
	size_t i, k;

	if (pm_safetensors_open(&s, fuzz_file("one.safetensors", data, size), e) < 0)
		return -1;
	for (i = 0; i < pm_safetensors_count(s); i++) {
		const struct pm_view *v = pm_safetensors_at(s, i);
		uint64_t n = 1;
		int d;

		must(pm_safetensors_find(s, v->name) == v);
		for (d = 0; d < v->nd; d++)
			n *= v->dim[d];
		must(v->bytes == n * (uint64_t)pm_dtype(v->type)->bytes);
		for (k = 0; k < v->bytes; k++)
			sum += v->data[k];
	}
	must(sum < UINT32_MAX);
	pm_safetensors_close(s);
	return 0;
}

FUZZ(parse_safetensors)
