/* An adapter for the small llama of tests/golden: adapter_config.json (up to the first 0 byte) and adapter_model.safetensors
 * (what follows it; nothing: the one that is there). */
#include "fuzz.h"
#include "spec/peft.h"

static int parse_peft(const uint8_t *data, size_t size, struct pm_err *e)
{
	static const char model[] = "tests/golden/fixtures/llama/base", adapter[] = "tests/golden/fixtures/llama/base/lora/init/adapter_model.safetensors";
	struct pm_str weights = {0};
	static struct pm_spec *spec;  /* read once */
	struct pm_peft *p = NULL;
	struct two in = split(data, size);
	size_t i;
	int r;

	must(spec || pm_spec_load(&spec, model, "share", NULL, NULL, e) == 0);
	if (!in.nb) {
		must(pm_read_file(&weights, adapter, e) == 0);
		in.b = weights.data;
		in.nb = weights.len;
	}
	fuzz_file("adapter_config.json", in.a, in.na);
	fuzz_file("adapter_model.safetensors", in.b, in.nb);
	r = pm_peft_open(&p, fuzz_tmp, spec, e);
	for (i = 0; r == 0 && i < p->nmodules; i++)
		must(p->module[i].a && p->module[i].r >= 0 && (p->module[i].kind != PM_ADAPT_LORA || (p->module[i].b && p->module[i].r > 0)));
	if (r == 0)
		pm_peft_free(p);
	pm_str_free(&weights);
	return r;
}

FUZZ(parse_peft)
