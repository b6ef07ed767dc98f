/* hold.c: weights of published checkpoints as blocks with the same values. */
#include "quant/hold.h"

#include "quant/codec.h"

/* Whether all values are numbers of f16, too. */
static bool halves(const uint8_t *p, enum pm_dtype t, size_t n)
{
	size_t i;
	float f;

	for (i = 0; t != PM_F16 && i < n; i++) {
		pm_to_f32(&f, p + pm_dtype_bytes(t, i), t, 1);
		if (pm_f16_to_f32(pm_f32_to_f16(f)) != f)
			return false;
	}
	return true;
}

enum pm_dtype pm_hold_affine(const struct pm_affine *a, const void *scales, const void *biases, size_t n, size_t cols)
{
	if (a->group % 32 || cols % 32 || !halves(scales, a->type, n) || !halves(biases, a->type, n))
		return PM_DTYPE_NONE;
	return a->bits <= 4 ? PM_Q4_1 : a->bits == 5 ? PM_Q5_1 : PM_AFFINE8;
}

enum pm_dtype pm_hold_groups(const struct pm_float_groups *f, size_t cols)
{
	return !f->wide && f->powers && f->group == 32 && cols % 32 == 0 ? PM_MXFP4 : PM_DTYPE_NONE;
}

enum pm_dtype pm_hold_bnb4(const float map[16], int block, size_t cols)
{
	if (block % 32 || cols % 32)
		return PM_DTYPE_NONE;
	return !memcmp(map, pm_bnb_nf4, 16 * sizeof *map) ? PM_NF4 : !memcmp(map, pm_bnb_fp4, 16 * sizeof *map) ? PM_FP4 : PM_DTYPE_NONE;
}

/* 32 codes from number `at` on: their low four bits, value j and value 16 + j in one byte. */
static void put_nibbles(uint8_t *out, const uint8_t *codes, size_t at, int bits)
{
	size_t j;

	for (j = 0; j < 16; j++)
		out[j] = (uint8_t)((pm_packed_code(codes, at + j, bits) & 15) | (pm_packed_code(codes, at + j + 16, bits) & 15) << 4);
}

static void put_number(uint8_t *out, const uint8_t *p, enum pm_dtype t, size_t i)
{
	float f;

	pm_to_f32(&f, p + pm_dtype_bytes(t, i), t, 1);
	pm_put_half(out, f);
}

void pm_hold_affine_blocks(uint8_t *out, const struct pm_affine *a, const uint8_t *codes, const uint8_t *scales, const uint8_t *biases, size_t n)
{
	uint32_t fifth;
	size_t i, j;

	for (i = 0; i < n; i += 32) {
		put_number(out, scales, a->type, i / (size_t)a->group);
		put_number(out + 2, biases, a->type, i / (size_t)a->group);
		out += 4;
		if (a->bits > 5) {
			for (j = 0; j < 32; j++)
				*out++ = (uint8_t)pm_packed_code(codes, i + j, a->bits);
			continue;
		}
		if (a->bits == 5) {
			for (j = 0, fifth = 0; j < 32; j++)
				fifth |= (uint32_t)(pm_packed_code(codes, i + j, 5) >> 4) << j;
			pm_put32(out, fifth);
			out += 4;
		}
		put_nibbles(out, codes, i, a->bits);
		out += 16;
	}
}

void pm_hold_groups_blocks(uint8_t *out, const uint8_t *codes, const uint8_t *scales, size_t n)
{
	size_t i;

	for (i = 0; i < n; i += 32, out += 17) {
		out[0] = scales[i / 32];
		put_nibbles(out + 1, codes, i, 4);
	}
}

void pm_hold_bnb4_blocks(uint8_t *out, const uint8_t *codes, const float *absmax, int block, size_t first, size_t n)
{
	uint32_t u;
	size_t i, j;

	for (i = first; i < first + n; i += 32, out += 20) {
		memcpy(&u, &absmax[i / (size_t)block], sizeof u);
		pm_put32(out, u);
		for (j = 0; j < 16; j++)
			out[4 + j] = (uint8_t)(pm_bnb4_code(codes, i + j) | pm_bnb4_code(codes, i + j + 16) << 4);
	}
}
