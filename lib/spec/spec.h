/* spec.h: what a model is, in numbers and choices, and what its tensors are called: config.json through the family's jq program
 * (share/family/NAME.jq; pm-family.5 describes its input, its output and the roles). No tensors are read here and no device is known.
 * The keys of a GGUF file become a config.json first, by share/gguf/ARCHITECTURE.jq; then the names of the tensors, and how they
 * are stored, are those of GGUF files.
 *
 * The caller owns a spec; everything in it is borrowed until pm_spec_free. */
#ifndef PM_SPEC_SPEC_H
#define PM_SPEC_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "base/mem.h"
#include "io/gguf.h"
#include "io/store.h"

enum pm_norm { PM_NORM_NONE, PM_NORM_RMS, PM_NORM_RMS1 /* times 1 + w */, PM_NORM_LAYER };
enum pm_rope_type { PM_ROPE_NONE, PM_ROPE_PLAIN, PM_ROPE_LINEAR, PM_ROPE_DYNAMIC, PM_ROPE_LLAMA3, PM_ROPE_YARN, PM_ROPE_LONGROPE };

/* One set of rotary frequencies; a model has one, or two (local and global layers). */
struct pm_rope_spec {
	enum pm_rope_type type;
	double theta, factor;
	int64_t dims;                           /* columns of a head that turn */
	bool interleaved;
	double original;                        /* original_max_position_embeddings */
	double low, high;                       /* llama3 */
	double beta_fast, beta_slow;            /* yarn */
	bool truncate;
	double attention_factor;                /* cos and sin times this (yarn, longrope), worked out by the family; 1: none */
	double *short_factor, *long_factor;     /* longrope, dims/2 each */
};

struct pm_layer_spec {
	const char *block;                      /* "transformer": norm, attention, norm, feed-forward, each added to the stream;
	                                         * "parallel": both from one input, added together */
	/* attention */
	int64_t heads, kv_heads, head_dim;
	double scale, softcap;                  /* of scores; softcap 0: none */
	int64_t window;                         /* keys seen, itself included; 0: all */
	int rope;                               /* index into ropes, −1: none */
	/* feed-forward */
	const char *ff;                         /* "gated" (act(gate)·up), "plain" (act(up)), or "experts": the weighted sum of some of many gated ones */
	const char *act;                        /* silu, gelu, gelu_tanh, gelu_quick, relu, …; "clamped": op.h pm_act_clamped */
	int64_t inner;                          /* of one expert, where ff is "experts" */
	double act_alpha, act_limit;            /* clamped */
	bool interleaved;                       /* of a fused gate and up, columns take turns; else the gate's come first */
	int64_t experts, chosen;                /* how many there are, and how many a token goes to */
	bool route_late, route_renormalise;     /* op.h struct pm_route_opts */
	double route_scale;
	double residual;                        /* each branch times this before it is added; 1 */
};

/* A tensor that the model has. */
struct pm_tensor_spec {
	const char *role;                       /* stack.layer.role[.expert]: "text.embed", "text.3.attn.q", "text.3.attn.q.bias", "text.head" */
	const char *file;                       /* its name in the model's files (where a store was given: the one of its names found there) */
	const char *hf;                         /* its name in transformers' files; the same, but where the model is a GGUF file */
	const char *const *alias;               /* other names it goes by; NULL-terminated, or NULL */
	const char *const *copies;              /* names under which a file may hold the same values again (a tied head); likewise */
	const char *gguf;                       /* its name in GGUF files, and what such a file does to it: */
	int64_t permute;                        /* rows of so many heads in another order (pm_gguf_row); 0: as they are */
	bool plus;                              /* 1 is added */
	const char *module;                     /* dotted path of its module in transformers' memory (adapters), without ".weight" */
	const char *use;                        /* "linear", "embed", "norm", "bias", "router" (a linear that all-linear leaves alone), "other": what
	                                         * adapters may target */
	int nd;
	int64_t dim[4];                         /* as in the file; of a stack of experts (experts, …) even where they lie apart */
	int64_t experts;                        /* a stack of so many, role "text.3.experts.gate", …; 0: none */
	bool apart;                             /* … each of which the file has under a name of its own: "{}" in the names is its number (pm_spec_name) */
	const char *fused;                      /* … the dotted path of the parameter that has them all in transformers' memory, adapters of
	                                         * target_parameters go by it: both gate and up, the gate's rows first, or in turns where `turns` is set */
	bool turns;                             /* of such a parameter, and of the tensor `hf` where hf_turn is set: rows of gate and up alternate */
	int hf_turn;                            /* the tensor `hf` has gate and up in one: this is 1: its rows 0, 2, 4 …, 2: 1, 3, 5 …; 0: all of it */
	const char *gguf_up;                    /* gate and up in one, in turns: in GGUF files `gguf` has rows 0, 2, 4 …, this one 1, 3, 5 …; else NULL */
	bool transposed;                        /* a linear stored (in, out) */
	bool hf_transposed;                     /* … in transformers' files */
	bool optional;                          /* may be absent */
};

struct pm_spec {
	const char *family, *model_type;
	const char *arch;                       /* general.architecture in GGUF files; NULL: none there has this family */
	bool from_gguf;                         /* the model is a GGUF file: names, shapes and row orders are those of GGUF */
	int64_t layers, hidden, vocab, max_positions;
	bool learned_positions;                 /* max_positions is a hard limit */
	enum pm_norm norm;
	double norm_eps;
	double embed_scale;                     /* of embeddings; 1 */
	double logit_scale, logit_softcap;      /* logits = cap·tanh(scale·z / cap); 1 and 0 */
	bool tied;                              /* the head is the embedding */
	bool partial;                           /* the model has more modules than are described (the text part of one that also sees) */
	struct pm_layer_spec *layer;            /* `layers` of them */
	struct pm_rope_spec *ropes;
	int nropes;
	struct pm_tensor_spec *tensor;
	size_t ntensors;
	const char *const *ignore;              /* regular expressions (PCRE2, whole name) of file names that are no parameters of what is
	                                         * built (masks, other towers); NULL-terminated */
	json_t *config;                         /* the config.json it came from, or as made of a GGUF file's keys */
	json_t *generation;                     /* of a GGUF file: what its generation_config.json would say; else NULL */
	json_t *json;                           /* the program's output */
	struct pm_arena arena;
	const struct pm_tensor_spec **sorted;   /* private: by role */
	struct pm_spec_programs *programs;           /* private, while it is loaded */
};

/* Of a GGUF file (a store that is one) the keys are read, and share/gguf/NAME.jq is picked by general.architecture. Else reads
 * DIR/config.json (or the file given; beside a .safetensors file or an index, its config.json), picks share/family/NAME.jq by
 * model_type (share/family/models.json is the table), or takes `family` (a path, from --family). `store` (may be NULL) gives the
 * program the names and shapes of the tensors there are. An unknown model_type, activation, rope type … is an error (65) naming key
 * and value. */
int pm_spec_load(struct pm_spec **out, const char *dir, const char *share, const char *family, const struct pm_store *store, struct pm_err *e);
/* The same; with `cache` (a directory) what the programs made is kept there, for the next time. */
int pm_spec_load_kept(struct pm_spec **out, const char *dir, const char *share, const char *family, const struct pm_store *store,
	const char *cache, struct pm_err *e);
void pm_spec_free(struct pm_spec *s);

/* The same for who loads many: programs are compiled once and kept, for one thread at a time; who changes their files makes a new list. */
struct pm_spec_programs;
int pm_spec_programs_new(struct pm_spec_programs **out, struct pm_err *e);
void pm_spec_programs_free(struct pm_spec_programs *p);
int pm_spec_load_by(struct pm_spec **out, struct pm_spec_programs *programs, const char *dir, const char *share, const char *family,
	const struct pm_store *store, struct pm_err *e);

const struct pm_tensor_spec *pm_spec_find(const struct pm_spec *s, const char *role);           /* NULL: the model has none */
const struct pm_tensor_spec *pm_spec_role(const struct pm_spec *s, struct pm_err *e, const char *fmt, ...) PM_PRINTF(3, 4);

/* Holds a store against the spec: every tensor that is wanted is there, once, with its shape and a type that can be computed with
 * (f32, f16, bf16; in a GGUF file every type of its blocks, too); every tensor that is there is wanted, ignored or an equal copy. The first three of each kind that are not are
 * named, with how many there are (65). */
int pm_spec_check(const struct pm_spec *s, const struct pm_store *store, struct pm_err *e);
/* A role's bytes in the store, by any of its names; NULL where it is optional and absent, or a stack that lies apart. */
const struct pm_view *pm_spec_view(const struct pm_spec *s, const struct pm_tensor_spec *t, const struct pm_store *store);
/* The same of a stack that lies apart: the expert's matrix (t->nd − 1 dimensions). */
const struct pm_view *pm_spec_part(const struct pm_spec *s, const struct pm_tensor_spec *t, int64_t expert, const struct pm_store *store);

#define PM_SPEC_NAME 640        /* room for a name that pm_spec_name makes of one that a spec has */
/* A name with its "{}" replaced by an expert's number; as it is where it has none. */
char *pm_spec_name(char out[PM_SPEC_NAME], const char *name, int64_t expert);

/* Whose each tensor of a store is, in the store's order: NULL, it is none that was described (or a copy); the expert of a stack that lies
 * apart, else −1. The caller frees the list. */
struct pm_owner { const struct pm_tensor_spec *tensor; int64_t expert; };
int pm_spec_owners(struct pm_owner **out, const struct pm_spec *s, const struct pm_store *store, struct pm_err *e);

/* How many numbers the model has (a tensor once, however often it is used), how many of them a token meets (of stacks those of the experts
 * that it goes to), and how many a token leaves in the caches of keys and values of all layers. */
uint64_t pm_spec_parameters(const struct pm_spec *s);
uint64_t pm_spec_active(const struct pm_spec *s);
uint64_t pm_spec_cached(const struct pm_spec *s);

/* Row r of a tensor of `rows` rows in transformers' order: where a GGUF file with t->permute has it. With d rows a head, row i < d/2
 * lies at 2i and row d/2 + i at 2i + 1, so that the two that turn together are neighbours. Rows in place, `width` bytes each: into a
 * GGUF file's order (to_gguf) or back; nothing is done where t->permute is 0. */
int64_t pm_gguf_row(const struct pm_tensor_spec *t, int64_t rows, int64_t r);
int pm_gguf_permute(const struct pm_tensor_spec *t, void *data, int64_t rows, size_t width, bool to_gguf, struct pm_err *e);

/* A tensor's shape in transformers' files, whichever files the spec is of, and in GGUF files (both have t->nd dimensions, outermost first; of a
 * stack that of its matrices may be turned; a tensor with gguf_up counts as one, one with hf_turn as its half). */
void pm_hf_shape(int64_t dim[4], const struct pm_tensor_spec *t);
void pm_gguf_shape(int64_t dim[4], const struct pm_tensor_spec *t);
/* All values of a tensor from the way transformers' files have them to a GGUF file's way (transposed, rows permuted, 1 added), or back. */
int pm_gguf_turn(const struct pm_tensor_spec *t, float *v, bool to_gguf, struct pm_err *e);

/* Whether a file holds a model (no adapter, no matrix of importance) whose architecture has a program. */
bool pm_gguf_known(const struct pm_gguf *g, const char *share);

/* What the program of a GGUF file reads: its keys but long lists, the shapes of its tensors, the values of short vectors. The caller decrefs. */
int pm_gguf_describe(json_t **out, const struct pm_store *store, struct pm_err *e);
/* What an architecture's program makes of one of its two inputs (pm-family.5). The caller decrefs. */
int pm_gguf_program(json_t **out, const char *arch, const char *share, const json_t *in, struct pm_err *e);

/* Angles of one position: inv[i], i < dims/2, of rope r for a document of `length` tokens (dynamic and longrope depend on it), and the
 * factor of cos and sin. Formulas: lib/spec/rope.c. */
int pm_rope_frequencies(const struct pm_rope_spec *r, const struct pm_spec *s, int64_t length, double *inv, double *factor, struct pm_err *e);

#endif
