#include "base/hash.h"

#include <gcrypt.h>
#include <stdio.h>

#include "base/file.h"

int pm_sha256_begin(struct pm_sha256 *h, struct pm_err *e)
{
	gcry_md_hd_t md;

	if (!gcry_check_version(GCRYPT_VERSION))
		return pm_fail(e, PM_CONFIG, "libgcrypt %s or newer was wanted", GCRYPT_VERSION);
	gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
	if (gcry_md_open(&md, GCRY_MD_SHA256, 0))
		return pm_fail(e, PM_SOFTWARE, "libgcrypt gives no SHA-256");
	h->state = md;
	return 0;
}

void pm_sha256_put(struct pm_sha256 *h, const void *bytes, size_t n)
{
	gcry_md_write(h->state, bytes, n);
}

void pm_sha256_end(struct pm_sha256 *h, char hex[PM_SHA256_HEX])
{
	const unsigned char *d = gcry_md_read(h->state, GCRY_MD_SHA256);
	int i;

	for (i = 0; i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", d[i]);
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
