/* gemm.c: which kernels a product gets, and how it is cut into launches. kernels/gemm*.cl, thin*.cl */
#include "op/gemm.h"

#include <stdio.h>
#include <string.h>

/* A is packed and multiplied piece by piece: ROWS rows (more, where k is short) of at most DEPTH k, a multiple of every KC, so that a
 * piece (8 MB of float32) stays in the last cache while all columns of B pass. */
#define ROWS 512
#define DEPTH 4096
#define PACK_STEP 256

/* A kind of kernel, and the shape of its tiles (see gemm_tile.cl). */
struct kind {
	const char *operation, *pack;   /* kernel files; NULL: the portable one, which packs nothing */
	const char *define;
	int vl, nv, mr, kg, kc;
	int value;                      /* bytes of one value of packed A */
	int group;                      /* values of packed A that have a scale of four bytes; 0: none */
};

static int64_t period_of(const struct pm_gemm *p)
{
	return p->period > 0 && p->period < p->k ? p->period : p->k;
}

/* Whole numbers run at up to twice the rate of float32 on all of x86. */
bool pm_op_rounds(const struct pm_dev *d)
{
	const struct pm_dev_info *info = pm_dev_info(d);

	return info->cpu && !pm_dev_reference(d) && pm_tune(d, "linear", "int16", strstr(info->vendor, "AMD") || strstr(info->vendor, "Intel"));
}

static struct kind choose(const struct pm_dev *d, const struct pm_gemm *p)
{
	const struct pm_dev_info *info = pm_dev_info(d);
	/* vdpbf16ps runs at twice the rate of float32 on AMD's CPUs, at half of it on Intel's */
	const bool amd = strstr(info->vendor, "AMD") != NULL;
	struct kind k;

	if (!info->cpu || pm_dev_reference(d))
		return (struct kind){0};
	if (p->bf16 && info->amx && pm_tune(d, "linear", "amx", 1))
		return (struct kind){"gemm_bf16", "gemm_bf16_pack", " -DAMX", 16, 2, 32, 32, 1024, 2, 0};
	k = (struct kind){"gemm_cpu", "gemm_pack", "", 8, 3, 4, 1, 256, 4, 0};
	if (info->avx512)
		k.vl = 16, k.mr = 8;
	if (p->bf16 && info->bf16 && pm_tune(d, "linear", "bf16", amd))
		k = (struct kind){"gemm_bf16", "gemm_bf16_pack", "", 16, 3, 8, 2, 512, 2, 0};
	else if (p->bf16 && p->b_trans && !p->a_trans && period_of(p) == p->k && pm_op_rounds(d))
		k = (struct kind){"gemm_int16", "gemm_pack", " -DINT14", k.vl, k.vl == 16 ? 3 : 2, k.mr, 32, 512, 2, 32};
	/* narrower tiles are slower, but waste less at the edge */
	if (p->n <= k.vl)
		k.nv = 1;
	else if (11 * pm_ceil_div(p->n, 2 * k.vl) * 2 < 10 * pm_ceil_div(p->n, 3 * k.vl) * 3)
		k.nv = 2;
	return k;
}

/* A piece of a product: rows from m0, and k from k0. */
struct piece {
	int64_t m0, rows, k0, k, period;
};

/* The piece that begins there: whole periods, or a part of one that ends at a multiple of DEPTH in it. */
static struct piece piece_at(const struct pm_gemm *p, int64_t m0, int64_t k0)
{
	int64_t period = period_of(p), left, deepest = p->k < DEPTH ? p->k : DEPTH, rows;
	struct piece c = {.m0 = m0, .k0 = k0};

	if (period <= DEPTH) {
		c.k = DEPTH / period * period;
		c.period = period;
	} else {
		left = period - k0 % period;
		c.k = left < DEPTH ? left : DEPTH;
		c.period = c.k;
	}
	if (c.k > p->k - k0)
		c.k = p->k - k0;
	if (c.period > c.k)
		c.period = c.k;
	rows = ROWS * (DEPTH / deepest);
	c.rows = rows < p->m - m0 ? rows : p->m - m0;
	return c;
}

/* Values of a row of packed A. */
static int64_t packed_row(const struct piece *c, const struct kind *k)
{
	return pm_ceil_div(c->k, c->period) * pm_ceil_div(c->period, k->kg) * k->kg;
}

size_t pm_gemm_scratch(const struct pm_dev *d, const struct pm_gemm *p)
{
	const size_t align = pm_dev_info(d)->align > 64 ? pm_dev_info(d)->align : 64;
	struct kind k = choose(d, p);
	int64_t k0, most = 0, row, shorter, j;
	struct piece c;

	if (!k.operation || p->m <= 0 || p->n <= 0)
		return 0;
	for (k0 = 0; k0 < p->k; k0 += c.k) {
		c = piece_at(p, 0, k0);
		row = packed_row(&c, &k);
		most = row > most ? row : most;
	}
	most *= pm_ceil_div(c.rows, 32) * 32;
	/* where k is shorter a piece has more rows: at most j times ROWS up to that depth */
	for (j = 1; ROWS * (j - 1) < p->m && DEPTH / j > 0; j++) {
		shorter = DEPTH / j < p->k ? DEPTH / j : p->k;
		shorter = pm_ceil_div(shorter, k.kg) * k.kg * pm_ceil_div(ROWS * j < p->m ? ROWS * j : p->m, 32) * 32;
		most = shorter > most ? shorter : most;
	}
	most = most * k.value + (k.group ? most / k.group * 4 : 0);
	return ((size_t)most + align - 1) / align * align;
}

static const struct pm_kernel *kernel(struct pm_dev *d, const struct pm_gemm *p, const struct kind *k, struct pm_err *e)
{
	char defines[200];

	if (!k->operation)
		snprintf(defines, sizeof defines, "-DTYPE_B=%s", pm_dtype(p->b.type)->name);
	else
		snprintf(defines, sizeof defines, "-DTYPE_B=%s -DVL=%d -DNV=%d -DMR=%d -DKG=%d -DKC=%d%s%s", pm_dtype(p->b.type)->name,
			k->vl, k->nv, k->mr, k->kg, k->kc, p->b_trans ? " -DB_TRANS" : "", k->define);
	return pm_kernel(d, k->operation ? k->operation : "gemm", "gemm", defines, e);
}

static const struct pm_kernel *pack_kernel(struct pm_dev *d, const struct kind *k, struct pm_err *e)
{
	char defines[200];

	snprintf(defines, sizeof defines, "-DVL=%d -DNV=1 -DMR=%d -DKG=%d -DKC=%d%s", k->vl, k->mr, k->kg, k->kc, k->define);
	return pm_kernel(d, k->pack, "gemm_pack", defines, e);
}

static double operations(const struct pm_gemm *p, const struct piece *c)
{
	return 2.0 * (double)c->rows * (double)p->n * (double)c->k;
}

static double bytes_moved(const struct pm_gemm *p, const struct piece *c)
{
	const struct pm_dtype_info *t = pm_dtype(p->b.type);
	double b = (double)p->n * (double)c->k * t->bytes / t->block;

	return b + 4.0 * (double)c->rows * ((double)c->k + (double)p->n * (p->acc || c->k0 ? 2 : 1));
}

#define FINISH(p) PM_MEM((p)->bias.mem), PM_I64((p)->bias.off), PM_I32((p)->bias.type), \
	PM_F32((p)->scale ? (p)->scale : 1), PM_MEM((p)->add.mem)

static int run_portable(struct pm_dev *d, const struct pm_gemm *p, const struct kind *k, struct pm_err *e)
{
	const struct pm_kernel *f = kernel(d, p, k, e);
	const struct piece all = {.rows = p->m, .k = p->k};
	struct pm_launch l = {{(size_t)pm_ceil_div(p->n, 32) * 8, (size_t)pm_ceil_div(p->m, 32) * 8}, {8, 8},
		operations(p, &all), bytes_moved(p, &all), PM_RATE_F32};

	if (!f)
		return -1;
	return PM_LAUNCH(f, l, e, PM_MEM(p->c.mem), PM_I64(p->c.off), PM_I64(p->c.ld), PM_MEM(p->a.mem), PM_I64(p->a.off),
		PM_I64(p->a.ld), PM_I32(p->a_trans), PM_MEM(p->b.mem), PM_I64(p->b.off), PM_I64(p->b.ld), PM_I32(p->b_trans),
		PM_I32(p->m), PM_I32(p->n), PM_I32(p->k), PM_I32(period_of(p)), PM_F32(p->alpha ? p->alpha : 1), PM_I32(p->acc),
		PM_MEM(p->live.mem), PM_I64(p->live.off), PM_I32(p->finish), FINISH(p), PM_I64(p->add.off), PM_I64(p->add.ld));
}

/* Panels of A that one work-item multiplies with its columns of B: many, since it widens B for them; few enough that all
 * compute units have several work-items. */
static int64_t panels_an_item(const struct pm_dev *d, const struct pm_gemm *p, const struct kind *k, int64_t rows)
{
	int64_t columns = pm_ceil_div(p->n, k->nv * k->vl), wanted = 4 * (int64_t)pm_dev_info(d)->units, panels = pm_ceil_div(rows, k->mr);
	int64_t each = pm_ceil_div(panels * columns, wanted), least = pm_ceil_div(64, k->mr);

	if (each < least)
		each = least;
	return each < ROWS / k->mr ? each : ROWS / k->mr;
}

static int run_piece(struct pm_dev *d, const struct pm_gemm *p, const struct kind *k, const struct piece *c, struct pm_mem *scratch,
	size_t at, struct pm_err *e)
{
	const struct pm_kernel *pack = pack_kernel(d, k, e), *f = pack ? kernel(d, p, k, e) : NULL;
	const int64_t panels = panels_an_item(d, p, k, c->rows), live = p->live.off + c->m0 / 16;
	const int64_t a_off = p->a.off + (p->a_trans ? c->k0 * p->a.ld + c->m0 : c->m0 * p->a.ld + c->k0);
	const int64_t b_off = p->b.off + c->k0 * (p->b_trans ? 1 : p->b.ld), c_off = p->c.off + c->m0 * p->c.ld;
	/* AMX packs panels of 32 rows, 16 by each work-item */
	struct pm_launch lp = {{(size_t)(k->mr == 32 ? pm_ceil_div(c->rows, 32) * 2 : pm_ceil_div(c->rows, k->vl)),
		(size_t)(pm_ceil_div(c->k, c->period) * pm_ceil_div(c->period, PACK_STEP))}, {1, 1}, 0,
		(double)(c->rows * c->k) * (4 + k->value), PM_RATE_F32};
	struct pm_launch l = {{(size_t)pm_ceil_div(p->n, k->nv * k->vl), (size_t)pm_ceil_div(pm_ceil_div(c->rows, k->mr), panels)}, {1, 1},
		operations(p, c), bytes_moved(p, c), k->value == 2 ? PM_RATE_BF16 : PM_RATE_F32};
	const struct pm_arg packed_at = PM_I64(at / 4);

	if (!f)
		return -1;
	if (PM_LAUNCH(pack, lp, e, PM_MEM(scratch), packed_at, PM_MEM(p->a.mem), PM_I64(a_off), PM_I64(p->a.ld), PM_I32(c->rows),
		PM_I32(c->k), PM_I32(c->period), PM_F32(p->alpha ? p->alpha : 1), PM_I32(p->a_trans), PM_I32(PACK_STEP), PM_MEM(p->live.mem),
		PM_I64(live)) < 0)
		return -1;
	return PM_LAUNCH(f, l, e, PM_MEM(p->c.mem), PM_I64(c_off), PM_I64(p->c.ld), PM_MEM(scratch), packed_at,
		PM_MEM(p->b.mem), PM_I64(b_off), PM_I64(p->b.ld), PM_I32(c->rows), PM_I32(p->n), PM_I32(c->k), PM_I32(c->period),
		PM_I32(panels), PM_I32(p->acc || c->k0 > 0), PM_MEM(p->live.mem), PM_I64(live), PM_I32(p->finish && c->k0 + c->k == p->k),
		FINISH(p), PM_I64(p->add.off + c->m0 * p->add.ld), PM_I64(p->add.ld));
}

bool pm_op_takes(enum pm_dtype t)
{
	static const enum pm_dtype taken[] = {PM_F32, PM_F16, PM_BF16, PM_Q4_0, PM_Q4_1, PM_Q5_0, PM_Q5_1, PM_Q8_0, PM_Q2_K, PM_Q3_K, PM_Q4_K,
		PM_Q5_K, PM_Q6_K, PM_IQ4_NL, PM_IQ4_XS, PM_MXFP4, PM_NF4, PM_FP4, PM_AFFINE8};
	size_t i;

	for (i = 0; i < sizeof taken / sizeof *taken; i++)
		if (taken[i] == t)
			return true;
	return false;
}

int pm_gemm(struct pm_dev *d, const struct pm_gemm *p, struct pm_mem *scratch, size_t at, struct pm_err *e)
{
	struct kind k = choose(d, p);
	struct piece c = {0};
	int64_t m0, k0;

	if (p->m <= 0 || p->n <= 0 || p->k <= 0)
		return 0;
	if (p->m > INT32_MAX / 2 || p->n > INT32_MAX / 2 || p->k > INT32_MAX / 2)
		return pm_fail(e, PM_SOFTWARE, "a product of (%lld, %lld) and (%lld, %lld) is too large", (long long)p->m, (long long)p->k,
			(long long)p->k, (long long)p->n);
	if (!k.operation)
		return run_portable(d, p, &k, e);
	for (m0 = 0; m0 < p->m; m0 += c.rows)
		for (k0 = 0; k0 < p->k; k0 += c.k) {
			c = piece_at(p, m0, k0);
			if (run_piece(d, p, &k, &c, scratch, at, e) < 0)
				return -1;
		}
	return 0;
}
