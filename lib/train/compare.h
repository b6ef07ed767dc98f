/* compare.h: how far a model is from another one that it was made of (quantised, pruned, adapted): both read the same rows side by side, and the
 * distributions over the next token are held against each other. The figures are those of llama-perplexity --kl-divergence. */
#ifndef PM_TRAIN_COMPARE_H
#define PM_TRAIN_COMPARE_H

#include "train/evaluate.h"

struct pm_comparison {
	struct pm_evaluation base, model;       /* both under their own distributions */
	double covariance;                      /* the sum of weight · nll of one · nll of the other */
	int64_t n;                              /* predictions that count */
	float *kl;                              /* (n) KL(base‖model) of each, ascending */
	float *dp;                              /* (n) the target's probability, model − base, ascending */
	int64_t same;                           /* how often both have the same likeliest token */
};

/* `adapters` are the model's. o->logits has to be NULL. Models of different vocabularies: status 65. The caller frees, after a failure too. */
int pm_compare(struct pm_comparison *out, const struct pm_model *base, const struct pm_model *m, const struct pm_adapters *adapters, struct pm_rows *rows,
	const struct pm_evaluate_opts *o, struct pm_err *e);
void pm_comparison_free(struct pm_comparison *c);

/* Of n ascending values: the mean, its standard error, and the value below which the part f (0 to 1) of them lies, between two of them in proportion. */
double pm_compare_mean(const float *v, int64_t n);
double pm_compare_error(const float *v, int64_t n);
double pm_compare_part(const float *v, int64_t n, double f);

#endif
