/* An importance matrix of either form: what is read can be asked for, and written. */
#include "fuzz.h"
#include "quant/imatrix.h"

static int parse_imatrix(const uint8_t *data, size_t size, struct pm_err *e)
{
	struct pm_imatrix m, sum = {.chunk_size = 1};
	size_t i;

	if (pm_imatrix_open(&m, fuzz_file("one.imatrix", data, size), e) < 0)
		return -1;
	for (i = 0; i < m.n; i++) {
		must(pm_imatrix_find(&m, m.entry[i].name) == &m.entry[i]);
		must(!i || strcmp(m.entry[i - 1].name, m.entry[i].name) < 0);
	}
	if (!m.chunk_size || m.chunk_size == 1)
		must(pm_imatrix_merge(&sum, &m, e) == 0 && sum.n == m.n);
	pm_imatrix_free(&sum);
	pm_imatrix_free(&m);
	return 0;
}

FUZZ(parse_imatrix)
