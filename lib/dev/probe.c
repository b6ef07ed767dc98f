/* probe.c: which instruction sets kernels may use through inline assembly. The processor's word is not enough: the device's
 * compiler must assemble them and the operating system must allow them, and a wrong guess ends the process. So each that the
 * processor claims is tried once with a known answer in a child process, and the outcome is kept in the cache directory. They are
 * tried all at once, which one compilation does, and one by one where that ends badly. */
#define _DEFAULT_SOURCE                         /* syscall */
#include "dev/private.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __x86_64__
#include <cpuid.h>
#endif

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"

#define MAGIC "pm-probe 5"
#define SETS 6
#define PATIENCE 60                             /* seconds of the processor for a child; a cold compiler takes some */
#define LONGEST 600                             /* seconds for it, on a busy machine */
#define UNTRIED 3                               /* its exit status where it did not come as far as trying; a compiler that gives up takes 1 */

/* The order in which they are tried; bit i of a mask. */
static const char *const sets[SETS] = {"AVX512", "ASM", "VNNI", "BF16", "AMX", "AVX2"};
enum { AVX512 = 1, ASM = 2, VNNI = 4, BF16 = 8, AMX = 16, AVX2 = 32, NO_CPU = 64 };

/* The words of a mask, and what each hides. All that we assemble but AMX has operands of 64 bytes, and no processor has AMX alone. */
static const struct {
	const char *name;
	unsigned hides;
} words[] = {
	{"amx", AMX}, {"bf16", BF16}, {"vnni", VNNI}, {"asm", ASM | VNNI | BF16 | AMX}, {"avx512", AVX512 | ASM | VNNI | BF16 | AMX},
	{"avx2", AVX2 | AVX512 | ASM | VNNI | BF16 | AMX}, {"cpu", AVX2 | AVX512 | ASM | VNNI | BF16 | AMX | NO_CPU},
};

/* What the processor says, and its name into *who (at least 128 bytes). */
static unsigned claimed(char *who)
{
	unsigned mask = 0;
#ifdef __x86_64__
	unsigned a, b, c, d, i;
	bool half;                              /* FMA and F16C */
	union { unsigned words[12]; char text[49]; } brand = {{0}};

	for (i = 0; i < 3; i++)
		__get_cpuid(0x80000002u + i, &brand.words[4 * i], &brand.words[4 * i + 1], &brand.words[4 * i + 2], &brand.words[4 * i + 3]);
	if (!__get_cpuid(1, &a, &b, &c, &d))
		return 0;
	snprintf(who, 128, "%.48s %08x", brand.text, a);
	half = (c >> 12 & 1) && (c >> 29 & 1);
	if (!__get_cpuid_count(7, 0, &a, &b, &c, &d))
		return 0;
	if (half && (b >> 5 & 1))
		mask |= AVX2;
	if ((b >> 16 & 1) && (b >> 17 & 1) && (b >> 30 & 1) && (b >> 31 & 1))
		mask |= AVX512 | ASM;
	if (c >> 11 & 1)
		mask |= VNNI;
	if ((d >> 22 & 1) && (d >> 24 & 1) && (d >> 25 & 1))
		mask |= AMX;
	if (__get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 5 & 1))
		mask |= BF16;
#else
	snprintf(who, 128, "unknown");
#endif
	return mask;
}

/* Linux gives a process the tile registers only when it asks (arch_prctl, ARCH_REQ_XCOMP_PERM, feature 18). */
static bool ask_for_tiles(void)
{
#ifdef __x86_64__
	return syscall(SYS_arch_prctl, 0x1023, 18) == 0;
#else
	return false;
#endif
}

/* A child must not use OpenCL after fork in a process whose driver threads it did not inherit. */
static bool has_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *d;
	int n = 0;

	while (dir && (d = readdir(dir)))
		n += d->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return n != 1;
}

/* ---- the child ---- */

/* What else is open is the parent's: who reads the other end of it must not wait for this process, too. */
static void close_all_but(int fd)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *d;

	while (dir && (d = readdir(dir))) {
		const int n = (int)strtol(d->d_name, NULL, 10);

		if (n > 2 && n != fd && n != dirfd(dir))
			close(n);
	}
	if (dir)
		closedir(dir);
}

/* Which of these work, tried together; false where they cannot even be compiled. None at all can be, where anything can. */
static bool try_sets(struct pm_dev *d, unsigned todo, unsigned *works, struct pm_err *e)
{
	const struct pm_launch once = {.global = {1}};
	const struct pm_kernel *k;
	struct pm_mem *ok = NULL, *room = NULL;
	int32_t answer[SETS] = {0};
	struct pm_str defines = {0};
	bool ran = false;
	int i, r = 0;

	*works = 0;
	for (i = 0; i < SETS; i++)
		if (todo & 1u << i)
			r |= pm_str_printf(&defines, e, "%s-DPROBE_%s=1", defines.len ? " " : "", sets[i]);
	k = r == 0 ? pm_kernel(d, "probe", "probe", defines.data, e) : NULL;
	pm_str_free(&defines);
	if (k && pm_mem_new(&ok, d, sizeof answer, e) == 0 && pm_mem_new(&room, d, 4096, e) == 0 && pm_mem_zero(ok, 0, sizeof answer, e) == 0 &&
	    PM_LAUNCH(k, once, e, PM_MEM(ok), PM_MEM(room)) == 0 && pm_mem_read(ok, 0, answer, sizeof answer, e) == 0) {
		ran = true;
		for (i = 0; i < SETS; i++)
			*works |= todo & (unsigned)(answer[i] == 1) << i;
	}
	pm_mem_free(room);
	pm_mem_free(ok);
	return ran;
}

/* Ends the process by SIGPROF after that much work, and by SIGALRM after that much time, whatever it waits for; 0: no more. */
static void limit(int work, unsigned time)
{
	const struct itimerval timer = {.it_value = {.tv_sec = work}};

	setitimer(ITIMER_PROF, &timer, NULL);
	alarm(time);
}

/* Writes two bytes a set: its number, and 1 or 0; then, where it stays to compile, SETS and 1. Never returns; a set that ends the process leaves no bytes. */
static void child(const struct pm_dev_opts *opts, unsigned todo, bool together, bool stays, int out)
{
	struct pm_dev_opts plain = {.select = opts->select, .kernels = opts->kernels, .scratch = opts->scratch};
	const struct rlimit no_core = {0, 0};
	unsigned found = 0;
	int i, null;
	struct pm_dev *d;
	struct pm_err e;

	setrlimit(RLIMIT_CORE, &no_core);
	close_all_but(out);
	null = open("/dev/null", O_RDWR);
	if (null >= 0) {                        /* a compiler that gives up tells the terminal */
		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
	}
	limit(PATIENCE, LONGEST);
	if (todo & AMX)
		ask_for_tiles();
	if (pm_dev_open_plain(&d, &plain, &(struct pm_isa){0}, &e) < 0)
		_exit(UNTRIED);
	if (d->pocl && (!try_sets(d, together ? todo : 0, &found, &e) || (together && !found)))
		_exit(UNTRIED);
	for (i = 0; i < SETS; i++) {
		const unsigned set = 1u << i;
		unsigned char said[2] = {(unsigned char)i, 0};

		if (!(todo & set))
			continue;
		if (!together && d->pocl)
			try_sets(d, set, &found, &e);
		said[1] = (found & set) != 0;
		if (!pm_helper_send(out, said, 2))
			_exit(UNTRIED);
	}
	limit(0, 0);
	if (stays && pm_helper_send(out, (unsigned char []){SETS, 1}, 2))
		pm_helper_serve(d, opts->cache, out);
	_exit(0);                               /* no exit handlers: they are the parent's */
}

/* ---- the parent ---- */

/* Whether a child that ended so was ended by the set that it tried: by what that did, or by a compiler that gave up. Else it was ended from outside, for
 * want of memory or by who would not wait, or could try nothing. */
static bool ended_by_set(int status)
{
	static const int own[] = {SIGILL, SIGSEGV, SIGBUS, SIGFPE, SIGABRT, SIGTRAP, SIGSYS, SIGPROF};
	size_t i;

	if (WIFEXITED(status))
		return WEXITSTATUS(status) != UNTRIED;
	for (i = 0; i < sizeof own / sizeof *own && WTERMSIG(status) != own[i]; i++)
		;
	return i < sizeof own / sizeof *own;
}

/* One child tries `todo`; what it said is added to *works and taken from the rest, which is returned. helper: it may stay as that; or NULL. *sure: made
 * false where what is missing says nothing about the processor. */
static unsigned ask_child(const struct pm_dev_opts *opts, unsigned todo, bool together, unsigned *works, struct pm_helper *helper, bool *sure)
{
	unsigned char said[2];
	int fd[2], status;
	pid_t pid;

	*sure = false;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) < 0)
		return 0;
	pid = fork();
	if (pid == 0) {
		close(fd[0]);
		child(opts, todo, together, helper, fd[1] > 2 ? fd[1] : fcntl(fd[1], F_DUPFD_CLOEXEC, 3));
	}
	close(fd[1]);
	while (pid > 0 && pm_helper_receive(fd[0], said, 2)) {
		if (said[0] == SETS) {
			*helper = (struct pm_helper){.pid = pid, .fd = fd[0]};
			*sure = true;
			return todo;
		}
		todo &= ~(1u << said[0]);
		*works |= (unsigned)said[1] << said[0];
	}
	close(fd[0]);
	if (pid < 0 || !pm_helper_wait(pid, &status))
		return 0;
	*sure = !todo || ended_by_set(status);
	if (together)
		return todo;
	return *sure ? todo & (todo - 1) : 0;   /* the first one left is what ended it */
}

/* Size and time of every driver that the loader knows: another driver must be probed anew. */
static void hash_drivers(struct pm_sha256 *h)
{
	static const char dir[] = "/etc/OpenCL/vendors";
	struct dirent **files = NULL;
	int i, n = scandir(dir, &files, NULL, alphasort);
	char path[512], text[600];
	struct stat st;

	for (i = 0; i < n; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, files[i]->d_name);
		if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
			snprintf(text, sizeof text, "%s %lld %lld", path, (long long)st.st_size, (long long)st.st_mtime);
			pm_sha256_put(h, text, strlen(text) + 1);
		}
		free(files[i]);
	}
	free(files);
}

static char *result_path(const struct pm_dev_opts *opts, const char *who, unsigned claims, struct pm_err *e)
{
	char hex[PM_SHA256_HEX], text[256], *kernels;
	struct pm_str source = {0};
	struct pm_sha256 h;

	kernels = pm_path(opts->kernels, "probe.cl", e);
	if (!kernels || pm_read_file(&source, kernels, e) < 0 || pm_sha256_begin(&h, e) < 0) {
		free(kernels);
		pm_str_free(&source);
		return NULL;
	}
	free(kernels);
	snprintf(text, sizeof text, "%s %x %.32s %.32s", who, claims, opts->select ? opts->select : "", opts->target ? opts->target : "");
	pm_sha256_put(&h, text, strlen(text) + 1);
	pm_sha256_put(&h, source.data, source.len);
	hash_drivers(&h);
	pm_sha256_end(&h, hex);
	pm_str_free(&source);
	snprintf(text, sizeof text, "%.32s.probe", hex);
	return pm_path(opts->cache, text, e);
}

/* The file is two lines: MAGIC, and the sets that work, as a mask in decimal digits closed by a point. */
static bool read_result(const char *path, unsigned *works)
{
	struct pm_str text = {0};
	struct pm_err ignored;
	bool good;
	char end = 0;

	good = pm_read_file(&text, path, &ignored) == 0 && text.data && sscanf(text.data, MAGIC "\n%u%c", works, &end) == 2 &&
		end == '.' && *works < 1u << SETS;
	pm_str_free(&text);
	return good;
}

static void write_result(const struct pm_dev_opts *opts, const char *path, unsigned works)
{
	struct pm_err ignored;
	struct pm_out o;
	char text[64];

	snprintf(text, sizeof text, MAGIC "\n%u.\n", works);
	if (pm_mkdirs(opts->cache, &ignored) < 0 || pm_out_open(&o, path, &ignored) < 0)
		return;
	if (pm_out_write(&o, text, strlen(text), &ignored) == 0)
		pm_out_close(&o, &ignored);
	else
		pm_out_abort(&o);
}

/* "amx,vnni": a name that is none of ours is an error. */
static int read_mask(const char *mask, unsigned *out, struct pm_err *e)
{
	const size_t count = sizeof words / sizeof *words;
	size_t n, i;

	for (*out = 0; mask && *mask; mask += n + (mask[n] == ',')) {
		n = strcspn(mask, ",");
		for (i = 0; i < count && (strlen(words[i].name) != n || strncmp(words[i].name, mask, n)); i++)
			;
		if (i == count)
			return pm_fail(e, PM_USAGE, "the mask: amx, bf16, vnni, asm, avx512, avx2 or cpu was wanted, found '%.*s'", (int)n, mask);
		*out |= words[i].hides;
	}
	return 0;
}

int pm_isa_probe(struct pm_isa *isa, const struct pm_dev_opts *opts, struct pm_err *e)
{
	unsigned masked, claims, todo, works = 0;
	bool sure;
	char who[128] = "", *path = NULL;
	struct pm_err ignored;

	memset(isa, 0, sizeof *isa);
	if (read_mask(opts->mask, &masked, e) < 0)
		return -1;
	isa->no_cpu = masked & NO_CPU;
	claims = claimed(who);
	if (!(claims & ~masked))
		return 0;
	if (opts->reference || (opts->select && !strcmp(opts->select, "gpu")))
		return 0;
	if (opts->cache)
		path = result_path(opts, who, claims, &ignored);
	if (!path || !read_result(path, &works)) {
		if (!has_threads()) {
			if (opts->compiling)
				opts->compiling(opts->arg, "probe");
			for (todo = ask_child(opts, claims, true, &works, opts->helper && opts->cache && !opts->profile ? &isa->helper : NULL, &sure); todo;)
				todo = ask_child(opts, todo, false, &works, NULL, &sure);
			if (path && sure)
				write_result(opts, path, works);
		}
	}
	free(path);
	works &= claims & ~masked;
	if (!(works & AVX512))
		works &= ~(unsigned)(ASM | VNNI | BF16);        /* their operands are registers of 64 bytes */
	if ((works & AMX) && !ask_for_tiles())
		works &= ~(unsigned)AMX;
	*isa = (struct pm_isa){.avx512 = works & AVX512, .assembly = works & ASM, .vnni = works & VNNI, .bf16 = works & BF16, .amx = works & AMX,
		.avx2 = works & AVX2, .helper = isa->helper};
	return 0;
}
