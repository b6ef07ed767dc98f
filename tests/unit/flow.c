/* flow.c: what is let through of a text does not depend on how it came: every way to cut it into three, and byte by byte. */
#include <string.h>

#include "base/str.h"
#include "run/flow.h"
#include "tap.h"

static struct pm_err err;

struct expect {
	const char *text;
	const char *stop[3];
	bool hide;
	const char *out, *thought;
	int stopped;
};

static const struct expect cases[] = {
	{"", {0}, false, "", "", 0},
	{"plain text", {0}, false, "plain text", "", 0},
	{"one STOP two", {"STOP"}, false, "one ", "", 1},
	{"one STO two", {"STOP"}, false, "one STO two", "", 0},
	{"ends in STO", {"STOP"}, false, "ends in STO", "", 0},
	{"aaab", {"aab"}, false, "a", "", 1},
	{"ababac", {"abac"}, false, "ab", "", 1},
	{"STOP", {"STOP"}, false, "", "", 1},
	{"xabcdy", {"abcd", "bc"}, false, "xa", "", 1},         /* the one that is complete first */
	{"xabcdy", {"cd", "abcd"}, false, "x", "", 1},          /* complete together: the longer */
	{"x\n\ny", {"\n\n"}, false, "x", "", 1},
	{"grün und ü", {"ü "}, false, "grün und ü", "", 0},
	{"<think>why</think>because", {0}, false, "<think>why</think>because", "", 0},
	{"<think>why</think>because", {0}, true, "because", "why", 0},
	{"<think>why</think>\n\n because", {0}, true, "because", "why", 0},
	{"so <think>a</think> b <think>c</think> d", {0}, true, "so b d", "ac", 0},
	{"a < b </thinking> <thin c", {0}, true, "a < b </thinking> <thin c", "", 0},
	{"<think>never ends </thin", {0}, true, "", "never ends </thin", 0},
	{"<think>a <b> STOP c</think>d", {"STOP"}, true, "", "a <b> ", 1},
	{"<think>a</think>d STOP", {"STOP", ">>"}, true, "d ", "a", 1},
	{"<<think>a<</think>d", {"<<<"}, true, "<d", "a<", 0},
	{"x<think></think>y", {">y"}, true, "x", "</think", 1},
};

/* Puts the n parts of a text between the cuts, and holds what comes out against what should. */
static bool one(const struct expect *c, const size_t *cut, size_t n)
{
	struct pm_flow f = {.stop = c->stop, .hide = c->hide};
	struct pm_str out = {0}, thought = {0};
	int r = 0;
	size_t i;
	bool ok;

	while (f.nstop < 3 && c->stop[f.nstop])
		f.nstop++;
	for (i = 0; i + 1 < n && r == 0; i++)
		r = pm_flow_put(&f, c->text + cut[i], cut[i + 1] - cut[i], &out, &thought, &err);
	if (r == 1 && pm_flow_put(&f, "more", 4, &out, &thought, &err) != 1)
		r = -1;
	if (r >= 0 && pm_flow_end(&f, &out, &thought, &err) < 0)
		r = -1;
	ok = r == c->stopped && !strcmp(out.data ? out.data : "", c->out) && !strcmp(thought.data ? thought.data : "", c->thought);
	if (!ok) {
		printf("# '%s' as", c->text);
		for (i = 0; i + 1 < n; i++)
			printf(" '%.*s'", (int)(cut[i + 1] - cut[i]), c->text + cut[i]);
		printf(": %d '%s' '%s'\n", r, out.data ? out.data : "", thought.data ? thought.data : "");
	}
	pm_flow_free(&f);
	pm_str_free(&out);
	pm_str_free(&thought);
	return ok;
}

int main(void)
{
	size_t i, k, cut[128];

	for (i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct expect *c = &cases[i];
		size_t n = strlen(c->text);
		bool ok = true;

		for (cut[0] = 0, cut[1] = 0; ok && cut[1] <= n; cut[1]++)
			for (cut[2] = cut[1], cut[3] = n; ok && cut[2] <= n; cut[2]++)
				ok = one(c, cut, 4);
		for (k = 0; k <= n; k++)
			cut[k] = k;
		check(ok && one(c, cut, n + 1), "text %zu comes out the same, however it came", i + 1);
	}
	return done();
}
