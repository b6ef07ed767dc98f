/* rows.c: rows in the spool and back, what they sum to, how they are laid into a batch, what is refused. */
#include <stdlib.h>
#include <string.h>

#include "tap.h"
#include "train/rows.h"

static struct pm_err err;
static const char *tmp;

static struct pm_rows *from_text(const char *text, int64_t vocab)
{
	char path[512];
	const char *paths[1] = {path};
	struct pm_rows *r = NULL;
	FILE *f;

	snprintf(path, sizeof path, "%s/pm-rows-%ld.jsonl", tmp, (long)getpid());
	f = fopen(path, "wb");
	fputs(text, f);
	fclose(f);
	err = (struct pm_err){0};
	pm_rows_open(&r, paths, 1, tmp, vocab, NULL, &err);
	unlink(path);
	return r;
}

static void refused(const char *text, const char *says)
{
	struct pm_rows *r = from_text(text, 10);

	check(!r && err.status == PM_DATA && strstr(err.text, says), "refused: %s", r ? "nothing" : err.text);
	pm_rows_close(r);
}

static void round_trip(void)
{
	struct pm_rows *r = from_text("{\"ids\":[1,2,3]}\n{\"ids\":[4,5],\"weights\":[7,0.5]}\n{\"ids\":[6,7,8,9,0,0]}\n", 10);
	struct pm_record rec = {0};
	int i;

	if (!check(r != NULL, "three rows are read%s%s", err.text[0] ? ": " : "", err.text))
		return;
	check(pm_rows_count(r) == 3 && pm_rows_length(r) == 6 && pm_rows_longest(r) == 6, "%lld rows, the longest of %lld tokens, the longest document of %lld",
	    (long long)pm_rows_count(r), (long long)pm_rows_length(r), (long long)pm_rows_longest(r));
	check(pm_rows_weight(r) > 7.5 - 1e-9 && pm_rows_weight(r) < 7.5 + 1e-9, "first tokens are predicted by nothing: weights sum to %g",
	    pm_rows_weight(r));
	for (i = 0; i < 2; i++) {               /* in any order, again and again */
		check(pm_rows_get(r, 2, &rec, &err) == 0 && rec.n == 6 && rec.ids[2] == 8 && pm_record_weight(&rec, 3) == 1, "the last row");
		check(pm_rows_get(r, 0, &rec, &err) == 0 && rec.n == 3 && rec.ndocs == 1 && rec.bounds[1] == 3 && rec.ids[2] == 3 &&
		    pm_record_weight(&rec, 2) == 1, "a document is a row");
		check(pm_rows_get(r, 1, &rec, &err) == 0 && rec.n == 2 && pm_record_weight(&rec, 1) == 0.5f, "weights");
	}
	pm_record_free(&rec);
	pm_rows_close(r);
}

static void hashes(void)
{
	struct pm_rows *a = from_text("{\"ids\":[1,2,3]}\n{\"ids\":[4]}\n", 10), *b = from_text("{\"ids\":[1,2,3],\"weights\":[1,1,1]}\n{\"ids\":[4]}\n", 10);
	struct pm_rows *c = from_text("{\"ids\":[4]}\n{\"ids\":[1,2,3]}\n", 10), *d = from_text("{\"ids\":[1,2,3],\"weights\":[1,1,0.5]}\n{\"ids\":[4]}\n", 10);

	check(a && b && !strcmp(pm_rows_hash(a), pm_rows_hash(b)) && strlen(pm_rows_hash(a)) == 64, "the same rows have the same hash");
	check(a && c && d && strcmp(pm_rows_hash(a), pm_rows_hash(c)) && strcmp(pm_rows_hash(a), pm_rows_hash(d)), "another order or weight has another");
	pm_rows_close(a);
	pm_rows_close(b);
	pm_rows_close(c);
	pm_rows_close(d);
}

static void laid(void)
{
	struct pm_rows *r = from_text("{\"ids\":[6,7,8,9,5,0],\"weights\":[9,1,1,0.25,0,1],\"bounds\":[0,2,5],\"kind\":\"row\"}\n", 10);
	struct pm_record rec = {0};
	struct pm_batch b = {0};
	int32_t target[8];
	float weight[8];
	int64_t trained = 5, i;
	double sum;
	int ok = 1;

	if (!check(r && pm_batch_new(&b, 8, &err) == 0 && pm_rows_get(r, 0, &rec, &err) == 0, "a row to lay%s%s", err.text[0] ? ": " : "", err.text))
		return;
	for (i = 0; i < 8; i++) {
		target[i] = -1;
		weight[i] = 0;
	}
	sum = pm_rows_lay(&rec, &b, 2, target, weight, &trained);
	check(rec.ndocs == 2 && rec.bounds[1] == 2 && rec.bounds[2] == 5 && pm_record_weight(&rec, 3) == 0.25f, "a row of two documents");
	check(sum > 1.249 && sum < 1.251 && trained == 7, "the weights of its predictions: %g in %lld", sum, (long long)trained - 5);
	check(target[2] == 7 && target[3] == -1 && target[4] == 9 && target[5] == -1, "targets are the next tokens of the same document, where they weigh");
	check(weight[2] == 1 && weight[4] == 0.25f && weight[3] == 0 && weight[5] == 0 && weight[6] == 0, "their weights");
	check(b.pos[2] == 0 && b.pos[3] == 1 && b.pos[4] == 0 && b.pos[6] == 2, "every document counts its positions from 0");
	check(b.first[3] == 2 && b.last[3] == 4 && b.first[6] == 4 && b.last[6] == 7 && b.last[4] == 5, "and sees itself alone, up to here");
	for (i = 0; i < 2; i++)
		ok &= b.last[i] <= b.first[i] && target[i] == -1;
	check(ok && b.last[7] <= b.first[7] && target[7] == -1, "what is around it sees nothing and predicts nothing");
	pm_batch_free(&b);
	pm_record_free(&rec);
	pm_rows_close(r);
}

int main(void)
{
	tmp = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
	round_trip();
	hashes();
	laid();
	refused("{\"ids\":[1,2]}\n{\"ids\":[10]}\n", "record 2: token 10 does not exist: the model's vocabulary has 10");
	refused("{\"ids\":[]}\n", "record 1: has no tokens");
	refused("{\"ids\":[1],\"kind\":\"chosen\"}\n", "not parts of preferences");
	refused("", "is empty");
	refused("{\"ids\":[1,2\n", "line");
	return done();
}
