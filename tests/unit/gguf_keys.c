/* gguf_keys: configurations to keys and back: every golden model whose architecture GGUF has describes the same model after both ways, or
 * is refused by what no key can say. */
#include <dirent.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "spec/spec.h"
#include "tap.h"

static char tmp[] = "/tmp/pm-unit-XXXXXX";

/* Equal but for the last digits of numbers, which are single ones in a file. */
static bool same(const json_t *a, const json_t *b)
{
	const char *key;
	json_t *v;
	size_t i;

	if (!a || !b)           /* 0 is what is not said */
		return a == b || json_number_value(a ? a : b) == 0;
	if (json_is_number(a) && json_is_number(b))
		return fabs(json_number_value(a) - json_number_value(b)) <= 1e-6 * fabs(json_number_value(b));
	if (json_is_array(a) && json_is_array(b)) {
		json_array_foreach((json_t *)(size_t)a, i, v)
			if (!same(v, json_array_get(b, i)))
				return false;
		return json_array_size(a) == json_array_size(b);
	}
	if (!json_is_object(a) || !json_is_object(b))
		return json_equal(a, b);
	json_object_foreach((json_t *)(size_t)a, key, v)
		if (!same(v, json_object_get(b, key)))
			return false;
	json_object_foreach((json_t *)(size_t)b, key, v)
		if (!json_object_get(a, key) && !same(NULL, v))
			return false;
	return true;
}

/* What a file with these keys and tensors would give its program. */
static json_t *as_read(const struct pm_spec *s, const json_t *written)
{
	json_t *keys = json_object(), *tensors = json_object(), *values = json_object(), *v;
	int64_t dim[4];
	size_t i;
	int d;

	json_array_foreach(json_object_get(written, "keys"), i, v) {
		json_t *x = json_array_get(v, 2);

		if (!strcmp(json_string_value(json_array_get(v, 1)), "f32"))
			json_object_set_new(keys, json_string_value(json_array_get(v, 0)), json_real((double)(float)json_number_value(x)));
		else
			json_object_set(keys, json_string_value(json_array_get(v, 0)), x);
	}
	json_array_foreach(json_object_get(written, "tensors"), i, v)
		json_object_set(values, json_string_value(json_object_get(v, "name")), json_object_get(v, "values"));
	for (i = 0; i < s->ntensors; i++) {
		json_t *shape = json_array();

		pm_gguf_shape(dim, &s->tensor[i]);
		for (d = 0; d < s->tensor[i].nd; d++)
			json_array_append_new(shape, json_integer(dim[d]));
		json_object_set_new(tensors, s->tensor[i].gguf, shape);
	}
	return json_pack("{s:o,s:o,s:o}", "keys", keys, "tensors", tensors, "values", values);
}

static struct pm_spec *described(const json_t *config)
{
	struct pm_spec *s = NULL;
	struct pm_err e = {0};
	char path[64];

	snprintf(path, sizeof path, "%s/config.json", tmp);
	if (pm_json_save(path, config, &e) < 0 || pm_spec_load(&s, path, "share", NULL, NULL, &e) < 0)
		printf("# %s\n", e.text);
	return s;
}

/* What scores are scaled by is no key of Gemma's: it has to be the size of a head, which that of the golden models is not. */
static void usual_scale(struct pm_spec *s)
{
	const json_t *dim = json_object_get(s->config, "head_dim");

	if (!json_object_get(s->config, "query_pre_attn_scalar"))
		return;
	if (dim)
		json_object_set(s->config, "query_pre_attn_scalar", (json_t *)(size_t)dim);
	else
		json_object_del(s->config, "query_pre_attn_scalar");
}

/* 1: it went both ways; 0: refused. */
static int one(const char *config)
{
	static const char *const what[] = {"layers", "hidden", "vocab", "max_positions", "norm", "norm_eps", "embed_scale", "logit_softcap", "tied", "layer", "ropes",
		"arch"};
	struct pm_err e = {0};
	struct pm_spec *a = NULL, *b = NULL;
	json_t *in = NULL, *written = NULL, *read = NULL, *back = NULL;
	size_t i;
	int went = 0;

	if (pm_spec_load(&a, config, "share", NULL, NULL, &e) < 0 || !a->arch)
		return 0;
	usual_scale(a);
	b = described(a->config);
	pm_spec_free(a);
	a = b;
	b = NULL;
	if (!a)
		return check(0, "%s: another scale", config);
	in = json_pack("{s:O,s:n,s:n,s:s,s:i,s:I,s:i}", "config", a->config, "generation", "metadata", "name", "x", "parameters", 1000, "tokens",
		(json_int_t)a->vocab, "file_type", 0);
	if (pm_gguf_program(&written, a->arch, "share", in, &e) < 0) {
		check(strstr(e.text, "can say") || strstr(e.text, "is computed here") || strstr(e.text, "GGUF file") || strstr(e.text, "was wanted"), "%s: %s", config, e.text);
	} else {
		went = 1;
		read = as_read(a, written);
		if (pm_gguf_program(&back, a->arch, "share", read, &e) == 0)
			b = described(json_object_get(back, "config"));
		check(b != NULL, "%s: keys and back%s%s", config, e.text[0] ? ": " : "", e.text);
		for (i = 0; b && i < sizeof what / sizeof *what; i++)
			if (!same(json_object_get(b->json, what[i]), json_object_get(a->json, what[i])))
				break;
		check(b && i == sizeof what / sizeof *what, "%s: the same model%s%s", config, b && i < sizeof what / sizeof *what ? " but for " : "",
			b && i < sizeof what / sizeof *what ? what[i] : "");
	}
	pm_spec_free(a);
	pm_spec_free(b);
	json_decref(in);
	json_decref(written);
	json_decref(read);
	json_decref(back);
	return went;
}

int main(void)
{
	static const char *const families[] = {"llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "gpt2", "quant/models"};
	const char *shared = golden_dir();
	struct pm_err e = {0};
	char path[600];
	size_t i;
	int k, n, went = 0;

	if (!mkdtemp(tmp))
		return 70;
	for (i = 0; i < sizeof families / sizeof *families; i++) {
		struct dirent **list;

		snprintf(path, sizeof path, "%.300s/fixtures/%s", shared ? shared : "tests/golden", families[i]);
		n = scandir(path, &list, NULL, alphasort);
		for (k = 0; k < n; k++) {
			snprintf(path, sizeof path, "%.300s/fixtures/%s/%.200s%s/config.json", shared ? shared : "tests/golden", families[i], list[k]->d_name,
				strchr(families[i], '/') ? "/hf" : "");
			if (list[k]->d_name[0] != '.' && pm_exists(path))
				went += one(path);
			free(list[k]);
		}
		if (n >= 0)
			free(list);
	}
	check(went >= (shared ? 20 : 3), "%d models went both ways", went);
	pm_remove_tree(tmp, &e);
	return done();
}
