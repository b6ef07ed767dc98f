/* published_private.h: private to the room: what the readers of published checkpoints share. */
#ifndef PM_QUANT_PUBLISHED_PRIVATE_H
#define PM_QUANT_PUBLISHED_PRIVATE_H

#include "io/store.h"
#include "quant/packed.h"

enum method { NONE, MLX, BNB, GPTQ, AWQ, COMPRESSED, FP8, MODELOPT, MXFP4 };

/* What is put in the place of the parts: allocated, as the views' bytes are. */
struct keep {
	struct pm_view *view;
	size_t n, cap;
	struct pm_arena names;
};

void published_keep_free(void *keep);

struct reading {
	const struct pm_store *store;
	const json_t *config;           /* its "quantization" or "quantization_config" */
	enum method method;
	enum pm_dtype type;
	bool blocks;
	struct keep *keep;
	const struct pm_view **gone;
	size_t ngone, cap;
};

/* A weight's parts on their way to floats. */
struct weight {
	const char *name;               /* without ".weight" */
	const char *as;                 /* what it is called; NULL: NAME.weight */
	const struct pm_view *w, *scales, *extra;       /* extra: biases, zeros, a second scale … */
	size_t rows, cols;
	void (*row)(float *out, const struct weight *k, size_t row);
	void (*blocks)(uint8_t *out, const struct weight *k, size_t row);       /* of type held; NULL: none */
	enum pm_dtype held;
	struct pm_affine affine;
	struct pm_float_groups groups;
	struct pm_int_matrix ints;
	size_t block[2];                /* FP8: rows and columns of a block that has one scale */
	float *absmax;                  /* bitsandbytes */
	float map[16];
	int size;                       /* values of its blocks */
};

/* NAME.part; NULL: absent. A part that is found is marked: it is there no longer. */
int published_part(const struct pm_view **out, struct reading *r, const char *name, const char *what, struct pm_err *e);
/* The same of a part that has to be there, with a type. */
int published_need(const struct pm_view **out, struct reading *r, const char *name, const char *what, enum pm_dtype type, struct pm_err *e);
/* An error: a part does not fit the weight's shape. */
int published_misfit(const char *name, const char *what, struct pm_err *e);
/* How many values a part has, and the first of them. */
size_t published_count(const struct pm_view *v);
float published_scalar(const struct pm_view *v);
int64_t published_integer(const json_t *o, const char *key, int64_t absent);
/* Puts NAME.weight (rows, cols) in the place of the parts. */
int published_finish2(struct reading *r, const struct weight *k, struct pm_err *e);

/* bitsandbytes: published_bnb.c. */
int published_bnb4(struct reading *r, const char *name, const struct pm_view *state, struct pm_err *e);
int published_int8(struct reading *r, const char *name, struct pm_err *e);

#endif
