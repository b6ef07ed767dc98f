/* woven.c: a model's weights laid anew for products of few rows (pm_op_weaves). */
#include <string.h>

#include "model/model.h"

#define PAGES ((uint64_t)64 << 20)      /* bytes of files that are read before their pages are given back */
#define CHUNK ((uint64_t)256 << 20)     /* bytes of woven weights that lie together, where no weight is larger */

/* Whether it is multiplied with in decoding, and to be woven for that now. */
static bool weaves(const struct pm_model *m, const struct pm_weight *w, bool floats)
{
	const int64_t matrices = w->spec->experts ? w->spec->experts : 1;

	return w->mem && !w->woven && (floats || !pm_dtype_plain(w->type)) && pm_op_weaves(m->dev, w->type, w->cols) && !w->spec->transposed &&
		(matrices == 1 || w->rows / matrices % PM_WOVEN_ROWS == 0) && (!strcmp(w->spec->use, "linear") || (m->spec->tied && !strcmp(w->spec->role, "text.embed")));
}

/* Bytes of a weight woven, up to where the next one may begin. */
static uint64_t woven_bytes(const struct pm_model *m, const struct pm_weight *w, bool floats)
{
	const uint64_t align = pm_dev_info(m->dev)->align > 128 ? pm_dev_info(m->dev)->align : 128;

	return weaves(m, w, floats) ? (pm_woven_bytes(w->type, w->rows, w->cols) + align - 1) / align * align : 0;
}

/* Gives back the pages of files that were read. */
static int unload(const struct pm_model *m, uint64_t *pages, struct pm_err *e)
{
	if (pm_dev_finish(m->dev, e) < 0)
		return -1;
	if (m->store)
		pm_store_unload(m->store);
	*pages = 0;
	return 0;
}

/* Room for woven weights from w on: many together, which take large pages, so that the system has few to find and to clear. */
static int new_chunk(struct pm_model *m, const struct pm_weight *w, bool floats, struct pm_err *e)
{
	const struct pm_weight *end = m->weight + m->nweights;
	uint64_t bytes = woven_bytes(m, w, floats);

	while (++w < end && bytes + woven_bytes(m, w, floats) <= CHUNK)
		bytes += woven_bytes(m, w, floats);
	if (pm_grow(&m->chunk, &m->cap_chunks, m->nchunks + 1, sizeof *m->chunk, e) < 0 || pm_mem_new(&m->chunk[m->nchunks], m->dev, bytes, e) < 0)
		return -1;
	m->nchunks++;
	return 0;
}

/* Weaves w at byte *at of the last chunk, or at the beginning of a new one: 1, or 0 where it can't be. */
static int weave_one(struct pm_model *m, struct pm_weight *w, bool floats, uint64_t *at, struct pm_err *e)
{
	const uint64_t bytes = woven_bytes(m, w, floats);
	int r;

	if (!m->nchunks || *at + bytes > pm_mem_size(m->chunk[m->nchunks - 1])) {
		if (new_chunk(m, w, floats, e) < 0)
			return -1;
		*at = 0;
	}
	if (pm_mem_part(&w->woven, m->chunk[m->nchunks - 1], *at, pm_woven_bytes(w->type, w->rows, w->cols), e) < 0)
		return -1;
	r = pm_weave(w->woven, w->mem, w->type, w->rows, w->cols, e);
	if (r > 0) {
		*at += bytes;
		return 1;
	}
	pm_mem_free(w->woven);
	w->woven = NULL;
	return r;
}

/* Weaves all that has to be; the number of weights. */
static int weave_all(struct pm_model *m, bool floats, struct pm_err *e)
{
	struct pm_weight *w, *end = m->weight + m->nweights;
	bool refused[PM_DTYPES] = {false};      /* one could not be: of the others of its type it is to be expected */
	uint64_t pages = 0, at = m->nchunks ? pm_mem_size(m->chunk[m->nchunks - 1]) : 0;
	int r, n = 0;

	if (floats && unload(m, &pages, e) < 0) /* prompts may have read all of it */
		return -1;
	for (w = m->weight; w < end; w++) {
		if (!weaves(m, w, floats) || refused[w->type])
			continue;
		r = weave_one(m, w, floats, &at, e);
		if (r < 0)
			return pm_ctx(e, "tensor '%s'", w->name);
		refused[w->type] = r == 0;
		n += r;
		pages += r ? pm_mem_size(w->mem) : 0;
		if (pages >= PAGES && unload(m, &pages, e) < 0)
			return -1;
	}
	if (m->nchunks && at == 0)
		pm_mem_free(m->chunk[--m->nchunks]);
	return unload(m, &pages, e) < 0 ? -1 : n;
}

int pm_model_weave(struct pm_model *m, bool floats, struct pm_err *e)
{
	const uint64_t memory = pm_dev_info(m->dev)->memory, held = pm_dev_held(m->dev);
	uint64_t bytes = 0;
	size_t i;
	int r;

	if (m->woven[floats] || m->exact)
		return 0;
	m->woven[false] = true;
	m->woven[floats] = true;
	for (i = 0; i < m->nweights; i++)
		bytes += woven_bytes(m, &m->weight[i], floats);
	if (!bytes || held > memory || bytes > memory - held)
		return 0;
	r = weave_all(m, floats, e);
	return r < 0 ? pm_ctx(e, "%s", m->dir) : r > 0;
}
