/* peft.h: LoRA adapters: as PEFT writes them (adapter_config.json and adapter_model.safetensors), and as GGUF files. No device. */
#ifndef PM_SPEC_PEFT_H
#define PM_SPEC_PEFT_H

#include "spec/spec.h"

struct pm_pattern { const char *regex; double value; };

/* adapter_config.json, or the options of pm-train. */
struct pm_lora_config {
	int64_t r;
	double alpha, dropout;
	bool rslora;
	const char *const *targets;             /* list of suffixes or full names, NULL-terminated; or */
	const char *target_regex;               /* one regular expression over the whole name; or both NULL: all-linear */
	const char *const *exclude, *exclude_regex;
	const int64_t *layers;                  /* layers_to_transform */
	size_t nlayers;
	const struct pm_pattern *rank_pattern, *alpha_pattern;
	size_t nrank, nalpha;
	const char *const *save;                /* modules_to_save, NULL-terminated */
	const char *const *parameters;          /* target_parameters: ends of the paths of stacks (pm_tensor_spec.fused), NULL-terminated */
	const struct pm_tensor_spec *const *stacks;     /* stacks that a GGUF adapter has; NULL-terminated */
	json_t *json;                           /* as read; NULL when made from options */
	struct pm_arena arena;
};

enum pm_adapt { PM_ADAPT_LORA, PM_ADAPT_SAVE };

/* One adapted module. Of a stack of experts, a pair of matrices for each: A (experts·r, in), B (experts·out, r). In PEFT's files these are either tensors of
 * their own, named after the modules that transformers 4 had; or one pair for all, of a parameter that transformers 5 has (target_parameters): A
 * (experts·r, in), B (rows, r·experts), column j·experts + e; gate and up, where they are one parameter, share A. */
struct pm_lora_module {
	const struct pm_tensor_spec *target;    /* its weight */
	enum pm_adapt kind;
	int64_t r;
	double scale;                           /* alpha/r, or alpha/sqrt(r) with rslora */
	int64_t in, out;                        /* of the linear, or of one expert's; an embedding: in = vocabulary, out = hidden */
	int64_t experts;                        /* of a stack; else 0 */
	bool fused;                             /* … of one parameter in the file, in which this is */
	int part;                               /* all of it (0), the gate's rows (1) or up's (2) */
	size_t shares;                          /* … and this module has the A that is its, too; itself where none does */
	const char *name_a, *name_b;            /* in adapter_model.safetensors (SAVE: name_a is the weight); "{}" in them: the expert's number */
	const char *own_b;                      /* a name for its own B: name_b, but where gate and up are one there */
	const struct pm_view *a, *b;            /* bytes as they lie in the file, where opened from one (pm_lora_values reads them); else NULL */
	const struct pm_view **as, **bs;        /* those of each expert, where they lie apart; a and b are the first then */
};

struct pm_peft {
	struct pm_lora_config config;
	struct pm_lora_module *module;
	size_t nmodules;
	struct pm_safetensors *file;
	struct pm_gguf *gguf;                   /* instead, where it is a GGUF file */
	bool to_gguf, to_hf;                    /* the model's rows are in another order than the file's */
	bool model_gguf;                        /* the model is a GGUF file */
	struct pm_arena arena;
};

/* Matches a configuration against a model: which modules, which ranks. A target that matches nothing is an error. */
int pm_peft_match(struct pm_peft **out, const struct pm_lora_config *c, const struct pm_spec *s, struct pm_err *e);

/* Opens an adapter for a model: a directory, or a GGUF file whose general.type is "adapter". Matches, and holds names and shapes of the file against it (`….base_layer.weight` beside
 * embeddings and heads is accepted and ignored). Kinds of adapters or options that are not plain LoRA are errors naming the key. */
int pm_peft_open(struct pm_peft **out, const char *dir, const struct pm_spec *s, struct pm_err *e);

/* The values of module m in float32, `which` 0: A (r, in) or a saved weight, 1: B (out, r); in the model's own order of rows, whichever
 * kind of file model and adapter are. */
int pm_lora_values(const struct pm_peft *p, size_t m, int which, float *out, struct pm_err *e);

/* Writes DIR/adapter_config.json (the keys PEFT writes; base_model_name_or_path = base) and DIR/adapter_model.safetensors; get fills the
 * float32 values of module m, `which` 0 for A or a saved weight, 1 for B. DIR exists. */
int pm_peft_write(const struct pm_peft *p, const char *dir, const char *base, const json_t *provenance,
	int (*get)(void *arg, size_t m, int which, float *out, struct pm_err *e), void *arg, struct pm_err *e);

/* The same as one GGUF file, as llama.cpp reads it: tensors NAME.lora_a and NAME.lora_b (an embedding's A as (vocabulary, r)), keys
 * adapter.lora.alpha …; its scale is alpha / r, so others (rsLoRA, alpha_pattern) are multiplied onto B. Saved modules are an error:
 * such files have none. name: general.name. */
int pm_peft_write_gguf(const struct pm_peft *p, const struct pm_spec *s, const char *path, const char *name,
	int (*get)(void *arg, size_t m, int which, float *out, struct pm_err *e), void *arg, struct pm_err *e);

void pm_peft_free(struct pm_peft *p);

/* How many values A (which 0) or B (1) of a module has; of all experts, where it is a stack. */
int64_t pm_lora_count(const struct pm_lora_module *m, int which);

#endif
