/* Blocks of any type from any bytes, and back: decoding always gives values; making a type from any floats gives bytes that decode, or an error where one is not finite; so do
 * the weights of safetensors files. First byte: the type; second: what to do; the rest: bytes. */
#include <math.h>

#include "fuzz.h"
#include "quant/packed.h"
#include "quant/quant.h"

static float values[1024], again[1024], weights[256];
static uint8_t bytes[8192];

static bool all_finite(const float *x, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!isfinite(x[i]))
			return false;
	return true;
}

static int encode(enum pm_dtype t, const uint8_t *data, size_t size, bool weigh, struct pm_err *e)
{
	size_t n = size / 4 < 512 ? size / 4 : 512, i;
	bool needs;
	int r;

	memset(values, 0, sizeof values);
	memcpy(values, data, n * 4);
	for (i = 0; i < 256; i++)
		weights[i] = weigh && size ? data[i % size] : 1;
	r = pm_quant_from_f32(bytes, t, values, 2, 256, weigh ? weights : NULL, e);
	if (!pm_quant_makes(t, &needs) || (needs && !weigh)) {
		must(r < 0 && e->status == PM_USAGE);
		return 0;
	}
	must((r == 0) == (all_finite(values, 512) || pm_dtype_plain(t)));
	if (r == 0)
		pm_quant_to_f32(again, bytes, t, 512);
	return r;
}

static void packed(const uint8_t *data, size_t size)
{
	static const int bits[] = {2, 3, 4, 5, 6, 8};
	struct pm_affine a = {bits[data[0] % 6], 32 << data[0] / 6 % 3, PM_F32};
	struct pm_float_groups f = {.wide = data[0] & 1, .powers = data[0] & 2, .group = 16};
	float scales[64], biases[64];
	size_t n = size - 1 < 512 * 4 ? (size - 1) / 4 : 512;

	memset(values, 0, sizeof values);
	memcpy(values, data + 1, n * 4);
	memset(bytes, 0, sizeof bytes);
	memcpy(bytes, data, size < sizeof bytes ? size : sizeof bytes);
	memcpy(scales, bytes, sizeof scales);
	pm_affine_to_f32(again, &a, bytes, scales, scales, 256);
	pm_float_groups_to_f32(again, &f, bytes, bytes, 512);
	pm_bnb4_to_f32(again, bytes, pm_bnb_nf4, scales, 64, 0, 512);
	if (all_finite(values, 256)) {
		pm_affine_from_f32(bytes, scales, biases, &a, values, 256);
		pm_affine_to_f32(again, &a, bytes, scales, biases, 256);
		pm_bnb4_from_f32(bytes, scales, pm_bnb_fp4, 64, values, 256);
	}
}

static int run_quant(const uint8_t *data, size_t size, struct pm_err *e)
{
	enum pm_dtype t;

	if (size < 3)
		return pm_fail(e, PM_DATA, "too short");
	t = (enum pm_dtype)(data[0] % PM_DTYPES);
	switch (data[1] % 4) {
	case 0:
		memset(bytes, 0, sizeof bytes);
		memcpy(bytes, data + 2, size - 2 < sizeof bytes ? size - 2 : sizeof bytes);
		pm_quant_to_f32(values, bytes, t, pm_dtype_plain(t) ? 512 : 512 / (size_t)pm_dtype(t)->block * (size_t)pm_dtype(t)->block);
		return 0;
	case 1: case 2:
		return encode(t, data + 2, size - 2, data[1] % 4 == 2, e);
	default:
		packed(data + 2, size - 2);
		return 0;
	}
}

FUZZ(run_quant)
