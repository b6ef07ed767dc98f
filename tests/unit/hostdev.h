/* hostdev.h: a device of plain host memory, in place of lib/dev, for the one program that includes it: memory can run short, and
 * where things were placed can be seen. It knows the kernels of kernels/fill.cl, and has
 * operations of its own. */
#ifndef PM_TESTS_HOSTDEV_H
#define PM_TESTS_HOSTDEV_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/graph.h"

struct pm_mem {
	struct pm_mem *whole;
	size_t from, size;
	unsigned char *bytes;
};

struct pm_kernel { bool zero; };

static struct pm_dev_info info = {.memory = 1 << 30, .largest = 1 << 28, .align = 64};
#define DEV ((struct pm_dev *)(void *)&info)    /* never looked into */
static uint64_t held;
static int parts;

const struct pm_dev_info *pm_dev_info(const struct pm_dev *d) { (void)d; return &info; }
uint64_t pm_dev_held(const struct pm_dev *d) { (void)d; return held; }
int pm_dev_flush(struct pm_dev *d, struct pm_err *e) { (void)d; (void)e; return 0; }
size_t pm_mem_size(const struct pm_mem *m) { return m->size; }
size_t pm_mem_address(const struct pm_mem *m) { (void)m; return 0; }
bool pm_dev_profiled(const struct pm_dev *d) { (void)d; return false; }
int pm_dev_share(const struct pm_kernel *k, const struct pm_share *s, size_t n, struct pm_err *e) { (void)k; (void)s; (void)n; (void)e; return 0; }
int pm_dev_finish(struct pm_dev *d, struct pm_err *e) { (void)d; (void)e; return 0; }
uint64_t pm_dev_mark(struct pm_dev *d) { (void)d; return 0; }
bool pm_dev_done(const struct pm_dev *d, uint64_t mark) { (void)d; (void)mark; return true; }
bool pm_dev_reference(const struct pm_dev *d) { (void)d; return true; }
int pm_tune(const struct pm_dev *d, const char *operation, const char *key, int fallback) { (void)d; (void)operation; (void)key; return fallback; }

int pm_mem_new(struct pm_mem **out, struct pm_dev *d, size_t bytes, struct pm_err *e)
{
	(void)d;
	if (bytes > info.largest || held + bytes > info.memory)
		return pm_fail(e, PM_NODEVICE, "no memory");
	*out = calloc(1, sizeof **out);
	(*out)->size = bytes;
	(*out)->bytes = malloc(bytes);
	memset((*out)->bytes, 0xff, bytes);
	held += bytes;
	return 0;
}

int pm_mem_zeros(struct pm_mem **out, struct pm_dev *d, size_t bytes, struct pm_err *e)
{
	if (pm_mem_new(out, d, bytes, e) < 0)
		return -1;
	memset((*out)->bytes, 0, bytes);
	return 0;
}

int pm_mem_part(struct pm_mem **out, struct pm_mem *whole, size_t from, size_t bytes, struct pm_err *e)
{
	if (from % info.align || from + bytes > whole->size)
		return pm_fail(e, PM_SOFTWARE, "part at %zu", from);
	*out = calloc(1, sizeof **out);
	**out = (struct pm_mem){whole, from, bytes, whole->bytes + from};
	parts++;
	return 0;
}

void pm_mem_free(struct pm_mem *m)
{
	if (m && m->whole) {
		parts--;
	} else if (m) {
		held -= m->size;
		free(m->bytes);
	}
	free(m);
}

int pm_mem_write(struct pm_mem *m, size_t at, const void *p, size_t n, struct pm_err *e)
{
	if (at + n > m->size)
		return pm_fail(e, PM_SOFTWARE, "write past the end");
	memcpy(m->bytes + at, p, n);
	return 0;
}

int pm_mem_write_idle(struct pm_mem *m, size_t at, const void *p, size_t n, struct pm_err *e) { return pm_mem_write(m, at, p, n, e); }

int pm_mem_read(struct pm_mem *m, size_t at, void *p, size_t n, struct pm_err *e)
{
	if (at + n > m->size)
		return pm_fail(e, PM_SOFTWARE, "read past the end");
	memcpy(p, m->bytes + at, n);
	return 0;
}

int pm_mem_zero(struct pm_mem *m, size_t at, size_t n, struct pm_err *e)
{
	if (at + n > m->size)
		return pm_fail(e, PM_SOFTWARE, "zero past the end");
	memset(m->bytes + at, 0, n);
	return 0;
}

static float *at(struct pm_mem *m, int64_t i)
{
	if ((size_t)(i + 1) * 4 > m->size) {
		printf("Bail out! element %lld of %zu bytes\n", (long long)i, m->size);
		exit(1);
	}
	return (float *)(void *)m->bytes + i;
}

const struct pm_kernel *pm_kernel(struct pm_dev *d, const char *op, const char *name, const char *defines, struct pm_err *e)
{
	static const struct pm_kernel zero = {true}, copy = {false};

	(void)d;
	(void)op;
	(void)defines;
	(void)e;
	return strcmp(name, "fill_zero") ? &copy : &zero;
}

int pm_launch(const struct pm_kernel *k, struct pm_launch l, size_t n, const struct pm_arg *a, struct pm_err *e)
{
	int64_t cols = k->zero ? a[3].u.l : a[6].u.l, r, c;

	(void)e;
	(void)n;
	for (r = 0; r < (int64_t)l.global[1]; r++)
		for (c = 0; c < cols; c++) {
			float *y = at(a[0].u.mem, a[1].u.l + r * a[2].u.l + c);

			*y = k->zero ? 0 : *at(a[3].u.mem, a[4].u.l + r * a[5].u.l + c) + (a[7].u.i ? *y : 0);
		}
	return 0;
}


/* ---- operations: a·x + b·z and x·z, of views; and one that fails ---- */

struct attr { float a, b; };

static float get(const struct pm_tensor *t, int64_t r, int64_t c) { return *at(t->mem, t->off + r * t->ld + c); }

static int run_elements(const struct pm_node *n, bool product)
{
	const struct pm_tensor *y = n->out[0];
	const struct attr *k = n->attr;
	int64_t r, c;

	for (r = 0; r < y->rows; r++)
		for (c = 0; c < y->cols; c++) {
			float x = get(n->in[0], r, c), z = n->in[1] ? get(n->in[1], r, c) : 0, *to = at(y->mem, y->off + r * y->ld + c);
			float v = product ? x * z : k->a * x + (n->in[1] ? k->b * z : 0);

			*to = n->acc[0] ? *to + v : v;
		}
	if (n->scratch)
		memset(n->scratch->bytes, 0xff, n->scratch->size);
	return 0;
}

static int run_sum(const struct pm_node *n, struct pm_err *e) { (void)e; return run_elements(n, false); }
static int run_product(const struct pm_node *n, struct pm_err *e) { (void)e; return run_elements(n, true); }
static int run_bad(const struct pm_node *n, struct pm_err *e) { (void)n; return pm_fail(e, PM_SOFTWARE, "broken"); }
static size_t scratch(const struct pm_node *n) { return (size_t)n->out[0]->rows * 100; }
static int grad_sum(struct pm_graph *g, struct pm_node *n, struct pm_err *e);
static int grad_product(struct pm_graph *g, struct pm_node *n, struct pm_err *e);

static const struct pm_op op_sum = {"sum", NULL, run_sum, grad_sum}, op_product = {"product", scratch, run_product, grad_product},
	op_bad = {"bad", NULL, run_bad, NULL};

static void contribute(struct pm_graph *g, const struct pm_op *op, struct pm_tensor *to, struct pm_tensor *a, struct pm_tensor *b, float scale)
{
	struct pm_tensor *in[2] = {a, b}, *d;
	struct pm_node *n;
	bool acc;

	d = pm_grad_want(g, to, &acc);
	n = d ? pm_node(g, op, 2, in, 1, &d, &(struct attr){scale, 0}, sizeof(struct attr)) : NULL;
	if (n)
		n->acc[0] = acc;
}

static int grad_sum(struct pm_graph *g, struct pm_node *n, struct pm_err *e)
{
	const struct attr *k = n->attr;
	struct pm_tensor *dy = pm_grad_have(n->out[0]);

	(void)e;
	contribute(g, &op_sum, n->in[0], dy, NULL, k->a);
	if (n->in[1])
		contribute(g, &op_sum, n->in[1], dy, NULL, k->b);
	return 0;
}

static int grad_product(struct pm_graph *g, struct pm_node *n, struct pm_err *e)
{
	struct pm_tensor *dy = pm_grad_have(n->out[0]);

	(void)e;
	contribute(g, &op_product, n->in[0], dy, n->in[1], 1);
	contribute(g, &op_product, n->in[1], dy, n->in[0], 1);
	return 0;
}

static struct pm_tensor *apply(struct pm_graph *g, const struct pm_op *op, struct pm_tensor *x, struct pm_tensor *z, float a, float b, const char *name)
{
	struct pm_tensor *in[2] = {x, z}, *y;

	if (!x)
		return NULL;
	y = pm_tensor(g, PM_T_TEMP, PM_F32, x->rows, x->cols, name);
	return pm_node(g, op, 2, in, 1, &y, &(struct attr){a, b}, sizeof(struct attr)) ? y : NULL;
}

#endif
