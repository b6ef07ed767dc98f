/* kernel_dir.h: a directory of kernels of a test's own, in which some are the project's; and a part of a test in a process of its own. */
#ifndef PM_TESTS_KERNEL_DIR_H
#define PM_TESTS_KERNEL_DIR_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

/* Writes a file. */
static inline void put(const char *dir, const char *name, const char *text)
{
	struct pm_err e;
	struct pm_out o;
	char *path = pm_path(dir, name, &e);

	if (!path || pm_out_open(&o, path, &e) < 0 || pm_out_write(&o, text, strlen(text), &e) < 0 || pm_out_close(&o, &e) < 0) {
		printf("Bail out! %s\n", e.text);
		exit(1);
	}
	free(path);
}

/* Copies one of the project's kernels there. */
static inline void take(const char *dir, const char *name)
{
	const char *from = getenv("PM_KERNELS");
	char a[4096], b[512];
	struct pm_err e;

	snprintf(a, sizeof a, "%s/%s", from ? from : "kernels", name);
	snprintf(b, sizeof b, "%s/%s", dir, name);
	if (pm_copy_file(a, b, &e) < 0) {
		printf("Bail out! %s\n", e.text);
		exit(1);
	}
}

/* The exit status of f in a child process. */
static inline int in_child(int (*f)(void))
{
	int status = 0;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(f());
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#endif
