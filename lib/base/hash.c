#include "base/hash.h"

#include <gcrypt.h>
#include <stdio.h>

#include "base/file.h"

static int begin(struct pm_sha256 *h, int algorithm, struct pm_err *e)
{
	gcry_md_hd_t md;

	if (!gcry_check_version(GCRYPT_VERSION))
		return pm_fail(e, PM_CONFIG, "libgcrypt %s or newer was wanted", GCRYPT_VERSION);
	gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
	if (gcry_md_open(&md, algorithm, 0))
		return pm_fail(e, PM_SOFTWARE, "libgcrypt gives no %s", algorithm == GCRY_MD_SHA1 ? "SHA-1" : "SHA-256");
	h->state = md;
	h->algorithm = algorithm;
	return 0;
}

int pm_sha256_begin(struct pm_sha256 *h, struct pm_err *e)
{
	return begin(h, GCRY_MD_SHA256, e);
}

int pm_gitblob_begin(struct pm_sha256 *h, uint64_t size, struct pm_err *e)
{
	char head[40];
	int n = snprintf(head, sizeof head, "blob %llu", (unsigned long long)size) + 1;

	if (begin(h, GCRY_MD_SHA1, e) < 0)
		return -1;
	gcry_md_write(h->state, head, (size_t)n);
	return 0;
}

void pm_sha256_put(struct pm_sha256 *h, const void *bytes, size_t n)
{
	gcry_md_write(h->state, bytes, n);
}

void pm_sha256_end(struct pm_sha256 *h, char hex[PM_SHA256_HEX])
{
	const unsigned char *d = gcry_md_read(h->state, h->algorithm);
	int i, n = (int)gcry_md_get_algo_dlen(h->algorithm);

	for (i = 0; i < n; i++)
		snprintf(hex + 2 * i, 3, "%02x", d[i]);
	pm_sha256_drop(h);
}

void pm_sha256_drop(struct pm_sha256 *h)
{
	gcry_md_close(h->state);
	h->state = NULL;
}

int pm_sha256_bytes(char hex[PM_SHA256_HEX], const void *bytes, size_t n, struct pm_err *e)
{
	struct pm_sha256 h;

	if (pm_sha256_begin(&h, e) < 0)
		return -1;
	pm_sha256_put(&h, bytes, n);
	pm_sha256_end(&h, hex);
	return 0;
}

int pm_sha256_file(char hex[PM_SHA256_HEX], const char *path, struct pm_err *e)
{
	struct pm_map m;
	int r;

	if (pm_map_open(&m, path, e) < 0)
		return -1;
	r = pm_sha256_bytes(hex, m.data, m.size, e);
	pm_map_close(&m);
	return r;
}
