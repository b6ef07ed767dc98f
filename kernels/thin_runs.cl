/* thin_runs.cl: products of few rows where a run of rows has a matrix of its own (experts): runs holds for each its matrix, its first row and how many
 * they are (struct pm_route). One matrix, bias and l lie b_step, n and l_step elements behind another. */
#define RUN_ARGS __global const int *runs, long b_step, long l_step

/* Makes run number i the product, from the arguments as all of them have them. */
#define TO_RUN(i) do { \
	if (runs) { \
		const int3 run_ = vload3(i, runs); \
		m = run_.z; \
		b_off += run_.x * b_step; \
		bias_off += (long)run_.x * n; \
		l_off += run_.x * l_step; \
		a_off += run_.y * lda; \
		c_off += run_.y * ldc; \
		h_off += run_.y * ldh; \
	} \
} while (0)
