//! use largest
// sample.cl: one token a row. A work-group has one row; its items share the row in blocks of 16, and sums go over blocks, items
// and lanes in a fixed order. On CPUs a work-group is one item. lib/op/sample.c
//
// The likeliest token has weight 1, others exp((l - max) / temperature). Weights are not negative, so they are ordered as their bits
// are, and what top-k and top-p keep is found as a least weight, by halving the range of its bits.

#if ALONE
#define ROW_ITEM 0L
#define ROW_ITEMS 1L
#define SAMPLED APART
#else
#define ROW_ITEM (long)get_local_id(0)
#define ROW_ITEMS (long)get_local_size(0)
#define SAMPLED inline
#endif

// of a row in `how`
#define TEMPERATURE 0
#define TOP_P 1
#define MIN_P 2
#define PENALTY 3
#define TOP_K 4
#define SEED 5
#define INDEX 7
#define STREAM 9
#define SEEN_FROM 10
#define SEEN_COUNT 11
#define HOW 12

// Of the weights that reach t: how many they are, or (mass) their sum. All items call it.
SAMPLED float reaching(__global const float *w, long v, float t, int mass, __local float *room)
{
	long n = ROW_ITEMS, i = ROW_ITEM, c;
	float16 sum = 0.0f;
	float rest = 0.0f;

	for (c = i * 16; c + 16 <= v; c += n * 16) {
		float16 x = vload16(0, w + c);

		sum += select((float16)0.0f, mass ? x : (float16)1.0f, x >= t);
	}
	for (; c < v && c < v / 16 * 16 + 16; c++)
		rest += w[c] >= t ? (mass ? w[c] : 1.0f) : 0.0f;
	return group_sum(sum16(sum) + rest, room);
}

// The id of the largest value, the lowest of equal ones; -1 where a value is not finite.
SAMPLED int likeliest(__global const float *x, long v, __local float *room, __local int *ids)
{
	long n = ROW_ITEMS, i = ROW_ITEM;
	struct top t = top_of(x, v, i, n);
	int id, k;

	ids[i] = group_max(t.value, room) == t.value ? (isinf(t.value) ? -1 : t.id) : 0x7fffffff;
	SYNC(CLK_LOCAL_MEM_FENCE);
	for (k = 0, id = ids[0]; k < n; k++)
		id = min(id, ids[k]);
	SYNC(CLK_LOCAL_MEM_FENCE);
	return id;
}

// The first id at which the running sum of kept weights passes u times their whole sum. The row is summed in SEGMENTS parts first.
#define SEGMENTS 64                     // room has as many

SAMPLED int draw(__global const float *w, long v, float kept, float u, __local float *room)
{
	long each = (v + SEGMENTS * 16 - 1) / (SEGMENTS * 16) * 16, c, k;
	float all = 0.0f, sum = 0.0f, target;
	int id = -1;

	for (k = ROW_ITEM; k < SEGMENTS; k += ROW_ITEMS) {
		long end = min(v, (k + 1) * each);
		float16 part = 0.0f;
		float rest = 0.0f;

		for (c = k * each; c + 16 <= end; c += 16) {
			float16 x = vload16(0, w + c);

			part += select((float16)0.0f, x, x >= kept);
		}
		for (; c < end; c++)
			rest += w[c] >= kept ? w[c] : 0.0f;
		room[k] = sum16(part) + rest;
	}
	SYNC(CLK_LOCAL_MEM_FENCE);
	if (ROW_ITEM != 0)
		return id;
	for (k = 0; k < SEGMENTS; k++)
		all += room[k];
	target = u * all;
	for (k = 0; k < SEGMENTS - 1 && sum + room[k] <= target; k++)
		sum += room[k];
	for (c = k * each; c < v; c++)
		if (w[c] >= kept) {
			id = (int)c;
			sum += w[c];
			if (sum > target)
				break;
		}
	return id;
}

// The whole chain, of one row. w: room for v floats; seen: ids to be penalised, each once. Item 0 gets the id.
SAMPLED int sample_id(__global float *w, __global const float *logits, __global const uint *how, __global const int *seen, long v, __local float *room, __local int *some)
{
	long n = ROW_ITEMS, i = ROW_ITEM, c;
	float t = as_float(how[TEMPERATURE]), top, kept = 0.0f;
	long made = t > 0.0f || how[SEEN_COUNT] > 0 ? v : 0;    // weights: none where the likeliest of the logits is all that is asked for
	int best, pass;

	// All work-items must come to every SYNC together (and PoCL 6 aborts over one in a branch), so what is off is a loop without a turn.
	for (c = i; c < made; c += n)
		w[c] = logits[c];
	SYNC(CLK_GLOBAL_MEM_FENCE);
	for (c = i; c < how[SEEN_COUNT]; c += n) {
		float l = logits[seen[how[SEEN_FROM] + c]], penalty = as_float(how[PENALTY]);

		w[seen[how[SEEN_FROM] + c]] = l < 0.0f ? l * penalty : l / penalty;
	}
	SYNC(CLK_GLOBAL_MEM_FENCE);
	best = likeliest(made ? w : logits, v, room, some);
	top = made ? w[max(best, 0)] : 0.0f;
	SYNC(CLK_GLOBAL_MEM_FENCE);
	for (c = i * 16; c + 16 <= made; c += n * 16)
		vstore16(exp_16((vload16(0, w + c) - top) / t), 0, w + c);
	for (; c < made && c < made / 16 * 16 + 16; c++)
		w[c] = exp_f((w[c] - top) / t);
	SYNC(CLK_GLOBAL_MEM_FENCE);
	// Top-k keeps the weights from `kept` on, the largest limit that top_k of them reach; top-p then does so by their sum.
	for (pass = 0; pass < 2; pass++) {
		float limit = as_float(how[TOP_P]), want = (float)how[TOP_K];
		int on = t > 0.0f && (pass ? limit < 1.0f : (int)how[TOP_K] > 0 && (int)how[TOP_K] < v);
		uint lo = as_uint(fmax(kept, 0x1p-126f)), hi = on ? as_uint(1.0f) + 1 : lo, at = lo, least = lo;

		while (hi > lo) {
			float have = reaching(w, v, as_float(at), pass, room);

			want = pass && at == least ? limit * have : want;
			lo = have >= want ? at + 1 : lo;
			hi = have >= want ? hi : at;
			at = lo + (hi - lo) / 2;
		}
		kept = lo > least ? as_float(lo - 1) : kept;
	}
	kept = fmax(kept, fmin(as_float(how[MIN_P]), 1.0f));
	c = draw(w, made, kept, rng_uniform((ulong)how[SEED + 1] << 32 | how[SEED], how[STREAM], (ulong)how[INDEX + 1] << 32 | how[INDEX]), room);
	return t > 0.0f && best >= 0 ? (int)c : best;
}

// ids[row], or -1 where a logit is not finite. w: room for rows v floats, unless all rows are the largest's.
__kernel void sample_row(__global int *ids, __global float *w, __global const float *logits, __global const uint *how, __global const int *seen,
	long v, __local float *room, __local int *some)
{
	long row = get_group_id(0);
	int id = sample_id(w + row * v, logits + row * v, how + row * HOW, seen, v, room, some);

	if (ROW_ITEM == 0)
		ids[row] = id;
}
