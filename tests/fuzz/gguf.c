/* A GGUF file: opened as a store, every key read and made JSON, every tensor's numbers decoded; written anew, it says the same. */
#include "fuzz.h"
#include "base/mem.h"
#include "io/store.h"
#include "quant/quant.h"

static int ignore(void *arg, uint64_t i, const char *s, size_t n, struct pm_err *e)
{
	(void)i;
	(void)e;
	*(size_t *)arg += n ? (size_t)(unsigned char)s[n - 1] : 1;
	return 0;
}

/* Blocks of whatever bytes become numbers of some kind. */
static void decode(const struct pm_view *v)
{
	const struct pm_dtype_info *t = pm_dtype(v->type);
	size_t blocks = v->bytes / (size_t)t->bytes, n = (blocks > 16 ? 16 : blocks) * (size_t)t->block, at = 0;
	struct pm_err e;
	float *f = pm_alloc(n, sizeof *f, &e);

	must(f != NULL);
	pm_quant_to_f32(f, v->data, v->type, n);
	must(pm_quant_finite(v->data, v->type, n, &at) || at < n);
	free(f);
}

/* Keys and tensors of another file put into one of ours. */
static void again(const struct pm_gguf *g)
{
	const char *path = fuzz_file("y.gguf", "", 0);
	struct pm_gguf_writer *w = NULL;
	struct pm_gguf *h = NULL;
	struct pm_err e;
	size_t i;
	int r = pm_gguf_alignment(g) > 65536 ? -1 : pm_gguf_begin(&w, path, pm_gguf_alignment(g), &e);

	if (r < 0)
		return;
	for (i = 0; i < pm_gguf_keys(g); i++)
		must(pm_gguf_put_key(w, pm_gguf_key_at(g, i), &e) == 0);
	for (i = 0; i < pm_gguf_count(g); i++)
		must(pm_gguf_declare(w, pm_gguf_at(g, i)->name, pm_gguf_at(g, i)->type, pm_gguf_at(g, i)->nd, pm_gguf_at(g, i)->dim, &e) == 0);
	for (i = 0; i < pm_gguf_count(g); i++)
		must(pm_gguf_put(w, pm_gguf_at(g, i)->data, pm_gguf_at(g, i)->bytes, &e) == 0);
	must(pm_gguf_end(w, &e) == 0 && pm_gguf_open(&h, path, &e) == 0);
	must(pm_gguf_keys(h) == pm_gguf_keys(g) && pm_gguf_count(h) == pm_gguf_count(g) && pm_gguf_alignment(h) == pm_gguf_alignment(g));
	for (i = 0; i < pm_gguf_keys(g); i++) {
		const struct pm_gguf_key *a = pm_gguf_key_at(g, i), *b = pm_gguf_key_at(h, i);

		must(!strcmp(a->name, b->name) && a->type == b->type && a->item == b->item && a->count == b->count && a->bytes == b->bytes &&
			!memcmp(a->data, b->data, a->bytes));
	}
	for (i = 0; i < pm_gguf_count(g); i++) {
		const struct pm_view *a = pm_gguf_at(g, i), *b = pm_gguf_at(h, i);

		must(!strcmp(a->name, b->name) && a->type == b->type && a->nd == b->nd && a->bytes == b->bytes && !memcmp(a->data, b->data, a->bytes));
	}
	pm_gguf_close(h);
}

static int parse_gguf(const uint8_t *data, size_t size, struct pm_err *e)
{
	struct pm_err quiet = {.text = ""};
	struct pm_store *s = NULL;
	const struct pm_gguf *g;
	size_t i, sum = 0;

	if (pm_store_open(&s, fuzz_file("x.gguf", data, size), e) < 0)
		return -1;
	g = pm_store_gguf(s);
	for (i = 0; i < pm_store_count(s); i++) {
		const struct pm_view *v = pm_store_at(s, i);

		must(pm_store_find(s, v->name) == v && pm_store_file_of(s, v) != NULL && v->bytes > 0);
		decode(v);
	}
	for (i = 0; i < pm_gguf_keys(g); i++) {
		const struct pm_gguf_key *k = pm_gguf_key_at(g, i);
		int64_t n;
		double d;
		bool b;

		must(pm_gguf_key(g, k->name) == k);
		must(k->item == PM_GGUF_STRING ? pm_gguf_strings(k, ignore, &sum, &quiet) == 0 : pm_gguf_strings(k, ignore, &sum, &quiet) < 0);
		pm_gguf_int(&n, k, k->count - 1, &quiet);
		pm_gguf_real(&d, k, 0, &quiet);
		must(pm_gguf_bool(&b, k, k->count, &quiet) < 0);
	}
	json_decref(pm_gguf_json(g, 4096, &quiet));
	again(g);
	pm_store_close(s);
	return 0;
}

FUZZ(parse_gguf)
