/* golden_train.c: training runs step by step against torch and PEFT: LoRA and full, every option of adapters, packing, accumulation. */
#include "fixture.h"

static double no_clock(void)
{
	return 0;
}

static struct pm_train_opts options(const json_t *run, int64_t rows)
{
	const json_t *o = json_object_get(run, "optimizer"), *betas = json_object_get(o, "betas");
	const char *schedule = json_string_value(json_object_get(o, "schedule"));
	int64_t steps = (int64_t)json_array_size(json_object_get(run, "steps")), batch = json_integer_value(json_object_get(run, "batch"));

	return (struct pm_train_opts){.batch = batch, .accum = 1, .epochs = (steps * batch + rows - 1) / rows, .beta1 = json_number_value(json_array_get(betas, 0)),
		.beta2 = json_number_value(json_array_get(betas, 1)), .eps = number(o, "eps"), .decay = number(o, "weight_decay"), .clip = number(o, "clip"),
		.schedule = {.lr = number(o, "lr"), .warmup = (int64_t)number(o, "warmup"), .kind = !strcmp(schedule, "constant") ? PM_SCHEDULE_CONSTANT :
			!strcmp(schedule, "linear") ? PM_SCHEDULE_LINEAR : PM_SCHEDULE_COSINE}};
}

/* Every value against the reference's, over all tensors and each alone, as parts of the movement from `init`. Values are named as
 * the files name them. gpt2: Adam makes full steps of the noise in the key third of c_attn.bias; it is left out. */
static void compare_final(const char *what, const struct pm_params *p, const struct pm_safetensors *final, float *const *init)
{
	double all_diff = 0, all_move = 0, worst = 0;
	char where[PM_SPEC_NAME] = "";
	size_t i, k, seen = 0;
	int64_t j = 0;

	for (i = 0; i < p->n; j = j + 1 < pm_param_parts(&p->param[i]) ? j + 1 : (i++, 0)) {
		struct pm_param_part part;
		const struct pm_view *v;
		const float *from;
		size_t n;
		float *a, *b;
		double diff = 0, move = 0;

		pm_param_part(&part, &p->param[i], j);
		v = pm_safetensors_find(final, part.name);
		n = (size_t)part.count;
		from = init[i] + part.at;
		if (!v || view_count(v) != n) {
			check(0, "%s: '%s' is in the reference's result", what, part.name);
			return;
		}
		seen++;
		a = pm_alloc(n, sizeof *a, &err);
		b = pm_alloc(n, sizeof *b, &err);
		pm_mem_read(p->param[i].p, (size_t)part.at * sizeof *a, a, n * sizeof *a, &err);
		pm_to_f32(b, v->data, v->type, n);
		for (k = 0; k < n; k++) {
			if (noisy_bias(part.name) && k >= n / 3 && k < 2 * n / 3)
				continue;
			diff += ((double)a[k] - b[k]) * ((double)a[k] - b[k]);
			move += ((double)b[k] - from[k]) * ((double)b[k] - from[k]);
		}
		all_diff += diff;
		all_move += move;
		if (move > 0 && sqrt(diff / move) > worst) {
			worst = sqrt(diff / move);
			snprintf(where, sizeof where, "%s", part.name);
		}
		free(a);
		free(b);
	}
	check(seen && sqrt(all_diff / all_move) <= 5e-4, "%s: final weights differ by %.1e of their movement", what, sqrt(all_diff / all_move));
	check(worst <= (strstr(what, "gpt2") ? 1e-2 : 5e-3), "%s: the worst tensor by %.1e (%s)", what, worst, where);
}

static float **values(const struct pm_params *p)
{
	float **v = pm_alloc(p->n, sizeof *v, &err);
	size_t i;

	for (i = 0; i < p->n; i++) {
		v[i] = pm_alloc((size_t)p->param[i].count, sizeof **v, &err);
		pm_mem_read(p->param[i].p, 0, v[i], (size_t)p->param[i].count * sizeof **v, &err);
	}
	return v;
}

static void free_values(float **v, size_t n)
{
	size_t i;

	for (i = 0; v && i < n; i++)
		free(v[i]);
	free(v);
}

static void run_steps(const char *what, struct pm_trainer *t, const json_t *steps)
{
	double worst_loss = 0, worst_norm = 0, worst_lr = 0;
	size_t i, n = json_array_size(steps);

	for (i = 0; i < n; i++) {
		const json_t *g = json_array_get(steps, i);
		struct pm_step s;

		if (pm_trainer_step(t, &s, no_clock, &err) < 0) {
			check(0, "%s: step %zu: %s", what, i + 1, err.text);
			return;
		}
		worst_loss = fmax(worst_loss, fabs(s.loss / number(g, "loss") - 1));
		if (json_object_get(g, "grad_norm"))
			worst_norm = fmax(worst_norm, fabs(s.grad_norm / number(g, "grad_norm") - 1));
		worst_lr = fmax(worst_lr, fabs(s.lr - number(g, "lr")));
	}
	check(worst_loss <= 2e-5, "%s: %zu losses within %.1e", what, n, worst_loss);
	check(worst_norm <= 1e-4, "%s: gradient norms within %.1e", what, worst_norm);
	check(worst_lr <= 1e-12, "%s: learning rates within %.1e", what, worst_lr);
}

/* One run: `part` is "lora" or "full" in golden.json. split: micro-batches of one row (the bits of all must be the same). */
static float **train(struct fixture *f, const char *part, bool split, bool compare, size_t *nparams, size_t *size)
{
	const json_t *run = json_object_get(f->golden, part);
	bool lora = !strcmp(part, "lora");
	struct pm_model *m = open_model(f, !lora);
	char *dir = join_path(f->dir, part), *file = join_path(dir, lora ? "final/adapter_model.safetensors" : "final.safetensors");
	char *init_dir = join_path(dir, "init"), *gold = join_path(dir, "golden.safetensors"), what[256];
	struct pm_rows *rows = m ? open_rows(dir, "train.jsonl", m) : NULL;
	struct pm_adapters *a = NULL;
	struct pm_trainer *t = NULL;
	struct pm_safetensors *final = NULL, *g = NULL;
	float **init = NULL, **result = NULL;
	struct pm_train_opts o;

	snprintf(what, sizeof what, "%s %s%s", f->name, part, split ? " row by row" : "");
	if (!rows)
		goto out;
	o = options(run, pm_rows_count(rows));
	if (split) {
		o.accum = o.batch;
		o.batch = 1;
	}
	if (lora && !check(pm_adapters_train(&a, m, init_dir, NULL, 0, &err) == 0, "%s: the adapter opens%s%s", what, err.text[0] ? ": " : "", err.text))
		goto out;
	if (!check(pm_trainer_new(&t, m, a, rows, &o, &err) == 0 && pm_trainer_alloc(t, &err) == 0, "%s: the run begins%s%s", what,
	    err.text[0] ? ": " : "", err.text))
		goto out;
	init = values(t->params);
	if (compare && lora && pm_exists(gold) && pm_safetensors_open(&g, gold, &err) == 0 && pm_safetensors_count(g) > 2) {
		struct pm_step s;

		pm_trainer_gradients(t, &s, &err);
		compare_gradients(what, t->params, g, 1e-4);
	}
	run_steps(what, t, json_object_get(run, "steps"));
	if (compare && pm_safetensors_open(&final, file, &err) == 0)
		compare_final(what, t->params, final, init);
	result = values(t->params);
	*nparams = t->params->n;
	for (size_t i = 0; size && i < t->params->n; i++)
		size[i] = (size_t)t->params->param[i].count;
out:
	if (t)
		free_values(init, t->params->n);
	pm_safetensors_close(final);
	pm_safetensors_close(g);
	pm_trainer_free(t);
	pm_adapters_free(a);
	pm_rows_close(rows);
	pm_model_close(m);
	free(dir);
	free(file);
	free(init_dir);
	free(gold);
	return result;
}

/* ---- one pair of matrices for all experts ---- */

static int get_gradient(void *arg, size_t module, int which, float *out, struct pm_err *e)
{
	const struct pm_adapters *a = arg;
	const struct pm_adapter_weight *w = &a->weight[module];
	struct pm_mem *mem = which ? w->grad_b : w->grad_a;

	return pm_mem_read(mem, 0, out, pm_mem_size(mem), e);
}

/* Tensors of two files: the worst ‖a − b‖/‖b‖ of any, or with a third (where b began) parts of the movement, of all and of any. */
static double compare_files(const char *what, const char *ours, const char *theirs, const char *prefix, const char *start, double *any)
{
	struct pm_safetensors *a = NULL, *b = NULL, *c = NULL;
	double all_diff = 0, all_norm = 0;
	char name[700];
	size_t i, k, n;

	*any = INFINITY;
	if (!check(pm_safetensors_open(&a, ours, &err) == 0 && pm_safetensors_open(&b, theirs, &err) == 0 && (!start || pm_safetensors_open(&c, start, &err) == 0),
	    "%s: files are there%s%s", what, err.text[0] ? ": " : "", err.text))
		goto out;
	*any = 0;
	for (i = 0; i < pm_safetensors_count(a); i++) {
		const struct pm_view *u = pm_safetensors_at(a, i), *v, *w = NULL;
		double diff = 0, norm = 0;
		float *x, *y, *z;

		snprintf(name, sizeof name, "%s%s", prefix, u->name);
		v = pm_safetensors_find(b, name);
		w = c ? pm_safetensors_find(c, u->name) : NULL;
		if (!v || u->nd != v->nd || memcmp(u->dim, v->dim, (size_t)u->nd * sizeof *u->dim) || (c && !w)) {
			check(0, "%s: '%s' is in the reference's file, as large", what, u->name);
			*any = INFINITY;
			break;
		}
		n = view_count(u);
		x = pm_alloc(3 * n, sizeof *x, &err);
		y = x + n;
		z = y + n;
		pm_to_f32(x, u->data, u->type, n);
		pm_to_f32(y, v->data, v->type, n);
		if (w)
			pm_to_f32(z, w->data, w->type, n);
		for (k = 0; k < n; k++) {
			diff += ((double)x[k] - y[k]) * ((double)x[k] - y[k]);
			norm += ((double)y[k] - (w ? z[k] : 0)) * ((double)y[k] - (w ? z[k] : 0));
		}
		all_diff += diff;
		all_norm += norm;
		*any = fmax(*any, norm > 0 ? sqrt(diff / norm) : 0);
		free(x);
	}
	if (!c)
		check(i > 0, "%s: %zu tensors", what, i);
	else
		check(i > 0 && i == pm_safetensors_count(b), "%s: as many tensors as the reference has", what);
out:
	pm_safetensors_close(a);
	pm_safetensors_close(b);
	pm_safetensors_close(c);
	return all_norm > 0 ? sqrt(all_diff / all_norm) : INFINITY;
}

/* Adapters whose files have another order than the parameters: held together as files. */
static void fused(struct fixture *f)
{
	const json_t *run = json_object_get(f->golden, "fused_lora");
	char *dir = join_path(f->dir, "fused/lora"), *init_dir = join_path(dir, "init"), *init = join_path(init_dir, "adapter_model.safetensors");
	char *final = join_path(dir, "final/adapter_model.safetensors"), *gold = join_path(dir, "golden.safetensors"), tmp[] = "/tmp/pm-train-XXXXXX", what[256];
	char *ours = mkdtemp(tmp) ? join_path(tmp, "adapter_model.safetensors") : NULL;
	struct pm_model *m = open_model(f, false);
	struct pm_rows *rows = m ? open_rows(dir, "train.jsonl", m) : NULL;
	struct pm_adapters *a = NULL;
	struct pm_trainer *t = NULL;
	struct pm_train_opts o;
	struct pm_step s;
	double all, any;

	snprintf(what, sizeof what, "%s fused", f->name);
	if (!rows || !ours)
		goto out;
	o = options(run, pm_rows_count(rows));
	if (!check(pm_adapters_train(&a, m, init_dir, NULL, 0, &err) == 0 && pm_trainer_new(&t, m, a, rows, &o, &err) == 0 && pm_trainer_alloc(t, &err) == 0 &&
	    pm_trainer_gradients(t, &s, &err) == 0, "%s: the run begins%s%s", what, err.text[0] ? ": " : "", err.text))
		goto out;
	check(pm_peft_write(a->peft, tmp, NULL, NULL, get_gradient, a, &err) == 0, "%s: gradients as a file %s", what, err.text);
	compare_files(what, ours, gold, "grad.", NULL, &any);
	check(any <= 1e-4, "%s: gradients, worst %.1e", what, any);
	run_steps(what, t, json_object_get(run, "steps"));
	check(pm_adapters_save(a, tmp, NULL, NULL, &err) == 0, "%s: it is saved %s", what, err.text);
	all = compare_files(what, ours, final, "", init, &any);
	check(all <= 5e-4 && any <= 5e-3, "%s: final weights differ by %.1e of their movement, the worst tensor by %.1e", what, all, any);
out:
	pm_trainer_free(t);
	pm_adapters_free(a);
	pm_rows_close(rows);
	pm_model_close(m);
	pm_remove_tree(tmp, &err);
	free(dir);
	free(init_dir);
	free(init);
	free(final);
	free(gold);
	free(ours);
}

static void one_case(struct fixture *f)
{
	static const char *const parts[] = {"lora", "full"};
	size_t i, n = 0;

	for (i = 0; i < 2; i++) {
		float **v = json_object_get(f->golden, parts[i]) ? train(f, parts[i], false, true, &n, NULL) : NULL;

		free_values(v, n);
	}
	if (json_object_get(f->golden, "fused_lora"))
		fused(f);
}

/* The same run in micro-batches of one row: not close, but equal. */
static void split_case(struct fixture *f)
{
	const char *part = json_object_get(f->golden, "full") ? "full" : "lora";
	size_t n = 0, k = 0, i, size[1000];
	float **a = train(f, part, false, true, &n, size), **b = train(f, part, true, false, &k, NULL);
	bool same = a && b && n == k;

	for (i = 0; same && i < n; i++)
		same = !memcmp(a[i], b[i], size[i] * sizeof (float));
	check(same, "%s: split micro-batches give the same bits", f->name);
	free_values(a, n);
	free_values(b, k);
}

int main(int argc, char **argv)
{
	static const struct cases list[] = {
		{"llama", one_case}, {"mistral", one_case}, {"qwen2", one_case}, {"qwen3", one_case}, {"gemma", one_case},
		{"gemma2", one_case}, {"gemma3", one_case}, {"gpt2", one_case}, {"mixtral", one_case}, {"qwen3_moe", one_case}, {"gpt_oss", one_case}, {"lora", one_case}, {"medium", one_case},
		{"stories260k", one_case}, {"accumulation", split_case}, {NULL, NULL},
	};

	return run_cases(list, argc, argv);
}
