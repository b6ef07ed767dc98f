/* golden_imatrix: importance collected from text, against llama-imatrix's; the same bits however many chunks are computed at a time. */
#include "fixture.h"
#include "text/tokenizer.h"
#include "train/collect.h"

#define TOLERANCE 1e-5          /* of a column, relative to the weight's largest */

struct kase {
	struct pm_imatrix want;
	struct pm_encoding enc;
	int32_t bos;
	int64_t chunk, chunks;
	bool head;
};

/* The first chunks of the text, flushed after each `step` of them. */
static int collect(struct pm_imatrix *m, const struct kase *k, const struct pm_model *model, int64_t step)
{
	struct pm_collector *c = NULL;
	int32_t *ids = pm_alloc((size_t)k->chunk, sizeof *ids, &err);
	int64_t i;
	int r = pm_collector_new(&c, model, m, k->chunk, k->head, &err);

	for (i = 0; r == 0 && i < k->chunks; i++) {
		memcpy(ids, k->enc.ids + i * k->chunk, (size_t)k->chunk * sizeof *ids);
		if (k->bos >= 0)
			ids[0] = k->bos;
		r = pm_collector_put(c, ids, &err);
		if (r == 0 && (i + 1) % step == 0)
			r = pm_collector_flush(c, &err);
	}
	if (r == 0)
		r = pm_collector_flush(c, &err);
	pm_collector_free(c);
	free(ids);
	return r;
}

static double apart(const struct pm_imatrix *a, const struct pm_imatrix *b)
{
	double worst = 0, largest;
	size_t i, k;

	if (a->n != b->n)
		return INFINITY;
	for (i = 0; i < a->n; i++) {
		const struct pm_imatrix_entry *x = &a->entry[i], *y = &b->entry[i];
		double d = 0;

		if (strcmp(x->name, y->name) || x->cols != y->cols || x->experts != y->experts || memcmp(x->counts, y->counts, x->experts * sizeof *x->counts))
			return INFINITY;
		for (k = 0, largest = 0; k < x->cols * x->experts; k++) {
			largest = fmax(largest, y->sum2[k]);
			d = fmax(d, fabs((double)x->sum2[k] - y->sum2[k]));
		}
		worst = fmax(worst, d / largest);
	}
	return worst;
}

static void one_file(const struct kase *k, const char *dir, const char *file)
{
	struct pm_imatrix m = {0}, again = {0};
	struct pm_model *model = NULL;
	char *path = join_path(dir, file);
	double d;

	err.text[0] = 0;
	if (check(pm_model_open(&model, path, "share", NULL, dev, PM_PREC_F32, PM_WEIGHTS_FROZEN, &err) == 0 && collect(&m, k, model, 1000) == 0, "%s %s", file, err.text)) {
		d = apart(&m, &k->want);
		check(d <= TOLERANCE, "%zu weights, %u chunks, the columns differ by %.1e", m.n, m.chunks, d);
		check(collect(&again, k, model, 1) == 0 && apart(&again, &m) == 0, "the same bits, a chunk at a time %s", err.text);
	}
	pm_imatrix_free(&m);
	pm_imatrix_free(&again);
	pm_model_close(model);
	free(path);
}

static void one_model(const char *name, const char *gguf)
{
	struct pm_encode_opts o = {.add_special = true};
	struct pm_tokenizer *t = NULL;
	struct pm_str text = {0};
	struct kase k = {0};
	char what[256], *dir, *hf, *matrix, *calibration;

	snprintf(what, sizeof what, "quant/models/%s", name);
	dir = join_path(fixtures(), what);
	hf = join_path(dir, "hf");
	matrix = join_path(dir, "imatrix/imatrix.gguf");
	calibration = join_path(dir, "imatrix/calibration.txt");
	if (check(pm_imatrix_open(&k.want, matrix, &err) == 0 && pm_tokenizer_open(&t, hf, &err) == 0 && pm_read_file(&text, calibration, &err) == 0 &&
	    pm_tokenizer_encode(t, text.data, text.len, &o, &k.enc, &err) == 0, "%s %s", name, err.text)) {
		k.chunk = k.want.chunk_size;
		k.chunks = k.want.chunks;
		k.bos = k.enc.to[0] == 0 ? k.enc.ids[0] : -1;
		k.head = pm_imatrix_find(&k.want, "output.weight") != NULL;
		one_file(&k, dir, "hf");
		one_file(&k, dir, gguf);
	}
	pm_imatrix_free(&k.want);
	pm_encoding_free(&k.enc);
	pm_tokenizer_close(t);
	pm_str_free(&text);
	free(dir);
	free(hf);
	free(matrix);
	free(calibration);
}

int main(void)
{
	if (!golden_dir()) {
		skip("golden data is not there");
		return done();
	}
	if (open_dev(getenv("PM_TEST_REFERENCE") != NULL)) {
		one_model("stories260K", "stories260K.f32.gguf");
		one_model("llama", "llama.bf16.gguf");
		one_model("qwen3moe", "qwen3moe.bf16.gguf");
	}
	pm_dev_close(dev);
	return done();
}
