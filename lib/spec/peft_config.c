/* peft_config.c: the options of an adapter: held to their ranges, and copied. */
#include <math.h>
#include <string.h>

#include "spec/peft_private.h"

char *peft_copy_text(struct pm_arena *a, const char *s, struct pm_err *e)
{
	return pm_arena_printf(a, e, "%s", s);
}

size_t peft_count(const char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

static int copy_list(const char *const **out, struct pm_arena *a, const char *const *list, struct pm_err *e)
{
	size_t i, n = peft_count(list);
	const char **copy;

	*out = NULL;
	if (!list)
		return 0;
	copy = pm_arena_alloc(a, n + 1, sizeof *copy, e);
	for (i = 0; copy && i < n; i++)
		if (!(copy[i] = peft_copy_text(a, list[i], e)))
			return -1;
	*out = copy;
	return copy ? 0 : -1;
}

static int copy_patterns(const struct pm_pattern **out, struct pm_arena *a, const struct pm_pattern *list, size_t n, struct pm_err *e)
{
	struct pm_pattern *copy = pm_arena_alloc(a, n, sizeof *copy, e);
	size_t i;

	for (i = 0; copy && i < n; i++) {
		copy[i].value = list[i].value;
		if (!(copy[i].regex = peft_copy_text(a, list[i].regex, e)))
			return -1;
	}
	*out = copy;
	return copy ? 0 : -1;
}

int peft_copy_config(struct pm_lora_config *to, const struct pm_lora_config *from, struct pm_arena *a, struct pm_err *e)
{
	int64_t *layers = pm_arena_alloc(a, from->nlayers, sizeof *layers, e);

	*to = *from;
	to->arena = (struct pm_arena){0};
	to->json = json_incref(from->json);
	if (!layers)
		return -1;
	if (from->nlayers)
		memcpy(layers, from->layers, from->nlayers * sizeof *layers);
	to->layers = layers;
	if (from->target_regex && !(to->target_regex = peft_copy_text(a, from->target_regex, e)))
		return -1;
	if (from->exclude_regex && !(to->exclude_regex = peft_copy_text(a, from->exclude_regex, e)))
		return -1;
	if (copy_list(&to->targets, a, from->targets, e) < 0 || copy_list(&to->exclude, a, from->exclude, e) < 0 || copy_list(&to->save, a, from->save, e) < 0 ||
	    copy_list(&to->parameters, a, from->parameters, e) < 0)
		return -1;
	return copy_patterns(&to->rank_pattern, a, from->rank_pattern, from->nrank, e) < 0 ? -1 :
		copy_patterns(&to->alpha_pattern, a, from->alpha_pattern, from->nalpha, e);
}

int peft_check_config(const struct pm_lora_config *c, struct pm_err *e)
{
	size_t i;

	if (c->r < 1 || c->r > 65536)
		return pm_fail(e, PM_DATA, "'r' is %lld, 1 to 65536 was wanted", (long long)c->r);
	if (!isfinite(c->alpha))
		return pm_fail(e, PM_DATA, "'lora_alpha': a number was wanted");
	if (!(c->dropout >= 0 && c->dropout < 1))
		return pm_fail(e, PM_DATA, "'lora_dropout' is %g, 0 up to 1 was wanted", c->dropout);
	for (i = 0; i < c->nrank; i++)
		if (!(c->rank_pattern[i].value >= 1 && c->rank_pattern[i].value <= 65536) || floor(c->rank_pattern[i].value) != c->rank_pattern[i].value)
			return pm_fail(e, PM_DATA, "'rank_pattern': '%.200s' is %g, 1 to 65536 was wanted", c->rank_pattern[i].regex, c->rank_pattern[i].value);
	for (i = 0; i < c->nalpha; i++)
		if (!isfinite(c->alpha_pattern[i].value))
			return pm_fail(e, PM_DATA, "'alpha_pattern': '%.200s': a number was wanted", c->alpha_pattern[i].regex);
	if (c->target_regex && c->nlayers)
		return pm_fail(e, PM_DATA, "'layers_to_transform' has no effect on a regular expression of targets");
	return 0;
}
