/* err.h: how a function of the library says what went wrong.
 *
 * A function that can fail takes a `struct pm_err *e` as its last argument and returns 0, or -1 with the
 * message in *e. Whoever passes the failure on may put the subject that it knows in front (pm_ctx), so the
 * text reads from the outside in: "models/x: model-00002.safetensors: tensor 'a.weight': ends after the file".
 * Messages are lower case, without a full stop, and say what was wanted and what was found. */
#ifndef PM_BASE_ERR_H
#define PM_BASE_ERR_H

/* Exit statuses of the tools: those of sysexits.h, by the names this project uses. */
enum pm_status {
	PM_DONE = 0,
	PM_NEGATIVE = 1,    /* a negative answer, e.g. a verification that found a difference */
	PM_USAGE = 64,      /* the command line */
	PM_DATA = 65,       /* the content of an input */
	PM_NOINPUT = 66,    /* an input that is not there or cannot be read */
	PM_NODEVICE = 69,   /* no usable device or service */
	PM_SOFTWARE = 70,   /* a fault of ours */
	PM_NOCREATE = 73,   /* an output that cannot be created */
	PM_IOERR = 74,      /* reading or writing failed */
	PM_TRYAGAIN = 75,   /* may work later */
	PM_NOPERM = 77,     /* permission */
	PM_CONFIG = 78,     /* configuration of this installation */
};

struct pm_err {
	enum pm_status status;
	char text[2000];
};

#define PM_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* Sets the message and returns -1. A message that does not fit is cut; control characters in it become question marks. */
int pm_fail(struct pm_err *e, enum pm_status status, const char *fmt, ...) PM_PRINTF(3, 4);

/* The same for a failed system call: appends ": " and the words of errno; the status follows from errno
 * (ENOENT, ENOTDIR and EISDIR 66, EACCES and EPERM 77, others `status`). */
int pm_fail_errno(struct pm_err *e, enum pm_status status, const char *fmt, ...) PM_PRINTF(3, 4);

/* Puts "subject: " in front of the message and returns -1. */
int pm_ctx(struct pm_err *e, const char *fmt, ...) PM_PRINTF(2, 3);

#endif
