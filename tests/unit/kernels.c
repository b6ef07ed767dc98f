/* kernels/common.cl: typed memory, sums, random numbers and functions, against the host's. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/dtype.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "dev/dev.h"
#include "tap.h"

static const char source[] =
	"#ifndef TYPE_X\n#define TYPE_X f32\n#endif\n#ifndef F_1\n#define F_1 exp_f\n#define F_16 exp_16\n#endif\n"
	/* y is float, z of the type: loads and stores of every width, at offsets that fit no vector */
	"__kernel void c_types(__global float *y, __global STORAGE(TYPE_X) *z, __global const STORAGE(TYPE_X) *x)\n"
	"{\n"
	"	y[0] = LOAD(TYPE_X, x, 0);\n"
	"	vstore4(LOAD4(TYPE_X, x, 1), 0, y + 1);\n"
	"	vstore8(LOAD8(TYPE_X, x, 5), 0, y + 5);\n"
	"	vstore16(LOAD16(TYPE_X, x, 13), 0, y + 13);\n"
	"	STORE(TYPE_X, z, 0, y[0]);\n"
	"	STORE4(TYPE_X, z, 1, vload4(0, y + 1));\n"
	"	STORE8(TYPE_X, z, 5, vload8(0, y + 5));\n"
	"	STORE16(TYPE_X, z, 13, vload16(0, y + 13));\n"
	"}\n"
	"__kernel void c_round(__global STORAGE(TYPE_X) *one, __global STORAGE(TYPE_X) *many, __global const float *x, int n)\n"
	"{\n"
	"	for (int i = 0; i < n; i += 16) {\n"
	"		for (int j = 0; j < 16; j++)\n"
	"			STORE(TYPE_X, one, i + j, x[i + j]);\n"
	"		STORE16(TYPE_X, many, i, vload16(0, x + i));\n"
	"	}\n"
	"}\n"
	"__kernel void c_sums(__global float *y, __global const float *x)\n"
	"{\n"
	"	y[0] = sum16(vload16(0, x));\n	y[1] = sum8(vload8(0, x));\n	y[2] = sum4(vload4(0, x));\n"
	"	y[3] = max16(vload16(0, x));\n	y[4] = max8(vload8(0, x));\n	y[5] = max4(vload4(0, x));\n"
	"}\n"
	"__kernel void c_group(__global float *y, __global const float *x, __local float *room)\n"
	"{\n"
	"	int i = get_global_id(0);\n"
	"	float s = group_sum(x[i], room), m = group_max(x[i], room);\n"
	"	y[2 * i] = s;\n	y[2 * i + 1] = m;\n"
	"}\n"
	"__kernel void c_random(__global uint *w, __global float *u, long seed, int stream, long first)\n"
	"{\n"
	"	for (int i = 0; i < 64; i++) {\n"
	"		vstore4(rng_block(seed, stream, first + i), i, w);\n"
	"		vstore4(rng_uniform4(seed, stream, first + i), i, u);\n"
	"		if (i % 3 == 0)\n"
	"			for (int j = 0; j < 4; j++)\n"
	"				u[4 * i + j] = rng_uniform(seed, stream, 4 * (first + i) + j);\n"
	"	}\n"
	"}\n"
	"__kernel void c_function(__global float *one, __global float *many, __global const float *x, int n)\n"
	"{\n"
	"	for (int i = 0; i < n; i += 16) {\n"
	"		for (int j = 0; j < 16; j++)\n"
	"			one[i + j] = F_1(x[i + j]);\n"
	"		vstore16(F_16(vload16(0, x + i)), 0, many + i);\n"
	"	}\n"
	"}\n"
	"__kernel void c_fma(__global float *y, float a, float b, float c)\n"
	"{\n"
	"	y[0] = fma(a, b, c);\n"
	"}\n";

static struct pm_err e;
static struct pm_dev *dev;

static void *fresh(size_t bytes)
{
	void *p = pm_alloc(bytes, 1, &e);

	if (!p)
		exit(1);
	return p;
}

/* Memory with a copy of host bytes in it; p NULL: bytes of 0xff (NaN). */
static struct pm_mem *mem_of(const void *p, size_t bytes)
{
	struct pm_mem *m;
	void *blank = NULL;

	if (!p)
		p = blank = memset(fresh(bytes), 0xff, bytes);
	if (pm_mem_new(&m, dev, bytes, &e) < 0 || pm_mem_write(m, 0, p, bytes, &e) < 0) {
		printf("Bail out! %s\n", e.text);
		exit(1);
	}
	free(blank);
	return m;
}

static void take_back(struct pm_mem *m, void *p)
{
	if (pm_mem_read(m, 0, p, pm_mem_size(m), &e) < 0)
		check(0, "%s", e.text);
	pm_mem_free(m);
}

static void launched(int r)
{
	if (r < 0)
		check(0, "%s", e.text);
}

static const struct pm_kernel *kernel(const char *name, const char *defines)
{
	const struct pm_kernel *k = pm_kernel(dev, "c", name, defines, &e);

	if (!k) {
		printf("Bail out! %s\n", e.text);
		exit(1);
	}
	return k;
}

static const struct pm_launch once = {.global = {1, 1, 1}, .local = {1, 1, 1}};

static void test_types(enum pm_dtype type)
{
	size_t size = pm_dtype_bytes(type, 1);
	float values[29], y[29], back[29];
	char defines[32], raw[29 * 4], z[29 * 4];
	struct pm_mem *x, *my, *mz;
	int i;

	snprintf(defines, sizeof defines, "-DTYPE_X=%s", pm_dtype(type)->name);
	for (i = 0; i < 29; i++)
		values[i] = (i % 2 ? -1.0f : 1.0f) * (float)i * 0.375f;         /* exact in every type */
	pm_from_f32(raw, type, values, 29);
	x = mem_of(raw, 29 * size);
	my = mem_of(NULL, sizeof y);
	mz = mem_of(NULL, 29 * size);
	launched(PM_LAUNCH(kernel("c_types", defines), once, &e, PM_MEM(my), PM_MEM(mz), PM_MEM(x)));
	take_back(my, y);
	take_back(mz, z);
	pm_to_f32(back, z, type, 29);
	check(!memcmp(y, values, sizeof y), "%s is loaded in every width", pm_dtype(type)->name);
	check(!memcmp(back, values, sizeof back), "and stored");
	pm_mem_free(x);
}

/* Stores of numbers of all sizes, ties, what is too large, infinities and NaN. */
static void test_rounding(enum pm_dtype type)
{
	enum { N = 1 << 16 };
	float *x = fresh(N * sizeof *x);
	uint16_t *want = fresh(N * 2), *one = fresh(N * 2), *many = fresh(N * 2);
	struct pm_mem *mx, *m1, *m16;
	char defines[32];
	int i, wrong1 = 0, wrong16 = 0;

	for (i = 0; i < N; i++) {
		uint32_t bits = pm_rng_u32(1, 2, (uint64_t)i);

		if (i % 4 == 1)
			bits = (bits & 0xffff0000u) | 0x8000u;                  /* a tie of bf16 */
		if (i % 4 == 2)
			bits = (bits & 0x8fffe000u) | 0x38001000u;              /* a tie of f16 */
		memcpy(&x[i], &bits, 4);
	}
	x[0] = INFINITY;
	x[1] = -INFINITY;
	x[2] = NAN;
	x[3] = -0.0f;
	pm_from_f32(want, type, x, N);
	snprintf(defines, sizeof defines, "-DTYPE_X=%s", pm_dtype(type)->name);
	mx = mem_of(x, N * sizeof *x);
	m1 = mem_of(NULL, N * 2);
	m16 = mem_of(NULL, N * 2);
	launched(PM_LAUNCH(kernel("c_round", defines), once, &e, PM_MEM(m1), PM_MEM(m16), PM_MEM(mx), PM_I32(N)));
	take_back(m1, one);
	take_back(m16, many);
	pm_mem_free(mx);
	for (i = 0; i < N; i++) {
		bool nan = isnan(x[i]);
		float a, b;

		pm_to_f32(&a, &one[i], type, 1);
		pm_to_f32(&b, &many[i], type, 1);
		wrong1 += nan ? !isnan(a) : one[i] != want[i];
		wrong16 += nan ? !isnan(b) : many[i] != want[i];
	}
	check(!wrong1 && !wrong16, "%s is rounded as on the host (%d, %d wrong)", pm_dtype(type)->name, wrong1, wrong16);
	free(x);
	free(want);
	free(one);
	free(many);
}

static float tree(const float *x, int n)
{
	float y[64];
	int i;

	memcpy(y, x, (size_t)n * sizeof *y);
	for (; n > 1; n /= 2) {
		for (i = 0; i < n / 2; i++)
			y[i] += y[i + n / 2];
	}
	return y[0];
}

static void test_sums(void)
{
	float x[64], y[128], most = -INFINITY;
	struct pm_mem *mx, *my;
	bool good = true;
	int i;

	for (i = 0; i < 64; i++) {
		x[i] = pm_rng_normal(3, 4, (uint64_t)i);
		most = fmaxf(most, x[i]);
	}
	mx = mem_of(x, sizeof x);
	my = mem_of(NULL, 6 * sizeof *y);
	launched(PM_LAUNCH(kernel("c_sums", NULL), once, &e, PM_MEM(my), PM_MEM(mx)));
	take_back(my, y);
	check(y[0] == tree(x, 16) && y[1] == tree(x, 8) && y[2] == tree(x, 4), "elements are added by halves");
	for (i = 0; i < 16; i++)
		good &= y[3] >= x[i] && (i >= 8 || y[4] >= x[i]) && (i >= 4 || y[5] >= x[i]);
	check(good, "the largest elements");
	my = mem_of(NULL, sizeof y);
	launched(PM_LAUNCH(kernel("c_group", NULL), ((struct pm_launch){.global = {64}, .local = {64}}), &e, PM_MEM(my), PM_MEM(mx), PM_LOCAL(256)));
	take_back(my, y);
	for (good = true, i = 0; i < 64; i++)
		good &= y[2 * i] == tree(x, 64) && y[2 * i + 1] == most;
	check(good, "a work-group's sum and largest, for all of its items");
	pm_mem_free(mx);
}

static void test_random(void)
{
	const uint64_t seed = 0x123456789abcdef0, first = 0x1fffffff0;
	uint32_t w[256], want[4];
	struct pm_mem *mw = mem_of(NULL, sizeof w), *mu = mem_of(NULL, 1024);
	float u[256];
	bool words = true, numbers = true;
	int i, j;

	launched(PM_LAUNCH(kernel("c_random", NULL), once, &e, PM_MEM(mw), PM_MEM(mu), PM_I64(seed), PM_I32(77), PM_I64(first)));
	take_back(mw, w);
	take_back(mu, u);
	for (i = 0; i < 64; i++) {
		pm_rng_block(want, seed, 77, first + (uint64_t)i);
		words &= !memcmp(want, w + 4 * i, sizeof want);
		for (j = 0; j < 4; j++)
			numbers &= u[4 * i + j] == pm_rng_uniform(seed, 77, 4 * (first + (uint64_t)i) + (uint64_t)j);
	}
	check(words, "random words are the host's");
	check(numbers, "and numbers in [0, 1)");
}

static double sigmoid(double x)
{
	return 1 / (1 + exp(-x));
}

static void test_function(const char *name, double (*f)(double), float from, float to, double limit)
{
	enum { N = 1 << 18 };
	float *x = fresh(N * sizeof *x), *one = fresh(N * sizeof *x), *many = fresh(N * sizeof *x), at = 0;
	struct pm_mem *mx, *m1, *m16;
	double worst = 0;
	char defines[64];
	int i;

	for (i = 0; i < N; i++)
		x[i] = from + (to - from) * (float)i / N;
	x[0] = INFINITY;
	x[1] = -INFINITY;
	x[2] = NAN;
	x[3] = -0.0f;
	x[4] = 3.4e38f;
	x[5] = -3.4e38f;
	x[6] = 1e-39f;
	snprintf(defines, sizeof defines, "-DF_1=%s_f -DF_16=%s_16", name, name);
	mx = mem_of(x, N * sizeof *x);
	m1 = mem_of(NULL, N * sizeof *x);
	m16 = mem_of(NULL, N * sizeof *x);
	launched(PM_LAUNCH(kernel("c_function", defines), once, &e, PM_MEM(m1), PM_MEM(m16), PM_MEM(mx), PM_I32(N)));
	take_back(m1, one);
	take_back(m16, many);
	pm_mem_free(mx);
	one[2] = many[2] = isnan(one[2]) && isnan(many[2]) ? 0 : NAN;          /* bits of a NaN are free */
	check(!isnan(one[2]), "%s: NaN stays NaN", name);
	check(!memcmp(one, many, N * sizeof *x), "%s: the same bits alone and in a vector", name);
	for (i = 0; i < N; i++) {
		double want = i == 2 ? 0 : f((double)x[i]), unit, err;

		if (fabs(want) < 0x1p-125 || fabs(want) > 3.4028235e38) {       /* rounded to nothing, or over */
			err = fabs(want) > 1 ? (isinf(one[i]) ? 0 : INFINITY) : fabs((double)one[i]) <= 0x1p-125 ? 0 : INFINITY;
		} else {
			unit = ldexp(1, ilogbf((float)want) - 23);
			err = fabs((double)one[i] - want) / unit;
		}
		if (!(err <= worst)) {
			worst = err;
			at = x[i];
		}
	}
	check(worst <= limit, "%s from %g to %g: error at most %g units in the last place (%.3f at %g)", name, (double)from, (double)to, limit, worst, (double)at);
	free(x);
	free(one);
	free(many);
}

int main(void)
{
	const char *from = getenv("PM_KERNELS");
	const char *tmp = getenv("TMPDIR");
	char top[300], path[4096], to[320];
	const float tiny = 0x1p-12f;
	struct pm_mem *m;
	float y;
	FILE *f;

	snprintf(top, sizeof top, "%.250s/pm-kernels-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(top)) {
		printf("Bail out! no directory\n");
		return 1;
	}
	snprintf(path, sizeof path, "%s/common.cl", from ? from : "kernels");
	snprintf(to, sizeof to, "%s/common.cl", top);
	if (pm_copy_file(path, to, &e) < 0) {
		printf("Bail out! %s\n", e.text);
		return 1;
	}
	snprintf(to, sizeof to, "%s/c.cl", top);
	f = fopen(to, "w");
	if (!f || fputs(source, f) < 0 || fclose(f) ||
	    pm_dev_open(&dev, &(struct pm_dev_opts){.kernels = top, .cache = getenv("PM_CACHE"), .select = getenv("PM_DEVICE"), .reference = true}, &e) < 0) {
		printf("Bail out! %s\n", e.text);
		return 1;
	}
	test_types(PM_F32);
	test_types(PM_F16);
	test_types(PM_BF16);
	test_rounding(PM_F16);
	test_rounding(PM_BF16);
	test_sums();
	test_random();
	test_function("exp", exp, -110, 95, 0.99);
	test_function("exp", exp, -1, 1, 0.99);
	test_function("sigmoid", sigmoid, -95, 95, 2.5);
	test_function("sigmoid", sigmoid, -3, 3, 2.5);
	test_function("tanh", tanh, -11, 11, 1.4);
	test_function("tanh", tanh, -1, 1, 1.4);
	test_function("erf", erf, -5, 5, 1.2);
	test_function("erf", erf, -1.5f, 1.5f, 1.2);
	m = mem_of(NULL, sizeof y);
	launched(PM_LAUNCH(kernel("c_fma", NULL), once, &e, PM_MEM(m), PM_F32(1 + tiny), PM_F32(1 - tiny), PM_F32(-1)));
	take_back(m, &y);
	check(y == -0x1p-24f, "fma rounds once");
	pm_dev_close(dev);
	pm_remove_tree(top, &e);
	return done();
}
