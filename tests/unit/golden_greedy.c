/* golden_greedy.c: greedy tokens, decoded from a cache in batches of unequal prompts, against the reference's, which recomputes
 * everything for every token; the same whatever the chunk, the number of slots, and what is guessed. */
#include "fixture.h"
#include "run/draft.h"

#define MOST 64

struct job {
	struct pm_sequence seq[MOST];
	const json_t *want[MOST];
	int n, at, ended;
};

static struct pm_sequence *next(void *arg, struct pm_err *e)
{
	struct job *j = arg;

	(void)e;
	return j->at < j->n ? &j->seq[j->at++] : NULL;
}

static int ended(void *arg, struct pm_sequence *s, struct pm_err *e)
{
	struct job *j = arg;

	(void)s;
	(void)e;
	j->ended++;
	return 0;
}

static void add(struct job *j, const int32_t *ids, size_t n, const json_t *want)
{
	struct pm_sequence *s = &j->seq[j->n];

	*s = (struct pm_sequence){.max_tokens = (int64_t)json_array_size(want), .how = {.top_p = 1, .penalty = 1}};
	pm_grow(&s->ids, &s->cap, n, sizeof *ids, &err);
	memcpy(s->ids, ids, n * sizeof *ids);
	s->n = n;
	j->want[j->n++] = want;
}

/* The prompts of a case: whole documents; or a number of their first ids (medium); or prompts of their own (stories260k). */
static void collect(struct job *j, struct fixture *f, struct pm_model *m)
{
	const json_t *greedy = json_object_get(f->golden, "greedy");
	size_t first = (size_t)json_integer_value(json_object_get(f->golden, "greedy_prompt")), i, k, n = json_array_size(greedy);
	struct pm_record rec = {0};
	struct pm_rows *rows;

	memset(j, 0, sizeof *j);
	if (n && json_is_object(json_array_get(greedy, 0))) {
		for (i = 0; i < n; i++) {
			const json_t *g = json_array_get(greedy, i), *p = json_object_get(g, "prompt_ids");
			int32_t ids[256];

			for (k = 0; k < json_array_size(p); k++)
				ids[k] = (int32_t)json_integer_value(json_array_get(p, k));
			add(j, ids, k, json_object_get(g, "ids"));
		}
		return;
	}
	rows = open_rows(f->dir, "tokens.jsonl", m);
	for (i = 0; rows && i < n && i < MOST; i++) {
		pm_rows_get(rows, (int64_t)i, &rec, &err);
		add(j, rec.ids, first ? first : rec.n, json_array_get(greedy, i));
	}
	pm_record_free(&rec);
	pm_rows_close(rows);
}

/* Guesses: none; what stood there before; the model's own, which are right but for rounding; always the same, which are hardly ever. */
enum guesses { NONE, LOOKUP, ITSELF, WRONG };

static int guess_wrong(void *arg, struct pm_sequence *const *s, int64_t n, int64_t most, int32_t *ids, int64_t *count, struct pm_err *e)
{
	int64_t i;

	(void)arg;
	(void)s;
	(void)e;
	for (i = 0; i < n * most; i++)
		ids[i] = i % 3 == 2 ? INT32_MAX : (int32_t)i;
	for (i = 0; i < n; i++)
		count[i] = most;
	return 0;
}

/* Where frequencies depend on the length, keys are made anew with every token: nothing can be checked ahead. */
static bool moving(const struct pm_model *m)
{
	int k;

	for (k = 0; k < m->spec->nropes; k++)
		if (m->spec->ropes[k].type == PM_ROPE_DYNAMIC || m->spec->ropes[k].type == PM_ROPE_LONGROPE)
			return true;
	return false;
}

static void run(struct fixture *f, struct pm_model *m, int64_t slots, int64_t chunk, enum guesses how)
{
	static const char *const word[] = {"none", "looked up", "its own", "wrong"};
	struct pm_engine_opts o = {.slots = slots, .context = 512, .chunk = chunk, .guesses = 4};
	struct pm_draft *draft = NULL;
	struct pm_engine_calls c = {.next = next, .ended = ended};
	struct pm_engine_stats st;
	struct pm_engine *g = NULL;
	struct job j;
	int i, good = 0;
	size_t k;

	collect(&j, f, m);
	c.arg = &j;
	if (how == ITSELF && pm_draft_new(&draft, m, slots, 512, &err) == 0) {
		o.guess = pm_draft_by_model;
		o.guess_arg = draft;
	}
	if (how == LOOKUP || how == WRONG)
		o.guess = how == LOOKUP ? pm_draft_by_lookup : guess_wrong;
	if (pm_engine_new(&g, m, NULL, &o, &err) < 0 || pm_engine_run(g, &c, &st, &err) < 0) {
		check(0, "%s: %s", f->name, err.text);
	} else {
		for (i = 0; i < j.n; i++) {
			const struct pm_sequence *s = &j.seq[i];

			for (k = 0; s->nprompt + k < s->n && s->ids[s->nprompt + k] == json_integer_value(json_array_get(j.want[i], k)); k++)
				;
			good += k == json_array_size(j.want[i]) && s->finish == PM_FINISH_LENGTH;
			if (k != json_array_size(j.want[i]))
				printf("# %s: answer %d differs at token %zu of %zu\n", f->name, i, k, json_array_size(j.want[i]));
		}
		check(j.n > 0 && good == j.n && j.ended == j.n, "%s: %d of %d answers equal, %lld at a time, chunks of %lld, guesses: %s", f->name, good, j.n,
		    (long long)slots, (long long)chunk, word[how]);
		if (how == ITSELF)
			check((st.guessed > 0 || moving(m)) && 10 * st.right >= 9 * st.guessed, "%s: %lld of %lld guesses of its own were right", f->name,
			    (long long)st.right, (long long)st.guessed);
		if (how == WRONG)
			check((st.guessed > 0 && 10 * st.right < st.guessed) || moving(m), "%s: %lld of %lld guesses at random", f->name, (long long)st.right, (long long)st.guessed);
	}
	for (i = 0; i < j.n; i++)
		free(j.seq[i].ids);
	pm_engine_free(g);
	pm_draft_free(draft);
}

static void one_case(struct fixture *f)
{
	struct pm_model *m = json_object_get(f->golden, "greedy") ? open_model(f, false) : NULL;

	if (!m)
		return;
	run(f, m, 1, 512, NONE);
	run(f, m, 3, 7, NONE);
	run(f, m, 3, 512, LOOKUP);
	run(f, m, 1, 512, ITSELF);
	run(f, m, 3, 512, ITSELF);
	run(f, m, 2, 512, WRONG);
	pm_model_close(m);
}

int main(int argc, char **argv)
{
	static const struct cases list[] = {
		{"llama", one_case}, {"mistral", one_case}, {"qwen2", one_case}, {"qwen3", one_case}, {"gemma", one_case},
		{"gemma2", one_case}, {"gemma3", one_case}, {"gpt2", one_case}, {"mixtral", one_case}, {"qwen3_moe", one_case}, {"gpt_oss", one_case}, {"medium", one_case}, {"stories260k", one_case},
		{NULL, NULL},
	};

	return run_cases(list, argc, argv);
}
