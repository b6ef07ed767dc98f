/* thin_bits.c: products of one row with weights in blocks give the same bits by vpdpbusd and by what stands for it on CPUs with AVX-512 or AVX2 alone, woven or
 * not: each in a process of its own, since the compiler's target is one for all of a process. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rng.h"
#include "cli/tool.h"
#include "op/op.h"
#include "quant/quant.h"
#include "tap.h"

enum { K = 1024, N = 50, LARGE = 300 };

static const enum pm_dtype types[] = {PM_Q8_0, PM_Q4_0, PM_Q4_1, PM_Q5_0, PM_Q5_1, PM_IQ4_NL, PM_IQ4_XS, PM_MXFP4, PM_AFFINE8, PM_Q2_K, PM_Q3_K, PM_Q4_K, PM_Q5_K,
	PM_Q6_K};

enum { TYPES = sizeof types / sizeof *types };

struct answer {
	int vnni, avx2, avx512;
	float y[TYPES][N], woven[TYPES][N];
};

static struct pm_err err;

static void must(int ok)
{
	if (!ok) {
		printf("Bail out! %s\n", err.text);
		_exit(1);
	}
}

static void product(struct pm_dev *d, enum pm_dtype type, bool woven, float *y)
{
	const size_t bytes = pm_dtype_bytes(type, N * K);
	float *w = malloc(N * K * sizeof *w), x[K];
	unsigned char *q = malloc(bytes);
	struct pm_graph *g = NULL;
	struct pm_plan *p = NULL;
	struct pm_mem *mem[3] = {NULL, NULL, NULL};
	struct pm_tensor *t, *matrix;
	int i;

	must(w && q);
	for (i = 0; i < N * K; i++)
		w[i] = pm_rng_normal(7, 1, (uint64_t)i);
	for (i = 0; i < K; i++)
		x[i] = pm_rng_normal(7, 2, (uint64_t)i) * (i == LARGE ? 1000 : 1);
	must(pm_quant_from_f32(q, type, w, N, K, NULL, &err) == 0);
	if (type == PM_Q8_0)
		memset(q + 2, 0x80, 32);        /* -128, which quantisers do not write, but files may hold */
	must(pm_mem_new(&mem[0], d, bytes, &err) == 0 && pm_mem_write(mem[0], 0, q, bytes, &err) == 0);
	must(pm_mem_new(&mem[1], d, sizeof x, &err) == 0 && pm_mem_write(mem[1], 0, x, sizeof x, &err) == 0);
	must(pm_graph_new(&g, d, &err) == 0);
	g->thin = g->int8 = true;
	matrix = pm_tensor_of(g, PM_T_STATE, type, N, K, mem[0], "w");
	if (woven) {
		must(pm_mem_new(&mem[2], d, pm_woven_bytes(type, N, K), &err) == 0 && pm_weave(mem[2], mem[0], type, N, K, &err) == 1);
		matrix->woven = mem[2];
	}
	t = pm_linear(g, pm_tensor_of(g, PM_T_STATE, PM_F32, 1, K, mem[1], "x"), matrix, NULL, NULL);
	must(pm_graph_ok(g, &err) == 0);
	t->keep = true;
	must(pm_plan_new(&p, g, &err) == 0 && pm_plan_alloc(p, NULL, &err) == 0 && pm_plan_run(p, &err) == 0 &&
		pm_plan_read(p, t, y, &err) == 0);
	pm_plan_free(p);
	pm_graph_free(g);
	pm_mem_free(mem[0]);
	pm_mem_free(mem[1]);
	pm_mem_free(mem[2]);
	free(w);
	free(q);
}

/* In a child. */
static void compute(const char *mask, int out)
{
	struct pm_dev_opts o = {.select = "cpu", .kernels = "kernels", .share = "share", .cache = getenv("PM_CACHE"), .mask = mask};
	struct answer a = {0};
	struct pm_dev *d;
	int i;

	pm_env_opencl(mask);
	o.target = getenv("POCL_KERNELLIB_NAME");
	must(pm_dev_open(&d, &o, &err) == 0);
	a.vnni = pm_dev_info(d)->vnni;
	a.avx2 = pm_dev_info(d)->avx2;
	a.avx512 = pm_dev_info(d)->avx512;
	for (i = 0; i < TYPES && a.avx2; i++) {
		product(d, types[i], false, a.y[i]);
		product(d, types[i], true, a.woven[i]);
	}
	pm_dev_close(d);
	_exit(write(out, &a, sizeof a) == sizeof a ? 0 : 1);
}

static struct answer ask(const char *mask)
{
	struct answer a = {0};
	size_t n = 0;
	ssize_t r;
	int fd[2], status = -1;
	pid_t pid;

	fflush(stdout);
	if (pipe(fd) < 0 || (pid = fork()) < 0)
		exit(1);
	if (pid == 0) {
		close(fd[0]);
		compute(mask, fd[1]);
	}
	close(fd[1]);
	while (n < sizeof a && (r = read(fd[0], (char *)&a + n, sizeof a - n)) > 0)
		n += (size_t)r;
	close(fd[0]);
	check(waitpid(pid, &status, 0) == pid && status == 0 && n == sizeof a, "computed with%s%s", mask ? "out " : " all", mask ? mask : "");
	return a;
}

static void agree(const struct answer *a, const struct answer *b, const char *what)
{
	int i, j, same = 1;

	for (i = 0; i < TYPES; i++)
		for (j = 0; j < N; j++)
			same &= a->y[i][j] == a->y[i][j];
	check(same, "%s: numbers", what);
	for (i = 0; i < TYPES; i++)
		check(!memcmp(a->y[i], b->y[i], sizeof a->y[i]) && !memcmp(a->woven[i], b->y[i], sizeof a->woven[i]), "%s: the same bits for %s, woven or not", what,
			pm_dtype(types[i])->name);
}

int main(void)
{
	const struct answer all = ask(NULL), avx512 = ask("bf16,vnni"), avx2 = ask("avx512");

	if (all.vnni && avx512.avx512)
		agree(&avx512, &all, "AVX-512 without VNNI");
	else
		skip("no AVX-512 and VNNI to compare");
	if (all.avx2 && avx2.avx2 && !avx2.avx512)
		agree(&avx2, &all, "AVX2");
	else
		skip("no AVX2");
	return done();
}
