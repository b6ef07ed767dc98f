/* gemm.c: which kernels a product gets, and how it is cut into launches. kernels/gemm*.cl, thin*.cl */
#include "op/gemm.h"

#include <stdio.h>
#include <string.h>

/* Packed A is made for so many rows at a time: at least ROWS, else about PACKED bytes. */
#define ROWS 512
#define PACKED (32u << 20)
#define PACK_STEP 256

/* A kind of kernel, and the shape of its tiles (see gemm_tile.cl). */
struct kind {
	const char *operation;          /* kernel file; NULL: the portable one, which packs nothing */
	const char *define;
	int vl, nv, mr, kg, kc;
	int value;                      /* bytes of one value of packed A */
};

static struct kind choose(const struct pm_dev *d, const struct pm_gemm *p)
{
	const struct pm_dev_info *info = pm_dev_info(d);
	/* vdpbf16ps runs at twice the rate of float32 on AMD's CPUs, at half of it on Intel's */
	int amd = strstr(info->vendor, "AMD") != NULL;
	struct kind k;

	if (!info->cpu || pm_dev_reference(d))
		return (struct kind){0};
	if (p->bf16 && info->amx && pm_tune(d, "linear", "amx", 1))
		return (struct kind){"gemm_bf16", " -DAMX", 16, 2, 32, 32, 1024, 2};
	k = (struct kind){"gemm_cpu", "", 8, 3, 4, 1, 256, 4};
	if (info->avx512)
		k.vl = 16, k.mr = 8;
	if (p->bf16 && info->bf16 && pm_tune(d, "linear", "bf16", amd))
		k = (struct kind){"gemm_bf16", "", 16, 3, 8, 2, 512, 2};
	if (p->n <= k.vl)
		k.nv = 1;
	else if ((p->n + 2 * k.vl - 1) / (2 * k.vl) * 2 < (p->n + 3 * k.vl - 1) / (3 * k.vl) * 3)
		k.nv = 2;
	return k;
}

static int64_t ceil_div(int64_t a, int64_t b)
{
	return (a + b - 1) / b;
}

static int64_t period_of(const struct pm_gemm *p)
{
	return p->period > 0 && p->period < p->k ? p->period : p->k;
}

/* Values of a row of packed A, and rows that are packed at a time. */
static int64_t packed_row(const struct pm_gemm *p, const struct kind *k)
{
	int64_t period = period_of(p);

	return period ? ceil_div(p->k, period) * ceil_div(period, k->kg) * k->kg : 0;
}

static int64_t rows_at_once(const struct pm_gemm *p, const struct kind *k)
{
	int64_t row = packed_row(p, k) * k->value, rows;

	if (!row)
		return ROWS;
	rows = PACKED / row / ROWS * ROWS;
	if (rows < ROWS)
		rows = ROWS;
	return rows < p->m ? rows : ceil_div(p->m, 32) * 32;
}

size_t pm_gemm_scratch(const struct pm_dev *d, const struct pm_gemm *p)
{
	const size_t align = pm_dev_info(d)->align;
	struct kind k = choose(d, p);
	size_t bytes;

	if (!k.operation)
		return 0;
	bytes = (size_t)(rows_at_once(p, &k) * packed_row(p, &k) * k.value);
	return align ? (bytes + align - 1) / align * align : bytes;
}

static const struct pm_kernel *kernel(struct pm_dev *d, const struct pm_gemm *p, const struct kind *k, const char *name, struct pm_err *e)
{
	char defines[200];

	if (!k->operation)
		snprintf(defines, sizeof defines, "-DTYPE_B=%s", pm_dtype(p->b.type)->name);
	else
		snprintf(defines, sizeof defines, "-DTYPE_B=%s -DVL=%d -DNV=%d -DMR=%d -DKG=%d -DKC=%d%s%s", pm_dtype(p->b.type)->name,
			k->vl, k->nv, k->mr, k->kg, k->kc, p->b_trans ? " -DB_TRANS" : "", k->define);
	return pm_kernel(d, k->operation ? k->operation : "gemm", name, defines, e);
}

static double seconds_flops(const struct pm_gemm *p, int64_t rows)
{
	return 2.0 * (double)rows * (double)p->n * (double)p->k;
}

static double bytes_moved(const struct pm_gemm *p, int64_t rows)
{
	double b = (double)p->n * (double)p->k * (double)pm_dtype_bytes(p->b.type, 1);

	return b + 4.0 * (double)rows * ((double)p->k + (double)p->n * (p->acc ? 2 : 1));
}

#define FINISH(p) PM_I32((p)->finish), PM_MEM((p)->bias.mem), PM_I64((p)->bias.off), PM_I32((p)->bias.type), \
	PM_F32((p)->scale ? (p)->scale : 1), PM_MEM((p)->add.mem)

static int run_portable(struct pm_dev *d, const struct pm_gemm *p, const struct kind *k, struct pm_err *e)
{
	const struct pm_kernel *f = kernel(d, p, k, "gemm", e);
	struct pm_launch l = {{(size_t)ceil_div(p->n, 32) * 8, (size_t)ceil_div(p->m, 32) * 8}, {8, 8},
		seconds_flops(p, p->m), bytes_moved(p, p->m)};

	if (!f)
		return -1;
	return PM_LAUNCH(f, l, e, PM_MEM(p->c.mem), PM_I64(p->c.off), PM_I64(p->c.ld), PM_MEM(p->a.mem), PM_I64(p->a.off),
		PM_I64(p->a.ld), PM_I32(p->a_trans), PM_MEM(p->b.mem), PM_I64(p->b.off), PM_I64(p->b.ld), PM_I32(p->b_trans),
		PM_I32(p->m), PM_I32(p->n), PM_I32(p->k), PM_I32(period_of(p)), PM_F32(p->alpha ? p->alpha : 1), PM_I32(p->acc),
		PM_MEM(p->live.mem), PM_I64(p->live.off), FINISH(p), PM_I64(p->add.off), PM_I64(p->add.ld));
}

/* Panels of A that one work-item multiplies with its columns of B: many, since it widens B for them; few enough that all
 * compute units have several work-items. */
static int64_t panels_an_item(const struct pm_dev *d, const struct pm_gemm *p, const struct kind *k, int64_t rows)
{
	int64_t columns = ceil_div(p->n, k->nv * k->vl), wanted = 4 * (int64_t)pm_dev_info(d)->units, panels = ceil_div(rows, k->mr);
	int64_t each = ceil_div(panels * columns, wanted), least = ceil_div(64, k->mr);

	if (each < least)
		each = least;
	return each < ROWS / k->mr ? each : ROWS / k->mr;
}

/* Rows m0 .. m0+rows. */
static int run_rows(struct pm_dev *d, const struct pm_gemm *p, const struct kind *k, int64_t m0, int64_t rows, struct pm_mem *scratch,
	size_t at, struct pm_err *e)
{
	const struct pm_kernel *pack = kernel(d, p, k, "gemm_pack", e), *f = pack ? kernel(d, p, k, "gemm", e) : NULL;
	const int64_t period = period_of(p), row = packed_row(p, k), panels = panels_an_item(d, p, k, rows);
	const int64_t a_off = p->a.off + m0 * (p->a_trans ? 1 : p->a.ld);
	/* AMX packs panels of 32 rows, 16 by each work-item */
	struct pm_launch lp = {{(size_t)(k->mr == 32 ? ceil_div(rows, 32) * 2 : ceil_div(rows, k->vl)),
		(size_t)(ceil_div(p->k, period) * ceil_div(period, PACK_STEP))}, {1, 1}, 0,
		(double)(rows * p->k * 4 + rows * row * k->value)};
	struct pm_launch l = {{(size_t)ceil_div(p->n, k->nv * k->vl), (size_t)ceil_div(ceil_div(rows, k->mr), panels)}, {1, 1},
		seconds_flops(p, rows), bytes_moved(p, rows)};
	struct pm_arg packed_at = PM_I64(at / 4);

	if (!f)
		return -1;
	if (PM_LAUNCH(pack, lp, e, PM_MEM(scratch), packed_at, PM_MEM(p->a.mem), PM_I64(a_off), PM_I64(p->a.ld), PM_I32(rows),
		PM_I32(p->k), PM_I32(period), PM_F32(p->alpha ? p->alpha : 1), PM_I32(p->a_trans), PM_I32(PACK_STEP), PM_MEM(p->live.mem),
		PM_I64(p->live.off + m0 / 16)) < 0)
		return -1;
	return PM_LAUNCH(f, l, e, PM_MEM(p->c.mem), PM_I64(p->c.off + m0 * p->c.ld), PM_I64(p->c.ld), PM_MEM(scratch), packed_at,
		PM_MEM(p->b.mem), PM_I64(p->b.off), PM_I64(p->b.ld), PM_I32(rows), PM_I32(p->n), PM_I32(p->k), PM_I32(period),
		PM_I32(panels), PM_I32(p->acc), PM_MEM(p->live.mem), PM_I64(p->live.off + m0 / 16), FINISH(p),
		PM_I64(p->add.off + m0 * p->add.ld), PM_I64(p->add.ld));
}

int pm_gemm(struct pm_dev *d, const struct pm_gemm *p, struct pm_mem *scratch, size_t at, struct pm_err *e)
{
	struct kind k = choose(d, p);
	int64_t m0, rows;

	if (p->m <= 0 || p->n <= 0 || p->k <= 0)
		return 0;
	if (p->m > INT32_MAX / 2 || p->n > INT32_MAX / 2 || p->k > INT32_MAX / 2)
		return pm_fail(e, PM_SOFTWARE, "a product of (%lld, %lld) and (%lld, %lld) is too large", (long long)p->m, (long long)p->k,
			(long long)p->k, (long long)p->n);
	if (!k.operation)
		return run_portable(d, p, &k, e);
	rows = rows_at_once(p, &k);
	for (m0 = 0; m0 < p->m; m0 += rows)
		if (run_rows(d, p, &k, m0, m0 + rows < p->m ? rows : p->m - m0, scratch, at, e) < 0)
			return -1;
	return 0;
}
