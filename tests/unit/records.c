/* Data sets: JSON lines and arrays, their errors, and what every format makes of a record. */
#include "text/records.h"

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "tap.h"

static char path[] = "/tmp/pm-records-XXXXXX";
static bool table;              /* what is no JSON is a table */

static void put_file(const char *text, size_t n)
{
	FILE *f = fopen(path, "wb");

	if (!f || fwrite(text, 1, n, f) != n || fclose(f))
		exit(99);
}

/* Reads a file: "1:{…} 2:{…} !error" with the line of each record. */
static void reads(const char *what, const char *text, size_t n, const char *want)
{
	static char got[4000];
	struct pm_records *r;
	struct pm_str s = {0};
	struct pm_err e = {0};
	json_t *v;
	int64_t line = 0;
	int k, rounds = 0;

	put_file(text, n);
	got[0] = 0;
	if (pm_records_open(&r, path, &e) < 0) {
		check(!strcmp(want, "!0:") && e.status == PM_DATA, "%s: %s", what, e.text);
		return;
	}
	if (table)
		pm_records_expect_table(r);
	while ((k = pm_records_next(r, &v, &line, &e)) != 0 && rounds++ < 20) {
		pm_str_clear(&s);
		if (k > 0)
			pm_json_text(&s, v, &e);
		snprintf(got + strlen(got), sizeof got - strlen(got), k > 0 ? "%lld:%s " : "!%lld:%s ", (long long)line,
		    k > 0 ? s.data : strstr(e.text, "line") ? strstr(e.text, "line") : e.text);
		json_decref(v);
	}
	pm_records_close(r);
	pm_str_free(&s);
	check(strncmp(got, want, strlen(want)) == 0 && (*want || !*got), "%s", what);
	if (strncmp(got, want, strlen(want)) != 0 || (!*want && *got))
		printf("# got  %s\n# want %s\n", got, want);
}
#define READS(what, text, want) reads(what, text, sizeof(text) - 1, want)

/* A record through a format: what comes out, or the error. */
static void gives(const char *name, const char *map, const char *record, const char *found, const char *want)
{
	struct pm_format *f = NULL;
	struct pm_str s = {0};
	struct pm_err e = {0};
	json_t *v = json_loads(record, JSON_DECODE_ANY, NULL), *list = NULL;
	int r = pm_format_new(&f, "share", name, map, &e);

	if (r == 0)
		r = pm_format_apply(f, v, &list, &e);
	if (r == 0)
		pm_json_text(&s, list, &e);
	else
		pm_str_puts(&s, e.text, &e);
	check(r == 0 ? !strcmp(s.data, want) && !strcmp(pm_format_name(f), found) : strstr(s.data, want) != NULL && !*found, "%s: %.100s",
	    r == 0 ? found : "refused", record);
	if (r == 0 ? strcmp(s.data, want) : !strstr(s.data, want))
		printf("# got  %s\n# want %s\n", s.data, want);
	pm_str_free(&s);
	json_decref(v);
	json_decref(list);
	pm_format_free(f);
}

static void named(const char *columns, const char *record, const char *want)
{
	struct pm_format *f = NULL;
	struct pm_str s = {0};
	struct pm_err e = {0};
	json_t *v = json_loads(record, 0, NULL), *list = NULL;
	int r = pm_format_new(&f, "share", NULL, NULL, &e);

	if (r == 0)
		r = pm_format_columns(f, columns, &e);
	if (r == 0)
		r = pm_format_apply(f, v, &list, &e);
	if (r == 0)
		pm_json_text(&s, list, &e);
	if (!check(r == 0 ? !strcmp(s.data, want) : strstr(e.text, want) != NULL, "columns %s", columns))
		printf("# %s\n", r == 0 ? s.data : e.text);
	pm_str_free(&s);
	json_decref(v);
	json_decref(list);
	pm_format_free(f);
}

static void tables(void)
{
	table = true;
	READS("a table", "a,b\n1,x y\n2,\n", "2:{\"a\":\"1\",\"b\":\"x y\"} 3:{\"a\":\"2\",\"b\":\"\"} ");
	READS("marks, line ends and delimiters in fields", "a,b\r\n\"x\"\"y\",\"1,\n2\"\r\n\r\n3,4", "2:{\"a\":\"x\\\"y\",\"b\":\"1,\\n2\"} 5:{\"a\":\"3\",\"b\":\"4\"} ");
	READS("a line of another length and one behind it", "a,b\n1\n2,3\n", "!2:line 2: 1 fields, the line of names has 2 3:{\"a\":\"2\",\"b\":\"3\"} ");
	READS("a mark that is not closed", "a,b\n1,\"2\n3,4\n", "!2:line 2: a field without its closing");
	READS("a table that is not UTF-8", "a,b\n1,\xc3\n2,3\n", "!2:line 2: is not UTF-8 3:{");
	READS("a name twice", "a,a\n1,2\n", "!0:line 1: two columns have one name");
	READS("names alone", "a,b\n", "");
	READS("JSON where a table may come", "{\"a\":1}\n", "1:{\"a\":1} ");
	table = false;
	/* gzip of {"a":1}, whole and cut */
	READS("packed lines", "\x1f\x8b\x08\0\0\0\0\0\x02\x03\xab\x56\x4a\x54\xb2\x32\xac\x05\0\xaf\xac\x1b\x56\x07\0\0\0", "1:{\"a\":1} ");
	READS("packed lines that are damaged", "\x1f\x8b\x08\0\0\0\0\0\x02\x03\xab\x56\x4a", "!0:");
	named("prompt=q,completion=a.text", "{\"q\":\"x\",\"a\":{\"text\":\"y\"},\"id\":1}", "[{\"prompt\":\"x\",\"completion\":\"y\"}]");
	named("text=b", "{\"a\":\"x\"}", "none of the columns");
	named("text", "{\"text\":\"x\"}", "--columns: 'text', a list like");
}

static void formats(void)
{
	gives(NULL, NULL, "{\"messages\":[{\"role\":\"user\",\"content\":\"a\",\"x\":[1,1.0,123456789012345678]}],\"documents\":[{}],\"id\":2}", "messages",
	    "[{\"messages\":[{\"role\":\"user\",\"content\":\"a\",\"x\":[1,1.0,123456789012345678]}],\"documents\":[{}]}]");
	gives(NULL, NULL, "{\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_call\",\"value\":\"{\\\"name\\\":\\\"f\\\"}\"}]}]}", "messages",
	    "[{\"messages\":[{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]}]}]");
	gives(NULL, NULL, "{\"prompt\":\"p\",\"completion\":\"c\",\"label\":\"true\"}", "kto", "[{\"prompt\":\"p\",\"completion\":\"c\",\"label\":true}]");
	gives(NULL, NULL, "{\"text\":\"a\",\"id\":1}", "text", "[{\"text\":\"a\"}]");
	gives(NULL, NULL, "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"tools\":[]}", "messages", "[{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}]");
	gives(NULL, NULL, "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"value\":\"a\"},{\"type\":\"text\",\"value\":\"b\"}],\"loss_weight\":0}]}",
	    "messages", "[{\"messages\":[{\"role\":\"user\",\"content\":\"ab\",\"weight\":0}]}]");
	gives(NULL, NULL, "{\"conversations\":[{\"role\":\"user\",\"content\":\"a\"}]}", "messages", "[{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}]");
	gives(NULL, NULL, "{\"system\":\"s\",\"conversations\":[{\"from\":\"human\",\"value\":\"a\"},{\"from\":\"gpt\",\"value\":\"b\"}]}", "sharegpt",
	    "[{\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"}]}]");
	gives(NULL, NULL, "{\"conversations\":[{\"from\":\"martian\",\"value\":\"a\"}]}", "", "unknown speaker 'martian'");
	gives(NULL, NULL, "{\"instruction\":\"a\",\"input\":\"\",\"output\":\"b\"}", "alpaca",
	    "[{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"}]}]");
	gives(NULL, NULL, "{\"instruction\":\"a\",\"input\":\"i\",\"output\":\"b\",\"history\":[[\"x\",\"y\"]],\"text\":\"t\"}", "alpaca",
	    "[{\"messages\":[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"assistant\",\"content\":\"y\"},{\"role\":\"user\",\"content\":\"a\\n\\ni\"},{\"role\":\"assistant\",\"content\":\"b\"}]}]");
	gives(NULL, NULL, "{\"prompt\":\"a\",\"completion\":\"b\"}", "prompt_completion", "[{\"prompt\":\"a\",\"completion\":\"b\"}]");
	gives(NULL, NULL, "{\"prompt\":\"a\",\"chosen\":\"b\",\"rejected\":\"c\"}", "preference", "[{\"prompt\":\"a\",\"chosen\":\"b\",\"rejected\":\"c\"}]");
	gives(NULL, NULL, "{\"chosen\":\"ab cd\",\"rejected\":\"ab ce\"}", "preference", "[{\"prompt\":\"ab c\",\"chosen\":\"d\",\"rejected\":\"e\"}]");
	gives(NULL, NULL, "{\"chosen\":\"\\u00e4 x\",\"rejected\":\"\\u00e4 y\"}", "preference", "[{\"prompt\":\"\u00e4\",\"chosen\":\" x\",\"rejected\":\" y\"}]");
	gives(NULL, NULL, "{\"chosen\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"b\"}],\"rejected\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"c\"}]}",
	    "preference", "[{\"prompt\":[{\"role\":\"user\",\"content\":\"q\"}],\"chosen\":[{\"role\":\"assistant\",\"content\":\"b\"}],\"rejected\":[{\"role\":\"assistant\",\"content\":\"c\"}]}]");
	gives(NULL, NULL, "{\"conversations\":[{\"from\":\"human\",\"value\":\"q\"}],\"chosen\":{\"from\":\"gpt\",\"value\":\"b\"},\"rejected\":{\"from\":\"gpt\",\"value\":\"c\"}}",
	    "preference", "[{\"prompt\":[{\"role\":\"user\",\"content\":\"q\"}],\"chosen\":[{\"role\":\"assistant\",\"content\":\"b\"}],\"rejected\":[{\"role\":\"assistant\",\"content\":\"c\"}]}]");
	gives(NULL, NULL, "{\"prompt\":\"a\",\"chosen\":\"b\",\"rejected\":\"b\"}", "", "are the same");
	gives(NULL, NULL, "{\"prompt\":\"a\",\"completion\":\"b\",\"label\":false}", "kto", "[{\"prompt\":\"a\",\"completion\":\"b\",\"label\":false}]");
	gives(NULL, NULL, "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"b\"}],\"label\":true}", "kto",
	    "[{\"prompt\":[{\"role\":\"user\",\"content\":\"q\"}],\"completion\":[{\"role\":\"assistant\",\"content\":\"b\"}],\"label\":true}]");
	gives(NULL, NULL, "{\"problem\":\"p\",\"thinking\":\"t\",\"solution\":\"s\"}", "reasoning",
	    "[{\"messages\":[{\"role\":\"user\",\"content\":\"p\"},{\"role\":\"assistant\",\"content\":\"<think>\\nt\\n</think>\\n\\ns\"}]}]");
	gives(NULL, NULL, "{\"ids\":[1,2],\"weights\":[0,1]}", "ids", "[{\"ids\":[1,2],\"weights\":[0,1]}]");
	gives(NULL, NULL, "{\"question\":\"q\",\"answer\":\"a\"}", "", "not known from its keys (question, answer)");
	gives(NULL, NULL, "[1]", "", "an object was wanted");
	gives(NULL, "{text: .question}, {text: .answer}", "{\"question\":\"q\",\"answer\":\"a\"}", "text", "[{\"text\":\"q\"},{\"text\":\"a\"}]");
	gives("text", "{text: .question", "{}", "", "--map: ");
	gives("text", NULL, "{\"txt\":\"a\"}", "", "text.jq: it has no 'text'");
	gives("nonsense", NULL, "{}", "", "'nonsense' is no format");
	gives("../detect", NULL, "{}", "", "is no format");
}

/* Every record of the real files has a normal form; what cannot have one is counted. */
static void real(const char *shared)
{
	static const struct { const char *file, *format; int records, refused; } files[] = {
		{"derived/alpaca.json", "alpaca", 400, 0}, {"derived/kto.jsonl", "kto", 400, 0}, {"derived/messages.jsonl", "messages", 400, 0},
		{"derived/messages_multiturn.jsonl", "messages", 200, 0}, {"derived/preference.jsonl", "preference", 400, 0},
		{"derived/preference_messages.jsonl", "preference", 200, 0}, {"derived/reasoning.jsonl", "messages", 200, 0},
		{"derived/sharegpt.json", "sharegpt", 200, 0}, {"derived/text.jsonl", "text", 600, 0},
		{"fastchat_dummy_conversation_sharegpt.json", "sharegpt", 500, 0}, {"litgpt_dolly_fixture.json", "alpaca", 12, 0},
		{"llamafactory_dpo_en_demo.json", "preference", 300, 0}, {"llamafactory_kto_en_demo.json", "kto", 300, 0},
		{"llamafactory_v1_dpo_demo.jsonl", "preference", 10, 0}, {"llamafactory_v1_sft_demo.jsonl", "messages", 500, 0},
	};
	struct pm_records *r;
	struct pm_format *f;
	struct pm_err e = {0};
	json_t *v, *list;
	int64_t line;
	char name[4200];
	size_t i;
	int k, n, refused;

	for (i = 0; i < sizeof files / sizeof *files; i++) {
		snprintf(name, sizeof name, "%s/data/data/%s", shared, files[i].file);
		n = refused = 0;
		if (pm_records_open(&r, name, &e) < 0 || pm_format_new(&f, "share", NULL, NULL, &e) < 0) {
			check(0, "%s", e.text);
			return;
		}
		while ((k = pm_records_next(r, &v, &line, &e)) > 0) {
			n++;
			if (pm_format_apply(f, v, &list, &e) < 0)
				refused++;
			json_decref(list);
			json_decref(v);
		}
		check(k == 0 && n == files[i].records && refused == files[i].refused && !strcmp(pm_format_name(f), files[i].format),
		    "%s: %d records of format %s", files[i].file, n, pm_format_name(f));
		pm_records_close(r);
		pm_format_free(f);
	}
}

int main(void)
{
	const char *shared = golden_dir();
	int fd = mkstemp(path);

	if (fd < 0)
		return 99;
	close(fd);
	READS("JSON lines, with empty ones", "{\"a\":1}\n\n \r\n{\"a\":2}", "1:{\"a\":1} 4:{\"a\":2} ");
	READS("an array on many lines", "\n[\n {\"a\":\n1},\n\n{\"a\":2} ]\n", "3:{\"a\":1} 6:{\"a\":2} ");
	READS("an empty array", "[]", "");
	READS("an empty array with space", "[ \n ]\n", "");
	READS("an empty file", "", "");
	READS("a broken line and one behind it", "{\"a\":1}\n{\"a\" 1}\n{\"a\":3}\n", "1:{\"a\":1} !2:line 2, column 6: ");
	READS("a broken record in an array", "[{\"a\":1},\n{\"a\" 1},{\"a\":3}]", "1:{\"a\":1} !2:line 2, column ");
	READS("an array cut short", "[{\"a\":1},", "1:{\"a\":1} !1:line 1: a record or ']' was wanted");
	READS("an array that does not end", "[{\"a\":1}", "1:{\"a\":1} !1:line 1: ',' or ']' was wanted");
	READS("something behind an array", "[{\"a\":1}]\n[", "1:{\"a\":1} !1:line 2: the end of the file");
	READS("a key twice", "{\"a\":1,\"a\":2}\n", "!1:line 1, column");
	READS("invalid UTF-8", "{\"a\":\"\xc3\"}\n", "!1:line 1, column");
	READS("a zero byte", "{\"a\":1}\n\0{\"a\":2}\n", "1:{\"a\":1} !2:line 2, column");
	READS("a byte order mark", "\xef\xbb\xbf{\"a\":1}\n", "1:{\"a\":1} ");
	READS("half of one", "\xef\xbb{\"a\":1}\n", "!0:line 1: JSON records were wanted");
	tables();
	READS("plain text", "Hello\n", "!0:line 1: JSON records were wanted");
	formats();
	if (shared)
		real(shared);
	else
		skip("golden data is not there");
	unlink(path);
	return done();
}
