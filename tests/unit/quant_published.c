/* Models quantised in safetensors files: their weights bit for bit, their logits, and what is refused. */
#include "fixture.h"
#include "quant/published.h"
#include "train/evaluate.h"

static char dir[] = "/tmp/pm-published-XXXXXX";

static char *in_dir(const char *name)
{
	return join_path(dir, name);
}

static void write_ids(const char *path, const struct pm_view *ids)
{
	FILE *f = fopen(path, "w");
	size_t i;

	fputs("{\"ids\":[", f);
	for (i = 0; i < ids->bytes / 4; i++)
		fprintf(f, "%s%d", i ? "," : "", ((const int32_t *)(const void *)ids->data)[i]);
	fputs("]}\n", f);
	fclose(f);
}

static double worst(const struct pm_view *u, const struct pm_view *v)
{
	double w = 0;
	size_t i;

	if (!u || !v || u->bytes != v->bytes)
		return INFINITY;
	for (i = 0; i < u->bytes / 4; i++) {
		double d = fabs((double)((const float *)(const void *)u->data)[i] - ((const float *)(const void *)v->data)[i]);

		w = d <= w ? w : d;
	}
	return w;
}

static void logits(const char *name, const char *model, const struct pm_view *want, const struct pm_view *ids)
{
	struct fixture f = {.name = (char *)(size_t)name, .dir = dir, .model = (char *)(size_t)model};
	char *out = in_dir("logits"), *tokens = in_dir("tokens.jsonl");
	struct pm_evaluate_opts o = {.logits = out};
	struct pm_model *m = open_model(&f, false);
	struct pm_safetensors *s = NULL;
	struct pm_rows *rows;
	struct pm_evaluation v;

	write_ids(tokens, ids);
	rows = m ? open_rows(dir, "tokens.jsonl", m) : NULL;
	if (rows && check(pm_store_widened(m->store) == (m->notice && strstr(m->notice, "held as floats")), "%s: a word: %s", name, m->notice ? m->notice : "none") &&
		check(pm_evaluate(&v, m, NULL, rows, &o, &err) == 0 && pm_safetensors_open(&s, out, &err) == 0, "%s: evaluation %s", name, err.text))
		check(worst(pm_safetensors_find(s, "logits"), want) < 1e-4, "%s: logits differ by %.2g", name, worst(pm_safetensors_find(s, "logits"), want));
	pm_safetensors_close(s);
	pm_rows_close(rows);
	pm_model_close(m);
	free(out);
	free(tokens);
}

static void family(const char *where, const char *const *cases, size_t n)
{
	struct pm_safetensors *g = NULL;
	struct pm_store *s;
	char rel[256], name[64];
	size_t i;

	snprintf(rel, sizeof rel, "fixtures/quant/%s/models/golden.safetensors", where);
	if (!golden_path(rel)) {
		skip("golden data is not there");
		return;
	}
	if (!check(pm_safetensors_open(&g, golden_path(rel), &err) == 0, "%s %s", rel, err.text))
		return;
	for (i = 0; i < n; i++) {
		const struct pm_view *w, *q;
		const char *model;

		snprintf(rel, sizeof rel, "fixtures/quant/%s/models/%s", where, cases[i]);
		model = golden_path(rel);
		if (!check(pm_published_open(&s, model, PM_F32, false, &err) == 0, "%s opens %s", rel, err.text))
			continue;
		snprintf(name, sizeof name, "%s.q_proj", cases[i]);
		q = pm_safetensors_find(g, name);
		w = pm_store_find(s, "model.layers.0.self_attn.q_proj.weight");
		check(q && w && w->type == PM_F32 && w->nd == 2 && w->dim[0] == q->dim[0] && worst(w, q) <= 3e-8, "%s: a weight, %.2g off", cases[i], worst(w, q));
		pm_store_close(s);
		snprintf(name, sizeof name, "%s.logits", cases[i]);
		logits(cases[i], model, pm_safetensors_find(g, name), pm_safetensors_find(g, "input_ids"));
	}
	pm_safetensors_close(g);
}

/* A model directory of one weight: the parts of a golden case under other names. */
static void put_case(const struct pm_safetensors *from, const char *name, const json_t *config, const char *const *leave_out)
{
	char *st = in_dir("model.safetensors"), *cfg = in_dir("config.json");
	struct pm_st_writer *w = NULL;
	size_t i, n = strlen(name);
	int pass;

	json_dump_file(config, cfg, 0);
	pm_st_begin(&w, st, NULL, &err);
	for (pass = 0; pass < 2; pass++) {
		for (i = 0; i < pm_safetensors_count(from); i++) {
			const struct pm_view *v = pm_safetensors_at(from, i);
			char full[128];

			if (strncmp(v->name, name, n) || v->name[n] != '.' || strchr(v->name + n + 1, '.') || !strcmp(v->name + n + 1, "dequantised") ||
				(*leave_out && !strcmp(v->name + n + 1, *leave_out)))
				continue;
			snprintf(full, sizeof full, "x.%s", v->name + n + 1);
			if (!pass)
				pm_st_declare(w, full, v->type, v->nd, v->dim, &err);
			else
				pm_st_put(w, v->data, v->bytes, &err);
		}
	}
	if (pm_st_end(w, &err) < 0)
		check(0, "%s: %s", name, err.text);
	free(st);
	free(cfg);
}

static void one_weight(const struct pm_safetensors *g, const char *name, const json_t *entry)
{
	json_t *config = json_object();
	const char *none = NULL, *scale = strncmp(name, "compressed", 10) && strncmp(name, "nvfp4", 5) ? "scales" : "weight_scale";
	const struct pm_view *want, *have;
	struct pm_store *s = NULL;
	char full[128];

	json_object_set(config, "quantization_config", json_object_get(entry, "quantization_config"));
	put_case(g, name, config, &none);
	snprintf(full, sizeof full, "%s.dequantised", name);
	want = pm_safetensors_find(g, full);
	if (check(pm_published_open(&s, dir, PM_F32, false, &err) == 0, "%s opens %s", name, err.text)) {
		have = pm_store_find(s, "x.weight");
		check(pm_store_count(s) == 1 && have && have->nd == 2 && have->dim[0] == want->dim[0] && have->dim[1] == want->dim[1] &&
			!memcmp(have->data, want->data, want->bytes), "%s: one weight, bit for bit", name);
		pm_store_close(s);
	}
	if (!strcmp(name, "fp8.block") || !strcmp(name, "compressed.fp8.channel"))
		scale = "weight";
	put_case(g, name, config, &scale);
	s = NULL;
	check(pm_published_open(&s, dir, PM_F32, false, &err) < 0 && err.status == PM_DATA && strstr(err.text, "is not there"), "%s: a part that is missing: %s", name,
		err.text);
	json_decref(config);
}

static void others(void)
{
	static const char *const cases[] = {"gptq.b2.g32", "gptq.b2.g64.act", "gptq.b2.g128.v2", "gptq.b3.g32", "gptq.b3.g64.act", "gptq.b3.g128.v2", "gptq.b4.g32",
		"gptq.b4.g64.act", "gptq.b4.g128.v2", "gptq.b8.g32", "gptq.b8.g64.act", "gptq.b8.g128.v2", "awq.g32", "awq.g64", "compressed.pack.b4.g32",
		"compressed.pack.b4.g64.asym", "compressed.pack.b8.g64", "compressed.fp8.channel", "fp8.block", "nvfp4.modelopt", "nvfp4.compressed"};
	const char *path = golden_path("fixtures/quant/others/linear.safetensors");
	struct pm_safetensors *g = NULL;
	json_t *o;
	size_t i;

	if (!path) {
		skip("golden data is not there");
		return;
	}
	o = pm_json_file(golden_path("fixtures/quant/others/linear.json"), &err);
	if (check(o && pm_safetensors_open(&g, path, &err) == 0, "%s opens %s", path, err.text))
		for (i = 0; i < sizeof cases / sizeof *cases; i++)
			one_weight(g, cases[i], json_object_get(json_object_get(o, "cases"), cases[i]));
	pm_safetensors_close(g);
	json_decref(o);
}

static void refused(void)
{
	char *st = in_dir("model.safetensors"), *cfg = in_dir("config.json");
	struct pm_store *s = NULL;
	struct pm_st_writer *w;
	json_t *o = json_pack("{s:{s:s}}", "quantization_config", "quant_method", "hqq");

	json_dump_file(o, cfg, 0);
	check(pm_st_begin(&w, st, NULL, &err) == 0 && pm_st_declare(w, "x", PM_F32, 1, (uint64_t []){1}, &err) == 0 && pm_st_put(w, (float []){1}, 4, &err) == 0 &&
		pm_st_end(w, &err) == 0, "a model of one number is written");
	check(pm_published_open(&s, dir, PM_F32, false, &err) < 0 && err.status == PM_DATA && strstr(err.text, "'hqq' is not known"), "an unknown method: %s", err.text);
	json_decref(o);
	free(cfg);
	free(st);
}

int main(void)
{
	static const char *const mlx[] = {"affine4", "affine8-g32", "mixed_3_6", "mxfp4"}, *const bnb[] = {"nf4-double", "fp4", "int8"};

	if (!mkdtemp(dir) || !open_dev(false))
		return 1;
	family("mlx", mlx, 4);
	family("bnb", bnb, 3);
	others();
	refused();
	pm_dev_close(dev);
	pm_remove_tree(dir, &err);
	return done();
}
