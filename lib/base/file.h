/* file.h: whole files: mapping, reading, and writing that never leaves half a file under the final name. */
#ifndef PM_BASE_FILE_H
#define PM_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/str.h"

/* A file mapped read-only. An empty file has data == NULL. The caller closes it. */
struct pm_map {
	const unsigned char *data;
	size_t size;
};

int pm_map_open(struct pm_map *m, const char *path, struct pm_err *e);
void pm_map_close(struct pm_map *m);
/* The process holds none of its pages then, until they are read again. */
void pm_map_unload(const struct pm_map *m);

/* The rest of a stream, or a whole file, appended to *out. Errors name the path. */
int pm_read_stream(struct pm_str *out, FILE *f, const char *name, struct pm_err *e);
int pm_read_file(struct pm_str *out, const char *path, struct pm_err *e);

/* True where a file (or directory) of that name can be seen. */
bool pm_exists(const char *path);
bool pm_is_dir(const char *path);

/* Whether a name from outside may be joined to a directory: relative, no empty, "." or ".." part, no control characters, no part
 * over 255 bytes, at most 1024 in all. */
bool pm_path_inside(const char *path);

/* "dir/name" in new memory, or NULL with the error set. */
char *pm_path(const char *dir, const char *name, struct pm_err *e);

/* Creates a directory and its parents; an existing one is fine. */
int pm_mkdirs(const char *path, struct pm_err *e);

/* Fails with status 74 where the file system that holds `dir`, or will, says that it has fewer bytes free. */
int pm_room(const char *dir, uint64_t bytes, struct pm_err *e);

/* Removes a file or a whole directory tree; one that is not there is fine. */
int pm_remove_tree(const char *path, struct pm_err *e);

/* An output file. It is written beside its final name and renamed by pm_out_close, after an fsync; pm_out_abort
 * (also of a struct already closed, or zeroed) removes what there is. "-" is stdout; a target that exists and is
 * no regular file (a device, a pipe), or lies in /dev or /proc, is written in place and never replaced; a link stays, and what it points to is replaced. */
struct pm_out {
	FILE *f;
	char *path, *temp;      /* temp == NULL: written in place */
};

int pm_out_open(struct pm_out *o, const char *path, struct pm_err *e);
int pm_out_write(struct pm_out *o, const void *bytes, size_t n, struct pm_err *e);
int pm_out_close(struct pm_out *o, struct pm_err *e);
void pm_out_abort(struct pm_out *o);

/* The same for a directory of files: *temp (the caller frees) is an empty directory beside `path`; write into it, then
 * pm_dir_commit syncs it and gives it its final name. A directory already there is replaced only if `replace`. */
int pm_dir_begin(char **temp, const char *path, struct pm_err *e);
int pm_dir_commit(const char *temp, const char *path, bool replace, struct pm_err *e);

/* Copies a file's bytes to another name, through pm_out. */
int pm_copy_file(const char *from, const char *to, struct pm_err *e);

#endif
