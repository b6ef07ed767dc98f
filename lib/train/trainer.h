/* trainer.h: one step of training: rows in, a loss, gradients, clipping, AdamW. The loop over steps, with metrics, evaluation and
 * checkpoints, is loop.h. Neither knows what trains: an adapter, the whole model, or a model from scratch. */
#ifndef PM_TRAIN_TRAINER_H
#define PM_TRAIN_TRAINER_H

#include "model/model.h"
#include "train/rows.h"
#include "train/schedule.h"

struct pm_train_opts {
	int64_t batch, accum;                   /* rows a micro-batch; micro-batches a step */
	int64_t epochs, max_steps;              /* max_steps 0: by epochs */
	struct pm_schedule schedule;            /* total is worked out */
	double beta1, beta2, eps, decay, clip;  /* clip 0: none */
	double balance;                         /* times pm_balance_loss of a micro-batch, their mean by rows, is added to the loss; 0: none */
	uint64_t seed;
	bool shuffle, checkpoint;
};

struct pm_step {
	int64_t step;                           /* from 1 */
	double epoch;                           /* rows seen ÷ rows there are */
	double loss, lr, grad_norm;             /* loss before the update (without that of balance), norm before clipping */
	double balance;                         /* the mean of pm_balance_loss, where it was asked for */
	int64_t tokens, trained;                /* of this step: in its rows; whose prediction counts */
	double seconds;
};

struct pm_trainer {
	struct pm_model *model;
	struct pm_adapters *adapters;           /* NULL: the model itself trains */
	struct pm_rows *rows;
	struct pm_params *params;
	struct pm_forward *forward;
	struct pm_plan *plan;
	struct pm_forward *eval_forward;        /* made at the first evaluation */
	struct pm_plan *eval_plan;
	int64_t eval_length;                    /* tokens of a held-out row, padded */
	struct pm_train_opts opts;
	int64_t length;                         /* tokens of a row, padded */
	int64_t done, total;                    /* steps */
	/* private */
	int64_t order_epoch;
	uint64_t *order;
	struct pm_batch batch;
	struct pm_record rec;
	int32_t *target, *rng;
	float *weight, *nll;
	int32_t *ids;                           /* the step's tokens so far */
	size_t nids, cap_ids;
};

/* Builds graph and plan; computes nothing and touches no big memory yet. All pointers are borrowed and must outlive it. */
int pm_trainer_new(struct pm_trainer **out, struct pm_model *m, struct pm_adapters *a, struct pm_rows *rows,
	const struct pm_train_opts *o, struct pm_err *e);

/* Bytes: the plan's, and of gradients and moments. */
void pm_trainer_sizes(const struct pm_trainer *t, struct pm_plan_sizes *s, uint64_t *params);

/* Whether the device has the memory: status 69 with what is needed, what there is and what would help where it has not. */
int pm_trainer_fits(const struct pm_trainer *t, struct pm_err *e);

/* Takes the memory, where it fits. */
int pm_trainer_alloc(struct pm_trainer *t, struct pm_err *e);

/* The gradients of the next step's loss (in params), with nothing updated. */
int pm_trainer_gradients(struct pm_trainer *t, struct pm_step *s, struct pm_err *e);

/* One step. A loss or norm that is not finite is status 65, and nothing is updated. */
int pm_trainer_step(struct pm_trainer *t, struct pm_step *s, double (*clock)(void), struct pm_err *e);

/* Mean loss over other rows (in the units of the training loss) and the sum of their weights. */
int pm_trainer_eval(struct pm_trainer *t, struct pm_rows *rows, double *loss, double *weight, struct pm_err *e);

void pm_trainer_free(struct pm_trainer *t);

#endif
