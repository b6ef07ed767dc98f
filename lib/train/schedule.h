/* schedule.h: the learning rate of every step. */
#ifndef PM_TRAIN_SCHEDULE_H
#define PM_TRAIN_SCHEDULE_H

#include <stdint.h>

enum pm_schedule_kind { PM_SCHEDULE_CONSTANT, PM_SCHEDULE_LINEAR, PM_SCHEDULE_COSINE };

struct pm_schedule {
	enum pm_schedule_kind kind;
	double lr;
	int64_t warmup, total;          /* steps */
};

/* The rate of step s, counted from 0, as transformers' get_{constant,linear,cosine}_schedule_with_warmup: lr·s/warmup while
 * s < warmup (so the first step of a warm-up has rate 0); then, x = (s − warmup)/(total − warmup): lr, lr·(1 − x) or
 * lr·½(1 + cos πx). */
double pm_schedule_rate(const struct pm_schedule *s, int64_t step);

#endif
