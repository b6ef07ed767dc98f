/* post.h: the post-processor: what is put around the ids of a text (or of two), and whether offsets leave out blanks. All
 * kinds come down to one list for a single text and one for a pair. */
#ifndef PM_TEXT_POST_H
#define PM_TEXT_POST_H

#include "base/json.h"

struct pm_post_piece {
	enum { PM_POST_A, PM_POST_B, PM_POST_ID } kind;
	int32_t id;                     /* of PM_POST_ID */
	int type;
};

struct pm_post_list {
	struct pm_post_piece *v;
	size_t n, cap;
};

struct pm_post {
	struct pm_post_list single, pair;
	bool trim, trim_prefix;         /* as in worker.h */
};

int pm_post_read(struct pm_post *p, const json_t *o, struct pm_err *e);

/* Puts bos and eos around each text (1), or does not (0), or leaves it as it is (−1), as transformers rewrites the processor of its Llama
 * tokenizers: a list that has to change has only the texts and these tokens afterwards. */
int pm_post_bounds(struct pm_post *p, int32_t bos, int add_bos, int32_t eos, int add_eos, struct pm_err *e);
void pm_post_free(struct pm_post *p);

#endif
