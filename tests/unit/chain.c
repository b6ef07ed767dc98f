/* chain.c: a block of decoding as a chain of stages and as launches of its own: the same bits, run after run, with one thread and with two. */
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "graph/graph.h"
#include "op/op.h"
#include "quant/quant.h"
#include "tap.h"

enum { DIM = 256, HEADS = 4, KV_HEADS = 2, HEAD = 32, INNER = 512, CONTEXT = 600, MOST = 5, MATRICES = 7, RUNS = 3, WORDS = 9000, EXPERTS = 6, CHOSEN = 2 };

static struct pm_err err;

/* What the matrices are stored in: q, k, v, o, gate, up, down. */
static const struct kind {
	const char *name;
	enum pm_dtype type[MATRICES];
	enum pm_act act;
	bool lora, interleaved, experts, rounded;
	enum { PLAIN, CENTRED, SUMS } like;     /* CENTRED: layer norms; SUMS: sums of their own, and a clamped gate */
} kinds[] = {
	{"bf16", {PM_BF16, PM_BF16, PM_BF16, PM_BF16, PM_BF16, PM_BF16, PM_BF16}, PM_ACT_SILU, true, false, false, false, PLAIN},
	{"q4_0 and q8_0", {PM_Q4_0, PM_Q4_0, PM_Q8_0, PM_Q4_0, PM_Q4_0, PM_Q4_0, PM_Q4_0}, PM_ACT_SILU, false, true, false, false, PLAIN},
	{"q4_k, q6_k and f16", {PM_Q4_K, PM_Q4_K, PM_Q6_K, PM_F16, PM_Q4_K, PM_Q4_K, PM_Q6_K}, PM_ACT_GELU_TANH, true, false, false, false, PLAIN},
	{"q5_1 and iq4_nl", {PM_Q5_1, PM_Q5_1, PM_Q5_1, PM_IQ4_NL, PM_Q5_1, PM_IQ4_NL, PM_Q5_1}, PM_ACT_SILU, false, false, false, false, PLAIN},
	{"bf16, rounded", {PM_BF16, PM_BF16, PM_BF16, PM_BF16, PM_F16, PM_BF16, PM_BF16}, PM_ACT_SILU, true, false, false, true, PLAIN},
	{"experts in bf16", {PM_BF16, PM_BF16, PM_BF16, PM_BF16, PM_BF16, PM_BF16, PM_BF16}, PM_ACT_SILU, true, false, true, false, PLAIN},
	{"experts in bf16, rounded", {PM_BF16, PM_BF16, PM_BF16, PM_BF16, PM_BF16, PM_BF16, PM_BF16}, PM_ACT_SILU, true, false, true, true, PLAIN},
	{"layer norms", {PM_F16, PM_F16, PM_F16, PM_F16, PM_F16, PM_F16, PM_F16}, PM_ACT_GELU_TANH, false, false, false, false, CENTRED},
	{"sums and a clamped gate", {PM_Q8_0, PM_Q8_0, PM_Q8_0, PM_Q8_0, PM_Q8_0, PM_Q8_0, PM_Q8_0}, PM_ACT_SILU, false, false, false, false, SUMS},
	{"experts in q4_0 and q8_0", {PM_Q4_0, PM_Q4_0, PM_Q8_0, PM_Q4_0, PM_Q4_0, PM_Q4_0, PM_Q8_0}, PM_ACT_SILU, false, false, true, false, PLAIN},
};

struct block {
	struct pm_dev *d;
	struct pm_graph *g;
	struct pm_plan *p;
	struct pm_mem *mem[40];
	size_t mems;
	bool weave;                     /* every other matrix */
	struct pm_tensor *ids, *span, *rows, *cs, *y, *logits, *how;
	struct pm_mem *before, *drawn;          /* ids that a run before drew, and that this one draws */
};

static void must(int ok)
{
	if (!ok) {
		printf("Bail out! %s\n", err.text);
		exit(1);
	}
}

static float *draw(int64_t n, uint32_t stream, float scale)
{
	float *f = pm_alloc((size_t)n, sizeof *f, &err);
	int64_t i;

	must(f != NULL);
	for (i = 0; i < n; i++)
		f[i] = scale * pm_rng_normal(11, stream, (uint64_t)i);
	return f;
}

static struct pm_tensor *weight(struct block *b, enum pm_dtype type, int64_t rows, int64_t cols, uint32_t stream)
{
	float *f = draw(rows * cols, stream, rows == 1 ? 1 : 0.05f);
	const size_t bytes = pm_dtype_bytes(type, (uint64_t)(rows * cols));
	void *q = pm_alloc(1, bytes, &err);
	struct pm_mem **m = &b->mem[b->mems++];
	struct pm_tensor *t;
	int woven;

	must(q != NULL);
	if (pm_dtype_plain(type))
		pm_from_f32(q, type, f, (size_t)(rows * cols));
	else
		must(pm_quant_from_f32(q, type, f, (size_t)rows, (size_t)cols, NULL, &err) == 0);
	must(pm_mem_new(m, b->d, bytes, &err) == 0 && pm_mem_write(*m, 0, q, bytes, &err) == 0);
	free(f);
	free(q);
	t = pm_tensor_of(b->g, PM_T_WEIGHT, type, rows, cols, *m, "weight");
	if (t && (b->weave || pm_dtype_plain(type)) && stream % 2 == 0 && pm_op_weaves(b->d, type, cols)) {
		m = &b->mem[b->mems++];
		must(pm_mem_new(m, b->d, pm_woven_bytes(type, rows, cols), &err) == 0);
		woven = pm_weave(*m, t->mem, type, rows, cols, &err);
		must(woven == 1 || (woven == 0 && type == PM_F16));     /* whose values these are not those of bfloat16 */
		t->woven = woven ? *m : NULL;
	}
	return t;
}

static struct pm_tensor *cache(struct block *b, uint32_t stream)
{
	struct pm_tensor *c = weight(b, PM_F16, CONTEXT, KV_HEADS * HEAD, stream);

	if (c)
		c->kind = PM_T_STATE;
	return c;
}

static struct pm_tensor *linear(struct block *b, struct pm_tensor *x, const struct kind *k, int i, int64_t out, struct pm_tensor *add)
{
	struct pm_linear_opts o = {.add = add, .scale = add ? 0.5f : 1};

	if (k->lora && i == 1) {
		o.lora.a = weight(b, PM_F32, 4, x->cols, 60);
		o.lora.b = weight(b, PM_F32, out, 4, 61);
		o.lora.s = 2;
	}
	return pm_linear(b->g, x, weight(b, k->type[i], out, x->cols, (uint32_t)i), i == 2 ? weight(b, PM_F32, 1, out, 50) : NULL, &o);
}

/* One of the experts' products: what, 4 and on, says which. */
static struct pm_tensor *experts(struct block *b, struct pm_tensor *x, const struct pm_route *route, const struct kind *k, int what, int64_t out)
{
	struct pm_experts_opts o = {.pairs = what == 6};
	struct pm_tensor *w = weight(b, k->type[what], EXPERTS * out, x->cols, (uint32_t)what);

	if (k->lora && what == 5) {
		o.lora.a = weight(b, PM_F32, EXPERTS * 3, x->cols, 62);
		o.lora.b = weight(b, PM_F32, EXPERTS * out, 3, 63);
		o.lora.s = 2;
	}
	return pm_experts(b->g, x, route, w, what == 4 ? weight(b, PM_F32, EXPERTS, out, 51) : NULL, &o);
}

static struct pm_tensor *mixture(struct block *b, struct pm_tensor *x, const struct kind *k, struct pm_tensor *add)
{
	struct pm_route route;
	struct pm_tensor *y;

	pm_route(b->g, pm_linear(b->g, x, weight(b, PM_F32, EXPERTS, DIM, 52), NULL, NULL), &(struct pm_route_opts){.chosen = CHOSEN}, &route);
	y = pm_act(b->g, k->act, experts(b, x, &route, k, 4, INNER), experts(b, x, &route, k, 5, INNER));
	return pm_combine(b->g, experts(b, y, &route, k, 6, DIM), &route, add, 0.5f);
}

/* Rows of a table, of ids that are given or were drawn before. */
static struct pm_tensor *embedding(struct block *b, const struct kind *k, int64_t T)
{
	b->before = weight(b, PM_F32, 1, MOST, 70)->mem;
	b->ids = pm_tensor(b->g, PM_T_INPUT, PM_I32, T, 1, "ids");
	return pm_embed(b->g, pm_pick(b->g, b->ids, pm_tensor_of(b->g, PM_T_STATE, PM_I32, MOST, 1, b->before, "before")), weight(b, k->type[5], WORDS, DIM, 71), 7,
		NULL, NULL, 0);
}

/* The likeliest of words, or one that is drawn. */
static void head(struct block *b)
{
	b->logits = pm_linear(b->g, b->y, weight(b, PM_F32, WORDS, DIM, 72), NULL, NULL);
	b->drawn = weight(b, PM_F32, 1, MOST, 73)->mem;
	must(b->logits != NULL);
	b->how = pm_tensor(b->g, PM_T_INPUT, PM_I32, b->logits->rows, PM_SAMPLE_WORDS, "how");
	pm_draw(b->g, pm_tensor_of(b->g, PM_T_STATE, PM_I32, b->logits->rows, 1, b->drawn, "drawn"), b->logits, b->how);
}

static struct pm_tensor *normed(struct block *b, const struct kind *k, struct pm_tensor *x, uint32_t stream)
{
	struct pm_tensor *w = weight(b, PM_F32, 1, DIM, stream);

	return k->like == CENTRED ? pm_layer_norm(b->g, x, w, weight(b, PM_F32, 1, DIM, stream + 2), 0, 1e-5f) : pm_rms_norm(b->g, x, w, 0, 1e-5f, false);
}

/* Gate and up, apart or by turns in one product. */
static struct pm_tensor *gated(struct block *b, const struct kind *k)
{
	if (k->like == SUMS)
		return pm_act_clamped(b->g, linear(b, b->y, k, 4, 2 * INNER, NULL), NULL, 1.7f, 0.5f);
	return pm_act(b->g, k->act, linear(b, b->y, k, 4, INNER, NULL), linear(b, b->y, k, 5, INNER, NULL));
}

/* A product that is added to x, by itself or by a node of its own. */
static struct pm_tensor *added(struct block *b, const struct kind *k, struct pm_tensor *y, int i, struct pm_tensor *x)
{
	return k->like == SUMS ? pm_add(b->g, x, linear(b, y, k, i, DIM, NULL), 0.7f, 0.3f) : linear(b, y, k, i, DIM, x);
}

static void build(struct block *b, struct pm_dev *d, const struct kind *k, int64_t T, bool chain)
{
	struct pm_attention_opts o = {.heads = HEADS, .kv_heads = KV_HEADS, .head_dim = HEAD, .scale = 0.2f, .kv_period = CONTEXT, .decode = true};
	struct pm_tensor *x, *from, *qkv[3], *ck, *cv;

	memset(b, 0, sizeof *b);
	b->d = d;
	b->weave = chain;
	must(pm_graph_new(&b->g, d, &err) == 0);
	b->g->thin = b->g->int8 = true;
	b->g->bf16 = k->rounded;
	b->g->chain = chain;
	from = embedding(b, k, T);
	b->span = pm_tensor(b->g, PM_T_INPUT, PM_I32, T, 2, "span");
	b->rows = pm_tensor(b->g, PM_T_INPUT, PM_I32, T, 1, "rows");
	b->cs = pm_tensor(b->g, PM_T_INPUT, PM_F32, T, HEAD, "table");
	x = normed(b, k, from, 40);
	qkv[0] = linear(b, x, k, 0, HEADS * HEAD, NULL);
	qkv[1] = linear(b, x, k, 1, KV_HEADS * HEAD, NULL);
	qkv[2] = linear(b, x, k, 2, KV_HEADS * HEAD, NULL);
	qkv[0] = pm_rope(b->g, qkv[0], b->cs, HEAD, HEAD, k->interleaved);
	qkv[1] = pm_rope(b->g, qkv[1], b->cs, HEAD, HEAD, k->interleaved);
	ck = pm_store(b->g, cache(b, 46), qkv[1], b->rows);
	cv = pm_store(b->g, cache(b, 47), qkv[2], b->rows);
	x = added(b, k, pm_attention(b->g, qkv[0], ck, cv, b->span, NULL, &o), 3, from);
	b->y = normed(b, k, x, 41);
	if (k->experts) {
		b->y = mixture(b, b->y, k, x);
	} else {
		b->y = added(b, k, gated(b, k), 6, x);
	}
	head(b);
	must(pm_graph_ok(b->g, &err) == 0);
	b->y->keep = b->logits->keep = true;
	must(pm_plan_new(&b->p, b->g, &err) == 0 && pm_plan_alloc(b->p, NULL, &err) == 0);
}

/* Rows in turn take the likeliest and draw. */
static void write_settings(struct block *b, int64_t T, int n)
{
	int32_t how[MOST * PM_SAMPLE_WORDS];
	int64_t t;

	for (t = 0; t < T; t++)
		pm_sample_settings(how + t * PM_SAMPLE_WORDS, &(struct pm_sample_row){.temperature = (t + n) % 2 ? 1.5f : 0, .top_p = t == 1 ? 0.8f : 1, .penalty = 1,
			.top_k = t == 3 ? 900 : 0, .seed = 5, .index = (uint64_t)n, .stream = (uint32_t)t});
	must(pm_plan_write(b->p, b->how, how, &err) == 0);
}

/* What run number n gives. */
static void run(struct block *b, int64_t T, int n, float *y, int32_t *drawn)
{
	float *cs = draw(T * HEAD, 200 + (uint32_t)n, 0.7f);
	int32_t span[2 * MOST], rows[MOST], ids[MOST], before[MOST];
	int64_t t;

	for (t = 0; t < T; t++) {
		ids[t] = t == 1 || n == 2 ? (int32_t)(t - T) : (int32_t)(1777 * t + 500 * n + 1);       /* from before, in another order; or given */
		before[t] = (int32_t)(700 * t + 11 * n);
		rows[t] = (int32_t)(300 + 7 * n + t);
		span[2 * t] = 3;
		span[2 * t + 1] = rows[t] + 1;
	}
	write_settings(b, T, n);
	must(pm_plan_fill(b->p, 0xff, &err) == 0 && pm_plan_write(b->p, b->ids, ids, &err) == 0 && pm_mem_write(b->before, 0, before, (size_t)T * 4, &err) == 0 && pm_plan_write(b->p, b->cs, cs, &err) == 0 &&
		pm_plan_write(b->p, b->rows, rows, &err) == 0 && pm_plan_write(b->p, b->span, span, &err) == 0 && pm_plan_run(b->p, &err) == 0 &&
		pm_dev_finish(b->d, &err) == 0 && pm_plan_read(b->p, b->y, y, &err) == 0);
	if (drawn)
		must(pm_mem_read(b->drawn, 0, drawn, (size_t)T * 4, &err) == 0);
	free(cs);
}

static void done_with(struct block *b)
{
	pm_plan_free(b->p);
	pm_graph_free(b->g);
	while (b->mems)
		pm_mem_free(b->mem[--b->mems]);
}

static void hold(struct pm_dev *d, struct pm_dev *one, const struct kind *k, int64_t T)
{
	float *y[3];
	int32_t ids[3][RUNS * MOST] = {{0}};
	bool same[3] = {true, true, true};
	int i, n;

	for (i = 0; i < 3; i++) {
		struct block b;

		must((y[i] = pm_alloc((size_t)(RUNS * T * DIM), sizeof **y, &err)) != NULL);
		build(&b, i == 2 ? one : d, k, T, i > 0);
		for (n = 0; n < RUNS; n++)
			run(&b, T, n, y[i] + n * T * DIM, ids[i] + n * MOST);
		done_with(&b);
		same[i] = !memcmp(y[0], y[i], (size_t)(RUNS * T * DIM) * sizeof **y) && !memcmp(ids[0], ids[i], sizeof *ids);
	}
	for (i = 0, n = 0; i < RUNS * T * DIM; i++)
		n += y[0][i] == y[0][i];
	check(n == RUNS * T * DIM, "%s, %d rows: numbers", k->name, (int)T);
	check(same[1], "%s, %d rows: a chain gives the bits of launches", k->name, (int)T);
	if (pm_dev_info(d)->vnni == pm_dev_info(one)->vnni)
		check(same[2], "%s, %d rows: so does one thread", k->name, (int)T);
	else
		skip("without PM_CACHE a second device is not probed");
	for (i = 0; i < 3; i++)
		free(y[i]);
}

static struct pm_dev *open_dev(int threads, bool profile, const char *mask)
{
	const char *c = getenv("PM_CACHE");
	struct pm_dev_opts o = {.select = "cpu", .kernels = "kernels", .share = "share", .cache = c && *c ? c : NULL, .threads = threads, .profile = profile,
		.mask = mask};
	struct pm_dev *d = NULL;

	must(pm_dev_open(&d, &o, &err) == 0);
	return d;
}

/* A profile's rows: how many norms and products it counts, the bytes of these a second, and milliseconds of the chain's launch that are no stage's, of
 * stages, and of waiting for them. */
struct seen {
	double rate, launch, stages, waiting;
	unsigned norms, products;
};

static void read_profile(struct pm_dev *d, struct seen *s)
{
	char line[800];
	FILE *f = tmpfile();

	memset(s, 0, sizeof *s);
	must(f && pm_dev_profile(d, f, &err) == 0);
	rewind(f);
	while (fgets(line, sizeof line, f)) {
		const bool waiting = !strncmp(line, "waiting for ", 12), product = strstr(line, "thin_cpu.thin bf16 (") || strstr(line, "thin_cpu.thin f32 (");
		const char *numbers = strstr(line, "  ");
		unsigned calls;
		double ms, rate;

		if (!numbers || *line == '(' || sscanf(numbers, "%u %lf %*f %lf", &calls, &ms, &rate) < 2)
			continue;
		if (!strncmp(line, "chain_cpu", 9)) {
			s->launch += ms;
		} else if (waiting) {
			s->waiting += ms;
		} else {
			s->stages += ms;
			s->norms += strncmp(line, "rms_norm_fwd ", 13) ? 0 : calls;
			s->products += product ? calls : 0;
			s->rate = product ? rate : s->rate;
		}
	}
	fclose(f);
}

/* The profile shows what the stages of a chain took, and that to be timed changes no bits. */
static void profile(struct pm_dev *d, const char *mask, const char *how)
{
	struct pm_dev *timed = open_dev(0, true, mask);
	struct seen s;
	float *y[2];
	int i, n;

	for (i = 0; i < 2; i++) {
		struct block b;

		must((y[i] = pm_alloc(RUNS * DIM, sizeof **y, &err)) != NULL);
		build(&b, i ? timed : d, &kinds[0], 1, true);
		for (n = 0; n < RUNS; n++)
			run(&b, 1, n, y[i] + n * DIM, NULL);
		if (i)
			read_profile(timed, &s);
		done_with(&b);
	}
	check(s.norms == 2 * RUNS && s.products == (MATRICES + 2) * RUNS, "%s: a row for each kind of stage: %u norms, %u products", how, s.norms, s.products);
	check(s.rate > 0 && s.stages > 0 && s.launch > -0.01, "%s: parts of the launch, which is more: %.3f and %.3f ms of waiting, %.3f ms beside", how, s.stages,
		s.waiting, s.launch);
	check(!memcmp(y[0], y[1], RUNS * DIM * sizeof **y), "%s: the same bits", how);
	free(y[0]);
	free(y[1]);
	pm_dev_close(timed);
}

int main(void)
{
	struct pm_dev *d = open_dev(0, false, NULL), *one = open_dev(1, false, NULL);
	static const int64_t rows[] = {1, MOST};
	size_t k, t;

	for (k = 0; k < sizeof kinds / sizeof *kinds; k++)
		for (t = 0; t < 2; t++)
			hold(d, one, &kinds[k], rows[t]);
	profile(d, NULL, "timed");
	profile(d, "asm", "launched apart");
	pm_dev_close(one);
	pm_dev_close(d);
	return done();
}
