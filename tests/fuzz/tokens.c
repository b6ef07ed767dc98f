/* A stream of tokens or blocks: every record that is read can be written, and comes back the same. */
#include "fuzz.h"
#include "io/tokens.h"
#include "io/tokens_format.h"

static void check_round(const struct pm_record *r, struct pm_record *again, struct pm_err *e)
{
	struct pm_str s = {0};

	must(pm_record_to_bytes(&s, r, e) == 0);
	must(pm_record_from_bytes(again, (const unsigned char *)s.data + 4, s.len - 4, e) == 0);
	must(again->kind == r->kind && again->n == r->n && again->ndocs == r->ndocs && again->line == r->line && again->group == r->group);
	must(!r->n || !memcmp(again->ids, r->ids, r->n * sizeof *r->ids));
	must(!r->ndocs || !memcmp(again->bounds, r->bounds, (r->ndocs + 1) * sizeof *r->bounds));
	pm_str_free(&s);
}

static int parse_tokens(const uint8_t *data, size_t size, struct pm_err *e)
{
	struct pm_record r = {0}, again = {0};
	struct pm_stream *s = NULL;
	struct pm_err other;
	int k = -1;

	if (pm_stream_open(&s, fuzz_file("one.tok", data, size), e) == 0)
		while ((k = pm_stream_read(s, &r, e)) > 0) {
			must((r.kind == PM_REC_ROW) == pm_stream_is_blocks(s));
			check_round(&r, &again, &other);
		}
	pm_stream_close(s);
	pm_record_free(&r);
	pm_record_free(&again);
	return k;
}

FUZZ(parse_tokens)
