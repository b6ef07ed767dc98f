/* Compiled files: the tables of a tokenizer as they lie in memory, to be mapped. The sum over all of it finds what is damaged; and
 * since anyone can write a file with the right sum, nothing in it is believed that could lead out of the tables. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/mem.h"
#include "text/ready.h"

enum { VERSION = 1, ALIGN = 64, MANY = 24 };

struct head {
	char magic[8];
	uint32_t version, order;        /* `order` reads as it was written on machines of the same byte order */
	uint64_t sum;                   /* of all that follows */
	uint64_t size;                  /* of the file */
	uint64_t layout;                /* of the structs, and of the hash function */
	char name[PM_SHA256_HEX + 7];   /* of the tokenizer.json, closed by zeros */
	uint32_t model, crosses_size;
	/* how many things each section holds */
	uint64_t rest, bytes, entries, slots, ids, merges, filter, scores, nodes, edges;
	uint8_t crosses[256];
	uint32_t root[256];
};

static const char magic[8] = "pm-vocab";

static uint64_t layout(void)
{
	uint64_t h = sizeof(struct pm_vocab_entry) | sizeof(struct pm_vocab_slot) << 8 | sizeof(struct pm_bpe_merge) << 16
		| sizeof(struct pm_trie_node) << 24 | (uint64_t)sizeof(struct pm_trie_edge) << 32 | (uint64_t)sizeof(struct head) << 40;

	return h ^ pm_vocab_hash("the quick brown fox jumps", 25);
}

/* Eight sums side by side, so that none waits for another. */
static uint64_t sum_of(const unsigned char *p, size_t n)
{
	uint64_t s[8] = {1, 2, 3, 4, 5, 6, 7, 8}, w[8], all = n;

	for (; n >= sizeof w; p += sizeof w, n -= sizeof w) {
		memcpy(w, p, sizeof w);
		for (int i = 0; i < 8; i++) {
			s[i] = (s[i] ^ w[i]) * UINT64_C(0x9e3779b97f4a7c15);
			s[i] = s[i] << 29 | s[i] >> 35;
		}
	}
	memset(w, 0, sizeof w);
	memcpy(w, p, n);
	for (int i = 0; i < 8; i++)
		all = pm_vocab_mix(all ^ s[i], w[i]);
	return all;
}

/* A section's place: sections follow each other, each on its own line of cache. False where it does not fit. */
static bool section(size_t *at, size_t size, uint64_t n, size_t each, size_t *begin)
{
	*begin = (*at + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	if (*begin > size || n > (size - *begin) / each)
		return false;
	*at = *begin + (size_t)n * each;
	return true;
}

struct places {
	size_t rest, bytes, entries, slots, by_id, merges, filter, scores, nodes, edges, end;
};

static bool place(const struct head *h, size_t size, struct places *x)
{
	size_t at = sizeof *h;
	bool ok = section(&at, size, h->rest, 1, &x->rest) && section(&at, size, h->bytes, 1, &x->bytes)
		&& section(&at, size, h->entries, sizeof(struct pm_vocab_entry), &x->entries)
		&& section(&at, size, h->slots, sizeof(struct pm_vocab_slot), &x->slots) && section(&at, size, h->ids, 4, &x->by_id)
		&& section(&at, size, h->merges, sizeof(struct pm_bpe_merge), &x->merges) && section(&at, size, h->filter, 8, &x->filter)
		&& section(&at, size, h->scores, sizeof(double), &x->scores)
		&& section(&at, size, h->nodes, sizeof(struct pm_trie_node), &x->nodes)
		&& section(&at, size, h->edges, sizeof(struct pm_trie_edge), &x->edges);

	x->end = at;
	return ok;
}

static bool check_head(struct head *h, const unsigned char *p, size_t n, const char *name)
{
	if (n < sizeof *h)
		return false;
	memcpy(h, p, sizeof *h);
	return memcmp(h->magic, magic, sizeof magic) == 0 && h->version == VERSION && h->order == 0x01020304 && h->size == n
		&& h->layout == layout() && strncmp(h->name, name, sizeof h->name) == 0
		&& (h->model == PM_READY_BPE || h->model == PM_READY_UNIGRAM)
		&& h->sum == sum_of(p + offsetof(struct head, size), n - offsetof(struct head, size));
}

bool pm_ready_parse(struct pm_ready *r, const void *bytes, size_t n, const char *name)
{
	const unsigned char *p = bytes;
	struct pm_err ignored;
	struct places x;
	struct head h;
	bool bpe;

	memset(r, 0, sizeof *r);
	if (!check_head(&h, p, n, name) || !place(&h, n, &x) || x.end != n)
		return false;
	bpe = h.model == PM_READY_BPE;
	r->vocab = (struct pm_vocab){.bytes = (char *)p + x.bytes, .entry = (struct pm_vocab_entry *)(p + x.entries),
		.slot = (struct pm_vocab_slot *)(p + x.slots), .by_id = (int32_t *)(p + x.by_id), .nbytes = h.bytes, .n = h.entries, .slots = h.slots,
		.ids = h.ids, .borrowed = true};
	r->merges = (struct pm_bpe_merges){.slot = (struct pm_bpe_merge *)(p + x.merges), .filter = (uint64_t *)(p + x.filter), .mask = h.merges - 1,
		.bits = 64 * h.filter - 1, .borrowed = true};
	r->score = (double *)(void *)(p + x.scores);
	r->scores = h.scores;
	r->trie = (struct pm_trie){.node = (struct pm_trie_node *)(p + x.nodes), .edge = (struct pm_trie_edge *)(p + x.edges), .nodes = h.nodes,
		.edges = h.edges, .borrowed = true};
	memcpy(r->trie.root, h.root, sizeof h.root);
	for (int i = 0; i < 256; i++)
		r->crosses[i] = h.crosses[i];
	r->borrowed = true;
	if (!pm_vocab_good(&r->vocab) || (bpe && (!h.merges || !h.filter || !pm_bpe_merges_good(&r->merges, h.ids)))
		|| (!bpe && (!pm_trie_good(&r->trie, h.scores) || h.scores < h.ids)) || pm_str_put(&r->rest, p + x.rest, h.rest, &ignored) < 0) {
		memset(r, 0, sizeof *r);
		return false;
	}
	r->model = bpe ? PM_READY_BPE : PM_READY_UNIGRAM;
	return true;
}

static char *path_of(const char *cache, const char *name)
{
	char file[PM_SHA256_HEX + 8];
	struct pm_err ignored;

	snprintf(file, sizeof file, "%.64s.vocab", name);
	return pm_path(cache, file, &ignored);
}

bool pm_ready_load(struct pm_ready *r, const char *cache, const char *name)
{
	char *path = path_of(cache, name);
	struct pm_err ignored;
	struct pm_map m;
	bool ok = false;

	if (path && pm_map_open(&m, path, &ignored) == 0) {
		ok = pm_ready_parse(r, m.data, m.size, name);
		if (ok) {
			r->map = m;
			utimensat(AT_FDCWD, path, NULL, 0);     /* the time of last use; an error is none */
		} else {
			pm_map_close(&m);
		}
	}
	free(path);
	return ok;
}

static int put(struct pm_str *s, const void *p, size_t n, size_t each)
{
	static const char zeros[ALIGN];
	struct pm_err ignored;

	if (pm_str_put(s, zeros, (ALIGN - s->len % ALIGN) % ALIGN, &ignored) < 0)
		return -1;
	return n ? pm_str_put(s, p, n * each, &ignored) : 0;
}

void pm_ready_seal(void *bytes, size_t n, const char *name)
{
	struct head h;

	if (n < sizeof h)
		return;
	memcpy(&h, bytes, sizeof h);
	memcpy(h.magic, magic, sizeof magic);
	memset(h.name, 0, sizeof h.name);
	snprintf(h.name, sizeof h.name, "%s", name);
	h.version = VERSION;
	h.order = 0x01020304;
	h.layout = layout();
	h.size = n;
	memcpy(bytes, &h, sizeof h);
	h.sum = sum_of((unsigned char *)bytes + offsetof(struct head, size), n - offsetof(struct head, size));
	memcpy(bytes, &h, sizeof h);
}

static int compile(struct pm_str *s, const struct pm_ready *r, const char *name)
{
	const struct pm_vocab *v = &r->vocab;
	bool bpe = r->model == PM_READY_BPE;
	struct pm_err ignored;
	struct head h = {.model = r->model, .rest = r->rest.len, .bytes = v->nbytes,
		.entries = v->n, .slots = v->slots, .ids = v->ids, .merges = bpe ? r->merges.mask + 1 : 0, .filter = bpe ? (r->merges.bits + 1) / 64 : 0,
		.scores = bpe ? 0 : r->scores, .nodes = bpe ? 0 : r->trie.nodes, .edges = bpe ? 0 : r->trie.edges};

	memcpy(h.root, r->trie.root, sizeof h.root);
	for (int i = 0; i < 256; i++)
		h.crosses[i] = r->crosses[i];
	if (pm_str_put(s, &h, sizeof h, &ignored) < 0 || put(s, r->rest.data, h.rest, 1) < 0 || put(s, v->bytes, h.bytes, 1) < 0
		|| put(s, v->entry, h.entries, sizeof *v->entry) < 0 || put(s, v->slot, h.slots, sizeof *v->slot) < 0
		|| put(s, v->by_id, h.ids, sizeof *v->by_id) < 0 || put(s, r->merges.slot, h.merges, sizeof *r->merges.slot) < 0
		|| put(s, r->merges.filter, h.filter, 8) < 0 || put(s, r->score, h.scores, sizeof *r->score) < 0
		|| put(s, r->trie.node, h.nodes, sizeof *r->trie.node) < 0 || put(s, r->trie.edge, h.edges, sizeof *r->trie.edge) < 0)
		return -1;
	pm_ready_seal(s->data, s->len, name);
	return 0;
}

/* Beside its name, then renamed; not synced, since a file that a crash leaves half-written has the wrong sum. */
static void write_file(const char *path, const struct pm_str *s)
{
	struct pm_err ignored;
	size_t room = strlen(path) + 8;
	char *temp = pm_alloc(room, 1, &ignored);
	size_t done = 0;
	ssize_t k = 0;
	int fd;

	if (!temp)
		return;
	snprintf(temp, room, "%s.XXXXXX", path);
	fd = mkstemp(temp);
	if (fd >= 0) {
		while (done < s->len && ((k = write(fd, s->data + done, s->len - done)) > 0 || (k < 0 && errno == EINTR)))
			done += k > 0 ? (size_t)k : 0;
		if (close(fd) < 0 || done < s->len || rename(temp, path) < 0)
			unlink(temp);
	}
	free(temp);
}

/* Removes the file that was not used for longest, where there are many: one at a time is enough, as they are made one at a time. */
static void prune(const char *cache)
{
	char oldest[PM_SHA256_HEX + 8] = "";
	DIR *list = opendir(cache);
	time_t used = 0;
	struct dirent *f;
	struct stat st;
	int n = 0;

	while (list && (f = readdir(list))) {
		size_t len = strlen(f->d_name);

		if (len != 64 + 6 || strcmp(f->d_name + 64, ".vocab") != 0 || fstatat(dirfd(list), f->d_name, &st, 0) < 0)
			continue;
		if (!n++ || st.st_mtime < used) {
			used = st.st_mtime;
			memcpy(oldest, f->d_name, len + 1);
		}
	}
	if (list && n > MANY)
		unlinkat(dirfd(list), oldest, 0);
	if (list)
		closedir(list);
}

void pm_ready_save(const struct pm_ready *r, const char *cache, const char *name)
{
	struct pm_str s = {0};
	struct pm_err ignored;
	char *path = path_of(cache, name);

	if (path && pm_mkdirs(cache, &ignored) == 0 && compile(&s, r, name) == 0)
		write_file(path, &s);
	prune(cache);
	pm_str_free(&s);
	free(path);
}

void pm_ready_free(struct pm_ready *r)
{
	pm_str_free(&r->rest);
	pm_vocab_free(&r->vocab);
	pm_bpe_merges_free(&r->merges);
	pm_trie_free(&r->trie);
	if (!r->borrowed)
		free(r->score);
	if (r->map.data)
		pm_map_close(&r->map);
	memset(r, 0, sizeof *r);
}
