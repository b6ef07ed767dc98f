#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/tool.h"

/* Days since 1970-01-01 of a date of the Gregorian calendar; months from 1. Years are counted from March, so that the day that leap years
 * have more comes last. */
static int64_t days(int64_t year, int64_t month, int64_t day)
{
	int64_t y = month > 2 ? year : year - 1, m = month > 2 ? month - 3 : month + 9;

	return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 719469;
}

/* "2026-01-15", "2026-01-15T12:34" or "2026-01-15T12:34:56" (a blank may stand for the T). */
static int parse(struct tm *t, const char *s, struct pm_err *e)
{
	static const int month_days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int y, m, d, hour = 0, minute = 0, second = 0, n = 0;
	bool whole = sscanf(s, "%4d-%2d-%2d%n", &y, &m, &d, &n) == 3 && n == 10;

	if (whole && s[n]) {
		const char *clock = s + n + 1;
		int fields;

		whole = s[n] == 'T' || s[n] == ' ';
		n = 0;
		fields = whole ? sscanf(clock, "%2d:%2d%n:%2d%n", &hour, &minute, &n, &second, &n) : 0;
		whole = fields >= 2 && n == (fields == 3 ? 8 : 5) && !clock[n];
	}
	if (!whole || y < 1 || m < 1 || m > 12 || d < 1 || d > month_days[m - 1] ||
	    (m == 2 && d == 29 && (y % 4 || (y % 100 == 0 && y % 400))) || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59)
		return pm_fail(e, PM_USAGE, "--date: '%s', a date like 2026-01-15 or 2026-01-15T12:34:56 was wanted", s);
	memset(t, 0, sizeof *t);
	t->tm_year = y - 1900;
	t->tm_mon = m - 1;
	t->tm_mday = d;
	t->tm_hour = hour;
	t->tm_min = minute;
	t->tm_sec = second;
	t->tm_yday = (int)(days(y, m, d) - days(y, 1, 1));
	t->tm_wday = (int)((days(y, m, d) % 7 + 11) % 7);       /* day 0 was a Thursday */
	return 0;
}

int pm_when(struct tm *out, const char *date, struct pm_err *e)
{
	const char *epoch = pm_env_word("SOURCE_DATE_EPOCH");
	char *end;
	long long seconds;
	time_t t;

	if (date)
		return parse(out, date, e);
	if (!epoch) {
		t = time(NULL);
		return localtime_r(&t, out) ? 0 : pm_fail(e, PM_SOFTWARE, "the clock gives no time");
	}
	seconds = strtoll(epoch, &end, 10);
	t = (time_t)seconds;
	if (*end || seconds < 0 || !gmtime_r(&t, out))
		return pm_fail(e, PM_CONFIG, "SOURCE_DATE_EPOCH is '%s', seconds since 1970 were wanted", epoch);
	return 0;
}
