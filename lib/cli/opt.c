#include "cli/opt.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static int bad(const struct pm_opt *o, const char *value, const char *wanted, struct pm_err *e)
{
	return pm_fail(e, PM_USAGE, "--%s: %s was wanted, not '%s'", o->name, wanted, value);
}

static int set_number(struct pm_opt *o, const char *value, struct pm_err *e)
{
	char *end, range[100];
	long long i = 0;
	double d;

	errno = 0;
	if (isspace((unsigned char)*value))
		return bad(o, value, "a number", e);
	if (o->kind == PM_OPT_INT) {
		i = strtoll(value, &end, 10);
		d = (double)i;
	} else {
		d = strtod(value, &end);
	}
	if (end == value || *end || errno == ERANGE || !isfinite(d))
		return bad(o, value, o->kind == PM_OPT_INT ? "a whole number" : "a number", e);
	if ((o->min < o->max) && (d < o->min || d > o->max)) {
		snprintf(range, sizeof range, "a number from %.12g to %.12g", o->min, o->max);
		return bad(o, value, range, e);
	}
	if (o->kind == PM_OPT_INT)
		*(int64_t *)o->to = i;
	else
		*(double *)o->to = d;
	return 0;
}

static int set_choice(struct pm_opt *o, const char *value, struct pm_err *e)
{
	const char *p = o->choices;
	size_t n;

	while (*p) {
		n = strcspn(p, "|");
		if (strlen(value) == n && !strncmp(p, value, n)) {
			*(const char **)o->to = value;
			return 0;
		}
		p += n + (p[n] == '|');
	}
	return bad(o, value, o->choices, e);
}

static int set(struct pm_opt *o, const char *value, struct pm_err *e)
{
	struct pm_opt_list *l;

	switch (o->kind) {
	case PM_OPT_FLAG:
		*(bool *)o->to = true;
		return 0;
	case PM_OPT_STR:
		*(const char **)o->to = value;
		return 0;
	case PM_OPT_STRS:
		l = o->to;
		if (pm_grow(&l->v, &l->cap, l->n + 1, sizeof *l->v, e) < 0)
			return -1;
		l->v[l->n++] = value;
		return 0;
	case PM_OPT_CHOICE:
		return set_choice(o, value, e);
	default:
		return set_number(o, value, e);
	}
}

static struct pm_opt *find(const struct pm_tool *t, const char *name, size_t n)
{
	size_t i;

	for (i = 0; i < t->nopts; i++)
		if (strlen(t->opts[i].name) == n && !strncmp(t->opts[i].name, name, n))
			return &t->opts[i];
	return NULL;
}

/* "--name", "--name=value", "--no-name"; may take the next argument. Returns how many were used, or −1. */
static int parse_long(struct pm_tool *t, char **arg, int left, struct pm_err *e)
{
	const char *name = arg[0] + 2, *eq = strchr(name, '=');
	size_t n = eq ? (size_t)(eq - name) : strlen(name);
	struct pm_opt *o = find(t, name, n);
	struct pm_opt *no = !o && !eq && n > 3 && !strncmp(name, "no-", 3) ? find(t, name + 3, n - 3) : NULL;

	if (no && no->negatable) {
		*(bool *)no->to = false;
		no->given = true;
		return 1;
	}
	if (!o && !eq && (!strcmp(name, "help") || !strcmp(name, "version"))) {
		*(*name == 'h' ? &t->help : &t->version) = true;
		return 1;
	}
	if (!o)
		return pm_fail(e, PM_USAGE, "unknown option '--%.*s' (see --help)", (int)n, name);
	o->given = true;
	if (o->kind == PM_OPT_FLAG) {
		if (eq)
			return pm_fail(e, PM_USAGE, "--%s takes no value", o->name);
		return set(o, NULL, e) < 0 ? -1 : 1;
	}
	if (eq)
		return set(o, eq + 1, e) < 0 ? -1 : 1;
	if (left < 2)
		return pm_fail(e, PM_USAGE, "--%s: a value was wanted (%s)", o->name, o->arg);
	return set(o, arg[1], e) < 0 ? -1 : 2;
}

/* "-qv", "-l2048", "-l 2048". */
static int parse_short(struct pm_tool *t, char **arg, int left, struct pm_err *e)
{
	const char *p;
	size_t i;

	for (p = arg[0] + 1; *p; p++) {
		struct pm_opt *o = NULL;

		for (i = 0; i < t->nopts; i++)
			if (t->opts[i].letter == *p)
				o = &t->opts[i];
		if (!o && (*p == 'h' || *p == 'V')) {
			*(*p == 'h' ? &t->help : &t->version) = true;
			return 1;
		}
		if (!o)
			return pm_fail(e, PM_USAGE, "unknown option '-%c' (see --help)", *p);
		o->given = true;
		if (o->kind == PM_OPT_FLAG) {
			if (set(o, NULL, e) < 0)
				return -1;
			continue;
		}
		if (p[1])
			return set(o, p + 1, e) < 0 ? -1 : 1;
		if (left < 2)
			return pm_fail(e, PM_USAGE, "-%c: a value was wanted (%s)", *p, o->arg);
		return set(o, arg[1], e) < 0 ? -1 : 2;
	}
	return 1;
}

int pm_opt_parse(struct pm_tool *t, int *argc, char **argv, struct pm_err *e)
{
	int i, n = 1, used;
	size_t k;

	for (k = 0; k < t->nopts; k++)
		if (t->opts[k].fallback && set(&t->opts[k], t->opts[k].fallback, e) < 0)
			return -1;
	for (i = 1; i < *argc; i += used) {
		used = 1;
		if (!strcmp(argv[i], "--")) {
			for (i++; i < *argc; i++)
				argv[n++] = argv[i];
			break;
		}
		if (argv[i][0] != '-' || !argv[i][1])
			argv[n++] = argv[i];
		else if (argv[i][1] == '-')
			used = parse_long(t, argv + i, *argc - i, e);
		else
			used = parse_short(t, argv + i, *argc - i, e);
		if (used < 0)
			return -1;
		if (t->help || t->version)
			break;
	}
	*argc = n;
	return 0;
}

bool pm_opt_given(const struct pm_tool *t, const char *name)
{
	const struct pm_opt *o = find(t, name, strlen(name));

	return o && o->given;
}

int pm_opt_refuse(const struct pm_tool *t, const char *name, const char *why, struct pm_err *e)
{
	if (!pm_opt_given(t, name))
		return 0;
	return pm_fail(e, PM_USAGE, "--%s has no effect %s", name, why);
}

void pm_opt_help(const struct pm_tool *t)
{
	size_t i;

	printf("usage: %s [options]%s%s\n%s\n\n", t->name, *t->operands ? " " : "", t->operands, t->brief);
	for (i = 0; i < t->nopts; i++) {
		const struct pm_opt *o = &t->opts[i];
		char left[100], letter[8] = "   ";

		if (o->letter)
			snprintf(letter, sizeof letter, "-%c,", o->letter);
		snprintf(left, sizeof left, "  %s --%s%s%s%s", letter, o->negatable ? "[no-]" : "", o->name,
		    o->arg ? " " : "", o->arg ? o->arg : "");
		printf("%-34s%s%s", left, strlen(left) > 33 ? "\n                                  " : "", o->help);
		if (o->choices && !strstr(o->help, "|"))
			printf(" (%s)", o->choices);
		if (o->fallback)
			printf(" [%s]", o->fallback);
		putchar('\n');
	}
	printf("  -h, --help                      this text\n  -V, --version                   version\n");
	if (t->more)
		printf("\n%s", t->more);
}
