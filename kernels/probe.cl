/* probe.cl: instruction sets beyond the compiler's target, tried once in a child process by lib/dev/probe.c, which defines PROBE_ and the
 * name of each that it wants. Inline assembly, since the compiler offers builtins only for its own target. */

/* Does the compiler itself produce AVX-512 (vectors of 64 bytes in one register)? */
static int probe_avx512(void)
{
#if defined __AVX512F__ && defined __AVX512BW__ && defined __AVX512DQ__ && defined __AVX512VL__
	return 1;
#else
	return 0;
#endif
}

#ifdef PROBE_ASM
/* vpermps: lanes of a register by the numbers in another. The compiler takes registers of 64 bytes as operands. */
static int probe_asm(void)
{
	int16 i = (int16)(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0), v;

	__asm__ volatile("vpermps %1, %2, %0" : "=v"(v) : "v"(i + 3), "v"(i));
	return all(v == 18 - i);
}
#endif

#ifdef PROBE_VNNI
/* vpdpbusd: every 32-bit lane gains the sum of four products of an unsigned and a signed byte. */
static int probe_vnni(void)
{
	int16 sum = (int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), want = sum;
	int16 a = sum * 0x01020304 + (int)0xF0000001, b = sum * 0x0703FF05 + (int)0x80FF017F;
	int i;

	for (i = 0; i < 4; i++)
		want += (a >> (int16)(8 * i) & 255) * ((b << (int16)(24 - 8 * i)) >> 24);
	__asm__ volatile("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
	return all(sum == want);
}
#endif

#ifdef PROBE_BF16
/* vdpbf16ps: every float lane gains the sum of two products of bf16 numbers. Small whole numbers: no rounding to argue about. */
static int probe_bf16(void)
{
	float16 x = (float16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), sum = x;
	uint16 a = as_uint16(x + 3.0f) >> 16 | (as_uint16(2.0f - x) & 0xffff0000u);
	uint16 b = as_uint16(x - 7.0f) >> 16 | (as_uint16(x + 1.0f) & 0xffff0000u);
	float16 want = x + (x + 3.0f) * (x - 7.0f) + (2.0f - x) * (x + 1.0f);

	__asm__ volatile("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
	return all(sum == want);
}
#endif

#ifdef PROBE_AMX
/* One tile product each of bf16 and of int8 numbers. Tiles live in registers of the thread: configured and released here. */
static int probe_amx(__global uint *room)
{
	__global uint *config = room, *a = room + 16, *b = room + 272, *c = room + 528;
	int i, j, k, good = 1;

	for (i = 0; i < 16; i++)
		config[i] = 0;
	config[0] = 1;                                  /* palette 1: tiles of 16 rows of 64 bytes */
	for (i = 0; i < 3; i++) {
		((__global ushort *)config)[8 + i] = 64;
		((__global uchar *)config)[48 + i] = 16;
	}
	for (i = 0; i < 256; i++) {
		uint x = as_uint((float)(i % 7 - 3)) >> 16, y = as_uint((float)(i % 5 - 2)) >> 16;

		a[i] = x | y << 16;
		b[i] = y | x << 16;
	}
	__asm__ volatile("ldtilecfg (%0)" : : "r"((size_t)config) : "memory");
	__asm__ volatile("tileloadd (%0,%1,1), %%tmm0" : : "r"((size_t)a), "r"((size_t)64) : "memory");
	__asm__ volatile("tileloadd (%0,%1,1), %%tmm1" : : "r"((size_t)b), "r"((size_t)64) : "memory");
	__asm__ volatile("tilezero %%tmm2" : :);
	__asm__ volatile("tdpbf16ps %%tmm1, %%tmm0, %%tmm2" : :);
	__asm__ volatile("tilestored %%tmm2, (%0,%1,1)" : : "r"((size_t)c), "r"((size_t)64) : "memory");
	for (i = 0; i < 16; i++) {
		for (j = 0; j < 16; j++) {
			float sum = 0;

			for (k = 0; k < 16; k++) {
				int p = 16 * i + k, q = 16 * k + j;

				sum += (float)((p % 7 - 3) * (q % 5 - 2) + (p % 5 - 2) * (q % 7 - 3));
			}
			good &= as_float(c[16 * i + j]) == sum;
		}
	}
	for (i = 0; i < 256; i++)
		a[i] = b[i] = 0x01FF02FEu;                      /* bytes -2, 2, -1, 1 */
	__asm__ volatile("tileloadd (%0,%1,1), %%tmm0" : : "r"((size_t)a), "r"((size_t)64) : "memory");
	__asm__ volatile("tileloadd (%0,%1,1), %%tmm1" : : "r"((size_t)b), "r"((size_t)64) : "memory");
	__asm__ volatile("tilezero %%tmm2" : :);
	__asm__ volatile("tdpbssd %%tmm1, %%tmm0, %%tmm2" : :);
	__asm__ volatile("tilestored %%tmm2, (%0,%1,1)" : : "r"((size_t)c), "r"((size_t)64) : "memory");
	__asm__ volatile("tilerelease" : :);
	for (i = 0; i < 256; i++)
		good &= c[i] == 160;                            /* 16 × (4 + 4 + 1 + 1) */
	return good;
}
#endif

#ifdef PROBE_AVX2
/* Builtins of a compiler for AVX2 and F16C: products of bytes, their sums, signs, bytes by number, halves as floats. */
static int probe_avx2(void)
{
#if defined __AVX2__ && defined __F16C__ && defined __FMA__
	typedef char chars __attribute__((vector_size(32)));
	typedef short shorts __attribute__((vector_size(32)));
	typedef short halves __attribute__((vector_size(16)));
	const int8 lane = (int8)(0, 1, 2, 3, 4, 5, 6, 7), u = lane * 0x01020304 + 0x01020300, s = lane * 0x0103FF05 + (int)0x80FF017F;
	const chars c = __builtin_astype(s, chars), zero = __builtin_astype((int8)0, chars);
	const shorts ones = __builtin_astype((int8)0x00010001, shorts);
	const int8 sum = __builtin_astype(__builtin_ia32_pmaddwd256(__builtin_ia32_pmaddubsw256(__builtin_astype(u, chars), c), ones), int8);
	const int8 back = __builtin_astype(__builtin_ia32_psignb256(c, c - c - 1), int8), first = __builtin_astype(__builtin_ia32_pshufb256(c, zero), int8);
	const float8 f = __builtin_astype(__builtin_ia32_vcvtph2ps256(__builtin_astype((ushort8)0x3e00, halves)), float8);
	int8 want = 0, minus = 0;
	int i;

	for (i = 0; i < 4; i++) {
		const int8 v = (s << (int8)(24 - 8 * i)) >> 24;

		want += (u >> (int8)(8 * i) & 255) * v;
		minus |= (-v & 255) << (int8)(8 * i);
	}
	return all(sum == want) && all(back == minus) && all((first & 255) == (int8)((int4)(s.s0 & 255), (int4)(s.s4 & 255))) && all(f == 1.5f);
#else
	return 0;
#endif
}
#endif

/* What gives the known answer: a 1 in the place of the set. */
__kernel WG1 void probe(__global int *ok, __global uint *room)
{
#ifdef PROBE_AVX512
	ok[0] = probe_avx512();
#endif
#ifdef PROBE_ASM
	ok[1] = probe_asm();
#endif
#ifdef PROBE_VNNI
	ok[2] = probe_vnni();
#endif
#ifdef PROBE_BF16
	ok[3] = probe_bf16();
#endif
#ifdef PROBE_AMX
	ok[4] = probe_amx(room);
#endif
#ifdef PROBE_AVX2
	ok[5] = probe_avx2();
#endif
}
