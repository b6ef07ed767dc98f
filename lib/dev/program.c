/* program.c: from kernel files to kernels: composing, building, and the table of what was built. */
#include "dev/private.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"

/* What a cached binary depends on beside the source; raise the number when the composition or the cache's format changes. */
#define FORMAT "pm kernels 2"
#define ROOM (4 << 20)                          /* bytes that a compilation may need on disk */

static int read_kernel_file(struct pm_dev *d, const char *name, struct pm_str *text, struct pm_err *e)
{
	struct pm_str path = {0};
	int r;

	r = pm_str_printf(&path, e, "%s/%s.cl", d->kernels, name);
	if (r == 0)
		r = pm_read_file(text, path.data, e);
	pm_str_free(&path);
	if (r < 0 && e->status == PM_NOINPUT)
		e->status = PM_CONFIG;
	return r;
}

/* Whether a line begins a kernel: __kernel, or a macro that stands for it, WORD_KERNEL. */
static bool begins_kernel(const char *line)
{
	size_t n = strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");

	return !strncmp(line, "__kernel", 8) || (n > 7 && line[n] == ' ' && !strncmp(line + n - 7, "_KERNEL", 7));
}

/* Whether the kernel that begins there is called so. */
static bool is_called(const char *line, const char *kernel)
{
	const char *p = strstr(line, "void ");

	return p && !strncmp(p + 5, kernel, strlen(kernel)) && p[5 + strlen(kernel)] == '(';
}

/* One line, with ENTER behind its first brace. */
static int put_entered(struct pm_str *out, const char *line, size_t n, size_t brace, struct pm_err *e)
{
	return pm_str_put(out, line, brace + 1, e) < 0 || pm_str_puts(out, " ENTER ", e) < 0 ? -1 : pm_str_put(out, line + brace + 1, n - brace - 1, e);
}

/* The text with every kernel but one left out, and ENTER (kernels/common.cl) where that one's body begins; lines keep their numbers. A kernel goes to the
 * first line that begins with "}", unless it is one line. */
static int put_file(struct pm_str *out, const char *name, const struct pm_str *text, const char *kernel, struct pm_err *e)
{
	const char *p = text->data ? text->data : "", *end;
	bool dropped = false, entered = true, first;
	size_t n, brace;

	if (pm_str_printf(out, e, "#line 1 \"%s.cl\"\n", name) < 0)
		return -1;
	for (; *p; p = end) {
		n = strcspn(p, "\n");
		end = p + n + (p[n] == '\n');
		first = begins_kernel(p) && !is_called(p, kernel);
		dropped = dropped || first;
		if (begins_kernel(p))
			entered = dropped;
		brace = strcspn(p, "{\n");
		if (!entered && p[brace] == '{') {
			if (put_entered(out, p, (size_t)(end - p), brace, e) < 0)
				return -1;
			entered = true;
		} else if (pm_str_put(out, dropped ? "\n" : p, dropped ? 1 : (size_t)(end - p), e) < 0) {
			return -1;
		}
		if (*p == '}' || (first && end - p > 1 && end[-2] == '}'))
			dropped = false;
	}
	return pm_str_puts(out, "\n", e);
}

static int put_named(struct pm_dev *d, struct pm_str *out, const char *name, const char *kernel, struct pm_err *e)
{
	struct pm_str text = {0};
	int r = read_kernel_file(d, name, &text, e);

	if (r == 0)
		r = put_file(out, name, &text, kernel, e);
	pm_str_free(&text);
	return r;
}

/* The files that the operation's first line asks for: `//! use A B`. */
static int put_used(struct pm_dev *d, struct pm_str *out, const char *text, const char *kernel, struct pm_err *e)
{
	const char *p = text, *end = text + strcspn(text, "\n");
	char name[128];
	size_t n;

	if (strncmp(p, "//! use ", 8) != 0)
		return 0;
	for (p += 8; p < end; p += n) {
		while (p < end && isspace((unsigned char)*p))
			p++;
		for (n = 0; p + n < end && !isspace((unsigned char)p[n]); n++)
			;
		if (!n)
			break;
		if (n >= sizeof name)
			return pm_fail(e, PM_CONFIG, "'%.*s' is no kernel file's name", (int)n, p);
		memcpy(name, p, n);
		name[n] = 0;
		if (put_named(d, out, name, kernel, e) < 0)
			return -1;
	}
	return 0;
}

static int compose(struct pm_dev *d, const char *operation, const char *kernel, struct pm_str *out, struct pm_err *e)
{
	struct pm_str text = {0};
	int r = read_kernel_file(d, operation, &text, e);

	if (r == 0)
		r = put_named(d, out, "common", kernel, e);
	if (r == 0 && text.data)
		r = put_used(d, out, text.data, kernel, e);
	if (r == 0)
		r = put_file(out, operation, &text, kernel, e);
	pm_str_free(&text);
	return r;
}

/* SHA-256 over everything that the binary follows from, each part closed by a 0. */
static int make_key(struct pm_dev *d, struct pm_program *p, const char *options, const struct pm_str *source, struct pm_err *e)
{
	const char *parts[] = {FORMAT, d->info.platform, d->info.name, d->info.vendor, d->info.driver, options};
	char version[256] = "";
	struct pm_sha256 h;
	size_t i;

	clGetPlatformInfo(d->platform, CL_PLATFORM_VERSION, sizeof version - 1, version, NULL);
	if (pm_sha256_begin(&h, e) < 0)
		return -1;
	for (i = 0; i < sizeof parts / sizeof *parts; i++)
		pm_sha256_put(&h, parts[i], strlen(parts[i]) + 1);
	pm_sha256_put(&h, version, strlen(version) + 1);
	pm_sha256_put(&h, source->data, source->len);
	pm_sha256_end(&h, p->key);
	return 0;
}

/* The build log's first line that tells of an error ("rms_norm.cl:12:3: error: …"), else its first line. */
static int build_failed(struct pm_dev *d, struct pm_program *p, cl_int code, struct pm_err *e)
{
	size_t n = 0, k;
	char *log = NULL;
	const char *line, *next, *best = NULL;

	clGetProgramBuildInfo(p->cl, d->id, CL_PROGRAM_BUILD_LOG, 0, NULL, &n);
	if (n && (log = pm_alloc(n + 1, 1, e)))
		clGetProgramBuildInfo(p->cl, d->id, CL_PROGRAM_BUILD_LOG, n, log, NULL);
	for (line = log; line && *line; line = *next ? next + 1 : next) {
		next = line + strcspn(line, "\n");
		if (next == line)
			continue;
		if (!best)
			best = line;
		for (k = 0; line + k + 6 <= next; k++) {
			if (!strncmp(line + k, "error:", 6)) {
				pm_fail(e, PM_SOFTWARE, "%.*s", (int)(next - line), line);
				free(log);
				return -1;
			}
		}
	}
	if (best)
		pm_fail(e, PM_SOFTWARE, "%.*s", (int)strcspn(best, "\n"), best);
	else
		pm_cl_fail(e, code, "clBuildProgram");
	free(log);
	return -1;
}

int pm_stopped(const struct pm_dev *d, struct pm_err *e)
{
	return d->stop && d->stop() ? pm_fail(e, PM_TRYAGAIN, "stopped before it was compiled") : 0;
}

static int compile(struct pm_dev *d, struct pm_program *p, const char *options, const struct pm_str *source, struct pm_err *e)
{
	const char *text = source->data;
	cl_int code;

	if (pm_stopped(d, e) < 0)
		return -1;
	/* PoCL without room ends the process, or says that it failed */
	if (d->scratch && pm_room(d->scratch, ROOM, e) < 0)
		return pm_ctx(e, "no room to compile");
	if (d->compiling)
		d->compiling(d->arg, p->operation);
	p->cl = clCreateProgramWithSource(d->context, 1, &text, &source->len, &code);
	if (!p->cl)
		return pm_cl_fail(e, code, "clCreateProgramWithSource");
	code = clBuildProgram(p->cl, 1, &d->id, options, NULL, NULL);
	if (code != CL_SUCCESS)
		return build_failed(d, p, code, e);
	pm_cache_save(d, p);
	return 0;
}

/* here: it is compiled, where the cache does not have it; else p->cl is left NULL then. */
static int build(struct pm_dev *d, struct pm_program *p, bool here, struct pm_err *e)
{
	struct pm_str source = {0}, options = {0};
	int r;

	r = pm_str_printf(&options, e, "%s%s%s", d->options.data, *p->defines ? " " : "", p->defines);
	if (r == 0)
		r = compose(d, p->operation, p->name, &source, e);
	if (r == 0)
		r = make_key(d, p, options.data, &source, e);
	p->source = source.len;
	if (r == 0 && pm_cache_load(d, p) != 0 && here)
		r = compile(d, p, options.data, &source, e);
	pm_str_free(&source);
	pm_str_free(&options);
	return r;
}

static void free_program(struct pm_program *p)
{
	if (p->cl)
		clReleaseProgram(p->cl);
	free(p->operation);
	free(p->name);
	free(p->defines);
	free(p);
}

static struct pm_program *new_program(struct pm_dev *d, const char *operation, const char *name, const char *defines, struct pm_err *e)
{
	struct pm_program *p;
	double from;

	p = pm_alloc(1, sizeof *p, e);
	if (!p)
		return NULL;
	from = pm_profile_clock();
	p->operation = pm_strdup(operation, e);
	p->name = pm_strdup(name, e);
	p->defines = pm_strdup(defines, e);
	if (!p->operation || !p->name || !p->defines || build(d, p, !d->helper.pid, e) < 0) {
		free_program(p);
		return NULL;
	}
	pm_profile_count(d, PM_BUILDS, from, 0);
	p->next = d->programs;
	d->programs = p;
	return p;
}

/* FNV-1a; every string goes in with its closing 0. */
static uint64_t hash_text(uint64_t h, const char *s)
{
	do
		h = (h ^ (unsigned char)*s) * 0x100000001b3u;
	while (*s++);
	return h;
}

static void free_kernel(struct pm_kernel *k)
{
	if (k->cl)
		clReleaseKernel(k->cl);
	free(k->name);
	free(k);
}

/* The kernel of a program that is there. */
static int make_kernel(struct pm_kernel *k, struct pm_err *e)
{
	cl_int code;

	k->cl = clCreateKernel(k->program->cl, k->name, &code);
	if (!k->cl) {
		pm_cl_fail(e, code, "clCreateKernel %s", k->name);
		e->status = PM_SOFTWARE;
		return -1;
	}
	code = clGetKernelInfo(k->cl, CL_KERNEL_NUM_ARGS, sizeof k->args, &k->args, NULL);
	return code == CL_SUCCESS ? 0 : pm_cl_fail(e, code, "clGetKernelInfo %s", k->name);
}

int pm_kernel_make(struct pm_kernel *k, struct pm_err *e)
{
	return (!k->program->cl && build(k->dev, k->program, true, e) < 0) || make_kernel(k, e) < 0 ? -1 : 0;
}

static struct pm_kernel *new_kernel(struct pm_dev *d, const char *operation, const char *name, const char *defines, struct pm_err *e)
{
	struct pm_kernel *k = pm_alloc(1, sizeof *k, e);

	if (!k)
		return NULL;
	k->dev = d;
	k->program = new_program(d, operation, name, defines, e);
	k->name = pm_strdup(name, e);
	if (k->program && k->name && (k->program->cl ? make_kernel(k, e) == 0 : pm_helper_want(d, k) || pm_kernel_make(k, e) == 0))
		return k;
	free_kernel(k);
	pm_ctx(e, "kernels/%s.cl%s%s%s", operation, *defines ? " (" : "", defines, *defines ? ")" : "");
	return NULL;
}

const struct pm_kernel *pm_kernel(struct pm_dev *d, const char *operation, const char *name, const char *defines, struct pm_err *e)
{
	struct pm_kernel *k;
	uint64_t h;

	if (!defines)
		defines = "";
	h = hash_text(hash_text(hash_text(0xcbf29ce484222325u, operation), name), defines);
	for (k = d->table[h % PM_BUCKETS]; k; k = k->next) {
		if (k->hash == h && !strcmp(k->name, name) && !strcmp(k->program->operation, operation) && !strcmp(k->program->defines, defines))
			return k;
	}
	k = new_kernel(d, operation, name, defines, e);
	if (!k)
		return NULL;
	k->hash = h;
	k->next = d->table[h % PM_BUCKETS];
	d->table[h % PM_BUCKETS] = k;
	return k;
}

void pm_programs_free(struct pm_dev *d)
{
	struct pm_program *p;
	size_t b;

	for (b = 0; b < PM_BUCKETS; b++) {
		while (d->table[b]) {
			struct pm_kernel *k = d->table[b];

			d->table[b] = k->next;
			free_kernel(k);
		}
	}
	while ((p = d->programs)) {
		d->programs = p->next;
		free_program(p);
	}
}
