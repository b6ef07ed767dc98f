/* archive: what is unpacked, and what is refused: names that lead out, links that do, devices, too much. */
#include <archive.h>
#include <archive_entry.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "io/archive.h"
#include "tap.h"

static char top[] = "/tmp/pm-archive-XXXXXX", file[200], dir[200];
static struct pm_err e;

/* One entry: "f name text", "d name", "l name to", "h name to" (hard), "c name" (a device). */
static void add(struct archive *a, const char *what)
{
	char name[2000] = "", text[2000] = "";
	struct archive_entry *x = archive_entry_new();

	sscanf(what + 2, "%1999s %1999s", name, text);
	archive_entry_set_pathname(x, name);
	archive_entry_set_perm(x, 0777);
	if (what[0] == 'f') {
		archive_entry_set_filetype(x, AE_IFREG);
		archive_entry_set_size(x, (la_int64_t)strlen(text));
	} else if (what[0] == 'l') {
		archive_entry_set_filetype(x, AE_IFLNK);
		archive_entry_set_symlink(x, text);
	} else if (what[0] == 'h') {
		archive_entry_set_hardlink(x, text);
	} else {
		archive_entry_set_filetype(x, what[0] == 'd' ? AE_IFDIR : AE_IFCHR);
	}
	if (archive_write_header(a, x) >= ARCHIVE_WARN && what[0] == 'f')
		archive_write_data(a, text, strlen(text));
	archive_entry_free(x);
}

/* An archive of entries (NULL ends them) in a format and a compression. */
static void make(int (*format)(struct archive *), int (*filter)(struct archive *), const char *const *entries)
{
	struct archive *a = archive_write_new();

	format(a);
	if (filter)
		filter(a);
	archive_write_open_filename(a, file);
	for (; *entries; entries++)
		add(a, *entries);
	archive_write_close(a);
	archive_write_free(a);
}

static int unpack(const struct pm_unpack_opts *o)
{
	static const struct pm_unpack_opts any = {.most_bytes = 1000, .most_files = 10};

	pm_remove_tree(dir, &e);
	pm_mkdirs(dir, &e);
	return pm_unpack(file, dir, o ? o : &any, &e);
}

static int holds(const char *name, const char *want)
{
	char *path = pm_path(dir, name, &e);
	struct pm_str s = {0};
	int is = path && pm_read_file(&s, path, &e) == 0 && !strcmp(s.data, want);

	pm_str_free(&s);
	free(path);
	return is;
}

#define MAKE(format, filter, ...) make(format, filter, (const char *const[]){__VA_ARGS__, NULL})

static void good(void)
{
	static const struct { const char *name; int (*format)(struct archive *), (*filter)(struct archive *); } kinds[] = {
		{"tar", archive_write_set_format_pax_restricted, NULL}, {"tar.gz", archive_write_set_format_gnutar, archive_write_add_filter_gzip},
		{"tar.xz", archive_write_set_format_ustar, archive_write_add_filter_xz}, {"tar.zst", archive_write_set_format_ustar, archive_write_add_filter_zstd},
		{"tar.bz2", archive_write_set_format_ustar, archive_write_add_filter_bzip2}, {"zip", archive_write_set_format_zip, NULL},
		{"7z", archive_write_set_format_7zip, NULL},
	};
	size_t i;

	for (i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		MAKE(kinds[i].format, kinds[i].filter, "d m/", "f ./m/config.json {}", "f m/a/b.txt bytes", "f empty");
		check(pm_is_archive(file) && unpack(NULL) == 0 && holds("m/config.json", "{}") && holds("m/a/b.txt", "bytes") && holds("empty", ""), "%s: %s",
		    kinds[i].name, e.text);
	}
	MAKE(archive_write_set_format_ustar, NULL, "f a/x 1", "l a/y x", "l b/z ../a/x", "h c a/x", "l top a", "l here .");
	check(unpack(NULL) == 0 && holds("a/y", "1") && holds("b/z", "1") && holds("c", "1") && holds("top/x", "1"), "links that stay inside");
}

static void bad(const char *what, const char *why)
{
	int r = unpack(NULL);

	check(r < 0 && e.status == PM_DATA && strstr(e.text, why), "%s: %s", what, r < 0 ? e.text : "unpacked");
	check(!pm_exists("/tmp/pm-archive-evil") && !pm_exists("evil"), "%s: nothing was written outside", what);
}

#define BAD(what, why, ...) do { MAKE(archive_write_set_format_pax_restricted, NULL, __VA_ARGS__); bad(what, why); } while (0)

static void refused(void)
{
	BAD("a path upwards", "'../pm-archive-evil'", "f ../pm-archive-evil x");
	BAD("a path upwards further down", "'a/../../evil'", "f a/../../evil x");
	BAD("an absolute path", "'/tmp/pm-archive-evil'", "f /tmp/pm-archive-evil x");
	BAD("a directory upwards", "'../evil/'", "d ../evil/");
	BAD("a link to an absolute path", "is a link to '/etc'", "l a /etc");
	BAD("a link upwards", "is a link to '..'", "l a ..");
	BAD("a link upwards from below", "is a link to '../../x'", "l a/b ../../x");
	BAD("a link down and up", "is a link to 'a/../..'", "f a/x 1", "l l a/../..");
	BAD("a file through a link", "cannot be linked", "l a .", "f a/evil x");
	BAD("a link two up", "is a link to", "l s .", "l s/t ../..", "f x 1");
	BAD("a link behind a link, one up", "lies behind a link", "f d/x 1", "l s d", "l s/t ../d");
	BAD("a hard link to the outside", "is a link to '../../etc/passwd'", "h a ../../etc/passwd");
	BAD("a hard link to nothing", "cannot be linked", "h a b");
	BAD("a device", "neither a file nor", "c null");
	BAD("a name that comes twice", "comes twice", "f a 1", "f a 2");
	BAD("a name that is a file and a directory", "is a file", "f a 1", "f a/b 2");
}

static bool is_json(void *arg, const char *path)
{
	(void)arg;
	return strstr(path, ".json") != NULL;
}

static void limits(void)
{
	struct pm_unpack_opts o = {.most_bytes = 5, .most_files = 2};
	struct pm_str s = {0};
	struct pm_out out;

	MAKE(archive_write_set_format_zip, NULL, "f a 123", "f b 456");
	check(unpack(&o) < 0 && e.status == PM_DATA && strstr(e.text, "more than 5 bytes"), "%s", e.text);
	MAKE(archive_write_set_format_zip, NULL, "f a 1", "f b 2", "f c 3");
	check(unpack(&o) < 0 && e.status == PM_DATA && strstr(e.text, "more than 2 files"), "%s", e.text);
	o = (struct pm_unpack_opts){.most_bytes = 5, .most_files = 2, .wanted = is_json};
	MAKE(archive_write_set_format_zip, NULL, "f a 1234567", "f b.json {}", "f c 3");
	check(unpack(&o) == 0 && holds("b.json", "{}"), "only what is wanted counts");
	MAKE(archive_write_set_format_zip, NULL, "f a 1");
	check(unpack(&o) < 0 && e.status == PM_NOINPUT, "%s", e.text);
	MAKE(archive_write_set_format_ustar, archive_write_add_filter_gzip, "f a 123", "f b 456");
	check(pm_read_file(&s, file, &e) == 0 && pm_out_open(&out, file, &e) == 0 && pm_out_write(&out, s.data, s.len / 2, &e) == 0 &&
	    pm_out_close(&out, &e) == 0 && unpack(NULL) < 0 && e.status == PM_DATA, "half an archive: %s", e.text);
	check(pm_out_open(&out, file, &e) == 0 && pm_out_write(&out, "{\"no\": \"archive\"}", 17, &e) == 0 && pm_out_close(&out, &e) == 0 &&
	    !pm_is_archive(file) && unpack(NULL) < 0 && e.status == PM_DATA, "no archive: %s", e.text);
	check(!pm_is_archive("/nonexistent") && !pm_is_archive("/tmp"), "neither nothing nor a directory is an archive");
	pm_str_free(&s);
}

int main(void)
{
	check(mkdtemp(top) != NULL, "a directory to work in");
	snprintf(file, sizeof file, "%s/archive", top);
	snprintf(dir, sizeof dir, "%s/d/d", top);
	good();
	refused();
	limits();
	check(pm_remove_tree(top, &e) == 0, "all is removed");
	return done();
}
