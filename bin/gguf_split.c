/* pm-gguf split, pm-gguf join: one GGUF file into parts NAME-00001-of-0000N.gguf, with the keys and the bounds of llama-gguf-split, and back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "bin/gguf.h"

#define MOST_PARTS 65535        /* split.count is u16 */

static struct {
	const char *output, *size;
	int64_t tensors;
	bool empty_first, dry, quiet;
} a;

static struct pm_opt split_opts[] = {
	PM_OPT_OUTPUT(&a.output, "beginning of the parts' names: PATH-00001-of-00003.gguf [FILE without .gguf]"),
	{.name = "max-size", .kind = PM_OPT_STR, .arg = "N[k|M|G]", .to = &a.size, .help = "bytes of tensors in a part, at most (but one tensor there is)"},
	{.name = "max-tensors", .kind = PM_OPT_INT, .arg = "N", .to = &a.tensors, .fallback = "128", .min = 1, .max = 1e9, .help = "tensors in a part, at most"},
	{.name = "no-tensor-first", .kind = PM_OPT_FLAG, .to = &a.empty_first, .help = "keep the first part for the keys"},
	{.name = "dry-run", .kind = PM_OPT_FLAG, .to = &a.dry, .help = "only say which parts there would be"},
	PM_OPT_QUIET(&a.quiet),
};

static struct pm_opt join_opts[] = {
	PM_OPT_OUTPUT(&a.output, "the file to write (wanted)"),
	PM_OPT_QUIET(&a.quiet),
};

/* Decimal units, as llama-gguf-split has them. */
static int read_size(uint64_t *n, const char *text, struct pm_err *e)
{
	char *end;
	double v = strtod(text, &end), unit = 1;

	if (end > text && *end && !end[1])
		unit = *end == 'k' ? 1e3 : *end == 'M' ? 1e6 : *end == 'G' ? 1e9 : 0;
	else if (end == text || *end)
		unit = 0;
	if (unit == 0 || !(v * unit >= 1) || v * unit > 1e18)
		return pm_fail(e, PM_USAGE, "--max-size: a size as 500M or 2G was wanted, not '%.100s'", text);
	*n = (uint64_t)(v * unit);
	return 0;
}

/* The first tensor of every part, and behind the last the number of tensors; how many parts there are. */
static size_t bounds(size_t *first, const struct pm_store *s, uint64_t most)
{
	uint64_t align = pm_gguf_alignment(pm_store_gguf(s)), sum = 0;
	size_t parts = 0, i, n = pm_store_count(s);

	first[parts++] = 0;
	if (a.empty_first)
		first[parts++] = 0;
	for (i = 0; i < n; i++) {
		uint64_t size = (pm_store_at(s, i)->bytes + align - 1) / align * align;

		sum += size;
		if (i == first[parts - 1] || (most ? sum <= most : i % (size_t)a.tensors != 0))
			continue;
		first[parts++] = i;
		sum = size;
	}
	first[parts] = n;
	return parts;
}

static int put_keys(struct pm_gguf_writer *w, const struct pm_store *s, size_t part, size_t parts, struct pm_err *e)
{
	const struct pm_gguf *g = pm_store_gguf(s);
	size_t i;

	for (i = 0; part == 0 && i < pm_gguf_keys(g); i++)
		if (strncmp(pm_gguf_key_at(g, i)->name, "split.", 6) && pm_gguf_put_key(w, pm_gguf_key_at(g, i), e) < 0)
			return -1;
	if (pm_gguf_put_int(w, "split.no", PM_GGUF_U16, (int64_t)part, e) < 0 || pm_gguf_put_int(w, "split.count", PM_GGUF_U16, (int64_t)parts, e) < 0)
		return -1;
	return pm_gguf_put_int(w, "split.tensors.count", PM_GGUF_I32, (int64_t)pm_store_count(s), e);
}

static int write_part(const struct pm_store *s, const struct pm_view *const *v, const char *path, const size_t *first, size_t part, size_t parts, struct pm_err *e)
{
	struct pm_gguf_writer *w;
	int r;

	if (pm_gguf_begin(&w, path, pm_gguf_alignment(pm_store_gguf(s)), e) < 0)
		return -1;
	r = put_keys(w, s, part, parts, e);
	if (r == 0)
		r = gguf_put_tensors(w, v + first[part], first[part + 1] - first[part], a.quiet, e);
	if (r == 0)
		return pm_gguf_end(w, e);
	pm_gguf_abort(w);
	return -1;
}

static uint64_t bytes_of(const struct pm_view *const *v, size_t n)
{
	uint64_t sum = 0;

	while (n--)
		sum += v[n]->bytes;
	return sum;
}

/* NAME of the parts: -o, or the file without its ending. */
static char *prefix(const char *file, struct pm_err *e)
{
	size_t n = strlen(file);

	if (a.output)
		return pm_strdup(a.output, e);
	return pm_strndup(file, n > 5 && !strcmp(file + n - 5, ".gguf") ? n - 5 : n, e);
}

static int write_parts(const struct pm_store *s, const struct pm_view *const *v, const char *name, const size_t *first, size_t parts, struct pm_err *e)
{
	struct pm_str path = {0};
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < parts; i++) {
		pm_str_clear(&path);
		r = pm_str_printf(&path, e, "%s-%05zu-of-%05zu.gguf", name, i + 1, parts);
		if (r == 0 && !a.dry)
			r = write_part(s, v, path.data, first, i, parts, e);
		if (r == 0)
			printf("%s\t%zu tensors\t%llu bytes\n", path.data, first[i + 1] - first[i], (unsigned long long)bytes_of(v + first[i], first[i + 1] - first[i]));
	}
	pm_str_free(&path);
	return r;
}

static int split(struct pm_tool *t, int argc, char **argv, struct pm_err *e)
{
	const struct pm_view **v = NULL;
	struct pm_store *s = NULL;
	struct pm_env env;
	uint64_t most = 0;
	size_t *first = NULL, parts;
	char *name = NULL;
	int r = 0;

	if (argc != 2)
		return pm_fail(e, PM_USAGE, "one file was wanted (see --help)");
	if (a.size && pm_opt_given(t, "max-tensors"))
		return pm_fail(e, PM_USAGE, "--max-size and --max-tensors exclude each other");
	if ((a.size && read_size(&most, a.size, e) < 0) || pm_env_get(&env, e) < 0)
		return -1;
	r = gguf_names(argc, argv, &env, e) < 0 ? -1 : gguf_open(&s, &v, argv[1], e);
	if (r == 0) {
		name = prefix(argv[1], e);
		first = pm_alloc(pm_store_count(s) + 3, sizeof *first, e);
		r = name && first ? 0 : -1;
	}
	if (r == 0) {
		parts = bounds(first, s, most);
		r = parts > MOST_PARTS ? pm_fail(e, PM_USAGE, "%zu parts, at most %d are allowed", parts, MOST_PARTS) : write_parts(s, v, name, first, parts, e);
	}
	free(name);
	free(first);
	free(v);
	pm_store_close(s);
	pm_env_free(&env);
	return r;
}

static int write_joined(const struct pm_store *s, const struct pm_view *const *v, struct pm_err *e)
{
	const struct pm_gguf *g = pm_store_gguf(s);
	struct pm_gguf_writer *w;
	size_t i;
	int r;

	if (pm_gguf_begin(&w, a.output, pm_gguf_alignment(g), e) < 0)
		return -1;
	r = 0;
	for (i = 0; r == 0 && i < pm_gguf_keys(g); i++)
		if (strncmp(pm_gguf_key_at(g, i)->name, "split.", 6))
			r = pm_gguf_put_key(w, pm_gguf_key_at(g, i), e);
	if (r == 0)
		r = gguf_put_tensors(w, v, pm_store_count(s), a.quiet, e);
	if (r == 0)
		return pm_gguf_end(w, e);
	pm_gguf_abort(w);
	return -1;
}

static int join(struct pm_tool *t, int argc, char **argv, struct pm_err *e)
{
	const struct pm_view **v = NULL;
	struct pm_store *s = NULL;
	const char *const *names;
	struct pm_env env;
	int r;

	(void)t;
	if (argc != 2 || !a.output)
		return pm_fail(e, PM_USAGE, "one part of a model and -o FILE were wanted (see --help)");
	if (pm_env_get(&env, e) < 0)
		return -1;
	r = gguf_names(argc, argv, &env, e) < 0 ? -1 : gguf_open(&s, &v, argv[1], e);
	if (r == 0 && pm_store_files(s, &names) == 1)
		r = pm_fail(e, PM_DATA, "%s: no part of a split model: it is whole", argv[1]);
	if (r == 0)
		r = write_joined(s, v, e);
	free(v);
	pm_store_close(s);
	pm_env_free(&env);
	return r;
}

static struct pm_tool split_tool = {.name = "pm-gguf split", .operands = "FILE", .brief = "cuts a file into parts", .opts = split_opts,
	.nopts = sizeof split_opts / sizeof *split_opts};
static struct pm_tool join_tool = {.name = "pm-gguf join", .operands = "PART", .brief = "makes one file of a model's parts", .opts = join_opts,
	.nopts = sizeof join_opts / sizeof *join_opts};

const struct pm_verb gguf_split = {"split", &split_tool, split};
const struct pm_verb gguf_join = {"join", &join_tool, join};
