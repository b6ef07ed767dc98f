/* peft: every golden adapter of the families there are opens: modules, names, shapes, scales; options give the configuration that
 * PEFT wrote; what is written reads back the same; kinds of adapters that are not plain LoRA are refused by the key. */
#include <dirent.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "io/safetensors.h"
#include "spec/peft.h"
#include "tap.h"

static const char *shared;
static char tmp[] = "/tmp/pm-unit-XXXXXX";

static struct pm_spec *spec_of(const char *dir)
{
	struct pm_err e = {0};
	struct pm_store *store;
	struct pm_spec *s = NULL;

	if (pm_store_open(&store, dir, &e) < 0 || pm_spec_load(&s, dir, "share", NULL, store, &e) < 0)
		check(0, "%s: %s", dir, e.text);
	pm_store_close(store);
	return s;
}

static const struct pm_lora_module *module(const struct pm_peft *p, const char *name)
{
	size_t i;

	for (i = 0; i < p->nmodules; i++)
		if (!strcmp(p->module[i].target->module, name))
			return &p->module[i];
	return NULL;
}

/* Gives the opened adapter's own values back. */
static int same_values(void *arg, size_t m, int which, float *out, struct pm_err *e)
{
	const struct pm_peft *p = arg;
	const struct pm_view *v = which ? p->module[m].b : p->module[m].a;
	size_t n = v->bytes / (size_t)pm_dtype(v->type)->bytes;

	(void)e;
	pm_to_f32(out, v->data, v->type, n);
	return 0;
}

static json_t *read_config(const char *dir)
{
	char path[4200];

	snprintf(path, sizeof path, "%s/adapter_config.json", dir);
	return json_load_file(path, 0, NULL);
}

/* The order of patterns matters too, which json_equal does not see. */
static int same_text(const json_t *a, const json_t *b, const char *key)
{
	char *x = json_dumps(json_object_get(a, key), JSON_ENCODE_ANY), *y = json_dumps(json_object_get(b, key), JSON_ENCODE_ANY);
	int same = x && y && !strcmp(x, y);

	free(x);
	free(y);
	return same;
}

static void write_and_read(const struct pm_peft *p, const struct pm_spec *s, const char *where)
{
	struct pm_err e = {0};
	struct pm_peft *q = NULL;
	json_t *was = read_config(where), *is, *made = json_pack("{s:s, s:i}", "tool", "pm-test 1", "steps", 3);
	size_t i;
	int same = 1;

	check(pm_peft_write(p, tmp, json_string_value(json_object_get(was, "base_model_name_or_path")), made, same_values, (void *)(size_t)p, &e) == 0 &&
		pm_peft_open(&q, tmp, s, &e) == 0, "%s is written and read %s", where, e.text);
	is = read_config(tmp);
	check(json_equal(was, is) && same_text(was, is, "rank_pattern") && same_text(was, is, "alpha_pattern"), "its configuration is the same");
	for (i = 0; q && i < p->nmodules; i++) {
		const struct pm_lora_module *a = &p->module[i], *b = &q->module[i];

		same = same && q->nmodules == p->nmodules && !strcmp(a->name_a, b->name_a) && a->r == b->r && a->scale == b->scale && a->a->bytes == b->a->bytes &&
			!memcmp(a->a->data, b->a->data, a->a->bytes) && (!a->b || (a->b->bytes == b->b->bytes && !memcmp(a->b->data, b->b->data, a->b->bytes)));
	}
	check(q && same, "its tensors are the same");
	check(q && !strcmp(json_string_value(json_object_get(pm_safetensors_metadata(q->file), "steps")), "3"), "how it was made is in the file");
	json_decref(was);
	json_decref(is);
	json_decref(made);
	pm_peft_free(q);
}

/* One adapter directory over a model. */
static void open_case(const char *model, const char *adapter)
{
	struct pm_err e = {0};
	struct pm_spec *s = spec_of(model);
	struct pm_peft *p = NULL;
	size_t i, found = 0, base = 0;

	if (!s)
		return;
	if (check(pm_peft_open(&p, adapter, s, &e) == 0, "%s opens %s", adapter, e.text)) {
		for (i = 0; i < p->nmodules; i++)
			found += (p->module[i].a != NULL) + (p->module[i].b != NULL);
		for (i = 0; i < pm_safetensors_count(p->file); i++)
			base += strstr(pm_safetensors_at(p->file, i)->name, ".base_layer.weight") != NULL;
		check(found + base == pm_safetensors_count(p->file), "each of its %zu tensors has its place", pm_safetensors_count(p->file));
		write_and_read(p, s, adapter);
	}
	pm_peft_free(p);
	pm_spec_free(s);
}

static void every_case(const char *family)
{
	struct dirent *d;
	char dir[3000], model[4096], adapter[4096];
	DIR *list;

	snprintf(dir, sizeof dir, "%s/fixtures/%s", shared, family);
	list = opendir(dir);
	while (list && (d = readdir(list))) {
		snprintf(adapter, sizeof adapter, "%s/%.200s/lora/init", dir, d->d_name);
		if (d->d_name[0] == '.' || !pm_is_dir(adapter))
			continue;
		snprintf(model, sizeof model, "%s/%.200s", dir, strcmp(family, "lora") ? d->d_name : "base");
		open_case(model, adapter);
		snprintf(adapter, sizeof adapter, "%s/%.200s/lora/final", dir, d->d_name);
		open_case(model, adapter);
	}
	if (list)
		closedir(list);
}

/* ---- options, as pm-train has them ---- */

static const char *const qv[] = {"q_proj", "v_proj", NULL}, *const all7[] = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", NULL};
static const char *const oq[] = {"q_proj", "o_proj", NULL}, *const qvd[] = {"q_proj", "v_proj", "down_proj", NULL};
static const char *const od[] = {"o_proj", "down_proj", NULL}, *const le[] = {"lm_head", "embed_tokens", NULL};
static const char *const eq[] = {"embed_tokens", "q_proj", NULL}, *const hd[] = {"lm_head", "down_proj", NULL};
static const int64_t one[] = {1};
static const struct pm_pattern ranks[] = {{"down_proj", 2}, {"layers\\.1\\.self_attn\\.q_proj", 6}, {"q_proj", 3}};
static const struct pm_pattern alphas[] = {{"v_proj", 3}, {"^model\\.layers\\.1\\.self_attn\\.q_proj", 16}};

static const struct option_case {
	const char *where;
	struct pm_lora_config c;
	size_t nmodules;
	struct { const char *module; enum pm_adapt kind; int64_t r, in, out; double scale; } some[4];
} options[] = {
	{"qv", {.r = 4, .alpha = 8, .targets = qv}, 4, {{"model.layers.0.self_attn.q_proj", PM_ADAPT_LORA, 4, 32, 32, 2},
		{"model.layers.1.self_attn.v_proj", PM_ADAPT_LORA, 4, 32, 16, 2}}},
	{"all-linear", {.r = 2, .alpha = 8}, 14, {{"model.layers.1.mlp.down_proj", PM_ADAPT_LORA, 2, 48, 32, 4},
		{"model.layers.1.mlp.up_proj", PM_ADAPT_LORA, 2, 32, 48, 4}}},
	{"rslora", {.r = 8, .alpha = 8, .rslora = true, .targets = oq}, 4, {{"model.layers.0.self_attn.o_proj", PM_ADAPT_LORA, 8, 32, 32, 2.8284271247461903}}},
	{"patterns", {.r = 4, .alpha = 8, .targets = qvd, .rank_pattern = ranks, .nrank = 3, .alpha_pattern = alphas, .nalpha = 2}, 6,
		{{"model.layers.0.self_attn.q_proj", PM_ADAPT_LORA, 3, 32, 32, 8 / 3.0}, {"model.layers.1.self_attn.q_proj", PM_ADAPT_LORA, 6, 32, 32, 16 / 6.0},
		{"model.layers.0.self_attn.v_proj", PM_ADAPT_LORA, 4, 32, 16, 0.75}, {"model.layers.1.mlp.down_proj", PM_ADAPT_LORA, 2, 48, 32, 4}}},
	{"layers", {.r = 4, .alpha = 4, .targets = all7, .layers = one, .nlayers = 1}, 7, {{"model.layers.1.mlp.gate_proj", PM_ADAPT_LORA, 4, 32, 48, 1}}},
	{"regex", {.r = 4, .alpha = 8, .target_regex = "model\\.layers\\.0\\.(self_attn|mlp)\\.(q|v|up)_proj"}, 3,
		{{"model.layers.0.mlp.up_proj", PM_ADAPT_LORA, 4, 32, 48, 2}}},
	{"exclude", {.r = 2, .alpha = 4, .exclude = od}, 10, {{"model.layers.0.self_attn.k_proj", PM_ADAPT_LORA, 2, 32, 16, 2}}},
	{"save-head", {.r = 4, .alpha = 8, .targets = qv, .save = le}, 6, {{"lm_head", PM_ADAPT_SAVE, 0, 32, 131, 1},
		{"model.embed_tokens", PM_ADAPT_SAVE, 0, 32, 131, 1}}},
	{"embedding", {.r = 4, .alpha = 8, .targets = eq}, 3, {{"model.embed_tokens", PM_ADAPT_LORA, 4, 131, 32, 2}}},
	{"head", {.r = 4, .alpha = 8, .targets = hd}, 3, {{"lm_head", PM_ADAPT_LORA, 4, 32, 131, 2}}},
};

static void option_case(const struct option_case *o, const struct pm_spec *s)
{
	struct pm_err e = {0};
	struct pm_peft *p = NULL, *golden = NULL;
	char dir[4096];
	json_t *was, *is;
	size_t i;

	snprintf(dir, sizeof dir, "%s/fixtures/lora/%s/lora/init", shared, o->where);
	if (!check(pm_peft_match(&p, &o->c, s, &e) == 0 && pm_peft_open(&golden, dir, s, &e) == 0, "%s: %s", o->where, e.text))
		return;
	check(p->nmodules == o->nmodules && golden->nmodules == o->nmodules, "%s: %zu modules", o->where, p->nmodules);
	for (i = 0; i < 4 && o->some[i].module; i++) {
		const struct pm_lora_module *m = module(p, o->some[i].module), *g = module(golden, o->some[i].module);

		check(m && m->kind == o->some[i].kind && m->r == o->some[i].r && m->in == o->some[i].in && m->out == o->some[i].out &&
			fabs(m->scale - o->some[i].scale) < 1e-15 * o->some[i].scale * 4 && g && g->r == m->r && g->scale == m->scale, "%s: %s", o->where, o->some[i].module);
	}
	for (i = 0; i < p->nmodules && i < golden->nmodules; i++)
		if (p->module[i].target != golden->module[i].target || strcmp(p->module[i].name_a, golden->module[i].name_a))
			check(0, "%s: module %zu is the golden one", o->where, i);
	check(pm_peft_write(p, tmp, "base", NULL, same_values, golden, &e) == 0, "%s: written %s", o->where, e.text);
	was = read_config(dir);
	is = read_config(tmp);
	check(json_equal(was, is), "%s: options give the configuration that PEFT wrote", o->where);
	json_decref(was);
	json_decref(is);
	pm_peft_free(p);
	pm_peft_free(golden);
}

static void every_option(void)
{
	struct pm_spec *s;
	char dir[4096];
	size_t i;

	snprintf(dir, sizeof dir, "%s/fixtures/lora/base", shared);
	s = spec_of(dir);
	for (i = 0; s && i < sizeof options / sizeof *options; i++)
		option_case(&options[i], s);
	pm_spec_free(s);
}

/* Longer models: full names become suffixes; and gpt2's stored (in, out). */
static void shortened(void)
{
	struct pm_err e = {0};
	struct pm_spec *s;
	struct pm_peft *p = NULL;
	struct pm_lora_config c = {.r = 4, .alpha = 8};
	char dir[4096];
	size_t n = 0;

	snprintf(dir, sizeof dir, "%s/fixtures/gemma3/base", shared);
	s = spec_of(dir);
	if (s && check(pm_peft_match(&p, &c, s, &e) == 0, "all-linear on 21 layers %s", e.text)) {
		while (p->config.targets[n])
			n++;
		check(p->nmodules == 21 && n == 7 && !strcmp(p->config.targets[0], "down_proj") && !strcmp(p->config.targets[6], "v_proj"), "is stored as 7 suffixes");
		pm_peft_free(p);
	}
	c.layers = one;
	c.nlayers = 1;
	if (s && check(pm_peft_match(&p, &c, s, &e) == 0, "all-linear on layer 1 %s", e.text)) {
		check(p->nmodules == 7 && p->config.nlayers == 0 && !strcmp(p->config.targets[0], "model.layers.1.mlp.down_proj"), "names its modules in full");
		pm_peft_free(p);
	}
	pm_spec_free(s);
	snprintf(dir, sizeof dir, "%s/fixtures/gemma3/multimodal", shared);
	s = spec_of(dir);
	c.nlayers = 0;
	if (s && check(pm_peft_match(&p, &c, s, &e) == 0, "all-linear on the text of a model that sees %s", e.text)) {
		check(p->nmodules == 21 && !strcmp(p->config.targets[0], "model.language_model.layers.0.mlp.down_proj") && p->config.targets[20],
			"keeps full names: suffixes would mean other towers too");
		pm_peft_free(p);
	}
	pm_spec_free(s);
	snprintf(dir, sizeof dir, "%s/fixtures/gpt2/base", shared);
	s = spec_of(dir);
	if (s && check(pm_peft_match(&p, &c, s, &e) == 0, "all-linear on gpt2 %s", e.text)) {
		const struct pm_lora_module *m = module(p, "transformer.h.1.attn.c_attn");

		check(p->nmodules == 8 && m && m->in == 32 && m->out == 96 && !strcmp(m->name_a, "base_model.model.transformer.h.1.attn.c_attn.lora_A.weight"), "c_attn");
		pm_peft_free(p);
	}
	pm_spec_free(s);
}

static void refused_options(void)
{
	static const char *const none[] = {"q_proj", "w_proj", NULL}, *const norms[] = {"norm", NULL}, *const saves[] = {"score", NULL};
	static const char *const pos[] = {"wpe", NULL};
	static const struct pm_pattern bad_rank[] = {{"q_proj", 0}}, bad_regex[] = {{"q_(", 2}};
	const struct { struct pm_lora_config c; const char *model, *words; } bad[] = {
		{{.r = 4, .alpha = 8, .targets = none}, "lora/base", "'w_proj' means no module"},
		{{.r = 4, .alpha = 8, .target_regex = "nothing"}, "lora/base", "mean no module"},
		{{.r = 4, .alpha = 8, .target_regex = "(q"}, "lora/base", "'(q' is no regular expression"},
		{{.r = 4, .alpha = 8, .targets = norms}, "lora/base", "'model.norm' is neither"},
		{{.r = 4, .alpha = 8, .targets = pos}, "gpt2/base", "'transformer.wpe' is neither"},
		{{.r = 4, .alpha = 8, .targets = qv, .save = saves}, "lora/base", "'score' means no module"},
		{{.r = 4, .alpha = 8, .targets = hd}, "llama/tied", "'lm_head' means no module of this model (the head is tied"},
		{{.r = 4, .alpha = 8, .targets = qv, .save = le + 1}, "llama/tied", "is tied to the head"},
		{{.r = 0, .alpha = 8, .targets = qv}, "lora/base", "'r' is 0"},
		{{.r = 4, .alpha = NAN, .targets = qv}, "lora/base", "'lora_alpha'"},
		{{.r = 4, .alpha = 8, .dropout = 1, .targets = qv}, "lora/base", "'lora_dropout' is 1"},
		{{.r = 4, .alpha = 8, .targets = qv, .rank_pattern = bad_rank, .nrank = 1}, "lora/base", "'rank_pattern': 'q_proj' is 0"},
		{{.r = 4, .alpha = 8, .targets = qv, .rank_pattern = bad_regex, .nrank = 1}, "lora/base", "no regular expression"},
		{{.r = 4, .alpha = 8, .target_regex = ".*q_proj", .layers = one, .nlayers = 1}, "lora/base", "'layers_to_transform'"},
	};
	size_t i;

	for (i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct pm_err e = {0};
		struct pm_peft *p = NULL;
		struct pm_spec *s;
		char dir[4096];
		int r;

		snprintf(dir, sizeof dir, "%s/fixtures/%s", shared, bad[i].model);
		s = spec_of(dir);
		if (!s)
			continue;
		r = pm_peft_match(&p, &bad[i].c, s, &e);
		check(r < 0 && e.status == PM_DATA && strstr(e.text, bad[i].words), "%s", r < 0 ? e.text : "accepted");
		if (r == 0)
			pm_peft_free(p);
		pm_spec_free(s);
	}
}

/* ---- directories that are wrong ---- */

/* The golden adapter qv with changes merged into its configuration. */
static void config_case(const struct pm_spec *s, const char *changes, const char *words)
{
	struct pm_err e = {0};
	struct pm_peft *p = NULL;
	char dir[4000], path[4096], to[200];
	json_t *config, *more = json_loads(changes, 0, NULL);
	int r;

	snprintf(dir, sizeof dir, "%s/fixtures/lora/qv/lora/init", shared);
	config = read_config(dir);
	json_object_update(config, more);
	snprintf(to, sizeof to, "%s/adapter_config.json", tmp);
	json_dump_file(config, to, 0);
	snprintf(path, sizeof path, "%s/adapter_model.safetensors", dir);
	snprintf(to, sizeof to, "%s/adapter_model.safetensors", tmp);
	pm_copy_file(path, to, &e);
	r = pm_peft_open(&p, tmp, s, &e);
	if (*words)
		check(r < 0 && e.status == PM_DATA && strstr(e.text, words), "%s: %s", changes, r < 0 ? e.text : "accepted");
	else
		check(r == 0, "%s is accepted %s", changes, r < 0 ? e.text : "");
	if (r == 0)
		pm_peft_free(p);
	json_decref(config);
	json_decref(more);
}

static void wrong_directories(void)
{
	static const struct { const char *changes, *words; } cases[] = {
		{"{\"use_dora\":true}", "adapter_config.json: 'use_dora' is true"},
		{"{\"bias\":\"all\"}", "'bias' is \"all\""},
		{"{\"lora_bias\":true}", "'lora_bias' is true"},
		{"{\"layer_replication\":[[0,2]]}", "'layer_replication' is [[0,2]]"},
		{"{\"trainable_token_indices\":[1]}", "'trainable_token_indices' is [1]"},
		{"{\"target_parameters\":[\"mlp.experts\"]}", "'target_parameters': 'mlp.experts' means no matrices of experts"},
		{"{\"target_parameters\":\"mlp.experts\"}", "'target_parameters' is \"mlp.experts\", a list of names was wanted"},
		{"{\"init_lora_weights\":\"pissa\"}", "'init_lora_weights' is \"pissa\""},
		{"{\"peft_type\":\"IA3\"}", "'peft_type' is \"IA3\""},
		{"{\"use_frobnication\":true}", "'use_frobnication' is true, which is not known here"},
		{"{\"layers_pattern\":\"h\"}", "'layers_pattern' is \"h\""},
		{"{\"target_modules\":null}", "'target_modules' is missing"},
		{"{\"target_modules\":7}", "'target_modules' is 7"},
		{"{\"modules_to_save\":\"lm_head\"}", "'modules_to_save' is \"lm_head\""},
		{"{\"rank_pattern\":{\"q_proj\":\"x\"}}", "'rank_pattern'"},
		{"{\"r\":8}", "where [8, 32] was wanted"},
		{"{\"target_modules\":[\"q_proj\"]}", "4 tensors belong to no module"},
		{"{\"target_modules\":[\"q_proj\",\"v_proj\",\"o_proj\"]}", "4 tensors are missing: 'base_model.model.model.layers.0.self_attn.o_proj.lora_A.weight'"},
		{"{\"use_frobnication\":false,\"loftq_config\":{\"loftq_bits\":4},\"init_lora_weights\":\"gaussian\"}", ""},
		{"{\"target_modules\":[\"q_proj\",\"v_proj\",\"w9\"]}", ""},
		{"{\"layers_to_transform\":[0,1]}", ""},
	};
	struct pm_err e = {0};
	struct pm_peft *p;
	struct pm_spec *s;
	char dir[4096];
	size_t i;

	snprintf(dir, sizeof dir, "%s/fixtures/lora/base", shared);
	s = spec_of(dir);
	for (i = 0; s && i < sizeof cases / sizeof *cases; i++)
		config_case(s, cases[i].changes, cases[i].words);
	if (s)
		check(pm_peft_open(&p, dir, s, &e) < 0 && e.status == PM_NOINPUT && strstr(e.text, "adapter_config.json"), "no adapter in it: %s", e.text);
	pm_spec_free(s);
}

int main(void)
{
	static const char *const families[] = {"llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "gpt2", "lora", "medium"};
	char model[4096], adapter[4096];
	struct pm_err e;
	size_t i;

	shared = golden_dir();
	if (!shared) {
		skip("golden data is not there");
		return done();
	}
	if (!mkdtemp(tmp))
		return 1;
	for (i = 0; i < sizeof families / sizeof *families; i++)
		every_case(families[i]);
	snprintf(model, sizeof model, "%s/data/models/stories260K_hf", shared);
	snprintf(adapter, sizeof adapter, "%s/fixtures/stories260k/lora/init", shared);
	open_case(model, adapter);
	every_option();
	shortened();
	refused_options();
	wrong_directories();
	pm_remove_tree(tmp, &e);
	return done();
}
