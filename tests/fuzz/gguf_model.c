/* A GGUF file as a model: keys through its architecture's program, tensors held against what the family wants; and as an adapter for the small
 * llama of tests/golden: every value read. The programs run on one input in sixteen, which its bytes choose, as they take longer than all the rest;
 * what they are given is made of every input. */
#include "fuzz.h"
#include "spec/peft.h"

#ifndef SELDOM
#define SELDOM 16
#endif

static struct pm_spec_programs *programs;    /* compiled once */

static void drop_programs(void)
{
	pm_spec_programs_free(programs);
}

static void read_adapter(const char *path)
{
	static struct pm_spec *llama;   /* read once */
	struct pm_err e = {.text = ""};
	struct pm_peft *p = NULL;
	size_t i;

	must(llama || pm_spec_load(&llama, "tests/golden/fixtures/llama/base", "share", NULL, NULL, &e) == 0);
	if (pm_peft_open(&p, path, llama, &e) < 0) {
		must_say(-1, &e);
		return;
	}
	for (i = 0; i < p->nmodules; i++) {
		float *a = malloc((size_t)pm_lora_count(&p->module[i], 0) * sizeof *a), *b = malloc((size_t)pm_lora_count(&p->module[i], 1) * sizeof *b);

		must(a && b && pm_lora_values(p, i, 0, a, &e) == 0 && pm_lora_values(p, i, 1, b, &e) == 0);
		free(a);
		free(b);
	}
	pm_peft_free(p);
}

static int load_model(const char *path, const struct pm_store *s, struct pm_err *e)
{
	struct pm_spec *spec = NULL;
	int r;

	if (!programs) {
		must(pm_spec_programs_new(&programs, e) == 0);
		atexit(drop_programs);
	}
	r = pm_spec_load_by(&spec, programs, path, "share", NULL, s, e);
	if (r == 0) {
		must(spec->from_gguf && spec->config && spec->generation);
		r = pm_spec_check(spec, s, e);
	}
	pm_spec_free(spec);
	return r;
}

static int parse_gguf_model(const uint8_t *data, size_t size, struct pm_err *e)
{
	const char *path = fuzz_file("x.gguf", data, size);
	struct pm_store *s = NULL;
	json_t *in = NULL;
	uint32_t hash = 0;
	size_t i;
	int r;

	read_adapter(path);
	for (i = 0; i < size; i++)
		hash = hash * 31 + data[i];
	r = pm_store_open(&s, path, e);
	if (r == 0 && !pm_store_gguf(s))
		r = pm_fail(e, PM_DATA, "no GGUF file");
	if (r == 0)
		r = pm_gguf_describe(&in, s, e);
	if (r == 0 && (hash >> 8) % SELDOM == 0)
		r = load_model(path, s, e);
	else if (r == 0)
		r = pm_fail(e, PM_DATA, "not run");
	json_decref(in);
	pm_store_close(s);
	return r;
}

FUZZ(parse_gguf_model)
