/* fixture.h: the golden cases of whole models: finding them, reading their numbers, holding ours against them. The tolerances are
 * those of the collection's README (float32 arithmetic), times `slack` where a faster path is tested. */
#ifndef PM_TESTS_FIXTURE_H
#define PM_TESTS_FIXTURE_H

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "cli/tool.h"
#include "model/model.h"
#include "tap.h"
#include "train/evaluate.h"
#include "train/trainer.h"

static struct pm_err err;
static struct pm_dev *dev;

/* The collection, or the small part of it that is always here. */
static const char *fixtures(void)
{
	static char path[4096];

	snprintf(path, sizeof path, "%s/fixtures", golden_dir() ? golden_dir() : "tests/golden");
	return path;
}

__attribute__((unused)) static int open_dev(bool reference)
{
	const char *cache = getenv("PM_CACHE"), *mask = getenv("PM_MASK");
	struct pm_dev_opts o = {.select = "cpu", .kernels = "kernels", .share = "share", .cache = cache && *cache ? cache : NULL, .reference = reference,
		.mask = mask};

	pm_env_opencl(mask);
	o.target = getenv("POCL_KERNELLIB_NAME");
	return check(pm_dev_open(&dev, &o, &err) == 0, "the device opens%s%s", err.text[0] ? ": " : "", err.text);
}

static char *join_path(const char *a, const char *b)
{
	char *p = pm_path(a, b, &err);

	if (!p)
		exit(70);
	return p;
}

/* A case: its directory, the model's directory, golden.json. */
struct fixture {
	char *name, *dir, *model;
	json_t *golden;
};

__attribute__((unused)) static int fixture_open(struct fixture *f, const char *name)
{
	const char *base, *model_dir = NULL;
	char *p;

	memset(f, 0, sizeof *f);
	f->name = pm_strdup(name, &err);
	f->dir = join_path(fixtures(), name);
	p = join_path(f->dir, "golden.json");
	f->golden = pm_exists(p) ? pm_json_file(p, &err) : NULL;
	free(p);
	if (!f->golden)
		return -1;
	base = json_string_value(json_object_get(f->golden, "base"));
	model_dir = json_string_value(json_object_get(f->golden, "model_dir"));
	f->model = base ? join_path(f->dir, base) : model_dir ? join_path(fixtures(), model_dir) : pm_strdup(f->dir, &err);
	return 0;
}

__attribute__((unused)) static void fixture_close(struct fixture *f)
{
	free(f->name);
	free(f->dir);
	free(f->model);
	json_decref(f->golden);
	memset(f, 0, sizeof *f);
}

/* Calls run for every case of a family's folder (in name order). */
__attribute__((unused)) static int each_case(const char *family, void (*run)(struct fixture *f))
{
	char *dir = join_path(fixtures(), family), name[512];
	struct dirent **list;
	int n = scandir(dir, &list, NULL, alphasort), i, found = 0;

	for (i = 0; i < n; i++) {
		struct fixture f;

		snprintf(name, sizeof name, "%s/%s", family, list[i]->d_name);
		if (list[i]->d_name[0] != '.') {
			if (fixture_open(&f, name) == 0) {
				run(&f);
				found++;
			}
			fixture_close(&f);
		}
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	free(dir);
	return found;
}

/* Folders of cases (or one that is a case itself) with what is done for each of theirs. Closed by {NULL}. */
struct cases {
	const char *folder;
	void (*run)(struct fixture *f);
};

/* The main of a golden program: all folders, or the one named; PM_TEST_REFERENCE=1: by the plain kernels. */
__attribute__((unused)) static int run_cases(const struct cases *list, int argc, char **argv)
{
	struct fixture f;
	int found = 0;

	if (open_dev(getenv("PM_TEST_REFERENCE") != NULL)) {
		for (; list->folder; list++) {
			if (argc > 1 && strcmp(argv[1], list->folder))
				continue;
			if (fixture_open(&f, list->folder) == 0) {
				list->run(&f);
				found++;
			} else {
				found += each_case(list->folder, list->run);
			}
			fixture_close(&f);
		}
	}
	check(found > 0, "%d cases", found);
	pm_dev_close(dev);
	return done();
}

__attribute__((unused)) static struct pm_model *open_model(const struct fixture *f, bool train_all)
{
	struct pm_model *m;

	if (pm_model_open(&m, f->model, "share", NULL, dev, PM_PREC_F32, train_all ? PM_WEIGHTS_TRAIN : PM_WEIGHTS_FROZEN, &err) == 0)
		return m;
	check(0, "%s: the model opens: %s", f->name, err.text);
	return NULL;
}

__attribute__((unused)) static struct pm_rows *open_rows(const char *dir, const char *file, const struct pm_model *m)
{
	char *p = join_path(dir, file);
	const char *paths[1] = {p};
	struct pm_rows *r = NULL;
	const char *tmp = getenv("TMPDIR");

	if (pm_rows_open(&r, paths, 1, tmp ? tmp : "/tmp", m->spec->vocab, NULL, &err) < 0)
		check(0, "%s: rows: %s", p, err.text);
	free(p);
	return r;
}

__attribute__((unused)) static double number(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

__attribute__((unused)) static int near(double a, double b, double tol)
{
	return fabs(a - b) <= tol * fabs(b);
}

/* ‖a − b‖ and ‖b‖, b from a file. */
__attribute__((unused)) static void distance(const float *a, const struct pm_view *v, size_t n, double *diff, double *norm)
{
	float *b = pm_alloc(n, sizeof *b, &err);
	size_t i;

	*diff = *norm = 0;
	pm_to_f32(b, v->data, v->type, n);
	for (i = 0; i < n; i++) {
		*diff += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
		*norm += (double)b[i] * b[i];
	}
	free(b);
}

static inline size_t view_count(const struct pm_view *v)
{
	return v->bytes / (size_t)pm_dtype(v->type)->bytes;
}

/* The largest difference of as many values as v has. */
__attribute__((unused)) static double difference(const float *a, const struct pm_view *v)
{
	const size_t n = view_count(v);
	float *b = pm_alloc(n, sizeof *b, &err);
	double worst = 0;
	size_t i;

	pm_to_f32(b, v->data, v->type, n);
	for (i = 0; i < n; i++)
		worst = fabs((double)a[i] - b[i]) <= worst ? worst : fabs((double)a[i] - b[i]);
	free(b);
	return worst;
}

/* Logits of "input_ids" in a golden file, by a model and perhaps an adapter; the caller frees. */
__attribute__((unused)) static float *logits_of(const json_t *golden, const struct pm_model *m, const struct pm_adapters *a, size_t *n)
{
	struct pm_record rec = {0};
	struct pm_evaluate_opts o = {0};
	struct pm_evaluation v;
	struct pm_rows *rows = NULL;
	struct pm_safetensors *f = NULL;
	const json_t *ids = json_object_get(golden, "input_ids");
	const char *tmp = getenv("TMPDIR");
	char path[512];
	float *out = NULL;
	size_t i;

	snprintf(path, sizeof path, "%s/pm-logits-%ld", tmp ? tmp : "/tmp", (long)getpid());
	o.logits = path;
	rec.n = json_array_size(ids);
	rec.ids = pm_alloc(rec.n, sizeof *rec.ids, &err);
	for (i = 0; i < rec.n; i++)
		rec.ids[i] = (int32_t)json_integer_value(json_array_get(ids, i));
	if (pm_rows_new(&rows, tmp ? tmp : "/tmp", m->spec->vocab, &err) == 0 && pm_rows_add(rows, &rec, &err) == 0 &&
	    pm_evaluate(&v, m, a, rows, &o, &err) == 0 && pm_safetensors_open(&f, path, &err) == 0) {
		const struct pm_view *l = pm_safetensors_find(f, "logits");

		*n = l ? view_count(l) : 0;
		out = pm_alloc(*n, sizeof *out, &err);
		pm_to_f32(out, l->data, l->type, *n);
	}
	pm_safetensors_close(f);
	unlink(path);
	pm_rows_close(rows);
	free(rec.ids);
	return out;
}

/* gpt2: the key third of c_attn.bias has no gradient in exact arithmetic: both sides are rounding noise. */
__attribute__((unused)) static bool noisy_bias(const char *name)
{
	return strstr(name, "c_attn.bias") != NULL;
}

/* Gradients that a trainer holds against tensors PREFIX.NAME of a file. */
__attribute__((unused)) static void compare_gradients(const char *what, const struct pm_params *p, const struct pm_safetensors *golden, double tol)
{
	double worst = 0;
	size_t i, k, n, seen = 0, absent = 0;
	char name[PM_SPEC_NAME + 8], where[PM_SPEC_NAME] = "";
	int64_t j = 0;

	for (i = 0; i < p->n; j = j + 1 < pm_param_parts(&p->param[i]) ? j + 1 : (i++, 0)) {
		struct pm_param_part one;
		const struct pm_view *v;
		double diff, norm, part, pn;
		float *g;

		pm_param_part(&one, &p->param[i], j);
		snprintf(name, sizeof name, "grad.%s", one.name);
		v = pm_safetensors_find(golden, name);
		if (!v) {
			absent++;
			continue;
		}
		seen++;
		n = view_count(v);
		g = pm_alloc(n, sizeof *g, &err);
		if ((int64_t)n != one.count || pm_mem_read(p->param[i].grad, (size_t)one.at * sizeof *g, g, n * sizeof *g, &err) < 0) {
			check(0, "%s: gradient of %s: %lld values wanted", what, name, (long long)n);
			free(g);
			return;
		}
		if (noisy_bias(name)) {
			float *b = pm_alloc(n, sizeof *b, &err);

			pm_to_f32(b, v->data, v->type, n);
			for (k = n / 3; k < 2 * n / 3; k++)
				g[k] = fabsf(g[k] - b[k]) < 1e-6f ? b[k] : g[k];
			free(b);
		}
		distance(g, v, n, &diff, &norm);
		part = norm > 0 ? sqrt(diff / norm) : diff > 0 ? INFINITY : 0;
		pn = part;
		if (pn > worst) {
			worst = pn;
			snprintf(where, sizeof where, "%s", one.name);
		}
		free(g);
	}
	check(seen > 0 && worst <= tol, "%s: %zu gradients (%zu without a golden one), worst %.2e of its norm%s%s", what, seen, absent, worst, worst > tol ? " at " : "",
	    worst > tol ? where : "");
}

#endif
