/* sample.c: drawing tokens.  kernels/sample.cl, tests/op/sample.c */
#include <stdlib.h>
#include <string.h>

#include "op/elem.h"
#include "op/op.h"

#define HOW 12                          /* words of a row's settings: the order is that of kernels/sample.cl */
#define GROUP 64                        /* work-items of a row where it is not one; floats of local memory: SEGMENTS of the kernels */

static uint32_t bits(float f)
{
	uint32_t u;

	memcpy(&u, &f, sizeof u);
	return u;
}

/* The ids of each row's `seen`, each once, one row after the other; how many in all. */
static int64_t unique(int32_t *list, uint32_t *how, int64_t rows, int64_t vocab, const struct pm_sample_row *row, unsigned char *mark, struct pm_err *e)
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
		how[r * HOW + 10] = (uint32_t)from;
		how[r * HOW + 11] = (uint32_t)(n - from);
	}
	return n;
}

static void settings(uint32_t *how, const struct pm_sample_row *row)
{
	uint32_t words[10] = {bits(row->temperature), bits(row->top_p), bits(row->min_p), bits(row->penalty), (uint32_t)row->top_k,
		(uint32_t)row->seed, (uint32_t)(row->seed >> 32), (uint32_t)row->index, (uint32_t)(row->index >> 32), row->stream};

	memcpy(how, words, sizeof words);
}

static const char *defines(struct pm_dev *d)
{
	return pm_elem_cpu(d) ? "-DALONE=1" : NULL;
}

static struct pm_launch grid(struct pm_dev *d, int64_t rows, double bytes)
{
	size_t group = pm_elem_cpu(d) ? 1 : GROUP;

	return (struct pm_launch){.global = {(size_t)rows * group}, .local = {group}, .bytes = bytes};
}

static int greedy(struct pm_dev *d, struct pm_mem *logits, int64_t rows, int64_t vocab, struct pm_mem *out, struct pm_err *e)
{
	const struct pm_kernel *k = pm_kernel(d, "sample", "sample_greedy", defines(d), e);
	struct pm_launch l = grid(d, rows, 4.0 * (double)rows * (double)vocab);

	return k ? PM_LAUNCH(k, l, e, PM_MEM(out), PM_MEM(logits), PM_I64(vocab), PM_LOCAL(GROUP * 4), PM_LOCAL(GROUP * 4)) : -1;
}

static int drawn(struct pm_dev *d, struct pm_mem *logits, int64_t rows, int64_t vocab, const struct pm_sample_row *row, struct pm_mem *out, struct pm_err *e)
{
	const struct pm_kernel *k = pm_kernel(d, "sample", "sample_row", defines(d), e);
	struct pm_launch l = grid(d, rows, 8.0 * (double)rows * (double)vocab);
	uint32_t *how = pm_alloc((size_t)rows * HOW, sizeof *how, e);
	struct pm_mem *mhow = NULL, *mseen = NULL, *w = NULL;
	unsigned char *mark = pm_alloc((size_t)vocab / 8 + 1, 1, e);
	int32_t *list = NULL;
	int64_t n, seen = 1, r;
	int result = -1;

	for (r = 0; r < rows; r++) {
		seen += (int64_t)row[r].nseen;
		if (how)
			settings(how + r * HOW, &row[r]);
	}
	list = pm_alloc((size_t)seen, sizeof *list, e);
	if (!k || !how || !mark || !list)
		goto out;
	n = unique(list, how, rows, vocab, row, mark, e);
	if (n < 0 || pm_mem_new(&w, d, (size_t)(rows * vocab) * 4, e) < 0 || pm_mem_new(&mhow, d, (size_t)rows * HOW * 4, e) < 0 ||
	    pm_mem_new(&mseen, d, (size_t)(n ? n : 1) * 4, e) < 0 || pm_mem_write(mhow, 0, how, (size_t)rows * HOW * 4, e) < 0 ||
	    pm_mem_write(mseen, 0, list, (size_t)(n ? n : 1) * 4, e) < 0 ||
	    PM_LAUNCH(k, l, e, PM_MEM(out), PM_MEM(w), PM_MEM(logits), PM_MEM(mhow), PM_MEM(mseen), PM_I64(vocab),
		PM_LOCAL(GROUP * 4), PM_LOCAL(GROUP * 4)) < 0)
		goto out;
	result = pm_dev_finish(d, e);
out:
	pm_mem_free(w);
	pm_mem_free(mhow);
	pm_mem_free(mseen);
	free(how);
	free(mark);
	free(list);
	return result;
}

int pm_sample(struct pm_dev *d, struct pm_mem *logits, int64_t rows, int64_t vocab, const struct pm_sample_row *how, int32_t *ids, struct pm_err *e)
{
	struct pm_mem *out = NULL;
	bool plain = true;
	int64_t r;
	int result;

	for (r = 0; r < rows; r++)
		plain = plain && !(how[r].temperature > 0) && (how[r].penalty == 1 || how[r].nseen == 0);
	if (pm_mem_new(&out, d, (size_t)rows * 4, e) < 0)
		return -1;
	result = plain ? greedy(d, logits, rows, vocab, out, e) : drawn(d, logits, rows, vocab, how, out, e);
	if (result == 0)
		result = pm_mem_read(out, 0, ids, (size_t)rows * 4, e);
	pm_mem_free(out);
	for (r = 0; result == 0 && r < rows; r++)
		if (ids[r] < 0)
			result = pm_fail(e, PM_DATA, "logits of row %lld are not finite", (long long)r);
	return result;
}
