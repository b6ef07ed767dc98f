/* golden_woven.c: weights laid anew for decoding (pm_model_weave): prompts come out with the same bits before and after, an engine packs floats after its first
 * token and answers a prompt the same then, and so does one that finds the model woven. */
#include "cli/tool.h"
#include "fixture.h"
#include "run/engine.h"

#define ANSWER 6

struct answers {
	struct pm_sequence seq[3];
	int n, at;
};

static struct pm_sequence *next(void *arg, struct pm_err *e)
{
	struct answers *w = arg;

	(void)e;
	return w->at < w->n ? &w->seq[w->at++] : NULL;
}

/* One slot answers a prompt, another one, and the first again, whose keys are gone by then; tokens are drawn, so that a bit shows. */
static int answer(struct answers *w, struct pm_model *m, const json_t *ids, struct pm_engine_stats *st)
{
	struct pm_engine_opts o = {.slots = 1, .context = 64};
	struct pm_engine_calls c = {.next = next, .clock = pm_clock, .arg = w};
	struct pm_engine *g = NULL;
	size_t k, n = json_array_size(ids) < 32 ? json_array_size(ids) : 32;
	int i, r = pm_engine_new(&g, m, NULL, &o, &err);

	*w = (struct answers){.n = 3};
	for (i = 0; r == 0 && i < w->n; i++) {
		struct pm_sequence *s = &w->seq[i];

		s->max_tokens = ANSWER;
		s->how = (struct pm_sample_row){.temperature = 1, .top_p = 1, .penalty = 1, .seed = 7};
		r = pm_grow(&s->ids, &s->cap, n, sizeof *s->ids, &err);
		for (k = 0; r == 0 && k < n; k++)
			s->ids[k] = (int32_t)json_integer_value(json_array_get(ids, i == 1 ? n - 1 - k : k));
		s->n = s->nprompt = n;
	}
	if (r == 0)
		r = pm_engine_run(g, &c, st, &err);
	pm_engine_free(g);
	return r;
}

static bool same(const struct pm_sequence *a, const struct pm_sequence *b)
{
	return a->n == b->n && a->n == a->nprompt + ANSWER && !memcmp(a->ids, b->ids, a->n * sizeof *a->ids);
}

static void forget(struct answers *w)
{
	int i;

	for (i = 0; i < w->n; i++)
		free(w->seq[i].ids);
}

static bool has_copies(const struct pm_model *m)
{
	size_t i;

	for (i = 0; i < m->nweights; i++)
		if (m->weight[i].woven)
			return true;
	return false;
}

/* copies: whether there should be some. */
static void one_file(const char *path, const char *name, const json_t *golden, bool copies)
{
	const json_t *ids = json_object_get(golden, "input_ids");
	struct pm_engine_stats first = {0}, later = {0};
	struct answers a = {0}, b = {0};
	struct pm_model *m = NULL;
	float *before = NULL, *after = NULL;
	size_t n = 0, n2 = 0;

	if (!check(pm_model_open(&m, path, "share", NULL, dev, PM_PREC_AUTO, PM_WEIGHTS_FROZEN, &err) == 0, "%s opens%s%s", name, err.text[0] ? ": " : "", err.text))
		return;
	before = logits_of(golden, m, NULL, &n);
	check(answer(&a, m, ids, &first) == 0 && same(&a.seq[0], &a.seq[2]), "%s: a prompt's answer is the same before weights are woven and after%s%s", name,
		err.text[0] ? ": " : "", err.text);
	check(has_copies(m) == copies && first.weave_seconds > 0, "%s: %s", name, copies ? "woven by then" : "nothing is woven");
	check(pm_model_weave(m, false, &err) == 0 && pm_model_weave(m, true, &err) == 0, "%s: once", name);
	after = logits_of(golden, m, NULL, &n2);
	check(before && after && n > 0 && n == n2 && !memcmp(before, after, n * sizeof *before), "%s: a prompt's logits have the same bits", name);
	check(answer(&b, m, ids, &later) == 0 && same(&a.seq[0], &b.seq[0]) && same(&a.seq[1], &b.seq[1]), "%s: a new engine answers so, too", name);
	forget(&a);
	forget(&b);
	free(before);
	free(after);
	pm_model_close(m);
	err.text[0] = 0;
}

static void one_model(const char *name, const char *plain, enum pm_dtype type, const char *const *quantised)
{
	char what[256];
	char *dir, *p;
	json_t *golden;

	snprintf(what, sizeof what, "quant/models/%s", name);
	dir = join_path(fixtures(), what);
	p = join_path(dir, "golden.json");
	golden = pm_json_file(p, &err);
	free(p);
	if (check(golden != NULL, "%s: %s", name, err.text)) {
		p = join_path(dir, plain);
		snprintf(what, sizeof what, "%s/%s", name, plain);
		one_file(p, what, golden, pm_op_weaves(dev, type, 64));
		free(p);
		for (; *quantised; quantised++) {
			snprintf(what, sizeof what, "quantised/%s.gguf", *quantised);
			p = join_path(dir, what);
			snprintf(what, sizeof what, "%s/%s", name, *quantised);
			one_file(p, what, golden, pm_op_weaves(dev, PM_Q4_0, 64));
			free(p);
		}
	}
	free(dir);
	json_decref(golden);
}

int main(void)
{
	if (!golden_dir()) {
		skip("golden data is not there");
		return done();
	}
	if (open_dev(getenv("PM_TEST_REFERENCE") != NULL)) {
		one_model("llama", "llama.bf16.gguf", PM_BF16, (const char *const[]){"Q4_0", "Q8_0", "Q4_K_M", NULL});
		one_model("gemma3", "gemma3.bf16.gguf", PM_BF16, (const char *const[]){NULL});
		one_model("qwen3moe", "qwen3moe.bf16.gguf", PM_BF16, (const char *const[]){"Q4_K_M", NULL});
		one_model("stories260K", "stories260K.f32.gguf", PM_F32, (const char *const[]){NULL});
	}
	pm_dev_close(dev);
	return done();
}
