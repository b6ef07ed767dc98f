/* attention_chunks.cl: the chunks of PART keys that a query of attention.cl or attention_decode_cpu.cl sees, numbered from the
 * start of its period: places that do not depend on who does them. */
#ifndef PART
#define PART 256
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
