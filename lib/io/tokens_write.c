#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/mem.h"
#include "io/tokens.h"
#include "io/tokens_format.h"

int pm_stream_begin(struct pm_stream_writer *w, const char *path, const char *pm, const json_t *header, bool json, struct pm_err *e)
{
	json_t *h = NULL;
	int r = -1;

	memset(w, 0, sizeof *w);
	w->json = json;
	if (pm_out_open(&w->out, path, e) < 0)
		return -1;
	if (!json && isatty(fileno(w->out.f))) {
		pm_stream_abort(w);
		return pm_fail(e, PM_USAGE, "binary data is not written to a terminal: redirect it, name a file with -o, or use --json");
	}
	if (json)
		return 0;
	h = json_pack("{s:s, s:i}", "pm", pm, "version", 1);
	if (!h || json_object_update(h, (json_t *)(size_t)header) < 0)
		pm_fail(e, PM_SOFTWARE, "out of memory");
	else
		r = pm_json_text(&w->buf, h, e);
	if (r == 0)
		r = pm_str_puts(&w->buf, "\n", e);
	if (r == 0)
		r = pm_out_write(&w->out, w->buf.data, w->buf.len, e);
	json_decref(h);
	if (r < 0)
		pm_stream_abort(w);
	return r;
}

int pm_stream_inputs(json_t *header, const char *const *paths, size_t n, struct pm_err *e)
{
	json_t *list = json_array(), *name;
	char hex[PM_SHA256_HEX];
	struct stat st;
	size_t i;

	for (i = 0; list && i < n; i++) {
		if (!strcmp(paths[i], "-") || stat(paths[i], &st) < 0 || !S_ISREG(st.st_mode))
			continue;
		if (pm_sha256_file(hex, paths[i], e) < 0) {
			json_decref(list);
			return -1;
		}
		name = json_string(paths[i]);           /* NULL: it is not UTF-8 */
		if (json_array_append_new(list, json_pack("{s:o, s:s}", "name", name ? name : json_null(), "sha256", hex)) < 0)
			break;
	}
	if (i < n || !list || json_object_set(header, "inputs", list) < 0) {
		json_decref(list);
		return pm_fail(e, PM_SOFTWARE, "out of memory");
	}
	json_decref(list);
	return 0;
}

static int section(struct pm_str *s, uint32_t tag, const void *p, size_t n, struct pm_err *e)
{
	uint32_t head[2] = {tag, (uint32_t)n};

	if (pm_str_put(s, head, 8, e) < 0 || pm_str_put(s, p, n, e) < 0)
		return -1;
	return pm_str_put(s, "\0\0\0", (4 - n % 4) % 4, e);
}

int pm_record_to_bytes(struct pm_str *s, const struct pm_record *r, struct pm_err *e)
{
	uint32_t head[2] = {0, (uint32_t)r->kind};

	pm_str_clear(s);
	if (pm_str_put(s, head, 8, e) < 0 || section(s, PM_TAG_IDS, r->ids, 4 * r->n, e) < 0)
		return -1;
	if (r->has_weights && section(s, PM_TAG_WEIGHTS, r->weights, 4 * r->n, e) < 0)
		return -1;
	if (r->kind == PM_REC_ROW && section(s, PM_TAG_BOUNDS, r->bounds, 4 * (r->ndocs + 1), e) < 0)
		return -1;
	if (r->has_docs && (section(s, PM_TAG_KINDS, r->doc_kinds, 4 * r->ndocs, e) < 0 ||
	    section(s, PM_TAG_GROUPS, r->doc_groups, 8 * r->ndocs, e) < 0))
		return -1;
	if (r->group >= 0 && section(s, PM_TAG_GROUP, &r->group, 8, e) < 0)
		return -1;
	if (r->line >= 0 && section(s, PM_TAG_LINE, &r->line, 8, e) < 0)
		return -1;
	if (r->source && r->source[0] && section(s, PM_TAG_SOURCE, r->source, strlen(r->source), e) < 0)
		return -1;
	if (s->len - 4 >= PM_MAX_RECORD)
		return pm_fail(e, PM_DATA, "a record of %zu tokens is longer than the format allows", r->n);
	head[0] = (uint32_t)(s->len - 4);
	memcpy(s->data, head, 4);
	return 0;
}

/* The shortest text that reads back as the same float. */
static int put_float(struct pm_str *s, float x, struct pm_err *e)
{
	char t[32];
	int digits;

	for (digits = 6; digits <= 9; digits++) {
		snprintf(t, sizeof t, "%.*g", digits, (double)x);
		if (strtof(t, NULL) == x)
			break;
	}
	return pm_str_puts(s, t, e);
}

/* A whole number, after a comma. */
static int put_int(struct pm_str *s, bool comma, long long x, struct pm_err *e)
{
	unsigned long long u = x < 0 ? 0 - (unsigned long long)x : (unsigned long long)x;
	char t[24], *p = t + sizeof t;

	do
		*--p = (char)('0' + u % 10);
	while (u /= 10);
	if (x < 0)
		*--p = '-';
	if (comma)
		*--p = ',';
	return pm_str_put(s, p, (size_t)(t + sizeof t - p), e);
}

static int put_ints(struct pm_str *s, const char *key, const void *v, size_t n, int width, struct pm_err *e)
{
	size_t i;

	if (pm_str_printf(s, e, "%s\"%s\":[", s->len > 1 ? "," : "", key) < 0)
		return -1;
	for (i = 0; i < n; i++) {
		long long x = width == 8 ? (long long)((const int64_t *)v)[i] : width == 4 ? (long long)((const uint32_t *)v)[i] :
		    (long long)((const int32_t *)v)[i];

		if (put_int(s, i > 0, x, e) < 0)
			return -1;
	}
	return pm_str_puts(s, "]", e);
}

static int put_json(struct pm_str *s, const struct pm_record *r, struct pm_err *e)
{
	size_t i;

	pm_str_clear(s);
	if (pm_str_puts(s, "{", e) < 0 || put_ints(s, "ids", r->ids, r->n, 0, e) < 0)
		return -1;
	if (r->has_weights) {
		if (pm_str_puts(s, ",\"weights\":[", e) < 0)
			return -1;
		for (i = 0; i < r->n; i++)
			if ((i && pm_str_puts(s, ",", e) < 0) || put_float(s, r->weights[i], e) < 0)
				return -1;
		if (pm_str_puts(s, "]", e) < 0)
			return -1;
	}
	if (r->has_offsets) {
		if (pm_str_puts(s, ",\"offsets\":[", e) < 0)
			return -1;
		for (i = 0; i < r->n; i++)
			if (pm_str_puts(s, i ? ",[" : "[", e) < 0 || put_int(s, false, r->offsets[2 * i], e) < 0
			    || put_int(s, true, r->offsets[2 * i + 1], e) < 0 || pm_str_put(s, "]", 1, e) < 0)
				return -1;
		if (pm_str_puts(s, "]", e) < 0)
			return -1;
	}
	if (r->has_types && put_ints(s, "type_ids", r->types, r->n, 0, e) < 0)
		return -1;
	if (r->has_mask) {
		if (pm_str_puts(s, ",\"attention_mask\":[", e) < 0)
			return -1;
		for (i = 0; i < r->n; i++)
			if (pm_str_printf(s, e, i ? ",%d" : "%d", i >= r->pads_before && i < r->n - r->pads_behind) < 0)
				return -1;
		if (pm_str_puts(s, "]", e) < 0)
			return -1;
	}
	if (r->kind == PM_REC_ROW && put_ints(s, "bounds", r->bounds, r->ndocs + 1, 4, e) < 0)
		return -1;
	if (r->has_docs) {
		if (pm_str_puts(s, ",\"kinds\":[", e) < 0)
			return -1;
		for (i = 0; i < r->ndocs; i++)
			if (pm_str_printf(s, e, "%s\"%s\"", i ? "," : "", pm_record_kind_name(r->doc_kinds[i])) < 0)
				return -1;
		if (pm_str_puts(s, "]", e) < 0 || put_ints(s, "groups", r->doc_groups, r->ndocs, 8, e) < 0)
			return -1;
	}
	if (r->kind != PM_REC_ROW && r->kind != PM_REC_TEXT && pm_str_printf(s, e, ",\"kind\":\"%s\"", pm_record_kind_name(r->kind)) < 0)
		return -1;
	if (r->group >= 0 && pm_str_printf(s, e, ",\"group\":%lld", (long long)r->group) < 0)
		return -1;
	if (r->source && r->source[0] && pm_str_printf(s, e, ",\"source\":%s", r->source) < 0)
		return -1;
	return pm_str_puts(s, "}\n", e);
}

/* Where the group stands: what comes before it in a record are numbers and words of ours. */
static void find_group(const struct pm_stream_writer *w, size_t *group, size_t *n)
{
	static const char key[] = "\"group\":";
	const unsigned char *p = (const unsigned char *)w->buf.data;
	const char *digits;

	if (w->json) {
		digits = strstr(w->buf.data, key) + sizeof key - 1;
		*group = (size_t)(digits - w->buf.data);
		*n = strspn(digits, "0123456789");
		return;
	}
	for (*group = 8; pm_le32(p + *group) != PM_TAG_GROUP; *group += 8 + (pm_le32(p + *group + 4) + 3) / 4 * 4)
		;
	*group += 8;
	*n = 8;
}

int pm_stream_format(struct pm_stream_writer *w, const struct pm_record *r, size_t *group, size_t *ngroup, struct pm_err *e)
{
	if ((w->json ? put_json(&w->buf, r, e) : pm_record_to_bytes(&w->buf, r, e)) < 0)
		return -1;
	*group = *ngroup = 0;
	if (r->group >= 0)
		find_group(w, group, ngroup);
	return 0;
}

int pm_stream_write(struct pm_stream_writer *w, const void *bytes, size_t n, struct pm_err *e)
{
	return pm_out_write(&w->out, bytes, n, e);
}

int pm_stream_put(struct pm_stream_writer *w, const struct pm_record *r, struct pm_err *e)
{
	size_t group, n;

	return pm_stream_format(w, r, &group, &n, e) < 0 ? -1 : pm_stream_write(w, w->buf.data, w->buf.len, e);
}

int pm_stream_end(struct pm_stream_writer *w, struct pm_err *e)
{
	int r = pm_out_close(&w->out, e);

	pm_str_free(&w->buf);
	return r;
}

void pm_stream_abort(struct pm_stream_writer *w)
{
	pm_out_abort(&w->out);
	pm_str_free(&w->buf);
}
