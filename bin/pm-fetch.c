/* pm-fetch: models and data, verified, into the cache or a directory (pm-fetch.1). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "bin/fetch.h"

static struct fetch_args a = {.unpack = true};

static struct pm_opt opts[] = {
	{.name = "include", .kind = PM_OPT_STRS, .arg = "GLOB", .to = &a.include, .help = "fetch the files that match, in place of the usual ones; may be repeated"},
	{.name = "exclude", .kind = PM_OPT_STRS, .arg = "GLOB", .to = &a.exclude, .help = "leave out the files that match; may be repeated"},
	{.name = "all", .kind = PM_OPT_FLAG, .to = &a.all, .help = "fetch every file of the repository"},
	{.name = "type", .kind = PM_OPT_CHOICE, .arg = "T", .to = &a.type, .choices = "model|dataset|space", .help = "what the repository is [model]"},
	{.name = "revision", .kind = PM_OPT_STR, .arg = "REV", .to = &a.revision, .help = "branch, tag or commit [main]"},
	{.name = "local-dir", .kind = PM_OPT_STR, .arg = "DIR", .to = &a.local_dir, .help = "put the files there, not into the cache"},
	{.name = "cache-dir", .kind = PM_OPT_STR, .arg = "DIR", .to = &a.cache_dir, .help = "the cache [HF_HUB_CACHE]"},
	{.name = "lock", .kind = PM_OPT_STR, .arg = "FILE", .to = &a.lock, .help = "fetch exactly what FILE says; write it where it does not yet"},
	{.name = "offline", .kind = PM_OPT_FLAG, .to = &a.offline, .help = "use what is there, never the network"},
	{.name = "dry-run", .kind = PM_OPT_FLAG, .to = &a.dry_run, .help = "say what would be fetched (or removed), and do nothing"},
	{.name = "repair", .kind = PM_OPT_FLAG, .to = &a.repair, .help = "read what is there, and fetch again what is damaged"},
	{.name = "sha256", .kind = PM_OPT_STR, .arg = "HEX", .to = &a.sha256, .help = "the hash that a file from an address must have"},
	{.name = "unpack", .kind = PM_OPT_FLAG, .to = &a.unpack, .negatable = true, .help = "unpack archives (the default)"},
	{.name = "max-bytes", .kind = PM_OPT_REAL, .arg = "N", .to = &a.max_bytes, .fallback = "1e12", .min = 1, .max = 1e18, .help = "most bytes that an archive may hold"},
	{.name = "max-files", .kind = PM_OPT_INT, .arg = "N", .to = &a.max_files, .fallback = "1000000", .min = 1, .max = 1e9, .help = "most files that an archive may hold"},
	{.name = "jobs", .kind = PM_OPT_INT, .arg = "N", .to = &a.jobs, .fallback = "8", .min = 1, .max = 64, .help = "files fetched at a time"},
	{.name = "retries", .kind = PM_OPT_INT, .arg = "N", .to = &a.retries, .fallback = "5", .min = 0, .max = 1000, .help = "attempts after the first, while no byte comes"},
	{.name = "retry-delay", .kind = PM_OPT_REAL, .arg = "S", .to = &a.delay, .fallback = "1", .min = 0, .max = 3600, .help = "seconds before the second attempt; doubles from then on"},
	{.name = "timeout", .kind = PM_OPT_REAL, .arg = "S", .to = &a.timeout, .min = 0.01, .max = 86400, .help = "seconds without a byte after which an attempt is given up [10]"},
	{.name = "verify", .kind = PM_OPT_FLAG, .to = &a.verify, .help = "read directories or names again and compare their hashes"},
	{.name = "list", .kind = PM_OPT_FLAG, .to = &a.list, .help = "list what is in the cache"},
	{.name = "prune", .kind = PM_OPT_FLAG, .to = &a.prune, .help = "remove parts, unused files and commits without a branch from the cache"},
	{.name = "remove", .kind = PM_OPT_FLAG, .to = &a.remove, .help = "remove repositories, or revisions of them, from the cache"},
	PM_OPT_JSON(&a.json, "write JSON"),
	PM_OPT_QUIET(&a.quiet),
	PM_OPT_VERBOSE(&a.verbose),
};

static struct pm_tool tool = {.name = "pm-fetch", .operands = "[NAME [FILE ...]]",
	.brief = "fetches models and data, verified, and prints where they are", .opts = opts, .nopts = sizeof opts / sizeof *opts};

/* What one run of the tool holds. */
struct run {
	struct pm_env env;
	char *hub, *token;
	const char *endpoint;
	struct pm_net *net;
	struct pm_hub_pins pins;
	struct fetch_progress progress;
	bool pins_changed;
	double start;
};

/* The token of the environment, else of the file that other software writes. */
static int find_token(struct run *r, struct pm_err *e)
{
	const char *word = pm_env_word("HF_TOKEN");
	char *path, *home;
	struct pm_str s = {0};
	int k = 0;

	if (pm_env_is_true("HF_HUB_DISABLE_IMPLICIT_TOKEN") && !word)
		return 0;
	if (!word)
		word = pm_env_word("HUGGING_FACE_HUB_TOKEN");
	if (word) {
		k = pm_str_puts(&s, word, e);
	} else {
		path = pm_env_path("HF_TOKEN_PATH", e);
		home = path ? NULL : pm_env_hf_home(e);
		if (!path && home)
			path = pm_path(home, "token", e);
		if (path && pm_exists(path))
			k = pm_read_file(&s, path, e);
		free(path);
		free(home);
	}
	while (s.len && strchr(" \t\r\n", s.data[s.len - 1]))
		s.data[--s.len] = 0;
	if (k == 0 && s.len && s.len != strspn(s.data, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.~+/="))
		k = pm_fail(e, PM_CONFIG, "the token has characters that a token cannot have");
	r->token = k == 0 && s.len ? s.data : NULL;
	if (!r->token)
		pm_str_free(&s);
	return k;
}

static double seconds(const char *variable)
{
	const char *s = pm_env_word(variable);
	double v = s ? strtod(s, NULL) : 0;

	return v > 0 && v < 1e6 ? v : 10;
}

static int open_net(struct run *r, struct pm_err *e)
{
	const char *ca = pm_env_word("SSL_CERT_FILE");
	struct pm_net_opts o = {.endpoint = r->endpoint, .agent = "pm-fetch/" PM_VERSION, .retries = (int)a.retries, .delay = a.delay, .jobs = (int)a.jobs,
		.clock = pm_clock, .stop = pm_signals_got, .tick = fetch_progress_at, .arg = &r->progress};

	if (a.offline)
		return 0;
	if (find_token(r, e) < 0)
		return -1;
	o.token = r->token;
	o.ca_file = ca ? ca : pm_env_word("CURL_CA_BUNDLE");
	o.timeout = pm_opt_given(&tool, "timeout") ? a.timeout : seconds("HF_HUB_DOWNLOAD_TIMEOUT");
	o.answer_timeout = pm_opt_given(&tool, "timeout") ? a.timeout : seconds("HF_HUB_ETAG_TIMEOUT");
	return pm_net_open(&r->net, &o, e);
}

static const char *word_of(const struct pm_hub_fetched *f, size_t i)
{
	return f->have[i] == PM_HUB_HERE ? "here" : f->have[i] == PM_HUB_FETCHED ? "fetched" : "missing";
}

static int report(const struct run *r, const struct pm_hub_name *n, const struct pm_hub_fetched *f, struct pm_err *e)
{
	char all[32], got[32];
	size_t i, fetched = 0;

	if (a.json) {
		json_t *files = json_array();

		for (i = 0; i < f->list.n; i++)
			if (f->have[i] != PM_HUB_UNWANTED)
				json_array_append_new(files, json_pack("{s:s, s:I, s:s, s:s}", "path", f->list.v[i].path, "size", (json_int_t)f->list.v[i].size,
				    strlen(f->list.v[i].hash) == 64 ? "sha256" : "git", f->list.v[i].hash, "is", word_of(f, i)));
		return fetch_print(json_pack("{s:s#, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:o}", "type", pm_hub_type_word(n->type),
		    strlen(pm_hub_type_word(n->type)) - 1, "id", n->id, "revision", n->revision, "commit", f->commit, "path", f->path, "bytes",
		    (json_int_t)f->bytes, "needed", (json_int_t)f->needed, "received", (json_int_t)f->received, "files", files), e);
	}
	for (i = 0; i < f->list.n; i++) {
		fetched += f->have[i] == PM_HUB_FETCHED;
		if (a.dry_run && f->have[i] != PM_HUB_UNWANTED)
			printf("%s\t%llu\t%s\n", f->have[i] == PM_HUB_HERE ? "here" : "fetch", (unsigned long long)f->list.v[i].size, f->list.v[i].path);
	}
	if (a.dry_run)
		printf("total\t%llu\t%llu of %llu files to fetch, %llu bytes\n", (unsigned long long)f->bytes, (unsigned long long)f->missing,
		    (unsigned long long)f->files, (unsigned long long)f->needed);
	else
		puts(f->path);
	if (!a.quiet && !a.dry_run)
		pm_say(&tool, "%s@%.12s: %llu files, %s; %zu fetched, %s received in %.1f s", n->id, f->commit, (unsigned long long)f->files,
		    fetch_bytes(all, (double)f->bytes), fetched, fetch_bytes(got, (double)f->received), pm_clock() - r->start);
	return 0;
}

/* What was fetched goes into the lock file. */
static int pin_down(struct run *r, const struct pm_hub_name *n, const struct pm_hub_fetched *f, struct pm_err *e)
{
	struct pm_hub_pin *pin = pm_hub_pins_add(&r->pins, n, NULL, e);
	size_t i;

	if (!pin)
		return -1;
	memcpy(pin->commit, f->commit, 41);
	for (i = 0; i < f->list.n; i++)
		if (f->have[i] != PM_HUB_UNWANTED && pm_hub_list_add(&pin->list, f->list.v[i].path, f->list.v[i].size, f->list.v[i].hash, e) < 0)
			return -1;
	r->pins_changed = true;
	return pm_hub_list_close(&pin->list, e);
}

static int fetch_name(struct run *r, struct pm_hub_name *n, int nfiles, char **files, struct pm_err *e)
{
	struct pm_hub_fetch_opts o = {.hub = r->hub, .local_dir = a.local_dir, .endpoint = r->endpoint, .offline = a.offline, .dry_run = a.dry_run,
		.repair = a.repair, .net = r->net};
	const char *one[1] = {n->path};
	struct pm_hub_fetched f = {0};
	int k;

	if (!r->hub)
		return pm_fail(e, PM_CONFIG, "there is no place for a cache: HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME or HOME was wanted");
	if (pm_opt_refuse(&tool, "sha256", "on a repository: its files have hashes of their own", e) < 0 ||
	    pm_opt_refuse(&tool, "unpack", "on a repository", e) < 0 || pm_opt_refuse(&tool, "max-bytes", "on a repository", e) < 0 ||
	    pm_opt_refuse(&tool, "max-files", "on a repository", e) < 0)
		return -1;
	if (n->path && nfiles)
		return pm_fail(e, PM_USAGE, "the name says which file it is already: '%s' has no effect", files[0]);
	o.want = (struct pm_hub_want){.files = n->path ? one : (const char *const *)files, .nfiles = n->path ? 1 : (size_t)nfiles, .include = a.include.v,
		.ninclude = a.include.n, .exclude = a.exclude.v, .nexclude = a.exclude.n, .quant = n->quant, .all = a.all, .model = n->type == PM_HUB_MODEL};
	o.pin = a.lock ? pm_hub_pins_find(&r->pins, n, NULL) : NULL;
	if (o.pin && strcmp(n->revision, o.pin->name.revision) && strcmp(n->revision, o.pin->commit) && (a.revision || strcmp(n->revision, "main")))
		return pm_fail(e, PM_DATA, "%s: %s has the revision '%s', '%s' was wanted", n->id, a.lock, o.pin->name.revision, n->revision);
	k = pm_hub_fetch(&f, n, &o, e);
	fetch_progress_end(&r->progress);
	if (k == 0 && a.lock && !o.pin && !a.dry_run)
		k = pin_down(r, n, &f, e);
	if (k == 0)
		k = report(r, n, &f, e);
	pm_hub_fetched_free(&f);
	return k;
}

static int pin_address(struct run *r, const char *url, const struct pm_hub_addressed *w, struct pm_err *e)
{
	struct pm_hub_pin *pin = pm_hub_pins_add(&r->pins, NULL, url, e);

	r->pins_changed = true;
	return pin ? pm_hub_list_add(&pin->list, "file", w->size, w->sha256, e) : -1;
}

/* An address, or (local) a path of this machine. */
static int fetch_address(struct run *r, const char *url, bool local, struct pm_err *e)
{
	static const char *const none[] = {"type", "revision", "all"};
	struct pm_hub_address_opts o = {.urls = r->env.urls, .local_dir = a.local_dir, .sha256 = a.sha256, .most_bytes = (uint64_t)a.max_bytes,
		.most_files = (uint64_t)a.max_files, .offline = a.offline, .dry_run = a.dry_run, .repair = a.repair, .unpack = a.unpack, .stop = pm_signals_got,
		.net = r->net};
	const struct pm_hub_pin *pin = a.lock && !local ? pm_hub_pins_find(&r->pins, NULL, url) : NULL;
	struct pm_hub_addressed w = {0};
	size_t i;
	int k;

	for (i = 0; i < sizeof none / sizeof *none; i++)
		if (pm_opt_refuse(&tool, none[i], "on what is no repository", e) < 0)
			return -1;
	if (local && pm_opt_refuse(&tool, "lock", "on what is on this machine", e) < 0)
		return -1;
	if (a.sha256 && !pm_hub_is_hex(a.sha256, 64))
		return pm_fail(e, PM_USAGE, "--sha256: 64 hexadecimal digits in lower case were wanted");
	o.want = (struct pm_hub_want){.include = a.include.v, .ninclude = a.include.n, .exclude = a.exclude.v, .nexclude = a.exclude.n};
	if (pin && a.sha256 && strcmp(a.sha256, pin->list.v[0].hash))
		return pm_fail(e, PM_DATA, "%s: %s has the hash %s", url, a.lock, pin->list.v[0].hash);
	if (pin)
		o.sha256 = pin->list.v[0].hash;
	k = local ? pm_hub_fetch_local(&w, url, &o, e) : pm_hub_fetch_address(&w, url, &o, e);
	fetch_progress_end(&r->progress);
	if (k == 0 && a.lock && !pin && !a.dry_run)
		k = pin_address(r, url, &w, e);
	if (k == 0 && a.json)
		k = fetch_print(json_pack("{s:s, s:s, s:s, s:o, s:I, s:s}", "address", url, "path", w.path, "sha256", w.sha256, "size",
		    w.size == UINT64_MAX ? json_null() : json_integer((json_int_t)w.size), "received", (json_int_t)w.received, "is",
		    w.here ? "here" : a.dry_run ? "missing" : "fetched"), e);
	else if (k == 0 && a.dry_run && w.size == UINT64_MAX)
		printf("fetch\t?\t%s\n", url);
	else if (k == 0 && a.dry_run)
		printf("%s\t%llu\t%s\n", w.here ? "here" : "fetch", (unsigned long long)w.size, url);
	else if (k == 0)
		puts(w.path);
	free(w.path);
	return k;
}

static int fetch_one(struct run *r, const char *text, int nfiles, char **files, struct pm_err *e)
{
	bool http = !strncmp(text, "http://", 7) || !strncmp(text, "https://", 8), local = !strncmp(text, "file:", 5);
	struct pm_hub_name n = {0};
	int k;

	if (local)
		text += !strncmp(text, "file:///", 8) ? 7 : 5;
	k = http ? pm_hub_name_url(&n, text, r->endpoint, e) : local || pm_exists(text) ? 1 : pm_hub_name_parse(&n, text, e);
	if (k < 0)
		return -1;
	if (k > 0 && nfiles)
		return pm_fail(e, PM_USAGE, "'%s': files can be named of a repository only (--include takes files of an archive)", files[0]);
	if (k > 0)
		return fetch_address(r, text, !http, e);
	if (a.type && n.typed && pm_hub_type_by_word(a.type) != (int)n.type)
		k = pm_fail(e, PM_USAGE, "%s: --type %s says otherwise", text, a.type);
	else if (a.type)
		n.type = (enum pm_hub_type)pm_hub_type_by_word(a.type);
	if (k == 0 && a.revision && (strcmp(n.revision, "main") || !pm_hub_revision_ok(a.revision)))
		k = pm_fail(e, PM_USAGE, strcmp(n.revision, "main") ? "%s: --revision %s says otherwise" : "%s: --revision '%s': a branch, tag or commit was wanted", text,
		    a.revision);
	if (k == 0 && a.revision) {
		free(n.revision);
		k = (n.revision = pm_strdup(a.revision, e)) ? 0 : -1;
	}
	if (k == 0)
		k = fetch_name(r, &n, nfiles, files, e);
	pm_hub_name_free(&n);
	return k;
}

/* All that a lock file names. */
static int fetch_locked(struct run *r, struct pm_err *e)
{
	size_t i, n = r->pins.n;
	int k = n ? 0 : pm_fail(e, PM_USAGE, a.lock ? "%s: names nothing to fetch" : "a name was wanted: ORG/NAME, hf://…, an address or a path%s",
	    a.lock ? a.lock : "");

	for (i = 0; k == 0 && i < n; i++) {
		struct pm_hub_pin *pin = &r->pins.v[i];
		struct pm_hub_name name = {.type = pin->name.type, .id = pin->name.id, .revision = pin->name.revision};

		k = pin->url ? fetch_address(r, pin->url, false, e) : fetch_name(r, &name, 0, NULL, e);
	}
	return k;
}

/* Options of each mode; any other that was given has no effect there. */
static int check_mode(int n, struct pm_err *e)
{
	static const struct { const char *name; bool *on; const char *takes; } modes[] = {
		{"list", &a.list, " list cache-dir json "}, {"verify", &a.verify, " verify cache-dir json lock quiet "},
		{"prune", &a.prune, " prune cache-dir json dry-run quiet "}, {"remove", &a.remove, " remove cache-dir json dry-run quiet type "},
	};
	char word[40], why[40];
	size_t i, k;
	int on = 0;

	for (i = 0; i < sizeof modes / sizeof *modes; i++) {
		on += *modes[i].on;
		snprintf(why, sizeof why, "with --%s", modes[i].name);
		for (k = 0; *modes[i].on && k < tool.nopts; k++) {
			snprintf(word, sizeof word, " %s ", opts[k].name);
			if (!strstr(modes[i].takes, word) && pm_opt_refuse(&tool, opts[k].name, why, e) < 0)
				return -1;
		}
	}
	if (n && (a.list || a.prune))
		return pm_fail(e, PM_USAGE, "%s takes no name", a.list ? "--list" : "--prune (--remove does)");
	for (i = 0; a.offline && i < 5; i++)
		if (pm_opt_refuse(&tool, (const char *const[]){"jobs", "retries", "retry-delay", "timeout", "repair"}[i], "with --offline", e) < 0)
			return -1;
	if (a.dry_run && pm_opt_refuse(&tool, "repair", "with --dry-run", e) < 0)
		return -1;
	return on;
}

static int run(struct pm_tool *t, int argc, char **argv, struct pm_err *e)
{
	struct run r = {.start = pm_clock()};
	int mode = check_mode(argc - 1, e), k = mode < 0 ? -1 : pm_env_get(&r.env, e);

	if (k < 0)
		return -1;
	if (!pm_opt_given(t, "unpack"))
		a.unpack = true;
	a.offline |= pm_env_is_true("HF_HUB_OFFLINE");
	r.hub = a.cache_dir ? pm_strdup(a.cache_dir, e) : r.env.hub ? pm_strdup(r.env.hub, e) : NULL;
	r.endpoint = r.env.endpoint ? r.env.endpoint : "https://huggingface.co";
	if (mode && !r.hub)
		k = pm_fail(e, PM_CONFIG, "there is no place for a cache: HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME or HOME was wanted");
	else if (a.list)
		k = fetch_list(&a, r.hub, e);
	else if (a.verify)
		k = fetch_verify(&a, &r.env, r.hub, argc - 1, argv + 1, e);
	else if (a.prune)
		k = fetch_prune(&a, &r.env, r.hub, e);
	else if (a.remove)
		k = fetch_remove(&a, r.hub, argc - 1, argv + 1, e);
	if (mode || k < 0)
		goto end;
	pm_signals_catch();
	fetch_progress_begin(&r.progress, t, a.quiet, a.verbose);
	k = open_net(&r, e);
	if (k == 0 && a.lock && pm_exists(a.lock))
		k = pm_hub_pins_read(&r.pins, a.lock, e);
	if (k == 0)
		k = argc > 1 ? fetch_one(&r, argv[1], argc - 2, argv + 2, e) : fetch_locked(&r, e);
	if (k == 0 && r.pins_changed)
		k = pm_hub_pins_write(&r.pins, a.lock, e);
	fetch_progress_end(&r.progress);
	if (k > 0 && pm_signals_got())
		k = 128 + pm_signals_got();
end:
	pm_net_close(r.net);
	pm_hub_pins_free(&r.pins);
	free(r.hub);
	free(r.token);
	pm_env_free(&r.env);
	return k;
}

int main(int argc, char **argv)
{
	return pm_tool_main(&tool, argc, argv, run);
}
