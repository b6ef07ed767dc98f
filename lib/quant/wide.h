/* wide.h: sixteen sub-blocks side by side. A search over one sub-block has sums in a fixed order, so nothing in it can run in parallel; sixteen of them can, a lane
 * each, and every lane does exactly what one alone would. A pm_v is sixteen floats; arrays of them are indexed by the value's place in its sub-block.
 *
 * The bodies are inlined into one function for each kind of processor (PM_WIDE), chosen at run time. Contraction is off for all of them, so all give the same bits. */
#ifndef PM_QUANT_WIDE_H
#define PM_QUANT_WIDE_H

#include <string.h>

#define PM_LANES 16

typedef float pm_v __attribute__((vector_size(4 * PM_LANES), may_alias));
typedef int pm_vi __attribute__((vector_size(4 * PM_LANES), may_alias));
typedef signed char pm_vb __attribute__((vector_size(PM_LANES), may_alias));
typedef float pm_v8 __attribute__((vector_size(32), may_alias));
typedef float pm_u8 __attribute__((vector_size(32), may_alias, aligned(4)));     /* of memory, wherever it lies */
typedef double pm_d8 __attribute__((vector_size(64), may_alias));

#define PM_BODY static inline __attribute__((always_inline)) void

/* a where m is set, else b. */
#define PM_SEL(m, a, b) ((pm_v)(((m) & (pm_vi)(a)) | (~(m) & (pm_vi)(b))))
/* To the nearest, ties to even, for |x| < 2^22. */
#define PM_RND(x) (((x) + 12582912.0f) - 12582912.0f)

/* lo and hi also for a NaN. */
PM_BODY pm_clamp(pm_v *x, float lo, float hi)
{
	pm_v y = *x;
	int i;

	for (i = 0; i < PM_LANES; i++)
		y[i] = y[i] > lo ? y[i] : lo;
	for (i = 0; i < PM_LANES; i++)
		y[i] = y[i] < hi ? y[i] : hi;
	*x = y;
}

/* *x = the lesser of *x and *y. */
PM_BODY pm_vmin(pm_v *x, const pm_v *y)
{
	pm_v a = *x, b = *y;
	int i;

	for (i = 0; i < PM_LANES; i++)
		a[i] = b[i] < a[i] ? b[i] : a[i];
	*x = a;
}

PM_BODY pm_vabs(pm_v *x)
{
	*x = (pm_v)((pm_vi)*x & 0x7fffffff);
}

/* The largest lane. */
PM_BODY pm_vmost(float *most, const pm_v *x)
{
	pm_v8 a = __builtin_shufflevector(*x, *x, 0, 1, 2, 3, 4, 5, 6, 7), b = __builtin_shufflevector(*x, *x, 8, 9, 10, 11, 12, 13, 14, 15);
	int i;

	for (i = 0; i < 8; i++)
		a[i] = a[i] > b[i] ? a[i] : b[i];
	b = __builtin_shufflevector(a, a, 4, 5, 6, 7, 0, 1, 2, 3);
	for (i = 0; i < 8; i++)
		a[i] = a[i] > b[i] ? a[i] : b[i];
	b = __builtin_shufflevector(a, a, 2, 3, 0, 1, 6, 7, 4, 5);
	for (i = 0; i < 8; i++)
		a[i] = a[i] > b[i] ? a[i] : b[i];
	*most = a[0] > a[1] ? a[0] : a[1];
}

static inline int pm_any(const pm_vi *m)
{
	int i, any = 0;

	for (i = 0; i < PM_LANES; i++)
		any |= (*m)[i];
	return any;
}

/* n values of each of `have` sub-blocks of a row; lanes beyond are zero. */
static inline void pm_wide_load(pm_v *x, const float *row, int n, int have)
{
	float *to = (float *)x;
	int i, j;

	if (have < PM_LANES)
		memset(x, 0, (size_t)n * sizeof *x);
	for (i = 0; i < have; i++)
		for (j = 0; j < n; j++)
			to[j * PM_LANES + i] = row[i * n + j];
}

/* Defines NAME(args) as the body NAME_body(args) compiled for each kind of processor; linkage: static or nothing. */
#if defined(__x86_64__) && defined(__GNUC__)
#define PM_WIDE(linkage, name, params, args) \
	__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))) static void name##_avx512 params { name##_body args; } \
	__attribute__((target("avx2"))) static void name##_avx2 params { name##_body args; } \
	static void name##_plain params { name##_body args; } \
	linkage void name params \
	{ \
		if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && \
			__builtin_cpu_supports("avx512vl")) \
			name##_avx512 args; \
		else if (__builtin_cpu_supports("avx2")) \
			name##_avx2 args; \
		else \
			name##_plain args; \
	}
#else
#define PM_WIDE(linkage, name, params, args) linkage void name params { name##_body args; }
#endif

#endif
