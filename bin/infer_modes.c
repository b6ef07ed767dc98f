/* infer_modes.c: prompts one after the other, JSON lines in batches, or a conversation. */
#include <poll.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bin/infer.h"

/* What the engine's calls work on. */
struct session {
	struct infer *x;
	/* prompts as they are or lines of JSON */
	char **argv;
	int argc, at;
	char *line;
	size_t cap;
	long lineno, records;
	struct answer *first, *last;            /* in the order asked; printed from the front as they are done */
	size_t printed;                         /* bytes of the front answer's text that are out already */
	bool stream;
	struct pm_err refused;                  /* why no more prompts are taken; those before it are answered first */
};

static int print(const char *s, size_t n, struct pm_err *e)
{
	if (fwrite(s, 1, n, stdout) != n || fflush(stdout))
		return pm_fail_errno(e, PM_IOERR, "cannot write the answer");
	return 0;
}

static void append(struct session *q, struct answer *w)
{
	if (q->last)
		q->last->next = w;
	else
		q->first = w;
	q->last = w;
}

static int drawn(void *arg, struct pm_sequence *s, int32_t id, struct pm_err *e)
{
	struct session *q = arg;
	struct answer *w = s->user;
	int r = answer_take(w, id, e);

	if (r < 0 || !q->stream || w != q->first)
		return r;
	if (print(w->text.data + q->printed, w->text.len - q->printed, e) < 0)
		return -1;
	q->printed = w->text.len;
	return r;
}

/* Prints every answer at the front that is done. */
static int print_done(struct session *q, struct pm_err *e)
{
	struct pm_str out = {0};
	int r = 0;

	while (r == 0 && q->first && q->first->done) {
		struct answer *w = q->first;

		pm_str_clear(&out);
		if (q->x->a->json) {
			json_t *j = answer_json(w);

			r = pm_json_text(&out, j, e);
			json_decref(j);
		} else if (w->text.len > q->printed) {
			r = pm_str_put(&out, w->text.data + q->printed, w->text.len - q->printed, e);
		}
		if (r == 0)
			r = pm_str_puts(&out, "\n", e);
		if (r == 0)
			r = print(out.data, out.len, e);
		q->printed = 0;
		q->first = w->next;
		if (!q->first)
			q->last = NULL;
		answer_free(w);
	}
	pm_str_free(&out);
	return r;
}

static int ended(void *arg, struct pm_sequence *s, struct pm_err *e)
{
	struct session *q = arg;

	if (answer_finish(s->user, e) < 0)
		return -1;
	infer_positions(q->x, (int64_t)s->n);
	return print_done(q, e);
}

static void close_session(struct session *q)
{
	struct answer *w, *next;

	for (w = q->first; w; w = next) {
		next = w->next;
		answer_free(w);
	}
	free(q->line);
}

static double mb(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)u.ru_maxrss / 1024;
}

static void print_stats(const struct infer *x, const struct pm_engine_stats *s)
{
	if (!x->a->stats)
		return;
	fprintf(stderr, "{\"prompt_tokens\":%lld,\"prefill_tokens_per_s\":%.1f,\"decode_tokens\":%lld,\"decode_tokens_per_s\":%.1f,\"ttft_ms\":%.1f,"
	    "\"load_ms\":%.1f,\"peak_rss_mb\":%.1f", (long long)s->prompt_tokens, s->prefill_seconds > 0 ? (double)s->prompt_tokens / s->prefill_seconds : 0,
	    (long long)s->decode_tokens, s->decode_seconds > 0 ? (double)s->decode_steps / s->decode_seconds : 0, 1e3 * s->first_seconds,
	    1e3 * (x->load_seconds + s->weave_seconds), mb());
	if (x->a->draft_model || x->a->lookup)
		fprintf(stderr, ",\"draft_tokens\":%lld,\"draft_accepted\":%lld", (long long)s->guessed, (long long)s->right);
	fprintf(stderr, "}\n");
}

/* A prompt that will not do ends the run, after the answers to those before it. */
static struct pm_sequence *refuse(struct session *q, struct pm_err *e)
{
	q->refused = *e;
	e->status = PM_DONE;
	e->text[0] = 0;
	return NULL;
}

static int go(struct session *q, struct pm_sequence *(*next)(void *, struct pm_err *), struct pm_err *e)
{
	struct pm_engine_calls c = {.next = next, .drawn = drawn, .ended = ended, .stop = pm_signals_got, .clock = pm_clock, .arg = q};
	struct pm_engine_stats s;
	int r = pm_engine_run(q->x->engine, &c, &s, e);

	if (r == 0)
		print_stats(q->x, &s);
	if (r == 0 && q->refused.status != PM_DONE && !pm_signals_got()) {
		*e = q->refused;
		r = -1;
	}
	return r;
}

/* ---- prompts ---- */

static struct pm_sequence *next_prompt(void *arg, struct pm_err *e)
{
	struct session *q = arg;
	struct pm_str text = {0};
	struct answer *w = NULL;
	int r;

	if (q->argc > 1) {
		if (q->at >= q->argc)
			return NULL;
		r = answer_from_text(&w, q->x, q->argv[q->at], strlen(q->argv[q->at]), e);
		if (r < 0)
			pm_ctx(e, "prompt %d", q->at);
	} else {
		if (q->at > 1)
			return NULL;
		r = pm_read_stream(&text, stdin, "stdin", e);
		while (r == 0 && q->x->a->chat && text.len && text.data[text.len - 1] == '\n')
			text.data[--text.len] = 0;
		if (r == 0 && (r = answer_from_text(&w, q->x, text.data ? text.data : "", text.len, e)) < 0)
			pm_ctx(e, "stdin");
		pm_str_free(&text);
	}
	q->at++;
	if (r < 0) {
		answer_free(w);
		return refuse(q, e);
	}
	append(q, w);
	return &w->s;
}

int infer_prompts(struct infer *x, int argc, char **argv, struct pm_err *e)
{
	struct session q = {.x = x, .argc = argc, .argv = argv, .at = 1, .stream = true};
	int r = go(&q, next_prompt, e);

	close_session(&q);
	return r;
}

/* ---- JSON lines ---- */

static struct answer *read_line(struct session *q, struct pm_err *e)
{
	struct answer *w = NULL;
	ssize_t n;
	json_t *j;

	do {
		n = getline(&q->line, &q->cap, stdin);
		q->lineno++;
	} while (n > 0 && strspn(q->line, " \t\r\n") == (size_t)n);
	if (n <= 0) {
		if (ferror(stdin) && !pm_signals_got())
			pm_fail_errno(e, PM_IOERR, "stdin");
		return NULL;
	}
	if (q->line[n - 1] == '\n')
		n--;
	j = pm_json_line(q->line, (size_t)n, "stdin", q->lineno, e);
	if (j)
		q->records++;
	if (j && answer_from_record(&w, q->x, j, e) < 0) {
		pm_ctx(e, "stdin: line %ld", q->lineno);
		answer_free(w);
		w = NULL;
	}
	json_decref(j);
	return w;
}

static struct pm_sequence *next_line(void *arg, struct pm_err *e)
{
	struct session *q = arg;
	struct answer *w = read_line(q, e);

	if (!w)
		return e->status != PM_DONE ? refuse(q, e) : NULL;
	append(q, w);
	return &w->s;
}

int infer_lines(struct infer *x, int argc, char **argv, struct pm_err *e)
{
	struct session q = {.x = x, .argc = argc, .argv = argv, .at = 1};
	int r = go(&q, argc > 1 ? next_prompt : next_line, e);

	if (r == 0 && !q.records && argc == 1 && !pm_signals_got())
		r = pm_fail(e, PM_DATA, "stdin: there are no prompts in it");
	close_session(&q);
	return r;
}

/* ---- a conversation ---- */

struct talk {
	struct session q;
	json_t *messages;
	struct pm_str said;
	bool asked;
};

static struct pm_sequence *next_turn(void *arg, struct pm_err *e)
{
	struct talk *t = arg;
	struct answer *w = NULL;

	if (t->asked)
		return NULL;
	t->asked = true;
	if (answer_from_messages(&w, t->q.x, t->messages, NULL, e) < 0) {
		answer_free(w);
		return NULL;
	}
	append(&t->q, w);
	return &w->s;
}

/* The answer is printed and joins the conversation. */
static int turn_ended(void *arg, struct pm_sequence *s, struct pm_err *e)
{
	struct talk *t = arg;
	struct answer *w = s->user;

	if (answer_finish(w, e) < 0)
		return -1;
	pm_str_clear(&t->said);
	if (pm_str_put(&t->said, w->text.data, w->text.len, e) < 0)
		return -1;
	return print_done(&t->q, e);
}

static int turn(struct talk *t, struct pm_err *e)
{
	struct pm_engine_calls c = {.next = next_turn, .drawn = drawn, .ended = turn_ended, .stop = pm_signals_got, .clock = pm_clock, .arg = t};
	struct pm_engine_stats s;

	t->asked = false;
	if (pm_engine_run(t->q.x->engine, &c, &s, e) < 0)
		return -1;
	print_stats(t->q.x, &s);
	json_array_append_new(t->messages, json_pack("{s:s,s:s%}", "role", "assistant", "content", t->said.data ? t->said.data : "", t->said.len));
	return 0;
}

static void begin_talk(struct talk *t, const struct infer *x)
{
	json_decref(t->messages);
	t->messages = json_array();
	if (x->a->system)
		json_array_append_new(t->messages, json_pack("{s:s,s:s}", "role", "system", "content", x->a->system));
}

/* Waits for a line or a signal: one that comes just before the reading begins, or in another thread, would not end it. */
static bool someone_speaks(void)
{
	struct pollfd p = {.fd = 0, .events = POLLIN};

	while (!pm_signals_got())
		if (poll(&p, 1, 200) > 0)
			return true;
	return false;
}

int infer_chat(struct infer *x, struct pm_err *e)
{
	struct talk t = {.q = {.x = x, .stream = true}};
	bool prompt = isatty(0) && isatty(2) && !x->a->quiet;
	ssize_t n;
	int r = 0;

	begin_talk(&t, x);
	setvbuf(stdin, NULL, _IONBF, 0);                /* what is read is what poll knows of */
	if (prompt)
		fprintf(stderr, "/new begins anew, /bye or end of file ends\n");
	while (r == 0 && !pm_signals_got()) {
		if (prompt)
			fprintf(stderr, "> ");
		n = someone_speaks() ? getline(&t.q.line, &t.q.cap, stdin) : -1;
		if (n <= 0 || !strcmp(t.q.line, "/bye\n"))
			break;
		if (t.q.line[n - 1] == '\n')
			t.q.line[--n] = 0;
		if (!n)
			continue;
		if (!strcmp(t.q.line, "/new")) {
			begin_talk(&t, x);
			continue;
		}
		if (json_array_append_new(t.messages, json_pack("{s:s,s:s%}", "role", "user", "content", t.q.line, (size_t)n)) < 0)
			r = pm_fail(e, PM_DATA, "stdin: the line is not valid UTF-8");
		else
			r = turn(&t, e);
	}
	json_decref(t.messages);
	pm_str_free(&t.said);
	close_session(&t.q);
	return r;
}
