/* An adapter: adapter_config.json (up to the first 0 byte) and adapter_model.safetensors (what follows it). For the small llama of tests/golden (nothing
 * follows: the weights that are there), or, where the first byte is M, Q or G and is left out, for a model with experts: pairs an expert, or one for all. */
#include "fuzz.h"
#include "spec/peft.h"

#define SIZES "\"hidden_size\":4,\"num_attention_heads\":2,\"num_key_value_heads\":1,\"head_dim\":2,\"intermediate_size\":2,\"num_hidden_layers\":1,\"vocab_size\":5"

static const char *const experts[] = {
	"M{\"model_type\":\"mixtral\"," SIZES ",\"num_local_experts\":2,\"num_experts_per_tok\":2,\"sliding_window\":null}",
	"Q{\"model_type\":\"qwen3_moe\"," SIZES ",\"num_experts\":2,\"num_experts_per_tok\":1,\"moe_intermediate_size\":2,\"norm_topk_prob\":true}",
	"G{\"model_type\":\"gpt_oss\"," SIZES ",\"num_local_experts\":2,\"num_experts_per_tok\":1}",
};

/* The model that the first byte names; read once. */
static const struct pm_spec *model_of(char c)
{
	static struct pm_spec *spec[4];
	struct pm_err e = {.text = ""};
	int i;

	for (i = 0; i < 3 && c != experts[i][0];)
		i++;
	if (!spec[i])
		must_say(pm_spec_load(&spec[i], i < 3 ? fuzz_file("config.json", experts[i] + 1, strlen(experts[i] + 1)) : "tests/golden/fixtures/llama/base", "share",
			NULL, NULL, &e), &e);
	must(spec[i]);
	return spec[i];
}

/* It has what it was matched with, and its values can be read. */
static void check_module(const struct pm_peft *p, size_t i)
{
	const struct pm_lora_module *m = &p->module[i];
	struct pm_err e = {.text = ""};
	int which;

	must(m->a && m->r >= 0 && m->experts >= 0 && (m->kind != PM_ADAPT_LORA || (m->b && m->r > 0)));
	for (which = 0; which < (m->kind == PM_ADAPT_LORA ? 2 : 1); which++) {
		const int64_t n = pm_lora_count(m, which);
		float *v;

		must(n > 0);
		v = pm_alloc((size_t)n, sizeof *v, &e);
		must(v && pm_lora_values(p, i, which, v, &e) == 0);
		free(v);
	}
}

static int parse_peft(const uint8_t *data, size_t size, struct pm_err *e)
{
	static const char adapter[] = "tests/golden/fixtures/llama/base/lora/init/adapter_model.safetensors";
	const bool with = size && (*data == 'M' || *data == 'Q' || *data == 'G');
	const struct pm_spec *spec = model_of(with ? (char)*data : 0);
	struct pm_str weights = {0};
	struct pm_peft *p = NULL;
	struct two in = split(data + with, size - with);
	size_t i;
	int r;

	if (!in.nb) {
		must(pm_read_file(&weights, adapter, e) == 0);
		in.b = weights.data;
		in.nb = weights.len;
	}
	fuzz_file("adapter_config.json", in.a, in.na);
	fuzz_file("adapter_model.safetensors", in.b, in.nb);
	r = pm_peft_open(&p, fuzz_tmp, spec, e);
	for (i = 0; r == 0 && i < p->nmodules; i++)
		check_module(p, i);
	if (r == 0)
		pm_peft_free(p);
	pm_str_free(&weights);
	return r;
}

FUZZ(parse_peft)
