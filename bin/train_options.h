/* train_options.h: the options of pm-train and what they come to; apart from pm-train.c so that each stays readable. */
#ifndef PM_BIN_TRAIN_OPTIONS_H
#define PM_BIN_TRAIN_OPTIONS_H

#include "bin/common.h"
#include "train/trainer.h"

struct args {
	struct pm_opt_device dev;
	const char *model, *init, *family, *output, *adapter;
	bool full, gguf, rslora, quiet, resume, plan, checkpointing, shuffle;
	int64_t lora;
	double alpha, dropout;
	const char *targets, *exclude, *layers, *rank_pattern, *alpha_pattern, *save_modules;
	double lr, decay, eps, clip, balance;
	const char *betas, *schedule, *dtype, *metrics, *grads, *held_out;
	int64_t warmup, batch, accum, epochs, steps, seed, save_every, eval_every, keep;
};

#define TRAIN_OPTIONS(p) \
	PM_OPT_MODEL(&(p)->model), \
	PM_OPT_OUTPUT(&(p)->output, "directory of the result and its checkpoints"), \
	{.name = "lora", .kind = PM_OPT_INT, .arg = "R", .to = &(p)->lora, .min = 1, .max = 65536, .help = "train a new LoRA adapter of this rank"}, \
	{.letter = 'a', .name = "adapter", .kind = PM_OPT_STR, .arg = "DIR", .to = &(p)->adapter, .help = "go on training this PEFT adapter"}, \
	{.name = "full", .kind = PM_OPT_FLAG, .to = &(p)->full, .help = "train every weight of the model"}, \
	{.name = "init", .kind = PM_OPT_STR, .arg = "CONFIG", .to = &(p)->init, .help = "train a model from scratch, as config.json describes it"}, \
	{.name = "alpha", .kind = PM_OPT_REAL, .arg = "A", .to = &(p)->alpha, .min = 1e-9, .max = 1e9, .help = "LoRA alpha [2 x rank]"}, \
	{.name = "dropout", .kind = PM_OPT_REAL, .arg = "P", .to = &(p)->dropout, .fallback = "0", .min = 0, .max = 0.999, .help = "LoRA dropout"}, \
	{.name = "targets", .kind = PM_OPT_STR, .arg = "LIST|REGEX", .to = &(p)->targets, .fallback = "all-linear", \
	 .help = "modules to adapt: comma-separated names or suffixes, a regular expression, or all-linear"}, \
	{.name = "exclude", .kind = PM_OPT_STR, .arg = "LIST|REGEX", .to = &(p)->exclude, .help = "modules not to adapt"}, \
	{.name = "layers", .kind = PM_OPT_STR, .arg = "LIST", .to = &(p)->layers, .help = "adapt only these layers: 0,2,8-11"}, \
	{.name = "rank-pattern", .kind = PM_OPT_STR, .arg = "JSON", .to = &(p)->rank_pattern, .help = "ranks by regular expression"}, \
	{.name = "alpha-pattern", .kind = PM_OPT_STR, .arg = "JSON", .to = &(p)->alpha_pattern, .help = "alphas by regular expression"}, \
	{.name = "rslora", .kind = PM_OPT_FLAG, .to = &(p)->rslora, .help = "scale by alpha / sqrt(rank)"}, \
	{.name = "modules-to-save", .kind = PM_OPT_STR, .arg = "LIST", .to = &(p)->save_modules, .help = "modules trained and stored whole"}, \
	{.name = "lr", .kind = PM_OPT_REAL, .arg = "X", .to = &(p)->lr, .fallback = "2e-4", .min = 0, .max = 1000, .help = "learning rate"}, \
	{.name = "schedule", .kind = PM_OPT_CHOICE, .arg = "S", .to = &(p)->schedule, .fallback = "linear", .choices = "constant|linear|cosine", \
	 .help = "what the learning rate does after the warm-up"}, \
	{.name = "warmup", .kind = PM_OPT_INT, .arg = "N", .to = &(p)->warmup, .fallback = "0", .min = 0, .max = 1e12, .help = "steps of rising learning rate"}, \
	{.name = "weight-decay", .kind = PM_OPT_REAL, .arg = "X", .to = &(p)->decay, .fallback = "0", .min = 0, .max = 100, .help = "decoupled weight decay"}, \
	{.name = "betas", .kind = PM_OPT_STR, .arg = "A,B", .to = &(p)->betas, .fallback = "0.9,0.999", .help = "betas of AdamW"}, \
	{.name = "eps", .kind = PM_OPT_REAL, .arg = "X", .to = &(p)->eps, .fallback = "1e-8", .min = 1e-30, .max = 1, .help = "epsilon of AdamW"}, \
	{.name = "router-aux-loss", .kind = PM_OPT_REAL, .arg = "COEF", .to = &(p)->balance, .fallback = "0", .min = 0, .max = 1e9, \
	 .help = "of experts: add this times the loss of uneven use"}, \
	{.name = "clip", .kind = PM_OPT_REAL, .arg = "X", .to = &(p)->clip, .fallback = "1", .min = 0, .max = 1e9, .help = "largest gradient norm, 0 for any"}, \
	{.name = "batch", .kind = PM_OPT_INT, .arg = "N", .to = &(p)->batch, .fallback = "1", .min = 1, .max = 65536, .help = "rows computed at a time"}, \
	{.name = "accum", .kind = PM_OPT_INT, .arg = "N", .to = &(p)->accum, .fallback = "1", .min = 1, .max = 1048576, .help = "batches a step"}, \
	{.name = "epochs", .kind = PM_OPT_INT, .arg = "N", .to = &(p)->epochs, .fallback = "1", .min = 1, .max = 1e9, .help = "passes over the rows"}, \
	{.letter = 'n', .name = "steps", .kind = PM_OPT_INT, .arg = "N", .to = &(p)->steps, .fallback = "0", .min = 0, .max = 1e12, \
	 .help = "stop after N steps, 0: by epochs"}, \
	{.name = "shuffle", .kind = PM_OPT_FLAG, .to = &(p)->shuffle, .negatable = true, .help = "rows in an order drawn anew each epoch [yes]"}, \
	PM_OPT_SEED(&(p)->seed), \
	{.name = "gradient-checkpointing", .kind = PM_OPT_FLAG, .to = &(p)->checkpointing, .help = "compute activations twice to store fewer"}, \
	{.name = "save-every", .kind = PM_OPT_INT, .arg = "N", .to = &(p)->save_every, .fallback = "0", .min = 0, .max = 1e12, \
	 .help = "steps between checkpoints, 0: only when interrupted"}, \
	{.name = "keep", .kind = PM_OPT_INT, .arg = "N", .to = &(p)->keep, .fallback = "0", .min = 0, .max = 1e9, .help = "checkpoints to keep, 0: all"}, \
	{.name = "resume", .kind = PM_OPT_FLAG, .to = &(p)->resume, .help = "go on from the newest checkpoint, if there is one"}, \
	{.name = "eval", .kind = PM_OPT_STR, .arg = "FILE", .to = &(p)->held_out, .help = "rows held out, for evaluation"}, \
	{.name = "eval-every", .kind = PM_OPT_INT, .arg = "N", .to = &(p)->eval_every, .fallback = "0", .min = 0, .max = 1e12, \
	 .help = "steps between evaluations, 0: at the end"}, \
	{.name = "metrics", .kind = PM_OPT_STR, .arg = "FILE", .to = &(p)->metrics, .help = "JSON lines, one a step [OUTPUT/metrics.jsonl]"}, \
	{.name = "dtype", .kind = PM_OPT_CHOICE, .arg = "T", .to = &(p)->dtype, .choices = "f32|bf16|f16", \
	 .help = "storage of a whole model's result [as the model's]"}, \
	{.name = "gguf", .kind = PM_OPT_FLAG, .to = &(p)->gguf, .help = "write the adapter as OUTPUT/adapter.gguf, too"}, \
	{.name = "grads", .kind = PM_OPT_STR, .arg = "FILE", .to = &(p)->grads, .help = "only write the first step's gradients (safetensors)"}, \
	{.name = "plan", .kind = PM_OPT_FLAG, .to = &(p)->plan, .help = "only print the memory that is needed"}, \
	{.name = "family", .kind = PM_OPT_STR, .arg = "FILE", .to = &(p)->family, .help = "a family description of your own (pm-family(5))"}, \
	PM_OPT_DEVICE(&(p)->dev), \
	PM_OPT_QUIET(&(p)->quiet)

/* Holds the options against each other (status 64). */
int train_check_options(const struct pm_tool *t, struct args *a, struct pm_err *e);
/* The LoRA options as a configuration; its memory is c->arena. */
int train_lora_config(struct pm_lora_config *c, const struct args *a, const struct pm_tool *t, struct pm_err *e);
int train_step_options(struct pm_train_opts *o, const struct args *a, struct pm_err *e);
/* What the run is, for checkpoints: every option that changes the result, and the hashes of its inputs. */
json_t *train_description(const struct args *a, const char *rows_hash, const char *config_hash, const char *start_hash);
enum pm_dtype train_dtype(const struct args *a, const struct pm_model *m);
/* --grads: the gradients of the first step under the names of what trains. */
int train_write_gradients(struct pm_trainer *t, const char *path, const json_t *provenance, struct pm_err *e);

#endif
