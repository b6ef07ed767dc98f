/* The models WordPiece and WordLevel. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/model.h"
#include "text/unicode.h"
#include "text/worker.h"

struct words {
	const struct pm_vocab *vocab;
	char *unk, *prefix;
	size_t unk_n, prefix_n, longest;        /* longest: characters of a word */
	int32_t unk_id;
	size_t spelled;                 /* bytes of the longest spelling */
};

static void words_free(void *conf)
{
	struct words *m = conf;

	free(m->unk);
	free(m->prefix);
	free(m);
}

static int build(struct words *m, struct pm_vocab *vocab, const json_t *o, struct pm_err *e)
{
	const char *unk;

	m->vocab = vocab;
	if (pm_part_str(&unk, &m->unk_n, o, "unk_token", e) < 0 || pm_model_vocab(vocab, json_object_get(o, "vocab"), e) < 0)
		return -1;
	m->unk = pm_strndup(unk, m->unk_n, e);
	m->unk_id = pm_vocab_find(vocab, unk, m->unk_n);
	for (size_t i = 0; i < vocab->n; i++)
		if (vocab->entry[i].len > m->spelled)
			m->spelled = vocab->entry[i].len;
	return m->unk ? 0 : -1;
}

static int unknown(const struct words *m, const struct pm_view *v, struct pm_worker *w, struct pm_err *e)
{
	if (m->unk_id < 0)
		return pm_fail(e, PM_DATA, "the unknown token '%s' is not in the vocabulary", m->unk);
	return pm_worker_emit(w, m->unk_id, pm_view_range(v, 0, v->n), m->unk, m->unk_n, e);
}

static int level_build(void **conf, struct pm_vocab *vocab, const json_t *o, bool *raw, struct pm_err *e)
{
	struct words *m = *conf = pm_alloc(1, sizeof *m, e);

	*raw = false;
	return m ? build(m, vocab, o, e) : -1;
}

static int level_encode(const void *conf, const struct pm_view *v, struct pm_worker *w, struct pm_err *e)
{
	const struct words *m = conf;
	int32_t id = pm_vocab_find(m->vocab, v->s, v->n);

	return id < 0 ? unknown(m, v, w, e) : pm_worker_emit(w, id, pm_view_range(v, 0, v->n), v->s, v->n, e);
}

static int piece_build(void **conf, struct pm_vocab *vocab, const json_t *o, bool *raw, struct pm_err *e)
{
	struct words *m = *conf = pm_alloc(1, sizeof *m, e);
	const char *prefix;
	int64_t max = -1;

	*raw = false;
	if (!m || build(m, vocab, o, e) < 0 || pm_part_str(&prefix, &m->prefix_n, o, "continuing_subword_prefix", e) < 0
		|| pm_json_int(&max, o, "max_input_chars_per_word", e) < 0)
		return -1;
	if (max < 0)
		return pm_fail(e, PM_DATA, "'max_input_chars_per_word': a number was wanted");
	m->longest = (size_t)max;
	m->prefix = pm_strndup(prefix, m->prefix_n, e);
	return m->prefix ? 0 : -1;
}

/* The longest token that begins at byte `from`, its end in *to; −1: none. */
static int32_t longest(const struct words *m, const struct pm_view *v, size_t from, size_t *to, struct pm_str *tmp, struct pm_err *e)
{
	size_t end = v->n, lead = from ? m->prefix_n : 0, k;
	int32_t id;

	while (end - from + lead > m->spelled && end > from) {  /* none is that long */
		pm_utf8_last(v->s, end, &k);
		end -= k;
	}
	pm_str_clear(tmp);
	if (pm_str_put(tmp, m->prefix, lead, e) < 0 || pm_str_put(tmp, v->s + from, end - from, e) < 0)
		return -2;
	for (; end > from; end -= k) {
		id = pm_vocab_find(m->vocab, tmp->data, lead + end - from);
		if (id >= 0) {
			*to = end;
			return id;
		}
		pm_utf8_last(v->s, end, &k);
	}
	return -1;
}

static int piece_encode(const void *conf, const struct pm_view *v, struct pm_worker *w, struct pm_err *e)
{
	const struct words *m = conf;
	struct pm_encoding *enc = w->enc;
	size_t old = enc->n, from = 0, to = 0, n;
	const char *token;
	int32_t id;

	if (v->n > m->longest && pm_utf8_count(v->s, v->n) > m->longest)
		return unknown(m, v, w, e);
	for (; from < v->n; from = to) {
		id = longest(m, v, from, &to, &w->text_buf, e);
		if (id < -1)
			return -1;
		if (id < 0) {           /* one part unknown: all of it */
			enc->n = old;
			return unknown(m, v, w, e);
		}
		token = pm_vocab_text(m->vocab, id, &n);
		if (pm_worker_emit(w, id, pm_view_range(v, from, to), token, n, e) < 0)
			return -1;
	}
	return 0;
}

const struct pm_model_type pm_model_wordpiece = {
	.name = "WordPiece",
	.members = "vocab unk_token continuing_subword_prefix max_input_chars_per_word",
	.build = piece_build,
	.free = words_free,
	.encode = piece_encode,
};

const struct pm_model_type pm_model_wordlevel = {
	.name = "WordLevel",
	.members = "vocab unk_token",
	.build = level_build,
	.free = words_free,
	.encode = level_encode,
};
