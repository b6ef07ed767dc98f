/* sample.c: drawing tokens.  kernels/sample.cl, tests/op/sample.c */
#include <stdlib.h>
#include <string.h>

#include "op/elem.h"
#include "op/op.h"
#include "op/stage.h"

#define HOW PM_SAMPLE_WORDS              /* words of a row's settings: the order is that of kernels/sample.cl */
#define SOME 4096                       /* columns of a task that looks for the largest */
#define GROUP 64                        /* work-items of a row where it is not one; floats of local memory: SEGMENTS of the kernels */

static uint32_t bits(float f)
{
	uint32_t u;

	memcpy(&u, &f, sizeof u);
	return u;
}

/* The ids of each row's `seen`, each once, one row after the other; how many in all. */
static int64_t unique(int32_t *list, int32_t *how, int64_t rows, int64_t vocab, const struct pm_sample_row *row, unsigned char *mark, struct pm_err *e)
{
	int64_t n = 0, from, r;
	size_t i;

	for (r = 0; r < rows; r++) {
		for (i = 0, from = n; row[r].penalty != 1 && i < row[r].nseen; i++) {
			int32_t id = row[r].seen[i];

			if (id < 0 || id >= vocab)
				return pm_fail(e, PM_SOFTWARE, "sample: id %d to be penalised, the vocabulary has %lld", (int)id, (long long)vocab);
			if (mark[id / 8] >> id % 8 & 1)
				continue;
			mark[id / 8] = (unsigned char)(mark[id / 8] | 1 << id % 8);
			list[n++] = id;
		}
		for (i = (size_t)from; i < (size_t)n; i++)
			mark[list[i] / 8] = 0;
		how[r * HOW + 10] = (int32_t)from;
		how[r * HOW + 11] = (int32_t)(n - from);
	}
	return n;
}

void pm_sample_settings(int32_t *how, const struct pm_sample_row *row)
{
	const uint32_t words[HOW] = {bits(row->temperature), bits(row->top_p), bits(row->min_p), bits(row->penalty), (uint32_t)row->top_k,
		(uint32_t)row->seed, (uint32_t)(row->seed >> 32), (uint32_t)row->index, (uint32_t)(row->index >> 32), row->stream};

	memcpy(how, words, sizeof words);
}

static int launch(struct pm_dev *d, struct pm_mem *out, struct pm_mem *w, struct pm_mem *logits, struct pm_mem *how, struct pm_mem *seen, int64_t rows,
	int64_t vocab, struct pm_err *e)
{
	const struct pm_kernel *k = pm_kernel(d, "sample", "sample_row", pm_elem_cpu(d) ? "-DALONE=1" : NULL, e);
	const size_t group = pm_elem_cpu(d) ? 1 : GROUP;
	const struct pm_launch l = {.global = {(size_t)rows * group}, .local = {group}, .bytes = 4.0 * (double)rows * (double)vocab};

	return k ? PM_LAUNCH(k, l, e, PM_MEM(out), PM_MEM(w), PM_MEM(logits), PM_MEM(how), PM_MEM(seen), PM_I64(vocab), PM_LOCAL(GROUP * 4),
		PM_LOCAL(GROUP * 4)) : -1;
}

bool pm_sample_penal(const struct pm_sample_row *row)
{
	return row->penalty != 1 && row->nseen;
}

int pm_sample_finite(int32_t id, int64_t row, struct pm_err *e)
{
	return id < 0 ? pm_fail(e, PM_DATA, "logits of row %lld are not finite", (long long)row) : 0;
}

int pm_sample(struct pm_dev *d, struct pm_mem *logits, int64_t rows, int64_t vocab, const struct pm_sample_row *row, int32_t *ids, struct pm_err *e)
{
	int32_t *how = pm_alloc((size_t)rows * HOW, sizeof *how, e), *list = NULL;
	struct pm_mem *mhow = NULL, *mseen = NULL, *w = NULL, *out = NULL;
	unsigned char *mark = pm_alloc((size_t)vocab / 8 + 1, 1, e);
	int64_t n, seen = 1, r;
	int result = -1;
	bool plain = true;

	for (r = 0; how && r < rows; r++) {
		seen += (int64_t)row[r].nseen;
		pm_sample_settings(how + r * HOW, &row[r]);
		plain = plain && !(row[r].temperature > 0) && !pm_sample_penal(&row[r]);
	}
	list = how && mark ? pm_alloc((size_t)seen, sizeof *list, e) : NULL;
	if (!list)
		goto out;
	n = unique(list, how, rows, vocab, row, mark, e);
	if (n < 0 || pm_mem_new(&w, d, plain ? 4 : (size_t)(rows * vocab) * 4, e) < 0 || pm_mem_new(&out, d, (size_t)rows * 4, e) < 0 ||
	    pm_mem_new(&mhow, d, (size_t)rows * HOW * 4, e) < 0 || pm_mem_new(&mseen, d, (size_t)(n ? n : 1) * 4, e) < 0 ||
	    pm_mem_write_idle(mhow, 0, how, (size_t)rows * HOW * 4, e) < 0 || pm_mem_write_idle(mseen, 0, list, (size_t)(n ? n : 1) * 4, e) < 0 ||
	    launch(d, out, w, logits, mhow, mseen, rows, vocab, e) < 0)
		goto out;
	result = pm_mem_read(out, 0, ids, (size_t)rows * 4, e);
	for (r = 0; result == 0 && r < rows; r++)
		result = pm_sample_finite(ids[r], r, e);
out:
	pm_mem_free(w);
	pm_mem_free(out);
	pm_mem_free(mhow);
	pm_mem_free(mseen);
	free(how);
	free(mark);
	free(list);
	return result;
}

/* ---- as a node ---- */

static int64_t parts_of(const struct pm_tensor *x)
{
	return (x->cols + SOME - 1) / SOME;
}

/* Weights of every row, then value and id of the largest in each part of it. */
static size_t scratch(const struct pm_node *n)
{
	const struct pm_tensor *x = n->in[0];

	return (size_t)(x->rows * x->cols) * 4 + (size_t)(x->rows * parts_of(x)) * 8;
}

static int run(const struct pm_node *n, struct pm_err *e)
{
	return launch(n->g->dev, n->out[0]->mem, n->scratch, n->in[0]->mem, n->in[1]->mem, NULL, n->in[0]->rows, n->in[0]->cols, e);
}

static int stages(const struct pm_node *n, struct pm_chain *c, struct pm_err *e)
{
	const struct pm_tensor *x = n->in[0], *how = n->in[1], *ids = n->out[0];
	const int64_t weights = x->rows * x->cols * 4, room = n->scratch ? (int64_t)pm_mem_address(n->scratch) : 0, parts = parts_of(x);
	const struct pm_range tops = {(size_t)(room + weights), (size_t)(x->rows * parts) * 8};
	const struct pm_stage some = {.op = PM_STAGE_TOPS, .name = "sample_row (the largest)", .tasks = x->rows * parts, .in = {pm_range(x)}, .out = tops,
		.w = {room + weights, (int64_t)pm_address(x), x->ld, x->cols, SOME}, .bytes = 4.0 * (double)x->rows * (double)x->cols};
	const struct pm_stage draw = {.op = PM_STAGE_DRAW, .name = "sample_row", .tasks = x->rows, .in = {tops, pm_range(x)}, .out = pm_range(ids),
		.also = {{(size_t)room, (size_t)weights}}, .w = {(int64_t)pm_address(ids), room + weights, parts, (int64_t)pm_address(how), (int64_t)pm_address(x),
		x->cols, room}};

	if (!room || !draw.w[0])
		return 0;
	return pm_chain_add(c, &some, e) < 0 || pm_chain_add(c, &draw, e) < 0 ? -1 : 1;
}

static const struct pm_op op_draw = {"draw", scratch, run, NULL};

struct pm_tensor *pm_draw(struct pm_graph *g, struct pm_tensor *ids, struct pm_tensor *logits, struct pm_tensor *how)
{
	struct pm_tensor *in[2] = {logits, how};

	if (!ids || !logits || !how)
		return NULL;
	if (logits->type != PM_F32 || !pm_is_dense(logits) || logits->off || logits->base)
		return pm_graph_fail(g, "draw: '%s' is no f32 with memory of its own", logits->name);
	if (ids->kind != PM_T_STATE || ids->type != PM_I32 || ids->cols != 1 || ids->rows != logits->rows || ids->off)
		return pm_graph_fail(g, "draw: '%s' is no state of i32 (%lld, 1)", ids->name, (long long)logits->rows);
	if (how->type != PM_I32 || how->rows != logits->rows || how->cols != HOW || how->off || !pm_is_dense(how))
		return pm_graph_fail(g, "draw: '%s' is no i32 (%lld, %d)", how->name, (long long)logits->rows, HOW);
	return pm_stage_of(pm_node(g, &op_draw, 2, in, 1, &ids, NULL, 0), stages) ? ids : NULL;
}
