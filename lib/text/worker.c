#include "text/worker.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/bpe.h"
#include "text/unicode.h"

void pm_worker_free(struct pm_worker *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < 2; i++)
		pm_textbuf_free(w->normal + i);
	for (size_t i = 0; i < sizeof w->buf / sizeof *w->buf; i++)
		pm_textbuf_free(w->buf + i);
	pm_textbuf_free(&w->slow);
	pm_str_free(&w->text_buf);
	free(w->path);
	pm_match_free(&w->match);
	pm_bpe_scratch_free(w->bpe);
	free(w);
}

struct pm_textbuf *pm_worker_buf(struct pm_worker *w, struct pm_err *e)
{
	if (w->nbuf == sizeof w->buf / sizeof *w->buf) {
		pm_fail(e, PM_DATA, "more than %zu pre-tokenizers that change the text", w->nbuf);
		return NULL;
	}
	return w->buf + w->nbuf++;
}

int pm_encoding_room(struct pm_encoding *enc, size_t n, struct pm_err *e)
{
	if (pm_grow(&enc->ids, &enc->cap_ids, enc->n + n, sizeof *enc->ids, e) < 0
		|| pm_grow(&enc->from, &enc->cap_from, enc->n + n, sizeof *enc->from, e) < 0)
		return -1;
	return pm_grow(&enc->to, &enc->cap_to, enc->n + n, sizeof *enc->to, e);
}

void pm_encoding_free(struct pm_encoding *enc)
{
	free(enc->ids);
	free(enc->from);
	free(enc->to);
	free(enc->types);
	memset(enc, 0, sizeof *enc);
}

/* True for what counts as blank in a token: white space, and the letter that a byte-level vocabulary writes for one. */
static bool blank(uint32_t c)
{
	return c == 0x120 || (pm_uc(c) & PM_UC_SPACE);
}

/* Leaves out as many characters at the ends of the range as the token has blanks there. */
static struct pm_range trim(const struct pm_worker *w, struct pm_range r, const char *token, size_t n)
{
	size_t lead = 0, trail = 0, i, k;

	for (i = 0; i < n && blank(pm_utf8_get(token + i, &k)); i += k)
		lead++;
	for (i = n; i && blank(pm_utf8_last(token, i, &k)); i -= k)
		trail++;
	if (lead == 1 && w->trim_prefix && (w->enc->n == w->first || r.from == 0))
		lead = 0;
	for (; lead && r.from < r.to; lead--) {
		pm_utf8_get(w->text + r.from, &k);
		r.from += k;
	}
	for (; trail && r.to > r.from; trail--) {
		pm_utf8_last(w->text, r.to, &k);
		r.to -= k;
	}
	return r;
}

int pm_worker_emit(struct pm_worker *w, int32_t id, struct pm_range r, const char *token, size_t n, struct pm_err *e)
{
	struct pm_encoding *enc = w->enc;

	if (pm_encoding_room(enc, 1, e) < 0)
		return -1;
	if (w->trim)
		r = trim(w, r, token, n);
	enc->ids[enc->n] = id;
	enc->from[enc->n] = r.from;
	enc->to[enc->n++] = r.to;
	return 0;
}
