/* peft_private.h: private to the room: what the files of adapters share. */
#ifndef PM_SPEC_PEFT_PRIVATE_H
#define PM_SPEC_PEFT_PRIVATE_H

#include "spec/load.h"
#include "spec/peft.h"

/* Values of a matrix from transformers' order of rows to a GGUF file's, or back. */
int peft_turn(const struct pm_lora_module *m, int which, float *v, bool to_gguf, struct pm_err *e);

int peft_open_gguf(struct pm_peft **out, const char *path, const struct pm_spec *s, struct pm_err *e);

#endif
