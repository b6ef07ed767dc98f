/* pm-gguf set: a GGUF file with some keys changed, added or removed; the tensors as they are. The file is written anew beside the old one, which it
 * then replaces. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "bin/gguf.h"

static struct {
	const char *output;
	struct pm_opt_list remove;
	bool quiet;
} a;

static struct pm_opt opts[] = {
	PM_OPT_OUTPUT(&a.output, "write there, and leave FILE as it is"),
	{.name = "remove", .kind = PM_OPT_STRS, .arg = "KEY", .to = &a.remove, .help = "leave this key out; may be repeated"},
	PM_OPT_QUIET(&a.quiet),
};

/* KEY=[TYPE:]VALUE */
struct change {
	char *key;
	const char *value;              /* NULL: remove */
	enum pm_gguf_type type, of;
	bool done;
};

static struct change *change_of(struct change *c, size_t n, const char *key)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!strcmp(c[i].key, key))
			return &c[i];
	return NULL;
}

/* Without a type the key has to be there, and keeps its own. */
static int read_change(struct change *c, const char *arg, const struct pm_gguf *g, struct pm_err *e)
{
	const char *eq = strchr(arg, '=');
	const struct pm_gguf_key *k;

	if (!eq || eq == arg)
		return pm_fail(e, PM_USAGE, "KEY=VALUE was wanted, not '%.200s'", arg);
	c->key = pm_strndup(arg, (size_t)(eq - arg), e);
	if (!c->key)
		return -1;
	if (pm_gguf_parse_type(&c->type, &c->of, &c->value, eq + 1) == 0)
		return 0;
	k = pm_gguf_key(g, c->key);
	if (!k)
		return pm_fail(e, PM_USAGE, "key '%.200s' is new: a type was wanted (%s=str:… or u32, f32, bool, str[] …)", c->key, c->key);
	c->type = k->type;
	c->of = k->item;
	c->value = eq + 1;
	return 0;
}

static int read_changes(struct change *c, size_t n, char **argv, const struct pm_gguf *g, struct pm_err *e)
{
	size_t i;

	for (i = 0; i < n; i++) {
		const char *key = i < a.remove.n ? a.remove.v[i] : NULL;

		if (key && !pm_gguf_key(g, key))
			return pm_fail(e, PM_USAGE, "--remove: there is no key '%.200s'", key);
		if (key ? !(c[i].key = pm_strdup(key, e)) : read_change(&c[i], argv[i - a.remove.n], g, e) < 0)
			return -1;
		if (change_of(c, i, c[i].key))
			return pm_fail(e, PM_USAGE, "key '%.200s' is named twice", c[i].key);
	}
	return 0;
}

static int put_keys(struct pm_gguf_writer *w, const struct pm_gguf *g, struct change *c, size_t n, struct pm_err *e)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < pm_gguf_keys(g); i++) {
		const struct pm_gguf_key *k = pm_gguf_key_at(g, i);
		struct change *x = change_of(c, n, k->name);

		if (!x)
			r = pm_gguf_put_key(w, k, e);
		else if (x->value)
			r = pm_gguf_put_text(w, x->key, x->type, x->of, x->value, e);
		if (x)
			x->done = true;
	}
	for (i = 0; r == 0 && i < n; i++)
		if (!c[i].done)
			r = pm_gguf_put_text(w, c[i].key, c[i].type, c[i].of, c[i].value, e);
	return r;
}

/* A change of general.alignment is one of where tensors lie. */
static uint64_t alignment(const struct pm_gguf *g, struct change *c, size_t n)
{
	const struct change *x = change_of(c, n, "general.alignment");

	return !x ? pm_gguf_alignment(g) : x->value ? strtoull(x->value, NULL, 10) : 0;
}

static int rewrite(const struct pm_gguf *g, const char *to, struct change *c, size_t n, struct pm_err *e)
{
	const struct pm_view **v = pm_alloc(pm_gguf_count(g), sizeof *v, e);
	struct pm_gguf_writer *w = NULL;
	size_t i;
	int r = v ? pm_gguf_begin(&w, to, alignment(g, c, n), e) : -1;

	for (i = 0; r == 0 && i < pm_gguf_count(g); i++)
		v[i] = pm_gguf_at(g, i);
	if (r == 0)
		r = put_keys(w, g, c, n, e) < 0 ? -1 : gguf_put_tensors(w, v, pm_gguf_count(g), a.quiet, e);
	if (r == 0)
		r = pm_gguf_end(w, e);
	else
		pm_gguf_abort(w);
	free(v);
	return r;
}

static int run(struct pm_tool *t, int argc, char **argv, struct pm_err *e)
{
	size_t n = a.remove.n + (argc > 2 ? (size_t)argc - 2 : 0), i;
	struct change *c = NULL;
	struct pm_gguf *g = NULL;
	struct pm_env env;
	int r;

	(void)t;
	if (argc < 2 || !n)
		return pm_fail(e, PM_USAGE, "FILE KEY=VALUE … was wanted (see --help)");
	if (pm_env_get(&env, e) < 0)
		return -1;
	r = gguf_names(a.output ? 2 : 1, argv, &env, e);
	if (r == 0)
		r = pm_gguf_open(&g, argv[1], e);
	if (r == 0)
		r = (c = pm_alloc(n, sizeof *c, e)) ? read_changes(c, n, argv + 2, g, e) : -1;
	if (r == 0)
		r = rewrite(g, a.output ? a.output : argv[1], c, n, e);
	for (i = 0; c && i < n; i++)
		free(c[i].key);
	free(c);
	pm_gguf_close(g);
	pm_env_free(&env);
	return r;
}

static struct pm_tool tool = {.name = "pm-gguf set", .operands = "FILE [KEY=[TYPE:]VALUE ...]", .brief = "changes, adds and removes keys", .opts = opts,
	.nopts = sizeof opts / sizeof *opts};

const struct pm_verb gguf_set = {"set", &tool, run};
