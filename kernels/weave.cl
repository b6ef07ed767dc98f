//! use quant thin_bytes woven
/* weave.cl: makes weights in blocks woven (woven.cl). */
#ifndef TYPE_B
#define TYPE_B q8_0
#endif

#if HAVE_BYTES
/* B (n, k) as stored. Work-item (16 rows). */
__kernel WG1 void weave(__global uchar *out, block_t b, int n, int k)
{
	const int n0 = (int)get_global_id(0) * 16;
	block_t row[16];

	for (int k0 = 0; k0 < k; k0 += CAT(block_, TYPE_B)) {
		for (int j = 0; j < 16; j++)
			row[j] = AT(TYPE_B, b, min(n0 + j, n - 1) * (long)k + k0);
		CAT(weave_, TYPE_B)((size_t)AT(TYPE_B, out, n0 * (long)k) + 16 * (size_t)AT(TYPE_B, (size_t)0, k0), row);
	}
}
#endif
