/* golden_gguf: models straight from GGUF files, plain and quantised, against the logits of llama.cpp with the file's numbers as floats (of
 * transformers where llama.cpp's GELU is a table, or its YaRN rounds what the model does not); adapters of both kinds on models of both kinds. */
#include "fixture.h"

#define TOLERANCE 1e-3          /* the collection's */

struct kase {
	char *dir;
	json_t *golden;
	struct pm_safetensors *numbers;
};

/* `file` below the case's folder, a model; `adapter` likewise or NULL; the numbers' name. */
static void compare(const struct kase *k, const char *file, const char *adapter, double scale, const char *name)
{
	const struct pm_view *v = pm_safetensors_find(k->numbers, name);
	char *path = join_path(k->dir, file), *apath = adapter ? join_path(k->dir, adapter) : NULL;
	struct pm_model *m = NULL;
	struct pm_adapters *a = NULL;
	float *l = NULL;
	size_t n = 0;
	double d;

	if (pm_model_open(&m, path, "share", NULL, dev, PM_PREC_F32, PM_WEIGHTS_FROZEN, &err) == 0 &&
	    (!apath || pm_adapters_open(&a, m, 1, (const char *const *)&apath, &scale, &err) == 0))
		l = logits_of(k->golden, m, a, &n);
	d = l && v && n == view_count(v) ? difference(l, v) : INFINITY;
	check(d <= TOLERANCE, "%s%s%s: %s differ by %.1e%s%s", file, adapter ? " with " : "", adapter ? adapter : "", name, d, err.text[0] ? ": " : "", err.text);
	err.text[0] = 0;
	free(l);
	free(path);
	free(apath);
	pm_adapters_free(a);
	pm_model_close(m);
}

static void one_model(const char *name, const char *plain, bool transformers)
{
	struct kase k = {0};
	json_t *quantised, *v;
	const char *q;
	char *p, what[256], file[256];

	snprintf(what, sizeof what, "quant/models/%s", name);
	k.dir = join_path(fixtures(), what);
	p = join_path(k.dir, "golden.json");
	k.golden = pm_exists(p) ? pm_json_file(p, &err) : NULL;
	free(p);
	p = join_path(k.dir, "golden.safetensors");
	if (!k.golden || pm_safetensors_open(&k.numbers, p, &err) < 0) {
		check(0, "%s: %s", name, err.text);
		exit(done());
	}
	free(p);
	compare(&k, plain, NULL, 1, transformers ? "transformers_logits" : "logits");
	quantised = json_object_get(k.golden, "quantised");
	json_object_foreach(quantised, q, v) {
		snprintf(what, sizeof what, "%s.%slogits", q, transformers ? "transformers_" : "");
		snprintf(file, sizeof file, "quantised/%s.gguf", q);
		compare(&k, file, NULL, 1, what);
	}
	if (json_object_get(k.golden, "lora")) {
		compare(&k, plain, "lora/peft", 1, "lora.logits");
		compare(&k, plain, "lora/adapter.f32.gguf", 1, "lora.logits");
		compare(&k, "hf", "lora/peft", 1, "lora.logits");
		compare(&k, "hf", "lora/adapter.f32.gguf", 1, "lora.logits");
		compare(&k, plain, "lora/adapter.f32.gguf", 0.5, "lora.scale0.5.logits");
		compare(&k, "quantised/Q8_0.gguf", "lora/adapter.f32.gguf", 1, "lora.on.Q8_0.logits");
		compare(&k, "quantised/Q8_0.gguf", "lora/peft", 1, "lora.on.Q8_0.logits");
	}
	free(k.dir);
	json_decref(k.golden);
	pm_safetensors_close(k.numbers);
}

int main(void)
{
	if (!golden_dir()) {
		skip("golden data is not there");
		return done();
	}
	if (open_dev(getenv("PM_TEST_REFERENCE") != NULL)) {
		one_model("llama", "llama.bf16.gguf", false);
		one_model("stories260K", "stories260K.f32.gguf", false);
		one_model("qwen2", "qwen2.f16.gguf", false);
		one_model("qwen3", "qwen3.f16.gguf", false);
		one_model("gemma3", "gemma3.bf16.gguf", true);
		one_model("gpt2", "gpt2.f32.gguf", true);
		one_model("mixtral", "mixtral.f16.gguf", false);
		one_model("qwen3moe", "qwen3moe.bf16.gguf", false);
		one_model("gptoss", "gptoss.bf16.gguf", true);
	}
	pm_dev_close(dev);
	return done();
}
