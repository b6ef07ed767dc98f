#include "hub/fetch.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "hub/pin.h"

#define MOST_PAGES 100000

/* What the steps of a fetch share. */
struct work {
	const struct pm_hub_name *name;
	const struct pm_hub_fetch_opts *o;
	struct pm_hub_fetched *f;
	char *repo;
	char *about, *ref;      /* where refs and lists are kept: the repository, or .cache/huggingface of the local directory; the revision's name there */
	bool *keep;
};

/* HF_ENDPOINT/api/models/ORG/NAME/WHAT/REV, or without api and the type's word for models: HF_ENDPOINT/ORG/NAME/resolve/REV/FILE */
static char *address(const struct work *w, const char *what, const char *rev, const char *file, const char *query, struct pm_err *e)
{
	const char *end = w->o->endpoint + strlen(w->o->endpoint);
	struct pm_str s = {0};
	int r;

	while (end > w->o->endpoint && end[-1] == '/')
		end--;
	r = pm_str_printf(&s, e, "%.*s/%s%s%s%s/%s/", (int)(end - w->o->endpoint), w->o->endpoint, file ? "" : "api/",
	    file && w->name->type == PM_HUB_MODEL ? "" : pm_hub_type_word(w->name->type), file && w->name->type == PM_HUB_MODEL ? "" : "/", w->name->id, what);
	if (r == 0)
		r = pm_net_escape(&s, rev, false, e);
	if (r == 0 && file && (r = pm_str_puts(&s, "/", e)) == 0)
		r = pm_net_escape(&s, file, true, e);
	if (r == 0)
		r = pm_str_puts(&s, query, e);
	if (r < 0)
		pm_str_free(&s);
	return s.data;
}

static int name_places(struct work *w, struct pm_err *e)
{
	const char *dir = w->o->local_dir, *rev = w->name->revision;
	struct pm_str ref = {0};

	w->about = dir ? pm_path(dir, ".cache/huggingface", e) : pm_strdup(w->repo, e);
	if (pm_str_printf(&ref, e, "%s%s%s", dir ? strrchr(w->repo, '/') + 1 : "", dir ? "/" : "", rev) < 0)
		return -1;
	w->ref = ref.data;
	return w->about ? 0 : -1;
}

static int find_commit(struct work *w, struct pm_err *e)
{
	const char *rev = w->name->revision;
	struct pm_job j = {.name = w->name->id, .size = UINT64_MAX};
	int r;

	if (w->o->pin) {
		memcpy(w->f->commit, w->o->pin->commit, 41);
		return 0;
	}
	if (w->o->offline || pm_hub_is_hex(rev, 40)) {
		r = pm_hub_ref(w->f->commit, w->about, pm_hub_is_hex(rev, 40) ? rev : w->ref, e);
		return r > 0 ? pm_fail(e, PM_NOINPUT, "%s: the cache has no revision '%s' of it, and the network is not to be used", w->name->id, rev) : r;
	}
	j.url = address(w, "revision", rev, NULL, "", e);
	r = j.url ? pm_net_get(w->o->net, &j, e) : -1;
	if (r == 0 && pm_hub_revision_read(w->f->commit, j.body.data ? j.body.data : "", j.body.len, e) < 0)
		r = pm_ctx(e, "%s", w->name->id);
	free((char *)(size_t)j.url);
	pm_job_free(&j);
	return r;
}

/* All pages of the list. */
static int fetch_list(struct work *w, struct pm_err *e)
{
	struct pm_hub_list *l = &w->f->list;
	char *url = address(w, "tree", w->f->commit, NULL, "?recursive=1", e), *to;
	bool complete = true;
	int pages, r = url ? 0 : -1;
	size_t i, n;

	for (pages = 0; r == 0 && url; pages++) {
		struct pm_job j = {.name = w->name->id, .url = url, .size = UINT64_MAX};
		const char *next;

		r = pages < MOST_PAGES ? pm_net_get(w->o->net, &j, e) : pm_fail(e, PM_DATA, "%s: the list of files has no end", w->name->id);
		if (r == 0 && pm_hub_list_page(l, j.body.data ? j.body.data : "", j.body.len, e) < 0)
			r = pm_ctx(e, "%s", w->name->id);
		next = r == 0 ? pm_hub_link_next(j.answer.link, &n) : NULL;
		to = next ? pm_strndup(next, n, e) : NULL;
		char *joined = to ? pm_net_join(url, to, e) : NULL;

		r = next && !joined ? -1 : r;
		free(url);
		free(to);
		url = joined;
		pm_job_free(&j);
	}
	free(url);
	if (r == 0 && pm_hub_list_close(l, e) < 0)
		r = pm_ctx(e, "%s", w->name->id);
	for (i = 0; i < l->n; i++)
		complete &= l->v[i].blob_id[0] && l->v[i].size != PM_HUB_SIZE_UNKNOWN;
	if (r == 0 && complete && !w->o->dry_run) {
		r = pm_hub_begin(w->o->local_dir ? w->about : w->o->hub, e);
		if (r == 0)
			r = pm_hub_tree_write(w->about, w->f->commit, l, e);
	}
	return r;
}

static bool plain_files(const struct pm_hub_want *w)
{
	size_t i;

	for (i = 0; i < w->nfiles; i++)
		if (strpbrk(w->files[i], "*?[") || w->files[i][strlen(w->files[i]) - 1] == '/')
			return false;
	return w->nfiles > 0 && !w->ninclude && !w->nexclude && !w->quant && !w->all;
}

static int copy_list(struct pm_hub_list *to, const struct pm_hub_list *from, struct pm_err *e)
{
	size_t i;

	for (i = 0; i < from->n; i++)
		if (pm_hub_list_add(to, from->v[i].path, from->v[i].size, from->v[i].hash[0] ? from->v[i].hash : NULL, e) < 0)
			return -1;
	return pm_hub_list_close(to, e);
}

/* The files there are: as the lock file says, as the cache knows, as the hub says; offline and without the hub's list, those that
 * are there. Files asked for by their names need no list: the hub says of each what it is (describe). */
static int find_list(struct work *w, struct pm_err *e)
{
	struct pm_hub_list *l = &w->f->list;
	char *dir;
	size_t i;
	int r;

	if (w->o->pin)
		return copy_list(l, &w->o->pin->list, e);
	r = pm_hub_tree(l, w->about, w->f->commit, e);
	if (r <= 0)
		return r;
	if (w->o->offline) {
		dir = w->o->local_dir ? pm_strdup(w->o->local_dir, e) : pm_hub_in(w->repo, "snapshots", w->f->commit, e);
		r = !dir ? -1 : pm_is_dir(dir) ? pm_hub_scan(l, dir, e) :
		    pm_fail(e, PM_NOINPUT, "%s: the cache has no file of revision '%s', and the network is not to be used", w->name->id, w->name->revision);
		free(dir);
		return r;
	}
	if (!plain_files(&w->o->want))
		return fetch_list(w, e);
	for (i = 0, r = 0; r == 0 && i < w->o->want.nfiles; i++)
		r = !pm_path_inside(w->o->want.files[i]) ? pm_fail(e, PM_USAGE, "'%s': a path inside the repository was wanted", w->o->want.files[i]) :
		    pm_hub_list_add(l, w->o->want.files[i], PM_HUB_SIZE_UNKNOWN, NULL, e);
	return r < 0 ? -1 : pm_hub_list_close(l, e);
}

/* The hash that the cache's link has for a file nobody described. */
static bool from_link(struct work *w, struct pm_hub_file *f)
{
	struct pm_str s = {0};
	struct pm_err e;
	char to[4096];
	const char *base;
	struct stat st;
	ssize_t n = -1;
	bool known = false;

	if (pm_str_printf(&s, &e, "%s/snapshots/%s/%s", w->repo, w->f->commit, f->path) == 0 && stat(s.data, &st) == 0 && S_ISREG(st.st_mode))
		n = readlink(s.data, to, sizeof to - 1);
	if (n > 0) {
		to[n] = 0;
		base = strrchr(to, '/');
		base = base ? base + 1 : to;
		known = pm_hub_is_hex(base, 64) || pm_hub_is_hex(base, 40);
		if (known) {
			memcpy(f->hash, base, strlen(base) + 1);
			f->size = (uint64_t)st.st_size;
		}
	}
	pm_str_free(&s);
	return known;
}

/* "There is no such file at this commit", for software that asks every time. */
static void note_absence(struct work *w, const char *path)
{
	struct pm_str s = {0};
	struct pm_err e;
	struct pm_out o = {0};

	if (pm_str_printf(&s, &e, "%s/.no_exist/%s/%s", w->repo, w->f->commit, path) == 0) {
		char *slash = strrchr(s.data, '/');

		*slash = 0;
		if (pm_mkdirs(s.data, &e) == 0) {
			*slash = '/';
			if (pm_out_open(&o, s.data, &e) == 0)
				pm_out_close(&o, &e);
		}
	}
	pm_out_abort(&o);
	pm_str_free(&s);
}

static int described(void *arg, struct pm_job *j, struct pm_err *e)
{
	const struct pm_answer *a = &j->answer;
	struct pm_hub_file *f = j->arg;
	char tag[200];

	(void)arg;
	pm_answer_tag(tag, sizeof tag, a->linked_etag[0] ? a->linked_etag : a->hub_etag[0] ? a->hub_etag : a->etag);
	if (!pm_hub_is_hex(tag, 64) && !pm_hub_is_hex(tag, 40))
		return pm_fail(e, PM_DATA, "%s: the server gives no hash for it (ETag '%.100s')", f->path, tag);
	memcpy(f->hash, tag, strlen(tag) + 1);
	if (f->size == PM_HUB_SIZE_UNKNOWN || a->linked_etag[0])
		f->size = a->linked_etag[0] ? a->linked_size : a->total;
	return 0;
}

/* Asks the hub for the hashes of wanted files that have none. */
static int describe(struct work *w, struct pm_err *e)
{
	struct pm_hub_list *l = &w->f->list;
	struct pm_job *jobs = pm_alloc(l->n, sizeof *jobs, e);
	size_t i, n = 0;
	int r = jobs ? 0 : -1;

	for (i = 0; r == 0 && i < l->n; i++) {
		if (!w->keep[i] || l->v[i].hash[0] || from_link(w, &l->v[i]))
			continue;
		if (w->o->offline) {
			r = pm_fail(e, PM_NOINPUT, "%s: '%s' is not in the cache, and the network is not to be used", w->name->id, l->v[i].path);
			break;
		}
		jobs[n] = (struct pm_job){.name = l->v[i].path, .head = true, .size = UINT64_MAX, .arg = &l->v[i],
			.url = address(w, "resolve", w->f->commit, l->v[i].path, "", e)};
		r = jobs[n++].url ? 0 : -1;
	}
	if (r == 0 && n)
		r = pm_net_run(w->o->net, jobs, n, described, NULL, e);
	for (i = 0; jobs && i < n; i++) {
		if (jobs[i].state == PM_JOB_FAILED && jobs[i].answer.status == 404 && !strcmp(jobs[i].answer.error_code, "EntryNotFound") &&
		    !strcmp(jobs[i].answer.commit, w->f->commit) && !w->o->dry_run)
			note_absence(w, jobs[i].name);
		free((char *)(size_t)jobs[i].url);
		pm_job_free(&jobs[i]);
	}
	free(jobs);
	return r;
}

static char *blob(const struct work *w, const struct pm_hub_file *f, const char *end, struct pm_err *e)
{
	struct pm_str s = {0};

	if (pm_str_printf(&s, e, "%s/blobs/%s%s", w->repo, f->hash, end) < 0)
		pm_str_free(&s);
	return s.data;
}

static uint64_t size_of(const char *path)
{
	struct stat st;

	return path && stat(path, &st) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : UINT64_MAX;
}

/* --repair: what is there is read; what is wrong goes, so that it counts as missing. */
static int repair(struct work *w, const struct pm_hub_file *f, struct pm_err *e)
{
	char *path = w->o->local_dir ? pm_path(w->o->local_dir, f->path, e) : blob(w, f, "", e), hash[65];
	int r = path ? 0 : -1;

	if (r == 0 && pm_exists(path)) {
		r = pm_hub_hash_file(hash, path, f->hash, e);
		if (r == 0 && strcmp(hash, f->hash) && unlink(path) < 0)
			r = pm_fail_errno(e, PM_IOERR, "%s: cannot remove", path);
	}
	free(path);
	return r;
}

/* What is there of each wanted file, and what it takes to get the rest. */
static int look(struct work *w, struct pm_err *e)
{
	struct pm_hub_fetched *f = w->f;
	size_t i;

	for (i = 0; i < f->list.n; i++) {
		const struct pm_hub_file *file = &f->list.v[i];
		uint64_t part;
		char *there;
		bool has;

		if (!w->keep[i])
			continue;
		if (w->o->repair && !w->o->dry_run && repair(w, file, e) < 0)
			return -1;
		f->files++;
		f->bytes += file->size != PM_HUB_SIZE_UNKNOWN ? file->size : 0;
		has = w->o->local_dir ? pm_hub_local_has(w->o->local_dir, file) : pm_hub_has(w->repo, f->commit, file);
		f->have[i] = has ? PM_HUB_HERE : PM_HUB_MISSING;
		if (has)
			continue;
		there = blob(w, file, "", e);
		if (!there)
			return -1;
		if (!w->o->local_dir && size_of(there) == file->size && file->size != PM_HUB_SIZE_UNKNOWN) {
			/* The same bytes came with another name or commit. */
			f->have[i] = PM_HUB_HERE;
			free(there);
			if (!w->o->dry_run && pm_hub_link(w->repo, f->commit, file, e) < 0)
				return -1;
			continue;
		}
		free(there);
		there = w->o->local_dir ? NULL : blob(w, file, ".incomplete", e);
		part = size_of(there);
		free(there);
		f->missing++;
		if (file->size != PM_HUB_SIZE_UNKNOWN)
			f->needed += file->size - (part < file->size ? part : 0);
	}
	return 0;
}

static int arrived(void *arg, struct pm_job *j, struct pm_err *e)
{
	struct work *w = arg;
	struct pm_hub_file *f = j->arg;

	if (f->size == PM_HUB_SIZE_UNKNOWN)
		f->size = j->done;
	w->f->have[f - w->f->list.v] = PM_HUB_FETCHED;
	return w->o->local_dir ? pm_hub_local_note(w->o->local_dir, w->f->commit, f, e) : pm_hub_link(w->repo, w->f->commit, f, e);
}

static int job_for(struct pm_job *j, struct work *w, struct pm_hub_file *file, struct pm_err *e)
{
	char *final = NULL, *part = NULL, *lock = NULL;
	struct pm_str s = {0};
	int r = 0;

	*j = (struct pm_job){.name = file->path, .size = file->size, .arg = file, .by_hash = !w->o->local_dir};
	memcpy(j->hash, file->hash, sizeof j->hash);
	j->url = address(w, "resolve", w->f->commit, file->path, "", e);
	if (w->o->local_dir) {
		r = pm_hub_local_names(&final, &part, &lock, w->o->local_dir, file, e);
	} else {
		final = blob(w, file, "", e);
		part = blob(w, file, ".incomplete", e);
		r = pm_str_printf(&s, e, "%s/.locks%s/%s.lock", w->o->hub, strrchr(w->repo, '/'), file->hash);
		lock = s.data;
	}
	j->final = final;
	j->part = part;
	j->lock = lock;
	return r == 0 && j->url && final && part && lock ? 0 : -1;
}

static int make_dirs(struct work *w, struct pm_err *e)
{
	char *blobs = pm_path(w->repo, "blobs", e);
	struct pm_str locks = {0};
	int r = blobs ? pm_hub_begin(w->o->hub, e) : -1;

	if (r == 0)
		r = pm_mkdirs(blobs, e);
	if (r == 0)
		r = pm_str_printf(&locks, e, "%s/.locks%s", w->o->hub, strrchr(w->repo, '/'));
	if (r == 0)
		r = pm_mkdirs(locks.data, e);
	pm_str_free(&locks);
	free(blobs);
	return r;
}

static int transfer(struct work *w, struct pm_err *e)
{
	struct pm_hub_fetched *f = w->f;
	struct pm_job *jobs = pm_alloc(f->missing, sizeof *jobs, e);
	size_t i, n = 0;
	int r = jobs ? pm_room(w->o->local_dir ? w->o->local_dir : w->o->hub, f->needed, e) : -1;

	if (r == 0 && !w->o->local_dir)
		r = make_dirs(w, e);
	for (i = 0; r == 0 && i < f->list.n; i++)
		if (f->have[i] == PM_HUB_MISSING)
			r = job_for(&jobs[n++], w, &f->list.v[i], e);
	if (r == 0)
		r = pm_net_run(w->o->net, jobs, n, arrived, w, e);
	for (i = 0; jobs && i < n; i++) {
		f->received += jobs[i].received;
		free((char *)(size_t)jobs[i].url);
		free((char *)(size_t)jobs[i].final);
		free((char *)(size_t)jobs[i].part);
		free((char *)(size_t)jobs[i].lock);
		pm_job_free(&jobs[i]);
	}
	free(jobs);
	return r;
}

/* The directory, or the one file that was asked for. */
static char *result(const struct work *w, struct pm_err *e)
{
	char *dir = w->o->local_dir ? pm_strdup(w->o->local_dir, e) : pm_hub_in(w->repo, "snapshots", w->f->commit, e), *path;
	const struct pm_hub_want *want = &w->o->want;
	const char *file = want->nfiles == 1 ? want->files[0] : NULL;
	size_t i, first = 0;

	if (!file && want->quant) {
		bool *keep = pm_alloc(w->f->list.n, sizeof *keep, e);

		if (keep && pm_hub_pick_gguf(keep, &first, &w->f->list, want->quant, e) == 0)
			file = w->f->list.v[first].path;
		free(keep);
	}
	for (i = 0; file && i < w->f->list.n; i++)
		if (w->keep[i] && !strcmp(w->f->list.v[i].path, file)) {
			path = dir ? pm_path(dir, file, e) : NULL;
			free(dir);
			return path;
		}
	return dir;
}

static int all_there(const struct work *w, struct pm_err *e)
{
	size_t i;

	for (i = 0; i < w->f->list.n; i++)
		if (w->f->have[i] == PM_HUB_MISSING)
			return pm_fail(e, PM_NOINPUT, "%s: '%s' is not in the cache, and the network is not to be used", w->name->id, w->f->list.v[i].path);
	return 0;
}

int pm_hub_fetch(struct pm_hub_fetched *f, const struct pm_hub_name *n, const struct pm_hub_fetch_opts *o, struct pm_err *e)
{
	struct work w = {.name = n, .o = o, .f = f};
	int r;

	memset(f, 0, sizeof *f);
	w.repo = pm_hub_repo(o->hub, n, e);
	r = w.repo ? name_places(&w, e) : -1;
	if (r == 0)
		r = find_commit(&w, e);
	if (r == 0)
		r = find_list(&w, e);
	if (r == 0) {
		w.keep = pm_alloc(f->list.n, sizeof *w.keep, e);
		f->have = pm_alloc(f->list.n, 1, e);
		r = w.keep && f->have ? 0 : -1;
	}
	if (r == 0 && o->pin && !o->want.nfiles && !o->want.ninclude && !o->want.nexclude && !o->want.quant)
		memset(w.keep, 1, f->list.n * sizeof *w.keep);
	else if (r == 0 && pm_hub_select(w.keep, &f->list, &o->want, e) < 0)
		r = pm_ctx(e, "%s", n->id);
	if (r == 0)
		r = describe(&w, e);
	if (r == 0)
		r = look(&w, e);
	if (r == 0 && o->offline && !o->dry_run)
		r = all_there(&w, e);
	else if (r == 0 && f->missing && !o->dry_run && (r = transfer(&w, e)) < 0)
		pm_ctx(e, "%s", n->id);
	if (r == 0 && !o->dry_run && !o->offline && !o->pin && strcmp(n->revision, f->commit))
		r = pm_hub_ref_write(w.about, w.ref, f->commit, e);
	if (r == 0)
		r = (f->path = result(&w, e)) ? 0 : -1;
	free(w.keep);
	free(w.about);
	free(w.ref);
	free(w.repo);
	return r;
}

void pm_hub_fetched_free(struct pm_hub_fetched *f)
{
	pm_hub_list_free(&f->list);
	free(f->have);
	free(f->path);
	memset(f, 0, sizeof *f);
}
