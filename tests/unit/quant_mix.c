/* Mixes: every golden table of llama-quantize's choices, its options and refusals. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "quant/mix.h"
#include "tap.h"

static struct pm_err err;
static int runs;

static enum pm_dtype type_of(const char *name)
{
	char low[32];
	size_t i;

	for (i = 0; name[i] && i < 31; i++)
		low[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32 : name[i]);
	low[i] = 0;
	return pm_dtype_by_name(low);
}

struct shape {
	struct pm_mix_model m;
	struct pm_mix_tensor *t;
	size_t n;
};

/* One table: a list of types, or a refusal. Returns how many tensors differ. */
static int run(const char *shape, struct shape *s, const struct pm_mix_options *o, bool importance, const json_t *want)
{
	const char *error = json_string_value(json_is_object(want) ? json_object_get(want, "error") : want);
	int wrong = 0, forced = 0;
	size_t i;

	runs++;
	s->m.importance = importance;
	if (pm_mix_choose(s->t, s->n, &s->m, o, &err) < 0)
		return check(0, "%s: %s: %s", shape, o->to->name, err.text);
	for (i = 0; i < s->n; i++) {
		const char *type = json_string_value(json_array_get(want, i));
		const struct pm_mix_tensor *t = &s->t[i];

		forced += t->forced || (!importance && pm_mix_needs_importance(t->name, t->type, o->to));
		if (!error && t->type == PM_DTYPE_NONE)
			wrong += strcmp(type, "F32") && strcmp(type, "F16");
		else if (!error && t->type != type_of(type)) {
			if (!wrong++)
				printf("# %s: %s%s: %s: %s, wanted %s\n", shape, o->to->name, importance ? " with importance" : "", t->name,
					pm_dtype(t->type)->name, type);
		}
	}
	if (error)
		return check(forced > 0, "%s: %s is refused there: %s", shape, o->to->name, error) ? 0 : 1;
	return wrong + (json_array_size(want) != s->n);
}

static void options(const char *shape, struct shape *s, const json_t *list)
{
	size_t i, k;
	json_t *o;

	json_array_foreach(list, i, o) {
		struct pm_mix_override over[8];
		struct pm_mix_options opt = {.to = pm_file_type(json_string_value(json_object_get(o, "type"))), .output = PM_DTYPE_NONE,
			.embedding = PM_DTYPE_NONE, .over = over};
		const json_t *args = json_object_get(o, "options");
		char *pattern[8] = {0}, *eq;

		for (k = 0; k < json_array_size(args); k++) {
			const char *a = json_string_value(json_array_get(args, k)), *v = json_string_value(json_array_get(args, k + 1));

			opt.pure |= !strcmp(a, "--pure");
			opt.leave_output |= !strcmp(a, "--leave-output-tensor");
			if (!strcmp(a, "--output-tensor-type"))
				opt.output = type_of(v);
			if (!strcmp(a, "--token-embedding-type"))
				opt.embedding = type_of(v);
			if (!strcmp(a, "--tensor-type")) {
				pattern[opt.n_over] = pm_strdup(v, &err);
				eq = strrchr(pattern[opt.n_over], '=');
				*eq = 0;
				over[opt.n_over] = (struct pm_mix_override){pattern[opt.n_over], type_of(eq + 1)};
				opt.n_over++;
			}
		}
		check(run(shape, s, &opt, false, json_object_get(o, "types")) == 0, "%s: %s with options, %zu", shape, opt.to->name, i);
		for (k = 0; k < 8; k++)
			free(pattern[k]);
	}
}

static int64_t number(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static void one(const char *shape)
{
	struct pm_mix_options opt = {.output = PM_DTYPE_NONE, .embedding = PM_DTYPE_NONE};
	struct shape s = {0};
	json_t *o, *tensors, *t, *kinds, *table;
	const char *type, *kind;
	char rel[128];
	size_t i;
	int sorted = 1;

	snprintf(rel, sizeof rel, "fixtures/quant/mixes/%s.json", shape);
	o = pm_json_file(golden_path(rel), &err);
	if (!check(o != NULL, "%s %s", rel, err.text))
		return;
	tensors = json_object_get(o, "tensors");
	s.n = json_array_size(tensors);
	s.t = pm_alloc(s.n, sizeof *s.t, &err);
	s.m = (struct pm_mix_model){.arch = json_string_value(json_object_get(o, "arch")), .layers = number(o, "n_layer"), .heads = number(o, "n_head"),
		.kv_heads = number(o, "n_head_kv"), .experts = number(o, "n_expert")};
	json_array_foreach(tensors, i, t) {
		s.t[i].name = json_string_value(json_array_get(t, 0));
		s.t[i].cols = (uint64_t)json_integer_value(json_array_get(t, 1));
		s.t[i].nd = (int)json_integer_value(json_array_get(t, 2));
		sorted &= !i || pm_mix_compare(s.t[i - 1].name, s.t[i].name) < 0;
	}
	check(sorted, "%s: the order of %zu tensors", shape, s.n);
	json_object_foreach(json_object_get(o, "types"), type, kinds) {
		int wrong = 0;

		opt.to = pm_file_type(type);
		if (!check(opt.to != NULL, "%s: file type %s", shape, type))
			continue;
		json_object_foreach(kinds, kind, table)
			wrong += run(shape, &s, &opt, !strcmp(kind, "imatrix"), strcmp(kind, "error") ? table : kinds);
		if (!json_object_get(kinds, "imatrix") && !json_object_get(kinds, "error"))
			wrong += run(shape, &s, &opt, true, json_object_get(kinds, "plain"));
		check(wrong == 0, "%s: %s", shape, type);
	}
	options(shape, &s, json_object_get(o, "options"));
	free(s.t);
	json_decref(o);
}

static void golden(void)
{
	static const char *const shapes[] = {"deepseek-v2-lite", "falcon-40b", "gemma3-1b", "gpt2", "llama-1-layer", "llama-13b", "llama-3-70b", "llama-3-8b",
		"llama-7b", "llama-odd-columns", "mixtral-8x7b", "phi3-mini", "qwen2-0.5b", "qwen3-30b-a3b", "tinyllama-1.1b"};
	size_t i;

	if (!golden_path("fixtures/quant/mixes")) {
		skip("golden data is not there");
		return;
	}
	for (i = 0; i < sizeof shapes / sizeof *shapes; i++)
		one(shapes[i]);
	check(runs > 1000, "%d tables", runs);
}

/* What the tables do not show. */
static void other(void)
{
	static const struct pm_mix_override bad[] = {{"a(", PM_Q8_0}}, unused[] = {{"FFN_up", PM_Q4_0}, {"rope", PM_Q8_0}};
	struct pm_mix_model m = {.arch = "llama", .layers = 1};
	struct pm_mix_tensor t[] = {{.name = "rope_freqs.weight", .nd = 1, .cols = 32}, {.name = "blk.0.ffn_up.weight", .nd = 2, .cols = 50}};
	struct pm_mix_options o = {.to = pm_file_type("q8_0"), .output = PM_DTYPE_NONE, .embedding = PM_DTYPE_NONE, .over = bad, .n_over = 1};
	bool forced;

	check(pm_mix_choose(t, 2, &m, &o, &err) < 0 && err.status == PM_USAGE && strstr(err.text, "'a('"), "a pattern that does not compile: %s", err.text);
	o.over = unused;
	o.n_over = 2;
	check(pm_mix_choose(t, 2, &m, &o, &err) < 0 && err.status == PM_USAGE && strstr(err.text, "'rope'"), "a pattern without effect: %s", err.text);
	o.n_over = 0;
	check(pm_mix_choose(t, 2, &m, &o, &err) == 0 && t[0].type == PM_DTYPE_NONE && t[1].type == PM_F16 && t[1].forced && t[1].wanted == PM_Q8_0,
		"columns that no block divides: f16, and it is said");
	check(pm_mix_fallback(PM_Q4_K, 96, &forced) == PM_Q5_0 && !forced, "q4_k falls back to q5_0");
	check(pm_mix_compare("blk.2.a", "blk.10.a") < 0 && pm_mix_compare("token_embd", "blk.0.a") < 0, "layers by number");
	check(!strcmp(pm_file_type("q4_k")->name, "Q4_K_M") && !pm_file_type("Q9"), "file types by name");
}

int main(void)
{
	golden();
	other();
	return done();
}
