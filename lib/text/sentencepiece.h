/* sentencepiece.h: what a SentencePiece model says, as far as tokenizing needs it. */
#ifndef PM_TEXT_SENTENCEPIECE_H
#define PM_TEXT_SENTENCEPIECE_H

#include <stdbool.h>

#include "text/vocab.h"

enum { PM_PIECE_NORMAL = 1, PM_PIECE_UNKNOWN, PM_PIECE_CONTROL, PM_PIECE_USER, PM_PIECE_UNUSED, PM_PIECE_BYTE };
enum { PM_PIECES_UNIGRAM = 1, PM_PIECES_BPE, PM_PIECES_WORD, PM_PIECES_CHAR };

struct pm_piece {
	const char *s;                  /* in the file's bytes */
	size_t n;
	float score;
	int type;
};

struct pm_pieces {
	struct pm_piece *piece;
	size_t n, cap;
	struct pm_vocab known;          /* spelling → index */
	uint64_t kind;
	int64_t bos, eos;
	bool suffix, bytes, dummy, squeeze, escape;     /* treat_whitespace_as_suffix, byte_fallback, add_dummy_prefix, … */
	const unsigned char *map;       /* precompiled_charsmap */
	size_t map_n;
};

/* m is zeroed before; the caller frees it also on failure. It points into the bytes. */
int pm_pieces_read(struct pm_pieces *m, const char *bytes, size_t n, struct pm_err *e);
void pm_pieces_free(struct pm_pieces *m);

#endif
