/* golden_packing.c: documents side by side in a row are as they are alone: losses, gradients; and nothing leaks from one into the other. */
#include "fixture.h"
#include "train/evaluate.h"

/* Rows of several documents from the lists of golden.json's example packing. */
static struct pm_rows *pack(struct fixture *f, const struct pm_model *m)
{
	const json_t *list = json_object_get(json_object_get(f->golden, "example_packing"), "rows"), *row, *doc;
	struct pm_rows *alone = open_rows(f->dir, "tokens.jsonl", m), *packed = NULL;
	struct pm_record in = {0}, out = {0};
	size_t i, k, j;

	if (!alone || pm_rows_new(&packed, "/tmp", m->spec->vocab, &err) < 0)
		return NULL;
	json_array_foreach(list, i, row) {
		pm_record_reset(&out, 4096, &err);
		pm_record_room_docs(&out, json_array_size(row), &err);
		out.kind = PM_REC_ROW;
		out.has_weights = true;
		out.n = out.ndocs = 0;
		out.bounds[0] = 0;
		json_array_foreach(row, k, doc) {
			pm_rows_get(alone, json_integer_value(doc), &in, &err);
			for (j = 0; j < in.n; j++) {
				out.ids[out.n] = in.ids[j];
				out.weights[out.n++] = in.weights[j];
			}
			out.bounds[++out.ndocs] = (uint32_t)out.n;
		}
		pm_rows_add(packed, &out, &err);
	}
	pm_record_free(&in);
	pm_record_free(&out);
	pm_rows_close(alone);
	return packed;
}

static void losses(struct fixture *f)
{
	struct pm_model *m = open_model(f, false);
	struct pm_rows *rows = m ? open_rows(f->dir, "tokens.jsonl", m) : NULL, *packed = m ? pack(f, m) : NULL;
	struct pm_evaluate_opts o = {0};
	struct pm_evaluation v;

	if (rows && packed) {
		check(pm_evaluate(&v, m, NULL, rows, &o, &err) == 0 && near(v.nll / v.weight, number(f->golden, "loss"), 1e-5), "%s: the loss of documents",
		    f->name);
		check(v.weight == number(f->golden, "weight_sum"), "%s: the sum of the weights is %g", f->name, v.weight);
		check(pm_evaluate(&v, m, NULL, packed, &o, &err) == 0 && near(v.nll / v.weight, number(f->golden, "loss"), 1e-5),
		    "%s: the loss of packed rows", f->name);
	}
	pm_rows_close(rows);
	pm_rows_close(packed);
	pm_model_close(m);
}

static void gradients(struct fixture *f)
{
	struct pm_model *m = open_model(f, true);
	struct pm_rows *packed = m ? pack(f, m) : NULL;
	struct pm_train_opts o = {.batch = 2, .accum = 100, .epochs = 1};
	char *gold = join_path(f->dir, "golden.safetensors");
	struct pm_safetensors *g = NULL;
	struct pm_trainer *t = NULL;
	struct pm_step s;

	if (packed && check(pm_safetensors_open(&g, gold, &err) == 0 && pm_trainer_new(&t, m, NULL, packed, &o, &err) == 0 &&
	    pm_trainer_alloc(t, &err) == 0 && pm_trainer_gradients(t, &s, &err) == 0, "%s: gradients of packed rows", f->name))
		compare_gradients(f->name, t->params, g, 1e-4);
	pm_trainer_free(t);
	pm_safetensors_close(g);
	pm_rows_close(packed);
	pm_model_close(m);
	free(gold);
}

/* Logits of a row of two documents; the tokens of the first are turned by `turn`. */
static float *row_logits(const struct pm_model *m, struct pm_plan *p, const struct pm_forward *f, int turn, int64_t first, int64_t second)
{
	int64_t T = f->opts.T, V = m->spec->vocab, i;
	float *logits = pm_alloc((size_t)(T * V), sizeof *logits, &err);
	int32_t a[64], b[64];
	struct pm_batch batch;

	for (i = 0; i < 64; i++) {
		a[i] = (int32_t)((7 * i + turn) % 100);
		b[i] = (int32_t)((13 * i + 5) % 100);
	}
	pm_batch_new(&batch, T, &err);
	pm_batch_document(&batch, 0, a, first);
	pm_batch_document(&batch, first, b, second);
	if (pm_batch_fill(f, p, &batch, &err) < 0 || pm_plan_run(p, &err) < 0 || pm_plan_read(p, f->logits, logits, &err) < 0)
		check(0, "the row is computed: %s", err.text);
	pm_batch_free(&batch);
	return logits;
}

static void leaks(struct fixture *f)
{
	struct pm_model *m = open_model(f, false);
	struct pm_build_opts o = {.mode = PM_EVAL, .T = 64, .period = 64, .logits = true};
	struct pm_forward *fw = NULL;
	struct pm_plan *p = NULL;

	if (m && check(pm_build(&fw, m, &o, &err) == 0 && pm_plan_new(&p, fw->graph, &err) == 0 && pm_plan_alloc(p, NULL, &err) == 0,
	    "%s: a row of two documents", f->name)) {
		int64_t V = m->spec->vocab;
		float *x = row_logits(m, p, fw, 0, 21, 40), *y = row_logits(m, p, fw, 1, 21, 40);

		check(memcmp(x, y, (size_t)(21 * V) * sizeof *x) != 0, "%s: other tokens give other logits", f->name);
		check(!memcmp(x + 21 * V, y + 21 * V, (size_t)(40 * V) * sizeof *x), "%s: the second document does not see the first, to the bit", f->name);
		free(x);
		free(y);
	}
	pm_plan_free(p);
	pm_forward_free(fw);
	pm_model_close(m);
}

static void one_case(struct fixture *f)
{
	losses(f);
	gradients(f);
	leaks(f);
}

int main(int argc, char **argv)
{
	static const struct cases list[] = {
		{"packing", one_case}, {"mistral", leaks}, {"qwen2", leaks}, {"qwen3", leaks}, {"gemma2", leaks}, {"gpt2", leaks},
		{"mixtral", leaks}, {"qwen3_moe", leaks}, {"gpt_oss", leaks},
		{NULL, NULL},
	};

	return run_cases(list, argc, argv);
}
