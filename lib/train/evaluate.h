/* evaluate.h: how well a model predicts rows that are given: no gradients, nothing changed. */
#ifndef PM_TRAIN_EVALUATE_H
#define PM_TRAIN_EVALUATE_H

#include "train/rows.h"

struct pm_evaluation {
	double nll, weight;             /* sums over all predictions: weight · nll, and weight */
	double squares;                 /* the sum of weight · nll², for the error of the mean */
	int64_t tokens, documents;      /* predictions that count (weight ≠ 0); documents */
};

struct pm_evaluate_opts {
	int64_t window, stride;         /* a document longer than `window` tokens (0: none is) is read in windows that advance by `stride`; a
	                                 * token counts in the first window that predicts it */
	const char *logits;             /* file for the logits of every document (safetensors: input_ids i32 (n, T), logits f32 (n, T, V), lengths i32
	                                 * (n), 0 behind a document's end); NULL: none. Then no document may need a second window */
	bool thin;                      /* pm_compare: the model's products, its head's too, are those of decoding */
	void (*progress)(void *arg, int64_t documents, const struct pm_evaluation *so_far);     /* may be NULL */
	void *arg;
};

/* The windows that a document of n tokens is read in: fn gets where each begins, its length, and the first token that no window before it had. */
int pm_windows(int64_t n, int64_t window, int64_t stride, int (*fn)(void *arg, int64_t from, int64_t len, int64_t fresh, struct pm_err *e), void *arg,
	struct pm_err *e);

/* The standard error of the mean nll, predictions taken as independent; 0 for one. */
double pm_evaluation_error(const struct pm_evaluation *v);

int pm_evaluate(struct pm_evaluation *out, const struct pm_model *m, const struct pm_adapters *a, struct pm_rows *rows,
	const struct pm_evaluate_opts *o, struct pm_err *e);

#endif
