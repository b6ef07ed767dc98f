/* published.h: models whose weights were quantised in safetensors files, as they are published, opened like others: MLX (affine groups, mxfp4, mxfp8, nvfp4),
 * bitsandbytes (NF4, FP4, int8), GPTQ, AWQ, compressed-tensors (pack-quantized, float-quantized, nvfp4-pack-quantized), FP8 with scales of blocks, ModelOpt's
 * NVFP4, gpt-oss's MXFP4. The several tensors of such a weight become one, NAME.weight (out, in), of floats (or blocks) in memory; of gpt-oss's NAME_blocks
 * and NAME_scales that is NAME_blocks (expert, out, in). All other tensors stay as they are.
 *
 * config.json says how a model was quantised ("quantization", "quantization_config"); parts that are missing, or have another type or shape than that
 * says, are errors (65) naming the tensor. Formulas: lib/quant/packed.h. */
#ifndef PM_QUANT_PUBLISHED_H
#define PM_QUANT_PUBLISHED_H

#include "io/store.h"

/* pm_store_open, and the above where there is a config.json that says so; weights of a GGUF file with a factor of their own (scaled.h) become floats, too. type: of the floats, PM_F32 or PM_F16; blocks: but where blocks of a type of ours
 * have the same values (hold.h) those are what it becomes. */
int pm_published_open(struct pm_store **out, const char *path, enum pm_dtype type, bool blocks, struct pm_err *e);

#endif
