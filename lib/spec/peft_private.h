/* peft_private.h: private to the room: what the files of adapters share. */
#ifndef PM_SPEC_PEFT_PRIVATE_H
#define PM_SPEC_PEFT_PRIVATE_H

#include "spec/load.h"
#include "spec/peft.h"

/* A copy of a text, and how many a list closed by NULL has: peft_config.c. */
char *peft_copy_text(struct pm_arena *a, const char *s, struct pm_err *e);
size_t peft_count(const char *const *list);
int peft_check_config(const struct pm_lora_config *c, struct pm_err *e);
int peft_copy_config(struct pm_lora_config *to, const struct pm_lora_config *from, struct pm_arena *a, struct pm_err *e);

/* Values of a matrix from transformers' order of rows to a GGUF file's, or back. */
int peft_turn(const struct pm_lora_module *m, int which, float *v, bool to_gguf, struct pm_err *e);

/* The values of a stack's module, as pm_lora_values gives them: peft_experts.c. */
int peft_stack_values(const struct pm_peft *p, const struct pm_lora_module *m, int which, float *out, struct pm_err *e);
/* B of the parameter that module i is (the first) part of, (rows, r·experts) as the file has it, from what `get` gives. */
int peft_stack_fuse(const struct pm_peft *p, size_t i, int (*get)(void *arg, size_t m, int which, float *out, struct pm_err *e), void *arg, float *out,
	struct pm_err *e);
/* Rows of that B: those of all modules that share it. */
int64_t peft_stack_rows(const struct pm_lora_module *m);

int peft_open_gguf(struct pm_peft **out, const char *path, const struct pm_spec *s, struct pm_err *e);

#endif
