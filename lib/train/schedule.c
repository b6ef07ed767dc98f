#include "train/schedule.h"

#include <math.h>

double pm_schedule_rate(const struct pm_schedule *s, int64_t step)
{
	double x;

	if (step < s->warmup)
		return s->lr * (double)step / (double)s->warmup;
	if (s->kind == PM_SCHEDULE_CONSTANT)
		return s->lr;
	x = s->total > s->warmup ? (double)(step - s->warmup) / (double)(s->total - s->warmup) : 1;
	x = x > 1 ? 1 : x;
	return s->kind == PM_SCHEDULE_LINEAR ? s->lr * (1 - x) : s->lr * 0.5 * (1 + cos(3.14159265358979323846 * x));
}
