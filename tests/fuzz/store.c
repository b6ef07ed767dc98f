/* An index of shards (up to the first 0 byte), and b.safetensors (what follows it); a.safetensors is there and holds "x" and "y". */
#include "fuzz.h"
#include "io/store.h"

static int parse_store(const uint8_t *data, size_t size, struct pm_err *e)
{
	static const char shard[] = "\x68\0\0\0\0\0\0\0"
		"{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"y\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[4,6]}}  123456";
	struct two in = split(data, size);
	struct pm_store *s = NULL;
	size_t i;

	fuzz_file("a.safetensors", shard, sizeof shard - 1);
	fuzz_file("b.safetensors", in.b, in.nb);
	if (pm_store_open(&s, fuzz_file("model.safetensors.index.json", in.a, in.na), e) < 0)
		return -1;
	for (i = 0; i < pm_store_count(s); i++) {
		must(pm_store_find(s, pm_store_at(s, i)->name) == pm_store_at(s, i));
		must(pm_store_file_of(s, pm_store_at(s, i)) != NULL);
	}
	pm_store_close(s);
	return 0;
}

FUZZ(parse_store)
