/* hub: a small hub on the loopback for the tests of pm-fetch, by libmicrohttpd: HTTP/1.1 as it is, and faults on demand.
 * usage: hub DIR      it prints two ports (the hub's, and that of another host for large files) and serves until its stdin ends.
 *
 * DIR/models/ORG/NAME/COMMIT/FILE... are files, DIR/models/ORG/NAME/REVISION a file that holds the commit; datasets and spaces alike;
 * DIR/files/... is served as /files/... . Files of 1000 bytes and more are large files: /resolve/ redirects to /cdn/. Every request is a line in DIR/log:
 * PORT METHOD PATH range=... auth=... . DIR/faults is read at each request, one fault a line ("once" in front: the first time only):
 *	only TEXT               the faults below it apply to paths that hold TEXT
 *	noranges                Range is ignored
 *	badranges               the answer to Range begins elsewhere
 *	cut N                   the connection ends after N bytes of a file
 *	short N, long N         a file has N bytes less, more
 *	flip                    a file's first byte is another
 *	status CODE [SECONDS]   instead of an answer; SECONDS for Retry-After
 *	drip N MS               N bytes at a time, MS milliseconds apart
 *	stall N                 nothing more comes after N bytes of a file
 *	chunked                 the length is not said
 *	page N                  N files in one page of a list
 *	nohash                  lists have no hashes
 *	list JSON               this instead of a list
 *	token T                 the hub wants this token
 *	away                    large files lie on the other host
 *	loop                    redirects lead to themselves
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "hub/cache.h"
#include "hub/name.h"
#include "hub/net.h"

static const char *top;
static unsigned ports[2];
static pthread_mutex_t busy = PTHREAD_MUTEX_INITIALIZER;

struct faults {
	bool noranges, badranges, flip, chunked, nohash, away, loop;
	long cut, less, more, status, retry, drip, pause, stall, page;
	char token[100], list[400];
};

/* What is wrong with the answer to this path; a fault of "once" is struck out of the file. */
static void find_faults(struct faults *f, const char *path)
{
	char name[4096], line[500], rest[16384] = "";
	bool mine = true, struck = false;
	FILE *in;

	*f = (struct faults){.cut = -1, .stall = -1};
	snprintf(name, sizeof name, "%s/faults", top);
	in = fopen(name, "r");
	while (in && fgets(line, sizeof line, in)) {
		char *p = line, word[20] = "", *arg;
		bool once = !strncmp(p, "once ", 5);
		long n = 0, m = 0;

		p += once ? 5 : 0;
		sscanf(p, "%19s", word);
		arg = p + strlen(word) + (p[strlen(word)] == ' ');
		arg[strcspn(arg, "\n")] = 0;
		sscanf(arg, "%ld %ld", &n, &m);
		if (!strcmp(word, "only"))
			mine = strstr(path, arg) != NULL;
		else if (mine) {
			f->noranges |= !strcmp(word, "noranges");
			f->badranges |= !strcmp(word, "badranges");
			f->flip |= !strcmp(word, "flip");
			f->chunked |= !strcmp(word, "chunked");
			f->nohash |= !strcmp(word, "nohash");
			f->away |= !strcmp(word, "away");
			f->loop |= !strcmp(word, "loop");
			if (!strcmp(word, "cut")) f->cut = n;
			if (!strcmp(word, "short")) f->less = n;
			if (!strcmp(word, "long")) f->more = n;
			if (!strcmp(word, "stall")) f->stall = n;
			if (!strcmp(word, "page")) f->page = n;
			if (!strcmp(word, "drip")) { f->drip = n; f->pause = m; }
			if (!strcmp(word, "status")) { f->status = n; f->retry = m; }
			if (!strcmp(word, "token")) snprintf(f->token, sizeof f->token, "Bearer %.90s", arg);
			if (!strcmp(word, "list")) snprintf(f->list, sizeof f->list, "%.399s", arg);
		}
		if (once && mine && strcmp(word, "only")) {
			struck = true;
			continue;
		}
		snprintf(rest + strlen(rest), sizeof rest - strlen(rest), "%s%s%s%s\n", once ? "once " : "", word, *arg ? " " : "", arg);
	}
	if (in)
		fclose(in);
	if (struck && (in = fopen(name, "w"))) {
		fputs(rest, in);
		fclose(in);
	}
}

struct body {
	int fd;
	uint64_t from, sent;
	struct faults f;
};

static ssize_t give(void *arg, uint64_t at, char *out, size_t room)
{
	struct body *b = arg;
	ssize_t n;

	if (b->f.cut >= 0 && at >= (uint64_t)b->f.cut)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (b->f.stall >= 0 && at >= (uint64_t)b->f.stall)
		for (;;)
			pause();
	if (b->f.drip) {
		nanosleep(&(struct timespec){b->f.pause / 1000, b->f.pause % 1000 * 1000000}, NULL);
		room = room < (size_t)b->f.drip ? room : (size_t)b->f.drip;
	}
	if (b->f.cut >= 0 && room > (uint64_t)b->f.cut - at)
		room = (size_t)((uint64_t)b->f.cut - at);
	if (b->f.stall >= 0 && room > (uint64_t)b->f.stall - at)
		room = (size_t)((uint64_t)b->f.stall - at);
	n = pread(b->fd, out, room, (off_t)(b->from + at));
	if (n == 0 && b->f.more)
		memset(out, 'x', (size_t)(n = (ssize_t)(room < 1000 ? room : 1000)));
	if (n > 0 && b->f.flip && b->from + at == 0)
		out[0] ^= 1;
	return n > 0 ? n : MHD_CONTENT_READER_END_OF_STREAM;
}

static void done(void *arg)
{
	struct body *b = arg;

	close(b->fd);
	free(b);
}

static const char *header(struct MHD_Connection *c, const char *name)
{
	return MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
}

static enum MHD_Result queue(struct MHD_Connection *c, unsigned status, struct MHD_Response *r)
{
	enum MHD_Result k = MHD_queue_response(c, status, r);

	MHD_destroy_response(r);
	return k;
}

static struct MHD_Response *text(const char *s)
{
	return MHD_create_response_from_buffer(strlen(s), (void *)(size_t)s, MHD_RESPMEM_MUST_COPY);
}

static enum MHD_Result refuse(struct MHD_Connection *c, unsigned status, const char *code, const char *commit)
{
	struct MHD_Response *r = text("{\"error\":\"no\"}");

	if (code)
		MHD_add_response_header(r, "X-Error-Code", code);
	if (commit)
		MHD_add_response_header(r, "X-Repo-Commit", commit);
	return queue(c, status, r);
}

static enum MHD_Result send_file(struct MHD_Connection *c, const char *path, const struct faults *f, const char *etag, const char *commit)
{
	const char *range = header(c, "Range"), *ask = header(c, "If-None-Match"), *if_range = header(c, "If-Range");
	struct body *b = calloc(1, sizeof *b);
	struct MHD_Response *r;
	struct stat st;
	char line[200];
	uint64_t from = 0;
	int64_t size;
	bool part = false;

	if (!b || (b->fd = open(path, O_RDONLY | O_CLOEXEC)) < 0 || fstat(b->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		free(b);
		return refuse(c, 404, "EntryNotFound", commit);
	}
	b->f = *f;
	snprintf(line, sizeof line, "\"%s\"", etag);
	if (ask && !strcmp(ask, line)) {
		done(b);
		return queue(c, 304, text(""));
	}
	if (range && !f->noranges && sscanf(range, "bytes=%lu-", &from) == 1 && (!if_range || !strcmp(if_range, line)))
		part = true;
	if (part && from >= (uint64_t)st.st_size) {
		done(b);
		return refuse(c, 416, NULL, NULL);
	}
	if (!part)
		from = 0;
	if (part && f->badranges)
		from = 0;
	b->from = from;
	size = (int64_t)((uint64_t)st.st_size - from) - f->less + f->more;
	r = MHD_create_response_from_callback(f->chunked ? MHD_SIZE_UNKNOWN : (uint64_t)(size > 0 ? size : 0), 65536, give, b, done);
	MHD_add_response_header(r, "ETag", line);
	if (commit)
		MHD_add_response_header(r, "X-Repo-Commit", commit);
	if (part) {
		snprintf(line, sizeof line, "bytes %lu-%ld/%ld", (unsigned long)from, (long)st.st_size - 1, (long)st.st_size - f->less + f->more);
		MHD_add_response_header(r, "Content-Range", line);
	}
	return queue(c, part ? 206 : 200, r);
}

/* The commit of a revision; false where there is none. */
static bool commit_of(char commit[41], const char *repo, const char *rev)
{
	char path[5000];
	struct pm_str s = {0};
	struct pm_err e;
	bool is;

	snprintf(path, sizeof path, "%s/%s", repo, rev);
	if (pm_hub_is_hex(rev, 40) && pm_is_dir(path)) {
		memcpy(commit, rev, 41);
		return true;
	}
	is = pm_exists(path) && !pm_is_dir(path) && pm_read_file(&s, path, &e) == 0 && s.len >= 40;
	if (is) {
		memcpy(commit, s.data, 40);
		commit[40] = 0;
	}
	pm_str_free(&s);
	return is;
}

static enum MHD_Result send_list(struct MHD_Connection *c, const char *repo, const char *commit, const struct faults *f, const char *url)
{
	const char *cursor = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "cursor");
	size_t i, from = cursor ? strtoul(cursor, NULL, 10) : 0, end;
	struct pm_hub_list l = {0};
	struct MHD_Response *r;
	char dir[5000], hash[65], line[5000], *s;
	json_t *v = json_array();
	struct pm_err e;

	snprintf(dir, sizeof dir, "%s/%s", repo, commit);
	if (pm_hub_scan(&l, dir, &e) < 0)
		return refuse(c, 404, "RevisionNotFound", NULL);
	end = f->page && from + (size_t)f->page < l.n ? from + (size_t)f->page : l.n;
	for (i = from; i < end; i++) {
		char path[9000];
		json_t *o = json_pack("{s:s, s:s, s:I}", "type", "file", "path", l.v[i].path, "size", (json_int_t)l.v[i].size);

		snprintf(path, sizeof path, "%s/%s", dir, l.v[i].path);
		pm_hub_hash_file(hash, path, "0000000000000000000000000000000000000000", &e);
		if (!f->nohash)
			json_object_set_new(o, "oid", json_string(hash));
		if (l.v[i].size >= 1000 && !f->nohash) {
			pm_hub_hash_file(hash, path, "", &e);
			json_object_set_new(o, "lfs", json_pack("{s:s, s:I, s:i}", "oid", hash, "size", (json_int_t)l.v[i].size, "pointerSize", 130));
		}
		json_array_append_new(v, o);
	}
	s = json_dumps(v, 0);
	r = text(f->list[0] ? f->list : s);
	MHD_add_response_header(r, "Content-Type", "application/json");
	if (end < l.n) {
		snprintf(line, sizeof line, "<http://127.0.0.1:%u%s?recursive=1&cursor=%zu>; rel=\"next\"", ports[0], url, end);
		MHD_add_response_header(r, "Link", line);
	}
	json_decref(v);
	free(s);
	pm_hub_list_free(&l);
	return queue(c, 200, r);
}

static enum MHD_Result resolve(struct MHD_Connection *c, const char *repo, const char *commit, const char *file, const struct faults *f)
{
	char path[8192], hash[65], line[9000];
	struct MHD_Response *r;
	struct stat st;
	struct pm_err e;

	snprintf(path, sizeof path, "%s/%s/%s", repo, commit, file);
	if (!pm_path_inside(file) || stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return refuse(c, 404, "EntryNotFound", commit);
	pm_hub_hash_file(hash, path, st.st_size >= 1000 ? "" : "0000000000000000000000000000000000000000", &e);
	if (st.st_size < 1000)
		return send_file(c, path, f, hash, commit);
	r = text("");
	snprintf(line, sizeof line, "http://%s:%u/cdn%s", f->away ? "localhost" : "127.0.0.1", ports[f->away], path + strlen(top));
	if (f->loop)
		snprintf(line, sizeof line, "%s/resolve/%s/%s", strchr(repo + strlen(top) + 1, '/'), commit, file);
	MHD_add_response_header(r, "Location", line);
	snprintf(line, sizeof line, "\"%s\"", hash);
	MHD_add_response_header(r, "X-Linked-Etag", line);
	snprintf(line, sizeof line, "%ld", (long)st.st_size);
	MHD_add_response_header(r, "X-Linked-Size", line);
	MHD_add_response_header(r, "X-Repo-Commit", commit);
	return queue(c, 302, r);
}

/* [/api]/[models|datasets|spaces/]ORG/NAME/WHAT/REV[/FILE] */
static enum MHD_Result repository(struct MHD_Connection *c, const char *url, const struct faults *f)
{
	static const char *const types[] = {"models", "datasets", "spaces"};
	bool api = !strncmp(url, "/api/", 5);
	const char *p = url + (api ? 5 : 1), *type = types[0];
	char org[100], name[100], what[20], rev[200], repo[4096], commit[41], answer[200];
	int i, used = 0;

	for (i = 0; i < 3; i++)
		if (!strncmp(p, types[i], strlen(types[i])) && p[strlen(types[i])] == '/') {
			type = types[i];
			p += strlen(types[i]) + 1;
		}
	if (sscanf(p, "%99[^/]/%99[^/]/%19[^/]/%199[^/]%n", org, name, what, rev, &used) < 4)
		return refuse(c, 404, NULL, NULL);
	if (!strcmp(rev, "refs"))       /* refs/pr/1: escaped on the way, not here */
		sscanf(p, "%99[^/]/%99[^/]/%19[^/]/%199s%n", org, name, what, rev, &used);
	snprintf(repo, sizeof repo, "%s/%s/%s/%s", top, type, org, name);
	if (!pm_is_dir(repo))
		return refuse(c, 404, "RepoNotFound", NULL);
	if (!commit_of(commit, repo, rev))
		return refuse(c, 404, "RevisionNotFound", NULL);
	snprintf(answer, sizeof answer, "{\"id\":\"%.60s/%.60s\",\"sha\":\"%s\",\"siblings\":[]}", org, name, commit);
	if (api && !strcmp(what, "revision"))
		return queue(c, 200, text(answer));
	if (api && !strcmp(what, "tree"))
		return send_list(c, repo, commit, f, url);
	return p[used] == '/' ? resolve(c, repo, commit, p + used + 1, f) : refuse(c, 404, NULL, NULL);
}

static enum MHD_Result answer(void *arg, struct MHD_Connection *c, const char *url, const char *method, const char *version, const char *upload,
	size_t *size, void **state)
{
	static int begun;
	unsigned port = *(unsigned *)arg;
	const char *auth = header(c, "Authorization"), *range = header(c, "Range");
	char path[4096], hash[65];
	struct faults f;
	struct pm_err e;
	FILE *log;

	(void)version;
	(void)upload;
	(void)size;
	if (!*state) {
		*state = &begun;
		return MHD_YES;
	}
	pthread_mutex_lock(&busy);
	find_faults(&f, url);
	snprintf(path, sizeof path, "%s/log", top);
	log = fopen(path, "a");
	if (log) {
		fprintf(log, "%s %s %s range=%s auth=%s\n", port == ports[0] ? "hub" : "cdn", method, url, range ? range : "-", auth ? auth : "-");
		fclose(log);
	}
	pthread_mutex_unlock(&busy);
	if (f.status) {
		struct MHD_Response *r = text("{\"error\":\"told to\"}");

		if (f.retry) {
			snprintf(path, sizeof path, "%ld", f.retry);
			MHD_add_response_header(r, "Retry-After", path);
		}
		return queue(c, (unsigned)f.status, r);
	}
	if (f.token[0] && port == ports[0] && strncmp(url, "/cdn/", 5) && (!auth || strcmp(auth, f.token)))
		return refuse(c, 401, "RepoNotFound", NULL);
	if (!strncmp(url, "/cdn/", 5) || !strncmp(url, "/files/", 7)) {
		snprintf(path, sizeof path, "%s/%s", top, url + (url[1] == 'c' ? 5 : 1));
		if (!pm_path_inside(url + 1) || pm_hub_hash_file(hash, path, "", &e) < 0)
			return refuse(c, 404, NULL, NULL);
		if (url[1] == 'c')
			snprintf(hash, sizeof hash, "cdn-%lx", (unsigned long)strlen(path));
		return send_file(c, path, &f, hash, NULL);
	}
	return repository(c, url, &f);
}

static struct MHD_Daemon *serve(unsigned *port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct MHD_Daemon *d = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL, 0, NULL, NULL, answer, port,
		MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&at, MHD_OPTION_END);

	if (!d)
		exit(1);
	*port = MHD_get_daemon_info(d, MHD_DAEMON_INFO_BIND_PORT)->port;
	return d;
}

int main(int argc, char **argv)
{
	char c;

	if (argc != 2 || !(top = realpath(argv[1], NULL)))
		return 64;
	serve(&ports[0]);
	serve(&ports[1]);
	printf("%u %u\n", ports[0], ports[1]);
	fflush(stdout);
	while (read(0, &c, 1) > 0 || errno == EINTR)
		errno = 0;
	_exit(0);
}
