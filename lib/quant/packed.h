/* packed.h: the quantised weights of safetensors files, as others publish them: MLX's affine groups and its float modes, bitsandbytes' NF4, FP4 and
 * int8, and the integer matrices of GPTQ, AWQ and compressed-tensors. Rows to float32; affine groups and bitsandbytes also made, the same bytes as
 * theirs. Numbers are little-endian; arithmetic is float32, in the order of the formulas.
 *
 * Files and their formats: lib/quant/published.h. */
#ifndef PM_QUANT_PACKED_H
#define PM_QUANT_PACKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/dtype.h"

/* Code i of a stream of codes of 1 to 8 bits, the first in the lowest bits. */
unsigned pm_packed_code(const uint8_t *p, size_t i, int bits);

/* Affine groups (mlx-lm, mode "affine"): value = code·scale + bias for each `group` values, n of them (whole groups). codes: n·bits/8 bytes. Scales and
 * biases (and `type`'s rounding) are f32, f16 or bf16; bits 2, 3, 4, 5, 6 or 8. Making: x finite. */
struct pm_affine {
	int bits, group;
	enum pm_dtype type;             /* of scales and biases */
};
void pm_affine_to_f32(float *out, const struct pm_affine *a, const void *codes, const void *scales, const void *biases, size_t n);
void pm_affine_from_f32(void *codes, void *scales, void *biases, const struct pm_affine *a, const float *x, size_t n);

/* Groups of floats with a scale of 8 bits (mlx-lm's modes mxfp4, mxfp8 and nvfp4; gpt-oss' blocks): E2M1 (4 bits, the first value in the low half) or E4M3 codes,
 * scales E8M0 (2^(e − 127)) or E4M3. */
struct pm_float_groups {
	bool wide;                      /* codes of 8 bits: E4M3 */
	bool powers;                    /* scales are E8M0 */
	int group;                      /* 16 or 32 */
	float divide, multiply;         /* each scale by this first; 0: not */
};
void pm_float_groups_to_f32(float *out, const struct pm_float_groups *f, const uint8_t *codes, const uint8_t *scales, size_t n);

float pm_e4m3_to_f32(uint8_t b);        /* with its NaN, 0x7f and 0xff */
float pm_e8m0_to_f32(uint8_t b);

/* bitsandbytes' four bits: the first of two values in the HIGH half; value = map[code]·absmax of its block of `block` values. n values from value
 * `first` (even) of a tensor. */
void pm_bnb4_to_f32(float *out, const uint8_t *codes, const float map[16], const float *absmax, int block, size_t first, size_t n);
/* Code i. */
unsigned pm_bnb4_code(const uint8_t *codes, size_t i);
/* n values, whole blocks but for the last one; codes (n + 1)/2 bytes, absmax one for each block. */
void pm_bnb4_from_f32(uint8_t *codes, float *absmax, const float map[16], int block, const float *x, size_t n);

extern const float pm_bnb_nf4[16], pm_bnb_fp4[16];

/* Double quantisation: absmax as bytes: absmax = map[byte]·nested[i / block] + offset. */
void pm_bnb_nested_to_f32(float *absmax, const uint8_t *bytes, const float map[256], const float *nested, int block, float offset, size_t n);
/* Makes bytes, nested and *offset of n absmax; and the map that goes with them. */
void pm_bnb_nested_from_f32(uint8_t *bytes, float *nested, float *offset, const float map[256], int block, const float *absmax, size_t n);
void pm_bnb_map(float map[256]);

/* Matrices of integers with scales of groups along the input: W[o, i] = scale[g][o]·(q − z), out × in values. */
enum pm_int_layout {
	PM_INT_GPTQ,            /* qweight (in·bits/32, out), codes along the input; qzeros (groups, out·bits/32) along the output */
	PM_INT_AWQ,             /* qweight (in, out/8): eight outputs a word, in the order 0 2 4 6 1 3 5 7; qzeros (groups, out/8) */
	PM_INT_COMPRESSED,      /* weight_packed (out, in·bits/32); zeros packed along the output; scales (out, groups) */
};

struct pm_int_matrix {
	enum pm_int_layout layout;
	int bits;                       /* 2, 3, 4 or 8 */
	size_t out, in, groups;
	size_t group;                   /* values of one, where there is no g_idx */
	const uint8_t *codes, *zeros;   /* zeros NULL: symmetric, z = 2^(bits − 1) */
	const uint8_t *scales;
	enum pm_dtype scale_type;       /* f16, bf16 or f32 */
	const uint8_t *g_idx;           /* GPTQ: i32 for each input, each below groups; or NULL */
	bool minus_one;                 /* GPTQ's first format: zeros hold z − 1 */
};
/* Row o: m->in values. */
void pm_int_matrix_row(float *out, const struct pm_int_matrix *m, size_t o);

#endif
