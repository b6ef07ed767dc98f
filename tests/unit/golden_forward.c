/* golden_forward.c: logits, loss and gradients of every case of our families against the reference implementations. */
#include "fixture.h"
#include "train/evaluate.h"


static char *temp_file(const char *name)
{
	const char *tmp = getenv("TMPDIR");
	char buf[512];

	snprintf(buf, sizeof buf, "pm-%ld-%s", (long)getpid(), name);
	return join_path(tmp ? tmp : "/tmp", buf);
}

/* Tensor NAME of two files: the largest difference. */
static double max_diff(const struct pm_safetensors *a, const struct pm_safetensors *b, const char *name)
{
	const struct pm_view *u = pm_safetensors_find(a, name), *v = pm_safetensors_find(b, name);
	const float *x, *y;
	double worst = 0;
	size_t i;

	if (!u || !v || u->bytes != v->bytes)
		return INFINITY;
	x = (const float *)(const void *)u->data;
	y = (const float *)(const void *)v->data;
	for (i = 0; i < u->bytes / 4; i++) {
		double d = fabs((double)x[i] - y[i]);

		worst = d <= worst ? worst : d;
	}
	return worst;
}

static void logits_and_loss(struct fixture *f)
{
	struct pm_model *m = open_model(f, false);
	struct pm_rows *rows = m ? open_rows(f->dir, "tokens.jsonl", m) : NULL;
	char *out = temp_file("logits"), *gold = join_path(f->dir, "golden.safetensors");
	struct pm_evaluate_opts o = {.logits = out};
	struct pm_safetensors *a = NULL, *b = NULL;
	struct pm_evaluation v;
	double std = number(f->golden, "logits_std"), d;

	if (rows && check(pm_evaluate(&v, m, NULL, rows, &o, &err) == 0, "%s: evaluation%s%s", f->name, err.text[0] ? ": " : "", err.text)) {
		if (json_object_get(f->golden, "loss"))
			check(near(v.nll / v.weight, number(f->golden, "loss"), 1e-5), "%s: loss %.7f, golden %.7f", f->name, v.nll / v.weight,
			    number(f->golden, "loss"));
		if (pm_safetensors_open(&a, out, &err) == 0 && pm_safetensors_open(&b, gold, &err) == 0 && pm_safetensors_find(b, "logits")) {
			d = max_diff(a, b, "logits") / std;
			check(d <= 1e-4, "%s: logits differ by %.1e of their deviation", f->name, d);
		}
	}
	unlink(out);
	free(out);
	free(gold);
	pm_safetensors_close(a);
	pm_safetensors_close(b);
	pm_rows_close(rows);
	pm_model_close(m);
}

/* All documents as one batch, and again with activation checkpointing, and again one by one: the gradients are the same bits. */
static void gradients(struct fixture *f)
{
	struct pm_model *m = open_model(f, true);
	struct pm_rows *rows = m ? open_rows(f->dir, "tokens.jsonl", m) : NULL;
	char *gold = join_path(f->dir, "golden.safetensors");
	struct pm_safetensors *g = NULL;
	float *first = NULL;
	int64_t total = 0, at;
	int way;

	if (!rows || !json_object_get(f->golden, "loss") || pm_safetensors_open(&g, gold, &err) < 0)
		goto out;
	for (way = 0; way < 3; way++) {
		int64_t n = pm_rows_count(rows);
		struct pm_train_opts o = {.batch = way == 2 ? 1 : n, .accum = way == 2 ? n : 1, .epochs = 1, .checkpoint = way == 1};
		struct pm_trainer *t = NULL;
		struct pm_step s;
		bool same = true;
		size_t i;

		if (!check(pm_trainer_new(&t, m, NULL, rows, &o, &err) == 0 && pm_trainer_alloc(t, &err) == 0 && pm_trainer_gradients(t, &s, &err) == 0,
		    "%s: gradients%s%s", f->name, err.text[0] ? ": " : "", err.text)) {
			pm_trainer_free(t);
			break;
		}
		if (way == 0) {
			compare_gradients(f->name, t->params, g, 1e-4);
			for (i = 0; i < t->params->n; i++)
				total += t->params->param[i].count;
			first = pm_alloc((size_t)total, sizeof *first, &err);
		}
		for (i = 0, at = 0; i < t->params->n; at += t->params->param[i++].count) {
			int64_t count = t->params->param[i].count;
			float *x = way ? pm_alloc((size_t)count, sizeof *x, &err) : first + at;

			pm_mem_read(t->params->param[i].grad, 0, x, (size_t)count * sizeof *x, &err);
			if (way && memcmp(x, first + at, (size_t)count * sizeof *x)) {
				if (same)
					printf("# first difference in %s\n", t->params->param[i].name);
				same = false;
			}
			if (way)
				free(x);
		}
		if (way)
			check(same, "%s: the same bits %s", f->name, way == 1 ? "with checkpointing" : "row by row");
		pm_trainer_free(t);
	}
out:
	free(first);
	free(gold);
	pm_safetensors_close(g);
	pm_rows_close(rows);
	pm_model_close(m);
}

static void one_case(struct fixture *f)
{
	logits_and_loss(f);
	gradients(f);
}

int main(int argc, char **argv)
{
	static const struct cases list[] = {
		{"llama", one_case}, {"mistral", one_case}, {"qwen2", one_case}, {"qwen3", one_case}, {"gemma", one_case},
		{"gemma2", one_case}, {"gemma3", one_case}, {"gpt2", one_case}, {NULL, NULL},
	};

	return run_cases(list, argc, argv);
}
