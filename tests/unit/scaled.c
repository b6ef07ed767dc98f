/* scaled: weights in NVFP4 with a factor beside them: read, quantised again, run. */
#include "fixture.h"
#include "quant/file.h"
#include "quant/published.h"
#include "quant/quant.h"

enum { ROWS = 4, COLS = 64, EXPERTS = 3, VALUES = EXPERTS * ROWS * COLS };

static char path[2][512];
static float folded[2][VALUES];         /* of a matrix, and of a stack */

static void put(struct pm_gguf_writer *w, const char *name, enum pm_dtype type, int nd, const uint64_t *dim, const void *bytes, bool declare)
{
	uint64_t n = 1;
	int i;

	for (i = 0; i < nd; i++)
		n *= dim[i];
	if (declare ? pm_gguf_declare(w, name, type, nd, dim, &err) < 0 : pm_gguf_put(w, bytes, pm_dtype_bytes(type, n), &err) < 0)
		check(0, "%s: %s", name, err.text);
}

/* A file of a matrix with a factor, a stack with `n` factors, and a norm. */
static void write_file(const float *scales, uint64_t n)
{
	const uint64_t one[1] = {1}, many[1] = {n}, matrix[2] = {ROWS, COLS}, stack[3] = {EXPERTS, ROWS, COLS}, norm[1] = {COLS};
	static uint8_t codes[2][VALUES];
	static float x[VALUES];
	struct pm_gguf_writer *w;
	const float half = 0.5f;
	int k, i;

	for (i = 0; i < VALUES; i++)
		x[i] = (float)((i * 37 + i / 7) % 101 - 50) / 16;
	for (k = 0; k < 2; k++) {
		int rows = k ? EXPERTS * ROWS : ROWS;

		pm_quant_from_f32(codes[k], PM_NVFP4, x, (size_t)rows, COLS, NULL, &err);
		pm_quant_to_f32(folded[k], codes[k], PM_NVFP4, (size_t)rows * COLS);
		for (i = 0; i < rows * COLS; i++)
			folded[k][i] *= k ? scales[n == 1 ? 0 : i / (ROWS * COLS)] : half;
	}
	if (pm_gguf_begin(&w, path[0], 0, &err) < 0)
		return;
	pm_gguf_put_string(w, "general.architecture", "llama", 5, &err);
	pm_gguf_put_int(w, "llama.block_count", PM_GGUF_U32, 1, &err);
	pm_gguf_put_int(w, "llama.attention.head_count", PM_GGUF_U32, 2, &err);
	for (k = 1; k >= 0; k--) {
		put(w, "blk.0.attn_q.input_scale", PM_F32, 1, one, &half, k);
		put(w, "blk.0.attn_q.scale", PM_F32, 1, one, &half, k);
		put(w, "blk.0.attn_q.weight", PM_NVFP4, 2, matrix, codes[0], k);
		put(w, "blk.0.ffn_up_exps.scale", PM_F32, 1, many, scales, k);
		put(w, "blk.0.ffn_up_exps.weight", PM_NVFP4, 3, stack, codes[1], k);
		put(w, "output_norm.weight", PM_F32, 1, norm, x, k);
	}
	check(pm_gguf_end(w, &err) == 0, "a file of %d factors %s", (int)n, err.text);
}

static void reads(void)
{
	static const char *const names[2] = {"blk.0.attn_q.weight", "blk.0.ffn_up_exps.weight"};
	struct pm_store *s = NULL;
	int k;

	if (!check(pm_published_open(&s, path[0], PM_F32, true, &err) == 0, "opened %s", err.text))
		return;
	check(pm_store_count(s) == 3 && !pm_store_find(s, "blk.0.attn_q.scale"), "factors are tensors no longer");
	for (k = 0; k < 2; k++) {
		const struct pm_view *v = pm_store_find(s, names[k]);

		check(v && v->type == PM_F32 && v->nd == 2 + k && !memcmp(v->data, folded[k], v->bytes), "%s: the values times the factors", names[k]);
	}
	pm_store_close(s);
}

/* Quantises; how many tensors the file has, −1 where it fails. */
static int quantise(struct pm_quant_file_opts *o)
{
	struct pm_quant_source from;
	struct pm_quant_plan p;
	struct pm_store *s = NULL;
	int n = -1;

	err.text[0] = 0;
	o->mix.to = pm_file_type("Q8_0");
	o->mix.output = o->mix.embedding = PM_DTYPE_NONE;
	if (pm_store_open(&s, path[0], &err) == 0 && pm_quant_source_store(&from, s, &err) == 0 && pm_quant_plan(&p, &from, o, &err) == 0) {
		n = pm_quant_write(&p, path[1], NULL, &err) == 0 ? (int)p.n : -1;
		pm_quant_plan_free(&p);
	}
	pm_store_close(s);
	return n;
}

static void quantises(void)
{
	const struct pm_mix_override keep = {.pattern = "attn_q", .type = PM_NVFP4};
	struct pm_quant_file_opts o = {.threads = 2};
	static uint8_t want[VALUES * 2];
	struct pm_store *s = NULL;
	const struct pm_view *v;

	check(quantise(&o) < 0 && err.status == PM_USAGE && strstr(err.text, "is nvfp4 already"), "not again without a word: %s", err.text);
	o.requantise = true;
	check(quantise(&o) == 3, "quantised again: three tensors are left %s", err.text);
	if (pm_store_open(&s, path[1], &err) == 0) {
		v = pm_store_find(s, "blk.0.ffn_up_exps.weight");
		pm_quant_from_f32(want, PM_Q8_0, folded[1], EXPERTS * ROWS, COLS, NULL, &err);
		check(v && v->type == PM_Q8_0 && !memcmp(v->data, want, v->bytes), "the factors of experts are in the blocks");
		v = pm_store_find(s, "blk.0.attn_q.weight");
		pm_quant_from_f32(want, PM_Q8_0, folded[0], ROWS, COLS, NULL, &err);
		check(v && v->type == PM_Q8_0 && !memcmp(v->data, want, v->bytes), "and that of a matrix");
	}
	pm_store_close(s);
	o.mix.over = &keep;
	o.mix.n_over = 1;
	check(quantise(&o) == 5, "what stays as it is keeps its factors %s", err.text);
}

/* A model with factors that cancel is the model without. */
static void runs(void)
{
	static const char *const names[2] = {"ffn_up_exps", "ffn_down_exps"};
	const float factors[2][4] = {{2, 4, 0.5f, 1}, {0.5f, 0.25f, 2, 1}};
	char *file = join_path(fixtures(), "quant/models/qwen3moe/qwen3moe.bf16.gguf"), *golden = join_path(fixtures(), "quant/models/qwen3moe/golden.json"), name[64];
	struct pm_model *m[2] = {NULL};
	struct pm_gguf_writer *w = NULL;
	struct pm_gguf *g = NULL;
	json_t *j = pm_json_file(golden, &err);
	float *l[2] = {NULL};
	const uint64_t four[1] = {4};
	size_t i, n[2] = {0}, differ = 0;
	int k, r = pm_gguf_open(&g, file, &err) < 0 ? -1 : pm_gguf_begin(&w, path[1], 0, &err);

	for (i = 0; r == 0 && i < pm_gguf_keys(g); i++)
		r = pm_gguf_put_key(w, pm_gguf_key_at(g, i), &err);
	for (k = 1; r == 0 && k >= 0; k--) {
		for (i = 0; i < pm_gguf_count(g); i++)
			put(w, pm_gguf_at(g, i)->name, pm_gguf_at(g, i)->type, pm_gguf_at(g, i)->nd, pm_gguf_at(g, i)->dim, pm_gguf_at(g, i)->data, k);
		for (i = 0; i < 2; i++) {
			snprintf(name, sizeof name, "blk.1.%s.scale", names[i]);
			put(w, name, PM_F32, 1, four, factors[i], k);
		}
	}
	if (r == 0 && pm_gguf_end(w, &err) == 0 && pm_model_open(&m[0], file, "share", NULL, dev, PM_PREC_F32, PM_WEIGHTS_FROZEN, &err) == 0 &&
		pm_model_open(&m[1], path[1], "share", NULL, dev, PM_PREC_F32, PM_WEIGHTS_FROZEN, &err) == 0)
		for (k = 0; k < 2; k++)
			l[k] = logits_of(j, m[k], NULL, &n[k]);
	for (i = 0; l[0] && l[1] && i < n[0]; i++)
		differ += fabsf(l[0][i] - l[1][i]) > 1e-5f;
	check(l[0] && l[1] && n[0] == n[1] && differ == 0, "factors that cancel: the same logits %s", err.text);
	check(m[1] && m[1]->notice && strstr(m[1]->notice, "factor"), "with a word: %s", m[1] && m[1]->notice ? m[1]->notice : "none");
	for (k = 0; k < 2; k++) {
		free(l[k]);
		pm_model_close(m[k]);
	}
	pm_gguf_close(g);
	json_decref(j);
	free(file);
	free(golden);
}

int main(void)
{
	const char *tmp = getenv("TMPDIR");
	const float scales[EXPERTS] = {0.25f, -3, 7};
	const float bad[2][2] = {{1, 2}, {INFINITY, 1}};
	struct pm_store *s = NULL;
	int i;

	for (i = 0; i < 2; i++)
		snprintf(path[i], sizeof path[i], "%s/pm-scaled-%ld-%d.gguf", tmp ? tmp : "/tmp", (long)getpid(), i);
	write_file(scales, EXPERTS);
	reads();
	quantises();
	write_file(scales, 1);
	reads();
	for (i = 0; i < 2; i++) {
		write_file(bad[i], 2 - (uint64_t)i);
		check(pm_published_open(&s, path[0], PM_F32, true, &err) < 0 && err.status == PM_DATA && strstr(err.text, "'blk.0.ffn_up_exps.scale'"), "refused: %s", err.text);
		check(quantise(&(struct pm_quant_file_opts){.requantise = true}) < 0 && err.status == PM_DATA, "and so: %s", err.text);
	}
	if (!golden_dir())
		skip("golden data is not there");
	else if (open_dev(false))
		runs();
	pm_dev_close(dev);
	unlink(path[0]);
	unlink(path[1]);
	return done();
}
