/* gemm.c: which kernels a product gets, and how it is cut into launches. kernels/gemm*.cl, thin*.cl */
#include "op/gemm.h"

#include <stdio.h>
#include <string.h>

/* A is packed and multiplied piece by piece: ROWS rows (more, where k is short) of at most DEPTH k, a multiple of every KC, so that a
 * piece (8 MB of float32) stays in the last cache while all columns of B pass. */
#define ROWS 512
#define DEPTH 4096
#define PACK_STEP 256
/* Most columns of H that the kernels take in: TAIL of gemm_walk.cl */
#define TAIL 64

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

bool pm_op_pairs(const struct pm_dev *d)
{
	const struct pm_dev_info *info = pm_dev_info(d);

	return info->cpu && !pm_dev_reference(d) && info->bf16 && pm_tune(d, "linear", "bf16", strstr(info->vendor, "AMD") != NULL);
}

static struct kind choose(const struct pm_dev *d, const struct pm_gemm *p)
{
	const struct pm_dev_info *info = pm_dev_info(d);
	struct kind k;

	if (!info->cpu || pm_dev_reference(d))
		return (struct kind){0};
	if (p->bf16 && info->amx && pm_tune(d, "linear", "amx", 1))
		return (struct kind){"gemm_bf16", "gemm_bf16_pack", " -DAMX", 16, 2, 32, 32, 1024, 2, 0};
	k = (struct kind){"gemm_cpu", "gemm_pack", "", 8, 3, 4, 1, 256, 4, 0};
	if (info->avx512)
		k.vl = 16, k.mr = 8;
	if (p->bf16 && pm_op_pairs(d))
		k = (struct kind){"gemm_bf16", "gemm_bf16_pack", "", 16, 3, 8, 2, 1024, 2, 0};
	else if (p->bf16 && p->b_trans && !p->a_trans && period_of(p) == p->k && pm_op_rounds(d))
		k = (struct kind){"gemm_int16", "gemm_pack", " -DINT14", k.vl, k.vl == 16 ? 3 : 2, k.mr, 32, 512, 2, 32};
	/* narrower tiles are slower, but waste less at the edge */
	if (p->n <= k.vl)
		k.nv = 1;
	else if (11 * pm_ceil_div(p->n, 2 * k.vl) * 2 < 10 * pm_ceil_div(p->n, 3 * k.vl) * 3)
		k.nv = 2;
	return k;
}

/* Whether B is taken woven (weave.c): floats where pairs of bfloat16 are multiplied. */
static bool is_woven(const struct pm_gemm *p, const struct kind *k)
{
	return p->b_trans && pm_is_woven(p->b) && (!pm_dtype_plain(p->b.type) || k->value == 2);
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

/* A product of two matrices that go over the same rows, one of them of few columns, needs no packing: gemm_outer.cl. */
#define THIN 32

static bool is_outer(const struct pm_dev *d, const struct pm_gemm *p)
{
	return pm_dev_info(d)->cpu && !pm_dev_reference(d) && p->a_trans && !p->b_trans && p->b.type == PM_F32 && (p->m <= THIN || p->n <= THIN) &&
		!p->live.mem && !p->finish && pm_tune(d, "linear", "outer", 1);
}

/* Whether H·L is done by the kernel that does A·B. */
static bool takes_tail(const struct pm_gemm *p, const struct kind *k)
{
	return k->operation && p->r > 0 && p->r <= TAIL && period_of(p) == p->k;
}

/* What is left of p without H·L, and H·L. */
static struct pm_gemm without_tail(const struct pm_gemm *p)
{
	struct pm_gemm q = *p;

	q.r = 0;
	q.finish = false;
	return q;
}

static struct pm_gemm only_tail(const struct pm_gemm *p)
{
	struct pm_gemm q = *p;

	q.k = p->r;
	q.a = p->h;
	q.b = p->l;
	q.a_trans = false;
	q.b_trans = p->l_trans;
	q.acc = true;
	q.alpha = p->s;
	q.period = q.r = 0;
	q.first = NULL;
	return q;
}

/* Whether packed A is the same for both. */
static bool same_packing(const struct kind *k, const struct kind *j)
{
	return k->operation && j->operation && !strcmp(k->operation, j->operation) && k->mr == j->mr && k->vl == j->vl;
}

bool pm_gemm_narrows(const struct pm_dev *d, const struct pm_gemm *p)
{
	const struct kind k = choose(d, p);

	return k.operation && p->k <= k.kc && period_of(p) == p->k && !p->acc && (!p->r || takes_tail(p, &k));
}

/* Bytes, aligned, of so many values that are packed. */
static size_t packed_bytes(const struct pm_dev *d, const struct kind *k, int64_t values)
{
	const size_t align = pm_dev_info(d)->align > 64 ? pm_dev_info(d)->align : 64;
	const size_t bytes = (size_t)(values * k->value + (k->group ? values / k->group * 4 : 0));

	return (bytes + align - 1) / align * align;
}

static size_t packed_a(const struct pm_dev *d, const struct pm_gemm *p, const struct kind *k)
{
	int64_t k0, most = 0, row, shorter, j;
	struct piece c = piece_at(p, 0, 0);

	for (k0 = 0; k0 < p->k; k0 += c.k) {
		c = piece_at(p, 0, k0);
		row = packed_row(&c, k);
		most = row > most ? row : most;
	}
	most *= pm_ceil_div(c.rows, 32) * 32;
	/* where k is shorter a piece has more rows: at most j times ROWS up to that depth */
	for (j = 1; ROWS * (j - 1) < p->m && DEPTH / j > 0; j++) {
		shorter = DEPTH / j < p->k ? DEPTH / j : p->k;
		shorter = pm_ceil_div(shorter, k->kg) * k->kg * pm_ceil_div(ROWS * j < p->m ? ROWS * j : p->m, 32) * 32;
		most = shorter > most ? shorter : most;
	}
	return packed_bytes(d, k, most);
}

/* Packed H of a piece, which has at most DEPTH times ROWS rows. */
static size_t packed_h(const struct pm_dev *d, const struct pm_gemm *p, const struct kind *k)
{
	const int64_t most = (int64_t)ROWS * DEPTH, rows = p->m < most ? p->m : most;

	return takes_tail(p, k) ? packed_bytes(d, k, pm_ceil_div(rows, 32) * 32 * pm_ceil_div(p->r, k->kg) * k->kg) : 0;
}

static size_t larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

size_t pm_gemm_scratch(const struct pm_dev *d, const struct pm_gemm *p)
{
	struct kind k = choose(d, p);
	struct pm_gemm q;
	size_t room;

	if (!k.operation || p->m <= 0 || p->n <= 0 || is_outer(d, p))
		return 0;
	room = packed_h(d, p, &k) + packed_a(d, p, &k);
	if (p->r && !takes_tail(p, &k)) {
		q = only_tail(p);
		room = larger(room, pm_gemm_scratch(d, &q));
	}
	return p->first ? larger(room, pm_gemm_scratch(d, p->first)) : room;
}

static const struct pm_kernel *kernel(struct pm_dev *d, const struct pm_gemm *p, const struct kind *k, struct pm_err *e)
{
	char defines[200];

	if (!k->operation)
		snprintf(defines, sizeof defines, "-DTYPE_B=%s", pm_dtype(p->b.type)->name);
	else
		snprintf(defines, sizeof defines, "-DTYPE_B=%s -DVL=%d -DNV=%d -DMR=%d -DKG=%d -DKC=%d%s%s%s%s", pm_dtype(p->b.type)->name,
			k->vl, k->nv, k->mr, k->kg, k->kc, p->b_trans ? " -DB_TRANS" : "", is_woven(p, k) ? " -DWOVEN" : "",
			p->c.type == PM_BF16 ? " -DTYPE_C=bf16" : "", k->define);
	return pm_kernel(d, k->operation ? k->operation : "gemm", "gemm", defines, e);
}

static const struct pm_kernel *pack_kernel(struct pm_dev *d, const struct kind *k, struct pm_err *e)
{
	char defines[200];

	snprintf(defines, sizeof defines, "-DVL=%d -DNV=1 -DMR=%d -DKG=%d -DKC=%d%s", k->vl, k->mr, k->kg, k->kc, k->define);
	return pm_kernel(d, k->pack, "gemm_pack", defines, e);
}

static int run_outer(struct pm_dev *d, const struct pm_gemm *p, struct pm_err *e)
{
	const struct pm_kernel *k = pm_kernel(d, "gemm_outer", "gemm_outer", NULL, e);
	const bool turned = p->n < p->m;        /* B is the thin one */
	const struct pm_mat h = turned ? p->b : p->a, x = turned ? p->a : p->b;
	const int64_t r = turned ? p->n : p->m, n = turned ? p->m : p->n;
	struct pm_launch l = {{(size_t)pm_ceil_div(n, 64)}, {1}, 2.0 * (double)r * (double)n * (double)p->k,
		4.0 * (double)p->k * (double)(n + r) + 4.0 * (double)(n * r), PM_RATE_F32};

	return k ? PM_LAUNCH(k, l, e, PM_MEM(p->c.mem), PM_I64(p->c.off), PM_I64(p->c.ld), PM_MEM(h.mem), PM_I64(h.off), PM_I64(h.ld),
		PM_MEM(x.mem), PM_I64(x.off), PM_I64(x.ld), PM_I32(r), PM_I32(n), PM_I32(p->k), PM_I32(period_of(p)),
		PM_F32(p->alpha ? p->alpha : 1), PM_I32(turned), PM_I32(p->acc)) : -1;
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
 * compute units have several work-items, and more of them where there are more rows. */
static int64_t panels_an_item(const struct pm_dev *d, const struct pm_gemm *p, const struct kind *k, int64_t rows)
{
	int64_t columns = pm_ceil_div(p->n, k->nv * k->vl), wanted = 4 * (int64_t)pm_dev_info(d)->units, panels = pm_ceil_div(rows, k->mr);
	int64_t each = pm_ceil_div(panels * columns, wanted), least = pm_ceil_div(64, k->mr), most = panels * columns / (4 * wanted);

	if (most < ROWS / k->mr)
		most = ROWS / k->mr;
	if (each < least)
		each = least;
	return each < most ? each : most;
}

/* Packs `rows` rows and c->k columns of A, its element (0, 0) at off. */
static int pack(struct pm_dev *d, const struct kind *k, const struct piece *c, struct pm_mat a, int64_t off, float alpha, bool trans, struct pm_mat live,
	struct pm_mem *scratch, size_t at, struct pm_err *e)
{
	const struct pm_kernel *f = pack_kernel(d, k, e);
	/* AMX packs panels of 32 rows, 16 by each work-item */
	struct pm_launch l = {{(size_t)(k->mr == 32 ? pm_ceil_div(c->rows, 32) * 2 : pm_ceil_div(c->rows, k->vl)),
		(size_t)(pm_ceil_div(c->k, c->period) * pm_ceil_div(c->period, PACK_STEP))}, {1, 1}, 0,
		(double)(c->rows * c->k) * (4 + k->value), PM_RATE_F32};

	return f ? PM_LAUNCH(f, l, e, PM_MEM(scratch), PM_I64(at / 4), PM_MEM(a.mem), PM_I64(off), PM_I64(a.ld), PM_I32(c->rows),
		PM_I32(c->k), PM_I32(c->period), PM_F32(alpha ? alpha : 1), PM_I32(trans), PM_I32(PACK_STEP), PM_MEM(live.mem),
		PM_I64(live.off + c->m0 / 16)) : -1;
}

/* The product of a piece of packed A at `at`, and of packed H in front of it. */
static int run_piece(struct pm_dev *d, const struct pm_gemm *p, const struct kind *k, const struct piece *c, struct pm_mem *scratch,
	size_t h_at, size_t at, struct pm_err *e)
{
	const struct pm_kernel *f = kernel(d, p, k, e);
	const int64_t panels = panels_an_item(d, p, k, c->rows);
	const int64_t b_off = p->b.off + c->k0 * (p->b_trans ? 1 : p->b.ld), c_off = p->c.off + c->m0 * p->c.ld;
	const bool last = c->k0 + c->k == p->k, tail = last && takes_tail(p, k);
	const struct piece h = {.m0 = c->m0, .rows = c->rows, .k = p->r, .period = p->r};
	struct pm_launch l = {{(size_t)pm_ceil_div(p->n, k->nv * k->vl), (size_t)pm_ceil_div(pm_ceil_div(c->rows, k->mr), panels)}, {1, 1},
		operations(p, c) + (tail ? operations(p, &h) : 0), bytes_moved(p, c), k->value == 2 ? PM_RATE_BF16 : PM_RATE_F32};

	if (!f || (tail && pack(d, k, &h, p->h, p->h.off + c->m0 * p->h.ld, p->s, false, p->live, scratch, h_at, e) < 0))
		return -1;
	return PM_LAUNCH(f, l, e, PM_MEM(p->c.mem), PM_I64(c_off), PM_I64(p->c.ld), PM_MEM(scratch), PM_I64(at / 4), PM_I64(h_at / 4),
		PM_MEM(is_woven(p, k) ? p->b.woven : p->b.mem), PM_I64(b_off), PM_I64(p->b.ld), PM_I32(c->rows), PM_I32(p->n), PM_I32(c->k), PM_I32(c->period),
		PM_I32(panels), PM_I32(p->acc || c->k0 > 0), PM_MEM(tail ? p->l.mem : NULL), PM_I64(p->l.off), PM_I64(p->l.ld), PM_I32(p->l_trans),
		PM_I32(tail ? p->r : 0), PM_MEM(p->live.mem), PM_I64(p->live.off + c->m0 / 16), PM_I32(p->finish && last),
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

/* Piece by piece: A is packed, then come the products of p->first, where it is done here, and of p. */
static int run_pieces(struct pm_dev *d, const struct pm_gemm *p, const struct kind *k, struct pm_mem *scratch, size_t at, struct pm_err *e)
{
	const struct kind j = p->first ? choose(d, p->first) : (struct kind){0};
	const size_t a_at = at + packed_h(d, p, k);
	struct piece c = {0};
	int64_t m0, k0, a_off;

	for (m0 = 0; m0 < p->m; m0 += c.rows)
		for (k0 = 0; k0 < p->k; k0 += c.k) {
			c = piece_at(p, m0, k0);
			a_off = p->a.off + (p->a_trans ? k0 * p->a.ld + m0 : m0 * p->a.ld + k0);
			if (pack(d, k, &c, p->a, a_off, p->alpha, p->a_trans, p->live, scratch, a_at, e) < 0)
				return -1;
			if (p->first && run_piece(d, p->first, &j, &c, scratch, 0, a_at, e) < 0)
				return -1;
			if (run_piece(d, p, k, &c, scratch, at, a_at, e) < 0)
				return -1;
		}
	return 0;
}

int pm_gemm(struct pm_dev *d, const struct pm_gemm *p, struct pm_mem *scratch, size_t at, struct pm_err *e)
{
	const struct kind k = choose(d, p);
	struct pm_gemm q;
	struct kind j;

	if (p->m <= 0 || p->n <= 0 || p->k <= 0)
		return 0;
	if (p->m > INT32_MAX / 2 || p->n > INT32_MAX / 2 || p->k > INT32_MAX / 2)
		return pm_fail(e, PM_SOFTWARE, "a product of (%lld, %lld) and (%lld, %lld) is too large", (long long)p->m, (long long)p->k,
			(long long)p->k, (long long)p->n);
	if (p->first) {
		j = choose(d, p->first);
		if (!same_packing(&k, &j)) {
			q = *p;
			q.first = NULL;
			return pm_gemm(d, p->first, scratch, at, e) < 0 ? -1 : pm_gemm(d, &q, scratch, at, e);
		}
	}
	if (p->r && !takes_tail(p, &k)) {
		q = without_tail(p);
		if (pm_gemm(d, &q, scratch, at, e) < 0)
			return -1;
		q = only_tail(p);
		return pm_gemm(d, &q, scratch, at, e);
	}
	if (!k.operation)
		return run_portable(d, p, &k, e);
	return is_outer(d, p) ? run_outer(d, p, e) : run_pieces(d, p, &k, scratch, at, e);
}
