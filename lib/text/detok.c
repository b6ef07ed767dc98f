/* Ids back to text, whole or one at a time: both go through the same chain of decoders, so they cannot differ. */
#include <stdlib.h>

#include "base/mem.h"
#include "text/decoder.h"
#include "text/tokens.h"

struct pm_detok {
	const struct pm_tokenizer *t;
	struct pm_decoding *d;
	bool skip_special;
};

int pm_detok_new(struct pm_detok **out, const struct pm_tokenizer *t, bool skip_special, struct pm_err *e)
{
	struct pm_detok *d = *out = pm_alloc(1, sizeof *d, e);

	if (!d)
		return -1;
	d->t = t;
	d->skip_special = skip_special;
	if (pm_decoding_new(&d->d, pm_tokens_decoders(t), e) < 0) {
		free(d);
		*out = NULL;
		return -1;
	}
	return 0;
}

int pm_detok_put(struct pm_detok *d, int32_t id, struct pm_str *out, struct pm_err *e)
{
	bool hidden;
	size_t n;
	const char *s = pm_tokens_spelling(d->t, id, &n, &hidden);

	if (!s)
		return pm_fail(e, PM_DATA, "the id %d is not in the vocabulary", id);
	return hidden && d->skip_special ? 0 : pm_decoding_put(d->d, s, n, out, e);
}

int pm_detok_end(struct pm_detok *d, struct pm_str *out, struct pm_err *e)
{
	return pm_decoding_end(d->d, out, e);
}

void pm_detok_free(struct pm_detok *d)
{
	if (!d)
		return;
	pm_decoding_free(d->d);
	free(d);
}

int pm_tokenizer_decode(const struct pm_tokenizer *t, const int32_t *ids, size_t n, bool skip_special, struct pm_str *out, struct pm_err *e)
{
	struct pm_detok *d;
	int r;

	if (pm_detok_new(&d, t, skip_special, e) < 0)
		return -1;
	r = pm_str_put(out, "", 0, e);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = pm_detok_put(d, ids[i], out, e);
	if (r == 0)
		r = pm_detok_end(d, out, e);
	pm_detok_free(d);
	return r;
}
