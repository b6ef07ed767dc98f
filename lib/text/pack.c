#include "text/pack.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/rng.h"
#include "io/tokens_format.h"

#define WINDOW 256              /* documents looked at for a row, at least */
#define SEARCH 16384            /* of a longer row, the last tokens are searched for; what comes before is filled in order */
#define RNG_STREAM 0x7061636bu

/* What must stand together: one document, or those of a group, one after the other in the spool. */
struct unit {
	uint64_t at;            /* byte in the spool */
	uint32_t length, docs;  /* tokens, records */
};

struct pm_packer {
	struct pm_pack_opts o;
	struct pm_pack_sink sink;
	struct pm_pack_stats stats;
	bool begun;
	struct pm_record row, doc;
	struct pm_record *open;         /* the documents of the unit that is being collected */
	size_t nopen, cap_open;
	uint64_t part;                  /* of the open unit */
	int64_t next_group;
	FILE *spool;
	uint64_t spooled;
	struct unit *units;
	size_t nunits, cap_units;
	struct pm_str buf;
};

int64_t pm_pack_subset(unsigned char *take, const uint32_t *length, size_t n, int64_t cap, struct pm_err *e)
{
	size_t words = (size_t)cap / 64 + 1, i, w;
	uint64_t *reach = pm_alloc(words, sizeof *reach, e);            /* bit s: some of the entries so far add up to s */
	uint32_t *last = pm_alloc((size_t)cap + 1, sizeof *last, e);    /* the entry with which s was first reached, + 1 */
	uint64_t top = (uint64_t)2 << cap % 64;                         /* sums above cap are cut off in the last word */
	int64_t sum = -1;

	if (!reach || !last)
		goto out;
	reach[0] = 1;
	for (i = 0; i < n && !(reach[words - 1] & (uint64_t)1 << cap % 64); i++) {
		size_t skip = length[i] / 64, bits = length[i] % 64;

		for (w = words; w-- > skip;) {          /* downwards: what is read has not seen this entry yet */
			uint64_t shifted = reach[w - skip] << bits, fresh;

			if (bits && w > skip)
				shifted |= reach[w - skip - 1] >> (64 - bits);
			fresh = shifted & ~reach[w];
			if (w == words - 1 && cap % 64 != 63)
				fresh &= top - 1;
			reach[w] |= fresh;
			for (; fresh; fresh &= fresh - 1)
				last[w * 64 + (size_t)__builtin_ctzll(fresh)] = (uint32_t)i + 1;
		}
	}
	for (sum = cap; !(reach[sum / 64] & (uint64_t)1 << sum % 64);)
		sum--;
	memset(take, 0, n);
	for (int64_t s = sum; s > 0; s -= length[last[s] - 1])
		take[last[s] - 1] = 1;
out:
	free(reach);
	free(last);
	return sum;
}

double pm_pack_efficiency(const struct pm_pack_stats *s, int64_t length)
{
	return s->rows ? (double)s->filled / ((double)s->rows * (double)length) : 0;
}

int pm_packer_new(struct pm_packer **out, const struct pm_pack_opts *o, const struct pm_pack_sink *sink, struct pm_err *e)
{
	struct pm_packer *p = pm_alloc(1, sizeof *p, e);
	struct pm_str name = {0};
	int fd = -1;

	*out = NULL;
	if (!p)
		return -1;
	p->o = *o;
	p->sink = *sink;
	if (o->shuffle) {
		if (pm_str_printf(&name, e, "%s/pm-pack-XXXXXX", o->tmpdir) == 0 && (fd = mkstemp(name.data)) >= 0) {
			unlink(name.data);
			p->spool = fdopen(fd, "w+b");
		}
		if (!p->spool)
			pm_fail_errno(e, PM_NOCREATE, "%s: cannot create a temporary file", o->tmpdir);
		pm_str_free(&name);
		if (!p->spool) {
			e->status = e->status == PM_NOINPUT ? PM_NOCREATE : e->status;  /* no such directory */
			pm_packer_free(p);
			return -1;
		}
	}
	*out = p;
	return 0;
}

static int begin(struct pm_packer *p, int64_t rows, struct pm_err *e)
{
	if (p->begun)
		return 0;
	p->begun = true;
	return p->sink.begin(p->sink.arg, rows, pm_pack_efficiency(&p->stats, p->o.length), e);
}

static int row_flush(struct pm_packer *p, struct pm_err *e)
{
	struct pm_record *r = &p->row;
	size_t length = (size_t)p->o.length, used = r->n;

	if (!r->ndocs)
		return 0;
	memset(r->ids + used, 0, (length - used) * sizeof *r->ids);
	memset(r->weights + used, 0, (length - used) * sizeof *r->weights);
	r->n = length;
	if (p->sink.row(p->sink.arg, r, e) < 0)
		return -1;
	return pm_record_reset(r, length, e);
}

/* Puts a document behind what the row holds; it fits. */
static int row_put(struct pm_packer *p, const struct pm_record *d, struct pm_err *e)
{
	struct pm_record *r = &p->row;
	size_t i;

	if ((!r->ndocs && pm_record_reset(r, (size_t)p->o.length, e) < 0) || pm_record_room_docs(r, r->ndocs + 1, e) < 0)
		return -1;
	r->kind = PM_REC_ROW;
	r->has_weights = true;
	memcpy(r->ids + r->n, d->ids, d->n * sizeof *d->ids);
	for (i = 0; i < d->n; i++)
		r->weights[r->n + i] = i ? pm_record_weight(d, i) : 0;
	r->doc_kinds[r->ndocs] = d->kind;
	r->doc_groups[r->ndocs] = d->group;
	r->has_docs |= d->kind != PM_REC_TEXT || d->group >= 0;
	r->bounds[r->ndocs++] = (uint32_t)r->n;
	r->n += d->n;
	r->bounds[r->ndocs] = (uint32_t)r->n;
	return 0;
}

/* Hands a unit on: into the row (next-fit), or to the spool. */
static int take_unit(struct pm_packer *p, const struct pm_record *docs, size_t n, struct pm_err *e)
{
	struct unit u = {.at = p->spooled, .docs = (uint32_t)n};
	size_t i, length = 0;

	for (i = 0; i < n; i++)
		length += docs[i].n;
	u.length = (uint32_t)length;
	if (!p->o.shuffle) {
		if (begin(p, -1, e) < 0)
			return -1;
		if (!p->row.ndocs || p->row.n + length > (size_t)p->o.length) {
			if (row_flush(p, e) < 0)
				return -1;
			p->stats.rows++;
		}
		p->stats.filled += length;
		for (i = 0; i < n; i++)
			if (row_put(p, &docs[i], e) < 0)
				return -1;
		return 0;
	}
	for (i = 0; i < n; i++) {
		if (pm_record_to_bytes(&p->buf, &docs[i], e) < 0)
			return -1;
		if (fwrite(p->buf.data, 1, p->buf.len, p->spool) != p->buf.len)
			return pm_fail_errno(e, PM_IOERR, "%s: cannot write the temporary file", p->o.tmpdir);
		p->spooled += p->buf.len;
	}
	if (pm_grow(&p->units, &p->cap_units, p->nunits + 1, sizeof *p->units, e) < 0)
		return -1;
	p->units[p->nunits++] = u;
	return 0;
}

static uint64_t trained(const struct pm_record *r, size_t from, size_t to)
{
	uint64_t n = 0;
	size_t i;

	for (i = from ? from : 1; i < to; i++)
		n += pm_record_weight(r, i) != 0;
	return n;
}

/* Everything from token `from` on goes. Where anything trained is there, the last trained token of the document is. */
static void lose(struct pm_packer *p, const struct pm_record *r, size_t from)
{
	uint64_t n = trained(r, from, r->n);

	p->stats.trained_lost += n;
	p->stats.ends_lost += n > 0;
}

static int copy_part(struct pm_record *to, const struct pm_record *from, size_t at, size_t n, struct pm_err *e)
{
	if (pm_record_reset(to, n, e) < 0)
		return -1;
	to->kind = from->kind;
	to->group = from->group;
	to->line = from->line;
	to->n = n;
	to->has_weights = from->has_weights;
	memcpy(to->ids, from->ids + at, n * sizeof *to->ids);
	if (from->has_weights)
		memcpy(to->weights, from->weights + at, n * sizeof *to->weights);
	return 0;
}

/* One document longer than a row. */
static int overflow(struct pm_packer *p, const struct pm_record *r, struct pm_err *e)
{
	size_t length = (size_t)p->o.length, at, n;

	if (p->o.overflow == PM_OVERFLOW_ERROR)
		return pm_fail(e, PM_DATA, "the document of line %lld has %zu tokens, a row has %zu", (long long)r->line, r->n, length);
	if (p->o.overflow == PM_OVERFLOW_DROP) {
		p->stats.dropped++;
		lose(p, r, 0);
		return 0;
	}
	if (p->o.overflow == PM_OVERFLOW_CUT) {
		p->stats.cut++;
		lose(p, r, length);
		return copy_part(&p->doc, r, 0, length, e) < 0 ? -1 : take_unit(p, &p->doc, 1, e);
	}
	p->stats.split++;
	for (at = 0; at < r->n; at += n) {
		n = r->n - at < length ? r->n - at : length;
		if (copy_part(&p->doc, r, at, n, e) < 0)
			return -1;
		p->stats.trained_lost += at && pm_record_weight(r, at) != 0;    /* it begins a piece: nothing predicts it */
		if (!trained(&p->doc, 0, n)) {
			p->stats.left_out++;
			continue;
		}
		p->stats.pieces++;
		if (take_unit(p, &p->doc, 1, e) < 0)
			return -1;
	}
	return 0;
}

/* The group collected so far is whole. */
static int close_unit(struct pm_packer *p, struct pm_err *e)
{
	size_t i, n = p->nopen, total = 0;

	p->nopen = 0;
	for (i = 0; i < n; i++)
		total += p->open[i].n;
	if (!n)
		return 0;
	if (total > (size_t)p->o.length) {
		if (p->o.overflow == PM_OVERFLOW_ERROR)
			return pm_fail(e, PM_DATA, "the group of line %lld has %zu tokens, a row has %lld", (long long)p->open[0].line, total,
			    (long long)p->o.length);
		p->stats.dropped += n;
		for (i = 0; i < n; i++)
			lose(p, &p->open[i], 0);
		return 0;
	}
	for (i = 0; i < n; i++)
		p->open[i].group = p->next_group;
	p->next_group++;
	return take_unit(p, p->open, n, e);
}

int pm_packer_add(struct pm_packer *p, const struct pm_record *r, uint64_t part, struct pm_err *e)
{
	size_t i;

	if (p->nopen && (r->group != p->open[0].group || part != p->part) && close_unit(p, e) < 0)
		return -1;
	p->stats.documents++;
	p->stats.tokens += r->n;
	p->stats.trained += trained(r, 0, r->n);
	if (!r->n) {
		p->stats.empty++;
		return 0;
	}
	if (r->group < 0)
		return r->n > (size_t)p->o.length ? overflow(p, r, e) : take_unit(p, r, 1, e);
	if (p->nopen == p->cap_open) {
		i = p->cap_open;
		if (pm_grow(&p->open, &p->cap_open, p->nopen + 1, sizeof *p->open, e) < 0)
			return -1;
		memset(p->open + i, 0, (p->cap_open - i) * sizeof *p->open);
	}
	p->part = part;
	return copy_part(&p->open[p->nopen++], r, 0, r->n, e);
}

/* Units in drawn order, from which rows are made: order[0 … n) waits in the window. */
struct window {
	uint64_t *unit;
	uint32_t *length;
	unsigned char *take;
	size_t n, cap_u, cap_l, cap_t;
	uint64_t tokens;
};

static int window_put(struct window *w, uint64_t unit, uint32_t length, struct pm_err *e)
{
	if (pm_grow(&w->unit, &w->cap_u, w->n + 1, sizeof *w->unit, e) < 0 || pm_grow(&w->length, &w->cap_l, w->n + 1, sizeof *w->length, e) < 0 ||
	    pm_grow(&w->take, &w->cap_t, w->n + 1, 1, e) < 0)
		return -1;
	w->unit[w->n] = unit;
	w->length[w->n++] = length;
	w->tokens += length;
	return 0;
}

/* Moves the units of one row from the window to `row` and returns how many they are; the oldest is always one of them. */
static int64_t window_row(struct window *w, int64_t length, uint64_t *row, struct pm_err *e)
{
	int64_t left = length, n = 0;
	size_t first = 0, i, k = 0;

	do
		left -= w->length[first++];
	while (first < w->n && left - (int64_t)w->length[first] >= SEARCH);
	memset(w->take, 1, first);
	if (left > 0 && pm_pack_subset(w->take + first, w->length + first, w->n - first, left, e) < 0)
		return -1;
	if (left == 0)
		memset(w->take + first, 0, w->n - first);
	for (i = 0; i < w->n; i++) {
		if (w->take[i]) {
			row[n++] = w->unit[i];
			w->tokens -= w->length[i];
		} else {
			w->unit[k] = w->unit[i];
			w->length[k++] = w->length[i];
		}
	}
	w->n = k;
	return n;
}

/* plan: the units in the order of the rows; the last of each row has LAST set. Done before the first row is written, so that the
 * header can say how many there will be. */
#define LAST ((uint64_t)1 << 63)

static int plan_rows(struct pm_packer *p, uint64_t *order, uint64_t *plan, struct pm_err *e)
{
	struct window w = {0};
	size_t drawn = 0, done = 0;
	int64_t n;
	int r = 0;

	pm_rng_shuffle(order, p->nunits, p->o.seed, RNG_STREAM);
	while (r == 0 && done < p->nunits) {
		while (r == 0 && drawn < p->nunits && (w.n < WINDOW || w.tokens < 2 * (uint64_t)p->o.length)) {
			const struct unit *u = &p->units[order[drawn]];

			r = window_put(&w, order[drawn++], u->length, e);
			p->stats.filled += u->length;
		}
		n = r == 0 ? window_row(&w, p->o.length, plan + done, e) : -1;
		if (n < 0) {
			r = -1;
			break;
		}
		done += (size_t)n;
		plan[done - 1] |= LAST;
		p->stats.rows++;
	}
	free(w.unit);
	free(w.length);
	free(w.take);
	return r;
}

static int read_spooled(struct pm_packer *p, struct pm_err *e)
{
	unsigned char head[4];
	size_t n;

	if (fread(head, 1, 4, p->spool) != 4)
		return pm_fail_errno(e, PM_IOERR, "%s: cannot read the temporary file", p->o.tmpdir);
	n = pm_le32(head);
	if (pm_grow(&p->buf.data, &p->buf.cap, n, 1, e) < 0)
		return -1;
	if (fread(p->buf.data, 1, n, p->spool) != n)
		return pm_fail_errno(e, PM_IOERR, "%s: cannot read the temporary file", p->o.tmpdir);
	return pm_record_from_bytes(&p->doc, (const unsigned char *)p->buf.data, n, e);
}

static int write_rows(struct pm_packer *p, const uint64_t *plan, struct pm_err *e)
{
	size_t i, k;

	for (i = 0; i < p->nunits; i++) {
		const struct unit *u = &p->units[plan[i] & ~LAST];

		if (fseeko(p->spool, (off_t)u->at, SEEK_SET) < 0)
			return pm_fail_errno(e, PM_IOERR, "%s: cannot read the temporary file", p->o.tmpdir);
		for (k = 0; k < u->docs; k++)
			if (read_spooled(p, e) < 0 || row_put(p, &p->doc, e) < 0)
				return -1;
		if (plan[i] & LAST && row_flush(p, e) < 0)
			return -1;
	}
	return 0;
}

int pm_packer_end(struct pm_packer *p, struct pm_err *e)
{
	uint64_t *order = NULL, *plan = NULL;
	int r = close_unit(p, e);

	if (r == 0 && p->o.shuffle && p->nunits) {
		order = pm_alloc(p->nunits, sizeof *order, e);
		plan = pm_alloc(p->nunits, sizeof *plan, e);
		r = order && plan ? plan_rows(p, order, plan, e) : -1;
		free(order);
		if (r == 0 && fflush(p->spool))
			r = pm_fail_errno(e, PM_IOERR, "%s: cannot write the temporary file", p->o.tmpdir);
		if (r == 0)
			r = begin(p, (int64_t)p->stats.rows, e);
		if (r == 0)
			r = write_rows(p, plan, e);
		free(plan);
	}
	if (r == 0)
		r = row_flush(p, e);
	if (r == 0 && !p->stats.rows)
		r = pm_fail(e, PM_DATA, p->stats.documents ? "no document is left to be packed" : "no documents came");
	return r;
}

const struct pm_pack_stats *pm_packer_stats(const struct pm_packer *p)
{
	return &p->stats;
}

void pm_packer_free(struct pm_packer *p)
{
	size_t i;

	if (!p)
		return;
	for (i = 0; i < p->cap_open; i++)
		pm_record_free(&p->open[i]);
	free(p->open);
	if (p->spool)
		fclose(p->spool);
	free(p->units);
	pm_record_free(&p->row);
	pm_record_free(&p->doc);
	pm_str_free(&p->buf);
	free(p);
}
