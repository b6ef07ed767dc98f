#include "text/tokenizer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/added.h"
#include "text/chunks.h"
#include "text/decoder.h"
#include "text/limits.h"
#include "text/model.h"
#include "text/post.h"
#include "text/pretok.h"
#include "text/tokens.h"
#include "text/unicode.h"
#include "text/worker.h"

struct pm_tokenizer {
	char hash[PM_SHA256_HEX];
	struct pm_vocab vocab;
	struct pm_parts normalizers, pretokenizers;
	struct pm_ready ready;          /* what the vocabulary and the model may lie in */
	struct pm_model model;
	struct pm_post post;
	struct pm_decoders decoders;
	struct pm_limits limits;
	struct pm_added added;
	/* A long text may be taken in groups of lines, or of words, of which all but the first need the normalizers from `later` on. */
	bool lines, words, by_lines;    /* by_lines: may, lines: should, since there is something to normalize */
	size_t later;
	bool *hidden;                   /* by id: decoding with skip_special leaves it out */
	size_t ids;
	int32_t bos, eos;
	pthread_mutex_t lock;           /* of the list of idle workers */
	struct pm_worker *idle;
};

static struct pm_worker *take(struct pm_tokenizer *t, struct pm_err *e)
{
	struct pm_worker *w;

	pthread_mutex_lock(&t->lock);
	w = t->idle;
	if (w)
		t->idle = w->next;
	pthread_mutex_unlock(&t->lock);
	return w ? w : pm_alloc(1, sizeof *w, e);
}

static void give_back(struct pm_tokenizer *t, struct pm_worker *w)
{
	w->nbuf = 0;
	pthread_mutex_lock(&t->lock);
	w->next = t->idle;
	t->idle = w;
	pthread_mutex_unlock(&t->lock);
}

/* Opening */

static int normalized(void *ctx, const char *s, size_t n, struct pm_str *out, struct pm_err *e)
{
	struct pm_tokenizer *t = ctx;
	struct pm_worker *w = take(t, e);
	struct pm_view in = {s, n, NULL, 0}, v;
	int r;

	if (!w)
		return -1;
	r = pm_normalize(&t->normalizers, 0, &in, &v, w, e);
	if (r == 0)
		r = pm_str_put(out, v.s, v.n, e);
	give_back(t, w);
	return r;
}

/* The spelling that decoding sees: a normalized token is seen in its normal form. */
static const char *spelling(const struct pm_tokenizer *t, int32_t id, size_t *n)
{
	const struct pm_added_token *a = pm_added_of(&t->added, id);

	if (!a)
		return pm_vocab_text(&t->vocab, id, n);
	*n = a->pattern_n;
	return a->pattern;
}

/* What is hidden goes by spelling: that of a special token as it was given. */
static int find_hidden(struct pm_tokenizer *t, struct pm_err *e)
{
	struct pm_vocab special = {0};
	bool first[256] = {false};      /* bytes that one begins with */
	const char *s;
	size_t n;
	int r = 0;

	t->ids = t->vocab.ids > t->added.ids ? t->vocab.ids : t->added.ids;
	t->hidden = pm_alloc(t->ids, sizeof *t->hidden, e);
	if (!t->hidden)
		return -1;
	for (size_t i = 0; r == 0 && i < t->added.n; i++)
		if (t->added.v[i].special) {
			first[(unsigned char)t->added.v[i].content[0]] = true;
			r = pm_vocab_add(&special, t->added.v[i].content, t->added.v[i].n, t->added.v[i].id, e);
		}
	for (size_t i = 0; r == 0 && i < t->ids; i++) {
		s = spelling(t, (int32_t)i, &n);
		t->hidden[i] = s && n && first[(unsigned char)*s] && pm_vocab_find(&special, s, n) >= 0;
	}
	pm_vocab_free(&special);
	return r;
}

static int read_sections(struct pm_tokenizer *t, const json_t *o, struct pm_ready *ready, struct pm_err *e)
{
	bool raw = false;

	if (!json_is_object(o))
		return pm_fail(e, PM_DATA, "an object was wanted");
	if (pm_part_check(o, "version truncation padding added_tokens normalizer pre_tokenizer post_processor decoder model", e) < 0)
		return -1;
	if (pm_limits_read(&t->limits, json_object_get(o, "truncation"), json_object_get(o, "padding"), e) < 0)
		return -1;
	if (pm_parts_read(&t->normalizers, json_object_get(o, "normalizer"), pm_normalizers, "normalizers", e) < 0)
		return pm_ctx(e, "normalizer");
	if (pm_parts_read(&t->pretokenizers, json_object_get(o, "pre_tokenizer"), pm_pretokenizers, "pretokenizers", e) < 0)
		return pm_ctx(e, "pre_tokenizer");
	if (pm_model_read(&t->model, &t->vocab, json_object_get(o, "model"), pm_pretok_ends_bytelevel(&t->pretokenizers), &raw, ready, e) < 0)
		return pm_ctx(e, "model");
	if (raw)
		pm_pretok_raw(&t->pretokenizers);
	if (pm_post_read(&t->post, json_object_get(o, "post_processor"), e) < 0)
		return pm_ctx(e, "post_processor");
	if (pm_decoders_read(&t->decoders, json_object_get(o, "decoder"), e) < 0)
		return pm_ctx(e, "decoder");
	if (pm_added_read(&t->added, json_object_get(o, "added_tokens"), &t->vocab, normalized, t, e) < 0)
		return pm_ctx(e, "added_tokens");
	t->by_lines = !t->added.normal.nodes && pm_normalize_by_lines(&t->normalizers) && pm_pretok_by_lines(&t->pretokenizers);
	t->lines = t->normalizers.n && t->by_lines;
	t->words = t->model.type->parts && pm_added_by_words(&t->added) && pm_normalize_by_words(&t->normalizers, &t->later)
		&& pm_pretok_only_spaces(&t->pretokenizers);
	return find_hidden(t, e);
}

static int read_text(struct pm_tokenizer *t, const char *json, size_t n, const char *name, struct pm_ready *ready, struct pm_err *e)
{
	json_t *o = pm_json_parse(json, n, name, e);
	int r = o ? read_sections(t, o, ready, e) : -1;

	json_decref(o);
	return o && r < 0 ? pm_ctx(e, "%s", name) : r;
}

/* Puts the tables into the cache, with what is left of the text. */
static void save(const struct pm_tokenizer *t, const char *json, size_t n, const char *cache)
{
	struct pm_ready r = {0}, scanned;

	if (!t->model.type->saved || !pm_ready_rest(&scanned, json, n))
		return;
	t->model.type->saved(t->model.conf, &r);
	r.rest = scanned.rest;
	pm_ready_save(&r, cache, t->hash);
	pm_ready_free(&scanned);
}

/* The tables from the cache or straight from the text; where that fails, for whatever reason, *e means nothing. */
static int read_ready(struct pm_tokenizer *t, const char *json, size_t n, const char *name, const char *cache, bool *cached, struct pm_err *e)
{
	*cached = cache && pm_ready_load(&t->ready, cache, t->hash);
	if (!*cached && !pm_ready_scan(&t->ready, json, n))
		return -1;
	return read_text(t, t->ready.rest.data, t->ready.rest.len, name, &t->ready, e);
}

static struct pm_tokenizer *empty(const char hash[PM_SHA256_HEX], struct pm_err *e)
{
	struct pm_tokenizer *t = pm_alloc(1, sizeof *t, e);

	if (!t)
		return NULL;
	pthread_mutex_init(&t->lock, NULL);
	t->bos = t->eos = -1;
	memcpy(t->hash, hash, sizeof t->hash);
	return t;
}

int pm_tokens_read_cached(struct pm_tokenizer **out, const char *json, size_t n, const char *name, const char *cache, struct pm_err *e)
{
	char hash[PM_SHA256_HEX];
	struct pm_tokenizer *t;
	bool cached = false;
	int r;

	*out = NULL;
	if (pm_sha256_bytes(hash, json, n, e) < 0 || !(t = empty(hash, e)))
		return -1;
	r = read_ready(t, json, n, name, cache, &cached, e);
	if (r < 0) {
		pm_tokenizer_close(t);
		e->status = PM_DONE;
		t = empty(hash, e);
		if (!t)
			return -1;
		r = read_text(t, json, n, name, NULL, e);
	}
	if (r < 0) {
		pm_tokenizer_close(t);
		return -1;
	}
	if (cache && !cached)
		save(t, json, n, cache);
	*out = t;
	return 0;
}

int pm_tokens_read(struct pm_tokenizer **out, const char *json, size_t n, const char *name, struct pm_err *e)
{
	return pm_tokens_read_cached(out, json, n, name, NULL, e);
}

int pm_tokens_bounds(struct pm_tokenizer *t, int32_t bos, int add_bos, int32_t eos, int add_eos, struct pm_err *e)
{
	t->bos = bos;
	t->eos = eos;
	if (add_bos > 0 && bos < 0)
		return pm_fail(e, PM_DATA, "a BOS token is to be added, and none is named");
	if (add_eos > 0 && eos < 0)
		return pm_fail(e, PM_DATA, "an EOS token is to be added, and none is named");
	return pm_post_bounds(&t->post, bos, add_bos, eos, add_eos, e);
}

void pm_tokenizer_close(struct pm_tokenizer *t)
{
	struct pm_worker *w;

	if (!t)
		return;
	while ((w = t->idle)) {
		t->idle = w->next;
		pm_worker_free(w);
	}
	pm_vocab_free(&t->vocab);
	pm_parts_free(&t->normalizers);
	pm_parts_free(&t->pretokenizers);
	pm_model_free(&t->model);
	pm_post_free(&t->post);
	pm_decoders_free(&t->decoders);
	pm_added_free(&t->added);
	free(t->hidden);
	pm_ready_free(&t->ready);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

/* Encoding */

/* Pieces for the model. */
struct to_model {
	struct pm_sink sink;
	const struct pm_model *model;
	struct pm_worker *w;
};

static int piece(struct pm_sink *s, const struct pm_view *v, struct pm_err *e)
{
	struct to_model *m = (struct to_model *)s;

	return m->model->type->encode(m->model->conf, v, m->w, e);
}

/* A run of text without added tokens, after the normalizers. */
static int plain(const struct pm_tokenizer *t, const struct pm_view *v, struct pm_worker *w, struct pm_err *e)
{
	struct to_model m = {{piece}, &t->model, w};

	return v->n ? pm_pretokenize(&t->pretokenizers, 0, v, &m.sink, w, e) : 0;
}

/* Parts a text at the added tokens of one trie; what lies between goes to `rest`. */
static int part(const struct pm_tokenizer *t, const struct pm_trie *trie, const struct pm_view *v, const struct pm_added_rule *rule,
	struct pm_worker *w, int (*rest)(const struct pm_tokenizer *t, const struct pm_view *v, const struct pm_added_rule *rule,
	struct pm_worker *w, struct pm_err *e), struct pm_err *e)
{
	const struct pm_added_token *a;
	size_t at = 0, done = 0, from, to;
	struct pm_view p;

	while ((a = pm_added_find(&t->added, trie, v, &at, done, rule, &from, &to))) {
		if (from > done) {
			p = pm_view_part(v, done, from);
			if (rest(t, &p, rule, w, e) < 0)
				return -1;
		}
		if (pm_worker_emit(w, a->id, pm_view_range(v, from, to), v->s + from, to - from, e) < 0)
			return -1;
		done = to;
	}
	p = pm_view_part(v, done, v->n);
	return p.n ? rest(t, &p, rule, w, e) : 0;
}

static int second(const struct pm_tokenizer *t, const struct pm_view *v, const struct pm_added_rule *rule, struct pm_worker *w,
	struct pm_err *e)
{
	(void)rule;
	return plain(t, v, w, e);
}

/* A group of the text, from normalizer number i on. */
static int normalize(const struct pm_tokenizer *t, size_t i, const struct pm_view *v, const struct pm_added_rule *rule, struct pm_worker *w,
	struct pm_err *e)
{
	struct pm_view n;

	if (pm_normalize(&t->normalizers, i, v, &n, w, e) < 0)
		return -1;
	return t->added.normal.nodes ? part(t, &t->added.normal, &n, rule, w, second, e) : plain(t, &n, w, e);
}

struct long_part {
	const struct pm_tokenizer *t;
	const struct pm_added_rule *rule;
	struct pm_worker *w;
};

static int window(const void *ctx, const struct pm_view *v, size_t from, size_t to, struct pm_encoding *enc, struct pm_err *e)
{
	const struct long_part *x = ctx;
	struct pm_view p = pm_view_part(v, from, to);

	(void)enc;                      /* it is the worker's */
	return normalize(x->t, from ? x->t->later : 0, &p, x->rule, x->w, e);
}

/* Groups that give the same as the whole text stay in near caches, and one that needs no normalizing is left as it is. from and to are
 * places where it may be cut. */
static int groups(const struct pm_tokenizer *t, const struct pm_view *v, size_t from, size_t to, const struct pm_added_rule *rule,
	struct pm_worker *w, struct pm_err *e)
{
	struct long_part x = {t, rule, w};
	struct pm_chunks l = {.encode = window, .ctx = &x};
	struct pm_view p;
	size_t end;

	for (size_t i = from; i < to; i = end) {
		end = t->lines ? pm_chunks_line(v, i) : t->words ? pm_chunks_word(v, i, &t->model) : v->n;
		end = end < to ? end : to;
		if (t->words && !w->trim && !v->map && pm_chunks_is_long(end - i)) {
			if (pm_chunks_long(&l, v, i, end, w->enc, e) < 0)
				return -1;
			continue;
		}
		p = pm_view_part(v, i, end);
		if (normalize(t, i && t->words ? t->later : 0, &p, rule, w, e) < 0)
			return -1;
	}
	return 0;
}

/* The same on several threads. */
struct shared {
	struct pm_tokenizer *t;
	const struct pm_added_rule *rule;
	const struct pm_worker *w;      /* the caller's */
};

static size_t cut(const void *ctx, const struct pm_view *v, size_t i)
{
	const struct shared *x = ctx;

	return x->t->by_lines ? pm_chunks_line(v, i) : pm_chunks_word(v, i, &x->t->model);
}

static int chunk(const void *ctx, const struct pm_view *v, size_t from, size_t to, struct pm_encoding *enc, struct pm_err *e)
{
	const struct shared *x = ctx;
	struct pm_worker *w = take(x->t, e);
	int r;

	if (!w)
		return -1;
	w->enc = enc;
	w->text = x->w->text;
	w->n = x->w->n;
	w->first = from ? SIZE_MAX : 0;
	w->trim = x->w->trim;
	w->trim_prefix = x->w->trim_prefix;
	r = groups(x->t, v, from, to, x->rule, w, e);
	w->enc = NULL;
	give_back(x->t, w);
	return r;
}

static int first(const struct pm_tokenizer *t, const struct pm_view *v, const struct pm_added_rule *rule, struct pm_worker *w,
	struct pm_err *e)
{
	struct shared x = {(struct pm_tokenizer *)t, rule, w};
	struct pm_chunks c = {cut, chunk, &x};

	if ((t->by_lines || t->words) && pm_chunks_many(v, rule->threads))
		return pm_chunks_encode(&c, v, rule->threads, w->enc, e);
	return groups(t, v, 0, v->n, rule, w, e);
}

static int append(struct pm_encoding *enc, int32_t id, struct pm_err *e)
{
	if (pm_encoding_room(enc, 1, e) < 0)
		return -1;
	enc->ids[enc->n] = id;
	enc->from[enc->n] = enc->to[enc->n] = 0;
	enc->n++;
	return 0;
}

/* One text, without what the post-processor puts around it. */
static int text_ids(struct pm_tokenizer *t, const char *text, size_t n, const struct pm_encode_opts *o, struct pm_encoding *enc,
	struct pm_err *e)
{
	struct pm_added_rule rule = {o->parse_special, o->literal, o->nliteral, o->threads};
	struct pm_view v = {text, n, NULL, 0};
	struct pm_worker *w = take(t, e);
	int r;

	if (!w)
		return -1;
	w->enc = enc;
	w->text = text;
	w->n = n;
	w->first = enc->n;
	w->trim = t->post.trim;
	w->trim_prefix = t->post.trim_prefix;
	/* most texts give about a token for four bytes; growing by doubling does the rest */
	r = pm_encoding_room(enc, n / 4 + 8, e);
	if (r == 0)
		r = part(t, &t->added.given, &v, &rule, w, first, e);
	w->enc = NULL;
	give_back(t, w);
	return r;
}

static int check_utf8(const char *text, size_t n, struct pm_err *e)
{
	size_t good = pm_utf8_valid(text, n);

	return good == n ? 0 : pm_fail(e, PM_DATA, "byte %zu of the text is not UTF-8", good);
}

/* The texts as a list of the post-processor puts them together. enc->types is filled where `typed`. */
static int assemble(struct pm_tokenizer *t, const struct pm_post_list *l, const char *const text[2], const size_t n[2], bool typed,
	const struct pm_encode_opts *o, struct pm_encoding *enc, struct pm_err *e)
{
	struct pm_run *run = o->truncate ? pm_alloc(l->n, sizeof *run, e) : NULL;
	size_t old, start = enc->n;
	int r = o->truncate && !run ? -1 : 0, which;

	enc->windows = 1;
	enc->pads_before = enc->pads_behind = enc->second = enc->second_to = 0;
	if (!typed) {
		free(enc->types);
		enc->types = NULL;
		enc->cap_types = 0;
	}
	for (size_t i = 0; r == 0 && i < l->n; i++) {
		old = enc->n;
		which = l->v[i].kind == PM_POST_B;
		if (l->v[i].kind != PM_POST_ID)
			r = text[which] ? text_ids(t, text[which], n[which], o, enc, e) : 0;
		else if (o->add_special)
			r = append(enc, l->v[i].id, e);
		if (which) {
			enc->second = old;
			enc->second_to = enc->n;
		}
		if (run)
			run[i] = (struct pm_run){l->v[i].kind == PM_POST_ID ? -1 : which, old, enc->n};
		if (r == 0 && typed)
			r = pm_grow(&enc->types, &enc->cap_types, enc->n, sizeof *enc->types, e);
		for (; r == 0 && typed && old < enc->n; old++)
			enc->types[old] = l->v[i].type;
	}
	if (r == 0 && run)
		r = pm_limits_cut(&t->limits, enc, run, l->n, o, e);
	if (r == 0 && o->pad)
		r = pm_limits_pad(&t->limits, enc, start, e);
	free(run);
	if (r < 0)
		enc->n = start;
	return r;
}

int pm_tokenizer_encode(const struct pm_tokenizer *ct, const char *text, size_t n, const struct pm_encode_opts *o,
	struct pm_encoding *enc, struct pm_err *e)
{
	struct pm_tokenizer *t = (struct pm_tokenizer *)ct;     /* only its list of idle workers changes, under the lock */
	const char *const texts[2] = {text, NULL};
	const size_t sizes[2] = {n, 0};

	return check_utf8(text, n, e) < 0 ? -1 : assemble(t, &t->post.single, texts, sizes, false, o, enc, e);
}

int pm_tokenizer_encode_pair(const struct pm_tokenizer *ct, const char *a, size_t na, const char *b, size_t nb,
	const struct pm_encode_opts *o, struct pm_encoding *enc, struct pm_err *e)
{
	struct pm_tokenizer *t = (struct pm_tokenizer *)ct;
	const char *const texts[2] = {a, b};
	const size_t sizes[2] = {na, nb};

	if (enc->n || o->nliteral)
		return pm_fail(e, PM_SOFTWARE, "a pair wants an empty encoding and no literal ranges");
	if (check_utf8(a, na, e) < 0)
		return pm_ctx(e, "first of a pair");
	if (check_utf8(b, nb, e) < 0)
		return pm_ctx(e, "second of a pair");
	return assemble(t, &t->post.pair, texts, sizes, true, o, enc, e);
}

int pm_tokens_pieces(const struct pm_tokenizer *ct, const char *text, size_t n, struct pm_sink *to, struct pm_err *e)
{
	struct pm_tokenizer *t = (struct pm_tokenizer *)ct;
	struct pm_view all = {text, n, NULL, 0}, part_of, v;
	struct pm_worker *w = take(t, e);
	size_t end;
	int r = w ? 0 : -1;

	for (size_t i = 0; r == 0 && i < n; i = end) {
		end = t->lines ? pm_chunks_line(&all, i) : n;
		part_of = pm_view_part(&all, i, end);
		r = pm_normalize(&t->normalizers, 0, &part_of, &v, w, e);
		if (r == 0 && v.n)
			r = pm_pretokenize(&t->pretokenizers, 0, &v, to, w, e);
	}
	if (w)
		give_back(t, w);
	return r;
}

/* Questions */

size_t pm_tokenizer_vocab(const struct pm_tokenizer *t)
{
	return t->ids;
}

int32_t pm_tokenizer_id(const struct pm_tokenizer *t, const char *token)
{
	int32_t i = pm_vocab_find(&t->added.by_content, token, strlen(token));

	return i >= 0 ? t->added.v[i].id : pm_vocab_find(&t->vocab, token, strlen(token));
}

const char *pm_tokenizer_token(const struct pm_tokenizer *t, int32_t id)
{
	const struct pm_added_token *a = pm_added_of(&t->added, id);
	size_t n;

	return a ? a->content : pm_vocab_text(&t->vocab, id, &n);
}

bool pm_tokenizer_is_special(const struct pm_tokenizer *t, int32_t id)
{
	const struct pm_added_token *a = pm_added_of(&t->added, id);

	return a && a->special;
}

int32_t pm_tokenizer_bos(const struct pm_tokenizer *t)
{
	return t->bos;
}

int32_t pm_tokenizer_eos(const struct pm_tokenizer *t)
{
	return t->eos;
}

const char *pm_tokenizer_hash(const struct pm_tokenizer *t)
{
	return t->hash;
}

const struct pm_decoders *pm_tokens_decoders(const struct pm_tokenizer *t)
{
	return &t->decoders;
}

const char *pm_tokens_spelling(const struct pm_tokenizer *t, int32_t id, size_t *n, bool *hidden)
{
	const char *s = spelling(t, id, n);

	*hidden = s && t->hidden[id];
	return s;
}
