#include "io/tokens.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/tokens_format.h"

/* One file after another, an item at a time. What is read of a binary record grows with the bytes that come, so a length
 * that lies asks for no memory. */
struct pm_stream {
	char **paths;
	size_t npaths, at;              /* the file being read */
	FILE *f;
	json_t *header, *pending;       /* pending: the first record, where it was JSON and had to be looked at */
	int64_t length, vocab;          /* row length (0: not known yet), vocabulary (−1: unknown) */
	bool blocks;
	uint64_t part;
	uint64_t record, line;          /* records and lines of JSON read from this file, for messages */
	char *buf;
	size_t cap;
};

static const char *path_of(const struct pm_stream *s)
{
	return strcmp(s->paths[s->at], "-") ? s->paths[s->at] : "standard input";
}

/* Sets the first kind, or holds a later one to it. */
static int set_blocks(struct pm_stream *s, bool blocks, bool first, struct pm_err *e)
{
	if (first)
		s->blocks = blocks;
	if (s->blocks != blocks)
		return pm_fail(e, PM_DATA, "%s: %s come after %s", path_of(s), blocks ? "blocks" : "tokens", blocks ? "tokens" : "blocks");
	return 0;
}

/* A member that both headers name must be the same; what the first leaves open is taken from the later one. */
static int agree(struct pm_stream *s, const json_t *h, const char *key, const char *what, struct pm_err *e)
{
	json_t *new = json_object_get(h, key), *old = json_object_get(s->header, key);

	if (!new || json_is_null(new))
		return 0;
	if (!old || json_is_null(old))
		return json_object_set(s->header, key, new) < 0 ? pm_fail(e, PM_SOFTWARE, "out of memory") : 0;
	if (!json_equal(old, new))
		return pm_fail(e, PM_DATA, "%s: its header says another %s than the one before it", path_of(s), what);
	return 0;
}

static int take_header(struct pm_stream *s, json_t *h, bool first, struct pm_err *e)
{
	const char *pm = json_string_value(json_object_get(h, "pm")), *hash = NULL;
	int64_t version = 0;
	bool blocks = pm && !strcmp(pm, "blocks");

	if (!pm || (!blocks && strcmp(pm, "tokens") != 0))
		return pm_fail(e, PM_DATA, "%s: its header says \"pm\":\"%s\", \"tokens\" or \"blocks\" was wanted", path_of(s), pm ? pm : "?");
	if (pm_json_int(&version, h, "version", e) || version != 1)
		return pm_fail(e, PM_DATA, "%s: its header says version %lld, 1 was wanted", path_of(s), (long long)version);
	if (set_blocks(s, blocks, first, e) < 0)
		return -1;
	s->part++;
	if (!s->header)
		s->header = json_incref(h);
	if (agree(s, h, "tokenizer", "tokenizer", e) < 0 || agree(s, h, "vocab", "vocabulary", e) < 0 ||
	    (blocks && agree(s, h, "length", "row length", e) < 0))
		return -1;
	if (pm_json_str(&hash, s->header, "tokenizer", e) < 0 || pm_json_int(&s->vocab, s->header, "vocab", e) < 0)
		return pm_ctx(e, "%s: header", path_of(s));
	if (json_is_number(json_object_get(s->header, "vocab")) && s->vocab < 1)
		return pm_fail(e, PM_DATA, "%s: its header says a vocabulary of %lld", path_of(s), (long long)s->vocab);
	if (blocks) {
		int64_t length = 0;

		if (pm_json_int(&length, s->header, "length", e) || length < 1 || length >= PM_MAX_RECORD / 8)
			return pm_fail(e, PM_DATA, "%s: its header has no row length (\"length\", 1 or more)", path_of(s));
		if (s->length && s->length != length)
			return pm_fail(e, PM_DATA, "%s: its header says rows of %lld tokens, those before have %lld", path_of(s),
			    (long long)length, (long long)s->length);
		s->length = length;
	}
	return 0;
}

static int open_file(struct pm_stream *s, struct pm_err *e)
{
	int c;

	s->f = strcmp(s->paths[s->at], "-") ? fopen(s->paths[s->at], "rbe") : stdin;
	if (!s->f)
		return pm_fail_errno(e, PM_NOINPUT, "%s", path_of(s));
	s->record = s->line = 0;
	s->part++;
	errno = 0;
	c = getc(s->f);
	if (c == EOF && ferror(s->f))
		return pm_fail_errno(e, PM_IOERR, "%s", path_of(s));
	if (c == EOF)
		return pm_fail(e, PM_DATA, "%s: is empty, tokens were wanted", path_of(s));
	ungetc(c, s->f);
	return 0;
}

static void close_file(struct pm_stream *s)
{
	if (s->f && s->f != stdin)
		fclose(s->f);
	s->f = NULL;
}

/* Up to n bytes into s->buf; fewer only at the end of the file. */
static int read_bytes(struct pm_stream *s, size_t n, size_t *got, struct pm_err *e)
{
	size_t k, want;

	*got = 0;
	while (*got < n) {
		want = n - *got < (1u << 20) ? n - *got : 1u << 20;
		if (pm_grow(&s->buf, &s->cap, *got + want, 1, e) < 0)
			return -1;
		k = fread(s->buf + *got, 1, want, s->f);
		*got += k;
		if (k < want)
			break;
	}
	return ferror(s->f) ? pm_fail_errno(e, PM_IOERR, "%s", path_of(s)) : 0;
}

static int read_json(struct pm_stream *s, json_t **out, struct pm_err *e)
{
	ssize_t n = getline(&s->buf, &s->cap, s->f);

	*out = NULL;
	if (n < 0)
		return pm_fail_errno(e, PM_IOERR, "%s", path_of(s));
	*out = pm_json_line(s->buf, (size_t)n, path_of(s), (int64_t)++s->line, e);
	if (!*out)
		return -1;
	if (!json_is_object(*out)) {
		json_decref(*out);
		*out = NULL;
		return pm_fail(e, PM_DATA, "%s: line %llu: an object was wanted", path_of(s), (unsigned long long)s->line);
	}
	return 0;
}

/* The first byte of the next item, skipping ends of lines and going on to the next file; EOF: no more. */
static int next_item(struct pm_stream *s, int *c, struct pm_err *e)
{
	for (;;) {
		do {
			*c = getc(s->f);
			s->line += *c == '\n';
		} while (*c == '\n' || *c == '\r');
		if (*c != EOF) {
			ungetc(*c, s->f);
			return 0;
		}
		if (ferror(s->f))
			return pm_fail_errno(e, PM_IOERR, "%s", path_of(s));
		if (s->at + 1 >= s->npaths)
			return 0;
		close_file(s);
		s->at++;
		if (open_file(s, e) < 0)
			return -1;
	}
}

/* Reads what the stream begins with, so that its kind is known. */
static int read_start(struct pm_stream *s, struct pm_err *e)
{
	json_t *o;
	int c;

	if (next_item(s, &c, e) < 0)
		return -1;
	if (c == EOF)
		return pm_fail(e, PM_DATA, "%s: has no tokens, only empty lines", path_of(s));
	if (c != '{')
		return pm_fail(e, PM_DATA, "%s: neither a token stream nor JSON lines: it begins with byte 0x%02x", path_of(s), (unsigned)c);
	if (read_json(s, &o, e) < 0)
		return -1;
	if (json_object_get(o, "pm")) {
		int r = take_header(s, o, true, e);

		json_decref(o);
		return r;
	}
	s->pending = o;
	return set_blocks(s, json_object_get(o, "bounds") != NULL, true, e);
}

int pm_stream_open_all(struct pm_stream **out, const char *const *paths, size_t n, struct pm_err *e)
{
	struct pm_stream *s = pm_alloc(1, sizeof *s, e);
	size_t i;

	*out = NULL;
	if (!s)
		return -1;
	s->vocab = -1;
	s->paths = pm_alloc(n, sizeof *s->paths, e);
	if (!s->paths)
		goto fail;
	for (i = 0; i < n; i++, s->npaths++)
		if (!(s->paths[i] = pm_strdup(paths[i], e)))
			goto fail;
	if (open_file(s, e) < 0 || read_start(s, e) < 0)
		goto fail;
	*out = s;
	return 0;
fail:
	pm_stream_close(s);
	return -1;
}

int pm_stream_open(struct pm_stream **out, const char *path, struct pm_err *e)
{
	return pm_stream_open_all(out, &path, 1, e);
}

const json_t *pm_stream_header(const struct pm_stream *s)
{
	return s->header;
}

bool pm_stream_is_blocks(const struct pm_stream *s)
{
	return s->blocks;
}

uint64_t pm_stream_part(const struct pm_stream *s)
{
	return s->part;
}

/* What a record must be beyond its own form: of the stream's kind, row length and vocabulary. */
static int check_record(struct pm_stream *s, const struct pm_record *r, struct pm_err *e)
{
	size_t i;

	if ((r->kind == PM_REC_ROW) != s->blocks)
		return pm_fail(e, PM_DATA, s->blocks ? "a row was wanted, it has no bounds" : "a document was wanted, it is a row of a block");
	if (s->blocks && s->length && (int64_t)r->n != s->length)
		return pm_fail(e, PM_DATA, "its %zu tokens are not a row of %lld", r->n, (long long)s->length);
	if (s->blocks)
		s->length = (int64_t)r->n;
	for (i = 0; s->vocab >= 0 && i < r->n; i++)
		if (r->ids[i] >= s->vocab)
			return pm_fail(e, PM_DATA, "token %zu has id %d, the vocabulary has %lld", i, r->ids[i], (long long)s->vocab);
	return 0;
}

static int read_binary(struct pm_stream *s, struct pm_record *r, struct pm_err *e)
{
	unsigned char head[4];
	uint32_t size;
	size_t n, got;

	if (!s->header)
		return pm_fail(e, PM_DATA, "%s: line %llu: neither JSON nor, without a header before it, a binary record", path_of(s),
		    (unsigned long long)s->line + 1);
	s->record++;
	n = fread(head, 1, 4, s->f);
	if (n < 4)
		return ferror(s->f) ? pm_fail_errno(e, PM_IOERR, "%s", path_of(s)) :
		    pm_fail(e, PM_DATA, "%s: record %llu: the file ends inside it", path_of(s), (unsigned long long)s->record);
	size = pm_le32(head);
	if (size % 4 || size < 4 || size >= PM_MAX_RECORD)
		return pm_fail(e, PM_DATA, "%s: record %llu: a length of %u bytes is no record's", path_of(s), (unsigned long long)s->record, size);
	if (read_bytes(s, size, &got, e) < 0)
		return -1;
	if (got < size)
		return pm_fail(e, PM_DATA, "%s: record %llu: the file ends after %zu of its %u bytes", path_of(s),
		    (unsigned long long)s->record, got, size);
	if (pm_record_from_bytes(r, (const unsigned char *)s->buf, size, e) < 0 || check_record(s, r, e) < 0)
		return pm_ctx(e, "%s: record %llu", path_of(s), (unsigned long long)s->record);
	return 1;
}

static int read_json_record(struct pm_stream *s, json_t *o, struct pm_record *r, struct pm_err *e)
{
	int k = pm_record_from_json(r, o, e);

	json_decref(o);
	if (k < 0 || check_record(s, r, e) < 0)
		return pm_ctx(e, "%s: line %llu", path_of(s), (unsigned long long)s->line);
	if (r->line < 0)
		r->line = (int64_t)s->line;
	return 1;
}

int pm_stream_read(struct pm_stream *s, struct pm_record *r, struct pm_err *e)
{
	json_t *o = s->pending;
	int c, k;

	s->pending = NULL;
	while (!o) {
		if (next_item(s, &c, e) < 0)
			return -1;
		if (c == EOF)
			return 0;
		if (c != '{')
			return read_binary(s, r, e);
		if (read_json(s, &o, e) < 0)
			return -1;
		if (json_object_get(o, "pm")) {
			k = take_header(s, o, false, e);
			json_decref(o);
			o = NULL;
			if (k < 0)
				return -1;
		}
	}
	return read_json_record(s, o, r, e);
}

void pm_stream_close(struct pm_stream *s)
{
	size_t i;

	if (!s)
		return;
	close_file(s);
	for (i = 0; i < s->npaths; i++)
		free(s->paths[i]);
	free(s->paths);
	json_decref(s->header);
	json_decref(s->pending);
	free(s->buf);
	free(s);
}
