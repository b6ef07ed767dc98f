/* schedule.c: learning rates against the formulas of transformers' schedules, worked out apart. */
#include <math.h>

#include "tap.h"
#include "train/schedule.h"

static int is(double a, double b)
{
	return fabs(a - b) <= 1e-15 + 1e-14 * fabs(b);
}

int main(void)
{
	struct pm_schedule s = {.kind = PM_SCHEDULE_LINEAR, .lr = 0.4, .warmup = 4, .total = 12};
	static const double warm[4] = {0, 0.1, 0.2, 0.3};
	int ok = 1;
	int64_t i;

	for (i = 0; i < 4; i++) {
		s.kind = (enum pm_schedule_kind)(i % 3);
		ok &= is(pm_schedule_rate(&s, i), warm[i]);
	}
	check(ok, "the rate rises from 0 in even steps, whatever comes after");
	s.kind = PM_SCHEDULE_CONSTANT;
	check(is(pm_schedule_rate(&s, 4), 0.4) && is(pm_schedule_rate(&s, 11), 0.4) && is(pm_schedule_rate(&s, 100), 0.4), "constant");
	s.kind = PM_SCHEDULE_LINEAR;
	check(is(pm_schedule_rate(&s, 4), 0.4) && is(pm_schedule_rate(&s, 8), 0.2) && is(pm_schedule_rate(&s, 11), 0.05) &&
	    is(pm_schedule_rate(&s, 12), 0), "linear: to 0 at the end");
	s.kind = PM_SCHEDULE_COSINE;
	check(is(pm_schedule_rate(&s, 4), 0.4) && is(pm_schedule_rate(&s, 8), 0.2) && is(pm_schedule_rate(&s, 6), 0.4 * (0.5 + sqrt(0.125))) &&
	    fabs(pm_schedule_rate(&s, 12)) < 1e-15, "cosine: half a wave");
	for (ok = 1, i = 5; i <= 12; i++)
		ok &= pm_schedule_rate(&s, i) < pm_schedule_rate(&s, i - 1);
	check(ok, "cosine falls in every step");
	s.kind = PM_SCHEDULE_LINEAR;
	check(pm_schedule_rate(&s, 13) <= 0 && pm_schedule_rate(&s, 13) >= 0, "nothing beyond the end");
	s.warmup = 0;
	check(is(pm_schedule_rate(&s, 0), 0.4), "without a warm-up the first step has the full rate");
	s.warmup = 20;
	check(is(pm_schedule_rate(&s, 10), 0.2) && is(pm_schedule_rate(&s, 11), 0.22), "a warm-up longer than the run never ends");
	s.warmup = s.total = 3;
	check(isfinite(pm_schedule_rate(&s, 3)), "a run that is all warm-up has finite rates");
	return done();
}
