/* run.c: builds and runs one case on one device, whole or in parts. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "run.h"

static bool is_rows(const struct op_in *d) { return d->flags & OP_ROWS; }

/* ---- data ---- */

static double rounded(double v, enum pm_dtype t)
{
	if (t == PM_I32)
		return v;
	if (t == PM_F16)
		return pm_f16_to_f32(pm_f32_to_f16((float)v));
	if (t == PM_BF16)
		return pm_bf16_to_f32(pm_f32_to_bf16((float)v));
	return (float)v;
}

static int make_values(struct op_data *d, int k, struct pm_err *e)
{
	struct op_data_in *in = &d->in[k];
	int64_t i, n = in->d.rows * in->d.cols;

	in->v = pm_alloc((size_t)n, sizeof *in->v, e);
	if (!in->v)
		return -1;
	if (!pm_dtype_plain(in->d.type))
		return op_random_blocks(&in->blocks, in->v, in->d.type, n, in->d.scale != 0 ? in->d.scale : 1, d->seed + (uint64_t)k, e);
	if (in->d.fill)
		in->d.fill(in->v, in->d.rows, in->d.cols, d->row);
	else
		for (i = 0; i < n; i++)
			in->v[i] = in->d.mean + (in->d.scale != 0 ? in->d.scale : 1) * pm_rng_normal(d->seed, (uint32_t)k, (uint64_t)i);
	for (i = 0; i < n; i++)
		in->v[i] = rounded(in->v[i], in->d.type);
	return 0;
}

double op_before(const struct op_data *d, int in, int64_t i)
{
	return pm_rng_normal(d->seed, 1000 + (uint32_t)in, (uint64_t)i);
}

static void store_value(void *to, enum pm_dtype t, int64_t i, double v)
{
	float f = (float)v;
	int32_t n = t == PM_I32 ? (int32_t)v : 0;

	if (t == PM_I32)
		memcpy((int32_t *)to + i, &n, sizeof n);
	else
		pm_from_f32((char *)to + pm_dtype_bytes(t, (uint64_t)i), t, &f, 1);
}

/* The bytes of input k in this part, with NaN beside a view. */
static void fill_host(struct op_run *r, int k, void *host)
{
	const struct op_in *d = &r->data->in[k].d;
	int64_t left = d->flags & OP_VIEW ? PAD_LEFT : 0, wide = r->in[k].wide, i, j;
	int64_t from = is_rows(d) ? r->part * r->in[k].rows : 0, shift = d->of ? d->of / (r->how.parts > 1 ? r->how.parts : 1) * r->part : from;

	if (r->data->in[k].blocks) {
		memcpy(host, r->data->in[k].blocks, pm_dtype_bytes(d->type, (uint64_t)(d->rows * d->cols)));
		return;
	}
	for (i = 0; i < r->in[k].rows; i++)
		for (j = 0; j < wide; j++) {
			double v = NAN;

			if (j >= left && j < left + d->cols)
				v = r->data->in[k].v[(from + i) * d->cols + j - left];
			if (d->flags & OP_INDEX && v >= 0)
				v -= (double)shift;
			store_value(host, d->type, i * wide + j, v);
		}
}

static struct pm_mem *floats(struct op_run *r, int64_t n, double (*value)(const struct op_run *, int, int64_t), int k)
{
	float *f = pm_alloc((size_t)n, sizeof *f, &r->err);
	struct pm_mem *m = NULL;
	int64_t i;

	for (i = 0; f && i < n; i++)
		f[i] = (float)value(r, k, i);
	if (!f || pm_mem_new(&m, r->how.dev, (size_t)n * 4, &r->err) < 0 || pm_mem_write(m, 0, f, (size_t)n * 4, &r->err) < 0)
		r->failed = true;
	free(f);
	return m;
}

static double before(const struct op_run *r, int k, int64_t i)
{
	int64_t from = is_rows(&r->data->in[k].d) ? r->part * r->in[k].rows * r->in[k].wide : 0;

	return r->how.second ? op_before(r->data, k, from + i) : 0;
}

static double upstream(const struct op_run *r, int k, int64_t i)
{
	int64_t rows = r->out[k].y->rows;

	return r->data->out[k].dy[(r->data->out[k].whole ? 0 : r->part * rows * r->out[k].y->cols) + i];
}

/* ---- what a test's build calls ---- */

/* Memory of input k: weights lie where a file might have put them, at any multiple of their element, blocks at an odd address. */
static int leaf_memory(struct op_run *r, int k)
{
	const struct op_in *d = &r->data->in[k].d;
	size_t one = pm_dtype_plain(d->type) ? pm_dtype_bytes(d->type, 1) : 1;
	size_t bytes = pm_dtype_bytes(d->type, (uint64_t)(r->in[k].rows * r->in[k].wide));
	char *at;

	r->in[k].host = pm_alloc(bytes + 256, 1, &r->err);
	if (!r->in[k].host)
		return -1;
	at = (char *)r->in[k].host;
	at += 64 - (uintptr_t)at % 64 + one;
	fill_host(r, k, at);
	if (d->flags & (OP_ROWS | OP_STATE) || r->how.direct)
		return pm_mem_new(&r->in[k].mem, r->how.dev, bytes, &r->err) < 0 ? -1 : pm_mem_write(r->in[k].mem, 0, at, bytes, &r->err);
	return pm_mem_map(&r->in[k].mem, r->how.dev, at, bytes, &r->err);
}

static int weave(struct op_run *r, int k)
{
	const struct op_in *d = &r->data->in[k].d;
	char *at = (char *)pm_mem_address(r->in[k].mem);

	if (!(d->flags & OP_WOVEN) || !pm_op_weaves(r->how.dev, d->type, d->cols))
		return 0;
	if (pm_mem_new(&r->in[k].woven, r->how.dev, pm_woven_bytes(d->type, d->rows, d->cols), &r->err) < 0 ||
		pm_weave(r->in[k].woven, r->in[k].mem, d->type, d->rows, d->cols, &r->err) != 1 || pm_dev_finish(r->how.dev, &r->err) < 0)
		return -1;
	if (at && !r->how.grad)
		memset(at, 0xff, pm_mem_size(r->in[k].mem));
	return 0;
}

struct pm_tensor *op_none(struct op_ctx *c)
{
	int k = c->run->nin++;

	c->run->data->in[k].none = true;
	if (c->run->data->nin <= k)
		c->run->data->nin = k + 1;
	return NULL;
}

struct pm_tensor *op_input(struct op_ctx *c, const struct op_in *in)
{
	struct op_run *r = c->run;
	int k = r->nin++;
	struct op_data *d = r->data;
	bool trains = r->how.grad && in->flags & OP_GRAD;
	struct pm_tensor *leaf, *x;

	if (r->failed)
		return NULL;
	if (k >= d->nin) {
		d->nin = k + 1;
		d->in[k].d = *in;
		if (make_values(d, k, &r->err) < 0)
			r->failed = true;
	}
	r->in[k].rows = in->rows;
	r->in[k].wide = in->cols + (in->flags & OP_VIEW ? PAD_LEFT + PAD_RIGHT : 0);
	if (r->failed || leaf_memory(r, k) < 0 || weave(r, k) < 0) {
		r->failed = true;
		return NULL;
	}
	leaf = pm_tensor_of(c->g, in->flags & OP_STATE ? PM_T_STATE : PM_T_WEIGHT, in->type, in->rows, r->in[k].wide, r->in[k].mem, in->name);
	if (!leaf)
		return NULL;
	leaf->woven = r->in[k].woven;
	if (trains) {
		if (!r->in[k].grad)
			r->in[k].grad = floats(r, in->rows * r->in[k].wide, before, k);
		leaf->trains = true;
		leaf->grad = pm_tensor_of(c->g, PM_T_STATE, PM_F32, in->rows, r->in[k].wide, r->in[k].grad, "gradient");
	}
	r->in[k].leaf = leaf;
	x = trains && is_rows(in) && !r->how.direct ? pm_add(c->g, leaf, NULL, 1, 0) : leaf;
	r->in[k].x = x;
	return in->flags & OP_VIEW ? pm_view_cols(c->g, x, PAD_LEFT, in->cols) : x;
}

void op_output(struct op_ctx *c, struct pm_tensor *y, unsigned flags)
{
	struct op_run *r = c->run;
	int k = r->nout++;
	struct op_data *d = r->data;
	struct op_data_out *o = &d->out[k];

	r->out[k].y = y;
	if (!y || r->failed)
		return;
	y->keep = true;
	if (k >= d->nout) {
		d->nout = k + 1;
		*o = (struct op_data_out){.rows = y->rows, .cols = y->cols, .flags = flags, .whole = y->kind != PM_T_TEMP, .type = y->type};
		if (y->kind == PM_T_TEMP && !(flags & OP_NOGRAD)) {
			int64_t i;

			o->dy = pm_alloc((size_t)(y->rows * y->cols), sizeof *o->dy, &r->err);
			for (i = 0; o->dy && i < y->rows * y->cols; i++)
				o->dy[i] = pm_rng_normal(d->seed, 2000 + (uint32_t)k, (uint64_t)i);
			r->failed = r->failed || !o->dy;
		}
	}
	if (r->how.grad && o->dy && !r->failed) {
		r->out[k].dy = floats(r, y->rows * y->cols, upstream, k);
		pm_grad_seed(y, pm_tensor_of(c->g, PM_T_STATE, PM_F32, y->rows, y->cols, r->out[k].dy, "upstream"));
	}
}

/* ---- one part ---- */

int op_prepare(struct op_run *r, struct pm_err *e)
{
	struct op_ctx c = {.run = r};
	size_t i;
	int k;

	if (pm_graph_new(&r->g, r->how.dev, e) < 0)
		return -1;
	c.g = r->g;
	c.T = r->data->c->T / (r->how.parts > 1 ? r->how.parts : 1);
	c.g->period = r->data->c->period;
	c.g->bf16 = r->data->c->bf16 && !r->how.portable;
	c.g->thin = r->data->c->thin;
	c.g->int8 = r->data->c->int8 && !r->how.portable;
	r->nin = r->nout = 0;
	c.g->segment = r->how.checkpoint;
	r->data->t->build(&c, r->data->row);
	c.g->segment = 0;
	for (k = 0; k < r->nin && r->how.grad && r->how.second; k++)
		if (r->in[k].x && r->in[k].x != r->in[k].leaf) {
			struct pm_tensor *y = pm_add(c.g, r->in[k].x, NULL, 0.5f, 0);

			r->in[k].dzmem = floats(r, r->in[k].rows * r->in[k].wide, before, k);
			if (y)
				pm_grad_seed(y, pm_tensor_of(c.g, PM_T_STATE, PM_F32, y->rows, y->cols, r->in[k].dzmem, "second"));
		}
	if (r->failed) {
		*e = r->err;
		return -1;
	}
	if (pm_graph_ok(c.g, e) < 0 || (r->how.grad && pm_grad(c.g, r->how.checkpoint, e) < 0))
		return -1;
	for (i = 0; r->how.keep && i < c.g->ntensors; i++)
		c.g->tensors[i]->keep = true;
	return pm_plan_new(&r->plan, c.g, e) < 0 ? -1 : pm_plan_alloc(r->plan, NULL, e);
}

/* Frees what belongs to a part; the gradients of weights stay until `all`. */
static void part_end(struct op_run *r, bool all)
{
	int k;

	pm_plan_free(r->plan);
	pm_graph_free(r->g);
	r->plan = NULL;
	r->g = NULL;
	for (k = 0; k < MAX_IN; k++) {
		pm_mem_free(r->in[k].mem);
		pm_mem_free(r->in[k].woven);
		pm_mem_free(r->in[k].dzmem);
		free(r->in[k].host);
		r->in[k].mem = r->in[k].woven = r->in[k].dzmem = NULL;
		r->in[k].host = NULL;
		r->in[k].leaf = r->in[k].x = NULL;
		if (r->in[k].grad && (all || is_rows(&r->data->in[k].d))) {
			pm_mem_free(r->in[k].grad);
			r->in[k].grad = NULL;
		}
	}
	for (k = 0; k < MAX_OUT; k++) {
		pm_mem_free(r->out[k].dy);
		r->out[k].dy = NULL;
	}
}

void op_run_end(struct op_run *r)
{
	part_end(r, true);
}

static int take_outputs(struct op_run *r, struct op_result *res, struct pm_err *e)
{
	int k;

	for (k = 0; k < r->nout; k++) {
		const struct op_data_out *o = &r->data->out[k];
		struct pm_tensor *y = r->out[k].y;
		size_t n = (size_t)(y->rows * y->cols), at = o->whole ? 0 : (size_t)r->part * n, i;
		void *raw = pm_alloc(n, 8, e);

		if (!res->out[k])
			res->out[k] = pm_alloc((size_t)(o->rows * o->cols), sizeof(float), e);
		if (!raw || !res->out[k] || pm_plan_read(r->plan, y, raw, e) < 0) {
			free(raw);
			return -1;
		}
		for (i = 0; y->type == PM_I32 && i < n; i++)
			res->out[k][at + i] = (float)((const int32_t *)raw)[i];
		if (y->type != PM_I32)
			pm_to_f32(res->out[k] + at, raw, y->type, n);
		free(raw);
	}
	return 0;
}

static int take_gradients(struct op_run *r, struct op_result *res, struct pm_err *e)
{
	int64_t i, j;
	int k;

	for (k = 0; k < r->nin; k++) {
		const struct op_in *d = &r->data->in[k].d;
		int64_t wide = r->in[k].wide, left = d->flags & OP_VIEW ? PAD_LEFT : 0, from = is_rows(d) ? r->part * r->in[k].rows : 0;
		float *raw;

		if (!r->in[k].grad)
			continue;
		if (!res->grad[k])
			res->grad[k] = pm_alloc((size_t)(d->rows * d->cols), sizeof(float), e);
		raw = pm_alloc((size_t)(r->in[k].rows * wide), sizeof *raw, e);
		if (!raw || !res->grad[k] || pm_mem_read(r->in[k].grad, 0, raw, (size_t)(r->in[k].rows * wide) * 4, e) < 0) {
			free(raw);
			return -1;
		}
		for (i = 0; i < r->in[k].rows; i++)
			for (j = 0; j < wide; j++) {
				float v = raw[i * wide + j], none = r->how.second ? 1.5f * (float)op_before(r->data, k, (from + i) * wide + j) : 0;

				if (j >= left && j < left + d->cols)
					res->grad[k][(from + i) * d->cols + j - left] = v;
				else
					res->pads = res->pads && fabsf(v - none) < 1e-6f;
			}
		free(raw);
	}
	return 0;
}

/* The first part's gradients of weights take the place of what was there. */
static int make_fresh(struct op_run *r, struct pm_err *e)
{
	int k;

	for (k = 0; k < r->nin && r->part == 0; k++)
		if (r->in[k].grad && pm_grad_is_fresh(r->g, r->in[k].grad)) {
			const size_t n = pm_mem_size(r->in[k].grad);
			void *nan = pm_alloc(n, 1, e);
			int bad = !nan;

			if (nan)
				bad = pm_mem_write(r->in[k].grad, 0, memset(nan, 0xff, n), n, e) < 0;
			free(nan);
			if (bad)
				return -1;
		}
	pm_grad_fresh(r->g, r->part == 0);
	return 0;
}

int op_execute(struct op_data *d, const struct op_how *how, struct op_result *res, struct pm_err *e)
{
	struct op_run r = {.data = d, .how = *how};
	int64_t parts = how->parts > 1 ? how->parts : 1;
	int bad = 0;

	memset(res, 0, sizeof *res);
	res->pads = true;
	for (r.part = 0; !bad && r.part < parts; r.part++) {
		bad = op_prepare(&r, e) < 0 || (how->fresh && make_fresh(&r, e) < 0) || pm_plan_fill(r.plan, how->fill, e) < 0 || pm_plan_run(r.plan, e) < 0 ||
			pm_dev_finish(how->dev, e) < 0 || take_outputs(&r, res, e) < 0 || take_gradients(&r, res, e) < 0;
		part_end(&r, false);
	}
	op_run_end(&r);
	if (bad)
		op_result_free(res);
	return bad ? -1 : 0;
}

void op_result_free(struct op_result *r)
{
	int k;

	for (k = 0; k < MAX_OUT; k++)
		free(r->out[k]);
	for (k = 0; k < MAX_IN; k++)
		free(r->grad[k]);
	memset(r, 0, sizeof *r);
}

void op_data_free(struct op_data *d)
{
	int k;

	for (k = 0; k < MAX_IN; k++) {
		free(d->in[k].v);
		free(d->in[k].blocks);
	}
	for (k = 0; k < MAX_OUT; k++)
		free(d->out[k].dy);
}
