/* golden_coded.c: checkpoints whose weights lie in codes and scales (MLX, bitsandbytes): the values, the blocks that they are held in, and logits
 * against MLX's and bitsandbytes' numbers as floats. */
#include "fixture.h"
#include "quant/published.h"
#include "quant/quant.h"

#define TOLERANCE 1e-3          /* the collection's */

/* Every weight: its blocks hold its values; one of them against the golden values. */
static void values(const char *dir, const char *name, const struct pm_view *q_proj)
{
	struct pm_store *s, *floats;
	size_t i, blocks = 0, same = 0;
	bool golden = false;

	if (!check(pm_published_open(&s, dir, PM_F32, true, &err) == 0 && pm_published_open(&floats, dir, PM_F32, false, &err) == 0, "%s opens twice", name))
		return;
	for (i = 0; i < pm_store_count(floats); i++) {
		const struct pm_view *f = pm_store_at(floats, i), *v = pm_store_find(s, f->name);
		float *a;

		if (!strcmp(f->name, "model.layers.0.self_attn.q_proj.weight"))
			golden = q_proj && q_proj->bytes == f->bytes && !memcmp(f->data, q_proj->data, f->bytes);
		if (!v || pm_dtype_plain(v->type))
			continue;
		blocks++;
		a = pm_alloc(f->bytes, 1, &err);
		pm_quant_to_f32(a, v->data, v->type, f->bytes / 4);
		same += !memcmp(a, f->data, f->bytes);
		free(a);
	}
	check(golden, "%s: the golden weight bit for bit", name);
	check(blocks == same, "%s: %zu weights are held in blocks, the same values", name, blocks);
	pm_store_close(s);
	pm_store_close(floats);
}

static const struct pm_view *named(const struct pm_safetensors *s, const char *name, const char *what)
{
	char key[128];

	snprintf(key, sizeof key, "%s.%s", name, what);
	return pm_safetensors_find(s, key);
}

/* want: the type that layer 0's projections are held in. */
static void one_case(const char *folder, const char *name, enum pm_dtype want)
{
	char what[256];
	char *dir, *p;
	json_t *golden;
	struct pm_safetensors *s = NULL;
	struct pm_model *m = NULL;
	const struct pm_view *l;
	size_t n = 0;
	float *got;
	double d;

	snprintf(what, sizeof what, "quant/%s/models", folder);
	dir = join_path(fixtures(), what);
	p = join_path(dir, "golden.json");
	golden = pm_json_file(p, &err);
	free(p);
	p = join_path(dir, "golden.safetensors");
	if (!golden || pm_safetensors_open(&s, p, &err) < 0) {
		check(0, "%s: %s", name, err.text);
		exit(done());
	}
	free(p);
	p = join_path(dir, name);
	if (check(pm_model_open(&m, p, "share", NULL, dev, PM_PREC_F32, PM_WEIGHTS_FROZEN, &err) == 0, "%s opens%s%s", name, err.text[0] ? ": " : "", err.text)) {
		values(p, name, named(s, name, "q_proj"));
		check(pm_model_weight(m, "text.0.attn.q")->type == want, "%s: projections are held as %s", name, pm_dtype(want)->name);
		l = named(s, name, "logits");
		got = logits_of(golden, m, NULL, &n);
		d = got && l && n == view_count(l) ? difference(got, l) : INFINITY;
		check(d <= TOLERANCE, "%s: logits differ by %.1e%s%s", name, d, err.text[0] ? ": " : "", err.text);
		free(got);
	}
	err.text[0] = 0;
	pm_model_close(m);
	pm_safetensors_close(s);
	json_decref(golden);
	free(dir);
	free(p);
}

int main(void)
{
	if (!golden_dir()) {
		skip("golden data is not there");
		return done();
	}
	if (open_dev(getenv("PM_TEST_REFERENCE") != NULL)) {
		one_case("mlx", "affine4", PM_Q4_1);
		one_case("mlx", "affine8-g32", PM_AFFINE8);
		one_case("mlx", "mixed_3_6", PM_Q4_1);
		one_case("mlx", "mxfp4", PM_MXFP4);
		one_case("bnb", "nf4-double", PM_NF4);
		one_case("bnb", "fp4", PM_FP4);
		one_case("bnb", "int8", PM_F32);
	}
	pm_dev_close(dev);
	return done();
}
