#include "quant/mix.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <ctype.h>
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

enum { F32 = 0, F16 = 1, Q4_0 = 2, Q4_1 = 3, Q8_0 = 7, Q5_0 = 8, Q5_1 = 9, Q2_K = 10, Q3_K_S, Q3_K_M, Q3_K_L, Q4_K_S, Q4_K_M, Q5_K_S, Q5_K_M, Q6_K,
	IQ2_XXS, IQ2_XS, Q2_K_S, IQ3_XS, IQ3_XXS, IQ1_S, IQ4_NL, IQ3_S, IQ3_M, IQ2_S, IQ2_M, IQ4_XS, IQ1_M, BF16, TQ1_0 = 36, TQ2_0, MXFP4_MOE, Q1_0 = 40, Q2_0 };

static const struct pm_file_type file_types[] = {
	{"F32", F32, PM_F32}, {"F16", F16, PM_F16}, {"BF16", BF16, PM_BF16},
	{"Q4_0", Q4_0, PM_Q4_0}, {"Q4_1", Q4_1, PM_Q4_1}, {"Q5_0", Q5_0, PM_Q5_0}, {"Q5_1", Q5_1, PM_Q5_1}, {"Q8_0", Q8_0, PM_Q8_0},
	{"Q2_K", Q2_K, PM_Q2_K}, {"Q2_K_S", Q2_K_S, PM_Q2_K},
	{"Q3_K_S", Q3_K_S, PM_Q3_K}, {"Q3_K_M", Q3_K_M, PM_Q3_K}, {"Q3_K_L", Q3_K_L, PM_Q3_K},
	{"Q4_K_S", Q4_K_S, PM_Q4_K}, {"Q4_K_M", Q4_K_M, PM_Q4_K}, {"Q5_K_S", Q5_K_S, PM_Q5_K}, {"Q5_K_M", Q5_K_M, PM_Q5_K}, {"Q6_K", Q6_K, PM_Q6_K},
	{"IQ1_S", IQ1_S, PM_IQ1_S}, {"IQ1_M", IQ1_M, PM_IQ1_M},
	{"IQ2_XXS", IQ2_XXS, PM_IQ2_XXS}, {"IQ2_XS", IQ2_XS, PM_IQ2_XS}, {"IQ2_S", IQ2_S, PM_IQ2_XS}, {"IQ2_M", IQ2_M, PM_IQ2_S},
	{"IQ3_XXS", IQ3_XXS, PM_IQ3_XXS}, {"IQ3_XS", IQ3_XS, PM_IQ3_S}, {"IQ3_S", IQ3_S, PM_IQ3_S}, {"IQ3_M", IQ3_M, PM_IQ3_S},
	{"IQ4_NL", IQ4_NL, PM_IQ4_NL}, {"IQ4_XS", IQ4_XS, PM_IQ4_XS},
	{"TQ1_0", TQ1_0, PM_TQ1_0}, {"TQ2_0", TQ2_0, PM_TQ2_0}, {"Q1_0", Q1_0, PM_Q1_0}, {"Q2_0", Q2_0, PM_Q2_0},
	{"MXFP4_MOE", MXFP4_MOE, PM_MXFP4},
};

const struct pm_file_type *pm_file_type_at(size_t i)
{
	return i < sizeof file_types / sizeof *file_types ? &file_types[i] : NULL;
}

const struct pm_file_type *pm_file_type(const char *name)
{
	static const char *const alias[][2] = {{"Q3_K", "Q3_K_M"}, {"Q4_K", "Q4_K_M"}, {"Q5_K", "Q5_K_M"}};
	size_t i;

	for (i = 0; i < sizeof alias / sizeof *alias; i++)
		if (!strcasecmp(name, alias[i][0]))
			name = alias[i][1];
	for (i = 0; i < sizeof file_types / sizeof *file_types; i++)
		if (!strcasecmp(name, file_types[i].name))
			return &file_types[i];
	return NULL;
}

/* The layer in a name, −1 where there is none. */
static long layer_of(const char *name)
{
	char *end;
	long n;

	if (strncmp(name, "blk.", 4) || !isdigit((unsigned char)name[4]))
		return -1;
	n = strtol(name + 4, &end, 10);
	return *end == '.' ? n : -1;
}

int pm_mix_compare(const char *a, const char *b)
{
	long la = layer_of(a), lb = layer_of(b);

	return la != lb ? (la > lb) - (la < lb) : strcmp(a, b);
}

/* Names of what is never quantised: small, or an index, or not the text model's. */
static const char *const kept[] = {
	"_norm.weight", "ffn_gate_inp.weight", "position_embd", "token_types", "altup", "laurel", "per_layer_model_proj", "ssm_conv1d", "shortconv.conv.weight",
	"indexer.k_proj.weight", "indexer.q_proj.weight", "ffn_gate_tid2eid", "attn_rel_b.weight",
	"time_mix_first.weight", "time_mix_w0.weight", "time_mix_w1.weight", "time_mix_w2.weight", "time_mix_v0.weight", "time_mix_v1.weight",
	"time_mix_v2.weight", "time_mix_a0.weight", "time_mix_a1.weight", "time_mix_a2.weight", "time_mix_g1.weight", "time_mix_g2.weight",
	"time_mix_decay_w1.weight", "time_mix_decay_w2.weight", "time_mix_lerp_fused.weight",
	".patch_embd", ".patch_merger", ".rel_pos", "a.rvq.codebook", "mm.a.code_embd",
};

static bool stays(const struct pm_mix_tensor *t, const struct pm_mix_options *o)
{
	size_t i, n = strlen(t->name);

	if (t->nd < 2 || n < 6 || strcmp(t->name + n - 6, "weight") || (o->leave_output && !strcmp(t->name, "output.weight")))
		return true;
	for (i = 0; i < sizeof kept / sizeof *kept; i++)
		if (strstr(t->name, kept[i]))
			return true;
	return !strncmp(t->name, "sam.", 4);
}

enum part { OTHER, OUT, EMB, V, K, Q, O, UP, GATE, DOWN, PARTS };

static enum part part_of(const char *name)
{
	static const struct {
		const char *text;
		enum part part;
	} parts[] = {{"attn_qkv.weight", V}, {"attn_kv_b.weight", V}, {"attn_v.weight", V}, {"attn_k.weight", K}, {"attn_q.weight", Q},
		{"attn_output.weight", O}, {"ffn_up", UP}, {"ffn_gate", GATE}, {"ffn_down", DOWN}};
	size_t i;

	if (!strcmp(name, "output.weight"))
		return OUT;
	if (!strcmp(name, "token_embd.weight") || !strcmp(name, "per_layer_token_embd.weight"))
		return EMB;
	for (i = 0; i < sizeof parts / sizeof *parts; i++)
		if (strstr(name, parts[i].text))
			return parts[i].part;
	return OTHER;
}

/* What the rules see of one tensor. */
struct look {
	const struct pm_mix_model *m;
	const struct pm_mix_options *o;
	const struct pm_mix_tensor *t;
	enum pm_dtype base;
	int file;                       /* the file type's number */
	bool tied, falcon, grouped;     /* grouped: four query heads or more to a key head */
	int64_t layers, experts;
	int64_t count[PARTS];           /* tensors of that part that the rules have seen */
	int64_t values;                 /* how many tensors of part V there are */
};

static bool more(int64_t i, int64_t n)
{
	return i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2;
}

static bool very_low(int file)
{
	return file == IQ1_S || file == IQ1_M || file == IQ2_XXS || file == IQ2_XS || file == IQ2_S || file == IQ2_M;
}

static enum pm_dtype head_rule(const struct look *k)
{
	if (k->o->output != PM_DTYPE_NONE)
		return k->o->output;
	if (k->file == MXFP4_MOE || k->falcon || k->t->cols % (uint64_t)pm_dtype(k->base)->block)
		return PM_Q8_0;
	if (very_low(k->file) || k->file == IQ3_XXS)
		return PM_Q5_K;
	return k->base == PM_Q8_0 ? PM_Q8_0 : PM_Q6_K;
}

static enum pm_dtype embedding_rule(const struct look *k)
{
	switch (k->file) {
	case IQ1_S: case IQ1_M: case IQ2_XXS: case IQ2_XS: return PM_Q2_K;
	case IQ2_S: case IQ2_M: case IQ3_XXS: return PM_IQ3_S;
	case TQ1_0: case TQ2_0: case Q2_0: return PM_Q4_K;
	default: return k->base;
	}
}

static enum pm_dtype very_low_rule(const struct look *k, enum part p)
{
	bool two = k->file == IQ2_S || k->file == IQ2_M, one = k->file == IQ1_S || k->file == IQ1_M;
	enum pm_dtype small = two ? PM_IQ3_S : PM_Q2_K;

	if (p == V)
		return k->grouped || k->experts >= 4 ? PM_Q4_K : small;
	if (p == K && k->experts == 8)
		return PM_Q4_K;
	if (p == DOWN && k->count[DOWN] < k->layers / 8)
		return small;
	if (p == O)
		return k->experts == 8 ? PM_Q5_K : one ? PM_IQ2_XXS : two ? PM_IQ3_S : k->base;
	return k->base;
}

/* A model of 70 billion parameters, by its shape: its value projections are small and matter. */
static bool seventy(const struct look *k)
{
	const char *a = k->m->arch;

	if (!strcmp(a, "llama"))
		return k->layers == 80 && k->experts != 8 && k->m->heads != k->m->kv_heads;
	if (!strcmp(a, "jais2"))
		return k->layers == 68;
	return k->layers == 80 && (!strcmp(a, "qwen2") || !strcmp(a, "olmo") || !strcmp(a, "deci"));
}

static enum pm_dtype value_rule(const struct look *k)
{
	int64_t i = k->count[V];
	enum pm_dtype t = k->base;
	bool g = k->grouped;

	switch (k->file) {
	case Q2_K: t = g ? PM_Q4_K : PM_Q3_K; break;
	case Q2_K_S: case IQ3_XS: case IQ3_S: t = g ? PM_Q4_K : t; break;
	case IQ3_XXS: t = g ? PM_Q4_K : k->m->importance ? PM_IQ3_XXS : PM_IQ3_S; break;
	case IQ3_M: t = PM_Q4_K; break;
	case Q3_K_M: t = i < 2 ? PM_Q5_K : PM_Q4_K; break;
	case Q3_K_L: t = PM_Q5_K; break;
	case IQ4_NL: case IQ4_XS: t = g ? PM_Q5_K : t; break;
	case Q4_K_M: case Q5_K_M: t = more(i, k->values) ? PM_Q6_K : t; break;
	case Q4_K_S: t = i < 4 ? PM_Q5_K : t; break;
	default: break;
	}
	if ((t == PM_Q3_K || t == PM_Q4_K) && seventy(k))
		t = PM_Q5_K;
	return k->experts == 8 ? PM_Q8_0 : t;
}

static enum pm_dtype down_rule(const struct look *k, int64_t i)
{
	bool first = i < k->layers / 8, often = more(i, k->layers), imp = k->m->importance;

	switch (k->file) {
	case Q2_K: return PM_Q3_K;
	case Q2_K_S: return first ? PM_Q4_K : k->base;
	case IQ3_XXS: return imp ? k->base : first ? PM_Q4_K : PM_Q3_K;
	case Q3_K_M: return i < k->layers / 16 ? PM_Q5_K : !k->falcon || often ? PM_Q4_K : PM_Q3_K;
	case IQ3_M: return first || (k->experts == 8 && often) ? PM_Q4_K : k->base;
	case Q3_K_L: return k->falcon ? PM_Q4_K : PM_Q5_K;
	case Q4_K_M:
		if (k->falcon)
			return i < k->layers / 16 ? PM_Q6_K : often ? PM_Q5_K : PM_Q4_K;
		return often ? PM_Q6_K : k->base;
	case IQ4_NL: case IQ4_XS: return !imp && first ? PM_Q5_K : k->base;
	case Q5_K_M: return often ? PM_Q6_K : k->base;
	case Q4_K_S: return !k->falcon && first ? PM_Q5_K : k->base;
	case Q4_0: return imp && first ? PM_Q4_1 : k->base;
	case Q5_0: return imp && first ? PM_Q5_1 : k->base;
	default: return k->base;
	}
}

static enum pm_dtype output_rule(const struct look *k)
{
	if (k->falcon)
		return k->file == Q3_K_L ? PM_Q4_K : k->base;
	if (k->experts == 8) {
		switch (k->file) {
		case Q2_K: case IQ3_XS: case IQ3_XXS: case Q3_K_S: case Q3_K_M: case IQ4_NL: case Q4_K_S: case Q4_K_M: case IQ3_S: case IQ3_M: case IQ4_XS:
			return PM_Q5_K;
		default:
			return k->base;
		}
	}
	switch (k->file) {
	case Q2_K: return PM_Q3_K;
	case IQ3_XXS: return PM_IQ3_S;
	case Q3_K_M: case IQ3_M: return PM_Q4_K;
	case Q3_K_L: return PM_Q5_K;
	default: return k->base;
	}
}

static enum pm_dtype rule(struct look *k, enum part p)
{
	int64_t i = k->experts > 1 && (p == DOWN || p == GATE || p == UP) ? layer_of(k->t->name) : k->count[p];

	if (p == OUT || (p == EMB && k->tied))
		return head_rule(k);
	if (k->file == MXFP4_MOE)
		return k->t->nd > 2 ? PM_MXFP4 : PM_Q8_0;
	if (p == EMB)
		return embedding_rule(k);
	if (very_low(k->file))
		return very_low_rule(k, p);
	switch (p) {
	case V: return value_rule(k);
	case K: case Q:
		if (p == K && k->experts == 8)
			return PM_Q8_0;
		return k->file == IQ3_XS ? PM_IQ3_XXS : k->file == IQ3_XXS ? PM_IQ2_S : k->base;
	case DOWN: return down_rule(k, i);
	case O: return output_rule(k);
	case GATE: case UP: return k->file == IQ3_XS && i >= k->layers / 8 && i < 7 * k->layers / 8 ? PM_IQ3_XXS : k->base;
	default: return k->base;
	}
}

enum pm_dtype pm_mix_fallback(enum pm_dtype t, uint64_t cols, bool *forced)
{
	enum pm_dtype to;

	*forced = false;
	if (cols % (uint64_t)pm_dtype(t)->block == 0)
		return t;
	switch (t) {
	case PM_IQ1_S: case PM_IQ1_M: case PM_IQ2_XXS: case PM_IQ2_XS: case PM_IQ2_S: case PM_IQ3_XXS: case PM_IQ3_S: case PM_IQ4_XS: to = PM_IQ4_NL; break;
	case PM_Q2_0: case PM_Q2_K: case PM_Q3_K: case PM_TQ1_0: case PM_TQ2_0: to = PM_Q4_0; break;
	case PM_Q4_K: to = PM_Q5_0; break;
	case PM_Q5_K: to = PM_Q5_1; break;
	case PM_Q6_K: to = PM_Q8_0; break;
	default: *forced = true; return PM_F16;
	}
	return cols % 32 ? PM_F16 : to;
}

bool pm_mix_needs_importance(const char *name, enum pm_dtype t, const struct pm_file_type *to)
{
	enum part p = part_of(name);

	if (p == EMB || p == OUT)
		return false;
	return t == PM_IQ2_XXS || t == PM_IQ2_XS || t == PM_IQ2_S || t == PM_IQ3_XXS || t == PM_IQ1_M || t == PM_IQ1_S ||
		(t == PM_Q2_K && to->number == Q2_K_S);
}

/* The patterns, compiled. */
struct patterns {
	pcre2_code **code;
	pcre2_match_data *match;
	bool *used;
	size_t n;
};

static void patterns_free(struct patterns *p)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		pcre2_code_free(p->code[i]);
	pcre2_match_data_free(p->match);
	free(p->code);
	free(p->used);
}

static int patterns_new(struct patterns *p, const struct pm_mix_options *o, struct pm_err *e)
{
	PCRE2_UCHAR text[256];
	PCRE2_SIZE at;
	int error;

	p->code = pm_alloc(o->n_over + 1, sizeof *p->code, e);
	p->used = pm_alloc(o->n_over + 1, sizeof *p->used, e);
	p->match = pcre2_match_data_create(1, NULL);
	if (!p->code || !p->used || !p->match)
		return p->code && p->used ? pm_fail(e, PM_SOFTWARE, "out of memory") : -1;
	for (; p->n < o->n_over; p->n++) {
		const char *re = o->over[p->n].pattern;

		p->code[p->n] = pcre2_compile((PCRE2_SPTR)re, PCRE2_ZERO_TERMINATED, PCRE2_CASELESS, &error, &at, NULL);
		if (!p->code[p->n]) {
			pcre2_get_error_message(error, text, sizeof text);
			return pm_fail(e, PM_USAGE, "pattern '%s': %s at %zu", re, (const char *)text, (size_t)at);
		}
	}
	return 0;
}

/* The type that the first pattern found in the name asks for; PM_DTYPE_NONE: none is. */
static int overridden(enum pm_dtype *t, const struct patterns *p, const struct pm_mix_options *o, const char *name, struct pm_err *e)
{
	size_t i;
	int r;

	*t = PM_DTYPE_NONE;
	for (i = 0; i < p->n; i++) {
		r = pcre2_match(p->code[i], (PCRE2_SPTR)name, strlen(name), 0, 0, p->match, NULL);
		if (r >= 0) {
			*t = o->over[i].type;
			p->used[i] = true;
			return 0;
		}
		if (r != PCRE2_ERROR_NOMATCH)
			return pm_fail(e, PM_USAGE, "pattern '%s': too much work on '%s'", o->over[i].pattern, name);
	}
	return 0;
}

static int choose(struct pm_mix_tensor *t, struct look *k, const struct patterns *p, struct pm_err *e)
{
	const struct pm_mix_options *o = k->o;
	enum part part = part_of(t->name);
	enum pm_dtype said = part == EMB ? o->embedding : part == OUT ? o->output : PM_DTYPE_NONE;

	k->t = t;
	t->type = t->wanted = PM_DTYPE_NONE;
	t->forced = false;
	if (stays(t, o))
		return 0;
	if (said != PM_DTYPE_NONE || pm_dtype_plain(k->base)) {
		t->type = t->wanted = said != PM_DTYPE_NONE ? said : k->base;
		return 0;
	}
	if (overridden(&t->wanted, p, o, t->name, e) < 0)
		return -1;
	if (t->wanted == PM_DTYPE_NONE && o->pure) {
		t->wanted = k->base;
	} else if (t->wanted == PM_DTYPE_NONE) {
		t->wanted = rule(k, part);
		k->count[part]++;
	}
	t->type = pm_mix_fallback(t->wanted, t->cols, &t->forced);
	return 0;
}

int pm_mix_choose(struct pm_mix_tensor *t, size_t n, const struct pm_mix_model *m, const struct pm_mix_options *o, struct pm_err *e)
{
	struct look k = {.m = m, .o = o, .base = o->to->base, .file = o->to->number, .tied = true, .falcon = !strcmp(m->arch, "falcon"),
		.grouped = m->kv_heads > 0 && m->heads / m->kv_heads >= 4, .layers = m->layers, .experts = m->experts};
	struct patterns p = {0};
	int r = patterns_new(&p, o, e);
	size_t i;

	for (i = 0; i < n; i++) {
		enum part part = part_of(t[i].name);

		k.tied &= part != OUT;
		k.values += part == V;
	}
	for (i = 0; i < n && r == 0; i++)
		r = choose(&t[i], &k, &p, e);
	for (i = 0; i < p.n && r == 0; i++)
		if (!p.used[i])
			r = pm_fail(e, PM_USAGE, "pattern '%s' has no effect: it is found in no name of a tensor that is quantised, or another one before it is",
				o->over[i].pattern);
	patterns_free(&p);
	return r;
}
