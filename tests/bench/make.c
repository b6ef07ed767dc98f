/* make.c: models of random values, to measure with. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/rng.h"
#include "bench.h"
#include "io/safetensors.h"
#include "spec/spec.h"

/* Values of a block of random bits, scaled to ±0.035 (a deviation of 0.02): fast, and no number is special. */
static void put_random(struct bench *b, struct pm_st_writer *w, uint64_t n, uint32_t stream, bool ones)
{
	static uint16_t chunk[1 << 16];
	uint64_t at = 0, i;
	uint32_t r[4];

	while (at < n) {
		uint64_t m = n - at < sizeof chunk / 2 ? n - at : sizeof chunk / 2;

		for (i = 0; i < m; i++) {
			if (i % 4 == 0)
				pm_rng_block(r, 1, stream, (at + i) / 4);
			chunk[i] = pm_f32_to_bf16(ones ? 1 : ((float)r[i % 4] * 0x1p-31f - 1) * 0.035f);
		}
		bench_must(b, pm_st_put(w, chunk, (size_t)m * 2, &b->e));
		at += m;
	}
}

/* How many tensors of the file it is: a stack of experts may lie apart there. */
static int64_t files_of(const struct pm_tensor_spec *t)
{
	return t->optional ? 0 : t->apart ? t->experts : 1;
}

static void declare(struct bench *b, struct pm_st_writer *w, const struct pm_tensor_spec *t)
{
	const int from = t->apart;
	uint64_t dim[4];
	char name[PM_SPEC_NAME];
	int64_t x;
	int k;

	for (k = from; k < t->nd; k++)
		dim[k - from] = (uint64_t)t->dim[k];
	for (x = 0; x < files_of(t); x++) {
		pm_spec_name(name, t->file, t->apart ? x : -1);
		bench_must(b, pm_st_declare(w, name, PM_BF16, t->nd - from, dim, &b->e));
	}
}

static void put_tensor(struct bench *b, struct pm_st_writer *w, const struct pm_tensor_spec *t, uint32_t stream)
{
	uint64_t n = 1;
	int64_t x;
	int k;

	for (k = t->apart; k < t->nd; k++)
		n *= (uint64_t)t->dim[k];
	for (x = 0; x < files_of(t); x++)
		put_random(b, w, n, stream + 1000 * (uint32_t)x, !strcmp(t->use, "norm"));
}

void bench_make_model(struct bench *b, const char *dir, const char *config, size_t size)
{
	json_t *metadata = json_pack("{s:s}", "format", "pt");  /* transformers wants it */
	struct pm_st_writer *w;
	struct pm_spec *s;
	struct pm_out o;
	char path[600];
	size_t i;

	bench_must(b, pm_mkdirs(dir, &b->e));
	snprintf(path, sizeof path, "%s/config.json", dir);
	bench_must(b, pm_out_open(&o, path, &b->e));
	bench_must(b, pm_out_write(&o, config, size, &b->e));
	bench_must(b, pm_out_close(&o, &b->e));
	bench_must(b, pm_spec_load(&s, dir, "share", NULL, NULL, &b->e));
	snprintf(path, sizeof path, "%s/model.safetensors", dir);
	bench_must(b, pm_st_begin(&w, path, metadata, &b->e));
	json_decref(metadata);
	for (i = 0; i < s->ntensors; i++)
		declare(b, w, &s->tensor[i]);
	for (i = 0; i < s->ntensors; i++)
		put_tensor(b, w, &s->tensor[i], (uint32_t)i);
	bench_must(b, pm_st_end(w, &b->e));
	pm_spec_free(s);
}
