/* tune.c: parameters of operations for this device, from text files. */
#include "dev/private.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"

static int keep(struct pm_dev *d, const char *operation, const char *pair, const char *where, struct pm_err *e)
{
	const char *eq = strchr(pair, '=');
	struct pm_tuned *t;
	char *end;
	long v;

	errno = 0;
	v = eq ? strtol(eq + 1, &end, 10) : 0;
	if (!eq || eq == pair || !eq[1] || *end || errno || v != (int)v)
		return pm_fail(e, PM_CONFIG, "%s: KEY=NUMBER was wanted, found '%s'", where, pair);
	if (pm_grow(&d->tuned, &d->cap_tuned, d->ntuned + 1, sizeof *d->tuned, e) < 0)
		return -1;
	t = &d->tuned[d->ntuned++];
	*t = (struct pm_tuned){pm_strdup(operation, e), pm_strndup(pair, (size_t)(eq - pair), e), (int)v};
	return t->operation && t->key ? 0 : -1;
}

/* `"PATTERN" OPERATION KEY=VALUE …`; quotes only where the pattern has spaces. */
static int read_line(struct pm_dev *d, char *line, const char *where, struct pm_err *e)
{
	char *pattern, *operation, *pair, *rest;

	line += strspn(line, " \t");
	if (!*line || *line == '#')
		return 0;
	pattern = line;
	if (*line == '"') {
		pattern++;
		line = strchr(pattern, '"');
		if (!line)
			return pm_fail(e, PM_CONFIG, "%s: the pattern's closing quote is not there", where);
		*line++ = 0;
	} else {
		line += strcspn(line, " \t");
		if (*line)
			*line++ = 0;
	}
	operation = strtok_r(line, " \t", &rest);
	if (!operation)
		return pm_fail(e, PM_CONFIG, "%s: PATTERN OPERATION KEY=NUMBER was wanted", where);
	if (fnmatch(pattern, d->info.name, 0) != 0)
		return 0;
	while ((pair = strtok_r(NULL, " \t", &rest))) {
		if (keep(d, operation, pair, where, e) < 0)
			return -1;
	}
	return 0;
}

static int read_file(struct pm_dev *d, const char *path, struct pm_err *e)
{
	struct pm_str text = {0};
	char where[4096], *line, *next;
	int r, n = 1;

	r = pm_read_file(&text, path, e);
	for (line = text.data; r == 0 && line && *line; line = next, n++) {
		next = line + strcspn(line, "\n");
		if (*next)
			*next++ = 0;
		snprintf(where, sizeof where, "%s: line %d", path, n);
		r = read_line(d, line, where, e);
	}
	pm_str_free(&text);
	return r;
}

static int tune_file(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return n > 5 && d->d_name[0] != '.' && !strcmp(d->d_name + n - 5, ".tune");
}

int pm_tune_load(struct pm_dev *d, const char *share, struct pm_err *e)
{
	struct dirent **files = NULL;
	char *dir, *path;
	int n, i, r = 0;

	if (!share)
		return 0;
	dir = pm_path(share, "tune", e);
	if (!dir)
		return -1;
	n = scandir(dir, &files, tune_file, alphasort);
	for (i = 0; i < n; i++) {
		if (r == 0) {
			path = pm_path(dir, files[i]->d_name, e);
			r = path ? read_file(d, path, e) : -1;
			free(path);
		}
		free(files[i]);
	}
	free(files);
	free(dir);
	return r;
}

void pm_tune_free(struct pm_dev *d)
{
	size_t i;

	for (i = 0; i < d->ntuned; i++) {
		free(d->tuned[i].operation);
		free(d->tuned[i].key);
	}
	free(d->tuned);
}

int pm_tune(const struct pm_dev *d, const char *operation, const char *key, int fallback)
{
	size_t i;

	for (i = d->ntuned; i-- > 0;) {
		if (!strcmp(d->tuned[i].operation, operation) && !strcmp(d->tuned[i].key, key))
			return d->tuned[i].value;
	}
	return fallback;
}
