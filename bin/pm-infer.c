/* pm-infer: prompts in, answers out. */
#include <stdio.h>
#include <unistd.h>

#include "bin/infer.h"
#include "bin/vocab.h"

static struct args a;

static struct pm_opt opts[] = {
	PM_OPT_MODEL(&a.model),
	PM_OPT_ADAPTER(&a.adapters),
	{.letter = 'n', .name = "max-tokens", .kind = PM_OPT_INT, .arg = "N", .to = &a.count, .min = 1, .max = 16777216,
	 .help = "tokens of an answer at most [the model's, else 256]"},
	{.letter = 't', .name = "temperature", .kind = PM_OPT_REAL, .arg = "T", .to = &a.temperature, .min = 0, .max = 100,
	 .help = "0 takes the likeliest token [the model's, else 0]"},
	{.name = "top-k", .kind = PM_OPT_INT, .arg = "K", .to = &a.top_k, .min = 0, .max = 16777216, .help = "draw from the K likeliest, 0 from all [the model's]"},
	{.name = "top-p", .kind = PM_OPT_REAL, .arg = "P", .to = &a.top_p, .min = 1e-9, .max = 1, .help = "draw from the likeliest that sum to P [the model's]"},
	{.name = "min-p", .kind = PM_OPT_REAL, .arg = "P", .to = &a.min_p, .min = 0, .max = 1,
	 .help = "leave out what is P times less likely than the likeliest [the model's]"},
	{.name = "repetition-penalty", .kind = PM_OPT_REAL, .arg = "X", .to = &a.penalty, .min = 1e-3, .max = 1e3,
	 .help = "of tokens that were there already, 1 for none [the model's]"},
	PM_OPT_SEED(&a.seed),
	{.name = "stop", .kind = PM_OPT_STRS, .arg = "TEXT", .to = &a.stop, .help = "end an answer before this text; may be repeated"},
	{.name = "ignore-eos", .kind = PM_OPT_FLAG, .to = &a.ignore_eos, .help = "go on after end tokens"},
	{.name = "chat", .kind = PM_OPT_FLAG, .to = &a.chat, .help = "prompts are a user's messages"},
	{.name = "system", .kind = PM_OPT_STR, .arg = "TEXT", .to = &a.system, .help = "system message of a chat"},
	CHAT_OPTS(&a.chat_args),
	{.letter = 'i', .name = "interactive", .kind = PM_OPT_FLAG, .to = &a.interactive, .help = "a conversation, line by line [on a terminal without a prompt]"},
	{.name = "show-thinking", .kind = PM_OPT_FLAG, .to = &a.show, .help = "print <think> text as it comes [yes]"},
	{.name = "hide-thinking", .kind = PM_OPT_FLAG, .to = &a.hide, .help = "leave <think> text out"},
	PM_OPT_JSON(&a.json, "read JSON lines, write one JSON line an answer"),
	{.name = "batch", .kind = PM_OPT_INT, .arg = "N", .to = &a.batch, .fallback = "8", .min = 1, .max = 1024, .help = "answers made at a time, with --json"},
	{.name = "draft-model", .kind = PM_OPT_STR, .arg = "DIR|NAME", .to = &a.draft_model, .help = "smaller model of the same vocabulary that guesses ahead; answers stay the same"},
	{.name = "lookup", .kind = PM_OPT_FLAG, .to = &a.lookup, .help = "guess ahead from what stood in the text before; answers stay the same"},
	{.name = "num-draft-tokens", .kind = PM_OPT_INT, .arg = "N", .to = &a.guesses, .fallback = "4", .min = 1, .max = 15, .help = "tokens guessed at a time"},
	PM_OPT_LENGTH(&a.context, NULL, "context: tokens of prompt and answer together [4096]"),
	{.name = "stats", .kind = PM_OPT_FLAG, .to = &a.stats, .help = "end with a line of JSON on stderr: tokens, rates, times"},
	{.name = "family", .kind = PM_OPT_STR, .arg = "FILE", .to = &a.family, .help = "a family description of your own (pm-family(5))"},
	PM_OPT_DEVICE(&a.dev),
	PM_OPT_QUIET(&a.quiet),
};

static struct pm_tool tool = {
	.name = "pm-infer", .operands = "[PROMPT …]", .brief = "Continues prompts, answers chats: from arguments, stdin, JSON lines or a terminal.",
	.opts = opts, .nopts = sizeof opts / sizeof *opts,
};

static int check(int prompts, struct pm_err *e)
{
	if (!a.model)
		return pm_fail(e, PM_USAGE, "-m was wanted: the model to run");
	if (a.show && a.hide)
		return pm_fail(e, PM_USAGE, "--show-thinking and --hide-thinking exclude each other");
	if (a.interactive && a.json)
		return pm_fail(e, PM_USAGE, "--interactive and --json exclude each other");
	if (a.system && !a.chat && !a.interactive && !a.json && !(isatty(0) && isatty(1)))
		return pm_fail(e, PM_USAGE, "--system has no effect without --chat");
	if (a.interactive && prompts)
		return pm_fail(e, PM_USAGE, "a conversation takes no prompts as arguments");
	if (!a.chat && !a.interactive && !a.json && !(isatty(0) && isatty(1)) && refuse_chat_opts(&tool, "without --chat", e) < 0)
		return -1;
	if (a.draft_model && a.lookup)
		return pm_fail(e, PM_USAGE, "--draft-model and --lookup exclude each other");
	if (!a.draft_model && !a.lookup && pm_opt_refuse(&tool, "num-draft-tokens", "without --draft-model or --lookup", e) < 0)
		return -1;
	return a.json ? 0 : pm_opt_refuse(&tool, "batch", "without --json", e);
}

/* The model's own wishes, and then the command line's. */
static int sampling(struct infer *x, struct pm_err *e)
{
	struct pm_generation *g = &x->gen;

	if (pm_generation_load(g, a.model, x->model->spec, x->tok, e) < 0)
		return -1;
	if (pm_opt_given(&tool, "temperature"))
		g->temperature = a.temperature;
	if (pm_opt_given(&tool, "top-k"))
		g->top_k = a.top_k;
	if (pm_opt_given(&tool, "top-p"))
		g->top_p = a.top_p;
	if (pm_opt_given(&tool, "min-p"))
		g->min_p = a.min_p;
	if (pm_opt_given(&tool, "repetition-penalty"))
		g->penalty = a.penalty;
	if (pm_opt_given(&tool, "max-tokens") || !g->max_tokens)
		g->max_tokens = pm_opt_given(&tool, "max-tokens") ? a.count : 256;
	return 0;
}

static int open_tokenizer(struct infer *x, struct pm_err *e)
{
	const struct pm_gguf *g = pm_store_gguf(x->model->store);
	char *path = pm_path(a.model, "tokenizer.json", e);
	int r = path ? 0 : -1;

	if (r == 0 && (g ? pm_gguf_key(g, "tokenizer.ggml.model") != NULL : pm_exists(path)))
		r = open_vocabulary(&x->tok, a.model, e);
	free(path);
	return r;
}

/* The model that guesses has to mean the same by a token. */
static int same_vocabulary(const struct infer *x, struct pm_err *e)
{
	struct pm_tokenizer *t = NULL;
	const char *a_word, *b_word;
	size_t i, n;
	int r = pm_tokenizer_open(&t, a.draft_model, e);

	if (r < 0)
		return -1;
	n = pm_tokenizer_vocab(x->tok) > pm_tokenizer_vocab(t) ? pm_tokenizer_vocab(x->tok) : pm_tokenizer_vocab(t);
	for (i = 0; i < n && r == 0; i++) {
		a_word = i < pm_tokenizer_vocab(x->tok) ? pm_tokenizer_token(x->tok, (int32_t)i) : NULL;
		b_word = i < pm_tokenizer_vocab(t) ? pm_tokenizer_token(t, (int32_t)i) : NULL;
		if (a_word && b_word ? strcmp(a_word, b_word) != 0 : a_word != b_word)
			r = pm_fail(e, PM_DATA, "%s: token %zu is '%s', and '%s' in %s: the same vocabulary was wanted", a.draft_model, i,
			    b_word ? b_word : "", a_word ? a_word : "", a.model);
	}
	pm_tokenizer_close(t);
	return r;
}

static int open_draft(struct infer *x, const struct pm_engine_opts *o, struct pm_err *e)
{
	if (x->tok && same_vocabulary(x, e) < 0)
		return -1;
	if (pm_model_open(&x->draft_model, a.draft_model, x->env.share, NULL, x->dev, precision_of(&a.dev), PM_WEIGHTS_FROZEN, e) < 0)
		return -1;
	return pm_draft_new(&x->draft, x->draft_model, o->slots, o->context, e);
}

static int open_engine(struct infer *x, int prompts, struct pm_err *e)
{
	struct pm_engine_opts o = {.slots = a.json ? a.batch : 1, .context = a.context ? a.context : 4096};
	const struct pm_spec *s = x->model->spec;

	if (a.json && prompts && o.slots > prompts)
		o.slots = prompts;
	if (a.context > s->max_positions && s->learned_positions)
		return pm_fail(e, PM_USAGE, "--length %lld: the model learned %lld positions", (long long)a.context, (long long)s->max_positions);
	if (a.context > s->max_positions && s->max_positions && !a.quiet)
		pm_say(&tool, "the model was made for %lld positions, %lld were asked for", (long long)s->max_positions, (long long)a.context);
	if (a.draft_model && open_draft(x, &o, e) < 0)
		return -1;
	o.guess = x->draft ? pm_draft_by_model : a.lookup ? pm_draft_by_lookup : NULL;
	o.guess_arg = x->draft;
	o.guesses = o.guess ? a.guesses : 0;
	return pm_engine_new(&x->engine, x->model, x->adapters, &o, e);
}

static int run(struct pm_tool *t, int argc, char **argv, struct pm_err *e)
{
	struct infer x = {.tool = t, .a = &a};
	double start = pm_clock();
	bool talk;
	int s = check(argc - 1, e);

	if (s == 0)
		s = pm_env_get(&x.env, e);
	if (s == 0)
		s = local_name(&a.model, &x.env, e);
	if (s == 0)
		s = local_name(&a.draft_model, &x.env, e);
	if (s == 0)
		s = open_device(&x.dev, &a.dev, &x.env, &a.quiet, e);
	if (s == 0)
		s = pm_model_open(&x.model, a.model, x.env.share, a.family, x.dev, precision_of(&a.dev), PM_WEIGHTS_FROZEN, e);
	if (s == 0)
		say_weights(t, x.model, a.quiet);
	if (s == 0)
		s = open_adapters(&x.adapters, x.model, &a.adapters, &x.env, e);
	if (s == 0)
		s = open_tokenizer(&x, e);
	if (s == 0)
		s = sampling(&x, e);
	if (s == 0)
		s = open_engine(&x, argc - 1, e);
	pm_signals_catch();
	if (s == 0)
		pm_dev_stop(x.dev, pm_signals_got);
	talk = a.interactive || (argc == 1 && !a.json && isatty(0) && isatty(1));
	if (s == 0 && talk && pm_model_weave(x.model, true, e) < 0)   /* while they think of what to say */
		s = -1;
	x.load_seconds = pm_clock() - start;
	if (s == 0)
		s = talk ? infer_chat(&x, e) : a.json ? infer_lines(&x, argc, argv, e) : infer_prompts(&x, argc, argv, e);
	if (s == 0 && a.dev.profile)
		s = pm_dev_profile(x.dev, stderr, e);
	if ((s == 0 || (s < 0 && e->status == PM_TRYAGAIN)) && pm_signals_got())
		s = 128 + pm_signals_got();
	pm_engine_free(x.engine);
	pm_draft_free(x.draft);
	pm_model_close(x.draft_model);
	pm_generation_free(&x.gen);
	pm_template_close(x.tmpl);
	pm_tokenizer_close(x.tok);
	pm_adapters_free(x.adapters);
	pm_model_close(x.model);
	pm_dev_close(x.dev);
	pm_env_free(&x.env);
	return s;
}

int main(int argc, char **argv)
{
	return pm_tool_main(&tool, argc, argv, run);
}
