/* lib/cli/tool: the wrapper of every tool, each case in a child process with its output in files. */
#include "cli/tool.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "tap.h"

static bool flag;
static struct pm_opt opts[] = {{.letter = 'f', .name = "flag", .kind = PM_OPT_FLAG, .to = &flag, .help = "a flag"}};

static int run(struct pm_tool *t, int argc, char **argv, struct pm_err *e)
{
	const char *what = argc > 1 ? argv[1] : "";
	struct pm_progress p;
	struct pm_env env;
	int i;

	if (!strcmp(what, "fail"))
		return pm_fail(e, PM_DATA, "a\nb\033[31m: '%s' was wanted", "\xc3\xa9");
	if (!strcmp(what, "recovered")) {
		pm_fail(e, PM_DATA, "an error that the tool lives with");
		return 0;
	}
	if (!strcmp(what, "negative"))
		return PM_NEGATIVE;
	if (!strcmp(what, "command"))
		puts(pm_tool_command());
	if (!strcmp(what, "say"))
		pm_say(t, "%d rows", 3);
	if (!strcmp(what, "env")) {
		if (pm_env_get(&env, e) < 0)
			return -1;
		printf("%s %s %s", env.share, env.kernels, env.cache ? env.cache : "none");
		pm_env_free(&env);
	}
	if (!strcmp(what, "progress")) {
		pm_progress_begin(&p, "train", "step", 4, false);
		for (i = 0; i <= 5; i++)
			pm_progress_at(&p, (uint64_t)i, "loss 1");
		pm_progress_end(&p);
	}
	if (!strcmp(what, "signal")) {
		pm_signals_catch();
		raise(SIGTERM);
		i = pm_signals_got();
		if (argc > 2)
			raise(SIGTERM);
		return 128 + i;
	}
	return 0;
}

/* Runs a line of words as a tool; its exit status, or minus the signal; out and err are what it wrote. */
static char out[4000], err[4000];

static void slurp(const char *path, char *to)
{
	FILE *f = fopen(path, "r");

	to[fread(to, 1, 3999, f)] = 0;
	fclose(f);
}

static int tool(const char *to, int argc, const char *const *words)
{
	char *argv[16] = {NULL};
	struct pm_tool t = {.name = "pm-x", .operands = "[WORD …]", .brief = "tests.", .opts = opts, .nopts = 1};
	int i, status;
	pid_t pid;

	for (i = 0; i < argc; i++)
		argv[i] = strdup(words[i]);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (!freopen(to, "w", stdout) || !freopen("err", "w", stderr))
			_exit(99);
		status = pm_tool_main(&t, argc, argv, run);
		fflush(stderr);
		_exit(status);
	}
	waitpid(pid, &status, 0);
	for (i = 0; i < argc; i++)
		free(argv[i]);
	if (strncmp(to, "/dev/", 5))
		slurp(to, out);
	slurp("err", err);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}
#define TOOL(...) tool("out", sizeof (const char *[]){"x", __VA_ARGS__} / sizeof(char *), (const char *[]){"x", __VA_ARGS__, NULL})

static void statuses(void)
{
	check(TOOL("ok") == 0 && !*out && !*err, "done: 0, silently");
	check(TOOL("fail") == 65 && !strcmp(err, "pm-x: a?b?[31m: '\xc3\xa9' was wanted\n") && !*out, "an error is one line without control characters");
	check(TOOL("recovered") == 0 && !*err, "an error that the tool lives with is none");
	check(TOOL("negative") == 1 && !*err, "a negative answer: 1, silently");
	check(TOOL("--nonsense") == 64 && !strcmp(err, "pm-x: unknown option '--nonsense' (see --help)\n"), "a wrong option: 64");
	check(TOOL("say") == 0 && !strcmp(err, "pm-x: 3 rows\n") && !*out, "a remark goes to stderr");
	check(TOOL("-fh") == 0 && strstr(out, "usage: pm-x [options] [WORD …]\n") && !*err, "help");
	check(TOOL("--version") == 0 && !strcmp(out, "pm-x (pm) " PM_VERSION "\n"), "version");
	{
		const char *argv[] = {"x", "command"};

		check(tool("/dev/full", 2, argv) == 74 && !strcmp(err, "pm-x: cannot write the output: No space left on device\n"), "stdout that cannot be written: 74");
	}
}

static void command(void)
{
	check(TOOL("command", "-f", "a b", "it's", "", "x=1,2", "$HOME") == 0 &&
		!strcmp(out, "pm-x command -f 'a b' 'it'\\''s' '' x=1,2 '$HOME'\n"), "the command line as a shell would read it");
}

static void places(void)
{
	setenv("PM_SHARE", "/a", 1);
	setenv("PM_CACHE", "/c", 1);
	check(TOOL("env") == 0 && !strcmp(out, "/a /a/kernels /c"), "PM_SHARE and PM_CACHE: %s", out);
	setenv("PM_CACHE", "", 1);
	check(TOOL("env") == 0 && !strcmp(out, "/a /a/kernels none"), "an empty PM_CACHE: none");
	unsetenv("PM_CACHE");
	setenv("XDG_CACHE_HOME", "/x", 1);
	check(TOOL("env") == 0 && strstr(out, " /x/pm"), "XDG_CACHE_HOME: %s", out);
	setenv("XDG_CACHE_HOME", "", 1);
	setenv("HOME", "/h", 1);
	check(TOOL("env") == 0 && strstr(out, " /h/.cache/pm"), "HOME: %s", out);
	unsetenv("HOME");
	check(TOOL("env") == 0 && strstr(out, " none"), "none of them: no cache");
	unsetenv("PM_SHARE");
	check(TOOL("env") == 0 && !strncmp(out, PM_SHAREDIR " " PM_SHAREDIR "/kernels", 2 * strlen(PM_SHAREDIR) + 9), "the installed place: %s", out);
}

static void terminal(void)
{
	unsetenv("PM_PROGRESS");
	check(TOOL("progress") == 0 && !*err, "no progress where stderr is no terminal");
	setenv("PM_PROGRESS", "1", 1);
	check(TOOL("progress") == 0 && strstr(err, "train  4/4  100%") && strstr(err, "step/s") && strstr(err, "loss 1") && !strcmp(err + strlen(err) - 4, "\r\033[K"),
		"progress where it was asked for, wiped at the end");
	check(TOOL("signal") == 143 && !*err, "a signal ends in good order with 128 + its number");
	check(TOOL("signal", "again") == -SIGTERM, "a second one at once");
}

int main(void)
{
	char dir[] = "/tmp/pm-tool.XXXXXX";
	struct pm_err e;

	if (!mkdtemp(dir) || chdir(dir))
		return 1;
	statuses();
	command();
	places();
	terminal();
	if (chdir("/") || pm_remove_tree(dir, &e) < 0)
		return 1;
	return done();
}
