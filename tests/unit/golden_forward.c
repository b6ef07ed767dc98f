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

/* Which experts each token of the first document goes to, and with what weights. */
static void routes(struct fixture *f)
{
	struct pm_model *m = open_model(f, false);
	struct pm_rows *rows = m ? open_rows(f->dir, "tokens.jsonl", m) : NULL;
	char *gold = join_path(f->dir, "golden.safetensors"), name[64];
	struct pm_build_opts o = {.mode = PM_EVAL, .routes = true, .logits = true};
	struct pm_safetensors *g = NULL;
	struct pm_forward *fw = NULL;
	struct pm_plan *p = NULL;
	struct pm_record rec = {0};
	struct pm_batch b = {0};
	int64_t i, k, found = 0, wrong = 0;
	double worst = 0;

	if (!rows || pm_safetensors_open(&g, gold, &err) < 0 || pm_rows_get(rows, 0, &rec, &err) < 0)
		goto out;
	o.T = o.period = (int64_t)rec.n;
	pm_batch_new(&b, o.T, &err);
	pm_batch_document(&b, 0, rec.ids, o.T);
	if (!check(pm_build(&fw, m, &o, &err) == 0 && pm_plan_new(&p, fw->graph, &err) == 0 && pm_plan_alloc(p, NULL, &err) == 0 &&
	    pm_batch_fill(fw, p, &b, &err) == 0 && pm_plan_run(p, &err) == 0, "%s: a document%s%s", f->name, err.text[0] ? ": " : "", err.text))
		goto out;
	for (i = 0; i < m->spec->layers; i++) {
		const struct pm_view *index, *weight;
		const struct pm_route *r = &fw->route[i];
		int32_t *have;
		float *w, want;

		snprintf(name, sizeof name, "router.%lld.indices", (long long)i);
		index = pm_safetensors_find(g, name);
		snprintf(name, sizeof name, "router.%lld.weights", (long long)i);
		weight = pm_safetensors_find(g, name);
		if (!index != !r->expert || !weight != !index)
			check(0, "%s: layer %lld has experts in one only", f->name, (long long)i);
		if (!index || !r->expert)
			continue;
		found++;
		have = pm_alloc(index->bytes / 4, sizeof *have, &err);
		w = pm_alloc(index->bytes / 4, sizeof *w, &err);
		if (o.T * r->chosen != (int64_t)(index->bytes / 4) || pm_plan_read(p, r->expert, have, &err) < 0 || pm_plan_read(p, r->weight, w, &err) < 0)
			check(0, "%s: the route is read: %s", f->name, err.text);
		wrong += memcmp(have, index->data, index->bytes) != 0;
		for (k = 0; k < o.T * r->chosen; k++) {
			memcpy(&want, weight->data + 4 * k, sizeof want);
			worst = fmax(worst, fabs((double)w[k] - want));
		}
		free(have);
		free(w);
	}
	check(found > 0 && wrong == 0 && worst <= 1e-5, "%s: routes of %lld layers, %lld wrong, weights within %.1e", f->name, (long long)found, (long long)wrong, worst);
out:
	pm_record_free(&rec);
	pm_batch_free(&b);
	pm_plan_free(p);
	pm_forward_free(fw);
	free(gold);
	pm_safetensors_close(g);
	pm_rows_close(rows);
	pm_model_close(m);
}

/* The loss of uneven use, over both documents, and gradients with it, with checkpointing, too. */
static void balance(struct fixture *f)
{
	const json_t *aux = json_object_get(f->golden, "aux_loss");
	struct pm_model *m = aux ? open_model(f, true) : NULL;
	struct pm_rows *rows = m ? open_rows(f->dir, "tokens.jsonl", m) : NULL;
	char *gold = join_path(f->dir, "golden.safetensors"), name[PM_SPEC_NAME + 16];
	struct pm_safetensors *g = NULL;
	int way;

	for (way = 0; rows && way < 2 && pm_safetensors_open(&g, gold, &err) == 0; way++) {
		struct pm_train_opts o = {.batch = pm_rows_count(rows), .accum = 1, .epochs = 1, .checkpoint = way == 1, .balance = number(aux, "coef")};
		struct pm_trainer *t = NULL;
		struct pm_step s = {0};
		double worst = 0, diff, norm;
		size_t i, found = 0;

		if (check(pm_trainer_new(&t, m, NULL, rows, &o, &err) == 0 && pm_trainer_alloc(t, &err) == 0 && pm_trainer_gradients(t, &s, &err) == 0,
		    "%s: a loss of uneven use%s%s", f->name, err.text[0] ? ": " : "", err.text)) {
			check(near(s.balance, number(aux, "batch"), 1e-5), "%s: it is %.7f, golden %.7f", f->name, s.balance, number(aux, "batch"));
			check(near(s.loss + o.balance * s.balance, number(aux, "loss_plus_coef_times_batch"), 1e-5), "%s: with the other %.7f, golden %.7f", f->name,
			    s.loss + o.balance * s.balance, number(aux, "loss_plus_coef_times_batch"));
			for (i = 0; i < t->params->n; i++) {
				const struct pm_param *p = &t->params->param[i];
				const struct pm_view *v;
				float *x;

				snprintf(name, sizeof name, "aux.grad.%s", p->name);
				v = pm_safetensors_find(g, name);
				if (!v)
					continue;
				found++;
				x = pm_alloc((size_t)p->count, sizeof *x, &err);
				pm_mem_read(p->grad, 0, x, (size_t)p->count * sizeof *x, &err);
				distance(x, v, (size_t)p->count, &diff, &norm);
				worst = fmax(worst, sqrt(diff / norm));
				free(x);
			}
			check(found > 1 && worst <= 1e-4, "%s: %zu gradients with it, worst %.2e of its norm", f->name, found, worst);
		}
		pm_trainer_free(t);
		pm_safetensors_close(g);
		g = NULL;
	}
	free(gold);
	pm_rows_close(rows);
	pm_model_close(m);
}

static void experts(struct fixture *f)
{
	logits_and_loss(f);
	routes(f);
	gradients(f);
	balance(f);
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
		{"gemma2", one_case}, {"gemma3", one_case}, {"gpt2", one_case}, {"mixtral", experts}, {"qwen3_moe", experts},
		{"gpt_oss", experts}, {NULL, NULL},
	};

	return run_cases(list, argc, argv);
}
