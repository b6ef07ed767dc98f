/* Packing: subset sums against all subsets, rows against the rules, the same rows for the same seed, what happens to what is too long. */
#include "text/pack.h"

#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "tap.h"

static void subsets(void)
{
	struct pm_err e = {0};
	int bad = 0, round, i, k;

	for (round = 0; round < 400; round++) {
		uint32_t length[12];
		unsigned char take[12];
		int n = 1 + (int)(pm_rng_u32(1, 1, (uint64_t)round) % 12);
		int64_t cap = 1 + pm_rng_u32(1, 2, (uint64_t)round) % 260, best = 0, sum, got;

		for (i = 0; i < n; i++)
			length[i] = 1 + pm_rng_u32(2, (uint32_t)round, (uint64_t)i) % (round % 3 ? 90 : 150);
		for (k = 0; k < 1 << n; k++) {
			for (sum = 0, i = 0; i < n; i++)
				sum += k >> i & 1 ? length[i] : 0;
			best = sum <= cap && sum > best ? sum : best;
		}
		got = pm_pack_subset(take, length, (size_t)n, cap, &e);
		for (sum = 0, i = 0; i < n; i++)
			sum += take[i] ? length[i] : 0;
		bad += got != best || sum != best;
	}
	check(!bad, "400 subset sums are the best there are, and what is taken adds up to them");
}

/* Keeps the rows, and checks each. */
struct rows {
	struct pm_record r[4000];
	int n, bad, begun;
	int64_t said, length;
	double efficiency;
};

static int on_begin(void *arg, int64_t rows, double efficiency, struct pm_err *e)
{
	struct rows *o = arg;

	(void)e;
	o->begun++;
	o->said = rows;
	o->efficiency = efficiency;
	return 0;
}

static int on_row(void *arg, const struct pm_record *r, struct pm_err *e)
{
	struct rows *o = arg;
	struct pm_record *c = &o->r[o->n++];
	size_t i, d;

	o->bad += o->n >= 4000 || r->kind != PM_REC_ROW || (int64_t)r->n != o->length || !r->has_weights || !r->ndocs || r->bounds[0] != 0;
	for (d = 0; d < r->ndocs; d++)
		o->bad += r->bounds[d] >= r->bounds[d + 1] || r->weights[r->bounds[d]] != 0;
	for (i = r->bounds[r->ndocs]; i < r->n; i++)
		o->bad += r->ids[i] != 0 || r->weights[i] != 0;
	pm_record_reset(c, r->n, e);
	pm_record_room_docs(c, r->ndocs, e);
	memcpy(c->ids, r->ids, r->n * 4);
	memcpy(c->weights, r->weights, r->n * 4);
	memcpy(c->bounds, r->bounds, (r->ndocs + 1) * 4);
	memcpy(c->doc_kinds, r->doc_kinds, r->ndocs * 4);
	memcpy(c->doc_groups, r->doc_groups, r->ndocs * 8);
	c->n = r->n;
	c->ndocs = r->ndocs;
	c->has_docs = r->has_docs;
	return 0;
}

static void clear(struct rows *o)
{
	int i;

	for (i = 0; i < o->n; i++)
		pm_record_free(&o->r[i]);
	memset(o, 0, sizeof *o);
}

/* A document of n tokens: its number in all ids; the second half trained. */
static void document(struct pm_record *r, int number, size_t n, struct pm_err *e)
{
	size_t i;

	pm_record_reset(r, n, e);
	for (i = 0; i < n; i++) {
		r->ids[i] = number;
		r->weights[i] = i >= n / 2 ? 1 : 0;
	}
	r->n = n;
	r->has_weights = true;
	r->line = number;
}

static int pack(struct rows *o, struct pm_pack_stats *s, const struct pm_pack_opts *opts, int n, size_t (*length)(int), int group, struct pm_err *e)
{
	struct pm_pack_sink sink = {o, on_begin, on_row};
	struct pm_record r = {0};
	struct pm_packer *p;
	int i, k;

	clear(o);
	o->length = opts->length;
	if (pm_packer_new(&p, opts, &sink, e) < 0)
		return -1;
	for (i = 0, k = 0; i < n && k == 0; i++) {
		document(&r, i + 1, length(i), e);
		if (group > 1) {
			r.group = i / group;
			r.kind = i % 2 ? PM_REC_REJECTED : PM_REC_CHOSEN;
		}
		k = pm_packer_add(p, &r, 1, e);
	}
	k = k == 0 ? pm_packer_end(p, e) : k;
	*s = *pm_packer_stats(p);
	pm_packer_free(p);
	pm_record_free(&r);
	return k;
}

static size_t mixed(int i)
{
	return 40 + pm_rng_u32(9, 9, (uint64_t)i) % 300;
}

static size_t tiny(int i)
{
	return 1 + (size_t)i % 3;
}

static size_t one_long(int i)
{
	return i == 1 ? 250 : 60;
}

static size_t long_prompt(int i)
{
	return i == 0 ? 1000 : 10;
}

static size_t none(int i)
{
	(void)i;
	return 0;
}

/* Every document is in exactly one row, whole. */
static int all_there(const struct rows *o, int n, size_t (*length)(int))
{
	unsigned char *seen = calloc((size_t)n + 1, 1);
	int i, bad = 0, count = 0;
	size_t d;

	for (i = 0; i < o->n; i++)
		for (d = 0; d < o->r[i].ndocs; d++) {
			int number = o->r[i].ids[o->r[i].bounds[d]];
			size_t len = o->r[i].bounds[d + 1] - o->r[i].bounds[d];

			bad += number < 1 || number > n || seen[number] || len != length(number - 1);
			seen[number < 1 || number > n ? 0 : number] = 1;
			count++;
		}
	free(seen);
	return !bad && count == n;
}

static uint64_t order_hash(const struct rows *o)
{
	uint64_t h = 1469598103934665603u;
	int i;
	size_t k;

	for (i = 0; i < o->n; i++)
		for (k = 0; k < o->r[i].n; k++)
			h = (h ^ (uint32_t)o->r[i].ids[k]) * 1099511628211u;
	return h;
}

int main(void)
{
	static struct rows o;
	struct pm_pack_stats s;
	struct pm_err e = {0};
	struct pm_pack_opts opts = {.length = 2048, .shuffle = true, .tmpdir = "/tmp"};
	uint64_t first;
	int i, bad;

	subsets();
	i = pack(&o, &s, &opts, 5000, mixed, 0, &e);
	check(i == 0 && !o.bad && all_there(&o, 5000, mixed), "5000 documents are each in one row: %s", e.text);
	check(pm_pack_efficiency(&s, 2048) > 0.997 && o.said == o.n && o.efficiency == pm_pack_efficiency(&s, 2048),
	    "the rows are %.2f %% full, said beforehand", 100 * pm_pack_efficiency(&s, 2048));
	first = order_hash(&o);
	check(pack(&o, &s, &opts, 5000, mixed, 0, &e) == 0 && order_hash(&o) == first, "the same seed gives the same rows");
	opts.seed = 1;
	check(pack(&o, &s, &opts, 5000, mixed, 0, &e) == 0 && order_hash(&o) != first && all_there(&o, 5000, mixed), "another seed gives others");
	opts.length = 100000;
	check(pack(&o, &s, &opts, 30000, tiny, 0, &e) == 0 && s.rows == 1, "rows hold more documents than the window has at least");
	opts.length = 20000;
	i = pack(&o, &s, &opts, 3000, mixed, 0, &e);
	check(i == 0 && all_there(&o, 3000, mixed) && s.rows == (s.tokens + 19999) / 20000,
	    "rows longer than what is searched are full, too: %llu rows for %llu tokens", (unsigned long long)s.rows, (unsigned long long)s.tokens);
	opts.length = 1000;
	i = pack(&o, &s, &opts, 1000, mixed, 2, &e);
	check(i == 0 && all_there(&o, 1000, mixed), "1000 documents in pairs: %s", e.text);
	for (bad = o.bad, i = 0; i < o.n; i++)
		for (size_t d = 0; d < o.r[i].ndocs; d += 2)
			bad += d + 1 >= o.r[i].ndocs || o.r[i].doc_groups[d] != o.r[i].doc_groups[d + 1] || o.r[i].doc_kinds[d] != PM_REC_CHOSEN ||
			    o.r[i].doc_kinds[d + 1] != PM_REC_REJECTED || o.r[i].ids[o.r[i].bounds[d + 1]] != o.r[i].ids[o.r[i].bounds[d]] + 1;
	check(!bad, "a pair stands together, kinds and group with it");
	opts.length = 100;
	opts.shuffle = false;
	check(pack(&o, &s, &opts, 5, one_long, 0, &e) == 0 && o.said == -1 && s.rows == 6 && s.split == 1 && s.pieces == 2 && s.left_out == 1,
	    "next-fit: a long document is split, a piece of prompt left out");
	check(o.r[0].ids[0] == 1 && o.r[1].ids[0] == 2 && o.r[2].ids[0] == 2 && o.r[3].ids[0] == 3 && o.r[2].bounds[1] == 50 && s.trained_lost == 1,
	    "documents and pieces are in the order of the input");
	opts.overflow = PM_OVERFLOW_CUT;
	check(pack(&o, &s, &opts, 5, one_long, 0, &e) == 0 && s.cut == 1 && s.trained_lost == 125 && s.ends_lost == 1 && s.filled == 4 * 60 + 100,
	    "cut: what is lost is counted");
	opts.overflow = PM_OVERFLOW_DROP;
	check(pack(&o, &s, &opts, 5, one_long, 0, &e) == 0 && s.dropped == 1 && s.filled == 240 && s.ends_lost == 1, "drop: likewise");
	opts.overflow = PM_OVERFLOW_ERROR;
	i = pack(&o, &s, &opts, 5, one_long, 0, &e);
	check(i < 0 && e.status == PM_DATA && strstr(e.text, "line 2 has 250 tokens"), "error: %s", e.text);
	opts.overflow = PM_OVERFLOW_SPLIT;
	i = pack(&o, &s, &opts, 1, long_prompt, 0, &e);
	check(i == 0 && s.left_out == 5 && s.pieces == 5 && s.trained_lost == 5,
	    "the pieces of a long prompt are left out, %llu first tokens lost", (unsigned long long)s.trained_lost);
	opts.length = 130;
	i = pack(&o, &s, &opts, 4, one_long, 2, &e);
	check(i == 0 && s.dropped == 2 && s.rows == 1 && o.r[0].ids[0] == 3, "a pair longer than a row is dropped whole");
	i = pack(&o, &s, &opts, 4, none, 0, &e);
	check(i < 0 && e.status == PM_DATA && s.empty == 4, "documents without a token: %s", e.text);
	i = pack(&o, &s, &opts, 0, none, 0, &e);
	check(i < 0 && e.status == PM_DATA, "no documents: %s", e.text);
	clear(&o);
	return done();
}
