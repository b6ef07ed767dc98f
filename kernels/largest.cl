/* largest.cl: the largest of a row's values, and where it is. kernels/sample.cl, kernels/chain_cpu.cl */

/* value: INFINITY where one of them is not finite; id: the lowest of equal ones, 0x7fffffff where there are none. */
struct top {
	float value;
	int id;
};

/* Of the blocks of 16 that item i of n has. (Nothing but what is not finite has 0 times it unequal to 0.) */
inline struct top top_of(__global const float *x, long v, long i, long n)
{
	struct top t = {0.0f, 0x7fffffff};
	float16 best = -MAXFLOAT, bad = 0.0f;
	int16 at = 0x7fffffff;
	float rest = 0.0f;
	long c;

	for (c = i * 16; c + 16 <= v; c += n * 16) {
		const float16 a = vload16(0, x + c);
		const int16 more = a > best;

		bad += 0.0f * a;
		best = select(best, a, more);
		at = select(at, (int16)(int)c + (int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), more);
	}
	t.value = max16(best);
	for (; c < v && c < v / 16 * 16 + 16; c++) {
		rest += 0.0f * x[c];
		if (x[c] > t.value) {
			t.value = x[c];
			t.id = (int)c;
		}
	}
	at = select((int16)0x7fffffff, at, best == (float16)t.value);
	at.lo = min(at.lo, at.hi);
	at.lo.lo = min(at.lo.lo, at.lo.hi);
	t.id = min(t.id, min(min(at.s0, at.s1), min(at.s2, at.s3)));
	if (t.value == -MAXFLOAT)
		t.id = (int)(i * 16 < v ? i * 16 : 0x7fffffff);
	if (!(sum16(bad) + rest == 0.0f))
		t.value = INFINITY;
	return t;
}
