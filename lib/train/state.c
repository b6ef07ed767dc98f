#include "train/state.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PREFIX "checkpoint-"

static int write_moments(const struct pm_trainer *t, const char *dir, struct pm_err *e)
{
	char *path = pm_path(dir, "optimizer.safetensors", e);
	struct pm_st_writer *w = NULL;
	struct pm_str name = {0};
	float *f = NULL;
	size_t i, k;
	int r = path ? pm_st_begin(&w, path, NULL, e) : -1;

	for (k = 0; r == 0 && k < 2; k++) {
		for (i = 0; r == 0 && i < t->params->n; i++) {
			const struct pm_param *p = &t->params->param[i];

			pm_str_clear(&name);
			r = pm_str_printf(&name, e, "%c.%s", "mv"[k], p->name);        /* a stack is one, whatever it is in the model's files */
			if (r == 0)
				r = pm_st_declare(w, name.data, PM_F32, p->nd, p->dim, e);
		}
	}
	for (k = 0; r == 0 && k < 2; k++) {
		for (i = 0; r == 0 && i < t->params->n; i++) {
			const struct pm_param *p = &t->params->param[i];
			size_t bytes = (size_t)p->count * sizeof *f;

			free(f);
			f = pm_alloc((size_t)p->count, sizeof *f, e);
			r = f ? pm_mem_read(k ? p->v : p->m, 0, f, bytes, e) : -1;
			if (r == 0)
				r = pm_st_put(w, f, bytes, e);
		}
	}
	if (r == 0)
		r = pm_st_end(w, e);
	else if (w)
		pm_st_abort(w);
	free(f);
	free(path);
	pm_str_free(&name);
	return r;
}

int pm_state_write_json(const char *path, const json_t *v, struct pm_err *e)
{
	struct pm_str text = {0};
	struct pm_out o;
	int r = pm_json_text(&text, v, e);

	if (r == 0)
		r = pm_str_puts(&text, "\n", e);
	if (r == 0)
		r = pm_out_open(&o, path, e);
	if (r == 0) {
		r = pm_out_write(&o, text.data, text.len, e);
		if (r == 0)
			r = pm_out_close(&o, e);
		else
			pm_out_abort(&o);
	}
	pm_str_free(&text);
	return r;
}

static int write_state(const struct pm_state *s, const char *dir, struct pm_err *e)
{
	json_t *j = json_pack("{s:s,s:i,s:I,s:I,s:O}", "pm", "checkpoint", "version", 1, "step", (json_int_t)s->step,
	    "metrics_bytes", (json_int_t)s->metrics, "run", s->run);
	char *path = pm_path(dir, "trainer_state.json", e);
	int r = j && path ? pm_state_write_json(path, j, e) : pm_fail(e, PM_SOFTWARE, "out of memory");

	json_decref(j);
	free(path);
	return r;
}

int pm_state_save(const struct pm_trainer *t, const char *out, const struct pm_state *s, struct pm_err *e)
{
	struct pm_str path = {0};
	char *temp = NULL;
	int r = pm_str_printf(&path, e, "%s/" PREFIX "%lld", out, (long long)s->step);

	if (r == 0)
		r = pm_mkdirs(out, e);
	if (r == 0)
		r = pm_dir_begin(&temp, path.data, e);
	if (r == 0)
		r = t->adapters ? pm_adapters_save(t->adapters, temp, s->base, s->provenance, e)
		                : pm_model_save(t->model, temp, PM_F32, s->provenance, e);
	if (r == 0)
		r = write_moments(t, temp, e);
	if (r == 0)
		r = write_state(s, temp, e);
	if (r == 0)
		r = pm_dir_commit(temp, path.data, true, e);
	if (r < 0 && temp) {
		struct pm_err ignored;

		pm_remove_tree(temp, &ignored);
	}
	free(temp);
	pm_str_free(&path);
	return r;
}

/* The step in a directory's name, or −1 ("checkpoint-12.345.tmp" is none: it was cut off). */
static int64_t step_of(const char *name)
{
	char *end;
	long long n;

	if (strncmp(name, PREFIX, strlen(PREFIX)))
		return -1;
	n = strtoll(name + strlen(PREFIX), &end, 10);
	return *end || end == name + strlen(PREFIX) ? -1 : n;
}

static int list_steps(int64_t **steps, size_t *n, const char *out, struct pm_err *e)
{
	size_t cap = 0;
	struct dirent *d;
	DIR *dir = opendir(out);
	int r = 0;

	*steps = NULL;
	*n = 0;
	if (!dir)
		return errno == ENOENT || errno == ENOTDIR ? 0 : pm_fail_errno(e, PM_IOERR, "%s", out);
	while (r == 0 && (d = readdir(dir))) {
		if (step_of(d->d_name) < 0)
			continue;
		r = pm_grow(steps, &cap, *n + 1, sizeof **steps, e);
		if (r == 0)
			(*steps)[(*n)++] = step_of(d->d_name);
	}
	closedir(dir);
	return r;
}

/* "NAME.PID.tmp", as what is being written is called. */
static bool is_temporary(const char *name)
{
	size_t n = strlen(name);

	if (n < 6 || strcmp(name + n - 4, ".tmp"))
		return false;
	for (n -= 4; n > 0 && name[n - 1] >= '0' && name[n - 1] <= '9'; n--)
		;
	return n > 1 && name[n - 1] == '.' && strncmp(name + n, ".tmp", 4);
}

int pm_state_clean(const char *out, struct pm_err *e)
{
	struct dirent *d;
	DIR *dir = opendir(out);
	int r = 0;

	if (!dir)
		return errno == ENOENT || errno == ENOTDIR ? 0 : pm_fail_errno(e, PM_IOERR, "%s", out);
	while (r == 0 && (d = readdir(dir))) {
		char *path;

		if (!is_temporary(d->d_name))
			continue;
		path = pm_path(out, d->d_name, e);
		r = path ? pm_remove_tree(path, e) : -1;
		free(path);
	}
	closedir(dir);
	return r;
}

int pm_state_newest(char **dir, const char *out, struct pm_err *e)
{
	int64_t *steps, best = -1;
	struct pm_str path = {0};
	size_t n, i;

	*dir = NULL;
	if (list_steps(&steps, &n, out, e) < 0)
		return -1;
	for (i = 0; i < n; i++)
		best = steps[i] > best ? steps[i] : best;
	free(steps);
	if (best < 0)
		return 0;
	if (pm_str_printf(&path, e, "%s/" PREFIX "%lld", out, (long long)best) < 0)
		return -1;
	*dir = path.data;
	return 0;
}

int pm_state_prune(const char *out, int64_t keep, struct pm_err *e)
{
	struct pm_str path = {0}, gone = {0};
	int64_t *steps;
	size_t n, i, j;
	int r = list_steps(&steps, &n, out, e);

	for (i = 0; r == 0 && keep > 0 && i < n; i++) {
		int64_t newer = 0;

		for (j = 0; j < n; j++)
			newer += steps[j] > steps[i];
		if (newer < keep)
			continue;
		pm_str_clear(&path);
		pm_str_clear(&gone);
		r = pm_str_printf(&path, e, "%s/" PREFIX "%lld", out, (long long)steps[i]);
		if (r == 0)
			r = pm_str_printf(&gone, e, "%s.%ld.tmp", path.data, (long)getpid());
		/* Under another name first: whoever is killed half-way leaves no half of a checkpoint that looks whole. */
		if (r == 0 && rename(path.data, gone.data) < 0)
			r = pm_fail_errno(e, PM_IOERR, "%s: cannot remove", path.data);
		if (r == 0)
			r = pm_remove_tree(gone.data, e);
	}
	free(steps);
	pm_str_free(&path);
	pm_str_free(&gone);
	return r;
}

/* A value as the command line had it. */
static int describe(struct pm_str *out, const json_t *v, struct pm_err *e)
{
	return json_is_real(v) ? pm_str_printf(out, e, "%.12g", json_real_value(v)) : pm_json_text(out, v, e);
}

/* The first key in which two runs differ. */
static int same_run(const json_t *now, const json_t *then, struct pm_err *e)
{
	struct pm_str a = {0}, b = {0};
	const json_t *v;
	const char *key;
	int r = 0;

	json_object_foreach((json_t *)(size_t)now, key, v) {
		const json_t *o = json_object_get(then, key);

		if (json_equal(v, o))
			continue;
		if (describe(&a, v, e) == 0 && (!o || describe(&b, o, e) == 0))
			pm_fail(e, PM_DATA, "the run to resume had %s %s, not %s", key, o ? b.data : "unset", a.data);
		r = -1;
		break;
	}
	pm_str_free(&a);
	pm_str_free(&b);
	return r;
}

int pm_state_check(struct pm_state *s, const char *dir, struct pm_err *e)
{
	char *path = pm_path(dir, "trainer_state.json", e);
	json_t *j = path ? pm_json_file(path, e) : NULL;
	int r = j ? 0 : -1;

	if (r == 0 && (pm_json_int(&s->step, j, "step", e) || pm_json_int(&s->metrics, j, "metrics_bytes", e) ||
	    !json_is_object(json_object_get(j, "run"))))
		r = pm_fail(e, PM_DATA, "%s: not a checkpoint's state", path);
	if (r == 0 && same_run(s->run, json_object_get(j, "run"), e) < 0)
		r = pm_ctx(e, "%s", dir);
	json_decref(j);
	free(path);
	return r;
}

static int load_one(struct pm_mem *to, const struct pm_store *s, const char *dir, const char *name, int64_t count, struct pm_err *e)
{
	const struct pm_view *v = pm_store_find(s, name);

	if (!v || v->type != PM_F32 || v->bytes != (size_t)count * sizeof (float))
		return pm_fail(e, PM_DATA, "%s: tensor '%s': %lld float32 values were wanted", dir, name, (long long)count);
	return pm_mem_write(to, 0, v->data, v->bytes, e);
}

int pm_state_load(struct pm_trainer *t, const char *dir, struct pm_err *e)
{
	char *moments = pm_path(dir, "optimizer.safetensors", e);
	struct pm_store *sm = NULL;
	struct pm_str name = {0};
	size_t i;
	int r = moments ? pm_store_open(&sm, moments, e) : -1;

	if (r == 0)
		r = t->adapters ? pm_adapters_reload(t->adapters, t->model->spec, dir, e) : pm_model_reload(t->model, dir, e);
	for (i = 0; r == 0 && i < t->params->n; i++) {
		const struct pm_param *p = &t->params->param[i];

		pm_str_clear(&name);
		r = pm_str_printf(&name, e, "m.%s", p->name);
		if (r == 0)
			r = load_one(p->m, sm, dir, name.data, p->count, e);
		if (r == 0) {
			name.data[0] = 'v';
			r = load_one(p->v, sm, dir, name.data, p->count, e);
		}
	}
	pm_store_close(sm);
	pm_str_free(&name);
	free(moments);
	return r;
}
