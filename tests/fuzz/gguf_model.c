/* A GGUF file as a model: keys through its architecture's program, tensors held against what the family wants; and as an adapter for the small
 * llama of tests/golden: every value read. */
#include "fuzz.h"
#include "spec/peft.h"

static int parse_gguf_model(const uint8_t *data, size_t size, struct pm_err *e)
{
	static struct pm_spec *llama;   /* read once */
	const char *path = fuzz_file("x.gguf", data, size);
	struct pm_err quiet = {.text = ""};
	struct pm_store *s = NULL;
	struct pm_spec *spec = NULL;
	struct pm_peft *p = NULL;
	size_t i;
	int r;

	must(llama || pm_spec_load(&llama, "tests/golden/fixtures/llama/base", "share", NULL, NULL, e) == 0);
	if (pm_peft_open(&p, path, llama, &quiet) == 0) {
		for (i = 0; i < p->nmodules; i++) {
			float *a = malloc((size_t)(p->module[i].r * p->module[i].in) * sizeof *a), *b = malloc((size_t)(p->module[i].r * p->module[i].out) * sizeof *b);

			must(a && b && pm_lora_values(p, i, 0, a, &quiet) == 0 && pm_lora_values(p, i, 1, b, &quiet) == 0);
			free(a);
			free(b);
		}
		pm_peft_free(p);
	} else {
		must_say(-1, &quiet);
	}
	r = pm_store_open(&s, path, e);
	if (r == 0)
		r = pm_spec_load(&spec, path, "share", NULL, s, e);
	if (r == 0) {
		must(spec->from_gguf && spec->config && spec->generation);
		r = pm_spec_check(spec, s, e);
	}
	pm_spec_free(spec);
	pm_store_close(s);
	return r;
}

FUZZ(parse_gguf_model)
