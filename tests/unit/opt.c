/* lib/cli/opt: every rule of opt.h. */
#include "cli/opt.h"

#include <string.h>
#include <unistd.h>

#include "tap.h"

static bool quiet, fast;
static const char *model, *kind;
static int64_t count, any;
static double rate;
static struct pm_opt_list adapters;
static struct pm_err e;
static int operands;
static char *argv_[16];

static struct pm_opt table[] = {
	{.letter = 'q', .name = "quiet", .kind = PM_OPT_FLAG, .to = &quiet, .help = "quiet"},
	{.letter = 'f', .name = "fast", .kind = PM_OPT_FLAG, .to = &fast, .help = "fast", .negatable = true},
	{.letter = 'm', .name = "model", .kind = PM_OPT_STR, .arg = "DIR", .to = &model, .help = "model"},
	{.letter = 'n', .name = "count", .kind = PM_OPT_INT, .arg = "N", .to = &count, .fallback = "256", .min = 1, .max = 1000, .help = "count"},
	{.name = "any", .kind = PM_OPT_INT, .arg = "N", .to = &any, .help = "any number"},
	{.letter = 't', .name = "rate", .kind = PM_OPT_REAL, .arg = "X", .to = &rate, .fallback = "0.5", .min = 0, .max = 2, .help = "rate"},
	{.name = "kind", .kind = PM_OPT_CHOICE, .arg = "K", .to = &kind, .fallback = "one", .choices = "one|two|three", .help = "which"},
	{.letter = 'a', .name = "adapter", .kind = PM_OPT_STRS, .arg = "DIR", .to = &adapters, .help = "adapter"},
};
static struct pm_tool tool = {.name = "t", .operands = "[FILE]", .brief = "tests.", .opts = table, .nopts = sizeof table / sizeof *table};

/* Parses a line of words. */
static int parse(const char *line)
{
	static char words[1000];
	int argc = 1;
	char *p;
	size_t i;

	snprintf(words, sizeof words, "%s", line);
	argv_[0] = words;
	for (p = words; *p; p += strlen(p) + 1) {
		p += strspn(p, " ");
		if (!*p)
			break;
		argv_[argc++] = p;
		p += strcspn(p, " ");
		if (!*p)
			break;
		*p = 0;
	}
	for (i = 0; i < tool.nopts; i++)
		table[i].given = false;
	tool.help = tool.version = quiet = fast = false;
	model = kind = NULL;
	adapters.n = 0;
	memset(&e, 0, sizeof e);
	if (pm_opt_parse(&tool, &argc, argv_, &e) < 0)
		return -1;
	operands = argc - 1;
	return 0;
}

static void accepted(void)
{
	check(parse("") == 0 && count == 256 && rate == 0.5 && !strcmp(kind, "one") && !model && operands == 0, "defaults");
	check(!pm_opt_given(&tool, "count") && !pm_opt_given(&tool, "no such"), "a default is not given");
	check(parse("-n5") == 0 && count == 5 && parse("-n 6") == 0 && count == 6 && parse("--count=7") == 0 && count == 7 && parse("--count 8") == 0 && count == 8,
		"four ways to write a value");
	check(pm_opt_given(&tool, "count"), "now it is given");
	check(parse("a -q b -n 3 c") == 0 && operands == 3 && quiet && count == 3 && !strcmp(argv_[1], "a") && !strcmp(argv_[3], "c"), "options and operands in any order");
	check(parse("-qfn9") == 0 && quiet && fast && count == 9, "flags bundle, with a value at the end");
	check(parse("- -- -q --x") == 0 && operands == 3 && !quiet && !strcmp(argv_[1], "-") && !strcmp(argv_[2], "-q"), "- is an operand, -- ends the options");
	check(parse("-f --no-fast") == 0 && !fast && pm_opt_given(&tool, "fast"), "--no-NAME");
	check(parse("-a x --adapter=y=2 -a z") == 0 && adapters.n == 3 && !strcmp(adapters.v[1], "y=2"), "a list, in order");
	check(parse("--kind two") == 0 && !strcmp(kind, "two"), "a choice");
	check(parse("-t 1e-1") == 0 && rate == 0.1 && parse("-t 2") == 0 && rate == 2 && parse("-t 0") == 0 && rate == 0, "reals, to both ends of their range");
	check(parse("--any -5") == 0 && any == -5 && parse("--any 9223372036854775807") == 0 && any == INT64_MAX, "any whole number, negative too");
	check(parse("-n 1 -n 2") == 0 && count == 2, "the last one counts");
	check(parse("--model=") == 0 && !strcmp(model, ""), "an empty value");
	check(parse("-m -") == 0 && !strcmp(model, "-"), "- as a value");
	check(parse("-h --nonsense") == 0 && tool.help && parse("--version") == 0 && tool.version && parse("-qV") == 0 && tool.version, "--help and --version, bundled too");
	check(parse("-m -h") == 0 && !tool.help && !strcmp(model, "-h") && parse("-- -h") == 0 && !tool.help, "but not as a value or an operand");
}

static void bad(const char *line, const char *words)
{
	int r = parse(line);

	check(r < 0 && e.status == PM_USAGE && strstr(e.text, words), "refused: %s (%s)", line, r < 0 ? e.text : "accepted");
}

static void refused(void)
{
	bad("--nonsense", "unknown option '--nonsense'");
	bad("--nonsense=3", "unknown option '--nonsense'");
	bad("-z", "unknown option '-z'");
	bad("-qz", "unknown option '-z'");
	bad("--coun 3", "unknown option '--coun'");
	bad("--no-quiet", "unknown option '--no-quiet'");
	bad("--no-count", "unknown option");
	bad("--quiet=1", "--quiet takes no value");
	bad("--help=1", "unknown option");
	bad("-n", "-n: a value was wanted (N)");
	bad("--count", "--count: a value was wanted (N)");
	bad("-n x", "--count: a whole number was wanted, not 'x'");
	bad("-n 3x", "not '3x'");
	bad("-n 3.5", "a whole number");
	bad("--count=", "not ''");
	bad("-n 0", "from 1 to 1000");
	bad("-n 1001", "from 1 to 1000");
	bad("--any 9223372036854775808", "a whole number");
	bad("-t 2.01", "from 0 to 2");
	bad("-t nan", "a number was wanted");
	bad("-t inf", "a number was wanted");
	bad("-t 1e999", "a number was wanted");
	bad("--kind four", "one|two|three was wanted, not 'four'");
	bad("--kind one|two", "not 'one|two'");
	bad("--kind on", "not 'on'");
	bad("--kind=", "not ''");
	check(parse("-q -m x") == 0 && pm_opt_refuse(&tool, "model", "with --plan", &e) < 0 && e.status == PM_USAGE && !strcmp(e.text, "--model has no effect with --plan") &&
		pm_opt_refuse(&tool, "count", "here", &e) == 0, "an option without an effect: %s", e.text);
}

static void help(void)
{
	char text[4000] = "";
	char path[] = "/tmp/pm-opt.XXXXXX";
	int saved, fd = mkstemp(path);
	ssize_t n;

	unlink(path);
	fflush(stdout);
	saved = dup(1);
	dup2(fd, 1);
	pm_opt_help(&tool);
	fflush(stdout);
	dup2(saved, 1);
	n = pread(fd, text, sizeof text - 1, 0);
	close(fd);
	close(saved);
	check(n > 0 && !strncmp(text, "usage: t [options] [FILE]\ntests.\n", 33), "help begins with the usage");
	check(strstr(text, "  -n, --count N") && strstr(text, "count [256]\n") && strstr(text, "      --any N") && strstr(text, "which (one|two|three) [one]\n") &&
		strstr(text, "-f, --[no-]fast") && strstr(text, "-h, --help") && strstr(text, "-V, --version"), "and has every option with its default");
}

int main(void)
{
	accepted();
	refused();
	help();
	free(adapters.v);
	return done();
}
