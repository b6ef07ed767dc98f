/* SentencePiece models: protocol buffers, of which only what tokenizing needs is read. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/base64.h"
#include "text/sentencepiece.h"
#include "text/sources.h"

/* A message, read field by field. */
struct message {
	const unsigned char *p, *end;
};

struct field {
	uint32_t number, wire;
	uint64_t value;                 /* of wire types 0, 1 and 5 */
	struct message bytes;           /* of wire type 2 */
};

static int varint(struct message *m, uint64_t *out, struct pm_err *e)
{
	*out = 0;
	for (int shift = 0; shift < 70; shift += 7) {
		if (m->p == m->end)
			break;
		*out |= shift < 64 ? (uint64_t)(*m->p & 0x7f) << shift : 0;
		if (!(*m->p++ & 0x80))
			return 0;
	}
	return pm_fail(e, PM_DATA, "not a SentencePiece model: a number that does not end");
}

/* 1: a field; 0: the end. */
static int next(struct message *m, struct field *f, struct pm_err *e)
{
	uint64_t key, n;

	if (m->p == m->end)
		return 0;
	if (varint(m, &key, e) < 0)
		return -1;
	f->number = (uint32_t)(key >> 3);
	f->wire = key & 7;
	if (key >> 3 == 0 || key >> 3 > 0x1fffffff)
		return pm_fail(e, PM_DATA, "not a SentencePiece model: field number %llu", (unsigned long long)(key >> 3));
	if (f->wire == 0)
		return varint(m, &f->value, e) < 0 ? -1 : 1;
	n = f->wire == 1 ? 8 : f->wire == 5 ? 4 : 0;
	if (f->wire == 2 ? varint(m, &n, e) < 0 : !n)
		return f->wire == 2 ? -1 : pm_fail(e, PM_DATA, "not a SentencePiece model: wire type %u", f->wire);
	if (n > (uint64_t)(m->end - m->p))
		return pm_fail(e, PM_DATA, "not a SentencePiece model: field %u ends after the file", f->number);
	f->bytes.p = m->p;
	f->bytes.end = m->p += n;
	f->value = 0;
	for (uint64_t i = 0; f->wire != 2 && i < n; i++)
		f->value |= (uint64_t)f->bytes.p[i] << 8 * i;
	return 1;
}

static int read_piece(struct pm_pieces *m, struct message in, struct pm_err *e)
{
	struct pm_piece *x;
	struct field f;
	uint32_t bits;
	int r;

	if (pm_grow(&m->piece, &m->cap, m->n + 1, sizeof *m->piece, e) < 0)
		return -1;
	x = m->piece + m->n;
	memset(x, 0, sizeof *x);
	x->type = PM_PIECE_NORMAL;
	while ((r = next(&in, &f, e)) > 0) {
		if (f.number == 1 && f.wire == 2) {
			x->s = (const char *)f.bytes.p;
			x->n = (size_t)(f.bytes.end - f.bytes.p);
		} else if (f.number == 2 && f.wire == 5) {
			bits = (uint32_t)f.value;
			memcpy(&x->score, &bits, sizeof bits);
		} else if (f.number == 3 && f.wire == 0) {
			x->type = f.value >= PM_PIECE_NORMAL && f.value <= PM_PIECE_BYTE ? (int)f.value : 0;
		}
	}
	if (r < 0)
		return -1;
	if (!x->n || !x->type || !(x->score - x->score == 0))
		return pm_fail(e, PM_DATA, "piece %zu: a text, a finite score and a known type were wanted", m->n);
	if (pm_vocab_find(&m->known, x->s, x->n) >= 0)
		return pm_fail(e, PM_DATA, "piece %zu: '%.*s' is there twice", m->n, (int)(x->n < 100 ? x->n : 100), x->s);
	return pm_vocab_add(&m->known, x->s, x->n, (int64_t)m->n++, e);
}

static int read_trainer(struct pm_pieces *m, struct message in, struct pm_err *e)
{
	struct field f;
	int r;

	while ((r = next(&in, &f, e)) > 0) {
		if (f.wire != 0)
			continue;
		if (f.number == 3)
			m->kind = f.value;
		else if (f.number == 24)
			m->suffix = f.value;
		else if (f.number == 35)
			m->bytes = f.value;
		else if (f.number == 41)
			m->bos = (int64_t)f.value;
		else if (f.number == 42)
			m->eos = (int64_t)f.value;
	}
	return r;
}

static int read_normalizer(struct pm_pieces *m, struct message in, struct pm_err *e)
{
	struct field f;
	int r;

	while ((r = next(&in, &f, e)) > 0) {
		if (f.number == 2 && f.wire == 2) {
			m->map = f.bytes.p;
			m->map_n = (size_t)(f.bytes.end - f.bytes.p);
		} else if (f.number == 3 && f.wire == 0)
			m->dummy = f.value;
		else if (f.number == 4 && f.wire == 0)
			m->squeeze = f.value;
		else if (f.number == 5 && f.wire == 0)
			m->escape = f.value;
	}
	return r;
}

int pm_pieces_read(struct pm_pieces *m, const char *bytes, size_t n, struct pm_err *e)
{
	struct message in = {(const unsigned char *)bytes, (const unsigned char *)bytes + n};
	struct field f;
	int r;

	m->kind = PM_PIECES_UNIGRAM;
	m->bos = 1;
	m->eos = 2;
	m->dummy = m->squeeze = m->escape = true;
	while ((r = next(&in, &f, e)) > 0) {
		if (f.wire != 2)
			continue;
		if ((f.number == 1 && read_piece(m, f.bytes, e) < 0) || (f.number == 2 && read_trainer(m, f.bytes, e) < 0)
			|| (f.number == 3 && read_normalizer(m, f.bytes, e) < 0))
			return -1;
	}
	if (r < 0)
		return -1;
	if (!m->n)
		return pm_fail(e, PM_DATA, "not a SentencePiece model: it has no pieces");
	if (m->kind != PM_PIECES_UNIGRAM && m->kind != PM_PIECES_BPE && m->kind != PM_PIECES_CHAR)
		return pm_fail(e, PM_DATA, "a SentencePiece model of kind %llu, only Unigram (1), BPE (2) and char (4) are supported",
			(unsigned long long)m->kind);
	return 0;
}

void pm_pieces_free(struct pm_pieces *m)
{
	free(m->piece);
	pm_vocab_free(&m->known);
	memset(m, 0, sizeof *m);
}

static const char *yes(bool b)
{
	return b ? "true" : "false";
}

static int put_normalizer(struct pm_str *out, const struct pm_pieces *m, bool first, struct pm_err *e)
{
	bool any = false;

	if (pm_str_puts(out, "\"normalizer\":{\"type\":\"pm:SentencePiece\",\"precompiled_charsmap\":\"", e) < 0
		|| pm_base64_text(out, m->map, m->map_n, e) < 0 || pm_str_puts(out, "\",\"symbols\":[", e) < 0)
		return -1;
	for (size_t i = 0; i < m->n; i++) {
		if (m->piece[i].type != PM_PIECE_USER)
			continue;
		if ((any && pm_str_puts(out, ",", e) < 0) || pm_source_string(out, m->piece[i].s, m->piece[i].n, e) < 0)
			return -1;
		any = true;
	}
	return pm_str_printf(out, e, "],\"remove_extra_whitespaces\":%s,\"add_dummy_prefix\":%s,\"first\":%s,\"treat_whitespace_as_suffix\":%s,"
		"\"escape_whitespaces\":%s}", yes(m->squeeze), yes(m->dummy), yes(first), yes(m->suffix), yes(m->escape));
}

static int put_unigram(struct pm_str *out, const struct pm_pieces *m, struct pm_err *e)
{
	size_t unk = m->n;

	if (pm_str_puts(out, "{\"type\":\"pm:Unigram\",\"vocab\":[", e) < 0)
		return -1;
	for (size_t i = 0; i < m->n; i++) {
		if (m->piece[i].type == PM_PIECE_UNKNOWN && unk == m->n)
			unk = i;
		if (pm_str_puts(out, i ? ",[" : "[", e) < 0 || pm_source_string(out, m->piece[i].s, m->piece[i].n, e) < 0
			|| pm_str_printf(out, e, ",%.9g,%d]", (double)m->piece[i].score, m->piece[i].type) < 0)
			return -1;
	}
	if (unk == m->n)
		return pm_fail(e, PM_DATA, "there is no piece for the unknown");
	return pm_str_printf(out, e, "],\"unk_id\":%zu,\"byte_fallback\":%s,\"float\":true}", unk, yes(m->bytes));
}

static int put_bpe(struct pm_str *out, const struct pm_pieces *m, struct pm_err *e)
{
	const struct pm_piece *unk = NULL;
	const char *comma = "";

	if (pm_str_puts(out, "{\"type\":\"pm:BPE\",\"vocab\":{", e) < 0)
		return -1;
	for (size_t i = 0; i < m->n; i++) {
		unk = !unk && m->piece[i].type == PM_PIECE_UNKNOWN ? m->piece + i : unk;
		if ((i && pm_str_puts(out, ",", e) < 0) || pm_source_string(out, m->piece[i].s, m->piece[i].n, e) < 0
			|| pm_str_printf(out, e, ":%zu", i) < 0)
			return -1;
	}
	if (pm_str_puts(out, "},\"merges\":[", e) < 0)
		return -1;
	for (size_t i = 0; i < m->n; i++) {
		bool part = m->kind == PM_PIECES_BPE && m->piece[i].type == PM_PIECE_NORMAL;

		if (part ? pm_str_printf(out, e, "%s%.9g", i ? "," : "", (double)m->piece[i].score) < 0 :
			pm_str_puts(out, i ? ",null" : "null", e) < 0)
			return -1;
	}
	if (pm_str_puts(out, "],\"symbols\":[", e) < 0)
		return -1;
	for (size_t i = 0; i < m->n; i++) {
		if (m->piece[i].type != PM_PIECE_USER)
			continue;
		if (pm_str_printf(out, e, "%s%zu", comma, i) < 0)
			return -1;
		comma = ",";
	}
	if (pm_str_printf(out, e, "],\"fuse_unk\":true,\"byte_fallback\":%s", yes(m->bytes)) < 0)
		return -1;
	if (unk && (pm_str_puts(out, ",\"unk_token\":", e) < 0 || pm_source_string(out, unk->s, unk->n, e) < 0))
		return -1;
	return pm_str_puts(out, "}", e);
}

/* What transformers' tokenizer of that class puts around a text, where nothing else is said. */
static int put_post(struct pm_str *out, const struct pm_pieces *m, const char *class, struct pm_err *e)
{
	static const char *const begins[] = {"LlamaTokenizer", "CodeLlamaTokenizer", "GemmaTokenizer"};
	bool bos = false, eos = class && strncmp(class, "T5Tokenizer", 11) == 0;
	struct pm_source_token none = {-1, "", 0}, token = none;
	int64_t id;

	for (size_t i = 0; class && i < sizeof begins / sizeof *begins; i++)
		bos |= strncmp(class, begins[i], strlen(begins[i])) == 0;
	id = bos ? m->bos : eos ? m->eos : -1;
	if (id >= 0 && (uint64_t)id < m->n)
		token = (struct pm_source_token){id, m->piece[id].s, m->piece[id].n};
	return pm_str_puts(out, ",\"post_processor\":", e) < 0 ? -1 : pm_source_post(out, bos ? token : none, bos ? none : token, e);
}

static int put_all(struct pm_str *out, const struct pm_pieces *m, const json_t *config, struct pm_err *e)
{
	const char *class = NULL;
	bool legacy = true, any = false;

	if (pm_json_str(&class, config, "tokenizer_class", e) < 0 || pm_json_bool(&legacy, config, "legacy", e) < 0)
		return pm_ctx(e, "tokenizer_config.json");
	if (pm_str_puts(out, "{\"added_tokens\":[", e) < 0)
		return -1;
	for (size_t i = 0; i < m->n; i++)
		if ((m->piece[i].type == PM_PIECE_CONTROL || m->piece[i].type == PM_PIECE_UNKNOWN)
			&& pm_source_added(out, &any, (int64_t)i, m->piece[i].s, m->piece[i].n, true, e) < 0)
			return -1;
	if (pm_source_config_tokens(out, &any, config, &m->known, e) < 0 || pm_str_puts(out, "],", e) < 0
		|| put_normalizer(out, m, !legacy, e) < 0 || pm_str_puts(out, ",\"model\":", e) < 0)
		return -1;
	if ((m->kind == PM_PIECES_UNIGRAM ? put_unigram : put_bpe)(out, m, e) < 0 || put_post(out, m, class, e) < 0)
		return -1;
	return pm_str_printf(out, e, ",\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":\"\xe2\x96\x81\"},"
		"\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},{\"type\":\"Strip\",\"content\":\" \",\"start\":%d,\"stop\":%d}]}}",
		m->dummy && !m->suffix, m->dummy && m->suffix);
}

int pm_source_sentencepiece(struct pm_source *out, const char *bytes, size_t n, const json_t *config, struct pm_err *e)
{
	struct pm_pieces m = {0};
	int r = pm_pieces_read(&m, bytes, n, e);

	if (r == 0)
		r = put_all(&out->json, &m, config, e);
	out->bos = r == 0 && m.bos >= 0 && (uint64_t)m.bos < m.n ? (int32_t)m.bos : -1;
	out->eos = r == 0 && m.eos >= 0 && (uint64_t)m.eos < m.n ? (int32_t)m.eos : -1;
	pm_pieces_free(&m);
	return r;
}
