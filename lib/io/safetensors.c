#include "io/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define MAX_HEADER 100000000u   /* as the reference implementation */
#define ALIGN 64                /* where a file's data start, and what we pad headers to */

struct pm_safetensors {
	struct pm_map map;
	json_t *header;
	struct pm_view *view;           /* in the header's order; names point into it */
	const struct pm_view **sorted;  /* by name */
	size_t n;
};

static uint64_t u64_le(const unsigned char *p)
{
	uint64_t v = 0;
	int i;

	for (i = 7; i >= 0; i--)
		v = v << 8 | p[i];
	return v;
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(const struct pm_view *const *)a)->name, (*(const struct pm_view *const *)b)->name);
}

static int by_place(const void *a, const void *b)
{
	const struct pm_view *x = *(const struct pm_view *const *)a, *y = *(const struct pm_view *const *)b;

	if (x->data != y->data)
		return x->data < y->data ? -1 : 1;
	return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

static int read_shape(struct pm_view *v, uint64_t *count, const json_t *shape, struct pm_err *e)
{
	bool none = false;
	size_t i;

	if (!json_is_array(shape))
		return pm_fail(e, PM_DATA, "its shape is no list");
	if (json_array_size(shape) > PM_MAX_DIMS)
		return pm_fail(e, PM_DATA, "%zu dimensions, at most %d are read", json_array_size(shape), PM_MAX_DIMS);
	v->nd = (int)json_array_size(shape);
	*count = 1;
	for (i = 0; i < json_array_size(shape); i++) {
		const json_t *d = json_array_get(shape, i);

		if (!json_is_integer(d) || json_integer_value(d) < 0)
			return pm_fail(e, PM_DATA, "dimension %zu of its shape is no size", i);
		v->dim[i] = (uint64_t)json_integer_value(d);
		if (!v->dim[i])
			none = true;
		else if (*count > INT64_MAX / v->dim[i])
			return pm_fail(e, PM_DATA, "its shape multiplies to more than 2^63 elements");
		else
			*count *= v->dim[i];
	}
	if (none)
		*count = 0;
	return 0;
}

static int read_entry(struct pm_view *v, const json_t *o, const unsigned char *data, size_t size, struct pm_err *e)
{
	const json_t *dtype = json_object_get(o, "dtype"), *at = json_object_get(o, "data_offsets");
	json_int_t from, to;
	uint64_t count = 0;
	size_t bytes;

	if (!json_is_object(o))
		return pm_fail(e, PM_DATA, "an object was wanted");
	if (json_object_size(o) != 3 || !json_is_string(dtype) || !at || !json_object_get(o, "shape"))
		return pm_fail(e, PM_DATA, "an object of dtype, shape and data_offsets was wanted");
	v->type = pm_dtype_by_safetensors(json_string_value(dtype));
	if (v->type == PM_DTYPE_NONE)
		return pm_fail(e, PM_DATA, "unknown dtype '%.40s'", json_string_value(dtype));
	if (read_shape(v, &count, json_object_get(o, "shape"), e) < 0)
		return -1;
	if (json_array_size(at) != 2 || !json_is_integer(json_array_get(at, 0)) || !json_is_integer(json_array_get(at, 1)))
		return pm_fail(e, PM_DATA, "its data_offsets are no two integers");
	from = json_integer_value(json_array_get(at, 0));
	to = json_integer_value(json_array_get(at, 1));
	if (from < 0 || to < from)
		return pm_fail(e, PM_DATA, "its bytes end (%lld) before they begin (%lld)", (long long)to, (long long)from);
	if ((uint64_t)to > size)
		return pm_fail(e, PM_DATA, "its bytes end at %lld of the data, which are %zu", (long long)to, size);
	bytes = pm_dtype_bytes(v->type, count);
	if (bytes != (size_t)(to - from))
		return pm_fail(e, PM_DATA, "its shape and dtype want %zu bytes, its data_offsets give %lld", bytes, (long long)(to - from));
	v->data = data + from;
	v->bytes = bytes;
	return 0;
}

static int check_metadata(const json_t *m, struct pm_err *e)
{
	const char *key;
	json_t *v;

	if (!json_is_object(m))
		return pm_fail(e, PM_DATA, "__metadata__ is no object");
	json_object_foreach((json_t *)(size_t)m, key, v)
		if (!json_is_string(v))
			return pm_fail(e, PM_DATA, "__metadata__: '%.200s' is no string", key);
	return 0;
}

/* Every byte of the data belongs to one tensor. */
static int check_places(const struct pm_view **order, size_t n, const unsigned char *data, size_t size, struct pm_err *e)
{
	const unsigned char *end = data;
	size_t i;

	qsort(order, n, sizeof *order, by_place);
	for (i = 0; i < n; i++) {
		if (order[i]->data < end)
			return pm_fail(e, PM_DATA, "tensor '%.200s': its bytes overlap those of '%.200s'", order[i]->name, order[i - 1]->name);
		if (order[i]->data > end)
			return pm_fail(e, PM_DATA, "tensor '%.200s': %zu bytes before it belong to no tensor", order[i]->name,
				(size_t)(order[i]->data - end));
		end += order[i]->bytes;
	}
	if (end != data + size)
		return pm_fail(e, PM_DATA, "%zu bytes at the end belong to no tensor%s%.200s%s", (size_t)(data + size - end),
			n ? " (the last is '" : "", n ? order[n - 1]->name : "", n ? "')" : "");
	return 0;
}

static int read_header(struct pm_safetensors *s, struct pm_err *e)
{
	const unsigned char *p = s->map.data, *data;
	uint64_t n;
	const char *key;
	json_t *v;

	if (s->map.size < 8)
		return pm_fail(e, PM_DATA, "%zu bytes are too few for a safetensors file", s->map.size);
	n = u64_le(p);
	if (n > MAX_HEADER)
		return pm_fail(e, PM_DATA, "no safetensors file: a header of %llu bytes, at most %u are allowed", (unsigned long long)n, MAX_HEADER);
	if (n > s->map.size - 8)
		return pm_fail(e, PM_DATA, "cut short: the header has %llu bytes, the file %zu", (unsigned long long)n, s->map.size);
	if (!n || p[8] != '{')
		return pm_fail(e, PM_DATA, "no safetensors file: its header does not begin with '{'");
	data = p + 8 + n;
	s->header = pm_json_parse((const char *)p + 8, n, "header", e);
	if (!s->header)
		return -1;
	s->view = pm_alloc(json_object_size(s->header), sizeof *s->view, e);
	s->sorted = pm_alloc(json_object_size(s->header), sizeof *s->sorted, e);
	if (!s->view || !s->sorted)
		return -1;
	json_object_foreach(s->header, key, v) {
		if (!strcmp(key, "__metadata__")) {
			if (check_metadata(v, e) < 0)
				return -1;
			continue;
		}
		s->view[s->n].name = key;
		if (read_entry(&s->view[s->n], v, data, s->map.size - 8 - n, e) < 0)
			return pm_ctx(e, "tensor '%.200s'", key);
		s->sorted[s->n] = &s->view[s->n];
		s->n++;
	}
	if (check_places(s->sorted, s->n, data, s->map.size - 8 - n, e) < 0)
		return -1;
	qsort(s->sorted, s->n, sizeof *s->sorted, by_name);
	return 0;
}

int pm_safetensors_open(struct pm_safetensors **out, const char *path, struct pm_err *e)
{
	struct pm_safetensors *s = pm_alloc(1, sizeof *s, e);

	if (!s)
		return -1;
	if (pm_map_open(&s->map, path, e) < 0)
		goto fail;
	if (read_header(s, e) < 0) {
		pm_ctx(e, "%s", path);
		goto fail;
	}
	*out = s;
	return 0;
fail:
	pm_safetensors_close(s);
	return -1;
}

size_t pm_safetensors_count(const struct pm_safetensors *s)
{
	return s->n;
}

const struct pm_view *pm_safetensors_at(const struct pm_safetensors *s, size_t i)
{
	return &s->view[i];
}

const struct pm_view *pm_view_find(const struct pm_view *const *sorted, size_t n, const char *name)
{
	struct pm_view key = {.name = name};
	const struct pm_view *k = &key, *const *hit = bsearch(&k, sorted, n, sizeof *sorted, by_name);

	return hit ? *hit : NULL;
}

void pm_view_sort(const struct pm_view **views, size_t n)
{
	qsort(views, n, sizeof *views, by_name);
}

const struct pm_view *pm_safetensors_find(const struct pm_safetensors *s, const char *name)
{
	return pm_view_find(s->sorted, s->n, name);
}

const json_t *pm_safetensors_metadata(const struct pm_safetensors *s)
{
	return json_object_get(s->header, "__metadata__");
}

void pm_safetensors_unload(const struct pm_safetensors *s)
{
	pm_map_unload(&s->map);
}

void pm_safetensors_close(struct pm_safetensors *s)
{
	if (!s)
		return;
	free(s->view);
	free(s->sorted);
	json_decref(s->header);
	pm_map_close(&s->map);
	free(s);
}

/* ---- writing ---- */

struct pm_st_writer {
	struct pm_out out;
	json_t *header;
	uint64_t declared, put;
	bool begun;                     /* the header is written */
};

int pm_st_begin(struct pm_st_writer **out, const char *path, const json_t *metadata, struct pm_err *e)
{
	struct pm_st_writer *w;

	if (metadata && check_metadata(metadata, e) < 0)
		return pm_ctx(e, "%s", path);
	w = pm_alloc(1, sizeof *w, e);
	if (!w)
		return -1;
	w->header = json_object();
	if (!w->header || (metadata && json_object_set_new(w->header, "__metadata__", json_deep_copy(metadata)) < 0)) {
		pm_fail(e, PM_SOFTWARE, "%s: out of memory", path);
		goto fail;
	}
	if (pm_out_open(&w->out, path, e) < 0)
		goto fail;
	*out = w;
	return 0;
fail:
	pm_st_abort(w);
	return -1;
}

int pm_st_declare(struct pm_st_writer *w, const char *name, enum pm_dtype type, int nd, const uint64_t *dim, struct pm_err *e)
{
	const char *dtype = pm_dtype(type)->safetensors;
	json_t *shape = json_array(), *entry;
	uint64_t count = 1;
	size_t bytes;
	int i;

	for (i = 0; i < nd; i++) {
		if (dim[i] && count > INT64_MAX / dim[i])
			break;
		count *= dim[i];
		json_array_append_new(shape, json_integer((json_int_t)dim[i]));
	}
	bytes = dtype && i == nd ? pm_dtype_bytes(type, count) : SIZE_MAX;
	if (w->begun || !strcmp(name, "__metadata__") || json_object_get(w->header, name) || bytes > INT64_MAX - w->declared) {
		json_decref(shape);
		return pm_fail(e, PM_SOFTWARE, "%s: tensor '%.200s': %s", w->out.path, name, w->begun ? "declared after the first bytes" :
			json_object_get(w->header, name) ? "declared twice" : "its name, type or size cannot be stored");
	}
	entry = json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtype, "shape", shape, "data_offsets", (json_int_t)w->declared,
		(json_int_t)(w->declared + bytes));
	if (!entry || json_object_set_new(w->header, name, entry) < 0)
		return pm_fail(e, PM_SOFTWARE, "%s: tensor '%.200s': cannot be declared", w->out.path, name);
	w->declared += bytes;
	return 0;
}

static int write_header(struct pm_st_writer *w, struct pm_err *e)
{
	struct pm_str s = {0};
	unsigned char length[8];
	int i, r;

	w->begun = true;
	r = pm_json_text(&s, w->header, e);
	while (r == 0 && (s.len + 8) % ALIGN)
		r = pm_str_put(&s, " ", 1, e);
	for (i = 0; i < 8; i++)
		length[i] = (unsigned char)((uint64_t)s.len >> 8 * i);
	if (r == 0 && s.len > MAX_HEADER)
		r = pm_fail(e, PM_SOFTWARE, "%s: a header of %zu bytes, at most %u are allowed", w->out.path, s.len, MAX_HEADER);
	if (r == 0)
		r = pm_out_write(&w->out, length, 8, e);
	if (r == 0)
		r = pm_out_write(&w->out, s.data, s.len, e);
	pm_str_free(&s);
	return r;
}

int pm_st_put(struct pm_st_writer *w, const void *bytes, size_t n, struct pm_err *e)
{
	if (!w->begun && write_header(w, e) < 0)
		return -1;
	if (n > w->declared - w->put)
		return pm_fail(e, PM_SOFTWARE, "%s: more bytes than the %llu declared", w->out.path, (unsigned long long)w->declared);
	w->put += n;
	return pm_out_write(&w->out, bytes, n, e);
}

int pm_st_end(struct pm_st_writer *w, struct pm_err *e)
{
	int r = w->begun ? 0 : write_header(w, e);

	if (r == 0 && w->put != w->declared)
		r = pm_fail(e, PM_SOFTWARE, "%s: %llu bytes of the %llu declared were written", w->out.path, (unsigned long long)w->put,
			(unsigned long long)w->declared);
	if (r == 0)
		r = pm_out_close(&w->out, e);
	pm_st_abort(w);
	return r;
}

void pm_st_abort(struct pm_st_writer *w)
{
	if (!w)
		return;
	pm_out_abort(&w->out);
	json_decref(w->header);
	free(w);
}
