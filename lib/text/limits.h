/* limits.h: the sections truncation and padding of tokenizer.json: what is cut off long texts, and what is put to short ones.
 * They act where they are asked to (pm_encode_opts). */
#ifndef PM_TEXT_LIMITS_H
#define PM_TEXT_LIMITS_H

#include "base/json.h"
#include "text/tokenizer.h"

struct pm_limits {
	bool truncates, cut_left;
	enum { PM_CUT_LONGEST, PM_CUT_FIRST, PM_CUT_SECOND } strategy;
	size_t most, stride;            /* ids, with what the post-processor adds; ids that a window shares with the one before */
	bool pads, pad_left;
	size_t fixed, multiple;         /* 0: as many as there are; 0: of 1 */
	int32_t pad_id, pad_type;
};

int pm_limits_read(struct pm_limits *l, const json_t *truncation, const json_t *padding, struct pm_err *e);

/* Ids first .. to of an encoding come from text number `text` (0 or 1) of a pair, or from the post-processor (−1). */
struct pm_run {
	int text;
	size_t first, to;
};

/* Cuts the texts' runs so that all ids are `most`, and sets enc->windows. */
int pm_limits_cut(const struct pm_limits *l, struct pm_encoding *enc, const struct pm_run *run, size_t runs, const struct pm_encode_opts *o,
	struct pm_err *e);

/* Pads the ids from `first` on. */
int pm_limits_pad(const struct pm_limits *l, struct pm_encoding *enc, size_t first, struct pm_err *e);

#endif
