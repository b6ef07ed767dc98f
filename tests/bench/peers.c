/* peers.c: what others reach on this machine in the same run, where they are installed: the f32 product of OpenBLAS (Debian's
 * libopenblas0-pthread). A peer that is not there is said to be missing. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

typedef void sgemm(int order, int ta, int tb, int m, int n, int k, float alpha, const float *a, int lda, const float *b, int ldb, float beta,
	float *c, int ldc);

struct product {
	sgemm *f;
	float *a, *b, *c;
	int m, n, k;
};

static int run(void *arg, struct pm_err *e)
{
	const struct product *p = arg;

	(void)e;
	p->f(101, 111, 112, p->m, p->n, p->k, 1, p->a, p->k, p->b, p->k, 0, p->c, p->n);        /* row-major, C = A·Bᵀ */
	return 0;
}

BENCH(30, peers)
{
	struct product p = {.m = 512, .n = 2048, .k = 2048};
	void *lib = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL), *f = lib ? dlsym(lib, "cblas_sgemm") : NULL;
	size_t na = (size_t)p.m * (size_t)p.k, nb = (size_t)p.n * (size_t)p.k, nc = (size_t)p.m * (size_t)p.n, i;

	if (!f) {
		printf("%-44s is not installed (libopenblas0-pthread)\n", "peer: OpenBLAS");
		return;
	}
	*(void **)&p.f = f;
	p.a = malloc(na * sizeof (float));
	p.b = malloc(nb * sizeof (float));
	p.c = malloc(nc * sizeof (float));
	if (p.a && p.b && p.c) {
		for (i = 0; i < na; i++)
			p.a[i] = (float)(i % 1024) / 1024;
		for (i = 0; i < nb; i++)
			p.b[i] = (float)(i % 1000) / 1000;
		bench_row(b, "peer: OpenBLAS sgemm 512x2048x2048", bench_time(b, run, &p), 2.0 * 512 * 2048 * 2048, "GFLOP/s", "f32");
	}
	free(p.a);
	free(p.b);
	free(p.c);
	dlclose(lib);
}
