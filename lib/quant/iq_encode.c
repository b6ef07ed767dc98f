/* IQ1, IQ2 and IQ3 made: pm_lattice_fit chooses, here it is put where the layouts have it. */
#include "quant/codec.h"
#include "quant/grids.h"
#include "quant/lattice.h"

#define LEVEL2 {{8, 25, 43}}
#define LEVEL1 {{-0.875f, 0.125f, 1.125f}, {-1.125f, -0.125f, 0.875f}}

static const struct pm_lattice iq2_xxs = {.grid = pm_grid_iq2xxs, .points = 256, .dims = 8, .bits = 2, .levels = 3, .level = LEVEL2, .sets = 1, .sub = 32,
	.scales = 16, .unit = 0.125f, .even_signs = true};
static const struct pm_lattice iq2_xs = {.grid = pm_grid_iq2xs, .points = 512, .dims = 8, .bits = 2, .levels = 3, .level = LEVEL2, .sets = 1, .sub = 16,
	.scales = 16, .unit = 0.125f, .even_signs = true};
static const struct pm_lattice iq2_s = {.grid = pm_grid_iq2s, .points = 1024, .dims = 8, .bits = 2, .levels = 3, .level = LEVEL2, .sets = 1, .sub = 16,
	.scales = 16, .unit = 0.125f};
static const struct pm_lattice iq3_xxs = {.grid = pm_grid_iq3xxs, .points = 256, .dims = 4, .bits = 3, .levels = 8,
	.level = {{4, 12, 20, 28, 36, 44, 52, 62}}, .sets = 1, .sub = 32, .scales = 16, .unit = 0.25f, .even_signs = true};
static const struct pm_lattice iq3_s = {.grid = pm_grid_iq3s, .points = 512, .dims = 4, .bits = 3, .levels = 8, .level = {{1, 3, 5, 7, 9, 11, 13, 15}}, .sets = 1,
	.sub = 32, .scales = 16, .unit = 1};
static const struct pm_lattice iq1_s = {.grid = pm_grid_iq1s, .points = 2048, .dims = 8, .bits = 2, .levels = 3, .level = LEVEL1, .sets = 2, .sub = 32,
	.scales = 8, .unit = 1};
static const struct pm_lattice iq1_m = {.grid = pm_grid_iq1s, .points = 2048, .dims = 8, .bits = 2, .levels = 3, .level = LEVEL1, .sets = 2, .set_of_group = true,
	.sub = 16, .scales = 8, .unit = 1};

static void pack_iq2_xxs(uint8_t *out, const struct pm_lattice_block *b)
{
	int j, k;

	for (j = 0; j < 8; j++) {
		uint32_t s = (uint32_t)b->scale[j] << 28;

		for (k = 0; k < 4; k++) {
			out[2 + 8 * j + k] = (uint8_t)b->point[4 * j + k];
			s |= (uint32_t)(b->signs[4 * j + k] & 127) << 7 * k;
		}
		pm_put32(out + 6 + 8 * j, s);
	}
}

/* Four-bit scales of sub-blocks, two to a byte. */
static void put_scales(uint8_t *to, const struct pm_lattice_block *b, int n)
{
	int j;

	for (j = 0; j < n; j += 2)
		to[j / 2] = (uint8_t)(b->scale[j] | b->scale[j + 1] << 4);
}

static void pack_iq2_xs(uint8_t *out, const struct pm_lattice_block *b)
{
	int k;

	for (k = 0; k < 32; k++)
		pm_put16(out + 2 + 2 * k, b->point[k] | (b->signs[k] & 127u) << 9);
	put_scales(out + 66, b, 16);
}

static void pack_iq2_s(uint8_t *out, const struct pm_lattice_block *b)
{
	int k;

	memset(out + 66, 0, 8);
	for (k = 0; k < 32; k++) {
		out[2 + k] = (uint8_t)b->point[k];
		out[34 + k] = b->signs[k];
		out[66 + k / 4] |= (uint8_t)(b->point[k] >> 8 << 2 * (k % 4));
	}
	put_scales(out + 74, b, 16);
}

static void pack_iq3_xxs(uint8_t *out, const struct pm_lattice_block *b)
{
	int j, k;

	for (j = 0; j < 8; j++) {
		uint32_t s = (uint32_t)b->scale[j] << 28;

		for (k = 0; k < 8; k++)
			out[2 + 8 * j + k] = (uint8_t)b->point[8 * j + k];
		for (k = 0; k < 4; k++)
			s |= (uint32_t)(b->signs[4 * j + k] & 127) << 7 * k;
		pm_put32(out + 66 + 4 * j, s);
	}
}

static void pack_iq3_s(uint8_t *out, const struct pm_lattice_block *b)
{
	int k;

	memset(out + 66, 0, 8);
	for (k = 0; k < 64; k++) {
		out[2 + k] = (uint8_t)b->point[k];
		out[66 + k / 8] |= (uint8_t)(b->point[k] >> 8 << k % 8);
	}
	memcpy(out + 74, b->signs, 32);
	put_scales(out + 106, b, 8);
}

static void pack_iq1_s(uint8_t *out, const struct pm_lattice_block *b)
{
	int j, k;

	for (j = 0; j < 8; j++) {
		unsigned h = (unsigned)b->scale[j] << 12 | (unsigned)b->set[4 * j] << 15;

		for (k = 0; k < 4; k++) {
			out[2 + 4 * j + k] = (uint8_t)b->point[4 * j + k];
			h |= (unsigned)(b->point[4 * j + k] >> 8) << 3 * k;
		}
		pm_put16(out + 34 + 2 * j, h);
	}
}

static void pack_iq1_m(uint8_t *out, const struct pm_lattice_block *b)
{
	int j, k;

	for (k = 0; k < 32; k += 2) {
		out[k] = (uint8_t)b->point[k];
		out[k + 1] = (uint8_t)b->point[k + 1];
		out[32 + k / 2] = (uint8_t)(b->point[k] >> 8 | b->set[k] << 3 | b->point[k + 1] >> 8 << 4 | b->set[k + 1] << 7);
	}
	for (j = 0; j < 4; j++)
		pm_put16(out + 48 + 2 * j, b->scale[4 * j] | (unsigned)b->scale[4 * j + 1] << 3 | (unsigned)b->scale[4 * j + 2] << 6 |
			(unsigned)b->scale[4 * j + 3] << 9 | (b->d >> 4 * j & 15u) << 12);
}

static void encode(uint8_t *out, const float *x, size_t n, const float *v, const struct pm_lattice *how, enum pm_dtype t,
	void (*pack)(uint8_t *out, const struct pm_lattice_block *b))
{
	struct pm_lattice_book book;
	struct pm_lattice_block b;
	size_t i;

	pm_lattice_open(&book, how);
	for (i = 0; i < n; i += PM_QK, out += pm_dtype(t)->bytes) {
		pm_lattice_fit(&b, &book, x + i, v ? v + i : NULL);
		if (t != PM_IQ1_M)
			pm_put16(out, b.d);
		pack(out, &b);
	}
}

void pm_enc_iq1_s(uint8_t *out, const float *x, size_t n, const float *importance)
{
	encode(out, x, n, importance, &iq1_s, PM_IQ1_S, pack_iq1_s);
}

void pm_enc_iq1_m(uint8_t *out, const float *x, size_t n, const float *importance)
{
	encode(out, x, n, importance, &iq1_m, PM_IQ1_M, pack_iq1_m);
}

void pm_enc_iq2_xxs(uint8_t *out, const float *x, size_t n, const float *importance)
{
	encode(out, x, n, importance, &iq2_xxs, PM_IQ2_XXS, pack_iq2_xxs);
}

void pm_enc_iq2_xs(uint8_t *out, const float *x, size_t n, const float *importance)
{
	encode(out, x, n, importance, &iq2_xs, PM_IQ2_XS, pack_iq2_xs);
}

void pm_enc_iq2_s(uint8_t *out, const float *x, size_t n, const float *importance)
{
	encode(out, x, n, importance, &iq2_s, PM_IQ2_S, pack_iq2_s);
}

void pm_enc_iq3_xxs(uint8_t *out, const float *x, size_t n, const float *importance)
{
	encode(out, x, n, importance, &iq3_xxs, PM_IQ3_XXS, pack_iq3_xxs);
}

void pm_enc_iq3_s(uint8_t *out, const float *x, size_t n, const float *importance)
{
	encode(out, x, n, importance, &iq3_s, PM_IQ3_S, pack_iq3_s);
}
