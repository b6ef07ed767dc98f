/* inspect.h: the parts of pm-inspect. */
#ifndef PM_BIN_INSPECT_H
#define PM_BIN_INSPECT_H

#include "base/json.h"
#include "cli/tool.h"

struct inspect_args {
	bool tensors, json, devices, measure;
	const char *family;
	int64_t length, rank;
};

const char *inspect_short(char buf[32], double n, const char *unit);            /* "1.5 GB" */

/* inspect_devices.c: --devices */
int inspect_devices(const struct pm_tool *t, const struct inspect_args *a, int argc, struct pm_err *e);

#endif
