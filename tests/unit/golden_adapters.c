/* golden_adapters.c: adapters of experts, in both worlds that PEFT's files have: applied they give the golden logits, alone and two at once, over a model
 * held in blocks, too; written again they are the same file; which modules a configuration means, and what is refused. */
#include <sys/stat.h>

#include "fixture.h"

static char tmp[] = "/tmp/pm-adapters-XXXXXX";

/* Logits of the first row by some adapters against the golden ones. */
static void applied(const struct fixture *f, const struct pm_model *m, const char *part, const char *state, size_t n, const double *weights)
{
	char *dir = join_path(f->dir, part), *gold = join_path(dir, "golden.safetensors"), *adapter = join_path(dir, state), *out = join_path(tmp, "logits");
	const char *dirs[2] = {adapter, adapter};
	struct pm_rows *all = open_rows(dir, "train.jsonl", m), *rows = NULL;
	struct pm_evaluate_opts o = {.logits = out};
	struct pm_safetensors *a = NULL, *b = NULL;
	struct pm_adapters *ad = NULL;
	struct pm_record rec = {0};
	struct pm_evaluation v;
	char name[32];
	float *x;

	snprintf(name, sizeof name, "logits_%s", state);
	if (check(all && pm_rows_get(all, 0, &rec, &err) == 0 && pm_rows_new(&rows, tmp, m->spec->vocab, &err) == 0 && pm_rows_add(rows, &rec, &err) == 0 &&
	    pm_adapters_open(&ad, m, n, dirs, weights, &err) == 0 && pm_evaluate(&v, m, ad, rows, &o, &err) == 0 && pm_safetensors_open(&a, out, &err) == 0 &&
	    pm_safetensors_open(&b, gold, &err) == 0, "%s %s: %s%s", f->name, part, state, err.text[0] ? err.text : " is applied")) {
		const struct pm_view *u = pm_safetensors_find(a, "logits"), *w = pm_safetensors_find(b, name);

		if (check(u && w && view_count(u) == view_count(w), "%s %s: as many logits", f->name, part)) {
			x = pm_alloc(view_count(u), sizeof *x, &err);
			pm_to_f32(x, u->data, u->type, view_count(u));
			check(difference(x, w) <= 1e-4 * number(f->golden, "logits_std"), "%s %s: %s: logits differ by %.1e (%zu adapters)", f->name, part, state,
			    difference(x, w), n);
			free(x);
		}
	}
	pm_adapters_free(ad);
	pm_rows_close(rows);
	pm_rows_close(all);
	pm_record_free(&rec);
	pm_safetensors_close(a);
	pm_safetensors_close(b);
	unlink(out);
	free(dir);
	free(gold);
	free(adapter);
	free(out);
}

static int same_values(void *arg, size_t module, int which, float *out, struct pm_err *e)
{
	return pm_lora_values(arg, module, which, out, e);
}

/* Written from its values, an adapter has the same tensors, under the same names, with the same bytes. */
static void written(const struct fixture *f, const struct pm_model *m, const char *part)
{
	char *dir = join_path(f->dir, part), *init = join_path(dir, "init"), *file = join_path(init, "adapter_model.safetensors");
	char *ours = join_path(tmp, "adapter_model.safetensors"), *config = join_path(init, "adapter_config.json"), *again = join_path(tmp, "adapter_config.json");
	struct pm_safetensors *a = NULL, *b = NULL;
	json_t *was = NULL, *is = NULL;
	struct pm_peft *p = NULL;
	size_t i, same = 0;

	if (check(pm_peft_open(&p, init, m->spec, &err) == 0 && pm_peft_write(p, tmp, NULL, NULL, same_values, p, &err) == 0 &&
	    pm_safetensors_open(&a, ours, &err) == 0 && pm_safetensors_open(&b, file, &err) == 0, "%s %s: read and written%s%s", f->name, part,
	    err.text[0] ? ": " : "", err.text)) {
		for (i = 0; i < pm_safetensors_count(b); i++) {
			const struct pm_view *v = pm_safetensors_at(b, i), *u = pm_safetensors_find(a, v->name);

			same += u && u->nd == v->nd && !memcmp(u->dim, v->dim, (size_t)u->nd * sizeof *u->dim) && u->bytes == v->bytes && !memcmp(u->data, v->data, u->bytes);
		}
		check(same == i && i == pm_safetensors_count(a), "%s %s: %zu of %zu tensors are the same", f->name, part, same, i);
		was = pm_json_file(config, &err);
		is = pm_json_file(again, &err);
		check(json_equal(was, is), "%s %s: so is the configuration", f->name, part);
	}
	json_decref(was);
	json_decref(is);
	pm_safetensors_close(a);
	pm_safetensors_close(b);
	pm_peft_free(p);
	pm_remove_tree(tmp, &err);
	mkdir(tmp, 0777);
	free(dir);
	free(init);
	free(file);
	free(ours);
	free(config);
	free(again);
}

static void one_case(struct fixture *f)
{
	static const char *const parts[] = {"lora", "fused/lora"};
	struct pm_model *m = open_model(f, false);
	size_t i;

	for (i = 0; m && i < 2; i++) {
		char *dir = join_path(f->dir, parts[i]);

		if (pm_exists(dir)) {
			applied(f, m, parts[i], "init", 1, (double[]){1});
			applied(f, m, parts[i], "final", 1, (double[]){1});
			applied(f, m, parts[i], "final", 2, (double[]){0.25, 0.75});
			written(f, m, parts[i]);
		}
		free(dir);
	}
	pm_model_close(m);
}

/* ---- which modules are meant ---- */

struct meaning {
	const char *model;
	struct pm_lora_config c;
	const char *words;                      /* of the refusal; or what is meant: modules, experts' modules, fused ones, values */
};

static void meanings(void)
{
	static const char *const w1[] = {"w1", "q_proj", NULL}, *const one[] = {"experts.3.w1", NULL}, *const gate[] = {"gate", "q_proj", NULL};
	static const char *const both[] = {"gate_up_proj", "down_proj", "q_proj", NULL}, *const up[] = {"experts.gate_up_proj", NULL};
	static const char *const none[] = {NULL}, *const moe[] = {"block_sparse_moe", NULL};
	static const int64_t layers[] = {1};
	static const struct pm_pattern rank[] = {{"experts.3.w1", 8}}, all[] = {{"w1", 8}};
	const struct meaning list[] = {
		{"mixtral/window", {.r = 2, .alpha = 4}, "14 modules, 6 of experts, 0 in one: 6112"},
		{"mixtral/window", {.r = 2, .alpha = 4, .layers = layers, .nlayers = 1}, "7 modules, 3 of experts, 0 in one: 3056"},
		{"mixtral/window", {.r = 2, .alpha = 4, .targets = w1}, "4 modules, 2 of experts, 0 in one: 2032"},
		{"mixtral/window", {.r = 2, .alpha = 4, .targets = w1, .rank_pattern = all, .nrank = 1}, "4 modules, 2 of experts, 0 in one: 6928"},
		{"mixtral/window", {.r = 2, .alpha = 4, .targets = gate}, "4 modules, 0 of experts, 0 in one: 584"},
		{"mixtral/window", {.r = 2, .alpha = 4, .targets = none, .parameters = up}, "4 modules, 4 of experts, 4 in one: 2304"},
		{"mixtral/window", {.r = 2, .alpha = 4, .targets = w1, .parameters = up}, "is meant by 'target_modules' and by 'target_parameters'"},
		{"mixtral/window", {.r = 2, .alpha = 4, .targets = one}, "1 of its 6 experts are meant, all or none were wanted"},
		{"mixtral/window", {.r = 2, .alpha = 4, .targets = w1, .rank_pattern = rank, .nrank = 1}, "one rank and alpha for all experts were wanted"},
		{"mixtral/window", {.r = 2, .alpha = 4, .targets = w1, .save = moe}, "cannot be saved whole here"},
		{"qwen3_moe/sparse", {.r = 2, .alpha = 4}, "28 modules, 3 of experts, 0 in one: 6232"},
		{"gpt_oss/bf16", {.r = 2, .alpha = 4}, "12 modules, 0 of experts, 0 in one: 2016"},
		{"gpt_oss/bf16", {.r = 2, .alpha = 4, .targets = both}, "9 modules, 6 of experts, 6 in one: 4560"},
		{"gpt_oss/bf16", {.r = 2, .alpha = 4, .targets = both, .dropout = 0.1}, "'lora_dropout' is 0.1"},
	};
	size_t i, k;

	for (i = 0; i < sizeof list / sizeof *list; i++) {
		size_t experts = 0, fused = 0, values = 0;
		struct pm_spec *s = NULL;
		struct pm_peft *p = NULL;
		struct fixture f;
		char text[200];

		err = (struct pm_err){0};
		if (!check(fixture_open(&f, list[i].model) == 0 && pm_spec_load(&s, f.model, "share", NULL, NULL, &err) == 0, "%s %s", list[i].model, err.text))
			continue;
		if (pm_peft_match(&p, &list[i].c, s, &err) == 0) {
			for (k = 0; k < p->nmodules; k++) {
				experts += p->module[k].experts > 0;
				fused += p->module[k].fused;
				values += (size_t)(pm_lora_count(&p->module[k], 1) + (p->module[k].shares == k ? pm_lora_count(&p->module[k], 0) : 0));
			}
			snprintf(text, sizeof text, "%zu modules, %zu of experts, %zu in one: %zu", p->nmodules, experts, fused, values);
			check(!strcmp(text, list[i].words), "%s: %s", list[i].model, text);
			pm_peft_free(p);
		} else {
			check(strstr(err.text, list[i].words) != NULL, "%s: %s", list[i].model, err.text);
		}
		pm_spec_free(s);
		fixture_close(&f);
	}
}

int main(int argc, char **argv)
{
	static const struct cases list[] = {{"mixtral", one_case}, {"qwen3_moe", one_case}, {"gpt_oss", one_case}, {NULL, NULL}};
	int r;

	if (!golden_dir()) {
		skip("golden data is not there");
		return done();
	}
	if (!mkdtemp(tmp))
		return 1;
	meanings();
	err = (struct pm_err){0};
	r = run_cases(list, argc, argv);
	pm_remove_tree(tmp, &err);
	return r;
}
