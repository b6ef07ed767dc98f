/* list.h: the files of a repository at one commit, read from the hub's answers or from the copy that the cache keeps, and which
 * of them are wanted.
 *
 * A file is known by the hash of its bytes: SHA-256 where it is stored as a large file, else git's name of the blob (SHA-1 over
 * "blob SIZE\0" and the bytes). The names of files come from outside: a list never holds one that pm_path_inside refuses. */
#ifndef PM_HUB_LIST_H
#define PM_HUB_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"

#define PM_HUB_SIZE_UNKNOWN UINT64_MAX

struct pm_hub_file {
	const char *path;
	uint64_t size;                  /* PM_HUB_SIZE_UNKNOWN: nobody said */
	char hash[65];                  /* 64 or 40 digits, "" where nobody said */
	char blob_id[41];               /* git's name of what the repository holds (of a large file: its pointer); "" unknown */
	const char *xet;                /* a hash that other software wants kept, or NULL */
};

/* Sorted by path, no path twice. A zeroed struct is an empty list. */
struct pm_hub_list {
	struct pm_hub_file *v;
	size_t n, cap;
	struct pm_arena arena;
};

/* Adds a file; hash may be NULL. Status 65 for a path that is not to be trusted. */
int pm_hub_list_add(struct pm_hub_list *l, const char *path, uint64_t size, const char *hash, struct pm_err *e);
/* Sorts; status 65 where a path comes twice, or is a file in one place and a directory in another. */
int pm_hub_list_close(struct pm_hub_list *l, struct pm_err *e);
void pm_hub_list_free(struct pm_hub_list *l);

/* One page of /api/TYPE/ID/tree/REV (an array), added to the list; directories are passed over. */
int pm_hub_list_page(struct pm_hub_list *l, const char *text, size_t n, struct pm_err *e);

/* The form in which the cache keeps a list (trees/COMMIT.json: {"format_version": 1, "files": {PATH: {"size", "blob_id",
 * "lfs_sha256", "lfs_size", "xet_hash"}}}). Reading gives 0, or 1 where the form is another version's. */
int pm_hub_list_read(struct pm_hub_list *l, const char *text, size_t n, const char *name, struct pm_err *e);
int pm_hub_list_write(struct pm_str *out, const struct pm_hub_list *l, struct pm_err *e);

/* The commit in the answer of /api/TYPE/ID/revision/REV. */
int pm_hub_revision_read(char commit[41], const char *text, size_t n, struct pm_err *e);

/* The address of the next page in a Link header (RFC 8288: <URL>; rel="next"): its start and length, or NULL. */
const char *pm_hub_link_next(const char *header, size_t *n);

/* What is wanted of a list. Patterns are those of fnmatch(3), in which "*" passes "/"; one that ends with "/", or names a
 * directory, stands for all below it. */
struct pm_hub_want {
	const char *const *files;       /* exactly these, or patterns: what is not there is an error */
	size_t nfiles;
	const char *const *include, *const *exclude;
	size_t ninclude, nexclude;
	const char *quant;              /* GGUF of this quantisation, and nothing else unless files or include say so */
	bool all;                       /* everything; else, with neither files nor include, what the tools read of a model */
	bool model;                     /* the repository holds a model */
};

/* keep[i] for each file of the list. By default of a model: safetensors, JSON, templates, tokenizer files; where it has GGUF and
 * no safetensors, the best known quantisation of it (Q4_K_M first). Status 66 where something asked for by name is not there, or
 * nothing is left; 64 where the quantisation is not one file's (all parts of a split file are one). */
int pm_hub_select(bool *keep, const struct pm_hub_list *l, const struct pm_hub_want *w, struct pm_err *e);

/* Whether a path passes include and exclude patterns alone. */
bool pm_hub_passes(const char *path, const struct pm_hub_want *w);

/* Whether a path is one of default selection; and whether it bears weights (safetensors, GGUF). */
bool pm_hub_is_read(const char *path);
bool pm_hub_is_weights(const char *path);

/* The GGUF files (all parts) of a quantisation, or of the preferred one where quant is NULL: keep[] is set for them, *first is
 * the first part's index. 0; 1 where there is none (of that name); −1 with status 64 where there are several. */
int pm_hub_pick_gguf(bool *keep, size_t *first, const struct pm_hub_list *l, const char *quant, struct pm_err *e);

#endif
