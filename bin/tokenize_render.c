/* pm-tokenize --render: conversations as the text that a chat template makes of them, without a tokenizer. */
#include <string.h>

#include "base/file.h"
#include "bin/tokenize.h"
#include "bin/vocab.h"
#include "text/records.h"

struct rendering {
	const struct pm_tool *tool;
	const struct tokenize_args *a;
	struct pm_template *template;
	struct pm_rendered r;
	struct pm_str line;
	struct pm_out out;
	uint64_t n, bad;
};

/* Bytes to code points, counted on from *byte, which is *point. */
static size_t points(const char *s, size_t *byte, size_t *point, size_t to)
{
	if (to < *byte)
		*byte = *point = 0;
	for (; *byte < to; ++*byte)
		*point += ((unsigned char)s[*byte] & 0xc0) != 0x80;
	return *point;
}

static json_t *result(const struct pm_rendered *r)
{
	const char *text = r->text.data ? r->text.data : "";
	json_t *spans = json_array();
	size_t i, byte = 0, point = 0;

	for (i = 0; i < r->raw.nspans; i++) {
		size_t from = points(text, &byte, &point, r->raw.spans[i].from);

		json_array_append_new(spans, json_pack("[I,I]", (json_int_t)from, (json_int_t)points(text, &byte, &point, r->raw.spans[i].to)));
	}
	return json_pack("{s:s%,s:o}", "text", text, r->text.len, "spans", spans);
}

/* Writes a line; without --json the text as it is, and a line end. */
static int put(struct rendering *x, json_t *o, struct pm_err *e)
{
	int r = 0;

	pm_str_clear(&x->line);
	if (!o)
		r = pm_fail(e, PM_SOFTWARE, "out of memory");
	else if (x->a->json)
		r = pm_json_text(&x->line, o, e);
	else if (json_object_get(o, "text"))
		r = pm_str_put(&x->line, x->r.text.data ? x->r.text.data : "", x->r.text.len, e);
	if (r == 0 && (x->a->json || json_object_get(o, "text")))
		r = pm_str_puts(&x->line, "\n", e) < 0 ? -1 : pm_out_write(&x->out, x->line.data, x->line.len, e);
	json_decref(o);
	return r;
}

static int render(struct rendering *x, const json_t *record, struct pm_err *e)
{
	struct pm_render_opts o = {.generation_prompt = x->a->generation_prompt, .tools = json_object_get(record, "tools"),
		.documents = json_object_get(record, "documents"), .args = json_object_get(record, "args")};

	if (json_is_null(o.args))
		o.args = NULL;
	if (o.args && !json_is_object(o.args))
		return pm_fail(e, PM_DATA, "'args': an object was wanted");
	return pm_template_render(x->template, json_object_get(record, "messages"), &o, &x->r, e);
}

/* A record that is no good is said in its place. */
static int refuse(struct rendering *x, struct pm_err *e)
{
	struct pm_err other;

	if (e->status != PM_DATA)
		return -1;
	x->bad++;
	if (put(x, json_pack("{s:s}", "error", e->text), &other) < 0) {
		*e = other;
		return -1;
	}
	if (strcmp(x->a->on_bad, "skip") != 0)
		return -1;
	if (x->a->verbose)
		pm_say(x->tool, "%s", e->text);
	return 0;
}

static int all(struct rendering *x, const char *path, struct pm_err *e)
{
	struct pm_records *in;
	json_t *record;
	int64_t line = 0;
	int r;

	if (pm_records_open(&in, path, e) < 0)
		return -1;
	while ((r = pm_records_next(in, &record, &line, e)) != 0) {
		x->n++;
		if (r > 0)
			r = render(x, record, e) == 0 ? put(x, result(&x->r), e) : pm_ctx(e, "%s: line %lld", pm_records_name(in), (long long)line);
		json_decref(record);
		if (r < 0 && (refuse(x, e) < 0 || pm_records_stuck(in))) {
			r = -1;
			break;
		}
	}
	pm_records_close(in);
	return r < 0 ? -1 : 0;
}

int tokenize_render(const struct pm_tool *t, const struct tokenize_args *a, const char *share, const char *const *paths, int n, struct pm_err *e)
{
	struct rendering x = {.tool = t, .a = a};
	struct pm_tokenizer *vocabulary = NULL;
	int r = a->model ? open_vocabulary(&vocabulary, a->model, e) : 0, i;

	if (r == 0)
		r = open_chat_template(&x.template, a->model, &a->chat, vocabulary, share, e);
	pm_tokenizer_close(vocabulary);
	if (r == 0)
		r = pm_out_open(&x.out, a->output ? a->output : "-", e);
	if (r < 0) {
		pm_template_close(x.template);
		return -1;
	}
	for (i = 0; r == 0 && i < n; i++)
		r = all(&x, paths[i], e);
	if (r == 0)
		r = pm_out_close(&x.out, e);
	else
		pm_out_abort(&x.out);
	if (r == 0 && x.bad)
		r = pm_fail(e, PM_DATA, "%llu of %llu records could not be rendered", (unsigned long long)x.bad, (unsigned long long)x.n);
	pm_template_close(x.template);
	pm_rendered_free(&x.r);
	pm_str_free(&x.line);
	return r;
}
