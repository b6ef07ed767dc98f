/* thin.c: products of few rows (gemm.h). kernels/thin.cl, thin_cpu.cl, thin_int8_cpu.cl, thin_bf16_cpu.cl, chain_cpu.cl */
#include <stdio.h>
#include <string.h>

#include "op/gemm.h"
#include "op/stage.h"

#define PORTABLE_LANES 32
#define PORTABLE_ROWS 16
#define BLOCK 24                /* columns are handed out by so many, stored (k, n) by WIDTH (thin_cpu.cl) */
#define WIDTH 64
#define ITEMS_A_UNIT 16         /* work-items a compute unit: so that they end together */
#define ITEMS_A_RUN 4
#define TASKS_A_UNIT 3          /* of a stage with one or two rows: taking one costs a fraction of a microsecond */
#define INT8_MOST 32768         /* largest k of thin_int8_cpu.cl and thin_bf16_cpu.cl */
#define INT8_STEP 256           /* its STEP, and bytes of a part */
#define INT8_PART 832
#define WOVEN_COLUMNS 32        /* columns are handed out by so many there, and of what is woven */
#define PAIRS_STEP 32           /* columns of a vector in thin_bf16.cl */

/* Whether the integer kernels do it. */
static bool in_int8(const struct pm_dev *d, const struct pm_thin *p)
{
	return p->int8 && p->b_trans && p->k <= INT8_MOST && !pm_dtype_plain(p->b.type) && pm_op_weaves(d, p->b.type, p->k);
}

/* Whether B can be taken woven, by those that do; where runs have matrices of their own, each of these. */
static bool has_woven(const struct pm_thin *p)
{
	return pm_is_woven(p->b) && p->k == p->b.ld && (!p->runs || p->b_step % (PM_WOVEN_ROWS * p->b.ld) == 0);
}

/* Whether the kernels of pairs do it. */
static bool in_pairs(const struct pm_dev *d, const struct pm_thin *p)
{
	return p->bf16 && p->b_trans && p->k <= INT8_MOST && pm_op_pairs(d) && (p->b.type == PM_BF16 || (p->b.type == PM_F16 && has_woven(p)));
}

static bool is_woven(const struct pm_dev *d, const struct pm_thin *p)
{
	return (in_int8(d, p) || in_pairs(d, p)) && has_woven(p);
}

/* Columns of a work-item: so many that a unit has `each` of them, and a run, whose rows may be more than another's, a few. */
static int64_t columns(const struct pm_dev *d, const struct pm_thin *p, int each)
{
	const int64_t unit = in_int8(d, p) || is_woven(d, p) ? WOVEN_COLUMNS : p->b_trans ? BLOCK : WIDTH, items = (int64_t)pm_dev_info(d)->units * each;
	const int64_t of_run = p->slots ? pm_ceil_div(items, p->slots) : items;

	return pm_ceil_div(pm_ceil_div(p->n, unit), of_run > ITEMS_A_RUN ? of_run : ITEMS_A_RUN) * unit;
}

/* Bytes of B that are read. */
static double weight_bytes(const struct pm_dev *d, const struct pm_thin *p)
{
	return (double)(is_woven(d, p) ? pm_woven_bytes(p->b.type, p->n, p->k) : pm_dtype_bytes(p->b.type, (uint64_t)(p->n * p->k)));
}

/* As many rows as go together in thin_int8.cl, of m: unpacking the weights for some takes as long as two rows. */
static int together(int64_t m)
{
	if (m <= 2)
		return (int)m;
	return pm_ceil_div(m, 8) * (8 + 2) < pm_ceil_div(m, 4) * (4 + 2) ? 8 : 4;
}

int pm_thin(struct pm_dev *d, const struct pm_thin *p, struct pm_err *e)
{
	const struct pm_dev_info *info = pm_dev_info(d);
	const bool cpu = info->cpu && !pm_dev_reference(d), int8 = cpu && in_int8(d, p), pairs = cpu && in_pairs(d, p), woven = cpu && is_woven(d, p);
	const int64_t cols = columns(d, p, ITEMS_A_UNIT), slots = p->slots ? p->slots : 1;
	const struct pm_kernel *k;
	struct pm_launch l = {.flops = 2.0 * (double)p->m * (double)p->n * (double)p->k,
		.bytes = (double)slots * weight_bytes(d, p) + 4.0 * (double)p->m * (double)(p->n + p->k)};
	char defines[64];

	if (p->m <= 0 || p->n <= 0 || p->k <= 0)
		return 0;
	if (p->n > INT32_MAX / 2 || p->k > INT32_MAX / 2)
		return pm_fail(e, PM_SOFTWARE, "a product with (%lld, %lld) is too large", (long long)p->k, (long long)p->n);
	snprintf(defines, sizeof defines, "-DTYPE_B=%s", pm_dtype(p->b.type)->name);
	if (int8)
		snprintf(defines + strlen(defines), 32, " -DROWS=%d -DWOVEN=%d", together(pm_ceil_div(p->m, slots)), woven);
	k = pm_kernel(d, pairs ? "thin_bf16_cpu" : int8 ? "thin_int8_cpu" : cpu ? "thin_cpu" : "thin", p->b_trans ? "thin" : "thin_stored",
		!pairs ? defines : woven ? "-DWOVEN" : NULL, e);
	if (!k)
		return -1;
	if (cpu) {
		l.global[0] = (size_t)pm_ceil_div(p->n, cols);
		l.global[1] = (size_t)slots;
	} else {
		l.global[0] = (size_t)(p->b_trans ? p->n : pm_ceil_div(p->n, PORTABLE_LANES)) * PORTABLE_LANES;
		l.global[1] = (size_t)pm_ceil_div(p->m, PORTABLE_ROWS);
		l.global[2] = (size_t)slots;
		l.local[0] = PORTABLE_LANES;
	}
	return PM_LAUNCH(k, l, e, PM_MEM(p->c.mem), PM_I64(p->c.off), PM_I64(p->c.ld), PM_MEM(p->a.mem), PM_I64(p->a.off), PM_I64(p->a.ld),
		PM_MEM(woven ? p->b.woven : p->b.mem), PM_I64(p->b.off), PM_I64(p->b.ld), PM_I32(p->m), PM_I32(p->n), PM_I32(p->k), PM_I32(cols),
		PM_MEM(p->bias.mem), PM_I64(p->bias.off), PM_I32(p->bias.type), PM_MEM(p->add.mem), PM_I64(p->add.off), PM_I64(p->add.ld),
		PM_MEM(p->h.mem), PM_I64(p->h.off), PM_I64(p->h.ld), PM_MEM(p->l.mem), PM_I64(p->l.off), PM_I64(p->l.ld), PM_I32(p->r),
		PM_F32(p->s), PM_F32(p->scale ? p->scale : 1), PM_MEM(p->runs), PM_I64(p->b_step), PM_I64(p->l_step));
}

/* ---- as stages ---- */

static int64_t address(struct pm_mat m)
{
	const size_t at = m.mem ? pm_mem_address(m.mem) : 0;

	return at ? (int64_t)(at + pm_dtype_bytes(m.type, (uint64_t)m.off)) : 0;
}

static int64_t woven_address(struct pm_mat m)
{
	const size_t at = pm_mem_address(m.woven);

	return at ? (int64_t)(at + pm_woven_bytes(m.type, m.off / m.ld, m.ld)) : 0;
}

static struct pm_range range(struct pm_mat m, int64_t rows, int64_t cols)
{
	return (struct pm_range){(size_t)address(m), m.mem ? (size_t)((rows - 1) * m.ld + cols) * 4 : 0};
}

/* The rows of A rounded to 8 bits for a format, or to bfloat16: *at is where they lie. */
static int rounded(struct pm_chain *c, const struct pm_thin *p, bool pairs, int slot, struct pm_range *at, struct pm_err *e)
{
	struct pm_stage s = {.op = pairs ? PM_STAGE_ROUND : PM_STAGE_QUANTISE, .tasks = p->m,
		.in = {range(p->a, p->m, p->k)}, .w = {0, address(p->a), p->a.ld, p->k, slot}};

	snprintf(s.name, sizeof s.name, "%s", pairs ? "thin_bf16_cpu.round" : "thin_int8_cpu.quantise");
	at->bytes = (size_t)(p->m * (pairs ? pm_ceil_div(p->k, PAIRS_STEP) * (PAIRS_STEP * 2) : pm_ceil_div(p->k, INT8_STEP) * INT8_PART));
	at->at = (size_t)pm_chain_same(c, &s);
	if (at->at)
		return 0;
	at->at = pm_chain_room(c, at->bytes, e);
	s.w[0] = (int64_t)at->at;
	s.out = *at;
	return at->at ? pm_chain_add(c, &s, e) : -1;
}

/* ROWS, which all products of a chain have in common: runs take what there is, the bits are the same. */
static bool define_rows(struct pm_chain *c, const struct pm_thin *p)
{
	return pm_chain_define_number(c, "ROWS", together(pm_ceil_div(p->m, p->runs ? p->slots : 1))) ||
		(p->runs && (pm_chain_define_number(c, "ROWS", 1) || pm_chain_define_number(c, "ROWS", 2) || pm_chain_define_number(c, "ROWS", 4) ||
			pm_chain_define_number(c, "ROWS", 8)));
}

int pm_thin_stages(struct pm_chain *c, const struct pm_thin *p, struct pm_err *e)
{
	struct pm_dev *d = pm_chain_dev(c);
	const bool int8 = in_int8(d, p), pairs = in_pairs(d, p), woven = is_woven(d, p);
	const int64_t b = woven ? woven_address(p->b) : address(p->b);
	const int64_t cols = columns(d, p, p->m > 2 && !p->runs ? ITEMS_A_UNIT : TASKS_A_UNIT), slots = p->runs ? p->slots : 1;
	const int64_t runs = p->runs ? (int64_t)pm_mem_address(p->runs) : 0;
	struct pm_range a = range(p->a, p->m, p->k);
	struct pm_stage s = {.op = int8 ? PM_STAGE_INT8 : pairs ? PM_STAGE_PAIRS : PM_STAGE_FLOAT, .tasks = pm_ceil_div(p->n, cols) * slots, .out = range(p->c, p->m, p->n),
		.flops = 2.0 * (double)p->m * (double)p->n * (double)p->k, .bytes = (double)slots * weight_bytes(d, p)};
	int slot = 0;

	/* With floats and many rows the launch of its own is faster: 142 tokens a second with 16 rows of a 443 M model in bf16, 111 in a chain. */
	if (!p->b_trans || (!int8 && !pairs && (!pm_dtype_plain(p->b.type) || (p->m > 2 && !p->runs))) || p->n > INT32_MAX / 2 || p->k > INT32_MAX / 2 || !b)
		return 0;
	if (!pairs)
		slot = pm_chain_slot(c, int8 ? "INT8" : "FLOAT", pm_dtype(p->b.type)->name);
	if (slot < 0 || (int8 && !define_rows(c, p)) || (pairs && !pm_chain_define_number(c, "ROUNDED", 1)))
		return 0;
	if ((int8 || pairs) && rounded(c, p, pairs, slot, &a, e) < 0)
		return -1;
	snprintf(s.name, sizeof s.name, "%s.thin %s (%lld, %lld)", int8 ? "thin_int8_cpu" : pairs ? "thin_bf16_cpu" : "thin_cpu", pm_dtype(p->b.type)->name, (long long)p->n, (long long)p->k);
	s.in[0] = a;
	s.in[1] = range(p->add, p->m, p->n);
	s.in[2] = range(p->h, p->m, p->r);
	s.in[3] = (struct pm_range){(size_t)runs, runs ? (size_t)slots * 12 : 0};
	memcpy(s.w, (int64_t[]){address(p->c), p->c.ld, (int64_t)a.at, p->a.ld, b, p->b.ld, p->m, p->n, p->k, cols, address(p->bias),
		p->bias.type, address(p->add), p->add.ld, address(p->h), p->h.ld, address(p->l), p->l.ld, p->r, pm_stage_real(p->s),
		pm_stage_real(p->scale != 0 ? p->scale : 1), slot, runs,
		(int64_t)(woven ? pm_woven_bytes(p->b.type, p->b_step / p->b.ld, p->b.ld) : pm_dtype_bytes(p->b.type, (uint64_t)p->b_step)), p->l_step, woven}, 26 * sizeof *s.w);
	return pm_chain_add(c, &s, e) < 0 ? -1 : 1;
}
