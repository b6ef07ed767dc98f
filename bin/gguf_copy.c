/* gguf_copy.c: what verbs that write a file out of another share. */
#include <stdlib.h>

#include "base/mem.h"
#include "bin/gguf.h"

#define PIECE ((size_t)16 << 20)        /* bytes between two looks at the clock */

int gguf_open(struct pm_store **s, const struct pm_view ***v, const char *path, struct pm_err *e)
{
	size_t i;

	*s = NULL;
	*v = NULL;
	if (pm_store_open(s, path, e) < 0)
		return -1;
	if (!pm_store_gguf(*s))
		return pm_fail(e, PM_DATA, "%s: a GGUF file was wanted", path);
	*v = pm_alloc(pm_store_count(*s), sizeof **v, e);
	for (i = 0; *v && i < pm_store_count(*s); i++)
		(*v)[i] = pm_store_at(*s, i);
	return *v ? 0 : -1;
}

int gguf_put_tensors(struct pm_gguf_writer *w, const struct pm_view *const *v, size_t n, bool quiet, struct pm_err *e)
{
	struct pm_progress p;
	uint64_t total = 0, done = 0;
	size_t i, at, part;
	int r = 0;

	for (i = 0; r == 0 && i < n; i++) {
		r = pm_gguf_declare(w, v[i]->name, v[i]->type, v[i]->nd, v[i]->dim, e);
		total += v[i]->bytes;
	}
	pm_progress_begin(&p, "write", "B", total, quiet);
	for (i = 0; r == 0 && i < n; i++)
		for (at = 0; r == 0 && at < v[i]->bytes; at += part) {
			part = v[i]->bytes - at < PIECE ? v[i]->bytes - at : PIECE;
			r = pm_gguf_put(w, v[i]->data + at, part, e);
			done += part;
			pm_progress_at(&p, done, NULL);
		}
	pm_progress_end(&p);
	return r;
}
