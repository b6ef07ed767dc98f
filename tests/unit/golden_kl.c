/* golden_kl: perplexity in chunks and the divergence of quantised models from the model that they were made of, against llama-perplexity. Its
 * base has logits of 16 bits, which shows in the fifth digit. */
#include "fixture.h"
#include "text/tokenizer.h"
#include "train/compare.h"

static char *dir;
static json_t *golden;

static char *in_dir(const char *name)
{
	return join_path(dir, name);
}

/* The text in chunks, of which the second half counts. */
static struct pm_rows *chunks(int64_t n, int64_t count, int64_t vocab)
{
	struct pm_encode_opts o = {.add_special = true};
	struct pm_encoding enc = {0};
	struct pm_tokenizer *t = NULL;
	struct pm_rows *rows = NULL;
	struct pm_str text = {0};
	char *hf = in_dir("hf"), *file = in_dir("perplexity.txt");
	float *w = pm_alloc((size_t)n, sizeof *w, &err);
	int64_t i;
	int32_t bos;

	for (i = n / 2 + 1; i < n; i++)
		w[i] = 1;
	if (!check(pm_tokenizer_open(&t, hf, &err) == 0 && pm_read_file(&text, file, &err) == 0 && pm_tokenizer_encode(t, text.data, text.len, &o, &enc, &err) == 0 &&
	    (int64_t)enc.n >= n * count && pm_rows_new(&rows, "/tmp", vocab, &err) == 0, "the text has chunks enough %s", err.text))
		exit(done());
	bos = enc.ids[0];
	for (i = 0; i < count; i++) {
		struct pm_record rec = {.ids = enc.ids + i * n, .n = (size_t)n, .weights = w, .has_weights = true};

		rec.ids[0] = bos;
		pm_rows_add(rows, &rec, &err);
	}
	pm_encoding_free(&enc);
	pm_tokenizer_close(t);
	pm_str_free(&text);
	free(hf);
	free(file);
	free(w);
	return rows;
}

static struct pm_model *model_called(const char *name)
{
	char *path = in_dir(name);
	struct pm_model *m = NULL;

	check(pm_model_open(&m, path, "share", NULL, dev, PM_PREC_F32, PM_WEIGHTS_FROZEN, &err) == 0, "%s opens", name);
	free(path);
	return m;
}

/* The figure behind a label of llama-perplexity's lines, or the error behind that. */
static double figure(const json_t *lines, const char *label, bool error)
{
	const char *p;
	json_t *l;
	size_t i;

	json_array_foreach((json_t *)(size_t)lines, i, l)
		if (!strncmp(json_string_value(l), label, strlen(label))) {
			p = json_string_value(l) + strlen(label);
			p = error ? strstr(p, "\xc2\xb1") : p;
			return p ? strtod(strpbrk(p, "-0123456789"), NULL) : NAN;
		}
	return NAN;
}

static void agree(const char *what, double a, double b, double tolerance)
{
	check(fabs(a - b) <= tolerance, "%s %.6f, llama-perplexity has %.6f", what, a, b);
}

static void one_file(const char *name, const struct pm_model *base, struct pm_rows *rows)
{
	const json_t *want = json_object_get(json_object_get(golden, "perplexity"), name);
	struct pm_evaluate_opts o = {0};
	struct pm_comparison c;
	struct pm_model *m;
	char file[100];

	snprintf(file, sizeof file, "quantised/%s.gguf", name);
	m = model_called(file);
	if (!m || !check(pm_compare(&c, base, m, NULL, rows, &o, &err) == 0, "compared %s", err.text)) {
		pm_model_close(m);
		return;
	}
	agree("mean KL", pm_compare_mean(c.kl, c.n), figure(want, "Mean    KLD:", false), 1e-5);
	agree("its error", pm_compare_error(c.kl, c.n), figure(want, "Mean    KLD:", true), 1e-5);
	agree("median KL", pm_compare_part(c.kl, c.n, 0.5), figure(want, "Median  KLD:", false), 5e-5);
	agree("90 % of KL", pm_compare_part(c.kl, c.n, 0.9), figure(want, "90.0%   KLD:", false), 5e-5);
	agree("mean change of p, %", 100 * pm_compare_mean(c.dp, c.n), figure(want, "Mean    Δp:", false), 1e-3);
	agree("same top, %", 100 * (double)c.same / (double)c.n, figure(want, "Same top p:", false), 1e-2);
	pm_comparison_free(&c);
	pm_model_close(m);
}

int main(void)
{
	struct pm_evaluate_opts o = {0};
	struct pm_evaluation v;
	struct pm_model *base;
	struct pm_rows *rows;
	const json_t *p;
	const char *q;
	json_t *lines;
	char *path;

	if (!golden_dir()) {
		skip("golden data is not there");
		return done();
	}
	dir = join_path(fixtures(), "quant/models/stories260K");
	path = in_dir("golden.json");
	golden = pm_json_file(path, &err);
	free(path);
	if (open_dev(getenv("PM_TEST_REFERENCE") != NULL) && (base = model_called("stories260K.f32.gguf"))) {
		p = json_object_get(golden, "perplexity");
		rows = chunks(json_integer_value(json_object_get(p, "n_ctx")), json_integer_value(json_object_get(p, "chunks")), base->spec->vocab);
		check(pm_evaluate(&v, base, NULL, rows, &o, &err) == 0, "evaluated %s", err.text);
		agree("perplexity", exp(v.nll / v.weight), strtod(json_string_value(json_object_get(p, "f32")), NULL), 1e-4);
		agree("its error", exp(v.nll / v.weight) * pm_evaluation_error(&v), strtod(strstr(json_string_value(json_object_get(p, "f32")), "+/-") + 3, NULL), 1e-4);
		json_object_foreach((json_t *)(size_t)p, q, lines)
			if (json_is_array(lines))
				one_file(q, base, rows);
		pm_rows_close(rows);
		pm_model_close(base);
	}
	pm_dev_close(dev);
	json_decref(golden);
	free(dir);
	return done();
}
