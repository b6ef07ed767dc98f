/* attention_chunks.cl: the chunks of PART keys that a query of attention.cl or attention_decode_cpu.cl sees, numbered from the
 * start of its period: places that do not depend on who does them. */
#ifndef PART
#define PART 256
#endif
#ifndef DV
#define DV 64
#endif
#ifndef TYPE_S
#define TYPE_S f32
#endif
#ifndef LOWEST
#define LOWEST (-1e30f)
#endif

struct chunks {
	int from, to;                   /* keys that the query sees */
	int start;                      /* of their period: chunk c begins at start + c·PART */
	int first, end;                 /* chunks */
};

/* limit: chunks in a period. */
inline struct chunks chunks_seen(__global const int *span, int kv_period, int limit)
{
	struct chunks s = {span[0], span[1]};

	s.start = s.from / kv_period * kv_period;
	s.first = (s.from - s.start) / PART;
	s.end = s.from < s.to ? min(limit, (s.to - s.start + PART - 1) / PART) : s.first;
	return s;
}

/* The share of one of several workers: neighbours, so that what is fetched ahead is used. */
inline struct chunks chunks_share(struct chunks s, int worker, int workers)
{
	const int n = s.end - s.first;

	s.end = s.first + n * (worker + 1) / workers;
	s.first += n * worker / workers;
	return s;
}

/* The largest score, and the sum of exp(score - m). m starts as a number below every score. */
struct softmax {
	float m, l;
};

/* y of a row and head from its parts, chunk after chunk. */
inline void attention_join_item(__global float *y, long y_off, long y_ld, __global const float *parts, __global const int *span, long span_off,
	__global const STORAGE(TYPE_S) *sinks, long sinks_off, int kv_period, int chunks, long row, int h, int heads)
{
	const struct chunks seen = chunks_seen(span + span_off + 2 * row, kv_period, chunks);
	struct softmax all = {LOWEST, 0};
	float sum[DV];

	if (sinks)
		all = (struct softmax){LOAD(TYPE_S, sinks, sinks_off + h), 1};
	for (int i = 0; i < DV; i++)
		sum[i] = 0;
	parts += (row * heads + h) * chunks * (DV + 2);
	for (int c = seen.first; c < seen.end; c++) {
		__global const float *part = parts + (long)c * (DV + 2);
		const float top = fmax(all.m, part[0]), old = exp_f(all.m - top), new = exp_f(part[0] - top);

		all = (struct softmax){top, fma(all.l, old, part[1] * new)};
		for (int i = 0; i < DV; i++)
			sum[i] = fma(sum[i], old, part[2 + i] * new);
	}
	y += y_off + row * y_ld + h * DV;
	for (int i = 0; i < DV; i++)
		y[i] = all.l > 0 ? sum[i] / all.l : 0;
}
