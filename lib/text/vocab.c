#include "text/vocab.h"

#include <stdlib.h>

#include "base/mem.h"

static uint32_t tag(uint64_t h)
{
	return (uint32_t)(h >> 32);
}

static struct pm_vocab_slot *seek(const struct pm_vocab *v, const char *s, size_t n, uint64_t h)
{
	size_t mask = v->slots - 1, i = (size_t)h & mask;
	const struct pm_vocab_entry *t;

	for (; v->slot[i].entry; i = (i + 1) & mask) {
		if (v->slot[i].tag != tag(h))
			continue;
		t = v->entry + v->slot[i].entry - 1;
		if (t->len == n && memcmp(v->bytes + t->at, s, n) == 0)
			break;
	}
	return v->slot + i;
}

/* A table of `slots` (a power of two). */
static int rehash(struct pm_vocab *v, size_t slots, struct pm_err *e)
{
	struct pm_vocab_slot *slot = pm_alloc(slots, sizeof *slot, e), *s;
	const struct pm_vocab_entry *t;
	uint64_t h;

	if (!slot)
		return -1;
	free(v->slot);
	v->slot = slot;
	v->slots = slots;
	for (size_t i = 0; i < v->n; i++) {
		t = v->entry + i;
		h = pm_vocab_hash(v->bytes + t->at, t->len);
		s = seek(v, v->bytes + t->at, t->len, h);
		s->entry = (uint32_t)i + 1;
		s->tag = tag(h);
	}
	return 0;
}

int pm_vocab_room(struct pm_vocab *v, size_t n, struct pm_err *e)
{
	size_t slots = v->slots ? v->slots : 16;

	if (n > UINT32_MAX / 4)
		return pm_fail(e, PM_DATA, "a vocabulary of %zu tokens", n);
	while (slots < 2 * n)
		slots *= 2;
	if (slots > v->slots && rehash(v, slots, e) < 0)
		return -1;
	return pm_grow(&v->entry, &v->cap_entry, n, sizeof *v->entry, e);
}

int pm_vocab_add(struct pm_vocab *v, const char *s, size_t n, int64_t id, struct pm_err *e)
{
	struct pm_vocab_entry *t;
	struct pm_vocab_slot *slot;
	uint64_t h = pm_vocab_hash(s, n);

	if (id < 0 || id > 1 << 24)
		return pm_fail(e, PM_DATA, "token '%.*s': the id %lld is not in 0 .. 2^24", (int)(n < 100 ? n : 100), s, (long long)id);
	if (v->nbytes + n >= UINT32_MAX)
		return pm_fail(e, PM_DATA, "the vocabulary has more than 4 GiB of text");
	if (2 * (v->n + 1) > v->slots && pm_vocab_room(v, v->n + 1, e) < 0)
		return -1;
	if (pm_grow(&v->by_id, &v->cap_ids, (size_t)id + 1, sizeof *v->by_id, e) < 0)
		return -1;
	for (; v->ids <= (size_t)id; v->ids++)
		v->by_id[v->ids] = -1;
	slot = seek(v, s, n, h);
	if (slot->entry) {
		v->entry[slot->entry - 1].id = (int32_t)id;
		v->by_id[id] = (int32_t)slot->entry - 1;
		return 0;
	}
	if (pm_grow(&v->entry, &v->cap_entry, v->n + 1, sizeof *v->entry, e) < 0
		|| pm_grow(&v->bytes, &v->cap_bytes, v->nbytes + n + 1, 1, e) < 0)
		return -1;
	t = v->entry + v->n;
	t->at = (uint32_t)v->nbytes;
	t->len = (uint32_t)n;
	t->id = (int32_t)id;
	if (n)
		memcpy(v->bytes + v->nbytes, s, n);
	v->bytes[v->nbytes + n] = 0;
	v->nbytes += n + 1;
	v->by_id[id] = (int32_t)v->n++;
	slot->entry = (uint32_t)v->n;
	slot->tag = tag(h);
	return 0;
}

void pm_vocab_free(struct pm_vocab *v)
{
	if (!v->borrowed) {
		free(v->bytes);
		free(v->entry);
		free(v->slot);
		free(v->by_id);
	}
	memset(v, 0, sizeof *v);
}

int32_t pm_vocab_find(const struct pm_vocab *v, const char *s, size_t n)
{
	uint32_t i = v->slots ? seek(v, s, n, pm_vocab_hash(s, n))->entry : 0;

	return i ? v->entry[i - 1].id : -1;
}

const char *pm_vocab_text(const struct pm_vocab *v, int32_t id, size_t *n)
{
	const struct pm_vocab_entry *t;

	if (id < 0 || (size_t)id >= v->ids || v->by_id[id] < 0)
		return NULL;
	t = v->entry + v->by_id[id];
	*n = t->len;
	return v->bytes + t->at;
}

bool pm_vocab_good(const struct pm_vocab *v)
{
	size_t used = 0;

	if (!v->slots || (v->slots & (v->slots - 1)) || v->n >= UINT32_MAX || v->ids > 1 + (1 << 24) || !v->nbytes)
		return false;
	for (size_t i = 0; i < v->n; i++) {
		const struct pm_vocab_entry *t = v->entry + i;

		if (t->at >= v->nbytes || t->len >= v->nbytes - t->at || v->bytes[t->at + t->len] || t->id < 0 || (size_t)t->id >= v->ids)
			return false;
	}
	for (size_t i = 0; i < v->slots; i++) {
		if (v->slot[i].entry > v->n)
			return false;
		used += v->slot[i].entry != 0;
	}
	for (size_t i = 0; i < v->ids; i++)
		if (v->by_id[i] < -1 || v->by_id[i] >= (int64_t)v->n)
			return false;
	if (used == v->slots)
		return false;
	for (size_t i = 0; i < v->n && i < 64; i++)
		if (pm_vocab_find(v, v->bytes + v->entry[i].at, v->entry[i].len) != v->entry[i].id)
			return false;
	return true;
}
