/* linear.cl: what the linear layer does beside products. lib/op/linear.c */

/* y (rows, cols) = x where it is kept, over 1 - p, else 0; with acc added to y. A column is kept where its number in [0, 1),
 * that of Philox(seed = the row's 64-bit counter, stream, column), is at least p. Work-item (4 columns, row). */
__kernel void linear_drop(__global float *y, long y_off, long y_ld, __global const float *x, long x_off, long x_ld,
	__global const uint *rng, long rng_off, long rng_ld, long cols, float p, uint stream, int acc)
{
	const long c = (long)get_global_id(0) * 4, r = get_global_id(1);
	const ulong seed = (ulong)rng[rng_off + r * rng_ld] | (ulong)rng[rng_off + r * rng_ld + 1] << 32;
	float u[4];

	if (c >= cols)
		return;
	vstore4(rng_uniform4(seed, stream, (ulong)(c / 4)), 0, u);
	y += y_off + r * y_ld;
	x += x_off + r * x_ld;
	for (long i = c; i < min(cols, c + 4); i++) {
		float v = u[i - c] >= p ? x[i] / (1 - p) : 0;
		y[i] = acc ? y[i] + v : v;
	}
}

#if PM_CPU
/* Lanes of a and b by turns, from the lower halves, and from the upper. */
#define LOW(a, b) shuffle2(a, b, (uint16)(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23))
#define HIGH(a, b) shuffle2(a, b, (uint16)(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31))

/* Words 4 index .. 4 index + 63 of a stream: rng_block for 16 blocks at once. */
inline void rng_blocks(uint16 *w, ulong seed, uint stream, uint index)
{
	uint k0 = (uint)seed, k1 = (uint)(seed >> 32);
	uint16 x = index + (uint16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), y = 0, z = stream, u = 0;

	for (int i = 0; i < 10; i++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
		const uint16 p = mul_hi((uint16)0xD2511F53u, x), q = mul_hi((uint16)0xCD9E8D57u, z);
		const uint16 a = q ^ y ^ k0, b = 0xCD9E8D57u * z, c = p ^ u ^ k1, d = 0xD2511F53u * x;
		x = a;
		y = b;
		z = c;
		u = d;
	}
	w[0] = LOW(LOW(x, z), LOW(y, u));
	w[1] = HIGH(LOW(x, z), LOW(y, u));
	w[2] = LOW(HIGH(x, z), HIGH(y, u));
	w[3] = HIGH(HIGH(x, z), HIGH(y, u));
}

/* The same for CPUs. Work-item (row). */
__kernel WG1 void linear_drop_cpu(__global float *y, long y_off, long y_ld, __global const float *x, long x_off, long x_ld,
	__global const uint *rng, long rng_off, long rng_ld, long cols, float p, uint stream, int acc)
{
	const long r = get_global_id(0);
	const ulong seed = (ulong)rng[rng_off + r * rng_ld] | (ulong)rng[rng_off + r * rng_ld + 1] << 32;

	y += y_off + r * y_ld;
	x += x_off + r * x_ld;
	for (long c = 0; c < cols; c += 64) {
		uint16 w[4];
		rng_blocks(w, seed, stream, (uint)(c / 4));
		for (int j = 0; j < 4; j++, y += 16, x += 16) {
			const int n = (int)min(cols - c - j * 16, 16L);
			const int16 keep = convert_float16(w[j] >> 8) * 0x1p-24f >= p;
			if (n == 16) {
				const float16 v = select((float16)0, vload16(0, x) / (1 - p), keep);
				vstore16(acc ? vload16(0, y) + v : v, 0, y);
				continue;
			}
			int one[16];
			vstore16(keep, 0, one);
			for (int i = 0; i < n; i++) {
				const float v = one[i] ? x[i] / (1 - p) : 0;
				y[i] = acc ? y[i] + v : v;
			}
		}
	}
}
#endif

#define BIAS_ARGS __global float *db, long db_off, __global const float *dy, long dy_off, long dy_ld, long rows, long cols, long period, float scale, int acc

/* Column c of db = or (acc) += scale * the sum of the rows of dy: summed in each period, periods added one after the other. */
inline void bias_grad_column(__global float *db, __global const float *dy, long dy_ld, long rows, long period, float scale, int acc)
{
	float all = acc ? *db : 0;

	for (long from = 0; from < rows; from += period) {
		float s = 0;
		for (long r = from; r < min(rows, from + period); r++)
			s += dy[r * dy_ld];
		all += s * scale;
	}
	*db = all;
}

/* Work-item (column). */
__kernel void linear_bias_grad(BIAS_ARGS)
{
	const long c = get_global_id(0);

	if (c < cols)
		bias_grad_column(db + db_off + c, dy + dy_off + c, dy_ld, rows, period, scale, acc);
}

#if PM_CPU
#define BIAS_VECTORS 8

/* The same sums, BIAS_VECTORS vectors of columns side by side. Work-item (these columns). */
__kernel WG1 void linear_bias_grad_cpu(BIAS_ARGS)
{
	long c = (long)get_global_id(0) * 16 * BIAS_VECTORS;
	const long end = min(cols, c + 16 * BIAS_VECTORS);

	db += db_off;
	dy += dy_off;
	if (c + 16 * BIAS_VECTORS <= end) {
		float16 all[BIAS_VECTORS];
		for (int i = 0; i < BIAS_VECTORS; i++)
			all[i] = acc ? vload16(0, db + c + 16 * i) : (float16)0;
		for (long from = 0; from < rows; from += period) {
			const long to = min(rows, from + period);
			__global const float *p = dy + from * dy_ld + c;
			float16 s[BIAS_VECTORS];
			for (int i = 0; i < BIAS_VECTORS; i++)
				s[i] = 0;
			for (long r = from; r < to; r++, p += dy_ld) {
				_Pragma("unroll") for (int i = 0; i < BIAS_VECTORS; i++)
					s[i] += vload16(0, p + 16 * i);
			}
			for (int i = 0; i < BIAS_VECTORS; i++)
				all[i] += s[i] * scale;
		}
		for (int i = 0; i < BIAS_VECTORS; i++)
			vstore16(all[i], 0, db + c + 16 * i);
		return;
	}
	for (; c < end; c++)
		bias_grad_column(db + c, dy + c, dy_ld, rows, period, scale, acc);
}
#endif
