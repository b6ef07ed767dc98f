/* tiles.c: see tiles.h. What the instructions do and how they are encoded: Intel's Software Developer's Manual, volume 2, and chapter 18 of volume 1. */
#define _GNU_SOURCE                             /* the registers in ucontext.h */
#include "tiles.h"

#if defined __x86_64__ && defined __linux__
#include <dlfcn.h>
#include <math.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

struct tile {
	int rows, bytes;                        /* of a row; 0: not configured */
	uint8_t at[16][64];
};

static __thread struct tile tile[8];

/* An instruction with a VEX prefix of three bytes: C4, ~R ~X ~B and the map, W ~vvvv L pp. */
struct insn {
	int pp, op;                             /* pp: 0 none, 1 66, 2 F3, 3 F2 */
	int mod, reg, rm, v;
	uint64_t base, index;                   /* of an operand in memory; index is scaled */
	size_t length;
};

/* A general register by its number. */
static uint64_t value_of(const ucontext_t *c, int n)
{
	static const int at[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
		REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

	return (uint64_t)c->uc_mcontext.gregs[at[n]];
}

static bool decode(struct insn *i, const ucontext_t *c, const uint8_t *p)
{
	const uint8_t *from = p;
	int r, x, b, size;
	int32_t far = 0;

	if (p[0] != 0xC4 || (p[1] & 31) != 2 || (p[2] & 0x84))          /* map 0F38, W 0, L 0 */
		return false;
	r = p[1] & 0x80 ? 0 : 8;
	x = p[1] & 0x40 ? 0 : 8;
	b = p[1] & 0x20 ? 0 : 8;
	*i = (struct insn){.pp = p[2] & 3, .v = ~(p[2] >> 3) & 15, .op = p[3], .mod = p[4] >> 6, .reg = (p[4] >> 3 & 7) + r, .rm = p[4] & 7};
	p += 5;
	if (i->mod < 3) {
		size = i->mod == 1 ? 1 : i->mod == 2 ? 4 : 0;
		if (i->rm == 4) {                                       /* a byte of scale, index and base */
			int index = (*p >> 3 & 7) + x, base = (*p & 7) + b;

			if (index != 4)
				i->index = value_of(c, index) << (*p >> 6);
			if ((*p & 7) == 5 && !i->mod)
				size = 4;
			else
				i->base = value_of(c, base);
			p++;
		} else if (i->rm == 5 && !i->mod) {
			return false;                                   /* relative to the instruction: none of ours */
		} else {
			i->base = value_of(c, i->rm + b);
		}
		if (size == 1)
			far = (int8_t)*p;
		else if (size == 4)
			memcpy(&far, p, 4);
		p += size;
		i->base += (uint64_t)(int64_t)far;
	} else {
		i->rm += b;
	}
	i->length = (size_t)(p - from);
	return true;
}

static bool configure(const uint8_t *p)
{
	uint16_t bytes;
	int t;

	if (p[0] > 1 || p[1])
		return false;
	for (t = 0; t < 8; t++) {
		memset(&tile[t], 0, sizeof tile[t]);
		memcpy(&bytes, p + 16 + 2 * t, 2);
		if (bytes > 64 || p[48 + t] > 16)
			return false;
		tile[t].bytes = p[0] ? bytes : 0;
		tile[t].rows = p[0] ? p[48 + t] : 0;
	}
	return true;
}

static float number(const uint8_t *p, size_t n)
{
	uint32_t bits = 0;
	float f;

	memcpy((uint8_t *)&bits + 4 - n, p, n);         /* of a bfloat16 these are the upper bytes */
	if (!(bits & 0x7F800000))
		bits &= 0x80000000;                     /* denormals count as zeros */
	memcpy(&f, &bits, 4);
	return f;
}

static float flushed(float f)
{
	return number((const uint8_t *)&f, 4);
}

/* c += a b, pairs of bfloat16: the sums of even and of odd products, one rounding each, then both together. */
static void dot_bf16(struct tile *c, const struct tile *a, const struct tile *b)
{
	int m, n, k;

	for (m = 0; m < c->rows; m++)
		for (n = 0; n < c->bytes / 4; n++) {
			float even = 0, odd = 0, sum = number(&c->at[m][4 * n], 4);

			for (k = 0; k < a->bytes / 4; k++) {
				even = flushed(fmaf(number(&a->at[m][4 * k], 2), number(&b->at[k][4 * n], 2), even));
				odd = flushed(fmaf(number(&a->at[m][4 * k + 2], 2), number(&b->at[k][4 * n + 2], 2), odd));
			}
			sum = flushed(sum + flushed(even + odd));
			memcpy(&c->at[m][4 * n], &sum, 4);
		}
}

static int32_t byte_of(uint8_t x, bool is_signed)
{
	return is_signed ? (int8_t)x : x;
}

static void dot_bytes(struct tile *c, const struct tile *a, const struct tile *b, bool a_signed, bool b_signed)
{
	int m, n, k;

	for (m = 0; m < c->rows; m++)
		for (n = 0; n < c->bytes / 4; n++) {
			uint32_t sum;

			memcpy(&sum, &c->at[m][4 * n], 4);
			for (k = 0; k < a->bytes; k++)
				sum += (uint32_t)(byte_of(a->at[m][k], a_signed) * byte_of(b->at[k / 4][4 * n + k % 4], b_signed));
			memcpy(&c->at[m][4 * n], &sum, 4);
		}
}

static bool fit(const struct tile *c, const struct tile *a, const struct tile *b)
{
	return c->rows && c->rows == a->rows && c->bytes == b->bytes && a->bytes && a->bytes == b->rows * 4 && c != a && c != b && a != b;
}

static bool move(const struct insn *i)
{
	struct tile *t = &tile[i->reg];
	uint8_t *p;
	int r;

	if (i->reg > 7 || i->rm != 4 || !t->rows)
		return false;
	for (r = 0; r < t->rows; r++) {
		p = (uint8_t *)(uintptr_t)(i->base + (uint64_t)r * i->index);
		if (i->pp == 2) {
			memcpy(p, t->at[r], (size_t)t->bytes);
		} else {
			memset(t->at[r], 0, 64);
			memcpy(t->at[r], p, (size_t)t->bytes);
		}
	}
	return true;
}

static bool do_it(const struct insn *i)
{
	struct tile *c = &tile[i->reg & 7], *a = &tile[i->rm & 7], *b = &tile[i->v & 7];

	switch (i->op) {
	case 0x49:
		if (i->pp == 0 && i->mod < 3)
			return configure((const uint8_t *)(uintptr_t)(i->base + i->index));
		if (i->pp == 0) {
			memset(tile, 0, sizeof tile);
			return i->reg == 0 && i->rm == 0;
		}
		if (i->pp != 3 || i->mod < 3 || !c->rows)
			return false;
		memset(c->at, 0, sizeof c->at);
		return true;
	case 0x4B:
		return i->pp && i->mod < 3 && move(i);
	case 0x5C:
		if (i->pp != 2 || i->mod < 3 || !fit(c, a, b))
			return false;
		dot_bf16(c, a, b);
		return true;
	case 0x5E:
		if (i->mod < 3 || !fit(c, a, b))
			return false;
		dot_bytes(c, a, b, i->pp >= 2, i->pp & 1);
		return true;
	default:
		return false;
	}
}

static bool taken;                              /* SIGILL is ours */
static atomic_ulong done;

static void on_illegal(int sig, siginfo_t *info, void *context)
{
	ucontext_t *c = context;
	struct insn i;

	(void)info;
	if (!decode(&i, c, (const uint8_t *)(uintptr_t)c->uc_mcontext.gregs[REG_RIP]) || !do_it(&i)) {
		taken = false;
		signal(sig, SIG_DFL);                   /* it comes again, and ends the process */
		return;
	}
	c->uc_mcontext.gregs[REG_RIP] += (greg_t)i.length;
	atomic_fetch_add(&done, 1);
}

/* LLVM, while it compiles, takes SIGILL for itself, and removes what it was writing when it comes. So SIGILL is ours alone: this stands before the C
 * library's function of that name (optest exports it). */
int sigaction(int sig, const struct sigaction *a, struct sigaction *old)
{
	int (*real)(int, const struct sigaction *, struct sigaction *);

	*(void **)&real = dlsym(RTLD_NEXT, "sigaction");
	return real(sig, taken && sig == SIGILL ? NULL : a, old);
}

bool tiles_in_software(void)
{
	const struct sigaction a = {.sa_sigaction = on_illegal, .sa_flags = SA_SIGINFO};

	taken = sigaction(SIGILL, &a, NULL) == 0;
	return taken;
}

unsigned long tiles_done(void)
{
	return atomic_load(&done);
}
#else
bool tiles_in_software(void)
{
	return false;
}

unsigned long tiles_done(void)
{
	return 0;
}
#endif
