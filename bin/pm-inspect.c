/* pm-inspect: says what a model, a file of tensors, an adapter or a device is (pm-inspect.1). Everything is gathered as one JSON
 * object, which is printed as it is or as lines of text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "bin/inspect.h"
#include "bin/names.h"
#include "cli/tool.h"
#include "dev/dev.h"
#include "quant/published.h"
#include "spec/peft.h"
#include "spec/spec.h"

static struct inspect_args a;

static struct pm_opt opts[] = {
	{.name = "tensors", .kind = PM_OPT_FLAG, .to = &a.tensors, .help = "list the tensors: name, type, shape"},
	PM_OPT_JSON(&a.json, "print one JSON object a line"),
	PM_OPT_LENGTH(&a.length, "1000", "tokens of context whose keys and values are counted"),
	{.name = "lora", .kind = PM_OPT_INT, .arg = "RANK", .to = &a.rank, .fallback = "16", .min = 1, .max = 65536,
	 .help = "rank of the LoRA adapter whose training is counted"},
	{.name = "family", .kind = PM_OPT_STR, .arg = "FILE.jq", .to = &a.family, .help = "the model's family program, instead of the one for its model_type"},
	{.name = "devices", .kind = PM_OPT_FLAG, .to = &a.devices, .help = "list the OpenCL devices"},
	{.name = "measure", .kind = PM_OPT_FLAG, .to = &a.measure, .help = "with --devices: measure their rates, and keep them for --profile"},
};

static json_t *number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static double real(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

static const char *text(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

/* ---- gathering ---- */

/* {"f32": {"tensors": 21, "bytes": …}, …} over the tensors of a store; of those that the spec knows, where there is one. */
static json_t *types(const struct pm_store *store, const struct pm_spec *s, uint64_t *bytes)
{
	struct { uint64_t tensors, bytes; } sum[PM_DTYPES] = {{0, 0}};
	json_t *o = json_object();
	struct pm_owner *owner = NULL;
	struct pm_err ignored;
	size_t i;

	*bytes = 0;
	if (s && pm_spec_owners(&owner, s, store, &ignored) < 0)
		return o;
	for (i = 0; i < pm_store_count(store); i++) {
		const struct pm_view *v = pm_store_at(store, i);

		if (s && !owner[i].tensor)
			continue;
		sum[v->type].tensors++;
		sum[v->type].bytes += v->bytes;
		*bytes += v->bytes;
	}
	for (i = 0; i < PM_DTYPES; i++)
		if (sum[i].tensors)
			json_object_set_new(o, pm_dtype((enum pm_dtype)i)->name, json_pack("{s:o, s:o}", "tensors", number(sum[i].tensors), "bytes", number(sum[i].bytes)));
	free(owner);
	return o;
}

static json_t *tensor_list(const struct pm_store *store)
{
	json_t *list = json_array(), *shape;
	size_t i;
	int d;

	for (i = 0; i < pm_store_count(store); i++) {
		const struct pm_view *v = pm_store_at(store, i);

		shape = json_array();
		for (d = 0; d < v->nd; d++)
			json_array_append_new(shape, number(v->dim[d]));
		json_array_append_new(list, json_pack("{s:s, s:s, s:o}", "name", v->name, "dtype", pm_dtype(v->type)->name, "shape", shape));
	}
	return list;
}

static uint64_t elements(const struct pm_view *v)
{
	const struct pm_dtype_info *t = pm_dtype(v->type);

	return v->bytes / (uint64_t)t->bytes * (uint64_t)t->block;
}

static void add_store(json_t *o, const struct pm_store *store, const struct pm_spec *s)
{
	const char *const *names;
	uint64_t bytes, count = 0;
	json_t *files = json_array();
	size_t i, n = pm_store_files(store, &names);

	for (i = 0; i < n; i++)
		json_array_append_new(files, json_string(names[i]));
	for (i = 0; !s && i < pm_store_count(store); i++)
		count += elements(pm_store_at(store, i));
	if (!s)
		json_object_set_new(o, "parameters", number(count));
	json_object_set_new(o, "types", types(store, s, &bytes));
	json_object_set_new(o, "bytes", number(bytes));
	json_object_set_new(o, "files", files);
	if (a.tensors)
		json_object_set_new(o, "tensors", tensor_list(store));
}

/* A number of the layers: itself where all have the same, else the list. */
static json_t *of_layers(const struct pm_spec *s, int64_t (*get)(const struct pm_layer_spec *l))
{
	json_t *list = json_array(), *first;
	bool same = true;
	int64_t i;

	for (i = 0; i < s->layers; i++) {
		json_array_append_new(list, json_integer(get(&s->layer[i])));
		same = same && get(&s->layer[i]) == get(&s->layer[0]);
	}
	if (!same)
		return list;
	first = json_incref(json_array_get(list, 0));
	json_decref(list);
	return first;
}

static int64_t heads(const struct pm_layer_spec *l) { return l->heads; }
static int64_t kv_heads(const struct pm_layer_spec *l) { return l->kv_heads; }
static int64_t head_dim(const struct pm_layer_spec *l) { return l->head_dim; }
static int64_t inner(const struct pm_layer_spec *l) { return l->inner; }
static int64_t window(const struct pm_layer_spec *l) { return l->window; }
static int64_t experts(const struct pm_layer_spec *l) { return l->experts; }
static int64_t chosen(const struct pm_layer_spec *l) { return l->chosen; }

static void add_spec(json_t *o, const struct pm_spec *s)
{
	json_t *ropes = json_array();
	int i;

	for (i = 0; i < s->nropes; i++)
		json_array_append(ropes, json_array_get(json_object_get(s->json, "ropes"), (size_t)i));
	json_object_set_new(o, "family", json_string(s->family));
	json_object_set_new(o, "model_type", json_string(s->model_type));
	json_object_set_new(o, "layers", json_integer(s->layers));
	json_object_set_new(o, "hidden", json_integer(s->hidden));
	json_object_set_new(o, "inner", of_layers(s, inner));
	json_object_set_new(o, "experts", of_layers(s, experts));
	json_object_set_new(o, "chosen", of_layers(s, chosen));
	json_object_set_new(o, "heads", of_layers(s, heads));
	json_object_set_new(o, "kv_heads", of_layers(s, kv_heads));
	json_object_set_new(o, "head_dim", of_layers(s, head_dim));
	json_object_set_new(o, "window", of_layers(s, window));
	json_object_set_new(o, "vocab", json_integer(s->vocab));
	json_object_set_new(o, "tied", json_boolean(s->tied));
	json_object_set_new(o, "max_positions", json_integer(s->max_positions));
	json_object_set_new(o, "learned_positions", json_boolean(s->learned_positions));
	json_object_set_new(o, "ropes", ropes);
	json_object_set_new(o, "parameters", number(pm_spec_parameters(s)));
	json_object_set_new(o, "active", number(pm_spec_active(s)));
}

/* What training and generation hold in memory, activations and scratch apart (pm-train --plan counts those). Everything that
 * trains is float32: the value, its gradient, two moments. Caches are float32 for a model stored so, else 16 bits wide. */
static int add_memory(json_t *o, const struct pm_spec *s, bool wide, uint64_t weights, struct pm_err *e)
{
	struct pm_lora_config c = {.r = a.rank, .alpha = 1};
	struct pm_peft *p;
	uint64_t adapter = 0, kv = pm_spec_cached(s) * (wide ? 4 : 2);
	size_t i;

	if (pm_peft_match(&p, &c, s, e) < 0)
		return -1;
	for (i = 0; i < p->nmodules; i++)
		adapter += (uint64_t)(pm_lora_count(&p->module[i], 1) + (p->module[i].shares == i ? pm_lora_count(&p->module[i], 0) : 0));
	pm_peft_free(p);
	json_object_set_new(o, "memory", json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "weights", number(weights), "length", number((uint64_t)a.length),
		"kv", number(kv * (uint64_t)a.length), "run", number(weights + kv * (uint64_t)a.length), "lora_rank", number((uint64_t)a.rank), "lora_parameters",
		number(adapter), "train_lora", number(weights + 16 * adapter), "train_full", number(16 * pm_spec_parameters(s))));
	return 0;
}

static int gather_model(json_t *o, const char *path, const struct pm_env *env, bool tensors, struct pm_err *e)
{
	struct pm_store *store = NULL;
	struct pm_spec *s = NULL;
	const json_t *f32;
	uint64_t bytes;
	int r = tensors ? pm_published_open(&store, path, PM_F16, true, e) : 0;

	if (r == 0)
		r = pm_spec_load(&s, path, env->share, a.family, store, e);
	if (r == 0 && store && pm_spec_check(s, store, e) < 0)
		r = pm_ctx(e, "%s", path);
	if (r == 0) {
		add_spec(o, s);
		if (store)
			add_store(o, store, s);
		f32 = json_object_get(json_object_get(o, "types"), "f32");
		bytes = store ? (uint64_t)json_integer_value(json_object_get(o, "bytes")) : 4 * pm_spec_parameters(s);
		r = add_memory(o, s, !store || 2 * real(f32, "bytes") > (double)bytes, bytes, e);
	}
	pm_spec_free(s);
	pm_store_close(store);
	return r;
}

/* What a GGUF file says of itself, without its long lists (pm-gguf dump shows all). */
static int add_keys(json_t *o, const struct pm_gguf *g, struct pm_err *e)
{
	json_t *keys = pm_gguf_json(g, 64, e);

	return keys ? json_object_set_new(o, "metadata", keys) : -1;
}

/* A GGUF file: as a model, where it holds one whose architecture is known; else as the tensors and keys that it has. */
static int gather_gguf(json_t *o, const char *path, const struct pm_store *store, const struct pm_env *env, struct pm_err *e)
{
	struct pm_spec *s = NULL;
	int r = 0;

	if (pm_gguf_known(pm_store_gguf(store), env->share)) {
		r = pm_spec_load(&s, path, env->share, a.family, store, e);
		if (r == 0 && pm_spec_check(s, store, e) < 0)
			r = pm_ctx(e, "%s", path);
	} else if (a.family) {
		r = pm_fail(e, PM_USAGE, "--family has no effect on a file of tensors");
	}
	if (r == 0 && s) {
		json_object_set_new(o, "kind", json_string("model"));
		add_spec(o, s);
	}
	if (r == 0) {
		add_store(o, store, s);
		r = add_keys(o, pm_store_gguf(store), e);
	}
	if (r == 0 && s)
		r = add_memory(o, s, false, (uint64_t)json_integer_value(json_object_get(o, "bytes")), e);
	pm_spec_free(s);
	return r;
}

static int gather_file(json_t *o, const char *path, const struct pm_env *env, struct pm_err *e)
{
	struct pm_store *store;
	struct pm_safetensors *f;
	bool gguf;
	int r = 0;

	if (pm_store_open(&store, path, e) < 0)
		return -1;
	gguf = pm_store_gguf(store) != NULL;
	if (gguf)
		r = gather_gguf(o, path, store, env, e);
	else if (a.family)
		r = pm_fail(e, PM_USAGE, "--family has no effect on a file of tensors");
	else
		add_store(o, store, NULL);
	pm_store_close(store);
	if (r < 0 || gguf)
		return r;
	if (pm_safetensors_open(&f, path, e) < 0)
		return -1;
	if (pm_safetensors_metadata(f))
		json_object_set_new(o, "metadata", json_deep_copy(pm_safetensors_metadata(f)));
	pm_safetensors_close(f);
	return 0;
}

static int gather_adapter(json_t *o, const char *path, const struct pm_env *env, struct pm_err *e)
{
	static const char *const keys[] = {"peft_type", "r", "lora_alpha", "use_rslora", "target_modules", "exclude_modules", "layers_to_transform",
		"modules_to_save", "base_model_name_or_path"};
	char *config = pm_path(path, "adapter_config.json", e), *file = pm_path(path, "adapter_model.safetensors", e);
	json_t *c = config ? pm_json_file(config, e) : NULL;
	size_t i;
	int r = c && file ? gather_file(o, file, env, e) : -1;

	for (i = 0; r == 0 && i < sizeof keys / sizeof *keys; i++)
		if (json_object_get(c, keys[i]) && !json_is_null(json_object_get(c, keys[i])))
			json_object_set(o, keys[i], json_object_get(c, keys[i]));
	json_decref(c);
	free(config);
	free(file);
	return r;
}

static bool ends(const char *s, const char *end)
{
	return strlen(s) >= strlen(end) && !strcmp(s + strlen(s) - strlen(end), end);
}

static bool holds(const char *dir, const char *name, struct pm_err *e)
{
	char *p = pm_path(dir, name, e);
	bool there = p && pm_exists(p);

	free(p);
	return there;
}

/* By what the path is: a directory of a model or an adapter, a configuration, a file of tensors. */
static json_t *gather(const char *path, const struct pm_env *env, struct pm_err *e)
{
	bool dir = pm_is_dir(path), adapter = dir && holds(path, "adapter_config.json", e) && !holds(path, "config.json", e);
	bool config = !dir && ends(path, ".json") && !ends(path, ".index.json");
	json_t *o = json_pack("{s:s, s:s}", "path", path, "kind", adapter ? "adapter" : config ? "config" : dir || ends(path, ".json") ? "model" : "tensors");
	int r;

	if (!o) {
		pm_fail(e, PM_USAGE, "a path in UTF-8 was wanted");
		return NULL;
	}
	if (a.tensors && config)
		r = pm_fail(e, PM_USAGE, "--tensors has no effect on a configuration");
	else if (a.family && adapter)
		r = pm_fail(e, PM_USAGE, "--family has no effect on an adapter");
	else if (adapter)
		r = gather_adapter(o, path, env, e);
	else if (dir || ends(path, ".json"))
		r = gather_model(o, path, env, !config, e);
	else
		r = gather_file(o, path, env, e);
	if (r == 0)
		return o;
	json_decref(o);
	return NULL;
}

/* ---- printing ---- */

/* 1234567 as "1.23 M": three digits and a unit. */
const char *inspect_short(char buf[32], double n, const char *unit)
{
	static const char *const scales[] = {"", "k", "M", "G", "T", "P"};
	int i = 0;

	for (; n >= 999.5 && i < 5; i++)
		n /= 1000;
	snprintf(buf, 32, "%.*f%s%s%s", i && n < 9.995 ? 2 : i && n < 99.95 ? 1 : 0, n, i || *unit ? " " : "", scales[i], unit);
	return buf;
}

/* Text of a file on one line, whatever is in it. */
static void print_name(const char *s)
{
	for (; *s; s++)
		putchar((unsigned char)*s < 32 || *s == 127 ? '?' : *s);
}

/* A number, a word, or a list with its runs counted: "0 ×5, 4096". */
static void print_value(const json_t *v)
{
	size_t i, run;
	char *s;

	for (i = 0; json_is_array(v) && i < json_array_size(v); i += run) {
		for (run = 1; i + run < json_array_size(v) && json_equal(json_array_get(v, i), json_array_get(v, i + run)); run++)
			;
		if (i)
			printf(", ");
		print_value(json_array_get(v, i));
		if (run > 1)
			printf(" ×%zu", run);
	}
	if (json_is_array(v))
		return;
	if (json_is_string(v)) {
		print_name(json_string_value(v));
		return;
	}
	s = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
	printf("%s", s ? s : "");
	free(s);
}

static void print_line(const json_t *o, const char *key, const char *label)
{
	const json_t *v = json_object_get(o, key);

	if (!v || (json_is_array(v) && !json_array_size(v)))
		return;
	printf("  %-12s ", label);
	print_value(v);
	putchar('\n');
}

static void print_model(const json_t *o)
{
	const json_t *ropes = json_object_get(o, "ropes"), *rope;
	size_t i;

	printf("  %-12s %s", "family", text(o, "family"));
	if (strcmp(text(o, "family"), text(o, "model_type")))
		printf(" (%s)", text(o, "model_type"));
	putchar('\n');
	print_line(o, "layers", "layers");
	print_line(o, "hidden", "hidden");
	print_line(o, "inner", "feed-forward");
	if (json_is_array(json_object_get(o, "experts")) || real(o, "experts") > 0) {
		print_line(o, "experts", "experts");
		print_line(o, "chosen", "of a token");
	}
	print_line(o, "heads", "heads");
	print_line(o, "kv_heads", "kv heads");
	print_line(o, "head_dim", "head size");
	if (json_is_array(json_object_get(o, "window")) || real(o, "window") > 0)
		print_line(o, "window", "window");
	printf("  %-12s %.0f, head %s\n", "vocabulary", real(o, "vocab"), json_is_true(json_object_get(o, "tied")) ? "tied to the embedding" : "apart");
	printf("  %-12s %.0f%s", "positions", real(o, "max_positions"), json_is_true(json_object_get(o, "learned_positions")) ? ", learned" : "");
	for (i = 0; (rope = json_array_get(ropes, i)); i++) {
		printf(", rope %.15g", real(rope, "theta"));
		if (strcmp(text(rope, "type"), "plain"))
			printf(" %s", text(rope, "type"));
		if (json_object_get(rope, "factor"))
			printf(" ×%.15g", real(rope, "factor"));
	}
	putchar('\n');
}

static void print_store(const json_t *o)
{
	char buf[32];
	const char *type;
	json_t *v;

	printf("  %-12s %.0f", "parameters", real(o, "parameters"));
	if (real(o, "parameters") >= 10000)
		printf(" (%s)", inspect_short(buf, real(o, "parameters"), ""));
	if (json_object_get(o, "active") && real(o, "active") < real(o, "parameters"))
		printf(", %.0f of a token", real(o, "active"));
	putchar('\n');
	json_object_foreach(json_object_get(o, "types"), type, v)
		printf("  %-12s %.0f tensor%s, %s\n", type, real(v, "tensors"), real(v, "tensors") == 1 ? "" : "s", inspect_short(buf, real(v, "bytes"), "B"));
	if (json_array_size(json_object_get(o, "files")) > 1)
		printf("  %-12s %zu\n", "files", json_array_size(json_object_get(o, "files")));
}

static void print_memory(const json_t *m)
{
	char b[3][32];

	if (!m)
		return;
	printf("  %-12s %s: %s of weights, %s of keys and values for %.0f tokens\n", "to run", inspect_short(b[0], real(m, "run"), "B"),
		inspect_short(b[1], real(m, "weights"), "B"), inspect_short(b[2], real(m, "kv"), "B"), real(m, "length"));
	printf("  %-12s %s and activations with LoRA of rank %.0f (%s parameters)\n", "to train", inspect_short(b[0], real(m, "train_lora"), "B"),
		real(m, "lora_rank"), inspect_short(b[1], real(m, "lora_parameters"), ""));
	printf("  %-12s %s and activations in full\n", "", inspect_short(b[0], real(m, "train_full"), "B"));
}

static void print_tensors(const json_t *list)
{
	const json_t *t;
	size_t i, d;

	for (i = 0; (t = json_array_get(list, i)); i++) {
		print_name(text(t, "name"));
		printf("\t%s\t[", text(t, "dtype"));
		for (d = 0; d < json_array_size(json_object_get(t, "shape")); d++)
			printf("%s%" JSON_INTEGER_FORMAT, d ? "," : "", json_integer_value(json_array_get(json_object_get(t, "shape"), d)));
		puts("]");
	}
}

static void print_text(const json_t *o)
{
	static const char *const adapter[][2] = {{"peft_type", "kind"}, {"r", "rank"}, {"lora_alpha", "alpha"}, {"target_modules", "targets"},
		{"exclude_modules", "excluded"}, {"layers_to_transform", "layers"}, {"modules_to_save", "saved whole"}, {"base_model_name_or_path", "base model"}};
	const char *key;
	json_t *v;
	size_t i;

	if (json_object_get(o, "tensors")) {
		print_tensors(json_object_get(o, "tensors"));
		return;
	}
	printf("%s\n", text(o, "path"));
	if (json_object_get(o, "family"))
		print_model(o);
	for (i = 0; !strcmp(text(o, "kind"), "adapter") && i < sizeof adapter / sizeof *adapter; i++)
		print_line(o, adapter[i][0], adapter[i][1]);
	print_store(o);
	print_memory(json_object_get(o, "memory"));
	json_object_foreach(json_object_get(o, "metadata"), key, v) {
		fputs("  ", stdout);
		print_name(key);
		printf("%*s", strlen(key) < 12 ? 13 - (int)strlen(key) : 1, "");
		if (json_is_string(v) && json_string_length(v) > 100)
			printf("%zu bytes", json_string_length(v));
		else
			print_value(v);
		putchar('\n');
	}
}

static int run(struct pm_tool *t, int argc, char **argv, struct pm_err *e)
{
	struct pm_env env;
	json_t *o;
	int i, r = 0;

	if (a.devices)
		return inspect_devices(t, &a, argc, e);
	if (pm_opt_refuse(t, "measure", "without --devices", e) < 0)
		return -1;
	if (argc < 2)
		return pm_fail(e, PM_USAGE, "a model directory or a file was wanted");
	if (pm_env_get(&env, e) < 0)
		return -1;
	for (i = 1; r == 0 && i < argc; i++) {
		const char *path = argv[i];

		o = local_name(&path, &env, e) == 0 ? gather(path, &env, e) : NULL;
		r = !o ? -1 : a.json ? pm_print_json(o, e) : 0;
		if (r == 0 && !a.json)
			print_text(o);
		json_decref(o);
	}
	pm_env_free(&env);
	return r;
}

int main(int argc, char **argv)
{
	struct pm_tool t = {.name = "pm-inspect", .operands = "[PATH ...]", .brief = "says what a model, a file of tensors, an adapter or a device is",
		.opts = opts, .nopts = sizeof opts / sizeof *opts};

	return pm_tool_main(&t, argc, argv, run);
}
