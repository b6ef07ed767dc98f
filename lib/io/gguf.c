/* gguf.c: reading: the header is walked once, every length held against what is left of the file before it is used. */
#include "io/gguf.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/gguf_bytes.h"

#define MAX_HEADER ((size_t)256 << 20)  /* of keys and tensor infos: a vocabulary of a quarter million tokens takes 10 MB */
#define MAX_NAME 65535u                 /* as the format says */
#define MAX_DIMS 4u                     /* ggml's */
#define MIN_KEY 13u                     /* bytes of the shortest key: a length, no name, a type, one byte */
#define MIN_INFO 24u                    /* and of a tensor without a name or dimensions */

struct pm_gguf {
	struct pm_map map;
	struct pm_arena names;
	uint32_t version;
	uint64_t alignment;
	struct pm_gguf_key *key;                /* in the file's order */
	const struct pm_gguf_key **key_sorted;  /* by name */
	size_t nkeys;
	struct pm_view *view;
	const struct pm_view **sorted;
	size_t n;
};

/* What is left of the header. */
struct cursor {
	const unsigned char *p;
	size_t left;
};

static int short_of(const struct cursor *c, const char *what, struct pm_err *e)
{
	return pm_fail(e, PM_DATA, "cut short: %s goes beyond the end (%zu bytes are left)", what, c->left);
}

static int take(struct cursor *c, const unsigned char **out, uint64_t n, const char *what, struct pm_err *e)
{
	*out = c->p;
	if (n > c->left)
		return short_of(c, what, e);
	c->p += n;
	c->left -= (size_t)n;
	return 0;
}

static int take_u32(struct cursor *c, uint32_t *v, const char *what, struct pm_err *e)
{
	const unsigned char *p;

	if (take(c, &p, 4, what, e) < 0)
		return -1;
	*v = (uint32_t)pm_gguf_load(p, 4);
	return 0;
}

static int take_u64(struct cursor *c, uint64_t *v, const char *what, struct pm_err *e)
{
	const unsigned char *p;

	if (take(c, &p, 8, what, e) < 0)
		return -1;
	*v = pm_gguf_load(p, 8);
	return 0;
}

/* A name: UTF-8, not empty, no NUL in it; copied so that it ends with one. */
static int take_name(struct pm_gguf *g, struct cursor *c, const char **out, struct pm_err *e)
{
	const unsigned char *p;
	uint64_t n;
	char *s;

	if (take_u64(c, &n, "a name's length", e) < 0)
		return -1;
	if (n > MAX_NAME)
		return pm_fail(e, PM_DATA, "a name of %llu bytes, at most %u are allowed", (unsigned long long)n, MAX_NAME);
	if (take(c, &p, n, "a name", e) < 0)
		return -1;
	if (!n || memchr(p, 0, (size_t)n))
		return pm_fail(e, PM_DATA, n ? "a name with a NUL in it" : "an empty name");
	if (pm_gguf_utf8((const char *)p, (size_t)n) != n)
		return pm_fail(e, PM_DATA, "a name that is no UTF-8");
	s = pm_arena_alloc(&g->names, (size_t)n + 1, 1, e);
	if (!s)
		return -1;
	memcpy(s, p, (size_t)n);
	*out = s;
	return 0;
}

static int take_strings(struct cursor *c, uint64_t count, struct pm_err *e)
{
	const unsigned char *p;
	uint64_t i, n;

	if (count > c->left / 8)
		return short_of(c, "its list of strings", e);
	for (i = 0; i < count; i++)
		if (take_u64(c, &n, "a string's length", e) < 0 || take(c, &p, n, "a string", e) < 0)
			return -1;
	return 0;
}

static int take_value(struct cursor *c, struct pm_gguf_key *k, struct pm_err *e)
{
	const unsigned char *start, *p;
	size_t size;
	uint32_t t;
	uint64_t i;

	if (take_u32(c, &t, "its type", e) < 0)
		return -1;
	if (t >= PM_GGUF_TYPES)
		return pm_fail(e, PM_DATA, "unknown type %u", t);
	k->type = k->item = (enum pm_gguf_type)t;
	k->count = 1;
	if (k->type == PM_GGUF_ARRAY) {
		if (take_u32(c, &t, "its elements' type", e) < 0 || take_u64(c, &k->count, "its count", e) < 0)
			return -1;
		if (t >= PM_GGUF_TYPES || t == PM_GGUF_ARRAY)
			return pm_fail(e, PM_DATA, t == PM_GGUF_ARRAY ? "a list of lists" : "a list of unknown type %u", t);
		k->item = (enum pm_gguf_type)t;
	}
	start = c->p;
	size = pm_gguf_size(k->item);
	if (k->item == PM_GGUF_STRING) {
		if (take_strings(c, k->count, e) < 0)
			return -1;
	} else {
		if (k->count > c->left / size)
			return short_of(c, "its value", e);
		take(c, &p, k->count * size, "its value", e);
	}
	k->data = start;
	k->bytes = (size_t)(c->p - start);
	for (i = 0; k->item == PM_GGUF_BOOL && i < k->count; i++)
		if (start[i] > 1)
			return pm_fail(e, PM_DATA, "a truth value of %u", start[i]);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(const struct pm_gguf_key *const *)a)->name, (*(const struct pm_gguf_key *const *)b)->name);
}

static int read_keys(struct pm_gguf *g, struct cursor *c, uint64_t count, struct pm_err *e)
{
	size_t cap = 0, i;

	if (count > c->left / MIN_KEY)
		return pm_fail(e, PM_DATA, "%llu keys are more than the %zu bytes left can hold", (unsigned long long)count, c->left);
	for (i = 0; i < count; i++) {
		struct pm_gguf_key k = {0};

		if (take_name(g, c, &k.name, e) < 0)
			return pm_ctx(e, "key %zu of %llu", i, (unsigned long long)count);
		if (take_value(c, &k, e) < 0)
			return pm_ctx(e, "key '%.200s'", k.name);
		if (pm_grow(&g->key, &cap, i + 1, sizeof *g->key, e) < 0)
			return -1;
		g->key[g->nkeys++] = k;
	}
	g->key_sorted = pm_alloc(g->nkeys, sizeof *g->key_sorted, e);
	if (!g->key_sorted)
		return -1;
	for (i = 0; i < g->nkeys; i++)
		g->key_sorted[i] = &g->key[i];
	qsort(g->key_sorted, g->nkeys, sizeof *g->key_sorted, by_name);
	for (i = 1; i < g->nkeys; i++)
		if (!strcmp(g->key_sorted[i]->name, g->key_sorted[i - 1]->name))
			return pm_fail(e, PM_DATA, "key '%.200s': is there twice", g->key_sorted[i]->name);
	return 0;
}

static int read_alignment(struct pm_gguf *g, struct pm_err *e)
{
	const struct pm_gguf_key *k = pm_gguf_key(g, "general.alignment");

	g->alignment = PM_GGUF_ALIGN;
	if (!k)
		return 0;
	if (k->type != PM_GGUF_U32)
		return pm_fail(e, PM_DATA, "key '%s': type u32 was wanted, not %s", k->name, pm_gguf_type_name(k->type));
	g->alignment = pm_gguf_load(k->data, 4);
	if (!g->alignment || g->alignment & (g->alignment - 1))
		return pm_fail(e, PM_DATA, "key '%s': %llu is no power of two", k->name, (unsigned long long)g->alignment);
	return 0;
}

/* Dimensions come fastest first and are kept outermost first; one without any has one element. */
static int read_dims(struct pm_view *v, uint64_t *count, struct cursor *c, struct pm_err *e)
{
	uint64_t dim[MAX_DIMS];
	uint32_t nd, i;

	if (take_u32(c, &nd, "its number of dimensions", e) < 0)
		return -1;
	if (nd > MAX_DIMS)
		return pm_fail(e, PM_DATA, "%u dimensions, at most %u are allowed", nd, MAX_DIMS);
	*count = 1;
	for (i = 0; i < nd; i++) {
		if (take_u64(c, &dim[i], "its dimensions", e) < 0)
			return -1;
		if (!dim[i] || *count > INT64_MAX / dim[i])
			return pm_fail(e, PM_DATA, dim[i] ? "its dimensions multiply to more than 2^63 elements" : "dimension %u is 0", i);
		*count *= dim[i];
	}
	v->nd = (int)nd;
	for (i = 0; i < nd; i++)
		v->dim[i] = dim[nd - 1 - i];
	return 0;
}

/* The offset is left in *at; where data begin is not known yet. */
static int read_info(struct pm_view *v, uint64_t *at, struct cursor *c, uint64_t alignment, struct pm_err *e)
{
	uint64_t count = 0;
	uint32_t t;
	int block;

	if (read_dims(v, &count, c, e) < 0 || take_u32(c, &t, "its type", e) < 0 || take_u64(c, at, "its offset", e) < 0)
		return -1;
	v->type = pm_dtype_by_gguf(t);
	if (v->type == PM_DTYPE_NONE)
		return pm_fail(e, PM_DATA, "unknown type %u", t);
	block = pm_dtype(v->type)->block;
	if ((v->nd ? v->dim[v->nd - 1] : 1) % (uint64_t)block)
		return pm_fail(e, PM_DATA, "its rows of %llu are no whole number of %s's blocks of %d", (unsigned long long)(v->nd ? v->dim[v->nd - 1] : 1),
			pm_dtype(v->type)->name, block);
	v->bytes = pm_dtype_bytes(v->type, count);
	if (v->bytes == SIZE_MAX)
		return pm_fail(e, PM_DATA, "its size is more than 2^64 bytes");
	if (*at % alignment)
		return pm_fail(e, PM_DATA, "its offset %llu is no multiple of the alignment %llu", (unsigned long long)*at, (unsigned long long)alignment);
	return 0;
}

/* Data begin at the next multiple of the alignment; a file without tensors may end before it. */
static int place(struct pm_gguf *g, const uint64_t *at, const struct cursor *c, struct pm_err *e)
{
	size_t end = (size_t)(c->p - g->map.data), start = end + (size_t)((g->alignment - end % g->alignment) % g->alignment), size, i;

	if (!g->n)
		return 0;
	if (start > g->map.size)
		return pm_fail(e, PM_DATA, "cut short: data would begin at %zu, the file has %zu bytes", start, g->map.size);
	size = g->map.size - start;
	for (i = 0; i < g->n; i++) {
		struct pm_view *v = &g->view[i];

		if (at[i] > size || v->bytes > size - at[i])
			return pm_fail(e, PM_DATA, "tensor '%.200s': its %zu bytes at %llu end beyond the data, which are %zu", v->name, v->bytes,
				(unsigned long long)at[i], size);
		v->data = g->map.data + start + at[i];
	}
	return 0;
}

static int by_place(const void *a, const void *b)
{
	const struct pm_view *x = *(const struct pm_view *const *)a, *y = *(const struct pm_view *const *)b;

	return x->data < y->data ? -1 : x->data > y->data;
}

static int check_tensors(struct pm_gguf *g, struct pm_err *e)
{
	size_t i;

	qsort(g->sorted, g->n, sizeof *g->sorted, by_place);
	for (i = 1; i < g->n; i++)
		if (g->sorted[i]->data < g->sorted[i - 1]->data + g->sorted[i - 1]->bytes)
			return pm_fail(e, PM_DATA, "tensor '%.200s': its bytes overlap those of '%.200s'", g->sorted[i]->name, g->sorted[i - 1]->name);
	pm_view_sort(g->sorted, g->n);
	for (i = 1; i < g->n; i++)
		if (!strcmp(g->sorted[i]->name, g->sorted[i - 1]->name))
			return pm_fail(e, PM_DATA, "tensor '%.200s': is there twice", g->sorted[i]->name);
	return 0;
}

static int read_tensors(struct pm_gguf *g, struct cursor *c, uint64_t count, struct pm_err *e)
{
	size_t cap = 0, at_cap = 0, i;
	uint64_t *at = NULL;
	int r = 0;

	if (count > c->left / MIN_INFO)
		return pm_fail(e, PM_DATA, "%llu tensors are more than the %zu bytes left can hold", (unsigned long long)count, c->left);
	for (i = 0; r == 0 && i < count; i++) {
		struct pm_view v = {0};
		uint64_t offset = 0;

		r = take_name(g, c, &v.name, e);
		if (r < 0)
			pm_ctx(e, "tensor %zu of %llu", i, (unsigned long long)count);
		else if ((r = read_info(&v, &offset, c, g->alignment, e)) < 0)
			pm_ctx(e, "tensor '%.200s'", v.name);
		else
			r = pm_grow(&g->view, &cap, i + 1, sizeof *g->view, e) < 0 ? -1 : pm_grow(&at, &at_cap, i + 1, sizeof *at, e);
		if (r == 0) {
			at[i] = offset;
			g->view[g->n++] = v;
		}
	}
	if (r == 0)
		r = place(g, at, c, e);
	free(at);
	if (r < 0)
		return -1;
	g->sorted = pm_alloc(g->n, sizeof *g->sorted, e);
	if (!g->sorted)
		return -1;
	for (i = 0; i < g->n; i++)
		g->sorted[i] = &g->view[i];
	return check_tensors(g, e);
}

static int read_file(struct pm_gguf *g, struct pm_err *e)
{
	struct cursor c = {g->map.data, g->map.size < MAX_HEADER ? g->map.size : MAX_HEADER};
	uint64_t tensors, keys;

	if (c.left < 8 || memcmp(c.p, "GGUF", 4))
		return pm_fail(e, PM_DATA, "no GGUF file: it does not begin with 'GGUF' and a version");
	g->version = (uint32_t)pm_gguf_load(c.p + 4, 4);
	if (g->version < 2 || g->version > 3)
		return pm_fail(e, PM_DATA, g->version && !(g->version & 0xffff) ? "a big-endian file, only little-endian ones are read" :
			"version %u, only 2 and 3 are read", g->version);
	c.p += 8;
	c.left -= 8;
	if (take_u64(&c, &tensors, "the number of tensors", e) < 0 || take_u64(&c, &keys, "the number of keys", e) < 0)
		return -1;
	if (read_keys(g, &c, keys, e) < 0 || read_alignment(g, e) < 0)
		return -1;
	return read_tensors(g, &c, tensors, e);
}

int pm_gguf_open(struct pm_gguf **out, const char *path, struct pm_err *e)
{
	struct pm_gguf *g = pm_alloc(1, sizeof *g, e);
	int r;

	if (!g)
		return -1;
	r = pm_map_open(&g->map, path, e);
	if (r == 0 && (r = read_file(g, e)) < 0)
		pm_ctx(e, "%s", path);
	if (r < 0)
		pm_gguf_close(g);
	else
		*out = g;
	return r;
}

void pm_gguf_unload(const struct pm_gguf *g)
{
	pm_map_unload(&g->map);
}

void pm_gguf_close(struct pm_gguf *g)
{
	if (!g)
		return;
	free(g->key);
	free(g->key_sorted);
	free(g->view);
	free(g->sorted);
	pm_arena_free(&g->names);
	pm_map_close(&g->map);
	free(g);
}

uint32_t pm_gguf_version(const struct pm_gguf *g)
{
	return g->version;
}

uint64_t pm_gguf_alignment(const struct pm_gguf *g)
{
	return g->alignment;
}

size_t pm_gguf_file_size(const struct pm_gguf *g)
{
	return g->map.size;
}

size_t pm_gguf_offset(const struct pm_gguf *g, const struct pm_view *v)
{
	return (size_t)(v->data - g->map.data);
}

size_t pm_gguf_keys(const struct pm_gguf *g)
{
	return g->nkeys;
}

const struct pm_gguf_key *pm_gguf_key_at(const struct pm_gguf *g, size_t i)
{
	return &g->key[i];
}

const struct pm_gguf_key *pm_gguf_key(const struct pm_gguf *g, const char *name)
{
	struct pm_gguf_key key = {.name = name};
	const struct pm_gguf_key *k = &key, *const *hit = bsearch(&k, g->key_sorted, g->nkeys, sizeof *g->key_sorted, by_name);

	return hit ? *hit : NULL;
}

size_t pm_gguf_count(const struct pm_gguf *g)
{
	return g->n;
}

const struct pm_view *pm_gguf_at(const struct pm_gguf *g, size_t i)
{
	return &g->view[i];
}

const struct pm_view *pm_gguf_find(const struct pm_gguf *g, const char *name)
{
	return pm_view_find(g->sorted, g->n, name);
}
