/* model.h: a model on a device: its weights by role, its adapters, and the one forward that every tool uses.
 *
 *   struct pm_model      spec + tensors of the store on the device; shared by all graphs built over it
 *   struct pm_adapters   zero or more LoRA adapters over a model (inference: several with weights; training: one that trains)
 *   pm_build             spec + weights + adapters -> graph of a number of rows
 *
 * Rows. A graph computes T tokens, whatever sequences they belong to. What tells them apart comes with the inputs, filled by
 * pm_batch_fill: positions, rope tables and spans (first and last visible key). Training, evaluation, prefill and decoding differ
 * only in `mode` and in where keys and values lie. */
#ifndef PM_MODEL_MODEL_H
#define PM_MODEL_MODEL_H

#include "graph/graph.h"
#include "op/op.h"
#include "spec/peft.h"
#include "spec/spec.h"

enum pm_precision { PM_PREC_AUTO, PM_PREC_F32, PM_PREC_BF16 };

struct pm_weight {
	const struct pm_tensor_spec *spec;
	const char *name;                       /* in the model's own files (spec->file, or the alias that is used there); "{}" in it where they lie apart */
	enum pm_dtype type;
	int64_t rows, cols;                     /* (out, in) as stored: a vector is (1, n) */
	struct pm_mem *mem;
	struct pm_mem *woven;                   /* the same for products of few rows (pm_model_weave), or NULL */
	struct pm_mem **part;                   /* a stack whose matrices lie apart in the files and are used there: spec->experts of them; mem is NULL then */
	struct pm_mem *grad;                    /* where it trains: f32, borrowed from the trainer (see pm_params) */
	struct pm_mem *grad_rows;               /* a tied embedding: what comes through the rows of tokens is summed apart, so that its order
	                                         * does not depend on how a step is cut into batches */
};

struct pm_model {
	struct pm_spec *spec;
	struct pm_store *store;                 /* NULL for a model made from scratch */
	struct pm_dev *dev;
	struct pm_weight *weight;               /* one a tensor of the spec that is present */
	size_t nweights;
	struct pm_mem **chunk;                  /* in which woven weights lie */
	size_t nchunks, cap_chunks;
	bool woven[2];                          /* pm_model_weave was here: for blocks, for floats, too */
	bool bf16;                              /* what --precision came to */
	bool rounded;                           /* bf16, or finer: products of passes without gradients may round */
	bool exact;                             /* --precision f32 or --reference: nothing is rounded */
	char *dir;
	char *notice;                           /* what the user should be told of how the weights are held; NULL: nothing */
};

/* What becomes of a model's tensors: used as they are stored (mapped where the device shares memory), blocks too where operations
 * take them (pm_op_takes) and else as f16, or float32 where --precision or --reference asks for that; float32 copies that may be changed, for
 * training all of them; or that memory left untouched, for a plan. Where the last two, with gradients and moments, do not fit: status 69, before
 * anything is taken. */
enum pm_weights_use { PM_WEIGHTS_FROZEN, PM_WEIGHTS_TRAIN, PM_WEIGHTS_PLAN };

/* Opens a model directory: spec, store, check, weights on the device. family may be NULL. */
int pm_model_open(struct pm_model **out, const char *dir, const char *share, const char *family, struct pm_dev *dev,
	enum pm_precision prec, enum pm_weights_use use, struct pm_err *e);

/* A model from config.json alone, weights drawn as transformers initialises them (normal, initializer_range; norms 1; biases 0). */
int pm_model_init(struct pm_model **out, const char *config, const char *share, const char *family, struct pm_dev *dev,
	enum pm_precision prec, enum pm_weights_use use, uint64_t seed, struct pm_err *e);
struct pm_weight *pm_model_weight(const struct pm_model *m, const char *role);   /* NULL: none */

/* Lays frozen weights that decoding multiplies with anew for that (pm_op_weaves), where the device wants it and has room for a copy: blocks, with which
 * prompts are read faster, too; or floats as well, which are packed for decoding alone: some tenths of a second for each gigabyte, better spent once
 * a first token is out. Returns 1 where there are copies now, and graphs built before, which take the files, should be built again (prompts give the same bits);
 * 0 where nothing changed, so when it was done already. */
int pm_model_weave(struct pm_model *m, bool floats, struct pm_err *e);
void pm_model_close(struct pm_model *m);

/* Writes a model directory that others load: model.safetensors in the dtype given (shards of 5 GB with an index beyond that),
 * config.json with that dtype, and the tokenizer, template and generation files of the directory it came from. DIR exists. */
int pm_model_save(const struct pm_model *m, const char *dir, enum pm_dtype type, const json_t *provenance, struct pm_err *e);
/* Sets the weights of a model opened to train to those that pm_model_save wrote in float32. */
int pm_model_reload(struct pm_model *m, const char *dir, struct pm_err *e);

/* ---- adapters ---- */

/* One adapted module: LoRA matrices, or a whole weight that replaces the base's (modules_to_save). */
struct pm_adapter_weight {
	const struct pm_tensor_spec *target;
	int64_t r, in, out;                     /* r: sum over the adapters applied */
	int64_t experts;                        /* a stack: a and b are (experts·r, in), (experts·out, r); else 0 */
	bool shared;                            /* a belongs to another, and so does where its gradient goes */
	float s;
	struct pm_mem *a, *b;                   /* f32 (r, in), (out, r); saved: a is the weight, b is NULL */
	bool saved;
	struct pm_mem *grad_a, *grad_b;         /* where it trains: borrowed from the trainer */
	size_t module;                          /* index in peft->module, where it trains */
};

struct pm_adapters {
	struct pm_adapter_weight *weight;
	size_t nweights;
	struct pm_peft *peft;                   /* training: the one adapter */
	double dropout;
	bool trains;
	struct pm_dev *dev;
};

/* Applies directories with weights (s · weight) to a model, unmerged. */
int pm_adapters_open(struct pm_adapters **out, const struct pm_model *m, size_t n, const char *const *dirs, const double *weights, struct pm_err *e);
/* An adapter that trains: from a directory, or new from a configuration (A: kaiming uniform with a = √5 as PEFT, i.e. U(±1/√in); B: 0). */
int pm_adapters_train(struct pm_adapters **out, const struct pm_model *m, const char *dir, const struct pm_lora_config *c, uint64_t seed, struct pm_err *e);
int pm_adapters_save(const struct pm_adapters *a, const char *dir, const char *base, const json_t *provenance, struct pm_err *e);
/* The same as one GGUF file; name: general.name. */
int pm_adapters_save_gguf(const struct pm_adapters *a, const struct pm_spec *s, const char *path, const char *name, struct pm_err *e);
/* Sets an adapter that trains to what pm_adapters_save wrote of it. */
int pm_adapters_reload(struct pm_adapters *a, const struct pm_spec *s, const char *dir, struct pm_err *e);
void pm_adapters_free(struct pm_adapters *a);

/* ---- what trains ---- */

/* A trained tensor: its values, and room for its gradient and moments (f32), owned by the list. */
struct pm_param {
	const char *name;                       /* in the files of the model or the adapter */
	int nd;
	uint64_t dim[4];                        /* as in the file; of a stack (experts, …) */
	int64_t apart;                          /* a stack of so many that lie apart in the files, "{}" in the name is which; else 0 */
	int64_t count;
	struct pm_mem *p;                       /* borrowed */
	struct pm_mem *grad, *m, *v;            /* m and v NULL where only gradients were asked for */
	struct pm_mem *second;                  /* a second gradient, of what is used in two places (a tied embedding, an A that gate and up share) */
	bool by_rows;                           /* second is that of the embedding's rows: zero but for those of the step's tokens */
	bool fresh, second_fresh;               /* need not be zeroed: see pm_params_fresh */
};

struct pm_params {
	struct pm_param *param;
	size_t n;
};

/* Lists what trains (the weights of a model opened to train, or the adapter's) in the order of the files, makes the memory and
 * tells model and adapters where the gradients go. */
int pm_params_new(struct pm_params **out, struct pm_model *m, struct pm_adapters *a, bool moments, struct pm_err *e);
/* A tensor as files have it: the whole of a parameter, or one part of a stack that lies apart. */
struct pm_param_part {
	char name[PM_SPEC_NAME];
	int nd;
	const uint64_t *dim;
	int64_t at, count;                      /* of the parameter's values */
};
int64_t pm_param_parts(const struct pm_param *p);                               /* how many: 1 or more */
void pm_param_part(struct pm_param_part *out, const struct pm_param *p, int64_t i);
int pm_params_zero(struct pm_params *p, bool moments, struct pm_err *e);        /* gradients; and moments */
/* Looks which gradients g writes anew with pm_grad_fresh: pm_params_zero leaves them alone from now on. */
void pm_params_fresh(struct pm_params *p, const struct pm_graph *g);
/* Once all batches of a step ran: grad += second. ids: the n tokens that they had, each once; by_rows, second is zero afterwards. */
int pm_params_join(struct pm_params *p, struct pm_dev *d, const int32_t *ids, int64_t n, struct pm_err *e);
uint64_t pm_params_bytes(const struct pm_params *p);                            /* of gradients and moments */
void pm_params_free(struct pm_params *p);

/* ---- batches ---- */

/* T rows: which token, where in its document, and which rows of k/v it sees. Documents of a training row are kept apart by their bounds. */
struct pm_batch {
	int64_t T;                              /* rows of the graph; unused ones have id 0 and see nothing */
	int32_t *ids, *pos;                     /* (T) */
	int32_t *first, *last;                  /* (T): keys first .. last−1 belong to the document (or cache slot) up to this token; windows are
	                                         * applied per layer by pm_batch_fill */
	int32_t *length;                        /* (T): tokens of the whole document (frequencies may depend on it) */
	int32_t *cache_row;                     /* (T): row of the KV cache to store at; −1: none */
};

int pm_batch_new(struct pm_batch *b, int64_t T, struct pm_err *e);      /* T unused rows */
void pm_batch_clear(struct pm_batch *b);                                /* all rows unused again */
/* A whole document of n tokens in rows at .. at+n−1, causal, seeing itself alone (no cache). */
void pm_batch_document(struct pm_batch *b, int64_t at, const int32_t *ids, int64_t n);
void pm_batch_free(struct pm_batch *b);

/* ---- the forward ---- */

enum pm_mode { PM_TRAIN, PM_EVAL, PM_PREFILL, PM_DECODE };

/* Keys and values of every layer: (rows, kv_heads·head_dim) each. Rows are slots × context. */
struct pm_kv {
	struct pm_mem **k, **v;                 /* [layers] */
	enum pm_dtype type;
	int64_t slots, context;
};

struct pm_build_opts {
	enum pm_mode mode;
	int64_t T, period;                      /* rows, and rows of one sequence (training) */
	const struct pm_adapters *adapters;     /* NULL: none */
	const struct pm_kv *kv;                 /* PREFILL and DECODE */
	bool train_weights;                     /* full fine-tuning */
	bool checkpoint;
	bool thin;                              /* products as in DECODE (the graph's thin) */
	bool logits;                            /* EVAL, PREFILL, DECODE: logits of the rows named by `select` (S of them; 0: all T) */
	int64_t select;
	/* DECODE with logits of all rows (NULL: not): where the id drawn from each row's goes by the settings in `how` (pm_draw), T of i32; and what another
	 * plan wrote so, whose row i an id of −1 − i means. So a pass can be queued before the host knows what the one before it drew. */
	struct pm_mem *drawn, *before;
	bool loss;                              /* nll of every row against target */
	bool hidden;                            /* `hidden`, what the head reads, is kept: rows for pm_build_head */
	bool observe;                           /* the squares of what goes into each product (EVAL): see pm_observed */
	bool balance;                           /* `balance`: how unevenly the batch goes to experts (pm_balance_loss), kept; its gradient is seeded by dbalance (TRAIN) */
	bool routes;                            /* `route`: which experts each row went to, kept */
};

/* A product's input, as one run saw it: sums over the rows of each period of its squares, by column. Products of one input share the tensor.
 * Of a stack of E experts row p·E + e has the sums over the rows of period p that went to expert e, and there is how many those were. */
struct pm_observed {
	const struct pm_weight *weight;         /* of the product */
	struct pm_tensor *squares;              /* (periods, in), of a stack (periods·E, in), f32; kept */
	struct pm_tensor *count;                /* of a stack (E, periods), i32; kept; else NULL */
};

#define PM_MAX_ROPES 4
#define PM_MAX_WINDOWS 8                        /* different attention windows in one model */

struct pm_forward {
	struct pm_graph *graph;
	struct pm_tensor *ids, *pos, *target, *rows, *select, *how, *dnll;      /* inputs; NULL where not used */
	struct pm_tensor *hidden, *logits, *nll;                        /* results */
	struct pm_tensor *rng;                                          /* dropout counters (T, 2) */
	/* private: rope tables by rope, spans by window */
	struct pm_tensor *cs[PM_MAX_ROPES], *span[PM_MAX_WINDOWS], *kspan[PM_MAX_WINDOWS];
	int64_t window[PM_MAX_WINDOWS];
	int nwindows;
	struct pm_observed *observed;           /* in the order of the products; the head is the last, where it is a matrix of its own */
	size_t nobserved, cap_observed;
	struct pm_tensor *balance, *dbalance;   /* (1, 1), if asked for; the second an input */
	struct pm_route *route;                 /* [layers], if asked for; zeros where a layer has no experts */
	const struct pm_model *model;
	struct pm_build_opts opts;
};

int pm_build(struct pm_forward **out, const struct pm_model *m, const struct pm_build_opts *o, struct pm_err *e);
/* Writes ids, positions, rope tables, spans and cache rows of a batch into the plan's inputs. */
int pm_batch_fill(const struct pm_forward *f, struct pm_plan *p, const struct pm_batch *b, struct pm_err *e);
/* The head alone, on rows x (S, hidden size) of a graph of the caller's: logits (S, V). */
struct pm_tensor *pm_build_head(struct pm_graph *g, const struct pm_model *m, const struct pm_adapters *a, struct pm_tensor *x);
void pm_forward_free(struct pm_forward *f);

#endif
