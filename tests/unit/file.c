/* lib/base/file: reading, mapping, and that nothing half-written has the final name. */
#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

static struct pm_err e;

static int holds(const char *path, const char *want)
{
	struct pm_str s = {0};
	int r = pm_read_file(&s, path, &e) == 0 && s.len == strlen(want) && !memcmp(s.data, want, s.len);

	pm_str_free(&s);
	return r;
}

static int put(const char *path, const char *text)
{
	struct pm_out o;

	if (pm_out_open(&o, path, &e) < 0)
		return -1;
	if (pm_out_write(&o, text, strlen(text), &e) == 0)
		return pm_out_close(&o, &e);
	pm_out_abort(&o);
	return -1;
}

/* How many names the directory holds. */
static int names(const char *dir)
{
	DIR *d = opendir(dir);
	int n = -2;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void reading(void)
{
	struct pm_str s = {0};
	struct pm_map m;

	check(pm_read_file(&s, "none", &e) < 0 && e.status == PM_NOINPUT && strstr(e.text, "none: "), "a file that is not there: %s", e.text);
	check(pm_read_file(&s, ".", &e) < 0 && e.status == PM_NOINPUT, "a directory is no input: %s", e.text);
	check(pm_map_open(&m, ".", &e) < 0 && e.status == PM_NOINPUT && strstr(e.text, "regular file"), "nor can it be mapped: %s", e.text);
	check(pm_map_open(&m, "none", &e) < 0 && e.status == PM_NOINPUT, "nor what is not there");
	put("empty", "");
	check(pm_map_open(&m, "empty", &e) == 0 && !m.data && m.size == 0, "an empty file maps to nothing");
	pm_map_close(&m);
	put("text", "some text");
	check(pm_map_open(&m, "text", &e) == 0 && m.size == 9 && !memcmp(m.data, "some text", 9), "a file is mapped");
	pm_map_close(&m);
	pm_map_close(&m);
	pm_str_puts(&s, "> ", &e);
	check(pm_read_file(&s, "text", &e) == 0 && !strcmp(s.data, "> some text"), "reading appends");
	pm_str_free(&s);
	check(pm_copy_file("text", "copy", &e) == 0 && holds("copy", "some text"), "a copy");
	check(pm_copy_file("empty", "copy", &e) == 0 && holds("copy", ""), "a copy of nothing");
	check(pm_copy_file("none", "copy2", &e) < 0 && !pm_exists("copy2"), "no copy of what is not there");
}

static void writing(void)
{
	struct pm_out o = {0};
	int before;

	pm_out_abort(&o);
	put("out", "old");
	before = names(".");
	check(pm_out_open(&o, "out", &e) == 0 && pm_out_write(&o, "new", 3, &e) == 0 && !fflush(o.f) && holds("out", "old"), "until it is closed the old content stands");
	check(pm_out_close(&o, &e) == 0 && holds("out", "new") && names(".") == before, "then the new, and nothing else is left");
	pm_out_abort(&o);
	check(holds("out", "new"), "aborting what is closed does nothing");
	pm_out_open(&o, "out", &e);
	pm_out_write(&o, "x", 1, &e);
	pm_out_abort(&o);
	check(holds("out", "new") && names(".") == before, "aborted: the old content, and nothing else");
	check(put("nowhere/out", "x") < 0 && e.status == PM_NOCREATE, "no such directory is 73: %s", e.text);
	check(put(".", "x") < 0 && e.status == PM_NOCREATE && strstr(e.text, "irectory"), "a directory is 73: %s", e.text);
	check(put("", "x") < 0 && e.status == PM_NOCREATE, "an empty name is 73: %s", e.text);
	check(put("text/out", "x") < 0 && e.status == PM_NOCREATE, "a file taken for a directory is 73: %s", e.text);
	check(!symlink("out", "link") && put("link", "via") == 0 && holds("out", "via"), "a link is followed");
	{
		struct stat st;

		check(!lstat("link", &st) && S_ISLNK(st.st_mode), "and stays one");
	}
	unlink("link");
}

static void devices(void)
{
	struct stat st;
	char big[100000];
	struct pm_out o;
	int r, fd, n;

	memset(big, 'x', sizeof big);
	check(put("/dev/null", "x") == 0 && !stat("/dev/null", &st) && S_ISCHR(st.st_mode), "/dev/null is written in place");
	check(put("/dev/full", "x") < 0 && e.status == PM_IOERR && strstr(e.text, "No space"), "a full disk, seen at the close: %s", e.text);
	pm_out_open(&o, "/dev/full", &e);
	r = pm_out_write(&o, big, sizeof big, &e);
	check(r < 0 && e.status == PM_IOERR && strstr(e.text, "/dev/full"), "and in a long write: %s", e.text);
	pm_out_abort(&o);
	check(!stat("/dev/full", &st) && S_ISCHR(st.st_mode), "/dev/full is still the device");
	mkfifo("pipe", 0600);
	fd = open("pipe", O_RDONLY | O_NONBLOCK);
	r = put("pipe", "through");
	n = (int)read(fd, big, 100);
	close(fd);
	check(r == 0 && n == 7 && !memcmp(big, "through", 7) && !lstat("pipe", &st) && S_ISFIFO(st.st_mode), "a named pipe is written through");
}

/* A child that is killed in the middle of writing. */
static void killed(void)
{
	struct pm_out o;
	char *temp;
	int p[2], status;
	pid_t pid;
	char c;

	if (pipe(p))
		return;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (pm_out_open(&o, "half", &e) || pm_out_write(&o, "part", 4, &e) || fflush(o.f) || pm_dir_begin(&temp, "halfdir", &e) ||
		    write(p[1], "r", 1) != 1)
			_exit(1);
		pause();
	}
	close(p[1]);
	check(read(p[0], &c, 1) == 1 && !kill(pid, SIGKILL) && waitpid(pid, &status, 0) == pid && WIFSIGNALED(status), "a writer is killed");
	check(!pm_exists("half") && !pm_exists("halfdir"), "and neither its file nor its directory has the final name");
	close(p[0]);
}

static void directories(void)
{
	char *temp, *p;

	check(pm_mkdirs("a/b//c/", &e) == 0 && pm_is_dir("a/b/c") && pm_mkdirs("a/b/c", &e) == 0, "a directory and its parents");
	check(pm_mkdirs("text/x", &e) < 0 && e.status == PM_NOCREATE, "not below a file: %s", e.text);
	check(pm_mkdirs("text", &e) < 0 && e.status == PM_NOCREATE, "not in place of one: %s", e.text);
	check(pm_mkdirs("", &e) < 0 && e.status == PM_NOCREATE, "not without a name: %s", e.text);
	p = pm_path("a/", "f", &e);
	check(p && !strcmp(p, "a/f"), "one slash between directory and name");
	free(p);
	check(pm_dir_begin(&temp, "d/", &e) == 0 && !pm_exists("d"), "a directory is begun beside its name");
	p = pm_path(temp, "f", &e);
	put(p, "1");
	check(pm_dir_commit(temp, "d/", false, &e) == 0 && holds("d/f", "1") && !pm_exists(temp), "and has it when it is done");
	free(temp);
	free(p);
	pm_dir_begin(&temp, "d", &e);
	p = pm_path(temp, "f", &e);
	put(p, "2");
	check(pm_dir_commit(temp, "d", false, &e) < 0 && e.status == PM_NOCREATE && holds("d/f", "1"), "one already there is kept: %s", e.text);
	check(pm_dir_commit(temp, "d", true, &e) == 0 && holds("d/f", "2"), "or replaced where asked");
	free(p);
	free(temp);
	check(pm_remove_tree("none", &e) == 0, "removing what is not there");
	check(!symlink("../out", "d/l") && pm_remove_tree("d", &e) == 0 && !pm_exists("d") && holds("out", "via"), "a tree is removed, what its links point to is not");
}

int main(void)
{
	char dir[] = "/tmp/pm-file.XXXXXX";

	if (!mkdtemp(dir) || chdir(dir))
		return 1;
	signal(SIGPIPE, SIG_IGN);
	reading();
	writing();
	devices();
	killed();
	directories();
	if (chdir("/") || pm_remove_tree(dir, &e) < 0)
		return 1;
	return done();
}
