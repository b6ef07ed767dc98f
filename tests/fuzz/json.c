/* Any JSON: what was read is written, and read again is the same. */
#include "base/json.h"
#include "fuzz.h"

static int parse_json(const uint8_t *data, size_t size, struct pm_err *e)
{
	json_t *v = pm_json_parse((const char *)data, size, "fuzz", e), *again;
	struct pm_str s = {0};
	int64_t i;

	if (!v)
		return -1;
	must(pm_json_text(&s, v, e) == 0);
	again = pm_json_parse(s.data, s.len, "again", e);
	must(again && json_equal(v, again));
	(void)pm_json_to_int(&i, v);
	json_decref(again);
	json_decref(v);
	pm_str_free(&s);
	return 0;
}

FUZZ(parse_json)
