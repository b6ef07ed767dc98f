/* attention.c: softmax(scale · q·kᵀ)·v without ever storing the scores (Dao et al., "FlashAttention", 2022; Milakov and Gimelshein, "Online
 * normalizer calculation for softmax", 2018). kernels/attention*.cl, tests/op/attention.c
 *
 * A query goes through the keys that it sees, with m the largest score so far, l the sum of exp(s − m) and y that of exp(s − m)·v;
 * where m grows, l and y shrink. At the end y/l, and lse = m + log l. A sink is a score before the first key, without a v.
 *
 * Backward, after delta = rowsum(dy · y): p = exp(s − lse) again from q and k; dv = pᵀ·dy; ds = p · (dy·vᵀ − delta), times
 * 1 − (s/cap)² with a soft cap; dq = scale · ds·k; dk = scale · dsᵀ·q; of a sink −Σ exp(sink − lse)·delta. In general
 * one launch has the queries to itself (dq), one the keys (dk, dv): each computes the scores, and nobody adds to what another writes.
 *
 * Decoding has few queries: there the keys are cut in chunks at fixed places, and the results of the chunks are joined in order. */
#include "op/op.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "op/elem.h"
#include "op/rowsum.h"
#include "op/stage.h"

#define PART 256                /* keys of a chunk in decoding */

struct attr {
	int64_t heads, kv_heads, head_dim, v_dim, group;
	int64_t q_period, kv_period;
	float scale, softcap;
	bool decode;
};

/* What nodes have in in[] and out[]. */
enum { Q, K, V, SPAN, SINKS, KSPAN, FORWARD_IN };
enum { Y, LSE, FORWARD_OUT };
enum { B_DY = FORWARD_IN, B_Y, B_LSE, BACKWARD_IN };
enum { DQ, DK, DV, DSINKS, BACKWARD_OUT };

/* Whether products are of bfloat16 by tiles of AMX: where the graph allows that, and the device has them. */
static bool in_tiles(const struct pm_node *n)
{
	return n->g->bf16 && pm_dev_info(n->g->dev)->amx && pm_tune(n->g->dev, "attention", "amx", 1);
}

/* Whether they are of bfloat16, by tiles or by pairs, where the device has an instruction that is faster so (gemm.c). */
static bool pairs(const struct pm_node *n)
{
	const struct pm_dev_info *info = pm_dev_info(n->g->dev);

	return in_tiles(n) || (n->g->bf16 && info->bf16 && pm_tune(n->g->dev, "attention", "bf16", strstr(info->vendor, "AMD") != NULL));
}

/* TILE and UP of kernels/attention_tile.cl. */
static int64_t tile(const struct pm_node *n)
{
	return in_tiles(n) ? 64 : 48;
}

static int64_t up(const struct pm_node *n, int64_t cols)
{
	const int64_t each = in_tiles(n) ? 32 : 8;

	return (cols + each - 1) / each * each;
}

static const struct pm_kernel *kernel(const struct pm_node *n, const char *file, const char *name, bool cpu, struct pm_err *e)
{
	const struct attr *a = n->attr;
	char defines[200], k[32], v[32], s[32], more[48] = "", variant[48];

	pm_define_type(k, sizeof k, "K", n->in[K]);
	pm_define_type(v, sizeof v, "V", n->in[V]);
	pm_define_type(s, sizeof s, "S", n->in[SINKS] && n->in[SINKS]->type != PM_F32 ? n->in[SINKS] : NULL);
	if (a->decode)
		snprintf(more, sizeof more, " -DGROUP=%d -DPART=%d", (int)a->group, PART);
	else if (cpu && pairs(n))
		snprintf(more, sizeof more, " -DPAIRS%s", in_tiles(n) ? " -DAMX" : "");
	snprintf(defines, sizeof defines, "%s%s%s-DD=%d -DDV=%d -DSOFTCAP=%d%s", k, v, s, (int)a->head_dim, (int)a->v_dim, a->softcap > 0, more);
	snprintf(variant, sizeof variant, "%s_cpu", name);
	return pm_kernel(n->g->dev, cpu ? file : "attention", cpu ? variant : name, defines, e);
}

/* Tiles of lanes in each period of so many rows. */
static int64_t tiles(const struct pm_node *n, int64_t period)
{
	return (period + tile(n) - 1) / tile(n);
}

/* A launch over `rows` queries or keys and the heads, `products` times q·kᵀ; operations are counted as if half of the keys
 * of a period were seen; of a cache, as if its queries were one prompt at its beginning: what else they see only the device knows. */
static struct pm_launch launch(const struct pm_node *n, bool cpu, int64_t rows, int64_t period, int64_t heads, double products)
{
	const struct attr *a = n->attr;
	const struct pm_tensor *keys = n->in[K]->base ? n->in[K]->base : n->in[K];
	const bool cached = keys->kind == PM_T_STATE;
	struct pm_launch l = pm_elem_launch(heads, rows);

	if (cpu)
		l = (struct pm_launch){.global = {(size_t)((rows + period - 1) / period * tiles(n, period)), (size_t)heads}, .local = {1, 1}};
	l.flops = products * (double)(n->in[Q]->rows * a->heads * (cached ? a->q_period : a->kv_period) * (a->head_dim + a->v_dim)) / 2;
	l.bytes = 4 * (double)(n->in[Q]->rows * a->heads * (a->head_dim + a->v_dim));
	l.unit = cpu && pairs(n) ? PM_RATE_BF16 : PM_RATE_F32;
	return l;
}

/* ---- tiles that are rounded once ---- */

/* Where products are by pairs, rows that many tiles of lanes meet are made pairs once for all of them; not those of a cache, of which only the device
 * knows how much is seen. */
static bool packs(const struct pm_node *n)
{
	const struct attr *a = n->attr;
	struct pm_tensor *const *in = n->in;

	return pm_elem_cpu(n->g->dev) && pairs(n) && in[K]->type == PM_F32 && in[V]->type == PM_F32 && in[K]->rows == in[Q]->rows && a->kv_period == a->q_period;
}

/* Tiles of all rows. */
static int64_t all_tiles(const struct pm_node *n)
{
	const struct attr *a = n->attr;

	return (n->in[Q]->rows + a->q_period - 1) / a->q_period * tiles(n, a->q_period);
}

/* Words of a packed matrix of such heads. */
static int64_t packed(const struct pm_node *n, int64_t heads, int64_t cols)
{
	return all_tiles(n) * heads * (tile(n) / 2) * up(n, cols);
}

/* x across, or along, to the scratch memory at *at, which moves behind it. */
static int pack(const struct pm_node *n, const struct pm_tensor *x, int64_t heads, int64_t cols, bool along, int64_t *at, struct pm_err *e)
{
	const struct attr *a = n->attr;
	const struct pm_kernel *k = kernel(n, "attention_cpu", "attention_pack", true, e);
	const struct pm_launch l = {.global = {(size_t)all_tiles(n), (size_t)heads}, .local = {1, 1}, .bytes = 6 * (double)(x->rows * heads * cols)};
	const int64_t from = *at;

	*at += packed(n, heads, cols);
	return k ? PM_LAUNCH(k, l, e, PM_MEM(n->scratch), PM_I64(from), PM_AT(x), PM_I32(x->rows), PM_I32(a->q_period), PM_I32(tiles(n, a->q_period)),
		PM_I32(cols), PM_I32(along)) : -1;
}

/* What the last block of rows reads beyond them, in floats: its sums are not used. */
static int64_t spare(const struct attr *a)
{
	return 8 * (a->head_dim > a->v_dim ? a->head_dim : a->v_dim);
}

static size_t forward_scratch(const struct pm_node *n)
{
	const struct attr *a = n->attr;

	return packs(n) ? sizeof (float) * (size_t)(packed(n, a->kv_heads, a->head_dim) + packed(n, a->kv_heads, a->v_dim) + spare(a)) : 0;
}

static int forward(const struct pm_node *n, struct pm_err *e)
{
	const struct attr *a = n->attr;
	const bool cpu = pm_elem_cpu(n->g->dev);
	struct pm_tensor *const *in = n->in;
	const struct pm_kernel *k = kernel(n, "attention_cpu", "attention_fwd", cpu, e);
	const struct pm_launch l = launch(n, cpu, in[Q]->rows, a->q_period, a->heads, 2);
	int64_t at = 0;

	if (!k || (packs(n) && (pack(n, in[K], a->kv_heads, a->head_dim, false, &at, e) < 0 || pack(n, in[V], a->kv_heads, a->v_dim, true, &at, e) < 0)))
		return -1;
	if (cpu)
		return PM_LAUNCH(k, l, e, PM_AT(n->out[Y]), PM_AT(n->out[LSE]), PM_AT(in[Q]), PM_AT(in[K]), PM_AT(in[V]), PM_AT1(in[SPAN]),
			PM_AT1(in[SINKS]), PM_MEM(packs(n) ? n->scratch : NULL), PM_I32(all_tiles(n)), PM_I32(in[Q]->rows), PM_I32(a->group),
			PM_I32(tiles(n, a->q_period)), PM_I32(a->q_period), PM_I32(a->kv_period), PM_F32(a->scale), PM_F32(a->softcap));
	return PM_LAUNCH(k, l, e, PM_AT(n->out[Y]), PM_AT(n->out[LSE]), PM_AT(in[Q]), PM_AT(in[K]), PM_AT(in[V]), PM_AT1(in[SPAN]),
		PM_AT1(in[SINKS]), PM_I32(in[Q]->rows), PM_I32(a->group), PM_F32(a->scale), PM_F32(a->softcap));
}

/* ---- decoding ---- */

static int64_t chunks(const struct attr *a)
{
	return (a->kv_period + PART - 1) / PART;
}

/* Scratch: for every row, head and chunk the largest score, the sum, and the sums of v. */
static size_t decode_scratch(const struct pm_node *n)
{
	const struct attr *a = n->attr;

	return sizeof (float) * (size_t)(n->in[Q]->rows * a->heads * chunks(a) * (a->v_dim + 2));
}

static int decode(const struct pm_node *n, struct pm_err *e)
{
	const struct attr *a = n->attr;
	const bool cpu = pm_elem_cpu(n->g->dev);
	struct pm_tensor *const *in = n->in;
	const int64_t rows = in[Q]->rows, items = rows * a->kv_heads, wanted = 4 * (int64_t)pm_dev_info(n->g->dev)->units;
	const int64_t each = (wanted + items - 1) / items;      /* workers a row and kv head: any number gives the same bits */
	const struct pm_kernel *part = kernel(n, "attention_decode_cpu", "attention_part", cpu, e), *join = kernel(n, "attention_decode_cpu", "attention_join", false, e);
	/* What the profile would count depends on the spans, which are the device's. */
	const struct pm_launch l = {.global = {(size_t)(each < chunks(a) ? each : chunks(a)), (size_t)a->kv_heads, (size_t)rows}, .local = {1, 1, 1}};

	if (!part || !join || PM_LAUNCH(part, l, e, PM_MEM(n->scratch), PM_AT(in[Q]), PM_AT(in[K]), PM_AT(in[V]), PM_AT1(in[SPAN]), PM_I32(a->group),
	    PM_I32(a->kv_period), PM_I32(chunks(a)), PM_F32(a->scale), PM_F32(a->softcap)) < 0)
		return -1;
	return PM_LAUNCH(join, ((struct pm_launch){.global = {(size_t)rows, (size_t)a->heads}, .local = {1, 1}}), e, PM_AT(n->out[Y]), PM_MEM(n->scratch),
		PM_AT1(in[SPAN]), PM_AT1(in[SINKS]), PM_I32(a->kv_period), PM_I32(chunks(a)));
}

static bool stage_defines(const struct pm_node *n, struct pm_chain *c)
{
	const struct attr *a = n->attr;
	struct pm_tensor *const *in = n->in;

	return (!in[SINKS] || in[SINKS]->type == PM_F32) && pm_chain_define(c, "TYPE_K", pm_dtype(in[K]->type)->name) &&
		pm_chain_define(c, "TYPE_V", pm_dtype(in[V]->type)->name) && pm_chain_define_number(c, "D", a->head_dim) &&
		pm_chain_define_number(c, "DV", a->v_dim) && pm_chain_define_number(c, "SOFTCAP", a->softcap > 0) &&
		pm_chain_define_number(c, "GROUP", a->group) && pm_chain_define_number(c, "PART", PART);
}

static int decode_stages(const struct pm_node *n, struct pm_chain *c, struct pm_err *e)
{
	const struct attr *a = n->attr;
	struct pm_tensor *const *in = n->in, *y = n->out[0];
	const int64_t items = in[Q]->rows * a->kv_heads, wanted = 4 * (int64_t)pm_dev_info(n->g->dev)->units, each = (wanted + items - 1) / items;
	const int64_t workers = each < chunks(a) ? each : chunks(a), parts = n->scratch ? (int64_t)pm_mem_address(n->scratch) : 0;
	const struct pm_range scratch = {(size_t)parts, decode_scratch(n)};
	const struct pm_stage part = {.op = PM_STAGE_PART, .name = "attention_part_cpu", .tasks = items * workers, .in = {pm_range(in[Q]), pm_range(in[K]), pm_range(in[V])},
		.out = scratch, .w = {parts, (int64_t)pm_address(in[Q]), in[Q]->ld, (int64_t)pm_address(in[K]), in[K]->ld, (int64_t)pm_address(in[V]),
		in[V]->ld, (int64_t)pm_address(in[SPAN]), a->kv_period, chunks(a), workers, a->kv_heads, pm_stage_real(a->scale), pm_stage_real(a->softcap)}};
	const struct pm_stage join = {.op = PM_STAGE_JOIN, .name = "attention_join", .tasks = items, .in = {scratch}, .out = pm_range(y), .w = {(int64_t)pm_address(y),
		y->ld, parts, (int64_t)pm_address(in[SPAN]), (int64_t)pm_address(in[SINKS]), a->kv_period, chunks(a), a->heads}};

	if (!parts || !stage_defines(n, c))
		return 0;
	return pm_chain_add(c, &part, e) < 0 || pm_chain_add(c, &join, e) < 0 ? -1 : 1;
}

/* ---- backward ---- */

static int64_t sequences(int64_t rows, int64_t period)
{
	return (rows + period - 1) / period;
}

/* Whether one launch does all the gradients, with an item a sequence and kv head: five products instead of seven, with the
 * same bits; unless that leaves cores idle. */
static bool whole(const struct pm_node *n)
{
	const struct attr *a = n->attr;
	const int64_t s = sequences(n->in[Q]->rows, a->q_period), items = s * a->kv_heads, units = pm_dev_info(n->g->dev)->units;

	return pm_elem_cpu(n->g->dev) && n->out[DQ] && (n->out[DK] || n->out[DV]) && s == sequences(n->in[K]->rows, a->kv_period) &&
		4 * items >= 3 * units * ((items + units - 1) / units);
}

/* Scratch: delta (rows, heads), the chunks' sums for the sinks, dq while it is summed, in tiles, and packed matrices. In floats, where each begins. */
struct room {
	int64_t sinks, panels, packed, all;
};

static struct room room(const struct pm_node *n)
{
	const struct attr *a = n->attr;
	const struct pm_rowsum_cut cut = pm_rowsum_cut(n->g, n->in[Q]->rows);
	struct room r;

	r.sinks = n->in[Q]->rows * a->heads;
	r.panels = r.sinks + (n->out[DSINKS] ? cut.periods * cut.chunks * a->heads : 0);
	r.packed = r.panels + (whole(n) ? sequences(n->in[Q]->rows, a->q_period) * a->heads * tiles(n, a->q_period) * tile(n) * up(n, a->head_dim) : 0);
	r.all = r.packed;
	if (!packs(n))
		return r;
	/* of the queries, or of the keys, one after the other */
	r.all += 2 * packed(n, a->heads, a->head_dim) + 2 * packed(n, a->heads, a->v_dim) + spare(a);
	return r;
}

static size_t backward_scratch(const struct pm_node *n)
{
	return sizeof (float) * (size_t)room(n).all;
}

static int backward_q(const struct pm_node *n, bool cpu, struct pm_err *e)
{
	const struct attr *a = n->attr;
	struct pm_tensor *const *in = n->in;
	const int64_t rows = in[Q]->rows;
	const struct pm_kernel *k = kernel(n, "attention_bwd_cpu", "attention_bwd_q", cpu, e);
	const struct pm_launch l = launch(n, cpu, rows, a->q_period, a->heads, 3);
	int64_t at = room(n).packed;

	if (!k || (packs(n) && (pack(n, in[K], a->kv_heads, a->head_dim, false, &at, e) < 0 || pack(n, in[K], a->kv_heads, a->head_dim, true, &at, e) < 0 ||
	    pack(n, in[V], a->kv_heads, a->v_dim, false, &at, e) < 0)))
		return -1;
	if (cpu)
		return PM_LAUNCH(k, l, e, PM_AT(n->out[DQ]), PM_AT(in[B_DY]), PM_AT(in[B_LSE]), PM_MEM(n->scratch), PM_AT(in[Q]), PM_AT(in[K]), PM_AT(in[V]),
			PM_AT1(in[SPAN]), PM_MEM(packs(n) ? n->scratch : NULL), PM_I64(room(n).packed), PM_I32(all_tiles(n)), PM_I32(rows), PM_I32(a->heads),
			PM_I32(a->group), PM_I32(tiles(n, a->q_period)), PM_I32(a->q_period),
			PM_I32(a->kv_period), PM_F32(a->scale), PM_F32(a->softcap), PM_I32(n->acc[DQ]));
	return PM_LAUNCH(k, l, e, PM_AT(n->out[DQ]), PM_AT(in[B_DY]), PM_AT(in[B_LSE]), PM_MEM(n->scratch), PM_AT(in[Q]), PM_AT(in[K]), PM_AT(in[V]),
		PM_AT1(in[SPAN]), PM_I32(rows), PM_I32(a->heads), PM_I32(a->group), PM_F32(a->scale), PM_F32(a->softcap), PM_I32(n->acc[DQ]));
}

static int backward_kv(const struct pm_node *n, bool cpu, struct pm_err *e)
{
	const struct attr *a = n->attr;
	struct pm_tensor *const *in = n->in;
	const int64_t rows = in[Q]->rows, keys = in[K]->rows;
	const bool all = whole(n);
	const struct pm_kernel *k = kernel(n, "attention_bwd_cpu", "attention_bwd_kv", cpu, e);
	struct pm_launch l = launch(n, cpu, keys, a->kv_period, a->kv_heads, all ? 5 : 4);
	int64_t at = room(n).packed;

	if (!k || (packs(n) && (pack(n, in[Q], a->heads, a->head_dim, false, &at, e) < 0 || pack(n, in[Q], a->heads, a->head_dim, true, &at, e) < 0 ||
	    pack(n, in[B_DY], a->heads, a->v_dim, false, &at, e) < 0 || pack(n, in[B_DY], a->heads, a->v_dim, true, &at, e) < 0)))
		return -1;
	if (all)
		l.global[0] = (size_t)sequences(keys, a->kv_period);
	if (cpu)
		return PM_LAUNCH(k, l, e, PM_AT(n->out[DK]), PM_AT(n->out[DV]), PM_AT(n->out[DQ]), PM_MEM(n->scratch), PM_I64(room(n).panels), PM_AT(in[B_DY]),
			PM_AT(in[B_LSE]), PM_MEM(n->scratch), PM_AT(in[Q]), PM_AT(in[K]), PM_AT(in[V]), PM_AT1(in[SPAN]), PM_AT1(in[KSPAN]),
			PM_MEM(packs(n) ? n->scratch : NULL), PM_I64(room(n).packed), PM_I32(all_tiles(n)), PM_I32(rows), PM_I32(keys), PM_I32(a->group), PM_I32(tiles(n, a->kv_period)), PM_I32(tiles(n, a->q_period)), PM_I32(a->q_period), PM_I32(a->kv_period), PM_F32(a->scale),
			PM_F32(a->softcap), PM_I32(n->acc[DK]), PM_I32(n->acc[DV]), PM_I32(n->acc[DQ]), PM_I32(all));
	return PM_LAUNCH(k, l, e, PM_AT(n->out[DK]), PM_AT(n->out[DV]), PM_AT(in[B_DY]), PM_AT(in[B_LSE]), PM_MEM(n->scratch), PM_AT(in[Q]), PM_AT(in[K]),
		PM_AT(in[V]), PM_AT1(in[SPAN]), PM_AT1(in[KSPAN]), PM_I32(keys), PM_I32(a->heads), PM_I32(a->group), PM_F32(a->scale), PM_F32(a->softcap),
		PM_I32(n->acc[DK]), PM_I32(n->acc[DV]));
}

static int backward_sinks(const struct pm_node *n, struct pm_err *e)
{
	const struct attr *a = n->attr;
	struct pm_tensor *const *in = n->in;
	const int64_t rows = in[Q]->rows;
	const struct pm_rowsum_cut cut = pm_rowsum_cut(n->g, rows);
	const struct pm_kernel *k = kernel(n, "attention_bwd_cpu", "attention_bwd_sinks", false, e);

	if (!k || PM_LAUNCH(k, ((struct pm_launch){.global = {(size_t)a->heads, (size_t)(cut.periods * cut.chunks)}, .local = {1, 1}}), e, PM_MEM(n->scratch),
	    PM_I64(room(n).sinks), PM_AT1(in[SINKS]), PM_AT(in[B_LSE]), PM_MEM(n->scratch), PM_I32(rows), PM_I32(cut.period), PM_I32(cut.chunks)) < 0)
		return -1;
	return pm_rowsum_add(n->out[DSINKS], n->acc[DSINKS], n->scratch, room(n).sinks, cut, e);
}

static int backward(const struct pm_node *n, struct pm_err *e)
{
	const struct attr *a = n->attr;
	struct pm_tensor *const *in = n->in;
	const bool cpu = pm_elem_cpu(n->g->dev);
	const struct pm_kernel *k = kernel(n, "attention_bwd_cpu", "attention_delta", cpu, e);
	struct pm_launch l = pm_elem_launch(a->heads, in[Q]->rows);

	if (cpu)
		l = (struct pm_launch){.global = {(size_t)tiles(n, in[Q]->rows), (size_t)a->heads}, .local = {1, 1}};
	l.bytes = 8 * (double)(in[Q]->rows * a->heads * a->v_dim);
	if (!k || PM_LAUNCH(k, l, e, PM_MEM(n->scratch), PM_AT(in[B_DY]), PM_AT(in[B_Y]), PM_I32(in[Q]->rows)) < 0)
		return -1;
	if (n->out[DQ] && !whole(n) && backward_q(n, cpu, e) < 0)
		return -1;
	if ((n->out[DK] || n->out[DV]) && backward_kv(n, cpu, e) < 0)
		return -1;
	return n->out[DSINKS] ? backward_sinks(n, e) : 0;
}

static const struct pm_op op_backward = {"attention_bwd", backward_scratch, backward, NULL};

static int grad(struct pm_graph *g, struct pm_node *n, struct pm_err *e)
{
	static const int source[BACKWARD_OUT] = {Q, K, V, SINKS};
	struct pm_tensor *in[BACKWARD_IN], *out[BACKWARD_OUT];
	bool acc[BACKWARD_OUT] = {false}, any = false;
	struct pm_node *b;

	for (int i = 0; i < FORWARD_IN; i++)
		in[i] = n->in[i];
	in[B_DY] = pm_grad_have(n->out[Y]);
	in[B_Y] = n->out[Y];
	in[B_LSE] = n->out[LSE];
	if (!in[B_DY])
		return 0;
	for (int i = 0; i < BACKWARD_OUT; i++) {
		out[i] = in[source[i]] ? pm_grad_want(g, in[source[i]], &acc[i]) : NULL;
		any = any || out[i];
	}
	if (!any)
		return pm_graph_ok(g, e);
	if (in[K]->type != PM_F32 || in[V]->type != PM_F32)
		return pm_fail(e, PM_SOFTWARE, "attention: a gradient wants keys and values in f32, not %s and %s", pm_dtype(in[K]->type)->name,
			pm_dtype(in[V]->type)->name);
	if ((out[DK] || out[DV]) && !in[KSPAN])
		return pm_fail(e, PM_SOFTWARE, "attention: the gradient of the keys wants to know which queries see them (kspan)");
	b = pm_node(g, &op_backward, BACKWARD_IN, in, BACKWARD_OUT, out, n->attr, sizeof (struct attr));
	if (!b)
		return pm_graph_ok(g, e);
	for (int i = 0; i < BACKWARD_OUT; i++)
		b->acc[i] = acc[i];
	return 0;
}

static const struct pm_op op = {"attention", forward_scratch, forward, grad};
static const struct pm_op op_decode = {"attention_decode", decode_scratch, decode, NULL};

/* ---- the constructor ---- */

static bool shaped(struct pm_graph *g, const char *what, const struct pm_tensor *t, int64_t rows, int64_t cols)
{
	if (!t || (t->rows == rows && t->cols == cols))
		return true;
	pm_graph_fail(g, "attention: %s (%lld, %lld) wanted, (%lld, %lld) found", what, (long long)rows, (long long)cols,
		(long long)t->rows, (long long)t->cols);
	return false;
}

struct pm_tensor *pm_attention(struct pm_graph *g, struct pm_tensor *q, struct pm_tensor *k, struct pm_tensor *v,
	struct pm_tensor *span, struct pm_tensor *kspan, const struct pm_attention_opts *o)
{
	struct attr a = {.heads = o->heads, .kv_heads = o->kv_heads, .head_dim = o->head_dim, .v_dim = o->v_dim ? o->v_dim : o->head_dim,
		.scale = o->scale, .softcap = o->softcap, .decode = o->decode};
	struct pm_tensor *in[FORWARD_IN] = {q, k, v, span, o->sinks, kspan}, *out[FORWARD_OUT];

	if (!q || !k || !v || !span)
		return NULL;
	if (a.kv_heads < 1 || a.heads < 1 || a.heads % a.kv_heads != 0)
		return pm_graph_fail(g, "attention: %lld heads cannot share %lld", (long long)a.heads, (long long)a.kv_heads);
	if (a.head_dim < 1 || a.v_dim < 1)
		return pm_graph_fail(g, "attention: heads of %lld and %lld columns", (long long)a.head_dim, (long long)a.v_dim);
	if (!shaped(g, "queries", q, q->rows, a.heads * a.head_dim) || !shaped(g, "keys", k, k->rows, a.kv_heads * a.head_dim) ||
	    !shaped(g, "values", v, k->rows, a.kv_heads * a.v_dim) || !shaped(g, "spans", span, q->rows, 2) ||
	    !shaped(g, "spans of keys", kspan, k->rows, 2) || !shaped(g, "sinks", o->sinks, 1, a.heads))
		return NULL;
	if (q->type != PM_F32 || span->type != PM_I32 || (kspan && kspan->type != PM_I32))
		return pm_graph_fail(g, "attention: f32 queries and i32 spans wanted");
	a.group = a.heads / a.kv_heads;
	a.q_period = o->q_period > 0 && o->q_period < q->rows ? o->q_period : q->rows;
	a.kv_period = o->kv_period > 0 && o->kv_period < k->rows ? o->kv_period : k->rows;
	out[Y] = pm_tensor(g, PM_T_TEMP, PM_F32, q->rows, a.heads * a.v_dim, "attention");
	out[LSE] = o->decode ? NULL : pm_tensor(g, PM_T_TEMP, PM_F32, q->rows, a.heads, "lse");
	if (!out[Y] || (!out[LSE] && !o->decode))
		return NULL;
	return pm_stage_of(pm_node(g, o->decode ? &op_decode : &op, FORWARD_IN, in, o->decode ? 1 : FORWARD_OUT, out, &a, sizeof a),
		o->decode ? decode_stages : NULL) ? out[Y] : NULL;
}
