/* Streams of tokens and blocks: what is written is read back; every malformed stream is refused with the right words. */
#include "io/tokens.h"

#include <string.h>
#include <unistd.h>

#include "io/tokens_format.h"
#include "tap.h"

static char dir[] = "/tmp/pm-tokens-XXXXXX";

static const char *at(const char *name)
{
	static char path[4][200];
	static int k;

	k = (k + 1) % 4;
	snprintf(path[k], sizeof path[k], "%s/%s", dir, name);
	return path[k];
}

static void put_file(const char *name, const char *bytes, size_t n)
{
	FILE *f = fopen(at(name), "wb");

	if (!f || fwrite(bytes, 1, n, f) != n || fclose(f))
		exit(99);
}

static void put_text(const char *name, const char *text)
{
	put_file(name, text, strlen(text));
}

/* Reads a whole stream: the number of records, or −1 with the error. */
static int drain(const char *const *paths, size_t n, struct pm_err *e)
{
	struct pm_record r = {0};
	struct pm_stream *s;
	int k, count = 0;

	if (pm_stream_open_all(&s, paths, n, e) < 0)
		return -1;
	while ((k = pm_stream_read(s, &r, e)) > 0)
		count++;
	pm_stream_close(s);
	pm_record_free(&r);
	return k < 0 ? -1 : count;
}

static void refused(const char *what, const char *bytes, size_t n, const char *words)
{
	const char *path = at("bad");
	struct pm_err e = {0};
	int k;

	put_file("bad", bytes, n);
	k = drain(&path, 1, &e);
	check(k < 0 && e.status == PM_DATA && strstr(e.text, words), "%s is refused with '%s'%s%s", what, words, k < 0 ? "" : ", but was read",
	    k < 0 && !strstr(e.text, words) ? e.text : "");
}
#define REFUSED(what, bytes, words) refused(what, bytes, sizeof(bytes) - 1, words)
#define H "{\"pm\":\"tokens\",\"version\":1,\"tokenizer\":null,\"vocab\":10}\n"
#define HB "{\"pm\":\"blocks\",\"version\":1,\"length\":2}\n"

static void fill(struct pm_record *r, size_t n, struct pm_err *e)
{
	size_t i;

	pm_record_reset(r, n, e);
	for (i = 0; i < n; i++) {
		r->ids[i] = (int32_t)(7 * i % 300);
		r->weights[i] = i % 3 ? 0.1f : 1e-7f;
	}
	r->n = n;
}

static int same(const struct pm_record *a, const struct pm_record *b)
{
	return a->kind == b->kind && a->n == b->n && !memcmp(a->ids, b->ids, 4 * a->n) && a->has_weights == b->has_weights &&
	    (!a->has_weights || !memcmp(a->weights, b->weights, 4 * a->n)) && a->ndocs == b->ndocs &&
	    (!a->ndocs || !memcmp(a->bounds, b->bounds, 4 * (a->ndocs + 1))) && a->has_docs == b->has_docs &&
	    (!a->has_docs || (!memcmp(a->doc_kinds, b->doc_kinds, 4 * a->ndocs) && !memcmp(a->doc_groups, b->doc_groups, 8 * a->ndocs))) &&
	    a->group == b->group && !strcmp(a->source ? a->source : "", b->source ? b->source : "");
}

static void round_trip(bool json, bool rows)
{
	struct pm_stream_writer w;
	struct pm_record r[3] = {{0}}, got = {0};
	struct pm_stream *s;
	struct pm_err e = {0};
	json_t *h = json_pack("{s:s, s:i, s:i}", "tokenizer", "abc", "vocab", 300, "length", 5);
	int i, k, ok = 1;

	for (i = 0; i < 3; i++) {
		fill(&r[i], rows ? 5 : (size_t)(i * 700), &e);
		r[i].has_weights = i != 1;
		r[i].group = rows ? -1 : i - 1;
		if (!rows && i == 2) {
			r[i].kind = PM_REC_CHOSEN;
			r[i].source = strdup("{\"a\":\"\u00e4\"}");
			r[i].cap_s = 11;
		}
		if (rows) {
			pm_record_room_docs(&r[i], 2, &e);
			r[i].kind = PM_REC_ROW;
			r[i].ndocs = 2;
			r[i].bounds[0] = 0;
			r[i].bounds[1] = 2;
			r[i].bounds[2] = 4;
			r[i].has_docs = i == 1;
			r[i].doc_kinds[0] = PM_REC_CHOSEN;
			r[i].doc_kinds[1] = PM_REC_REJECTED;
			r[i].doc_groups[0] = r[i].doc_groups[1] = 1ll << 40;
		}
	}
	ok = pm_stream_begin(&w, at("a"), rows ? "blocks" : "tokens", h, json, &e) == 0;
	for (i = 0; i < 3 && ok; i++)
		ok = pm_stream_put(&w, &r[i], &e) == 0;
	ok = ok && pm_stream_end(&w, &e) == 0 && pm_stream_open(&s, at("a"), &e) == 0;
	check(ok, "%s %s are written and opened: %s", json ? "JSON" : "binary", rows ? "rows" : "documents", e.text);
	if (!ok)
		return;
	check(pm_stream_is_blocks(s) == rows, "their kind is known on opening");
	check((pm_stream_header(s) == NULL) == json, "a binary stream has its header, JSON lines have none");
	for (i = 0; i < 3; i++) {
		k = pm_stream_read(s, &got, &e);
		check(k == 1 && same(&r[i], &got), "record %d comes back: %s", i + 1, k == 1 ? "" : e.text);
	}
	check(pm_stream_read(s, &got, &e) == 0, "then the stream ends");
	pm_stream_close(s);
	pm_record_free(&got);
	for (i = 0; i < 3; i++)
		pm_record_free(&r[i]);
	json_decref(h);
}

static void mixing(void)
{
	char x[200], y[200];
	const char *two[2] = {strcpy(x, at("x")), strcpy(y, at("y"))};
	struct pm_err e = {0};
	static const char rec[] = "\x10\0\0\0\0\0\0\0ids \4\0\0\0\5\0\0\0";

	put_file("x", H "\x10\0\0\0\0\0\0\0ids \4\0\0\0\5\0\0\0" "{\"ids\":[1,2]}\n\n", sizeof H - 1 + 20 + 15);
	put_file("y", "{\"ids\":[3]}\n" H "\x10\0\0\0\0\0\0\0ids \4\0\0\0\5\0\0\0", 12 + sizeof H - 1 + sizeof rec - 1);
	check(drain(two, 2, &e) == 4, "two files, JSON and binary mixed, are one stream: %s", e.text);
	put_text("y", "{\"pm\":\"tokens\",\"version\":1,\"tokenizer\":\"z\",\"vocab\":11}\n");
	check(drain(two, 2, &e) < 0 && strstr(e.text, "another vocabulary"), "another vocabulary is refused: %s", e.text);
	put_text("y", "{\"pm\":\"tokens\",\"version\":1,\"tokenizer\":\"z\"}\n{\"pm\":\"tokens\",\"version\":1,\"tokenizer\":\"q\"}\n");
	check(drain(two, 2, &e) < 0 && strstr(e.text, "another tokenizer"), "another tokenizer is refused: %s", e.text);
	put_file("y", HB, sizeof HB - 1);
	check(drain(two, 2, &e) < 0 && strstr(e.text, "blocks come after tokens"), "blocks after tokens are refused: %s", e.text);
}

/* Every cut of a good stream is an error or fewer records, and no flipped byte does harm. */
static void damage(void)
{
	static const char good[] = HB
	    "\x40\0\0\0\x10\0\0\0ids \x08\0\0\0\5\0\0\0\6\0\0\0wgts\x08\0\0\0\0\0\x80\x3f\0\0\0\0bnds\x0c\0\0\0\0\0\0\0\1\0\0\0\2\0\0\0zzzz\0\0\0\0";
	struct pm_err e = {0};
	const char *path = at("d");
	char copy[sizeof good];
	size_t i, n = sizeof good - 1;
	int bad = 0, k;

	put_file("d", good, n);
	check(drain(&path, 1, &e) == 1, "a row by hand, with an unknown section, is read: %s", e.text);
	for (i = 1; i < n; i++) {
		put_file("d", good, i);
		k = drain(&path, 1, &e);
		bad += k > 0;
	}
	check(!bad, "no cut of it reads as a row");
	for (i = 0; i < n * 8; i++) {
		memcpy(copy, good, n);
		copy[i / 8] ^= (char)(1 << i % 8);
		put_file("d", copy, n);
		k = drain(&path, 1, &e);
		bad += k < -1 || k > 1;
	}
	check(!bad, "no flipped bit gives more than one row");
}

int main(void)
{
	if (!mkdtemp(dir))
		return 99;
	round_trip(false, false);
	round_trip(true, false);
	round_trip(false, true);
	round_trip(true, true);
	mixing();
	damage();
	REFUSED("an empty file", "", "is empty");
	REFUSED("a file of newlines", "\n\n", "only empty lines");
	REFUSED("something else", "PK\3\4", "begins with byte 0x50");
	REFUSED("a binary record without a header", "\x10\0\0\0\0\0\0\0ids \4\0\0\0\5\0\0\0", "begins with byte 0x10");
	REFUSED("the same after JSON", "{\"ids\":[1]}\n\x10\0\0\0\0\0\0\0ids \4\0\0\0\5\0\0\0", "line 2: neither JSON");
	REFUSED("another format", "{\"pm\":\"soup\",\"version\":1}\n", "\"pm\":\"soup\"");
	REFUSED("a later version", "{\"pm\":\"tokens\",\"version\":2}\n", "version 2, 1 was wanted");
	REFUSED("blocks without a length", "{\"pm\":\"blocks\",\"version\":1}\n", "no row length");
	REFUSED("a length that is no multiple of 4", H "\x11\0\0\0\0\0\0\0", "record 1: a length of 17 bytes");
	REFUSED("a length of 2^31", H "\0\0\0\x80\0\0\0\0", "length of 2147483648 bytes");
	REFUSED("a record cut short", H "\x10\0\0\0\0\0\0\0ids ", "record 1: the file ends after 8 of its 16 bytes");
	REFUSED("a length cut short", H "\x10\0", "record 1: the file ends inside it");
	REFUSED("an unknown kind", H "\x10\0\0\0\7\0\0\0ids \4\0\0\0\5\0\0\0", "unknown kind 7");
	REFUSED("a section that ends after its record", H "\x10\0\0\0\0\0\0\0ids \x08\0\0\0\5\0\0\0", "ends after the record does");
	REFUSED("ids that are not whole", H "\x10\0\0\0\0\0\0\0ids \3\0\0\0\5\0\0\0", "'ids ' has 3 bytes");
	REFUSED("a record without ids", H "\4\0\0\0\0\0\0\0", "no ids");
	REFUSED("weights before ids", H "\x10\0\0\0\0\0\0\0wgts\4\0\0\0\5\0\0\0", "first section is not its ids");
	REFUSED("ids twice", H "\x1c\0\0\0\0\0\0\0ids \4\0\0\0\5\0\0\0ids \4\0\0\0\5\0\0\0", "'ids ' comes twice");
	REFUSED("a weight too many", H "\x20\0\0\0\0\0\0\0ids \4\0\0\0\5\0\0\0wgts\x08\0\0\0\0\0\0\0\0\0\0\0", "'wgts' has 8 bytes, 4 were wanted");
	REFUSED("a weight that is NaN", H "\x1c\0\0\0\0\0\0\0ids \4\0\0\0\5\0\0\0wgts\4\0\0\0\0\0\xc0\x7f", "weight of nan");
	REFUSED("a negative id", H "\x10\0\0\0\0\0\0\0ids \4\0\0\0\xff\xff\xff\xff", "-1 is no token id");
	REFUSED("an id outside the vocabulary", H "\x10\0\0\0\0\0\0\0ids \4\0\0\0\x0a\0\0\0", "token 0 has id 10, the vocabulary has 10");
	REFUSED("a row among documents", H "\x20\0\0\0\x10\0\0\0ids \4\0\0\0\5\0\0\0bnds\x08\0\0\0\0\0\0\0\1\0\0\0", "is a row of a block");
	REFUSED("bounds that do not begin at 0", HB "\x24\0\0\0\x10\0\0\0ids \x08\0\0\0\5\0\0\0\5\0\0\0bnds\x08\0\0\0\1\0\0\0\2\0\0\0", "do not begin at 0");
	REFUSED("bounds that do not rise", HB "\x28\0\0\0\x10\0\0\0ids \x08\0\0\0\5\0\0\0\5\0\0\0bnds\x0c\0\0\0\0\0\0\0\0\0\0\0\2\0\0\0", "do not rise");
	REFUSED("bounds past the row", HB "\x24\0\0\0\x10\0\0\0ids \x08\0\0\0\5\0\0\0\5\0\0\0bnds\x08\0\0\0\0\0\0\0\3\0\0\0", "end within its 2");
	REFUSED("a short row", HB "\x20\0\0\0\x10\0\0\0ids \4\0\0\0\5\0\0\0bnds\x08\0\0\0\0\0\0\0\1\0\0\0", "1 tokens are not a row of 2");
	REFUSED("broken JSON", "{\"ids\":[1]}\n{\"ids\":[1}\n", "line 2, column");
	REFUSED("invalid UTF-8", "{\"ids\":[1],\"x\":\"\xff\"}\n", "line 1");
	REFUSED("a JSON record without ids", "{\"id\":[1]}\n", "line 1: it has no 'ids'");
	REFUSED("an id that is a fraction", "{\"ids\":[1.5]}\n", "'ids': entry 0");
	REFUSED("an id of 2^31", "{\"ids\":[2147483648]}\n", "'ids': entry 0");
	REFUSED("a weight that is a word", "{\"ids\":[1],\"weights\":[\"x\"]}\n", "'weights': entry 0");
	REFUSED("too few weights", "{\"ids\":[1,2],\"weights\":[1]}\n", "'weights' has 1 entries, 2 were wanted");
	REFUSED("rows of two lengths", "{\"ids\":[1,2],\"bounds\":[0,2]}\n{\"ids\":[1],\"bounds\":[0,1]}\n", "line 2: its 1 tokens are not a row of 2");
	REFUSED("a document among rows", "{\"ids\":[1,2],\"bounds\":[0,2]}\n{\"ids\":[1,2]}\n", "line 2: a row was wanted");
	if (chdir(dir) == 0 && system("rm -f a x y d bad") == 0)
		rmdir(dir);
	return done();
}
