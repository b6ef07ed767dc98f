#include "hub/name.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

static const char *const words[] = {"models", "datasets", "spaces"};
#define PUBLIC_HUB "https://huggingface.co"

const char *pm_hub_type_word(enum pm_hub_type t)
{
	return words[t];
}

int pm_hub_type_by_word(const char *word)
{
	size_t i, n = strlen(word);

	for (i = 0; i < 3; i++)
		if (!strcmp(word, words[i]) || (n == strlen(words[i]) - 1 && !strncmp(word, words[i], n)))
			return (int)i;
	return -1;
}

bool pm_hub_is_hex(const char *text, size_t n)
{
	return strlen(text) == n && strspn(text, "0123456789abcdef") == n;
}

bool pm_hub_revision_ok(const char *revision)
{
	const char *p;

	for (p = revision; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("._/+=-", *p))
			return false;
	return revision[0] != '-' && strlen(revision) <= 250 && pm_path_inside(revision);
}

/* One part of a repository's id: letters, digits, "-", "_", "."; neither "--" nor "..", no "-" or "." at an end, at most 96. "--"
 * is what stands for "/" in the cache. */
static bool part_ok(const char *s, size_t n)
{
	size_t i;

	if (n == 0 || n > 96 || strchr("-.", s[0]) || strchr("-.", s[n - 1]))
		return false;
	for (i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && !strchr("-_.", s[i]))
			return false;
		else if (i && strchr("-.", s[i]) && s[i] == s[i - 1])
			return false;
	return true;
}

static bool id_ok(const char *s, size_t n)
{
	const char *slash = memchr(s, '/', n);
	size_t org = slash ? (size_t)(slash - s) : 0;

	return slash ? part_ok(s, org) && part_ok(slash + 1, n - org - 1) : part_ok(s, n);
}

static bool quant_ok(const char *s)
{
	return *s && strlen(s) <= 40 && !s[strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.")];
}

static bool ref_of_pull(const char *s, size_t *n)
{
	static const char pull[] = "refs/pr/", convert[] = "refs/convert/";
	const char *rest = !strncmp(s, pull, 8) ? s + 8 : !strncmp(s, convert, 13) ? s + 13 : NULL;

	if (!rest)
		return false;
	*n = (size_t)(rest - s) + strcspn(rest, "/");
	return true;
}

/* A copy with %XX read as the byte it stands for. */
static char *unescape(const char *s, size_t n, struct pm_err *e)
{
	char *out = pm_strndup(s, n, e), *to = out, hex[3] = "", *end;
	size_t i;

	for (i = 0; out && i < n; i++) {
		if (s[i] == '%' && n - i > 2) {
			memcpy(hex, s + i + 1, 2);
			*to = (char)strtol(hex, &end, 16);
			if (!*end && isxdigit((unsigned char)hex[0]) && *to) {
				to++;
				i += 2;
				continue;
			}
		}
		*to++ = s[i];
	}
	if (out)
		*to = 0;
	return out;
}

static int wrong(struct pm_hub_name *n, const char *text, const char *what, struct pm_err *e)
{
	pm_hub_name_free(n);
	return pm_fail(e, PM_USAGE, "%s: %s", text, what);
}

/* Fills the name from its parts (NULL: not given), each still to be checked. */
static int fill(struct pm_hub_name *n, const char *text, const char *id, size_t nid, const char *rev, size_t nrev, const char *path,
	const char *quant, struct pm_err *e)
{
	if (!id_ok(id, nid))
		return wrong(n, text, "ORG/NAME was wanted: letters, digits, '-', '_' and '.'", e);
	n->id = pm_strndup(id, nid, e);
	n->revision = rev ? unescape(rev, nrev, e) : pm_strdup("main", e);
	n->path = path && *path ? unescape(path, strlen(path), e) : NULL;
	n->quant = quant ? pm_strdup(quant, e) : NULL;
	if (!n->id || !n->revision || (path && *path && !n->path) || (quant && !n->quant)) {
		pm_hub_name_free(n);
		return -1;
	}
	if (!pm_hub_revision_ok(n->revision))
		return wrong(n, text, "a branch, tag or commit was wanted behind '@'", e);
	if (n->path && n->path[strlen(n->path) - 1] == '/')
		n->path[strlen(n->path) - 1] = 0;
	if (n->path && !pm_path_inside(n->path))
		return wrong(n, text, "a path inside the repository was wanted, without '..'", e);
	if (n->quant && !quant_ok(n->quant))
		return wrong(n, text, "a quantisation was wanted behind ':', as in Q4_K_M", e);
	return 0;
}

/* ":QUANT" at the end of a copied text is cut off. */
static const char *cut_quant(char *text)
{
	char *colon = strrchr(text, ':');

	if (!colon || strchr(colon, '/'))
		return NULL;
	*colon = 0;
	return colon + 1;
}

/* hf:// behind its "hf://" */
static int parse_uri(struct pm_hub_name *n, const char *text, char *s, struct pm_err *e)
{
	size_t first = strcspn(s, "/"), nid, nrev = 0;
	const char *id, *rev = NULL, *rest, *quant = cut_quant(s);
	int i;

	for (i = 0; i < 3; i++)
		if (strlen(words[i]) == first && !strncmp(s, words[i], first) && s[first] == '/') {
			n->type = (enum pm_hub_type)i;
			n->typed = true;
			s += first + 1;
			break;
		}
	id = s;
	nid = strcspn(s, "/@");
	if (s[nid] == '/')
		nid += 1 + strcspn(s + nid + 1, "/@");
	rest = s + nid;
	if (*rest == '@') {
		rev = rest + 1;
		if (!ref_of_pull(rev, &nrev))
			nrev = strcspn(rev, "/");
		rest = rev + nrev;
	}
	return fill(n, text, id, nid, rev, nrev, *rest == '/' ? rest + 1 : rest, quant, e);
}

int pm_hub_name_parse(struct pm_hub_name *n, const char *text, struct pm_err *e)
{
	char *copy = pm_strdup(text, e);
	int r;

	memset(n, 0, sizeof *n);
	if (!copy)
		return -1;
	if (!strncmp(copy, "hf://", 5)) {
		r = parse_uri(n, text, copy + 5, e);
	} else {
		const char *quant = cut_quant(copy);
		char *at = strchr(copy, '@');

		if (at)
			*at++ = 0;
		r = fill(n, text, copy, strlen(copy), at, at ? strlen(at) : 0, NULL, quant, e);
	}
	free(copy);
	return r;
}

bool pm_hub_name_looks(const char *text)
{
	struct pm_hub_name n;
	struct pm_err e;
	bool is = !strncmp(text, "hf://", 5);

	if (!is && strchr(text, '/') && pm_hub_name_parse(&n, text, &e) == 0) {
		is = strchr(n.id, '/') != NULL;
		pm_hub_name_free(&n);
	}
	return is;
}

/* Where the path of an address begins, if it is one of the hub's; NULL otherwise. */
static const char *on_hub(const char *url, const char *endpoint)
{
	const char *const hosts[] = {endpoint, PUBLIC_HUB, "https://hf.co"};
	size_t i, n;

	for (i = 0; i < 3; i++) {
		n = hosts[i] ? strlen(hosts[i]) : 0;
		while (n && hosts[i][n - 1] == '/')
			n--;
		if (n && !strncasecmp(url, hosts[i], n) && url[n] == '/')
			return url + n + 1;
	}
	return NULL;
}

int pm_hub_name_url(struct pm_hub_name *n, const char *url, const char *endpoint, struct pm_err *e)
{
	static const char *const verbs[] = {"tree", "blob", "resolve", "raw"};
	const char *p = on_hub(url, endpoint), *verb, *rev = NULL, *path = NULL;
	char *copy;
	size_t nid, nrev = 0, i;
	int r = 1;

	memset(n, 0, sizeof *n);
	if (!p || !(copy = pm_strndup(p, strcspn(p, "?#"), e)))
		return p ? -1 : 1;
	p = copy;
	for (i = 1; i < 3; i++)
		if (!strncmp(p, words[i], strlen(words[i])) && p[strlen(words[i])] == '/') {
			n->type = (enum pm_hub_type)i;
			p += strlen(words[i]) + 1;
		}
	n->typed = true;
	nid = strcspn(p, "/");
	nid += p[nid] ? 1 + strcspn(p + nid + 1, "/") : 0;
	if (nid && p[nid - 1] == '/')
		nid--;
	verb = p + nid + strspn(p + nid, "/");
	for (i = 0; i < 4; i++)
		if (!strncmp(verb, verbs[i], strlen(verbs[i])) && verb[strlen(verbs[i])] == '/') {
			rev = verb + strlen(verbs[i]) + 1;
			if (!ref_of_pull(rev, &nrev))
				nrev = strcspn(rev, "/");
			path = rev[nrev] ? rev + nrev + 1 : NULL;
			break;
		}
	if (id_ok(p, nid) && strcmp(p, "api") && strncmp(p, "api/", 4) && (rev || !*verb))
		r = fill(n, url, p, nid, rev, nrev, path, NULL, e);
	free(copy);
	return r;
}

void pm_hub_name_free(struct pm_hub_name *n)
{
	free(n->id);
	free(n->revision);
	free(n->path);
	free(n->quant);
	memset(n, 0, sizeof *n);
}
