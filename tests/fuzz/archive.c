/* An archive, unpacked: whatever it says, nothing appears beside the directory, no link in it leads out, and the limits hold. */
#include <dirent.h>
#include <sys/stat.h>

#include "fuzz.h"
#include "io/archive.h"

static void must_stay(const char *dir, const char *top, uint64_t *bytes, size_t *files)
{
	DIR *d = opendir(dir);
	struct dirent *f;

	while (d && (f = readdir(d))) {
		char path[4096], real[4200];
		struct stat st;

		if (!strcmp(f->d_name, ".") || !strcmp(f->d_name, ".."))
			continue;
		snprintf(path, sizeof path, "%s/%s", dir, f->d_name);
		must(lstat(path, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode)));
		if (S_ISDIR(st.st_mode))
			must_stay(path, top, bytes, files);
		*files += !S_ISDIR(st.st_mode);
		*bytes += S_ISREG(st.st_mode) && st.st_nlink == 1 ? (uint64_t)st.st_size : 0;
		if (S_ISLNK(st.st_mode)) {
			char *to = realpath(path, NULL);

			snprintf(real, sizeof real, "%s", to ? to : top);
			free(to);
			must(!strncmp(real, top, strlen(top)));
		}
	}
	if (d)
		closedir(d);
}

static int parse_archive(const uint8_t *data, size_t size, struct pm_err *e)
{
	static const struct pm_unpack_opts o = {.most_bytes = 65536, .most_files = 20};
	const char *file = fuzz_file("archive", data, size);
	char beside[200], dir[220], *real;
	struct pm_err none;
	uint64_t bytes = 0;
	size_t files = 0;
	struct stat st;
	int r;

	snprintf(beside, sizeof beside, "%s/beside", fuzz_tmp);
	snprintf(dir, sizeof dir, "%s/in", beside);
	must(pm_remove_tree(beside, &none) == 0 && pm_mkdirs(dir, &none) == 0);
	r = pm_unpack(file, dir, &o, e);
	must(stat(beside, &st) == 0 && st.st_nlink == 3);
	real = realpath(dir, NULL);
	must_stay(real, real, &bytes, &files);
	must(bytes <= o.most_bytes && files <= o.most_files);
	free(real);
	pm_remove_tree(beside, &none);
	return r;
}

FUZZ(parse_archive)
