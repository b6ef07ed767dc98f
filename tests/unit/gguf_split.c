/* gguf_split: models in parts NAME-00001-of-0000N.gguf, opened as one store. */
#include <string.h>
#include <unistd.h>

#include "io/store.h"
#include "tap.h"

static char dir[] = "/tmp/pm-unit-XXXXXX";

/* Part no of 2: split.no, split.count, split.tensors.count as given. */
static void part(int file_no, int64_t no, int64_t count, int64_t tensors, const char *tensor_name)
{
	struct pm_gguf_writer *w;
	struct pm_err e;
	char p[100];

	snprintf(p, sizeof p, "%s/m-%05d-of-00002.gguf", dir, file_no);
	if (pm_gguf_begin(&w, p, 0, &e) < 0)
		return;
	pm_gguf_put_int(w, "split.no", PM_GGUF_U16, no, &e);
	pm_gguf_put_int(w, "split.count", PM_GGUF_U16, count, &e);
	pm_gguf_put_int(w, "split.tensors.count", PM_GGUF_I32, tensors, &e);
	pm_gguf_declare(w, tensor_name, PM_I8, 1, (uint64_t[]){1}, &e);
	pm_gguf_put(w, tensor_name, 1, &e);
	pm_gguf_end(w, &e);
}

static void split_refused(const char *what, enum pm_status status, const char *words)
{
	struct pm_store *s = NULL;
	struct pm_err e = {0};
	char p[100];
	int r;

	snprintf(p, sizeof p, "%s/m-00001-of-00002.gguf", dir);
	r = pm_store_open(&s, p, &e);
	check(r < 0 && e.status == status && strstr(e.text, words), "%s: %s", what, r < 0 ? e.text : "accepted");
	if (r == 0)
		pm_store_close(s);
}

static void split(void)
{
	struct pm_store *s = NULL;
	struct pm_err e = {0};
	const char *const *names, *first;
	char p[100], other[100];

	snprintf(p, sizeof p, "%s/m-00002-of-00002.gguf", dir);
	part(1, 0, 2, 2, "a");
	split_refused("a part is missing", PM_NOINPUT, "m-00002-of-00002.gguf");
	part(2, 1, 2, 2, "b");
	if (check(pm_store_open(&s, p, &e) == 0, "opened by its second part %s", e.text)) {
		check(pm_store_count(s) == 2 && pm_store_files(s, &names) == 2 && strstr(names[0], "00001-of") && pm_store_find(s, "b")->data[0] == 'b' &&
			!strcmp(pm_store_file_of(s, pm_store_find(s, "b")), p) && pm_gguf_find(pm_store_gguf(s), "a"), "two parts, one model");
		pm_store_close(s);
	}
	part(2, 1, 2, 2, "a");
	split_refused("a tensor in both", PM_DATA, "tensor 'a'");
	part(2, 0, 2, 2, "b");
	split_refused("the first part twice", PM_DATA, "split.no: 1 was wanted, not 0");
	part(2, 1, 3, 2, "b");
	split_refused("a part of three", PM_DATA, "split.count: 2 was wanted, not 3");
	part(2, 1, 2, 3, "b");
	split_refused("another number of tensors", PM_DATA, "split.tensors.count: 2 was wanted, not 3");
	part(1, 0, 2, 3, "a");
	split_refused("fewer tensors than said", PM_DATA, "split.tensors.count is 3, the 2 parts have 2");
	part(1, 0, 3, 2, "a");
	split_refused("a name that says another number", PM_DATA, "one part of 3");
	snprintf(other, sizeof other, "%s/x.gguf", dir);
	rename(p, other);
	check(pm_store_open(&s, other, &e) < 0 && strstr(e.text, "one part of 2"), "%s", e.text);
	remove(other);
	snprintf(p, sizeof p, "%s/m-00001-of-00002.gguf", dir);
	remove(p);
	first = golden_path("fixtures/quant/models/stories260K/split/stories260K-00003-of-00003.gguf");
	if (!first) {
		skip("golden data is not there");
		return;
	}
	check(pm_store_open(&s, first, &e) == 0 && pm_store_count(s) == 47 && pm_gguf_key(pm_store_gguf(s), "tokenizer.ggml.tokens"), "a model in three parts %s",
		e.text);
	pm_store_close(s);
}

int main(void)
{
	if (!mkdtemp(dir))
		return 1;
	split();
	rmdir(dir);
	return done();
}
