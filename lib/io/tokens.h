/* tokens.h: streams of tokens and of blocks (pm-tokens.5, pm-blocks.5): what pm-tokenize, pm-pack and pm-train hand on.
 *
 * Both begin with one line of JSON, closed by a newline: {"pm":"tokens","version":1,"tokenizer":SHA-256 or null,"vocab":N or null,…}
 * (a stream of blocks: "pm":"blocks", "length":L, "rows":N where known, "efficiency":…). Then records, each a little-endian u32 of the
 * bytes that follow it, then a u32 kind, then sections: u32 tag, u32 bytes, payload (padded to 4). Unknown tags are skipped, so
 * side arrays, group ids and media references can be added; a record cut short is an error naming its number.
 * Streams may be concatenated: a new header line may stand wherever a record may (records begin with a length below
 * 2^30, '{' as the first byte of a length would be 0x7b…: the reader tells them apart by the text {"pm":). */
#ifndef PM_IO_TOKENS_H
#define PM_IO_TOKENS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/file.h"
#include "base/json.h"

enum pm_record_kind {
	PM_REC_TEXT = 0,        /* a document, weights say what is trained */
	PM_REC_PROMPT = 1, PM_REC_CHOSEN = 2, PM_REC_REJECTED = 3, PM_REC_COMPLETION = 4,
	PM_REC_ROW = 16,        /* blocks: a row of L tokens with the bounds of its documents */
};

/* A document or a row. Arrays are the record's own; reused from one read to the next. */
struct pm_record {
	enum pm_record_kind kind;
	int32_t *ids;
	float *weights;                 /* one a token: the weight of its prediction; NULL while reading means all 1 */
	size_t n, cap, cap_w;
	uint32_t *bounds;               /* rows: where each document starts, closed by the end of the last (ndocs + 1 entries); the rest of the
	                                 * row is padding (id 0, weight 0) */
	size_t ndocs, cap_b;
	int64_t group, line;            /* group id; line of the source, for messages; −1: none */
	char *source;                   /* the source record as JSON text, or NULL */
};

void pm_record_free(struct pm_record *r);

struct pm_stream;

/* Opens a stream for reading: tokens or blocks, or JSON lines {"ids":[…],"weights":[…]} (and {"ids","weights","bounds"} for rows), told
 * apart by the first bytes. name is for messages; "-" and NULL f mean stdin. */
int pm_stream_open(struct pm_stream **out, const char *path, struct pm_err *e);
/* The header (of the last header line read): borrowed; NULL for JSON lines. */
const json_t *pm_stream_header(const struct pm_stream *s);
/* 1: a record was read; 0: the end; −1. A header that contradicts the first (kind, tokenizer, length) is an error. */
int pm_stream_read(struct pm_stream *s, struct pm_record *r, struct pm_err *e);
void pm_stream_close(struct pm_stream *s);

/* Writing to a pm_out: binary, or JSON lines. Refuses to write binary data to a terminal. */
struct pm_stream_writer {
	struct pm_out out;
	int json;
	struct pm_str buf;
};
int pm_stream_begin(struct pm_stream_writer *w, const char *path, const json_t *header, int json, struct pm_err *e);
int pm_stream_put(struct pm_stream_writer *w, const struct pm_record *r, struct pm_err *e);
int pm_stream_end(struct pm_stream_writer *w, struct pm_err *e);
void pm_stream_abort(struct pm_stream_writer *w);

#endif
