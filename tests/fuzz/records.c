/* A data set: its records, and what every format makes of each. The first error of reading is the result; what follows it is
 * read all the same. */
#include "fuzz.h"
#include "text/records.h"

/* Compiled once: jq takes a tenth of a second for it. Freed at the end: jq holds its stack by a pointer to its end alone, which looks
 * like a leak. */
static const char *const format_names[] = {"alpaca", "kto", "messages", "preference", "prompt_completion", "reasoning", "sharegpt", "text"};
#define FORMATS (sizeof format_names / sizeof *format_names)
static struct pm_format *formats[FORMATS];

static void free_formats(void)
{
	size_t i;

	for (i = 0; i < FORMATS; i++)
		pm_format_free(formats[i]);
}

static void open_formats(void)
{
	struct pm_err e;
	size_t i;

	if (formats[0])
		return;
	for (i = 0; i < FORMATS; i++)
		must(pm_format_new(&formats[i], "share", format_names[i], NULL, &e) == 0);
	atexit(free_formats);
}

static void every_format(const json_t *record)
{
	struct pm_err e;
	json_t *list;
	size_t i;
	int r;

	open_formats();
	for (i = 0; i < FORMATS; i++) {
		r = pm_format_apply(formats[i], record, &list, &e);
		must_say(r, &e);
		if (r == 0)
			json_decref(list);
	}
}

static int parse_records(const uint8_t *data, size_t size, struct pm_err *e)
{
	struct pm_records *r = NULL;
	struct pm_err other;
	int64_t line;
	json_t *v;
	int k, result = 0;

	if (pm_records_open(&r, fuzz_file("one.jsonl", data, size), e) < 0)
		return -1;              /* packed, and damaged */
	if (memchr(data, ',', size < 40 ? size : 40))
		pm_records_expect_table(r);
	while ((k = pm_records_next(r, &v, &line, &other)) != 0) {
		if (k > 0)
			every_format(v);
		json_decref(v);
		must_say(k, &other);
		if (k < 0 && result == 0) {
			result = -1;
			*e = other;
		}
	}
	pm_records_close(r);
	return result;
}

FUZZ(parse_records)
