/* inspect_devices.c: the OpenCL devices there are, and what they do at most. */
#include <stdio.h>
#include <stdlib.h>

#include "bin/inspect.h"
#include "dev/dev.h"

static json_t *device(const struct pm_dev_info *d, size_t number_of)
{
	return json_pack("{s:o, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:b, s:b, s:b, s:b, s:b, s:b}", "device", json_integer((json_int_t)number_of), "kind",
		d->gpu ? "gpu" : d->cpu ? "cpu" : "other", "name", d->name, "vendor", d->vendor, "driver", d->driver, "platform", d->platform, "units",
		json_integer((json_int_t)d->units), "memory", json_integer((json_int_t)d->memory), "largest", json_integer((json_int_t)d->largest), "shared", (int)d->shared, "avx2", (int)d->avx2, "avx512", (int)d->avx512, "vnni",
		(int)d->vnni, "bf16", (int)d->bf16, "amx", (int)d->amx);
}

static int print_device(const struct inspect_args *a, const struct pm_dev_info *d, size_t i, struct pm_err *e)
{
	json_t *o = a->json ? device(d, i) : NULL;
	char b[2][32];
	int r = 0;

	if (a->json)
		r = o ? pm_print_json(o, e) : pm_fail(e, PM_SOFTWARE, "device %zu: its name is not UTF-8", i);
	else
		printf("%zu\t%s\t%s\t%s\t%u units, %s, buffers up to %s%s%s%s%s%s%s\n", i, d->gpu ? "gpu" : d->cpu ? "cpu" : "other", d->name, d->platform, d->units,
			inspect_short(b[0], (double)d->memory, "B"), inspect_short(b[1], (double)d->largest, "B"), d->shared ? ", shared memory" : "",
			d->avx2 ? ", avx2" : "", d->avx512 ? ", avx512" : "", d->vnni ? ", vnni" : "", d->bf16 ? ", bf16" : "", d->amx ? ", amx" : "");
	json_decref(o);
	return r;
}

/* Opens the device to measure it; what it can do is known only then. */
static int measure_device(const struct pm_tool *t, const struct inspect_args *a, size_t i, struct pm_err *e)
{
	double rate[PM_RATES];
	struct pm_dev *d = NULL;
	struct pm_env env;
	char which[24];
	json_t *o;
	int r;

	snprintf(which, sizeof which, "%zu", i);
	if (pm_env_get(&env, e) < 0)
		return -1;
	r = pm_dev_open(&d, &(struct pm_dev_opts){.select = which, .kernels = env.kernels, .cache = env.cache, .share = env.share,
		.mask = env.mask, .scratch = env.pocl, .target = env.target}, e);
	if (r == 0 && !a->json)
		pm_say(t, "measuring %s", pm_dev_info(d)->name);
	if (r == 0)
		r = pm_dev_measure(d, rate, NULL, e);
	if (r == 0 && a->json) {
		o = device(pm_dev_info(d), i);
		r = !o ? pm_fail(e, PM_SOFTWARE, "device %zu: its name is not UTF-8", i) : json_object_set_new(o, "rates",
			json_pack("{s:f,s:f,s:f,s:f}", "f32", rate[PM_RATE_F32], "bf16", rate[PM_RATE_BF16], "int8", rate[PM_RATE_INT8], "read", rate[PM_RATE_READ]));
		if (r == 0)
			r = pm_print_json(o, e);
		json_decref(o);
	} else if (r == 0) {
		r = print_device(a, pm_dev_info(d), i, e);
		printf("\tf32 %.1f GFLOP/s, bf16 %.1f GFLOP/s, int8 %.1f GOP/s, memory %.1f GB/s\n", 1e-9 * rate[PM_RATE_F32], 1e-9 * rate[PM_RATE_BF16],
		    1e-9 * rate[PM_RATE_INT8], 1e-9 * rate[PM_RATE_READ]);
	}
	pm_dev_close(d);
	pm_env_free(&env);
	return r;
}

int inspect_devices(const struct pm_tool *t, const struct inspect_args *a, int argc, struct pm_err *e)
{
	static const char *const alone[] = {"tensors", "length", "lora", "family"};
	struct pm_dev_info *list;
	size_t i, n;
	int r = 0;

	for (i = 0; i < sizeof alone / sizeof *alone; i++)
		if (pm_opt_refuse(t, alone[i], "with --devices", e) < 0)
			return -1;
	if (argc > 1)
		return pm_fail(e, PM_USAGE, "--devices takes no path");
	/* Instruction sets can be tried only before OpenCL has threads, so the first device is opened before the list is made. */
	if (a->measure && measure_device(t, a, 0, e) < 0)
		return -1;
	if (pm_dev_list(&list, &n, e) < 0)
		return -1;
	if (!n)
		r = pm_fail(e, PM_NODEVICE, "no OpenCL device was found");
	for (i = a->measure ? 1 : 0; r == 0 && i < n; i++)
		r = a->measure ? measure_device(t, a, i, e) : print_device(a, &list[i], i, e);
	free(list);
	return r;
}
