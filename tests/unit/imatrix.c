/* Importance matrices: both golden forms say the same, what is written is the same bytes, merging, and files that are wrong. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "io/gguf.h"
#include "quant/imatrix.h"
#include "tap.h"

static struct pm_err err;
static char dir[] = "/tmp/pm-imatrix-XXXXXX", path[64];

static int same_file(const char *a, const char *b)
{
	struct pm_map x, y;
	int r;

	if (pm_map_open(&x, a, &err) < 0 || pm_map_open(&y, b, &err) < 0)
		return 0;
	r = x.size == y.size && !memcmp(x.data, y.data, x.size);
	pm_map_close(&x);
	pm_map_close(&y);
	return r;
}

/* Both forms give the same importance, but for the rounding of the old one's means. */
static double farthest(const struct pm_imatrix *a, const struct pm_imatrix *b)
{
	double worst = a->n == b->n ? 0 : 1;
	size_t i, x, k;

	for (i = 0; i < a->n; i++) {
		const struct pm_imatrix_entry *t = &a->entry[i], *u = pm_imatrix_find(b, t->name);
		float *p = malloc(t->cols * 4), *q = malloc(t->cols * 4);

		for (x = 0; u && x < t->experts; x++) {
			if (pm_imatrix_importance(p, t, t->cols, t->experts, x, &err) < 0 || pm_imatrix_importance(q, u, t->cols, t->experts, x, &err) < 0)
				return 1;
			for (k = 0; k < t->cols; k++) {
				double d = p[k] > 0 ? ((double)p[k] - q[k]) / p[k] : (double)q[k];

				worst = d > worst ? d : -d > worst ? -d : worst;
			}
		}
		worst = u ? worst : 1;
		free(p);
		free(q);
	}
	return worst;
}

static void golden(void)
{
	static const char *const models[] = {"llama", "qwen3moe", "stories260K"};
	char rel[2][128];
	size_t i, k;

	for (i = 0; i < 3; i++) {
		struct pm_imatrix m[2], sum = {0};
		const char *p[2];

		for (k = 0; k < 2; k++) {
			snprintf(rel[k], sizeof rel[k], "fixtures/quant/models/%s/imatrix/imatrix.%s", models[i], k ? "dat" : "gguf");
			p[k] = golden_path(rel[k]);
		}
		if (!p[0] || !p[1]) {
			skip("golden data is not there");
			continue;
		}
		if (!check(pm_imatrix_open(&m[0], p[0], &err) == 0 && pm_imatrix_open(&m[1], p[1], &err) == 0, "%s: both forms are read %s", models[i], err.text))
			continue;
		check(m[0].n == m[1].n && m[0].chunks == m[1].chunks && m[0].chunk_size && !m[1].chunk_size, "%s: %zu entries, %u chunks of %u", models[i],
			m[0].n, m[0].chunks, m[0].chunk_size);
		check(farthest(&m[0], &m[1]) < 2e-7, "%s: the same importance: %.2g", models[i], farthest(&m[0], &m[1]));
		check(pm_imatrix_write(&m[0], path, &err) == 0 && same_file(path, p[0]), "%s: the GGUF form is written with the same bytes", models[i]);
		check(pm_imatrix_write_old(&m[0], path, &err) == 0 && same_file(path, p[1]), "%s: the old form is written with the same bytes", models[i]);
		check(pm_imatrix_merge(&sum, &m[0], &err) == 0 && pm_imatrix_merge(&sum, &m[0], &err) == 0 && sum.chunks == 2 * m[0].chunks &&
			sum.entry[0].counts[0] == 2 * m[0].entry[0].counts[0] && farthest(&sum, &m[0]) < 1e-9, "%s: merged with itself: twice as much, the same means",
			models[i]);
		check(pm_imatrix_merge(&sum, &m[1], &err) == 0 && sum.chunks == 3 * m[0].chunks && farthest(&sum, &m[0]) < 1e-6, "%s: an old file merged", models[i]);
		pm_imatrix_free(&sum);
		pm_imatrix_free(&m[0]);
		pm_imatrix_free(&m[1]);
	}
}

static void refused(const char *what, const void *bytes, size_t n, const char *words)
{
	struct pm_imatrix m;
	FILE *f = fopen(path, "wb");

	fwrite(bytes, 1, n, f);
	fclose(f);
	check(pm_imatrix_open(&m, path, &err) < 0 && err.status == PM_DATA && strstr(err.text, words), "%s: %s", what, err.text);
}

static void hostile(void)
{
	struct {
		int32_t n, len;
		char name[4];
		int32_t calls, values;
		float v[2];
		int32_t chunks, set;
	} f = {1, 4, {'a', '.', 'b', 'c'}, 3, 2, {1, 2}, 5, 0};
	struct pm_imatrix m, o = {0};
	struct pm_imatrix_entry *t;
	float out[2];

	refused("nothing", &f, 0, "empty");
	refused("two bytes", &f, 2, "entries");
	f.n = 1 << 30;
	refused("a billion entries", &f, sizeof f, "1073741824");
	f.n = 1;
	f.len = -1;
	refused("a name of -1 bytes", &f, sizeof f, "-1");
	f.len = 4;
	f.values = 1 << 29;
	refused("values beyond the end", &f, sizeof f, "536870912");
	f.values = 2;
	f.v[1] = -1;
	refused("a value below 0", &f, sizeof f, "value 1 is -1");
	f.v[1] = 2;
	f.set = 9;
	refused("a data set's name beyond the end", &f, sizeof f, "9 bytes");
	f.set = 0;
	refused("GGUF cut short", "GGUF\3\0\0\0", 8, path);
	{
		FILE *w = fopen(path, "wb");

		fwrite(&f, 1, sizeof f, w);
		fclose(w);
	}
	check(pm_imatrix_open(&m, path, &err) == 0 && m.n == 1 && m.chunks == 5, "an old file that is right");
	check(pm_imatrix_importance(out, &m.entry[0], 1, 2, 1, &err) == 0 && out[0] == 2.0f / 3, "its second expert");
	check(pm_imatrix_importance(out, &m.entry[0], 3, 1, 0, &err) < 0 && strstr(err.text, "'a.bc'"), "a wrong number of columns: %s", err.text);
	check(pm_imatrix_write(&m, path, &err) < 0, "it cannot be written alone: %s", err.text);
	o.chunk_size = 64;
	check(pm_imatrix_add(&t, &o, "x", 2, 2, &err) == 0 && pm_imatrix_importance(out, t, 2, 2, 1, &err) == 0 && out[0] == 1, "an expert never seen counts as 1");
	check(pm_imatrix_add(&t, &o, "x", 3, 2, &err) < 0, "another shape: %s", err.text);
	pm_imatrix_free(&o);
	pm_imatrix_free(&m);
}

int main(void)
{
	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof path, "%s/file", dir);
	golden();
	hostile();
	pm_remove_tree(dir, &err);
	return done();
}
