/* rope frequencies against numbers from transformers 5.23.0 (modeling_rope_utils, float32) for the configs of the golden llama
 * and phi3-longrope models, written out here. */
#include <math.h>

#include "spec/spec.h"
#include "tap.h"

struct expect {
	const char *what;
	struct pm_rope_spec rope;
	int64_t length;
	double factor, inv[8];
};

static double short_factor[] = {1.1037, 1.2703, 1.2883, 1.5109, 1.5365, 1.6677};
static double long_factor[] = {1.1288, 5.8495, 11.0954, 14.9764, 20.5854, 25.7485};

#define DYNAMIC {.type = PM_ROPE_DYNAMIC, .theta = 10000, .dims = 8, .factor = 2, .original = 16, .attention_factor = 1}
#define LONG {.type = PM_ROPE_LONGROPE, .theta = 10000, .dims = 12, .factor = 1, .original = 32, .attention_factor = 1.4142135623730951, \
	.short_factor = short_factor, .long_factor = long_factor}

static const struct expect table[] = {
	{"plain", {.type = PM_ROPE_PLAIN, .theta = 500000, .dims = 8, .factor = 1, .attention_factor = 1}, 1, 1,
		{1, 0.0376060307, 0.00141421345, 5.31829573e-05}},
	{"linear", {.type = PM_ROPE_LINEAR, .theta = 10000, .dims = 8, .factor = 4, .attention_factor = 1}, 1, 1, {0.25, 0.025, 0.0025, 0.00025}},
	{"dynamic, shorter than M", DYNAMIC, 10, 1, {1, 0.1, 0.01, 0.001}},
	{"dynamic, as long as M", DYNAMIC, 16, 1, {1, 0.1, 0.01, 0.001}},
	{"dynamic, one longer", DYNAMIC, 17, 1, {1, 0.0961499736, 0.00924481731, 0.000888888899}},
	{"dynamic, much longer", DYNAMIC, 40, 1, {1, 0.0629960522, 0.00396850286, 0.000250000012}},
	{"llama3", {.type = PM_ROPE_LLAMA3, .theta = 10000, .dims = 16, .factor = 8, .low = 1, .high = 4, .original = 64, .attention_factor = 1}, 1, 1,
		{1, 0.244384587, 0.0130422562, 0.00395284733, 0.00124999997, 0.000395284733, 0.000125000006, 3.95284733e-05}},
	{"yarn", {.type = PM_ROPE_YARN, .theta = 1000, .dims = 16, .factor = 4, .original = 512, .beta_fast = 32, .beta_slow = 1, .truncate = true,
		.attention_factor = 1.138629436111989}, 1, 1.138629436111989,
		{1, 0.421696514, 0.151153743, 0.0524925925, 0.0173925273, 0.00533408578, 0.00140585331, 0.000592843455}},
	{"yarn, not truncated", {.type = PM_ROPE_YARN, .theta = 1000, .dims = 16, .factor = 8, .original = 64, .beta_fast = 4, .beta_slow = 0.5,
		.attention_factor = 1.3}, 1, 1.3,
		{1, 0.421696514, 0.118547551, 0.0227447432, 0.00395284733, 0.00166690187, 0.000702926656, 0.000296421727}},
	{"yarn, other betas", {.type = PM_ROPE_YARN, .theta = 1000, .dims = 16, .factor = 4, .original = 96, .beta_fast = 4, .beta_slow = 1,
		.truncate = true, .attention_factor = 1.1023872193956545}, 1, 1.1023872193956545,
		{1, 0.421696514, 0.133370951, 0.0374947079, 0.00790569466, 0.00333380373, 0.00140585331, 0.000592843455}},
	{"longrope, as long as the original", LONG, 32, 1.4142135623730951,
		{0.906043291, 0.169600457, 0.0360287838, 0.00661857193, 0.00140217005, 0.000278322812}},
	{"longrope, one longer", LONG, 33, 1.4142135623730951,
		{0.885896504, 0.0368310884, 0.00418334501, 0.000667717191, 0.000104658371, 1.80266397e-05}},
};

int main(void)
{
	struct pm_spec s = {.family = "test"};
	struct pm_rope_spec equal = {.type = PM_ROPE_LLAMA3, .theta = 10000, .dims = 8, .factor = 8, .low = 1, .high = 1, .original = 64, .attention_factor = 1};
	struct pm_err e;
	double inv[8], factor;
	size_t k;
	int i;

	for (k = 0; k < sizeof table / sizeof *table; k++) {
		const struct expect *t = &table[k];
		double worst = 0;

		if (!check(pm_rope_frequencies(&t->rope, &s, t->length, inv, &factor, &e) == 0, "%s", t->what))
			continue;
		for (i = 0; i < t->rope.dims / 2; i++)
			worst = fmax(worst, fabs(inv[i] - t->inv[i]) / t->inv[i]);
		check(worst < 1e-6 && fabs(factor - t->factor) < 1e-12, "%s: differs by %.1e at most", t->what, worst);
	}
	check(pm_rope_frequencies(&equal, &s, 1, inv, &factor, &e) == 0 && inv[0] == 1 && fabs(inv[2] * 8 / 0.01 - 1) < 1e-12,
		"llama3 without a middle band divides by nothing");
	return done();
}
