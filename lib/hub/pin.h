/* pin.h: a lock file: which commits, files and hashes were fetched, so that exactly those are fetched again.
 *
 *	{"pm_lock": 1,
 *	 "repositories": [{"type": "model", "id": "ORG/NAME", "revision": "main", "commit": "…40 digits", "files":
 *	   [{"path": "config.json", "size": 651, "git": "…40 digits"}, {"path": "model.safetensors", "size": 9, "sha256": "…64"}]}],
 *	 "addresses": [{"url": "https://…", "size": 9, "sha256": "…64 digits"}]} */
#ifndef PM_HUB_PIN_H
#define PM_HUB_PIN_H

#include "hub/list.h"
#include "hub/name.h"

struct pm_hub_pin {
	struct pm_hub_name name;        /* of a repository; id NULL: an address */
	char *url;
	char commit[41];
	struct pm_hub_list list;        /* its files; of an address: one, called "file" */
};

struct pm_hub_pins {
	struct pm_hub_pin *v;
	size_t n, cap;
};

int pm_hub_pins_parse(struct pm_hub_pins *p, const char *text, size_t n, const char *name, struct pm_err *e);
int pm_hub_pins_read(struct pm_hub_pins *p, const char *path, struct pm_err *e);
int pm_hub_pins_write(const struct pm_hub_pins *p, const char *path, struct pm_err *e);
void pm_hub_pins_free(struct pm_hub_pins *p);

/* The pin of a repository or of an address, or NULL. */
struct pm_hub_pin *pm_hub_pins_find(const struct pm_hub_pins *p, const struct pm_hub_name *n, const char *url);

/* A new pin, empty, for a repository (copied) or an address. */
struct pm_hub_pin *pm_hub_pins_add(struct pm_hub_pins *p, const struct pm_hub_name *n, const char *url, struct pm_err *e);

#endif
