/* cache.h: the directory in which fetched repositories lie, shared with other software that knows the layout of Hugging Face's:
 *
 *	HUB/CACHEDIR.TAG
 *	HUB/.locks/models--ORG--NAME/HASH.lock          flock(2) on it: who writes that blob
 *	HUB/models--ORG--NAME/blobs/HASH                the bytes of a file, named by their hash; HASH.incomplete: a part of them
 *	HUB/models--ORG--NAME/snapshots/COMMIT/PATH     a relative link to a blob
 *	HUB/models--ORG--NAME/refs/REVISION             the commit that a branch or tag was at
 *	HUB/models--ORG--NAME/trees/COMMIT.json         the list of all files at that commit (list.h)
 *	HUB/models--ORG--NAME/.no_exist/COMMIT/PATH     empty: the hub said that this file is not there
 *
 * and beside it, for files that are of no repository (url.h), URLS/HASH. Nothing here goes to the network. */
#ifndef PM_HUB_CACHE_H
#define PM_HUB_CACHE_H

#include <stdbool.h>

#include "base/err.h"
#include "hub/list.h"
#include "hub/name.h"

/* Where things are, as the tool found in the environment. Each may be NULL: there is no such place (endpoint: the public hub). */
struct pm_hub_places {
	const char *hub, *urls;
	const char *endpoint;   /* "https://HOST[/PATH]" of the hub: addresses there are names */
};

/* HUB/models--ORG--NAME; REPO/snapshots/COMMIT; "blobs/HASH" and the like below a repository. New memory. */
char *pm_hub_repo(const char *hub, const struct pm_hub_name *n, struct pm_err *e);
char *pm_hub_in(const char *repo, const char *kind, const char *name, struct pm_err *e);

/* The commit of a revision by what the cache knows: a commit itself, refs/REVISION, or the only snapshot whose name begins with
 * it (at least 7 digits). 0, or 1 where it knows none. */
int pm_hub_ref(char commit[41], const char *repo, const char *revision, struct pm_err *e);

/* Writes refs/REVISION unless it says so already; nothing for a commit. */
int pm_hub_ref_write(const char *repo, const char *revision, const char *commit, struct pm_err *e);

/* The list of a commit's files as kept: 0, or 1 where there is none that can be read. */
int pm_hub_tree(struct pm_hub_list *l, const char *repo, const char *commit, struct pm_err *e);
int pm_hub_tree_write(const char *repo, const char *commit, const struct pm_hub_list *l, struct pm_err *e);

/* Makes the cache's directory with its CACHEDIR.TAG. */
int pm_hub_begin(const char *hub, struct pm_err *e);

/* What is there of a file that snapshots/COMMIT should have: true where its link leads to a file of the right size (and, where it
 * is named by a hash, of the right hash). */
bool pm_hub_has(const char *repo, const char *commit, const struct pm_hub_file *f);

/* Links snapshots/COMMIT/PATH to blobs/HASH, in one step. */
int pm_hub_link(const char *repo, const char *commit, const struct pm_hub_file *f, struct pm_err *e);

/* All files below a directory ("a/b.json"), sizes and (of links to blobs, from the blobs' names) hashes with them. Hidden ones
 * at the top (".cache") are passed over. */
int pm_hub_scan(struct pm_hub_list *l, const char *dir, struct pm_err *e);

/* What a text given for a model (or adapter, or file) means, without the network: *out (the caller frees) is
 *	the text itself, where it is a path that exists, or is not a name of the hub (one without ORG counts where the cache knows it),
 *	a snapshot's directory, or the file of it that :QUANT or /PATH names (of one with GGUF files alone: such a file).
 * Status 66 where a name is not in the cache, or is not complete there; the message says what would fetch it. */
int pm_hub_find(char **out, const char *text, const struct pm_hub_places *at, struct pm_err *e);

#endif
