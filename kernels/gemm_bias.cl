/* gemm_bias.cl: element i of a bias, whose type is known at run time only: a number of lib/base/dtype.h (0 f32, 1 f16, 2 bf16). */
inline float gemm_bias(__global const uchar *bias, int type, long i)
{
	if (type == 1)
		return vload_half(i, (__global const half *)bias);
	if (type == 2)
		return LOAD(bf16, (__global const ushort *)bias, i);
	return ((__global const float *)bias)[i];
}
