/* name.h: what users call a repository, and which names may become paths.
 *
 *	ORG/NAME[@REV][:QUANT]                                  a model, at a branch, tag or commit; one GGUF file of it
 *	hf://[models|datasets|spaces/]ORG/NAME[@REV][/PATH]     any repository, or one file or directory of it
 *	https://HOST/[datasets|spaces/]ORG/NAME[/tree|blob|resolve|raw/REV[/PATH]]      the same as a page's address
 *
 * NAME alone (gpt2) is a repository, too, where the hub knows one by it. */
#ifndef PM_HUB_NAME_H
#define PM_HUB_NAME_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum pm_hub_type { PM_HUB_MODEL, PM_HUB_DATASET, PM_HUB_SPACE };

/* Strings are the name's own; pm_hub_name_free. */
struct pm_hub_name {
	enum pm_hub_type type;
	char *id;               /* "ORG/NAME" or "NAME" */
	char *revision;         /* "main" where none was given */
	char *path;             /* a file or directory of the repository, or NULL */
	char *quant;            /* "Q4_K_M", or NULL */
	bool typed;             /* the name said of what type it is */
};

/* The word for a type, plural as in paths of the hub and the cache ("models"), and back (−1 for no type; the singular will do). */
const char *pm_hub_type_word(enum pm_hub_type t);
int pm_hub_type_by_word(const char *word);

/* Whether a text has the form of the first two rows above, ORG included: what may stand for a model where a path may, too. */
bool pm_hub_name_looks(const char *text);

/* Reads the first two rows, and NAME alone. Errors are status 64. */
int pm_hub_name_parse(struct pm_hub_name *n, const char *text, struct pm_err *e);

/* Reads an address of a page or file on the hub at `endpoint` (or the public one): 0, or 1 where it is another address. */
int pm_hub_name_url(struct pm_hub_name *n, const char *url, const char *endpoint, struct pm_err *e);

void pm_hub_name_free(struct pm_hub_name *n);

/* Whether a text may be a branch, tag or commit: a path that pm_path_inside takes, of letters, digits and "._/+=-". */
bool pm_hub_revision_ok(const char *revision);

/* Whether text is n hexadecimal digits in lower case. */
bool pm_hub_is_hex(const char *text, size_t n);

#endif
