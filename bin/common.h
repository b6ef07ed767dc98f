/* common.h: what the tools that compute share: opening the device that the options ask for, and saying how an output was made. */
#ifndef PM_BIN_COMMON_H
#define PM_BIN_COMMON_H

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "bin/names.h"
#include "bin/vocab.h"
#include "cli/opt.h"
#include "cli/tool.h"
#include "dev/dev.h"
#include "model/model.h"
#include "text/tokenizer.h"

static inline void say_compiling(void *arg, const char *operation)
{
	const bool *quiet = arg;
	static bool said;

	if (said || (quiet && *quiet))
		return;
	said = true;
	fprintf(stderr, "compiling kernels for this device, once (%s …)\n", operation);
}

static inline int open_device(struct pm_dev **out, const struct pm_opt_device *o, const struct pm_env *env, bool *quiet, struct pm_err *e)
{
	struct pm_dev_opts d = {.select = o->device, .kernels = env->kernels, .cache = env->cache, .share = env->share, .threads = (int)o->threads,
		.reference = o->reference, .profile = o->profile, .mask = env->mask, .scratch = env->pocl, .target = env->target, .helper = true, .compiling = say_compiling, .arg = quiet};

	return pm_dev_open(out, &d, e);
}

static inline enum pm_precision precision_of(const struct pm_opt_device *o)
{
	return o->reference || !strcmp(o->precision, "f32") ? PM_PREC_F32 : !strcmp(o->precision, "bf16") ? PM_PREC_BF16 : PM_PREC_AUTO;
}

/* How weights are held, where that is not as they are stored. */
static inline void say_weights(const struct pm_tool *t, const struct pm_model *m, bool quiet)
{
	if (!quiet && m->notice)
		pm_say(t, "%s", m->notice);
}

/* -a DIR or -a DIR=W (or a name in the cache), as often as given; none gives NULL. A directory whose name ends in "=number" can be given as DIR=number=1. */
static inline int open_adapters(struct pm_adapters **out, const struct pm_model *m, const struct pm_opt_list *l, struct pm_env *env,
	struct pm_err *e)
{
	double *w = pm_alloc(l->n, sizeof *w, e);
	const char **dir = pm_alloc(l->n, sizeof *dir, e);
	size_t i;
	int r = w && dir ? 0 : -1;

	*out = NULL;
	for (i = 0; r == 0 && i < l->n; i++) {
		const char *eq = strrchr(l->v[i], '=');
		char *end = NULL;

		w[i] = eq ? strtod(eq + 1, &end) : 1;
		if (!eq || end == eq + 1 || *end) {
			w[i] = 1;
			eq = NULL;
		}
		dir[i] = pm_arena_printf(&env->names, e, "%.*s", eq ? (int)(eq - l->v[i]) : (int)strlen(l->v[i]), l->v[i]);
		r = dir[i] ? local_name(&dir[i], env, e) : -1;
	}
	if (r == 0 && l->n)
		r = pm_adapters_open(out, m, l->n, dir, w, e);
	free(dir);
	free(w);
	return r;
}

/* A file that begins as GGUF files do. */
static inline bool is_gguf(const char *path)
{
	FILE *f = pm_is_dir(path) ? NULL : fopen(path, "rb");
	char magic[4];
	bool is = f && fread(magic, 1, sizeof magic, f) == sizeof magic && !memcmp(magic, "GGUF", sizeof magic);

	if (f)
		fclose(f);
	return is;
}

/* The hash of the tokenizer that a GGUF file's keys make; *known is false where it has none. */
static inline int gguf_tokenizer_hash(const char *path, char hex[PM_SHA256_HEX], bool *known, struct pm_err *e)
{
	struct pm_tokenizer *t = NULL;
	struct pm_gguf *g;
	int r = pm_gguf_open(&g, path, e);

	*known = r == 0 && pm_gguf_key(g, "tokenizer.ggml.model");
	if (r == 0)
		pm_gguf_close(g);
	if (*known && (r = open_vocabulary(&t, path, e)) == 0)
		snprintf(hex, PM_SHA256_HEX, "%s", pm_tokenizer_hash(t));
	pm_tokenizer_close(t);
	return r;
}

/* The hash of the tokenizer beside a model (or a config.json), or in it, which streams of tokens name; *known is false where there is none. */
static inline int tokenizer_hash(const char *model, char hex[PM_SHA256_HEX], bool *known, struct pm_err *e)
{
	const char *slash = pm_is_dir(model) ? NULL : strrchr(model, '/');
	char *dir, *path;
	int r;

	if (is_gguf(model))
		return gguf_tokenizer_hash(model, hex, known, e);
	dir = pm_is_dir(model) ? pm_strdup(model, e) : slash ? pm_strndup(model, (size_t)(slash - model), e) : pm_strdup(".", e);
	path = dir ? pm_path(dir, "tokenizer.json", e) : NULL;
	r = path ? 0 : -1;

	*known = path && pm_exists(path);
	if (*known)
		r = pm_sha256_file(hex, path, e);
	free(dir);
	free(path);
	return r;
}

/* What begins every chunk of a text that was encoded with what the tokenizer adds: its first id, if that is bos and stands for no text; else −1. */
static inline int32_t chunk_bos(const struct pm_tokenizer *t, const struct pm_encoding *enc)
{
	return enc->n && enc->ids[0] == pm_tokenizer_bos(t) && enc->to[0] == 0 ? enc->ids[0] : -1;
}

/* Rotary positions go beyond what a model was made for; whether well is for the user to judge. */
static inline void say_positions(const struct pm_tool *t, const struct pm_spec *s, int64_t longest, bool quiet)
{
	if (!quiet && !s->learned_positions && s->max_positions && longest > s->max_positions)
		pm_say(t, "%lld tokens in a document: the model was made for %lld positions", (long long)longest, (long long)s->max_positions);
}

/* {"tool", "version", "command"}; the caller adds the hashes of its inputs. */
static inline json_t *provenance_of(const struct pm_tool *t)
{
	return json_pack("{s:s,s:s,s:s}", "tool", t->name, "version", pm_tool_version(), "command", pm_tool_command());
}

#endif
