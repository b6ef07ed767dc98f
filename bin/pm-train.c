/* pm-train: rows of tokens in, an adapter or a model out. */
#include <stdio.h>
#include <unistd.h>

#include "bin/train_options.h"
#include "io/store.h"
#include "train/loop.h"

static struct args a;

static struct pm_opt opts[] = {TRAIN_OPTIONS(&a)};

static struct pm_tool tool = {
	.name = "pm-train", .operands = "[BLOCKS …]", .brief = "Trains an adapter or a whole model on rows of tokens.",
	.opts = opts, .nopts = sizeof opts / sizeof *opts,
};

struct run {
	struct pm_env env;
	struct pm_dev *dev;
	struct pm_model *model;
	struct pm_adapters *adapters;
	const char *base;
	struct pm_rows *rows, *held_out;
	struct pm_trainer *trainer;
	json_t *same, *provenance, *made;       /* made: provenance and the command line */
	struct pm_progress progress;
};

static void close_run(struct run *r)
{
	pm_progress_end(&r->progress);
	pm_trainer_free(r->trainer);
	pm_rows_close(r->rows);
	pm_rows_close(r->held_out);
	pm_adapters_free(r->adapters);
	pm_model_close(r->model);
	pm_dev_close(r->dev);
	json_decref(r->same);
	json_decref(r->provenance);
	json_decref(r->made);
	pm_env_free(&r->env);
}

static int open_model(struct run *r, struct pm_err *e)
{
	enum pm_precision prec = precision_of(&a.dev);
	enum pm_weights_use use = a.plan ? PM_WEIGHTS_PLAN : PM_WEIGHTS_TRAIN;
	struct pm_lora_config c = {0};
	int s;

	if (a.init)
		return pm_model_init(&r->model, a.init, r->env.share, a.family, r->dev, prec, use, (uint64_t)a.seed, e);
	if (pm_model_open(&r->model, a.model, r->env.share, a.family, r->dev, prec, a.full ? use : PM_WEIGHTS_FROZEN, e) < 0)
		return -1;
	say_weights(&tool, r->model, a.quiet);
	if (a.full)
		return r->model->spec->from_gguf ? pm_fail(e, PM_USAGE, "--full: every weight is trained from a model directory (pm-gguf export makes one of %s)", a.model) : 0;
	if (a.adapter)
		return pm_adapters_train(&r->adapters, r->model, a.adapter, NULL, (uint64_t)a.seed, e);
	s = train_lora_config(&c, &a, &tool, e);
	if (s == 0)
		s = pm_adapters_train(&r->adapters, r->model, NULL, &c, (uint64_t)a.seed, e);
	pm_arena_free(&c.arena);
	return s;
}

static int open_rows(struct run *r, int argc, char **argv, struct pm_err *e)
{
	const char *tmp = getenv("TMPDIR"), *held[1] = {a.held_out};
	char hash[PM_SHA256_HEX];
	bool known;

	tmp = tmp && *tmp ? tmp : "/tmp";
	if (tokenizer_hash(a.init ? a.init : a.model, hash, &known, e) < 0)
		return -1;
	if (pm_rows_open(&r->rows, (const char *const *)(argv + 1), (size_t)(argc - 1), tmp, r->model->spec->vocab, known ? hash : NULL, e) < 0)
		return -1;
	say_positions(&tool, r->model->spec, pm_rows_longest(r->rows), a.quiet);
	return a.held_out ? pm_rows_open(&r->held_out, held, 1, tmp, r->model->spec->vocab, known ? hash : NULL, e) : 0;
}

/* A fingerprint of the values that training starts from: names, shapes and the ends of the model's tensors, and the adapter's file. */
static int start_hash(const struct run *r, char hex[PM_SHA256_HEX], struct pm_err *e)
{
	const struct pm_store *s = r->model->store;
	struct pm_sha256 h;
	char file[PM_SHA256_HEX] = "";

	if (a.adapter) {
		char *path = pm_is_dir(a.adapter) ? pm_path(a.adapter, "adapter_model.safetensors", e) : pm_strdup(a.adapter, e);
		int status = !path ? -1 : pm_exists(path) ? pm_sha256_file(file, path, e) : 0;

		free(path);
		if (status < 0)
			return -1;
	}
	if (pm_sha256_begin(&h, e) < 0)
		return -1;
	pm_sha256_put(&h, file, strlen(file));
	if (s)
		pm_store_fingerprint(&h, s);
	pm_sha256_end(&h, hex);
	return 0;
}

/* What a resumed run must share with the one it continues: everything that changes a bit of the result. */
static int describe(struct run *r, struct pm_err *e)
{
	char config[PM_SHA256_HEX], start[PM_SHA256_HEX];
	struct pm_str text = {0};

	if (pm_json_text(&text, r->model->spec->config, e) < 0 || pm_sha256_bytes(config, text.data, text.len, e) < 0) {
		pm_str_free(&text);
		return -1;
	}
	pm_str_free(&text);
	if (start_hash(r, start, e) < 0)
		return -1;
	r->same = train_description(&a, pm_rows_hash(r->rows), config, start);
	r->made = provenance_of(&tool);
	json_object_set_new(r->made, "rows_sha256", json_string(pm_rows_hash(r->rows)));
	json_object_set_new(r->made, "config_sha256", json_string(config));
	r->provenance = json_copy(r->made);
	json_object_del(r->provenance, "command");      /* the same run has the same bytes, however it was asked for or interrupted */
	if (!r->same)
		return pm_fail(e, PM_SOFTWARE, "the run's options cannot be written down");
	return 0;
}

static void print_plan(const struct run *r)
{
	struct pm_plan_sizes s;
	uint64_t params;

	pm_trainer_sizes(r->trainer, &s, &params);
	printf("rows             %12lld of up to %lld tokens, %lld steps\n", (long long)pm_rows_count(r->rows), (long long)r->trainer->length,
	    (long long)r->trainer->total);
	printf("weights          %12llu bytes%s\n", (unsigned long long)s.weights, a.full || a.init ? "" : " (mapped)");
	printf("gradients+moments%12llu bytes\n", (unsigned long long)params);
	printf("activations      %12llu bytes (%llu without reuse)\n", (unsigned long long)s.temp, (unsigned long long)s.temp_sum);
	printf("scratch          %12llu bytes\n", (unsigned long long)s.scratch);
	printf("inputs           %12llu bytes\n", (unsigned long long)s.input);
}

static void on_step(void *arg, const struct pm_trainer *t, const struct pm_step *s)
{
	struct run *r = arg;
	char extra[100];

	(void)t;
	snprintf(extra, sizeof extra, "loss %.4f  lr %.2e  %.0f tok/s", s->loss, s->lr, (double)s->tokens / s->seconds);
	pm_progress_at(&r->progress, (uint64_t)s->step, extra);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

static int train(struct run *r, struct pm_err *e)
{
	struct pm_str metrics = {0};
	struct pm_loop l = {.out = a.output, .metrics = a.metrics, .save_every = a.save_every, .eval_every = a.eval_every, .keep = a.keep,
		.held_out = r->held_out, .resume = a.resume, .type = train_dtype(&a, r->model), .run = r->same, .provenance = r->provenance, .made = r->made,
		.base = r->base, .gguf = a.gguf ? base_name(a.output) : NULL, .stop = pm_signals_got, .clock = pm_clock, .on_step = on_step, .arg = r};
	int stopped = 0, status = pm_trainer_alloc(r->trainer, e);

	if (status == 0 && !a.metrics) {
		status = pm_str_printf(&metrics, e, "%s/metrics.jsonl", a.output);
		l.metrics = metrics.data;
	}
	pm_signals_catch();
	pm_progress_begin(&r->progress, "train", "step", (uint64_t)r->trainer->total, a.quiet);
	if (status == 0)
		status = pm_loop_run(r->trainer, &l, &stopped, e);
	pm_progress_end(&r->progress);
	pm_str_free(&metrics);
	if (status == 0 && stopped) {
		if (!a.quiet)
			pm_say(&tool, "stopped after step %lld: a checkpoint is in %s (go on with --resume)", (long long)r->trainer->done, a.output);
		status = 128 + stopped;
	}
	return status;
}

static int run(struct pm_tool *t, int argc, char **argv, struct pm_err *e)
{
	struct run r = {0};
	int s = train_check_options(t, &a, e);

	if (s == 0)
		s = pm_env_get(&r.env, e);
	r.base = a.model;               /* as it was called: a name says more to others than where it lies here */
	if (s == 0)
		s = local_name(&a.model, &r.env, e);
	if (s == 0)
		s = local_name(&a.adapter, &r.env, e);
	if (s == 0)
		s = local_name(&a.init, &r.env, e);
	if (s == 0)
		s = open_device(&r.dev, &a.dev, &r.env, &a.quiet, e);
	if (s == 0)
		s = open_model(&r, e);
	if (s == 0)
		s = open_rows(&r, argc, argv, e);
	if (s == 0)
		s = describe(&r, e);
	if (s == 0) {
		struct pm_train_opts o;

		s = train_step_options(&o, &a, e);
		if (s == 0)
			s = pm_trainer_new(&r.trainer, r.model, r.adapters, r.rows, &o, e);
	}
	if (s == 0 && a.plan) {
		print_plan(&r);
		s = pm_trainer_fits(r.trainer, e);
	}
	if (s == 0 && a.grads)
		s = train_write_gradients(r.trainer, a.grads, r.provenance, e);
	else if (s == 0 && !a.plan)
		s = train(&r, e);
	if (s >= 0 && a.dev.profile && pm_dev_profile(r.dev, stderr, e) < 0)
		s = -1;
	close_run(&r);
	return s;
}

int main(int argc, char **argv)
{
	return pm_tool_main(&tool, argc, argv, run);
}
