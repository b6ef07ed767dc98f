/* state.c: checkpoints: what is saved comes back to the bit, the newest is found, other runs and broken ones are refused. */
#include <sys/stat.h>

#include "fixture.h"
#include "train/state.h"

static char dir[512];

static double no_clock(void)
{
	return 0;
}

static char *at(const char *name)
{
	static char path[4][1024];
	static int turn;

	turn = (turn + 1) % 4;
	snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
	return path[turn];
}

static void touch(const char *name)
{
	FILE *f = fopen(at(name), "wb");

	if (f)
		fclose(f);
}

/* A trainer of a new adapter (or the whole model) that nothing has happened to. */
struct job {
	struct pm_model *m;
	struct pm_adapters *a;
	struct pm_rows *rows;
	struct pm_trainer *t;
};

static int begin(struct job *j, const struct fixture *f, bool full, uint64_t seed)
{
	static const char *const parameters[] = {"gate_up_proj", "down_proj", "q_proj", NULL};
	const bool one = strstr(f->name, "gpt_oss") != NULL;    /* experts are one parameter there, named apart and without dropout */
	struct pm_lora_config c = {.r = 2, .alpha = 4, .dropout = one ? 0 : 0.25, .targets = one ? parameters : NULL};
	struct pm_train_opts o = {.batch = 2, .accum = 1, .epochs = 4, .schedule = {.kind = PM_SCHEDULE_COSINE, .lr = 0.01}, .beta1 = 0.9, .beta2 = 0.999,
		.eps = 1e-8, .clip = 1, .seed = seed, .shuffle = true};

	memset(j, 0, sizeof *j);
	j->m = open_model(f, full);
	j->rows = j->m ? open_rows(f->dir, "lora/train.jsonl", j->m) : NULL;
	if (!j->rows || (!full && pm_adapters_train(&j->a, j->m, NULL, &c, seed, &err) < 0) ||
	    pm_trainer_new(&j->t, j->m, j->a, j->rows, &o, &err) < 0 || pm_trainer_alloc(j->t, &err) < 0)
		return check(0, "a trainer: %s", err.text), -1;
	return 0;
}

static void end(struct job *j)
{
	pm_trainer_free(j->t);
	pm_rows_close(j->rows);
	pm_adapters_free(j->a);
	pm_model_close(j->m);
}

static int steps(struct job *j, int n)
{
	struct pm_step s;
	int r = 0;

	while (r == 0 && n-- > 0)
		r = pm_trainer_step(j->t, &s, no_clock, &err);
	return r;
}

static bool same_mem(struct pm_mem *a, struct pm_mem *b, size_t bytes)
{
	char *x = pm_alloc(1, bytes, &err), *y = pm_alloc(1, bytes, &err);
	bool same = pm_mem_read(a, 0, x, bytes, &err) == 0 && pm_mem_read(b, 0, y, bytes, &err) == 0 && !memcmp(x, y, bytes);

	free(x);
	free(y);
	return same;
}

static bool same(const struct job *a, const struct job *b)
{
	size_t i;

	for (i = 0; i < a->t->params->n; i++) {
		const struct pm_param *p = &a->t->params->param[i], *q = &b->t->params->param[i];
		size_t bytes = (size_t)p->count * sizeof (float);

		if (!same_mem(p->p, q->p, bytes) || !same_mem(p->m, q->m, bytes) || !same_mem(p->v, q->v, bytes))
			return false;
	}
	return a->t->params->n > 0 && a->t->params->n == b->t->params->n && a->t->done == b->t->done;
}

static void round_trip(const struct fixture *f, bool full)
{
	const char *what = full ? "the whole model" : "an adapter";
	json_t *run = json_pack("{s:s,s:f,s:i}", "rows", "abc", "lr", 0.01, "batch", 2), *other = json_pack("{s:s,s:f,s:i}", "rows", "abc", "lr", 0.02, "batch", 2);
	struct pm_state s = {.metrics = 77, .run = run, .base = "base"}, got = {.run = run};
	struct job a, b;
	char *newest = NULL;

	err = (struct pm_err){0};
	if (begin(&a, f, full, 5) == 0 && begin(&b, f, full, 6) == 0 && check(steps(&a, 3) == 0, "%s: three steps", what)) {
		s.step = 3;
		check(pm_state_save(a.t, dir, &s, &err) == 0, "%s: a checkpoint%s%s", what, err.text[0] ? ": " : "", err.text);
		check(pm_state_newest(&newest, dir, &err) == 0 && newest && !strcmp(newest, at("checkpoint-3")), "it is found");
		check(newest && pm_state_check(&got, newest, &err) == 0 && got.step == 3 && got.metrics == 77, "it says what it is");
		check(newest && pm_state_load(b.t, newest, &err) == 0, "it is read%s%s", err.text[0] ? ": " : "", err.text);
		b.t->done = got.step;
		b.t->opts.seed = a.t->opts.seed;
		check(same(&a, &b), "%s: values and moments are the same bits", what);
		check(steps(&a, 4) == 0 && steps(&b, 4) == 0 && same(&a, &b), "%s: and so they are four steps on", what);
		got.run = other;
		err = (struct pm_err){0};
		check(newest && pm_state_check(&got, newest, &err) < 0 && err.status == PM_DATA && strstr(err.text, "lr 0.01, not 0.02"), "another run: %s", err.text);
		if (newest && truncate(at("checkpoint-3/optimizer.safetensors"), 1000) == 0) {
			err = (struct pm_err){0};
			check(pm_state_load(b.t, newest, &err) < 0 && err.status == PM_DATA && strstr(err.text, "checkpoint-3"), "a broken one: %s", err.text);
		}
		end(&a);
		end(&b);
	}
	free(newest);
	json_decref(run);
	json_decref(other);
	pm_remove_tree(dir, &err);
}

static void names(void)
{
	char *newest = NULL;

	check(pm_state_newest(&newest, at("nowhere"), &err) == 0 && !newest, "no directory: no checkpoint");
	mkdir(dir, 0777);
	check(pm_state_newest(&newest, dir, &err) == 0 && !newest, "an empty one: none");
	mkdir(at("checkpoint-9"), 0777);
	mkdir(at("checkpoint-10"), 0777);
	mkdir(at("checkpoint-8"), 0777);
	mkdir(at("checkpoint-11.123.tmp"), 0777);
	mkdir(at("checkpoint-"), 0777);
	mkdir(at("checkpoint-x"), 0777);
	touch("adapter_model.safetensors.77.tmp");
	touch("mine.tmp");
	check(pm_state_newest(&newest, dir, &err) == 0 && newest && !strcmp(newest, at("checkpoint-10")), "numbers are compared as numbers, half-written ones are none");
	free(newest);
	check(pm_state_clean(dir, &err) == 0 && !pm_exists(at("checkpoint-11.123.tmp")) && !pm_exists(at("adapter_model.safetensors.77.tmp")) &&
	    pm_exists(at("mine.tmp")) && pm_exists(at("checkpoint-8")), "what was half written is removed, and nothing else");
	check(pm_state_prune(dir, 2, &err) == 0 && !pm_exists(at("checkpoint-8")) && pm_exists(at("checkpoint-9")) && pm_exists(at("checkpoint-10")) &&
	    pm_exists(at("checkpoint-x")), "the newest two are kept");
	check(pm_state_prune(dir, 0, &err) == 0 && pm_exists(at("checkpoint-9")), "0 keeps all");
	pm_remove_tree(dir, &err);
}

int main(void)
{
	const char *tmp = getenv("TMPDIR");
	static const char *const full[] = {"mixtral/base", "gpt_oss/bf16"};
	struct fixture f;
	size_t i;

	snprintf(dir, sizeof dir, "%s/pm-state-%ld", tmp ? tmp : "/tmp", (long)getpid());
	names();
	if (open_dev(false) && check(fixture_open(&f, "llama/base") == 0, "llama/base is there")) {
		round_trip(&f, false);
		round_trip(&f, true);
		fixture_close(&f);
	}
	for (i = 0; dev && i < 2; i++) {
		if (!golden_dir()) {
			skip("golden data is not there");
			continue;
		}
		if (check(fixture_open(&f, full[i]) == 0, "%s is there", full[i])) {
			round_trip(&f, true);
			round_trip(&f, false);
		}
		fixture_close(&f);
	}
	pm_dev_close(dev);
	return done();
}
