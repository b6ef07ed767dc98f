#include "train/rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A spooled row: u32 n, u32 ndocs, ids, weights, bounds. */
struct pm_rows {
	FILE *spool;
	int64_t *at;
	size_t n, cap;
	int64_t length, longest, vocab;
	double weight;
	char hash[PM_SHA256_HEX];
	struct pm_sha256 hashing;
};

static int spool_put(struct pm_rows *r, const void *p, size_t n, struct pm_err *e)
{
	if (n && fwrite(p, 1, n, r->spool) != n)
		return pm_fail_errno(e, PM_IOERR, "spooling the rows");
	pm_sha256_put(&r->hashing, p, n);
	return 0;
}

int pm_rows_add(struct pm_rows *r, const struct pm_record *rec, struct pm_err *e)
{
	uint32_t whole[2] = {0, (uint32_t)rec->n}, head[2];
	const uint32_t *bounds = rec->ndocs ? rec->bounds : whole;
	size_t i, d, ndocs = rec->ndocs ? rec->ndocs : 1;

	if (!rec->n)
		return pm_fail(e, PM_DATA, "has no tokens");
	for (i = 0; i < rec->n; i++)
		if (rec->ids[i] < 0 || rec->ids[i] >= r->vocab)
			return pm_fail(e, PM_DATA, "token %d does not exist: the model's vocabulary has %lld", rec->ids[i], (long long)r->vocab);
	if (pm_grow(&r->at, &r->cap, r->n + 1, sizeof *r->at, e) < 0)
		return -1;
	if (fseeko(r->spool, 0, SEEK_END) < 0)
		return pm_fail_errno(e, PM_IOERR, "spooling the rows");
	r->at[r->n++] = ftello(r->spool);
	head[0] = (uint32_t)rec->n;
	head[1] = (uint32_t)ndocs;
	if (spool_put(r, head, sizeof head, e) < 0 || spool_put(r, rec->ids, rec->n * sizeof *rec->ids, e) < 0)
		return -1;
	for (i = 0; i < rec->n; i++) {
		float w = pm_record_weight(rec, i);

		if (spool_put(r, &w, sizeof w, e) < 0)
			return -1;
	}
	for (d = 0; d < ndocs; d++)
		for (i = bounds[d] + 1; i < bounds[d + 1]; i++)
			r->weight += (double)pm_record_weight(rec, i);
	for (i = 0; i < ndocs; i++)
		if ((int64_t)(bounds[i + 1] - bounds[i]) > r->longest)
			r->longest = bounds[i + 1] - bounds[i];
	if ((int64_t)rec->n > r->length)
		r->length = (int64_t)rec->n;
	return spool_put(r, bounds, (ndocs + 1) * sizeof *bounds, e);
}

static int read_one(struct pm_rows *r, const char *path, const char *tokenizer, struct pm_err *e)
{
	struct pm_record rec = {0};
	struct pm_stream *s;
	const char *theirs = NULL;
	int64_t i = 0;
	int got;

	if (pm_stream_open(&s, path, e) < 0)
		return -1;
	if (pm_stream_header(s) && pm_json_str(&theirs, pm_stream_header(s), "tokenizer", e) < 0) {
		pm_stream_close(s);
		return pm_ctx(e, "%s", path);
	}
	if (theirs && tokenizer && strcmp(theirs, tokenizer)) {
		pm_stream_close(s);
		return pm_fail(e, PM_DATA, "%s: made with another tokenizer than the model's (%.12s…, not %.12s…)", path, theirs, tokenizer);
	}
	while ((got = pm_stream_read(s, &rec, e)) > 0) {
		i++;
		if (rec.kind != PM_REC_TEXT && rec.kind != PM_REC_ROW)
			got = pm_fail(e, PM_DATA, "%s: record %lld: rows or documents were wanted, not parts of preferences", path, (long long)i);
		else if (pm_rows_add(r, &rec, e) < 0)
			got = pm_ctx(e, "%s: record %lld", path, (long long)i);
		if (got < 0)
			break;
	}
	pm_record_free(&rec);
	pm_stream_close(s);
	return got;
}

int pm_rows_new(struct pm_rows **out, const char *tmp, int64_t vocab, struct pm_err *e)
{
	struct pm_rows *r = pm_alloc(1, sizeof *r, e);
	char *name = r ? pm_path(tmp, "pm-rows.XXXXXX", e) : NULL;
	int fd, status = -1;

	*out = NULL;
	if (name && pm_sha256_begin(&r->hashing, e) == 0) {
		r->vocab = vocab;
		fd = mkstemp(name);
		if (fd >= 0 && (r->spool = fdopen(fd, "w+b")) && unlink(name) == 0)
			status = 0;
		else
			pm_fail_errno(e, PM_NOCREATE, "%s", name);
	}
	free(name);
	if (status < 0)
		pm_rows_close(r);
	else
		*out = r;
	return status;
}

int pm_rows_open(struct pm_rows **out, const char *const *paths, size_t n, const char *tmp, int64_t vocab, const char *tokenizer, struct pm_err *e)
{
	struct pm_rows *r;
	size_t i;
	int status = pm_rows_new(&r, tmp, vocab, e);

	*out = NULL;
	if (status < 0)
		return -1;
	for (i = 0; status == 0 && i < (n ? n : 1); i++)
		status = read_one(r, n ? paths[i] : "-", tokenizer, e);
	if (status == 0 && !r->n)
		status = pm_fail(e, PM_DATA, "%s: there are no rows in it", n ? paths[0] : "-");
	if (status == 0 && fflush(r->spool))
		status = pm_fail_errno(e, PM_IOERR, "spooling the rows");
	pm_sha256_end(&r->hashing, r->hash);
	if (status < 0)
		pm_rows_close(r);
	else
		*out = r;
	return status;
}

int64_t pm_rows_count(const struct pm_rows *r) { return (int64_t)r->n; }
int64_t pm_rows_length(const struct pm_rows *r) { return r->length; }
int64_t pm_rows_longest(const struct pm_rows *r) { return r->longest; }
double pm_rows_weight(const struct pm_rows *r) { return r->weight; }
const char *pm_rows_hash(const struct pm_rows *r) { return r->hash; }

static int spool_get(struct pm_rows *r, void *p, size_t n, struct pm_err *e)
{
	if (n && fread(p, 1, n, r->spool) != n)
		return pm_fail_errno(e, PM_IOERR, "reading a spooled row");
	return 0;
}

int pm_rows_get(struct pm_rows *r, int64_t i, struct pm_record *rec, struct pm_err *e)
{
	uint32_t head[2];

	if (fseeko(r->spool, r->at[i], SEEK_SET) < 0)
		return pm_fail_errno(e, PM_IOERR, "reading a spooled row");
	if (spool_get(r, head, sizeof head, e) < 0)
		return -1;
	rec->kind = PM_REC_ROW;
	rec->has_weights = true;
	rec->has_weights = true;
	rec->n = head[0];
	rec->ndocs = head[1];
	if (pm_grow(&rec->ids, &rec->cap, rec->n, sizeof *rec->ids, e) < 0 ||
	    pm_grow(&rec->weights, &rec->cap_w, rec->n, sizeof *rec->weights, e) < 0 ||
	    pm_grow(&rec->bounds, &rec->cap_b, rec->ndocs + 1, sizeof *rec->bounds, e) < 0)
		return -1;
	if (spool_get(r, rec->ids, rec->n * sizeof *rec->ids, e) < 0 || spool_get(r, rec->weights, rec->n * sizeof *rec->weights, e) < 0)
		return -1;
	return spool_get(r, rec->bounds, (rec->ndocs + 1) * sizeof *rec->bounds, e);
}

void pm_rows_close(struct pm_rows *r)
{
	char unused[PM_SHA256_HEX];

	if (!r)
		return;
	if (r->hashing.state)
		pm_sha256_end(&r->hashing, unused);
	if (r->spool)
		fclose(r->spool);
	free(r->at);
	free(r);
}

double pm_rows_lay(const struct pm_record *rec, struct pm_batch *b, int64_t at, int32_t *target, float *weight, int64_t *trained)
{
	double sum = 0;
	size_t d, i;

	for (d = 0; d < rec->ndocs; d++) {
		uint32_t from = rec->bounds[d], to = rec->bounds[d + 1];

		pm_batch_document(b, at + from, rec->ids + from, to - from);
		for (i = from; i < to; i++) {
			float w = i + 1 < to ? rec->weights[i + 1] : 0;

			target[at + (int64_t)i] = w != 0 ? rec->ids[i + 1] : -1;
			weight[at + (int64_t)i] = w;
			sum += w;
			*trained += w != 0;
		}
	}
	return sum;
}
