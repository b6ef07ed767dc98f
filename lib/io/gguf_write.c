/* gguf_write.c: the header is gathered in memory and written before the first byte of data. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/gguf.h"
#include "io/gguf_bytes.h"

struct name {
	size_t at;                      /* where in the header it stands, after its length */
	const char *s;                  /* set when all are there */
	size_t n;
};

struct names {
	struct name *v;
	size_t n, cap;
};

struct pm_gguf_writer {
	struct pm_out out;
	uint64_t alignment;
	bool alignment_put;             /* as a key of the caller's */
	struct pm_str keys, infos;      /* as they will stand in the file */
	struct names key, tensor;
	uint64_t *bytes;                /* of each tensor */
	size_t bytes_cap;
	uint64_t declared;              /* padded */
	size_t current;                 /* the tensor that is being written */
	uint64_t put;                   /* bytes of it so far */
	bool begun;
};

static int put_number(struct pm_str *s, uint64_t v, int n, struct pm_err *e)
{
	unsigned char b[8];

	pm_gguf_save(b, v, n);
	return pm_str_put(s, b, (size_t)n, e);
}

static int put_text(struct pm_str *s, const char *text, size_t n, struct pm_err *e)
{
	return put_number(s, n, 8, e) < 0 ? -1 : pm_str_put(s, text, n, e);
}

static int put_name(struct pm_gguf_writer *w, struct pm_str *to, struct names *names, const char *what, const char *name, struct pm_err *e)
{
	size_t n = strlen(name);

	if (w->begun)
		return pm_fail(e, PM_SOFTWARE, "%s: %s '%.200s': declared after the first bytes", w->out.path, what, name);
	if (!n || n > 65535 || pm_gguf_utf8(name, n) != n)
		return pm_fail(e, PM_USAGE, "%s: %s '%.200s': a name of 1 to 65535 bytes of UTF-8 was wanted", w->out.path, what, name);
	if (pm_grow(&names->v, &names->cap, names->n + 1, sizeof *names->v, e) < 0)
		return -1;
	names->v[names->n++] = (struct name){.at = to->len + 8, .n = n};
	return put_text(to, name, n, e);
}

static int put_key(struct pm_gguf_writer *w, const char *key, enum pm_gguf_type type, struct pm_err *e)
{
	return put_name(w, &w->keys, &w->key, "key", key, e) < 0 ? -1 : put_number(&w->keys, type, 4, e);
}

int pm_gguf_begin(struct pm_gguf_writer **out, const char *path, uint64_t alignment, struct pm_err *e)
{
	struct pm_gguf_writer *w;

	alignment = alignment ? alignment : PM_GGUF_ALIGN;
	if (alignment & (alignment - 1) || alignment > UINT32_MAX)
		return pm_fail(e, PM_USAGE, "%s: alignment %llu is no power of two below 2^32", path, (unsigned long long)alignment);
	w = pm_alloc(1, sizeof *w, e);
	if (!w)
		return -1;
	w->alignment = alignment;
	if (pm_out_open(&w->out, path, e) < 0) {
		pm_gguf_abort(w);
		return -1;
	}
	*out = w;
	return 0;
}

/* The caller's own general.alignment keeps its place, and has to say what is done. */
static int put_alignment(struct pm_gguf_writer *w, enum pm_gguf_type type, uint64_t v, struct pm_err *e)
{
	if (type != PM_GGUF_U32 || v != w->alignment)
		return pm_fail(e, PM_USAGE, "%s: key 'general.alignment': u32 %llu was wanted", w->out.path, (unsigned long long)w->alignment);
	w->alignment_put = true;
	return 0;
}

int pm_gguf_put_int(struct pm_gguf_writer *w, const char *key, enum pm_gguf_type type, int64_t v, struct pm_err *e)
{
	size_t size = pm_gguf_size(type);
	bool sign = type == PM_GGUF_I8 || type == PM_GGUF_I16 || type == PM_GGUF_I32 || type == PM_GGUF_I64, fits;

	if (!size || type == PM_GGUF_F32 || type == PM_GGUF_F64)
		return pm_fail(e, PM_SOFTWARE, "%s: key '%.200s': %s is no integer type", w->out.path, key, pm_gguf_type_name(type));
	if (size == 8)
		fits = sign || v >= 0;
	else if (type == PM_GGUF_BOOL)
		fits = v == 0 || v == 1;
	else
		fits = sign ? v >= -(INT64_C(1) << (8 * size - 1)) && v < INT64_C(1) << (8 * size - 1) : v >= 0 && v < INT64_C(1) << 8 * size;
	if (!fits)
		return pm_fail(e, PM_USAGE, "%s: key '%.200s': %lld does not fit in %s", w->out.path, key, (long long)v, pm_gguf_type_name(type));
	if (!strcmp(key, "general.alignment") && put_alignment(w, type, (uint64_t)v, e) < 0)
		return -1;
	return put_key(w, key, type, e) < 0 ? -1 : put_number(&w->keys, (uint64_t)v, (int)size, e);
}

int pm_gguf_put_real(struct pm_gguf_writer *w, const char *key, enum pm_gguf_type type, double v, struct pm_err *e)
{
	float f = (float)v;
	uint64_t bits = 0;
	uint32_t low;

	if (type != PM_GGUF_F32 && type != PM_GGUF_F64)
		return pm_fail(e, PM_SOFTWARE, "%s: key '%.200s': %s is no type of reals", w->out.path, key, pm_gguf_type_name(type));
	if (type == PM_GGUF_F32 && isfinite(v) && !isfinite(f))
		return pm_fail(e, PM_USAGE, "%s: key '%.200s': %g does not fit in f32", w->out.path, key, v);
	memcpy(&bits, &v, 8);
	memcpy(&low, &f, 4);
	if (put_key(w, key, type, e) < 0)
		return -1;
	return put_number(&w->keys, type == PM_GGUF_F32 ? low : bits, (int)pm_gguf_size(type), e);
}

int pm_gguf_put_string(struct pm_gguf_writer *w, const char *key, const char *s, size_t n, struct pm_err *e)
{
	return put_key(w, key, PM_GGUF_STRING, e) < 0 ? -1 : put_text(&w->keys, s, n, e);
}

static int put_list(struct pm_gguf_writer *w, const char *key, enum pm_gguf_type item, uint64_t count, struct pm_err *e)
{
	if (put_key(w, key, PM_GGUF_ARRAY, e) < 0 || put_number(&w->keys, item, 4, e) < 0)
		return -1;
	return put_number(&w->keys, count, 8, e);
}

int pm_gguf_put_array(struct pm_gguf_writer *w, const char *key, enum pm_gguf_type item, const void *items, uint64_t count, struct pm_err *e)
{
	size_t size = pm_gguf_size(item);

	if (!size || count > SIZE_MAX / size)
		return pm_fail(e, PM_SOFTWARE, "%s: key '%.200s': a list of %s cannot be put so", w->out.path, key, pm_gguf_type_name(item));
	return put_list(w, key, item, count, e) < 0 ? -1 : pm_str_put(&w->keys, items, (size_t)count * size, e);
}

int pm_gguf_put_strings(struct pm_gguf_writer *w, const char *key, const char *const *s, const size_t *n, uint64_t count, struct pm_err *e)
{
	uint64_t i;
	int r = put_list(w, key, PM_GGUF_STRING, count, e);

	for (i = 0; r == 0 && i < count; i++)
		r = put_text(&w->keys, s[i], n ? n[i] : strlen(s[i]), e);
	return r;
}

int pm_gguf_put_key(struct pm_gguf_writer *w, const struct pm_gguf_key *k, struct pm_err *e)
{
	if (!strcmp(k->name, "general.alignment") && put_alignment(w, k->type, k->type == PM_GGUF_U32 ? pm_gguf_load(k->data, 4) : 0, e) < 0)
		return -1;
	if (k->type == PM_GGUF_ARRAY ? put_list(w, k->name, k->item, k->count, e) < 0 : put_key(w, k->name, k->type, e) < 0)
		return -1;
	return pm_str_put(&w->keys, k->data, k->bytes, e);
}

static uint64_t padding(const struct pm_gguf_writer *w, uint64_t n)
{
	return (w->alignment - n % w->alignment) % w->alignment;
}

int pm_gguf_declare(struct pm_gguf_writer *w, const char *name, enum pm_dtype type, int nd, const uint64_t *dim, struct pm_err *e)
{
	const struct pm_dtype_info *t = pm_dtype(type);
	uint64_t count = 1;
	size_t bytes;
	int i, r;

	if (t->gguf < 0)
		return pm_fail(e, PM_USAGE, "%s: tensor '%.200s': GGUF has no type for %s", w->out.path, name, t->name);
	if (nd < 0 || nd > 4)
		return pm_fail(e, PM_USAGE, "%s: tensor '%.200s': %d dimensions, at most 4 are allowed", w->out.path, name, nd);
	for (i = 0; i < nd && dim[i] && count <= INT64_MAX / dim[i]; i++)
		count *= dim[i];
	bytes = i == nd ? pm_dtype_bytes(type, count) : SIZE_MAX;
	if (bytes > INT64_MAX - w->declared - w->alignment)
		return pm_fail(e, PM_USAGE, "%s: tensor '%.200s': its dimensions cannot be stored", w->out.path, name);
	if ((nd ? dim[nd - 1] : 1) % (uint64_t)t->block)
		return pm_fail(e, PM_USAGE, "%s: tensor '%.200s': rows of %llu are no whole number of %s's blocks of %d", w->out.path, name,
			(unsigned long long)(nd ? dim[nd - 1] : 1), t->name, t->block);
	r = put_name(w, &w->infos, &w->tensor, "tensor", name, e);
	if (r == 0)
		r = put_number(&w->infos, (uint64_t)nd, 4, e);
	for (i = nd - 1; r == 0 && i >= 0; i--)
		r = put_number(&w->infos, dim[i], 8, e);
	if (r == 0 && put_number(&w->infos, (uint64_t)t->gguf, 4, e) == 0 && put_number(&w->infos, w->declared, 8, e) == 0)
		r = pm_grow(&w->bytes, &w->bytes_cap, w->tensor.n, sizeof *w->bytes, e);
	else
		r = -1;
	if (r < 0)
		return -1;
	w->bytes[w->tensor.n - 1] = bytes;
	w->declared += bytes + padding(w, bytes);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct name *x = a, *y = b;
	int c = memcmp(x->s, y->s, x->n < y->n ? x->n : y->n);

	return c ? c : (x->n > y->n) - (x->n < y->n);
}

static int check_names(const struct pm_gguf_writer *w, const struct names *names, const struct pm_str *in, const char *what, struct pm_err *e)
{
	size_t i;

	for (i = 0; i < names->n; i++)
		names->v[i].s = in->data + names->v[i].at;
	if (names->n)
		qsort(names->v, names->n, sizeof *names->v, by_name);
	for (i = 1; i < names->n; i++)
		if (!by_name(&names->v[i], &names->v[i - 1]))
			return pm_fail(e, PM_USAGE, "%s: %s '%.*s' is there twice", w->out.path, what, names->v[i].n < 200 ? (int)names->v[i].n : 200, names->v[i].s);
	return 0;
}

static int pad(struct pm_gguf_writer *w, uint64_t n, struct pm_err *e)
{
	static const unsigned char zero[4096];
	uint64_t left = padding(w, n), part;

	for (; left; left -= part) {
		part = left < sizeof zero ? left : sizeof zero;
		if (pm_out_write(&w->out, zero, (size_t)part, e) < 0)
			return -1;
	}
	return 0;
}

static int write_header(struct pm_gguf_writer *w, struct pm_err *e)
{
	struct pm_str s = {0};
	bool align = w->alignment != PM_GGUF_ALIGN && !w->alignment_put;
	int r = check_names(w, &w->key, &w->keys, "key", e) < 0 ? -1 : check_names(w, &w->tensor, &w->infos, "tensor", e);

	w->begun = true;
	if (r == 0)
		r = pm_str_puts(&s, "GGUF", e) < 0 || put_number(&s, 3, 4, e) < 0 || put_number(&s, w->tensor.n, 8, e) < 0 ||
			put_number(&s, w->key.n + align, 8, e) < 0 ? -1 : 0;
	if (r == 0 && align)
		r = put_text(&s, "general.alignment", 17, e) < 0 || put_number(&s, PM_GGUF_U32, 4, e) < 0 || put_number(&s, w->alignment, 4, e) < 0 ? -1 : 0;
	if (r == 0)
		r = pm_out_write(&w->out, s.data, s.len, e) < 0 || pm_out_write(&w->out, w->keys.data, w->keys.len, e) < 0 ||
			pm_out_write(&w->out, w->infos.data, w->infos.len, e) < 0 ? -1 : 0;
	if (r == 0)
		r = pad(w, s.len + w->keys.len + w->infos.len, e);
	pm_str_free(&s);
	return r;
}

int pm_gguf_put(struct pm_gguf_writer *w, const void *bytes, size_t n, struct pm_err *e)
{
	const unsigned char *p = bytes;
	uint64_t part;

	if (!w->begun && write_header(w, e) < 0)
		return -1;
	while (n > 0) {
		if (w->current == w->tensor.n)
			return pm_fail(e, PM_SOFTWARE, "%s: more bytes than declared", w->out.path);
		part = w->bytes[w->current] - w->put;
		if (part > n)
			part = n;
		if (pm_out_write(&w->out, p, (size_t)part, e) < 0)
			return -1;
		p += part;
		n -= (size_t)part;
		w->put += part;
		if (w->put == w->bytes[w->current]) {
			if (pad(w, w->put, e) < 0)
				return -1;
			w->current++;
			w->put = 0;
		}
	}
	return 0;
}

int pm_gguf_end(struct pm_gguf_writer *w, struct pm_err *e)
{
	int r = w->begun ? 0 : write_header(w, e);

	if (r == 0 && w->current != w->tensor.n)
		r = pm_fail(e, PM_SOFTWARE, "%s: %zu tensors of the %zu declared were written whole", w->out.path, w->current, w->tensor.n);
	if (r == 0)
		r = pm_out_close(&w->out, e);
	pm_gguf_abort(w);
	return r;
}

void pm_gguf_abort(struct pm_gguf_writer *w)
{
	if (!w)
		return;
	pm_out_abort(&w->out);
	pm_str_free(&w->keys);
	pm_str_free(&w->infos);
	free(w->key.v);
	free(w->tensor.v);
	free(w->bytes);
	free(w);
}
