#include "quant/imatrix.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "io/gguf.h"

static void entry_free(struct pm_imatrix_entry *t)
{
	free(t->name);
	free(t->sum2);
	free(t->counts);
}

void pm_imatrix_free(struct pm_imatrix *m)
{
	size_t i;

	for (i = 0; i < m->n; i++)
		entry_free(&m->entry[i]);
	for (i = 0; i < m->n_datasets; i++)
		free(m->datasets[i]);
	free(m->entry);
	free(m->datasets);
	free(m->model);
	*m = (struct pm_imatrix){0};
}

/* Where a name is, or belongs. */
static size_t place(const struct pm_imatrix *m, const char *name, bool *there)
{
	size_t lo = 0, hi = m->n, mid;
	int c;

	*there = false;
	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		c = strcmp(m->entry[mid].name, name);
		if (c == 0) {
			*there = true;
			return mid;
		}
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct pm_imatrix_entry *pm_imatrix_find(const struct pm_imatrix *m, const char *name)
{
	bool there;
	size_t i = place(m, name, &there);

	return there ? &m->entry[i] : NULL;
}

int pm_imatrix_add(struct pm_imatrix_entry **out, struct pm_imatrix *m, const char *name, size_t cols, size_t experts, struct pm_err *e)
{
	struct pm_imatrix_entry t = {.cols = cols, .experts = experts};
	bool there;
	size_t i = place(m, name, &there);

	if (there) {
		*out = &m->entry[i];
		if ((*out)->cols != cols || (*out)->experts != experts)
			return pm_fail(e, PM_DATA, "importance of '%.200s': %zu × %zu values, and %zu × %zu", name, (*out)->experts, (*out)->cols, experts, cols);
		return 0;
	}
	if (!cols || !experts || cols > SIZE_MAX / sizeof(float) / experts)
		return pm_fail(e, PM_DATA, "importance of '%.200s': %zu × %zu values", name, experts, cols);
	t.name = pm_strdup(name, e);
	t.sum2 = pm_alloc(cols * experts, sizeof *t.sum2, e);
	t.counts = pm_alloc(experts, sizeof *t.counts, e);
	if (!t.name || !t.sum2 || !t.counts || pm_grow(&m->entry, &m->cap, m->n + 1, sizeof *m->entry, e) < 0) {
		entry_free(&t);
		return -1;
	}
	memmove(m->entry + i + 1, m->entry + i, (m->n - i) * sizeof *m->entry);
	m->entry[i] = t;
	m->n++;
	*out = &m->entry[i];
	return 0;
}

int pm_imatrix_dataset(struct pm_imatrix *m, const char *name, size_t n, struct pm_err *e)
{
	size_t i;

	for (i = 0; i < m->n_datasets; i++)
		if (strlen(m->datasets[i]) == n && !memcmp(m->datasets[i], name, n))
			return 0;
	if (pm_grow(&m->datasets, &m->datasets_cap, m->n_datasets + 1, sizeof *m->datasets, e) < 0)
		return -1;
	m->datasets[m->n_datasets] = pm_strndup(name, n, e);
	return m->datasets[m->n_datasets] ? (m->n_datasets++, 0) : -1;
}

/* Values finite and not below 0. */
static int sane(const char *name, const float *v, size_t n, struct pm_err *e)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!isfinite(v[i]) || v[i] < 0)
			return pm_fail(e, PM_DATA, "importance of '%.200s': value %zu is %g, a finite number not below 0 was wanted", name, i, (double)v[i]);
	return 0;
}

static int read_tensor(struct pm_imatrix *m, const struct pm_gguf *g, const struct pm_view *v, struct pm_err *e)
{
	size_t n = strlen(v->name), experts, cols = v->bytes / 4;
	struct pm_imatrix_entry *t;
	const struct pm_view *c;
	char *name;
	int r = -1;

	if (n > 7 && !strcmp(v->name + n - 7, ".counts"))
		return 0;
	if (n <= 8 || strcmp(v->name + n - 8, ".in_sum2") || v->type != PM_F32 || !v->bytes)
		return pm_fail(e, PM_DATA, "tensor '%.200s': NAME.in_sum2 or NAME.counts of type f32 was wanted", v->name);
	name = pm_alloc(n + 1, 1, e);
	if (!name)
		return -1;
	memcpy(name, v->name, n - 8);
	memcpy(name + n - 8, ".counts", 8);
	c = pm_gguf_find(g, name);
	experts = c ? c->bytes / 4 : 0;
	name[n - 8] = 0;
	if (!c || c->type != PM_F32 || !experts || cols % experts || (v->nd > 1 && v->dim[v->nd - 1] != cols / experts))
		pm_fail(e, PM_DATA, "tensor '%.200s': no tensor of counts that goes with it", v->name);
	else if (pm_imatrix_add(&t, m, name, cols / experts, experts, e) == 0) {
		memcpy(t->sum2, v->data, v->bytes);
		memcpy(t->counts, c->data, c->bytes);
		r = sane(name, t->sum2, cols, e) < 0 || sane(name, t->counts, experts, e) < 0 ? -1 : 0;
	}
	free(name);
	return r;
}

static int put_dataset(void *arg, uint64_t i, const char *s, size_t n, struct pm_err *e)
{
	(void)i;
	return pm_imatrix_dataset(arg, s, n, e);
}

static int number(uint32_t *out, const struct pm_gguf *g, const char *name, struct pm_err *e)
{
	const struct pm_gguf_key *k = pm_gguf_key(g, name);
	int64_t v;

	if (!k)
		return pm_fail(e, PM_DATA, "key '%s' is not there", name);
	if (pm_gguf_int(&v, k, 0, e) < 0)
		return -1;
	if (v < 0 || v > UINT32_MAX)
		return pm_fail(e, PM_DATA, "key '%s' is %lld", name, (long long)v);
	*out = (uint32_t)v;
	return 0;
}

static int read_gguf(struct pm_imatrix *m, const char *path, struct pm_err *e)
{
	const struct pm_gguf_key *k;
	struct pm_gguf *g;
	const char *s;
	size_t i, n;
	int r = 0;

	if (pm_gguf_open(&g, path, e) < 0)
		return -1;
	k = pm_gguf_key(g, "general.type");
	if (!k || k->type != PM_GGUF_STRING || pm_gguf_string(&s, &n, k, e) < 0 || n != 7 || memcmp(s, "imatrix", 7))
		r = pm_fail(e, PM_DATA, "general.type = 'imatrix' was wanted: this is no importance matrix");
	if (!r)
		r = number(&m->chunks, g, "imatrix.chunk_count", e) < 0 || number(&m->chunk_size, g, "imatrix.chunk_size", e) < 0 ? -1 : 0;
	if (!r && !m->chunk_size)
		r = pm_fail(e, PM_DATA, "key 'imatrix.chunk_size' is 0");
	k = pm_gguf_key(g, "pm.model");
	if (!r && k)
		r = pm_gguf_string(&s, &n, k, e) < 0 || !(m->model = pm_strndup(s, n, e)) ? -1 : 0;
	k = pm_gguf_key(g, "imatrix.datasets");
	if (!r && k)
		r = pm_gguf_strings(k, put_dataset, m, e);
	for (i = 0; i < pm_gguf_count(g) && !r; i++)
		r = read_tensor(m, g, pm_gguf_at(g, i), e);
	pm_gguf_close(g);
	return r < 0 ? pm_ctx(e, "%s", path) : 0;
}

/* The old form, byte by byte. */
struct reader {
	const unsigned char *p, *end;
};

static int get(struct reader *r, int32_t *v, const char *what, struct pm_err *e)
{
	if (r->end - r->p < 4)
		return pm_fail(e, PM_DATA, "ends before %s", what);
	memcpy(v, r->p, 4);
	r->p += 4;
	return 0;
}

static int read_entry(struct pm_imatrix *m, struct reader *r, int32_t at, struct pm_err *e)
{
	struct pm_imatrix_entry *t;
	int32_t len = 0, calls = 0, n = 0;
	char *name;
	size_t had = m->n;
	int s;

	if (get(r, &len, "a name's length", e) < 0)
		return -1;
	if (len <= 0 || len > 65535 || r->end - r->p < len || memchr(r->p, 0, (size_t)len))
		return pm_fail(e, PM_DATA, "entry %d: its name has %d bytes", at, len);
	name = pm_strndup((const char *)r->p, (size_t)len, e);
	if (!name)
		return -1;
	r->p += len;
	s = get(r, &calls, "the number of calls", e) < 0 || get(r, &n, "the number of values", e) < 0 ? -1 : 0;
	if (!s && (calls < 0 || n <= 0 || (r->end - r->p) / 4 < n))
		s = pm_fail(e, PM_DATA, "'%.200s': %d calls, %d values, and %td bytes are left", name, calls, n, r->end - r->p);
	if (!s)
		s = pm_imatrix_add(&t, m, name, (size_t)n, 1, e);
	if (!s && m->n == had)
		s = pm_fail(e, PM_DATA, "'%.200s' stands there twice", name);
	if (!s) {
		memcpy(t->sum2, r->p, (size_t)n * 4);
		t->counts[0] = (float)calls;
		r->p += (size_t)n * 4;
		s = sane(name, t->sum2, (size_t)n, e);
	}
	free(name);
	return s;
}

static int read_old(struct pm_imatrix *m, const struct pm_map *map, struct pm_err *e)
{
	int32_t n = 0, i, chunks = 0, len = 0;
	struct reader r;

	if (!map->size)
		return pm_fail(e, PM_DATA, "no importance matrix: an empty file");
	r = (struct reader){map->data, map->data + map->size};
	if (get(&r, &n, "the number of entries", e) < 0)
		return -1;
	if (n <= 0 || (size_t)n > map->size / 16)
		return pm_fail(e, PM_DATA, "no importance matrix: neither GGUF nor a list (%d entries in %zu bytes)", n, map->size);
	for (i = 0; i < n; i++)
		if (read_entry(m, &r, i, e) < 0)
			return -1;
	if (r.p == r.end)                               /* the oldest files end here */
		return 0;
	if (get(&r, &chunks, "the number of chunks", e) < 0 || get(&r, &len, "the data set's name", e) < 0)
		return -1;
	if (chunks < 0 || len < 0 || r.end - r.p != len)
		return pm_fail(e, PM_DATA, "%d chunks, a data set's name of %d bytes, and %td bytes are left", chunks, len, r.end - r.p);
	m->chunks = (uint32_t)chunks;
	return len ? pm_imatrix_dataset(m, (const char *)r.p, (size_t)len, e) : 0;
}

int pm_imatrix_open(struct pm_imatrix *m, const char *path, struct pm_err *e)
{
	struct pm_map map;
	int r;

	*m = (struct pm_imatrix){0};
	if (pm_map_open(&map, path, e) < 0)
		return -1;
	if (map.size >= 4 && !memcmp(map.data, "GGUF", 4))
		r = read_gguf(m, path, e);
	else
		r = read_old(m, &map, e) < 0 ? pm_ctx(e, "%s", path) : 0;
	pm_map_close(&map);
	if (r < 0)
		pm_imatrix_free(m);
	return r;
}

/* An entry of an old file, with its values spread over experts and its chunks counted as tokens. */
static int merge_entry(struct pm_imatrix *into, const struct pm_imatrix_entry *f, float scale, struct pm_err *e)
{
	struct pm_imatrix_entry *t = pm_imatrix_find(into, f->name);
	size_t i, n = f->cols * f->experts;

	if (!t && pm_imatrix_add(&t, into, f->name, f->cols, f->experts, e) < 0)
		return -1;
	if (t->cols * t->experts != n || (t->experts != f->experts && f->experts != 1))
		return pm_fail(e, PM_DATA, "importance of '%.200s': %zu × %zu values, and %zu × %zu", f->name, t->experts, t->cols, f->experts, f->cols);
	for (i = 0; i < n; i++)
		t->sum2[i] += f->sum2[i] * scale;
	for (i = 0; i < t->experts; i++)
		t->counts[i] += f->counts[f->experts == 1 ? 0 : i] * scale;
	return 0;
}

int pm_imatrix_merge(struct pm_imatrix *into, const struct pm_imatrix *from, struct pm_err *e)
{
	float scale = from->chunk_size ? 1 : (float)into->chunk_size;
	size_t i;

	if (!into->n && !into->chunk_size)
		into->chunk_size = from->chunk_size;
	if (from->chunk_size && into->chunk_size != from->chunk_size)
		return pm_fail(e, PM_DATA, "chunks of %u tokens, and of %u", into->chunk_size, from->chunk_size);
	if (scale == 0)                                 /* two old files */
		scale = 1;
	for (i = 0; i < from->n; i++)
		if (merge_entry(into, &from->entry[i], scale, e) < 0)
			return -1;
	for (i = 0; i < from->n_datasets; i++)
		if (pm_imatrix_dataset(into, from->datasets[i], strlen(from->datasets[i]), e) < 0)
			return -1;
	into->chunks += from->chunks;
	return 0;
}

/* Each entry's two tensors: declared, or their bytes put. */
static int put_entries(const struct pm_imatrix *m, struct pm_gguf_writer *w, bool bytes, struct pm_err *e)
{
	size_t i, k;

	for (i = 0; i < m->n; i++) {
		const struct pm_imatrix_entry *t = &m->entry[i];

		for (k = 0; k < 2; k++) {
			const uint64_t dim[2] = {t->experts, k ? 1 : t->cols};
			size_t n = t->experts * (size_t)dim[1];
			char *name;
			int r;

			if (bytes) {
				if (pm_gguf_put(w, k ? t->counts : t->sum2, n * 4, e) < 0)
					return -1;
				continue;
			}
			name = pm_alloc(strlen(t->name) + 16, 1, e);
			if (!name)
				return -1;
			snprintf(name, strlen(t->name) + 16, "%s.%s", t->name, k ? "counts" : "in_sum2");
			r = pm_gguf_declare(w, name, PM_F32, t->experts > 1 ? 2 : 1, t->experts > 1 ? dim : dim + 1, e);
			free(name);
			if (r < 0)
				return -1;
		}
	}
	return 0;
}

static int wants_size(const struct pm_imatrix *m, struct pm_err *e)
{
	return m->chunk_size ? 0 : pm_fail(e, PM_USAGE, "an importance matrix of the old form does not say how many tokens a chunk had: it cannot be written alone");
}

int pm_imatrix_write(const struct pm_imatrix *m, const char *path, struct pm_err *e)
{
	struct pm_gguf_writer *w;
	size_t i, *n;
	int r = -1;

	if (wants_size(m, e) < 0 || pm_gguf_begin(&w, path, 0, e) < 0)
		return -1;
	n = pm_alloc(m->n_datasets, sizeof *n, e);
	for (i = 0; n && i < m->n_datasets; i++)
		n[i] = strlen(m->datasets[i]);
	if (n && pm_gguf_put_string(w, "general.type", "imatrix", 7, e) == 0 &&
		pm_gguf_put_strings(w, "imatrix.datasets", (const char *const *)m->datasets, n, m->n_datasets, e) == 0 &&
		pm_gguf_put_int(w, "imatrix.chunk_count", PM_GGUF_U32, m->chunks, e) == 0 &&
		pm_gguf_put_int(w, "imatrix.chunk_size", PM_GGUF_U32, m->chunk_size, e) == 0 &&
		(!m->model || pm_gguf_put_string(w, "pm.model", m->model, strlen(m->model), e) == 0))
		r = put_entries(m, w, false, e) < 0 ? -1 : put_entries(m, w, true, e);
	free(n);
	if (r < 0) {
		pm_gguf_abort(w);
		return -1;
	}
	return pm_gguf_end(w, e);
}

static int put(struct pm_out *o, size_t v, struct pm_err *e)
{
	int32_t i = (int32_t)v;

	return v > INT32_MAX ? pm_fail(e, PM_DATA, "%zu does not fit the old form", v) : pm_out_write(o, &i, 4, e);
}

static int put_old(struct pm_out *o, const struct pm_imatrix *m, const struct pm_imatrix_entry *t, struct pm_err *e)
{
	size_t len = strlen(t->name), x, i, calls;
	float most = 0, *v = pm_alloc(t->cols, sizeof *v, e);
	int r;

	for (x = 0; x < t->experts; x++)
		most = fmaxf(most, t->counts[x]);
	calls = (size_t)ceilf(fminf(most, 1e15f) / (float)m->chunk_size);
	r = !v || put(o, len, e) < 0 || pm_out_write(o, t->name, len, e) < 0 || put(o, calls, e) < 0 || put(o, t->cols * t->experts, e) < 0 ? -1 : 0;
	for (x = 0; x < t->experts && !r; x++) {
		r = pm_imatrix_importance(v, t, t->cols, t->experts, x, e);
		for (i = 0; i < t->cols; i++)
			v[i] *= (float)calls;
		r = r < 0 ? -1 : pm_out_write(o, v, t->cols * 4, e);
	}
	free(v);
	return r;
}

int pm_imatrix_write_old(const struct pm_imatrix *m, const char *path, struct pm_err *e)
{
	const char *set = m->n_datasets ? m->datasets[m->n_datasets - 1] : "";
	struct pm_out o = {0};
	size_t i;
	int r;

	if (wants_size(m, e) < 0 || pm_out_open(&o, path, e) < 0)
		return -1;
	r = put(&o, m->n, e);
	for (i = 0; i < m->n && !r; i++)
		r = put_old(&o, m, &m->entry[i], e);
	if (r < 0 || put(&o, m->chunks, e) < 0 || put(&o, strlen(set), e) < 0 || pm_out_write(&o, set, strlen(set), e) < 0) {
		pm_out_abort(&o);
		return -1;
	}
	return pm_out_close(&o, e);
}

int pm_imatrix_importance(float *out, const struct pm_imatrix_entry *t, size_t cols, size_t experts, size_t expert, struct pm_err *e)
{
	size_t i, n = t->cols * t->experts;
	float count;

	if (!cols || n / cols != experts || n % cols || (t->experts != experts && t->experts != 1) || expert >= experts)
		return pm_fail(e, PM_DATA, "importance of '%.200s': %zu × %zu values, %zu × %zu were wanted", t->name, t->experts, t->cols, experts, cols);
	count = t->counts[t->experts == 1 ? 0 : expert];
	for (i = 0; i < cols; i++)
		out[i] = count > 0 ? t->sum2[expert * cols + i] / count : 1;
	return 0;
}
