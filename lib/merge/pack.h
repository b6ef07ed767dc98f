/* pack.h: a model directory with its weights quantised as other software publishes them in safetensors files: MLX's affine groups, bitsandbytes' NF4 and FP4. What
 * lib/quant/published.h reads back. */
#ifndef PM_MERGE_PACK_H
#define PM_MERGE_PACK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum pm_pack_kind { PM_PACK_MLX, PM_PACK_NF4, PM_PACK_FP4 };

struct pm_pack_opts {
	enum pm_pack_kind kind;
	int bits;                       /* MLX: 2, 3, 4, 5, 6 or 8 */
	int group;                      /* values that share a scale: MLX 32, 64 or 128; bitsandbytes a power of two, 64 to 4096 */
	bool twice;                     /* bitsandbytes: the scales quantised, too */
	const char *share, *family;     /* as pm_spec_load takes them */
};

struct pm_pack_sums {
	uint64_t bytes_from, bytes, values, kept;       /* kept: matrices whose columns are no whole groups */
};

/* Reads `from`, writes into the empty directory `to`: tensors, config.json, and copies of what lies beside. MLX takes linear layers, the head and the
 * embedding, bitsandbytes linear layers but the head; anything else stays as it is. A model that is quantised already is refused (64). */
int pm_pack_model(struct pm_pack_sums *sums, const char *from, const char *to, const struct pm_pack_opts *o, struct pm_err *e);

#endif
