/* tokens.h: streams of tokens and of blocks (pm-tokens.5, pm-blocks.5): what pm-tokenize, pm-pack and pm-train hand on.
 *
 * A stream is a sequence of items. An item that begins with '{' is one line of JSON, closed by a newline: a header where it has the
 * key "pm", else a record. Any other item is a binary record: u32 bytes that follow (a multiple of 4, so that its first byte is never
 * '{', and never the end of a line), u32 kind, then sections: u32 tag, u32 bytes, payload, zeros up to a multiple of 4. All numbers
 * are little-endian. A binary record needs a header before it.
 *
 *     {"pm":"tokens","version":1,"tokenizer":SHA-256 or null,"vocab":N or null,…}
 *     {"pm":"blocks","version":1,"length":L,…}
 *
 *     tag     payload
 *     "ids "  n × i32, 0 or above; must be there
 *     "wgts"  n × f32, finite, 0 or above; absent: all 1
 *     "bnds"  rows: (documents + 1) × u32: where each document starts, then where the last one ends; the first is 0, they rise
 *     "dknd"  rows: documents × u32: their kinds; absent: all text
 *     "dgrp"  rows: documents × i64: their groups; absent: none
 *     "grup"  i64, the group of a document (the records of one preference pair share it)
 *     "line"  i64, the line of the source, for messages
 *     "srce"  the source record, as JSON text
 *
 * Sections with other tags are skipped, so that side arrays and references to media can be added. Streams may be concatenated: a header
 * that says another kind, tokenizer, vocabulary or row length than the first is an error, as are an id outside the header's
 * vocabulary, a row whose length is not the header's, and a record cut short; errors name the file and the record's number.
 *
 * A JSON record has the same parts by name: ids, weights, bounds, kind (a word: text, prompt, chosen, rejected, completion), group,
 * line, kinds and groups (rows), source; other members are ignored. */
#ifndef PM_IO_TOKENS_H
#define PM_IO_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/file.h"
#include "base/json.h"

enum pm_record_kind {
	PM_REC_TEXT = 0,        /* a document, weights say what is trained */
	PM_REC_PROMPT = 1,
	PM_REC_CHOSEN = 2,      /* a whole document (prompt and answer), the weights on the answer; the same group as its rejected twin, */
	PM_REC_REJECTED = 3,    /* or no group (−1) where answers were judged singly */
	PM_REC_COMPLETION = 4,
	PM_REC_ROW = 16,        /* blocks: a row of L tokens with the bounds of its documents */
};

/* A document or a row. Arrays are the record's own and reused from one read to the next; a zeroed struct is empty. */
struct pm_record {
	enum pm_record_kind kind;
	int32_t *ids;
	float *weights;                 /* one a token: the weight of its prediction; use pm_record_weight unless has_weights */
	bool has_weights;               /* false: all 1 */
	size_t n, cap, cap_w;
	uint32_t *bounds;               /* rows: ndocs + 1 entries; the rest of the row is padding (id 0, weight 0) */
	size_t ndocs, cap_b;
	uint32_t *doc_kinds;            /* rows: ndocs entries, where has_docs; else all text and no groups */
	int64_t *doc_groups;
	bool has_docs;
	size_t cap_k, cap_g;
	int64_t group, line;            /* −1: none */
	char *source;                   /* the source record as JSON text; "" or NULL: none */
	size_t cap_s;
	uint32_t *offsets;              /* writing JSON: 2n code points, where has_offsets */
	bool has_offsets;
	size_t cap_o;
	int32_t *types;                 /* writing JSON: which text of a pair, where has_types */
	bool has_types;
	size_t cap_t;
	bool has_mask;                  /* writing JSON: an attention mask: 0 for that many ids before and behind */
	size_t pads_before, pads_behind;
};

void pm_record_free(struct pm_record *r);

/* Empties a record and makes room for n tokens (and their weights); the caller sets kind, n, and the rest. */
int pm_record_reset(struct pm_record *r, size_t room, struct pm_err *e);

/* Room for the bounds, kinds and groups of ndocs documents. */
int pm_record_room_docs(struct pm_record *r, size_t ndocs, struct pm_err *e);

/* The weight of token i's prediction; what the loss counts is this for 1 ≤ i (the first token of a document is never predicted). */
static inline float pm_record_weight(const struct pm_record *r, size_t i)
{
	return r->has_weights ? r->weights[i] : 1.0f;
}

/* The word of a kind ("text"), and the kind of a word (−1: none). */
const char *pm_record_kind_name(enum pm_record_kind k);
int pm_record_kind_by_name(const char *name);

/* Reads the parts of a JSON record ({"ids":[…],"weights":[…]}) into *r. */
int pm_record_from_json(struct pm_record *r, const json_t *o, struct pm_err *e);

struct pm_stream;

/* Opens one file, or several that are read as if they were concatenated; "-" is stdin. A file without a byte is an error. */
int pm_stream_open(struct pm_stream **out, const char *path, struct pm_err *e);
int pm_stream_open_all(struct pm_stream **out, const char *const *paths, size_t n, struct pm_err *e);

/* The first header, borrowed; NULL while none was read (JSON records need none). Headers that come later agree with it; what the
 * first leaves open (a tokenizer, a vocabulary) is taken from them. It is there right after opening where the stream begins with one. */
const json_t *pm_stream_header(const struct pm_stream *s);

/* Whether this is a stream of blocks: known after opening. */
bool pm_stream_is_blocks(const struct pm_stream *s);

/* Grows with every header and file: group ids are unique only among records of one part. */
uint64_t pm_stream_part(const struct pm_stream *s);

/* 1: a record was read; 0: the end; −1. */
int pm_stream_read(struct pm_stream *s, struct pm_record *r, struct pm_err *e);
void pm_stream_close(struct pm_stream *s);

/* Writing to a pm_out: binary, or JSON lines (which carry no header). Binary data is never written to a terminal (status 64). */
struct pm_stream_writer {
	struct pm_out out;
	bool json;
	struct pm_str buf;
};

/* header: see above; "pm" and "version" are put in front by this. Borrowed. */
int pm_stream_begin(struct pm_stream_writer *w, const char *path, const char *pm, const json_t *header, bool json, struct pm_err *e);
/* Adds "inputs" to a header: name and SHA-256 of those of the paths that are regular files. */
int pm_stream_inputs(json_t *header, const char *const *paths, size_t n, struct pm_err *e);
int pm_stream_put(struct pm_stream_writer *w, const struct pm_record *r, struct pm_err *e);

/* The two halves of pm_stream_put: the record's bytes into w->buf (of w, only `json` is looked at: it need not be begun), and bytes out.
 * *group and *ngroup are where the record's group stands in them (*ngroup 0: it has none): an i64, or in JSON its digits. */
int pm_stream_format(struct pm_stream_writer *w, const struct pm_record *r, size_t *group, size_t *ngroup, struct pm_err *e);
int pm_stream_write(struct pm_stream_writer *w, const void *bytes, size_t n, struct pm_err *e);
int pm_stream_end(struct pm_stream_writer *w, struct pm_err *e);
void pm_stream_abort(struct pm_stream_writer *w);

#endif
