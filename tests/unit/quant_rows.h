/* quant_rows.h: the golden rows of fixtures/quant/ggml, for the programs that decode and that make them. */
#ifndef PM_TESTS_QUANT_ROWS_H
#define PM_TESTS_QUANT_ROWS_H

#include "base/dtype.h"

static const char *const files[] = {"w96", "w256", "w1024"};

/* The type that n letters of capitals name. */
static enum pm_dtype type_of(const char *name, size_t n)
{
	char low[32];
	size_t i;

	if (n >= sizeof low)
		return PM_DTYPE_NONE;
	for (i = 0; i < n; i++)
		low[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32 : name[i]);
	low[n] = 0;
	return pm_dtype_by_name(low);
}

#endif
