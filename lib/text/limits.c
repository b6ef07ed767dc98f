#include "text/limits.h"

#include <string.h>

#include "base/mem.h"
#include "text/part.h"
#include "text/worker.h"

static int choice(int *out, const json_t *o, const char *key, const char *const *names, struct pm_err *e)
{
	const char *s = NULL;
	int r = pm_json_str(&s, o, key, e);

	if (r)
		return r < 0 ? -1 : 0;
	for (int i = 0; names[i]; i++)
		if (strcmp(names[i], s) == 0) {
			*out = i;
			return 0;
		}
	return pm_fail(e, PM_DATA, "'%s': '%s' is not known", key, s);
}

static int count(size_t *out, const json_t *o, const char *key, struct pm_err *e)
{
	int64_t n = 0;

	if (pm_json_int(&n, o, key, e) < 0)
		return -1;
	if (n < 0 || n > INT32_MAX)
		return pm_fail(e, PM_DATA, "'%s': %lld is out of range", key, (long long)n);
	*out = (size_t)n;
	return 0;
}

static const char *const directions[] = {"Right", "Left", NULL};

static int read_truncation(struct pm_limits *l, const json_t *o, struct pm_err *e)
{
	static const char *const strategies[] = {"LongestFirst", "OnlyFirst", "OnlySecond", NULL};
	int left = 0, strategy = 0;

	if (!json_is_object(o))
		return pm_fail(e, PM_DATA, "an object or null was wanted");
	if (pm_part_check(o, "direction max_length strategy stride", e) < 0 || choice(&left, o, "direction", directions, e) < 0
		|| choice(&strategy, o, "strategy", strategies, e) < 0 || count(&l->most, o, "max_length", e) < 0
		|| count(&l->stride, o, "stride", e) < 0)
		return -1;
	l->truncates = true;
	l->cut_left = left;
	l->strategy = strategy;
	return 0;
}

static int read_padding(struct pm_limits *l, const json_t *o, struct pm_err *e)
{
	const json_t *s = json_object_get(o, "strategy");
	const char *name = json_string_value(s);
	size_t id = 0, type = 0;
	int left = 0;

	if (!json_is_object(o))
		return pm_fail(e, PM_DATA, "an object or null was wanted");
	if (pm_part_check(o, "strategy direction pad_to_multiple_of pad_id pad_type_id pad_token", e) < 0
		|| choice(&left, o, "direction", directions, e) < 0 || count(&l->multiple, o, "pad_to_multiple_of", e) < 0
		|| count(&id, o, "pad_id", e) < 0 || count(&type, o, "pad_type_id", e) < 0)
		return -1;
	if (!name && !json_object_get(s, "Fixed"))
		return pm_fail(e, PM_DATA, "'strategy': BatchLongest or {\"Fixed\": …} was wanted");
	if (name ? strcmp(name, "BatchLongest") != 0 : count(&l->fixed, s, "Fixed", e) < 0)
		return name ? pm_fail(e, PM_DATA, "'strategy': '%s' is not known", name) : -1;
	l->pads = true;
	l->pad_left = left;
	l->pad_id = (int32_t)id;
	l->pad_type = (int32_t)type;
	return 0;
}

int pm_limits_read(struct pm_limits *l, const json_t *truncation, const json_t *padding, struct pm_err *e)
{
	memset(l, 0, sizeof *l);
	if (truncation && !json_is_null(truncation) && read_truncation(l, truncation, e) < 0)
		return pm_ctx(e, "truncation");
	if (padding && !json_is_null(padding) && read_padding(l, padding, e) < 0)
		return pm_ctx(e, "padding");
	return 0;
}

/* How many ids each of two texts keeps of n[]. */
static int share(const struct pm_limits *l, size_t most, bool pair, size_t n[2], struct pm_err *e)
{
	size_t total = n[0] + n[1], gone = total - most, small, large;
	int one = l->strategy == PM_CUT_SECOND;

	if (!most) {
		n[0] = n[1] = 0;
		return 0;
	}
	if (l->strategy == PM_CUT_LONGEST && pair) {
		small = n[0] < n[1] ? n[0] : n[1];
		large = small > most || most - small < small ? small : most - small;
		if (small + large > most) {
			small = most / 2;
			large = small + most % 2;
		}
		one = n[0] > n[1];
		n[one] = small;
		n[!one] = large;
		return 0;
	}
	if (one && !pair)
		return pm_fail(e, PM_DATA, "truncation: 'OnlySecond' wants a pair");
	if (n[one] <= gone)
		return pm_fail(e, PM_DATA, "truncation: a text of %zu tokens cannot lose %zu", n[one], gone);
	n[one] -= gone;
	return 0;
}

/* The part of n ids that window number w of at most `keep` has; *windows is how many there are. */
static struct pm_run window(const struct pm_limits *l, size_t n, size_t keep, size_t w, size_t *windows)
{
	size_t step = keep > l->stride ? keep - l->stride : 1, from, to;
	struct pm_run r;

	*windows = keep < n && keep ? 1 + (n - keep + step - 1) / step : 1;
	w = w < *windows ? w : *windows - 1;
	from = keep < n ? w * step : 0;
	to = from + keep < n ? from + keep : n;
	r.text = 0;
	r.first = l->cut_left ? n - to : from;
	r.to = l->cut_left ? n - from : to;
	return r;
}

static void move(struct pm_encoding *enc, size_t to, size_t from, size_t n)
{
	memmove(enc->ids + to, enc->ids + from, n * sizeof *enc->ids);
	memmove(enc->from + to, enc->from + from, n * sizeof *enc->from);
	memmove(enc->to + to, enc->to + from, n * sizeof *enc->to);
	if (enc->types)
		memmove(enc->types + to, enc->types + from, n * sizeof *enc->types);
}

int pm_limits_cut(const struct pm_limits *l, struct pm_encoding *enc, const struct pm_run *run, size_t runs, const struct pm_encode_opts *o,
	struct pm_err *e)
{
	size_t n[2] = {0}, keep[2], added = 0, most, windows = 1, end;
	struct pm_run part;
	bool pair = false;

	enc->windows = 1;
	for (size_t i = 0; i < runs; i++) {
		pair |= run[i].text == 1;
		if (run[i].text < 0)
			added += run[i].to - run[i].first;
		else
			n[run[i].text] = run[i].to - run[i].first;
	}
	if (!l->truncates || !runs)
		return 0;
	if (added > l->most)
		return pm_fail(e, PM_DATA, "truncation: 'max_length' is %zu, and the post-processor alone adds %zu", l->most, added);
	most = l->most - added;
	if (n[0] + n[1] <= most)
		return 0;
	keep[0] = n[0];
	keep[1] = n[1];
	if (share(l, most, pair, keep, e) < 0)
		return -1;
	if (most && l->stride >= most)
		return pm_fail(e, PM_DATA, "truncation: 'stride' %zu leaves nothing of %zu tokens", l->stride, most);
	end = run[0].first;
	for (size_t i = 0; i < runs; i++) {
		part = run[i];
		if (part.text >= 0) {
			part = window(l, n[run[i].text], keep[run[i].text], o->window, &windows);
			part.text = run[i].text;
			if (windows > enc->windows)
				enc->windows = windows;
			part.first += run[i].first;
			part.to += run[i].first;
		}
		move(enc, end, part.first, part.to - part.first);
		if (part.text == 1) {
			enc->second = end;
			enc->second_to = end + part.to - part.first;
		}
		end += part.to - part.first;
	}
	enc->n = end;
	return 0;
}

int pm_limits_pad(const struct pm_limits *l, struct pm_encoding *enc, size_t first, struct pm_err *e)
{
	size_t n = enc->n - first, want = l->fixed ? l->fixed : n, more, at;

	if (l->multiple && want % l->multiple)
		want += l->multiple - want % l->multiple;
	if (!l->pads || want <= n)
		return 0;
	more = want - n;
	if (pm_encoding_room(enc, more, e) < 0)
		return -1;
	if (enc->types && pm_grow(&enc->types, &enc->cap_types, enc->n + more, sizeof *enc->types, e) < 0)
		return -1;
	if (l->pad_left) {
		move(enc, first + more, first, n);
		enc->second += more;
		enc->second_to += more;
	}
	at = l->pad_left ? first : enc->n;
	for (size_t i = at; i < at + more; i++) {
		enc->ids[i] = l->pad_id;
		enc->from[i] = enc->to[i] = 0;
		if (enc->types)
			enc->types[i] = l->pad_type;
	}
	*(l->pad_left ? &enc->pads_before : &enc->pads_behind) = more;
	enc->n += more;
	return 0;
}
