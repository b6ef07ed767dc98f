/* pm-pack: documents to rows of one length (pm-pack.1). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/tool.h"
#include "io/tokens.h"
#include "text/pack.h"

static struct {
	int64_t length, seed;
	const char *output, *overflow;
	bool shuffle, json, quiet;
} a = {.shuffle = true};

static struct pm_opt opts[] = {
	PM_OPT_LENGTH(&a.length, NULL, "tokens a row"),
	PM_OPT_SEED(&a.seed),
	{.name = "shuffle", .kind = PM_OPT_FLAG, .to = &a.shuffle, .negatable = true,
	 .help = "draw documents in a seeded order (the default); --no-shuffle keeps the input's"},
	{.name = "on-overflow", .kind = PM_OPT_CHOICE, .arg = "WHAT", .to = &a.overflow, .fallback = "split", .choices = "split|cut|drop|error",
	 .help = "what to do with documents longer than a row"},
	PM_OPT_OUTPUT(&a.output, "where the blocks go [standard output]"),
	PM_OPT_JSON(&a.json, "write JSON lines"),
	PM_OPT_QUIET(&a.quiet),
};

/* The output, opened when the first row comes, so that a failure before leaves no file. */
struct output {
	struct pm_stream_writer w;
	const char *const *paths;
	size_t npaths;
	const json_t *tokens;           /* the header of the input, or NULL */
	bool open;
};

static int begin(void *arg, int64_t rows, double efficiency, struct pm_err *e)
{
	struct output *o = arg;
	json_t *tokenizer = json_object_get(o->tokens, "tokenizer"), *vocab = json_object_get(o->tokens, "vocab");
	json_t *command = json_string(pm_tool_command());      /* NULL: it is not UTF-8 */
	json_t *h = json_pack("{s:I, s:O?, s:O?, s:s, s:s, s:o}", "length", (json_int_t)a.length, "tokenizer", tokenizer, "vocab", vocab,
	    "tool", "pm-pack", "pm_version", pm_tool_version(), "command", command ? command : json_null());
	int r = 0;

	if (!h || (rows >= 0 && (json_object_set_new(h, "rows", json_integer(rows)) < 0 ||
	    json_object_set_new(h, "efficiency", json_real(efficiency)) < 0)) ||
	    (o->tokens && json_object_set(h, "input", (json_t *)(size_t)o->tokens) < 0))
		r = pm_fail(e, PM_SOFTWARE, "out of memory");
	if (r == 0 && !a.json)
		r = pm_stream_inputs(h, o->paths, o->npaths, e);
	if (r == 0)
		r = pm_stream_begin(&o->w, a.output ? a.output : "-", "blocks", h, a.json, e);
	o->open = r == 0;
	json_decref(h);
	return r;
}

static int row(void *arg, const struct pm_record *r, struct pm_err *e)
{
	return pm_stream_put(&((struct output *)arg)->w, r, e);
}

static void report(const struct pm_tool *t, const struct pm_pack_stats *s)
{
	pm_say(t, "%llu documents, %llu tokens (%llu trained), %llu rows of %lld", (unsigned long long)s->documents, (unsigned long long)s->tokens,
	    (unsigned long long)s->trained, (unsigned long long)s->rows, (long long)a.length);
	if (s->empty)
		pm_say(t, "%llu empty documents were left out", (unsigned long long)s->empty);
	if (s->split)
		pm_say(t, "%llu documents longer than a row were split; %llu pieces are kept, %llu without a trained token are left out",
		    (unsigned long long)s->split, (unsigned long long)s->pieces, (unsigned long long)s->left_out);
	if (s->cut)
		pm_say(t, "%llu documents longer than a row were cut", (unsigned long long)s->cut);
	if (s->dropped)
		pm_say(t, "%llu documents were dropped: they, or their group, are longer than a row", (unsigned long long)s->dropped);
	if (s->trained_lost)
		pm_say(t, "%llu trained tokens were lost; %llu documents lost their trained end", (unsigned long long)s->trained_lost,
		    (unsigned long long)s->ends_lost);
	fprintf(stderr, "efficiency %.2f %%\n", 100 * pm_pack_efficiency(s, a.length));
}

static int pack(struct pm_tool *t, struct pm_stream *in, struct pm_packer *p, struct output *out, struct pm_err *e)
{
	struct pm_progress progress;
	struct pm_record r = {0};
	uint64_t n = 0;
	int k;

	pm_progress_begin(&progress, "pack", "document", 0, a.quiet);
	while ((k = pm_stream_read(in, &r, e)) > 0) {
		out->tokens = pm_stream_header(in);
		if ((k = pm_packer_add(p, &r, pm_stream_part(in), e)) < 0)
			break;
		pm_progress_at(&progress, ++n, NULL);
	}
	pm_progress_end(&progress);
	pm_record_free(&r);
	if (k == 0)
		k = pm_packer_end(p, e);
	if (k == 0)
		k = pm_stream_end(&out->w, e);
	else if (out->open)
		pm_stream_abort(&out->w);
	if (k == 0 && !a.quiet)
		report(t, pm_packer_stats(p));
	return k;
}

static int run(struct pm_tool *t, int argc, char **argv, struct pm_err *e)
{
	static const char *const standard[] = {"-"};
	static const struct { const char *word; enum pm_overflow what; } overflows[] = {
		{"split", PM_OVERFLOW_SPLIT}, {"cut", PM_OVERFLOW_CUT}, {"drop", PM_OVERFLOW_DROP}, {"error", PM_OVERFLOW_ERROR},
	};
	const char *tmpdir = getenv("TMPDIR");
	struct pm_pack_opts o = {.length = a.length, .shuffle = a.shuffle, .seed = (uint64_t)a.seed, .tmpdir = tmpdir && *tmpdir ? tmpdir : "/tmp"};
	struct output out = {.paths = argc > 1 ? (const char *const *)argv + 1 : standard, .npaths = argc > 1 ? (size_t)argc - 1 : 1};
	struct pm_pack_sink sink = {.arg = &out, .begin = begin, .row = row};
	struct pm_packer *p = NULL;
	struct pm_stream *in = NULL;
	size_t i;
	int r = -1;

	if (!pm_opt_given(t, "length"))
		return pm_fail(e, PM_USAGE, "-l LENGTH was wanted: the tokens of a row");
	if (!a.shuffle && pm_opt_refuse(t, "seed", "with --no-shuffle", e) < 0)
		return -1;
	for (i = 0; i < sizeof overflows / sizeof *overflows; i++)
		if (!strcmp(a.overflow, overflows[i].word))
			o.overflow = overflows[i].what;
	if (pm_stream_open_all(&in, out.paths, out.npaths, e) < 0)
		return -1;
	out.tokens = pm_stream_header(in);
	if (pm_stream_is_blocks(in))
		pm_fail(e, PM_DATA, "the input is packed already: documents were wanted, not blocks");
	else if (pm_packer_new(&p, &o, &sink, e) == 0)
		r = pack(t, in, p, &out, e);
	pm_packer_free(p);
	pm_stream_close(in);
	return r;
}

int main(int argc, char **argv)
{
	struct pm_tool t = {.name = "pm-pack", .operands = "[FILE ...]", .brief = "fills rows of L tokens with the documents of token streams",
		.opts = opts, .nopts = sizeof opts / sizeof *opts};

	return pm_tool_main(&t, argc, argv, run);
}
