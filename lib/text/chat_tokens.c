#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/chat.h"

/* The stretches that are content, joined where they touch: there no special token is seen. */
static struct pm_range *literals(const struct pm_rendered *r, size_t *n, struct pm_err *e)
{
	struct pm_range *list = pm_alloc(r->n, sizeof *list, e);
	size_t i;

	*n = 0;
	for (i = 0; list && i < r->n; i++) {
		if (!r->pieces[i].content)
			continue;
		if (*n && list[*n - 1].to == r->pieces[i].from)
			list[*n - 1].to = r->pieces[i].to;
		else
			list[(*n)++] = (struct pm_range){r->pieces[i].from, r->pieces[i].to};
	}
	return list;
}

/* The last message in which the model says something; −1: none. */
static int32_t last_said(const struct pm_rendered *r)
{
	int32_t last = -1;
	size_t i;

	for (i = 0; i < r->n; i++)
		if (r->pieces[i].said && r->pieces[i].message > last)
			last = r->pieces[i].message;
	return last;
}

static float weight_of(const struct pm_piece *p, const struct pm_chat_opts *o, int32_t last)
{
	if (o->train_on == PM_TRAIN_ALL)
		return p->message >= o->first || o->first == 0 ? 1 : 0;
	if (!p->said || p->message < o->first || (o->train_on == PM_TRAIN_LAST && p->message != last))
		return 0;
	return o->scale && p->message >= 0 ? o->scale[p->message] : 1;
}

int pm_chat_tokens(struct pm_record *out, struct pm_encoding *enc, const struct pm_rendered *r, const struct pm_tokenizer *t,
    const struct pm_chat_opts *o, struct pm_err *e)
{
	size_t nliteral, i, k = 0, j;
	struct pm_range *list = literals(r, &nliteral, e);
	struct pm_encode_opts eo = {.parse_special = true, .literal = list, .nliteral = o->parse_special ? 0 : nliteral};
	int32_t last = last_said(r);
	int bad = -1;

	enc->n = 0;
	if (list && pm_tokenizer_encode(t, r->text.data ? r->text.data : "", r->text.len, &eo, enc, e) == 0)
		bad = pm_record_reset(out, enc->n, e);
	free(list);
	if (bad < 0)
		return -1;
	/* A token that lies across a border counts with the heavier side: "▁Yes" takes the template's space along. */
	for (i = 0; i < enc->n; i++) {
		float w = 0;

		while (k < r->n && r->pieces[k].to <= enc->from[i])
			k++;
		while (k && r->pieces[k - 1].to > enc->from[i])
			k--;
		for (j = k; j < r->n && r->pieces[j].from < enc->to[i]; j++) {
			float p = weight_of(&r->pieces[j], o, last);

			w = p > w ? p : w;
		}
		out->ids[i] = enc->ids[i];
		out->weights[i] = w;
	}
	out->n = enc->n;
	out->has_weights = true;
	return 0;
}
