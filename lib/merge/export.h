/* export.h: a GGUF file as the model directory that transformers loads: the way back of convert.h. */
#ifndef PM_MERGE_EXPORT_H
#define PM_MERGE_EXPORT_H

#include "base/dtype.h"
#include "base/err.h"
#include "base/json.h"

/* Into DIR, which exists and is empty: config.json, generation_config.json, tokenizer.json and tokenizer_config.json with the chat template (where
 * the file has a tokenizer), then model.safetensors or its shards. Blocks are dequantised; rows are put back in their order, the 1 of norms is taken
 * away. type: PM_F32, PM_F16 or PM_BF16; coded: but experts in MXFP4 stay so, in the form in which gpt-oss is published. Stacks of experts become what the
 * family's files have. family may be NULL. One tensor is in memory at a time. */
int pm_export(const char *gguf, const char *dir, const char *share, const char *family, enum pm_dtype type, bool coded, const json_t *provenance, struct pm_err *e);

#endif
