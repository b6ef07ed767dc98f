/* select: which files of a list are wanted. */
#include <ctype.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "hub/list.h"

/* What the tools read of a model's repository, and what looks like it but is another program's copy of the weights. */
static const char *const reads[] = {"*.safetensors", "*.json", "*.jinja", "tokenizer*", "vocab.txt", "merges.txt", "*/tokenizer*"};
static const char *const others[] = {"*.bin", "*.pt", "*.pth", "*.onnx", "*.onnx_data", "*.h5", "*.msgpack", "*.ot", "*.gguf",
	"consolidated*.safetensors", "original/*", "onnx/*", "openvino/*", "coreml/*", "*.index.json.bak", "pytorch_model.bin.index.json"};

/* What is taken of a repository of GGUF files where nothing was said. */
static const char *const preferred[] = {"Q4_K_M", "Q5_K_M", "Q4_K_S", "Q4_K_L", "Q5_K_S", "Q6_K", "Q8_0", "Q4_0", "IQ4_NL", "IQ4_XS", "MXFP4",
	"Q3_K_M", "BF16", "F16", "F32"};

static bool matches(const char *pattern, const char *path)
{
	size_t n = strlen(pattern);

	if (n && pattern[n - 1] == '/')
		return !strncmp(path, pattern, n);
	return fnmatch(pattern, path, 0) == 0 || (!strncmp(path, pattern, n) && path[n] == '/');
}

static bool any(const char *const *patterns, size_t n, const char *path)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (matches(patterns[i], path))
			return true;
	return false;
}

bool pm_hub_passes(const char *path, const struct pm_hub_want *w)
{
	return (!w->ninclude || any(w->include, w->ninclude, path)) && !any(w->exclude, w->nexclude, path);
}

bool pm_hub_is_read(const char *path)
{
	return any(reads, sizeof reads / sizeof *reads, path) && !any(others, sizeof others / sizeof *others, path);
}

static bool ends(const char *path, const char *with)
{
	size_t n = strlen(path), m = strlen(with);

	return n >= m && !strcasecmp(path + n - m, with);
}

bool pm_hub_is_weights(const char *path)
{
	return ends(path, ".safetensors") || ends(path, ".gguf");
}

/* Whether a word stands in a path, whatever its case, not as part of a longer one. */
static bool has_word(const char *path, const char *word)
{
	size_t n = strlen(word);
	const char *p;

	for (p = path; strlen(p) >= n; p++)
		if (!strncasecmp(p, word, n) && (p == path || !(isalnum((unsigned char)p[-1]) || p[-1] == '_')) &&
		    !(isalnum((unsigned char)p[n]) || p[n] == '_'))
			return true;
	return false;
}

/* The length of what all parts of a split file share: "m-00002-of-00005.gguf" → 1; the whole name of another. */
static size_t stem(const char *path)
{
	size_t n = strlen(path), i;
	const char *p;

	if (n < 20)
		return n;
	p = path + n - 20;
	for (i = 0; i < 15; i++)
		if ("-ddddd-of-ddddd"[i] == 'd' ? !isdigit((unsigned char)p[i]) : p[i] != "-ddddd-of-ddddd"[i])
			return n;
	return n - 20;
}

static bool model_gguf(const char *path)
{
	const char *base = strrchr(path, '/');

	base = base ? base + 1 : path;
	return ends(path, ".gguf") && strncasecmp(base, "mmproj", 6) && strncasecmp(base, "imatrix", 7);
}

int pm_hub_pick_gguf(bool *keep, size_t *first, const struct pm_hub_list *l, const char *quant, struct pm_err *e)
{
	const char *chosen = NULL, *q = quant;
	size_t i, k = 0, n = 0;

	do {
		if (!quant)
			q = k < sizeof preferred / sizeof *preferred ? preferred[k] : NULL;
		for (i = 0; i < l->n; i++) {
			const char *path = l->v[i].path;

			if (!model_gguf(path) || (q && !has_word(path, q)))
				continue;
			if (chosen && (stem(path) != stem(chosen) || strncmp(path, chosen, stem(path)))) {
				if (!quant)
					continue;       /* the first by name, where nothing was asked for */
				return pm_fail(e, PM_USAGE, "both '%.300s' and '%.300s' are %s: one of them was wanted by name", chosen, path, quant);
			}
			if (!chosen) {
				chosen = path;
				*first = i;
			}
			keep[i] = true;
			n++;
		}
	} while (!quant && !n && k++ < sizeof preferred / sizeof *preferred);
	return n ? 0 : 1;
}

/* The files asked for by name or pattern. */
static int by_name(bool *keep, const struct pm_hub_list *l, const struct pm_hub_want *w, struct pm_err *e)
{
	size_t i, k;

	for (k = 0; k < w->nfiles; k++) {
		bool found = false;

		for (i = 0; i < l->n; i++)
			if (!strcmp(l->v[i].path, w->files[k]) || matches(w->files[k], l->v[i].path))
				found = keep[i] = true;
		if (!found)
			return pm_fail(e, PM_NOINPUT, "the repository has no file '%.300s'", w->files[k]);
	}
	return 0;
}

static int by_default(bool *keep, const struct pm_hub_list *l, struct pm_err *e)
{
	bool weights = false;
	size_t i, first;

	for (i = 0; i < l->n; i++) {
		keep[i] = pm_hub_is_read(l->v[i].path);
		weights |= keep[i] && ends(l->v[i].path, ".safetensors");
	}
	return weights || pm_hub_pick_gguf(keep, &first, l, NULL, e) >= 0 ? 0 : -1;
}

static void quants(char *out, size_t size, const struct pm_hub_list *l)
{
	size_t i, at = 0;

	for (i = 0; i < l->n && at + 200 < size; i++)
		if (model_gguf(l->v[i].path))
			at += (size_t)snprintf(out + at, size - at, "%s%.150s", at ? ", " : "", l->v[i].path);
}

int pm_hub_select(bool *keep, const struct pm_hub_list *l, const struct pm_hub_want *w, struct pm_err *e)
{
	char list[1000] = "none";
	size_t i, first, n = 0;
	int r = 0;

	memset(keep, 0, l->n * sizeof *keep);
	if (w->quant) {
		r = pm_hub_pick_gguf(keep, &first, l, w->quant, e);
		quants(list, sizeof list, l);
		if (r > 0)
			return pm_fail(e, PM_NOINPUT, "the repository has no GGUF file of %s; it has: %s", w->quant, list);
	}
	if (r == 0 && w->nfiles)
		r = by_name(keep, l, w, e);
	else if (r == 0 && !w->quant && w->model && !w->all && !w->ninclude)
		r = by_default(keep, l, e);
	else if (r == 0 && !w->quant)
		for (i = 0; i < l->n; i++)
			keep[i] = true;
	for (i = 0; r == 0 && i < l->n; i++) {
		if (!w->nfiles && w->quant && w->ninclude && any(w->include, w->ninclude, l->v[i].path))
			keep[i] = true;
		else if (keep[i] && !(w->quant && model_gguf(l->v[i].path)) && !pm_hub_passes(l->v[i].path, w))
			keep[i] = false;
		keep[i] = keep[i] && !any(w->exclude, w->nexclude, l->v[i].path);
		n += keep[i];
	}
	if (r == 0 && !n)
		r = pm_fail(e, PM_NOINPUT, l->n ? "none of the repository's %zu files is wanted%s" : "the repository has %zu files%s", l->n,
		    l->n && !w->all && !w->ninclude && !w->nfiles ? " (--all takes every file)" : "");
	return r < 0 ? -1 : 0;
}
