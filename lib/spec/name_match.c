#include "spec/name_match.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct pm_name_match {
	pcre2_code *code;
	pcre2_match_data *match;
	char *pattern;
};

int pm_name_match_new(struct pm_name_match **out, const char *pattern, struct pm_err *e)
{
	struct pm_name_match *r = pm_alloc(1, sizeof *r, e);
	PCRE2_UCHAR words[160];
	PCRE2_SIZE at;
	int code;

	if (!r)
		return -1;
	r->pattern = pm_strdup(pattern, e);
	if (!r->pattern)
		goto fail;
	r->code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_UTF, &code, &at, NULL);
	if (!r->code) {
		pcre2_get_error_message(code, words, sizeof words);
		pm_fail(e, PM_DATA, "'%.200s' is no regular expression: %s at character %zu", pattern, (const char *)words, (size_t)at);
		goto fail;
	}
	r->match = pcre2_match_data_create_from_pattern(r->code, NULL);
	if (!r->match) {
		pm_fail(e, PM_SOFTWARE, "out of memory");
		goto fail;
	}
	*out = r;
	return 0;
fail:
	pm_name_match_free(r);
	return -1;
}

int pm_name_match_whole(const struct pm_name_match *r, const char *text, struct pm_err *e)
{
	int n = pcre2_match(r->code, (PCRE2_SPTR)text, strlen(text), 0, 0, r->match, NULL);
	PCRE2_UCHAR words[160];

	if (n >= 0)
		return 1;
	if (n == PCRE2_ERROR_NOMATCH)
		return 0;
	pcre2_get_error_message(n, words, sizeof words);
	return pm_fail(e, PM_DATA, "'%.200s' on '%.200s': %s", r->pattern, text, (const char *)words);
}

void pm_name_match_free(struct pm_name_match *r)
{
	if (!r)
		return;
	pcre2_match_data_free(r->match);
	pcre2_code_free(r->code);
	free(r->pattern);
	free(r);
}
