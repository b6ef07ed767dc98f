/* A GGUF file: opened as a store, every key as JSON, every tensor's bytes read. */
#include "fuzz.h"
#include "io/store.h"

static int ignore(void *arg, uint64_t i, const char *s, size_t n, struct pm_err *e)
{
	(void)i;
	(void)e;
	*(size_t *)arg += n ? (size_t)(unsigned char)s[n - 1] : 1;
	return 0;
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
		sum += v->data[0] + v->data[v->bytes - 1];
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
	pm_store_close(s);
	return 0;
}

FUZZ(parse_gguf)
