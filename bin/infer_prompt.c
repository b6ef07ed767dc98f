/* infer_prompt.c: what is asked becomes ids; the ids drawn become text. */
#include "bin/infer.h"

static int new_answer(struct answer **out, struct infer *x, struct pm_err *e)
{
	const struct pm_generation *g = &x->gen;
	struct answer *w = pm_alloc(1, sizeof *w, e);

	*out = w;
	if (!w)
		return -1;
	w->s.max_tokens = g->max_tokens;
	w->s.how = (struct pm_sample_row){.temperature = (float)g->temperature, .top_p = (float)g->top_p, .min_p = (float)g->min_p,
		.penalty = (float)g->penalty, .top_k = (int32_t)g->top_k, .seed = (uint64_t)x->a->seed, .stream = x->asked++};
	w->s.stop = g->stop;
	w->s.nstop = x->a->ignore_eos ? 0 : g->nstop;
	w->s.user = w;
	w->flow = (struct pm_flow){.stop = x->a->stop.v, .nstop = x->a->stop.n, .hide = x->a->hide};
	return x->tok ? pm_detok_new(&w->detok, x->tok, true, e) : 0;
}

void infer_positions(struct infer *x, int64_t n)
{
	if (!x->warned)
		say_positions(x->tool, x->model->spec, n, x->a->quiet);
	x->warned |= n > x->model->spec->max_positions;
}

void answer_free(struct answer *w)
{
	if (!w)
		return;
	free(w->s.ids);
	pm_detok_free(w->detok);
	pm_flow_free(&w->flow);
	pm_str_free(&w->text);
	pm_str_free(&w->thought);
	pm_str_free(&w->piece);
	free(w);
}

static int keep_ids(struct answer *w, struct infer *x, const int32_t *ids, size_t n, struct pm_err *e)
{
	size_t i;

	if (!n)
		return pm_fail(e, PM_DATA, "the prompt is empty");
	for (i = 0; i < n; i++)
		if (ids[i] < 0 || ids[i] >= x->model->spec->vocab)
			return pm_fail(e, PM_DATA, "token %d does not exist: the model's vocabulary has %lld", ids[i], (long long)x->model->spec->vocab);
	if ((int64_t)n >= pm_engine_context(x->engine))
		return pm_fail(e, PM_DATA, "a prompt has %zu tokens, the context %lld: no room for an answer (see --length)", n,
		    (long long)pm_engine_context(x->engine));
	infer_positions(x, (int64_t)n);
	if (pm_grow(&w->s.ids, &w->s.cap, n, sizeof *ids, e) < 0)
		return -1;
	memcpy(w->s.ids, ids, n * sizeof *ids);
	w->s.n = n;
	return 0;
}

static int need_tokenizer(const struct infer *x, struct pm_err *e)
{
	return x->tok ? 0 : pm_fail(e, PM_DATA, "%s: has no tokenizer: prompts have to be given as {\"ids\": […]} with --json", x->a->model);
}

/* Text as it is: continued by the model. */
static int plain(struct answer **out, struct infer *x, const char *text, size_t n, struct pm_err *e)
{
	struct pm_encode_opts o = {.add_special = true};
	struct pm_encoding enc = {0};
	int r;

	if (need_tokenizer(x, e) < 0)
		return -1;
	r = pm_tokenizer_encode(x->tok, text, n, &o, &enc, e);
	if (r == 0)
		r = new_answer(out, x, e);
	if (r == 0)
		r = keep_ids(*out, x, enc.ids, enc.n, e);
	pm_encoding_free(&enc);
	return r;
}

/* The template, and with it the token that closes a turn. */
static int open_template(struct infer *x, struct pm_err *e)
{
	const char *end;

	if (x->tmpl)
		return 0;
	if (open_chat_template(&x->tmpl, x->a->model, &x->a->chat_args, x->tok, x->env.share, e) < 0)
		return -1;
	end = pm_template_end(x->tmpl);
	return *end ? pm_generation_add_stop(&x->gen, pm_tokenizer_id(x->tok, end), e) : 0;
}

/* `with`: an object that has the conversation's tools, documents and chat_template_kwargs, or NULL. */
int answer_from_messages(struct answer **out, struct infer *x, const json_t *messages, const json_t *with, struct pm_err *e)
{
	struct pm_render_opts o = {.generation_prompt = true, .tools = json_object_get(with, "tools"), .documents = json_object_get(with, "documents"),
		.args = json_object_get(with, "chat_template_kwargs")};
	struct pm_chat_opts how = {.train_on = PM_TRAIN_ALL};
	struct pm_rendered text = {0};
	struct pm_encoding enc = {0};
	struct pm_record rec = {0};
	json_t *list;
	int r;

	if (need_tokenizer(x, e) < 0 || open_template(x, e) < 0)
		return -1;
	if (!json_array_size(messages))
		return pm_fail(e, PM_DATA, "there are no messages");
	if (o.args && !json_is_object(o.args))
		return pm_fail(e, PM_DATA, "'chat_template_kwargs': an object was wanted");
	if (!(list = pm_chat_calls(messages, e)))
		return -1;
	r = pm_template_fits(x->tmpl, messages, o.tools, e);
	if (r == 0)
		r = pm_template_render(x->tmpl, list, &o, &text, e);
	json_decref(list);
	if (r == 0)
		r = pm_chat_tokens(&rec, &enc, &text, x->tok, &how, e);
	if (r == 0)
		r = new_answer(out, x, e);
	if (r == 0) {
		(*out)->chat = true;
		r = keep_ids(*out, x, rec.ids, rec.n, e);
	}
	pm_record_free(&rec);
	pm_encoding_free(&enc);
	pm_rendered_free(&text);
	return r;
}

static json_t *message(const char *role, const char *text, size_t n)
{
	return json_pack("{s:s,s:s%}", "role", role, "content", text, n);
}

int answer_from_text(struct answer **out, struct infer *x, const char *text, size_t n, struct pm_err *e)
{
	json_t *m;
	int r;

	*out = NULL;
	if (!x->a->chat)
		return plain(out, x, text, n, e);
	m = json_array();
	if (x->a->system)
		json_array_append_new(m, message("system", x->a->system, strlen(x->a->system)));
	if (json_array_append_new(m, message("user", text, n)) < 0)
		r = pm_fail(e, PM_DATA, "the prompt is not valid UTF-8");
	else
		r = answer_from_messages(out, x, m, NULL, e);
	json_decref(m);
	return r;
}

static int from_ids(struct answer **out, struct infer *x, const json_t *list, struct pm_err *e)
{
	size_t n = json_array_size(list), i;
	int32_t *ids = pm_alloc(n, sizeof *ids, e);
	int64_t id;
	int r = ids ? 0 : -1;

	for (i = 0; r == 0 && i < n; i++) {
		if (pm_json_to_int(&id, json_array_get(list, i)) < 0 || id < 0 || id > INT32_MAX)
			r = pm_fail(e, PM_DATA, "'ids': a list of token numbers was wanted");
		else
			ids[i] = (int32_t)id;
	}
	if (r == 0)
		r = new_answer(out, x, e);
	if (r == 0)
		r = keep_ids(*out, x, ids, n, e);
	free(ids);
	return r;
}

/* With a system message of the command line in front, unless the record has its own. */
static int from_messages(struct answer **out, struct infer *x, const json_t *m, const json_t *record, struct pm_err *e)
{
	const char *role = json_string_value(json_object_get(json_array_get(m, 0), "role"));
	json_t *all;
	int r;

	if (!x->a->system || (role && !strcmp(role, "system")))
		return answer_from_messages(out, x, m, record, e);
	all = json_array();
	json_array_append_new(all, message("system", x->a->system, strlen(x->a->system)));
	json_array_extend(all, (json_t *)(size_t)m);
	r = answer_from_messages(out, x, all, record, e);
	json_decref(all);
	return r;
}

int answer_from_record(struct answer **out, struct infer *x, const json_t *record, struct pm_err *e)
{
	static const char *const text_keys[] = {"prompt", "text"};
	const json_t *v;
	size_t i;

	*out = NULL;
	if (json_is_string(record))
		return answer_from_text(out, x, json_string_value(record), json_string_length(record), e);
	if (json_is_array(v = json_object_get(record, "ids")))
		return from_ids(out, x, v, e);
	if (json_is_array(v = json_object_get(record, "messages")) || json_is_array(v = json_object_get(record, "prompt")))
		return from_messages(out, x, v, record, e);
	for (i = 0; i < 2; i++)
		if (json_is_string(v = json_object_get(record, text_keys[i])))
			return answer_from_text(out, x, json_string_value(v), json_string_length(v), e);
	return pm_fail(e, PM_DATA, "a prompt was wanted: \"prompt\", \"text\", \"messages\" or \"ids\"");
}

int answer_take(struct answer *w, int32_t id, struct pm_err *e)
{
	if (!w->detok)
		return 0;
	pm_str_clear(&w->piece);
	if (pm_detok_put(w->detok, id, &w->piece, e) < 0)
		return -1;
	return pm_flow_put(&w->flow, w->piece.data ? w->piece.data : "", w->piece.len, &w->text, &w->thought, e);
}

int answer_finish(struct answer *w, struct pm_err *e)
{
	w->done = true;
	if (!w->detok)
		return 0;
	pm_str_clear(&w->piece);
	if (pm_detok_end(w->detok, &w->piece, e) < 0)
		return -1;
	if (w->piece.len && pm_flow_put(&w->flow, w->piece.data, w->piece.len, &w->text, &w->thought, e) < 0)
		return -1;
	return pm_flow_end(&w->flow, &w->text, &w->thought, e);
}

json_t *answer_json(const struct answer *w)
{
	json_t *j = json_object(), *ids = json_array();
	size_t i;

	for (i = w->s.nprompt; i < w->s.n; i++)
		json_array_append_new(ids, json_integer(w->s.ids[i]));
	json_object_set_new(j, "ids", ids);
	if (w->detok)
		json_object_set_new(j, "text", json_stringn(w->text.data ? w->text.data : "", w->text.len));
	if (w->flow.hide && w->thought.len)
		json_object_set_new(j, "reasoning_content", json_stringn(w->thought.data, w->thought.len));
	json_object_set_new(j, "finish_reason", json_string(w->s.finish == PM_FINISH_STOP ? "stop" : "length"));
	return j;
}
