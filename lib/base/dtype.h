/* dtype.h: the number formats that tensors are stored in, one table for all. */
#ifndef PM_BASE_DTYPE_H
#define PM_BASE_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pm_dtype {
	PM_F32, PM_F16, PM_BF16, PM_F64, PM_I8, PM_U8, PM_I16, PM_U16, PM_I32, PM_U32, PM_I64, PM_U64, PM_BOOL,
	PM_F8_E4M3, PM_F8_E5M2,
	/* Blocks of ggml (layouts: lib/quant/quant.h). A row is a whole number of blocks. */
	PM_Q4_0, PM_Q4_1, PM_Q5_0, PM_Q5_1, PM_Q8_0, PM_Q8_1,
	PM_Q2_K, PM_Q3_K, PM_Q4_K, PM_Q5_K, PM_Q6_K, PM_Q8_K,
	PM_IQ1_S, PM_IQ1_M, PM_IQ2_XXS, PM_IQ2_XS, PM_IQ2_S, PM_IQ3_XXS, PM_IQ3_S, PM_IQ4_NL, PM_IQ4_XS,
	PM_TQ1_0, PM_TQ2_0, PM_MXFP4, PM_NVFP4, PM_Q1_0, PM_Q2_0,
	/* Blocks of our own, in no file (lib/quant/own.c): bitsandbytes' code books, and 8 bits with scale and minimum. */
	PM_NF4, PM_FP4, PM_AFFINE8,
	PM_DTYPES,
	PM_DTYPE_NONE = -1,
};

struct pm_dtype_info {
	const char *name;               /* ours, and a kernel's -DTYPE_<NAME>: "f32" */
	const char *safetensors;        /* "F32", or NULL where that format has no such type */
	int gguf;                       /* ggml's number, −1 where it has none */
	int block, bytes;               /* elements and bytes of one block; 1 and the element's size for plain types */
};

const struct pm_dtype_info *pm_dtype(enum pm_dtype t);
enum pm_dtype pm_dtype_by_name(const char *name);               /* PM_DTYPE_NONE where unknown */
enum pm_dtype pm_dtype_by_safetensors(const char *name);
enum pm_dtype pm_dtype_by_gguf(int64_t number);
/* Whether values lie one by one (f32, i8, …), not in blocks. */
bool pm_dtype_plain(enum pm_dtype t);

/* Bytes of n elements (n a multiple of the block); SIZE_MAX if that overflows. */
size_t pm_dtype_bytes(enum pm_dtype t, uint64_t n);

/* Single values, exact or rounded to nearest even. */
float pm_f16_to_f32(uint16_t h);
uint16_t pm_f32_to_f16(float f);
float pm_bf16_to_f32(uint16_t h);
uint16_t pm_f32_to_bf16(float f);       /* a NaN stays one */

/* n values of a plain float type (f32, f16, bf16, f64) to float32 and back. */
void pm_to_f32(float *out, const void *in, enum pm_dtype from, size_t n);
void pm_from_f32(void *out, enum pm_dtype to, const float *in, size_t n);

#endif
