/* spec: every golden model of the families there are loads and its tensors are as wanted; one model of each family is held to
 * its numbers one by one; a config or a store that is wrong is refused with words that name what is wrong. */
#include <dirent.h>
#include <math.h>
#include <stdarg.h>

#include "spec_golden.h"

static void one_case(const char *where)
{
	struct pm_err e = {0};
	struct pm_store *store = NULL;
	struct pm_spec *s = open_golden(where, &store);
	size_t i, found = 0, gguf = 0, wanted = 0;
	struct pm_owner *owner = NULL;
	int64_t k;

	if (s && check(pm_spec_owners(&owner, s, store, &e) == 0, "%s: whose its tensors are %s", where, e.text)) {
		check(pm_spec_check(s, store, &e) == 0, "%s: its tensors are those wanted %s", where, e.text);
		for (i = 0; i < s->ntensors; i++) {
			const struct pm_tensor_spec *t = &s->tensor[i];
			char name[PM_SPEC_NAME];

			wanted += t->apart ? (size_t)t->experts : 1;
			for (k = 0; k < (t->apart ? t->experts : 1); k++) {
				const struct pm_view *v = pm_store_find(store, pm_spec_name(name, t->file, k));

				found += v && v == pm_spec_part(s, t, k, store) && (t->apart ? !pm_spec_view(s, t, store) : pm_spec_view(s, t, store) == v);
			}
			gguf += s->tensor[i].gguf != NULL;
			if (pm_spec_find(s, s->tensor[i].role) != &s->tensor[i])
				check(0, "role %s is found", s->tensor[i].role);
		}
		check(found == wanted && gguf == s->ntensors, "%s: %zu tensors under their names", where, found);
		for (i = found = 0; i < pm_store_count(store); i++)
			if (owner[i].tensor)
				found += pm_spec_part(s, owner[i].tensor, owner[i].expert, store) == pm_store_at(store, i) &&
					(owner[i].expert >= 0) == owner[i].tensor->apart;
		check(found == wanted, "%s: %zu tensors belong to the spec's", where, found);
		free(owner);
	}
	pm_spec_free(s);
	pm_store_close(store);
}

static void every_case(const char *family)
{
	struct dirent *d;
	char path[3000], where[4096];
	DIR *dir;
	int n = 0;

	snprintf(path, sizeof path, "%s/fixtures/%s", shared, family);
	dir = opendir(path);
	while (dir && (d = readdir(dir))) {
		snprintf(where, sizeof where, "%s/%.200s/config.json", path, d->d_name);
		if (d->d_name[0] == '.' || !pm_exists(where))
			continue;
		snprintf(where, sizeof where, "fixtures/%s/%.200s", family, d->d_name);
		one_case(where);
		n++;
	}
	if (dir)
		closedir(dir);
	check(n > 0, "%s: %d cases", family, n);
}

static void llama(void)
{
	struct pm_store *store = NULL;
	struct pm_spec *s = open_golden("fixtures/llama/base", &store);
	const struct pm_layer_spec *l;
	struct pm_err e = {0};

	if (!s)
		return;
	l = &s->layer[1];
	check(!strcmp(s->family, "llama") && !strcmp(s->model_type, "llama"), "family and model_type");
	check(s->layers == 2 && s->hidden == 32 && s->vocab == 131 && s->max_positions == 256 && !s->learned_positions, "sizes");
	check(s->norm == PM_NORM_RMS && near(s->norm_eps, 0.004), "norm");
	check(s->embed_scale == 1 && s->logit_scale == 1 && s->logit_softcap == 0 && !s->tied, "scales, untied");
	check(!strcmp(l->block, "transformer") && l->heads == 4 && l->kv_heads == 2 && l->head_dim == 8, "heads");
	check(near(l->scale, 1 / sqrt(8)) && l->softcap == 0 && l->window == 0 && l->rope == 0, "attention");
	check(!strcmp(l->ff, "gated") && !strcmp(l->act, "silu") && l->inner == 56 && l->residual == 1, "feed-forward");
	check(s->nropes == 1 && s->ropes[0].type == PM_ROPE_PLAIN && s->ropes[0].theta == 500000 && s->ropes[0].dims == 8 && !s->ropes[0].interleaved &&
		s->ropes[0].attention_factor == 1, "rope");
	is(s, "text.embed", "model.embed_tokens.weight model.embed_tokens token_embd.weight embed 131 32");
	is(s, "text.1.attn_norm", "model.layers.1.input_layernorm.weight model.layers.1.input_layernorm blk.1.attn_norm.weight norm 32");
	is(s, "text.1.attn.q", "model.layers.1.self_attn.q_proj.weight model.layers.1.self_attn.q_proj blk.1.attn_q.weight linear 32 32");
	is(s, "text.1.attn.k", "model.layers.1.self_attn.k_proj.weight model.layers.1.self_attn.k_proj blk.1.attn_k.weight linear 16 32");
	is(s, "text.1.attn.v", "model.layers.1.self_attn.v_proj.weight model.layers.1.self_attn.v_proj blk.1.attn_v.weight linear 16 32");
	is(s, "text.1.attn.o", "model.layers.1.self_attn.o_proj.weight model.layers.1.self_attn.o_proj blk.1.attn_output.weight linear 32 32");
	is(s, "text.1.ff_norm", "model.layers.1.post_attention_layernorm.weight model.layers.1.post_attention_layernorm blk.1.ffn_norm.weight norm 32");
	is(s, "text.1.ff.gate", "model.layers.1.mlp.gate_proj.weight model.layers.1.mlp.gate_proj blk.1.ffn_gate.weight linear 56 32");
	is(s, "text.1.ff.up", "model.layers.1.mlp.up_proj.weight model.layers.1.mlp.up_proj blk.1.ffn_up.weight linear 56 32");
	is(s, "text.1.ff.down", "model.layers.1.mlp.down_proj.weight model.layers.1.mlp.down_proj blk.1.ffn_down.weight linear 32 56");
	is(s, "text.norm", "model.norm.weight model.norm output_norm.weight norm 32");
	is(s, "text.head", "lm_head.weight lm_head output.weight linear 131 32");
	is(s, "text.1.attn.q.bias", "none");
	is(s, "text.2.attn.q", "none");
	check(pm_spec_role(s, &e, "text.%d.attn.%s", 0, "q") == pm_spec_find(s, "text.0.attn.q") && !pm_spec_role(s, &e, "text.head.bias") &&
		strstr(e.text, "'text.head.bias'"), "a role by format; one that there is not: %s", e.text);
	pm_spec_free(s);
	pm_store_close(store);
}

static void llama_ropes(void)
{
	const struct { const char *where; enum pm_rope_type type; double theta, factor, original; int64_t dims; double attention; } r[] = {
		{"linear", PM_ROPE_LINEAR, 10000, 4, 0, 8, 1}, {"dynamic", PM_ROPE_DYNAMIC, 10000, 2, 16, 8, 1},
		{"llama3-scaling", PM_ROPE_LLAMA3, 10000, 8, 64, 16, 1}, {"yarn", PM_ROPE_YARN, 1000, 4, 512, 16, 1.1386294361119891},
		{"yarn-betas", PM_ROPE_YARN, 1000, 8, 64, 16, 1.3},
		{"yarn-mscale", PM_ROPE_YARN, 1000, 4, 96, 16, (1 + 0.14 * log(4)) / (1 + 0.06 * log(4))},
	};
	struct pm_store *store;
	struct pm_spec *s;
	char where[200];
	size_t i;

	for (i = 0; i < sizeof r / sizeof *r; i++) {
		snprintf(where, sizeof where, "fixtures/llama/%s", r[i].where);
		s = open_golden(where, &store);
		if (s)
			check(s->ropes[0].type == r[i].type && s->ropes[0].theta == r[i].theta && s->ropes[0].factor == r[i].factor &&
				s->ropes[0].original == r[i].original && s->ropes[0].dims == r[i].dims &&
				fabs(s->ropes[0].attention_factor - r[i].attention) < 1e-9, "%s (%.12g)", where, s->ropes[0].attention_factor);
		if (s && r[i].type == PM_ROPE_LLAMA3)
			check(s->ropes[0].low == 1 && s->ropes[0].high == 4, "low and high factors");
		if (s && !strcmp(r[i].where, "yarn-betas"))
			check(s->ropes[0].beta_fast == 4 && s->ropes[0].beta_slow == 0.5 && !s->ropes[0].truncate, "betas, truncate false");
		if (s && !strcmp(r[i].where, "yarn"))
			check(s->ropes[0].beta_fast == 32 && s->ropes[0].beta_slow == 1 && s->ropes[0].truncate, "default betas");
		pm_spec_free(s);
		pm_store_close(store);
	}
}

/* What is asserted of the other families: numbers of the model, of two of its layers, of its ropes, and tensors that llama has not. */
struct facts {
	const char *where, *family, *model_type;
	int64_t layers, hidden, vocab, positions;
	enum pm_norm norm;
	double eps, embed_scale, softcap;
	bool tied, learned;
	int nropes;
	double theta[2];
	size_t ntensors;
	struct { int64_t heads, kv, dim, window, inner; double scale, softcap; int rope; const char *ff, *act; } layer[2];
};

static void hold(const struct pm_spec *s, const struct facts *f)
{
	int i;

	check(!strcmp(s->family, f->family) && !strcmp(s->model_type, f->model_type), "%s: family and model_type", f->where);
	check(s->layers == f->layers && s->hidden == f->hidden && s->vocab == f->vocab && s->max_positions == f->positions, "%s: sizes", f->where);
	check(s->norm == f->norm && near(s->norm_eps, f->eps), "%s: norm", f->where);
	check(near(s->embed_scale, f->embed_scale) && s->logit_scale == 1 && s->logit_softcap == f->softcap, "%s: scales", f->where);
	check(s->tied == f->tied && s->learned_positions == f->learned && s->ntensors == f->ntensors, "%s: ties, positions, %zu tensors", f->where, s->ntensors);
	check(s->nropes == f->nropes && (f->nropes < 1 || s->ropes[0].theta == f->theta[0]) && (f->nropes < 2 || s->ropes[1].theta == f->theta[1]),
		"%s: ropes", f->where);
	for (i = 0; i < 2; i++) {
		const struct pm_layer_spec *l = &s->layer[i];

		check(l->heads == f->layer[i].heads && l->kv_heads == f->layer[i].kv && l->head_dim == f->layer[i].dim, "%s: heads of layer %d", f->where, i);
		check(l->window == f->layer[i].window && near(l->scale, f->layer[i].scale) && l->softcap == f->layer[i].softcap && l->rope == f->layer[i].rope,
			"%s: attention of layer %d", f->where, i);
		check(!strcmp(l->block, "transformer") && !strcmp(l->ff, f->layer[i].ff) && !strcmp(l->act, f->layer[i].act) && l->inner == f->layer[i].inner &&
			l->residual == 1, "%s: feed-forward of layer %d", f->where, i);
	}
}

static void others(void)
{
	const double r8 = sqrt(1 / 8.0), r24 = sqrt(1 / 24.0), root32 = sqrt(32);
	const struct facts facts[] = {
		{"fixtures/mistral/window", "mistral", "mistral", 2, 32, 131, 256, PM_NORM_RMS, 0.005, 1, 0, false, false, 1, {100000, 0}, 21,
			{{4, 2, 8, 7, 56, r8, 0, 0, "gated", "silu"}, {4, 2, 8, 7, 56, r8, 0, 0, "gated", "silu"}}},
		{"fixtures/qwen2/window", "qwen2", "qwen2", 3, 32, 131, 256, PM_NORM_RMS, 0.005, 1, 0, true, false, 1, {1000000, 0}, 38,
			{{4, 2, 8, 0, 56, r8, 0, 0, "gated", "silu"}, {4, 2, 8, 6, 56, r8, 0, 0, "gated", "silu"}}},
		{"fixtures/qwen3/untied-bias", "qwen3", "qwen3", 2, 32, 131, 256, PM_NORM_RMS, 0.02, 1, 0, false, false, 1, {1000000, 0}, 33,
			{{2, 1, 16, 0, 56, 0.25, 0, 0, "gated", "silu"}, {2, 1, 16, 0, 56, 0.25, 0, 0, "gated", "silu"}}},
		{"fixtures/gemma/base", "gemma", "gemma", 2, 32, 131, 256, PM_NORM_RMS1, 0.005, root32, 0, true, false, 1, {10000, 0}, 20,
			{{4, 1, 16, 0, 64, 0.25, 0, 0, "gated", "gelu_tanh"}, {4, 1, 16, 0, 64, 0.25, 0, 0, "gated", "gelu_tanh"}}},
		{"fixtures/gemma2/base", "gemma2", "gemma2", 2, 32, 131, 256, PM_NORM_RMS1, 0.005, root32, 2.5, true, false, 1, {10000, 0}, 24,
			{{4, 2, 16, 6, 64, r24, 2, 0, "gated", "gelu_tanh"}, {4, 2, 16, 0, 64, r24, 2, 0, "gated", "gelu_tanh"}}},
		{"fixtures/gemma3/multimodal", "gemma3", "gemma3", 3, 32, 134, 256, PM_NORM_RMS1, 0.01, root32, 0, true, false, 2, {1000000, 10000}, 41,
			{{4, 2, 16, 6, 56, r24, 0, 1, "gated", "gelu_tanh"}, {4, 2, 16, 0, 56, r24, 0, 0, "gated", "gelu_tanh"}}},
		{"fixtures/gpt2/inverse-layer", "gpt2", "gpt2", 3, 32, 131, 64, PM_NORM_LAYER, 0.005, 1, 0, true, true, 0, {0, 0}, 40,
			{{4, 4, 8, 0, 128, r8, 0, -1, "plain", "gelu_tanh"}, {4, 4, 8, 0, 128, r8 / 2, 0, -1, "plain", "gelu_tanh"}}},
	};
	size_t i;

	for (i = 0; i < sizeof facts / sizeof *facts; i++) {
		struct pm_store *store = NULL;
		struct pm_spec *s = open_golden(facts[i].where, &store);

		if (s)
			hold(s, &facts[i]);
		pm_spec_free(s);
		pm_store_close(store);
	}
}

static void their_tensors(void)
{
	struct pm_store *store;
	struct pm_spec *s = open_golden("fixtures/qwen3/untied-bias", &store);

	is(s, "text.1.attn.q.bias", "model.layers.1.self_attn.q_proj.bias model.layers.1.self_attn.q_proj blk.1.attn_q.bias bias 32");
	is(s, "text.1.attn.q_norm", "model.layers.1.self_attn.q_norm.weight model.layers.1.self_attn.q_norm blk.1.attn_q_norm.weight norm 16");
	is(s, "text.1.attn.k_norm", "model.layers.1.self_attn.k_norm.weight model.layers.1.self_attn.k_norm blk.1.attn_k_norm.weight norm 16");
	pm_spec_free(s);
	pm_store_close(store);
	s = open_golden("fixtures/gemma3/multimodal", &store);
	is(s, "text.embed", "language_model.model.embed_tokens.weight model.language_model.embed_tokens token_embd.weight embed 134 32");
	is(s, "text.2.attn_post_norm", "language_model.model.layers.2.post_attention_layernorm.weight "
		"model.language_model.layers.2.post_attention_layernorm blk.2.post_attention_norm.weight norm 32");
	is(s, "text.2.ff_norm", "language_model.model.layers.2.pre_feedforward_layernorm.weight "
		"model.language_model.layers.2.pre_feedforward_layernorm blk.2.ffn_norm.weight norm 32");
	is(s, "text.2.ff_post_norm", "language_model.model.layers.2.post_feedforward_layernorm.weight "
		"model.language_model.layers.2.post_feedforward_layernorm blk.2.post_ffw_norm.weight norm 32");
	check(s->ropes[0].type == PM_ROPE_LINEAR && s->ropes[0].factor == 8 && s->ropes[1].type == PM_ROPE_PLAIN, "only the global rope is scaled");
	pm_spec_free(s);
	pm_store_close(store);
	s = open_golden("fixtures/gpt2/base", &store);
	is(s, "text.embed", "wte.weight transformer.wte token_embd.weight embed 131 32");
	is(s, "text.pos_embed", "wpe.weight transformer.wpe position_embd.weight embed 64 32");
	is(s, "text.1.attn_norm.bias", "h.1.ln_1.bias transformer.h.1.ln_1 blk.1.attn_norm.bias bias 32");
	is(s, "text.1.attn.qkv", "h.1.attn.c_attn.weight transformer.h.1.attn.c_attn blk.1.attn_qkv.weight linear transposed 32 96");
	is(s, "text.1.attn.qkv.bias", "h.1.attn.c_attn.bias transformer.h.1.attn.c_attn blk.1.attn_qkv.bias bias 96");
	is(s, "text.1.ff.down", "h.1.mlp.c_proj.weight transformer.h.1.mlp.c_proj blk.1.ffn_down.weight linear transposed 128 32");
	is(s, "text.norm", "ln_f.weight transformer.ln_f output_norm.weight norm 32");
	is(s, "text.head", "none");
	pm_spec_free(s);
	pm_store_close(store);
}

/* Keys that are missing have the values that the models' authors gave them. */
static void their_defaults(void)
{
	struct pm_store *store;
	struct pm_spec *s = open_golden("fixtures/gemma3/multimodal-defaults", &store);

	check(s->layer[0].heads == 8 && s->layer[0].kv_heads == 4 && s->layer[0].head_dim == 256 && near(s->layer[0].scale, 1 / 16.0), "gemma3: heads");
	check(near(s->norm_eps, 1e-6) && s->ropes[0].theta == 1e6 && s->ropes[1].theta == 1e4 && s->tied && s->max_positions == 131072, "gemma3: eps, theta");
	check(s->layer[4].window == 5 && s->layer[5].window == 0 && s->layer[6].window == 5, "gemma3: every sixth layer sees all");
	pm_spec_free(s);
	pm_store_close(store);
	s = open_golden("fixtures/gemma3/layer-types", &store);
	check(s->layer[0].window == 0 && s->layer[0].rope == 0 && s->layer[1].window == 6 && s->layer[1].rope == 1 && s->ropes[1].theta == 2000 &&
		s->logit_softcap == 2, "gemma3: layer_types, ropes in the newer style");
	pm_spec_free(s);
	pm_store_close(store);
	s = open_golden("fixtures/qwen2/base", &store);
	check(s->layer[0].window == 0 && s->layer[1].window == 0, "qwen2: a window with use_sliding_window false is none");
	pm_spec_free(s);
	pm_store_close(store);
	s = open_golden("fixtures/gpt2/prefix", &store);
	check(s->layer[0].inner == 72 && pm_store_find(store, "lm_head.weight"), "gpt2: n_inner, a tied head in the file");
	pm_spec_free(s);
	pm_store_close(store);
}

/* longrope through llama's program: the attention factor is worked out there. */
static void longrope(void)
{
	static const char config[] = "{\"model_type\":\"llama\",\"hidden_size\":32,\"num_attention_heads\":4,\"num_hidden_layers\":1,\"intermediate_size\":8,"
		"\"vocab_size\":9,\"max_position_embeddings\":256,\"original_max_position_embeddings\":64,\"rope_theta\":10000,"
		"\"rope_scaling\":{\"type\":\"longrope\",\"short_factor\":[1,1.5,2,3],\"long_factor\":[1,2,3,4]}}";
	struct pm_err e = {0};
	struct pm_spec *s = NULL;
	char path[200];
	FILE *f;

	snprintf(path, sizeof path, "%s/config.json", tmp);
	f = fopen(path, "w");
	fputs(config, f);
	fclose(f);
	if (check(pm_spec_load(&s, path, "share", NULL, NULL, &e) == 0, "longrope %s", e.text))
		check(s->ropes[0].type == PM_ROPE_LONGROPE && s->ropes[0].original == 64 && s->ropes[0].short_factor[1] == 1.5 && s->ropes[0].long_factor[3] == 4 &&
			near(s->ropes[0].attention_factor, sqrt(4 / 3.0)), "its lists and its factor (%.12g)", s->ropes[0].attention_factor);
	pm_spec_free(s);
}

/* ---- wrong configs and stores ---- */

static void wrong_configs(void)
{
	refuses("llama/base", "{\"model_type\":\"llamas\"}", "'model_type' is \"llamas\", known are gemma, ");
	refuses("llama/base", "{\"model_type\":null}", "'model_type' is missing");
	refuses("llama/base", "{\"model_type\":7}", "'model_type'");
	refuses("llama/base", "{\"hidden_act\":\"mish\"}", "'hidden_act' is \"mish\", known are silu");
	refuses("llama/base", "{\"hidden_act\":3}", "'hidden_act' is 3");
	refuses("llama/base", "{\"hidden_size\":null}", "'hidden_size' is missing");
	refuses("llama/base", "{\"hidden_size\":\"32\"}", "'hidden_size' is \"32\"");
	refuses("llama/base", "{\"hidden_size\":32.5}", "'hidden_size' is 32.5");
	refuses("llama/base", "{\"hidden_size\":33}", "'hidden_size' is 33, a multiple");
	refuses("llama/base", "{\"num_hidden_layers\":0}", "'num_hidden_layers' is 0");
	refuses("llama/base", "{\"num_hidden_layers\":1000000000}", "'num_hidden_layers' is 1000000000");
	refuses("llama/base", "{\"num_key_value_heads\":3}", "4 heads over 3");
	refuses("llama/base", "{\"attention_bias\":1}", "'attention_bias' is 1");
	refuses("llama/base", "{\"rms_norm_eps\":\"1e-5\"}", "'rms_norm_eps'");
	refuses("llama/base", "{\"quantization_config\":{\"quant_method\":\"gptq\"}}", "'quantization_config' is {\"quant_method\":\"gptq\"}");
	refuses("llama/base", "{\"use_bidirectional_attention\":true}", "'use_bidirectional_attention' is true");
	refuses("llama/base", "{\"partial_rotary_factor\":0.5}", "'partial_rotary_factor' is 0.5");
	refuses("llama/base", "{\"head_dim\":7}", "'dims'");
	refuses("llama/base", "{\"rope_theta\":-1}", "'rope_theta' is -1, a number above 0");
	refuses("llama/base", "{\"rope_scaling\":[]}", "'rope_scaling' is []");
	refuses("llama/base", "{\"rope_scaling\":{\"rope_type\":\"mrope\"}}", "'rope_type' is \"mrope\"");
	refuses("llama/base", "{\"rope_scaling\":{\"type\":\"linear\"}}", "'factor' is missing");
	refuses("llama/base", "{\"rope_scaling\":{\"type\":\"linear\",\"factor\":0}}", "'factor'");
	refuses("llama/base", "{\"rope_scaling\":{\"type\":\"linear\",\"factor\":2,\"alpha\":3}}", "'rope_scaling' (or 'rope_parameters') has 'alpha': 3");
	refuses("llama/base", "{\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8}}", "'low_freq_factor' is missing");
	refuses("llama/base", "{\"rope_scaling\":{\"rope_type\":\"longrope\",\"short_factor\":[1,1],\"long_factor\":[1,1]}}", "'short_factor' is [1,1]");
	refuses("llama/base", "{\"rope_scaling\":{\"rope_type\":\"longrope\",\"original_max_position_embeddings\":1}}", "'original_max_position_embeddings' is 1");
	refuses("llama/base", "{\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":4,\"attention_factor\":0}}", "'attention_factor'");
	refuses("llama/base", "{\"vocab_size\":1e300}", "'vocab_size' is 1e+300");
	refuses("llama/base", "{\"rms_norm_eps\":-1}", "'rms_norm_eps' is -1");
	refuses("mistral/window", "{\"sliding_window\":2.5}", "'sliding_window' is 2.5");
	refuses("llama/base", "{\"vocab_size\":2147483647,\"hidden_size\":2147483644,\"head_dim\":8}", "2^48");
	refuses("llama/dynamic", "{\"rope_scaling\":{\"rope_type\":\"linear\",\"factor\":8}}", "contradict");
	accepts("llama/base", "{\"hidden_size\":32.0,\"max_position_embeddings\":90.0,\"rope_scaling\":{\"type\":\"linear\",\"factor\":4}}");
	accepts("llama/base", "{\"num_key_value_heads\":null,\"rope_scaling\":null,\"tie_word_embeddings\":null}");
	accepts("llama/base", "{\"rope_scaling\":{\"type\":\"su\",\"short_factor\":[1,1,1,1],\"long_factor\":[1,2,3,4],\"original_max_position_embeddings\":64}}");
}

static void wrong_families(void)
{
	refuses("mistral/window", "{\"attention_bias\":true}", "'attention_bias' is true, only false");
	refuses("mistral/window", "{\"sliding_window\":-1}", "'sliding_window' is -1");
	refuses("qwen2/window", "{\"use_sliding_window\":\"yes\"}", "'use_sliding_window' is \"yes\"");
	refuses("qwen2/layer-types", "{\"layer_types\":[\"full_attention\"]}", "'layer_types' is [\"full_attention\"], a list of 3");
	refuses("qwen2/layer-types", "{\"layer_types\":[\"full_attention\",\"linear_attention\",\"full_attention\"]}", "'layer_types' has \"linear_attention\"");
	refuses("qwen3/base", "{\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":4,\"beta_fast\":\"x\"}}", "'beta_fast' is \"x\"");
	refuses("gemma/base", "{\"hidden_act\":\"silu\"}", "'hidden_act' is \"silu\"");
	refuses("gemma/base", "{\"hidden_activation\":\"swiglu\"}", "'hidden_activation' is \"swiglu\"");
	refuses("gemma2/base", "{\"final_logit_softcapping\":\"30\"}", "'final_logit_softcapping' is \"30\"");
	refuses("gemma2/base", "{\"query_pre_attn_scalar\":0}", "'query_pre_attn_scalar' is 0");
	refuses("gemma3/base", "{\"use_bidirectional_attention\":true}", "'use_bidirectional_attention' is true");
	refuses("gemma3/layer-types", "{\"rope_parameters\":{\"full_attention\":{\"rope_type\":\"spiral\"}}}", "'rope_type' is \"spiral\"");
	refuses("gemma3/layer-types", "{\"rope_parameters\":{\"full_attention\":{},\"other\":{}}}", "'rope_parameters' is");
	refuses("gemma3/multimodal", "{\"text_config\":[]}", "'text_config' is []");
	refuses("gpt2/base", "{\"activation_function\":\"tanh\"}", "'activation_function' is \"tanh\"");
	refuses("gpt2/base", "{\"n_head\":5}", "'n_embd' is 32, a multiple of n_head (5)");
	refuses("gpt2/base", "{\"add_cross_attention\":true}", "'add_cross_attention' is true");
	accepts("gpt2/base", "{\"n_inner\":null,\"scale_attn_weights\":false}");
	accepts("gemma2/base", "{\"attn_logit_softcapping\":null,\"final_logit_softcapping\":null,\"query_pre_attn_scalar\":null}");
	accepts("gemma3/layer-types", "{\"rope_parameters\":{}}");
}

/* A store with the tensors of a golden model, one of them left out, one more added, one of another shape. */
static void wrong_store(void)
{
	struct pm_err e = {0};
	struct pm_store *store = NULL, *other = NULL;
	struct pm_spec *s = open_golden("fixtures/llama/tied", &store);
	struct pm_st_writer *w;
	static const float extra[131 * 32];
	char path[200];
	size_t i, n;

	if (!s)
		return;
	snprintf(path, sizeof path, "%s/model.safetensors", tmp);
	n = pm_store_count(store);
	pm_st_begin(&w, path, NULL, &e);
	for (i = 0; i < n; i++) {
		const struct pm_view *v = pm_store_at(store, i);

		if (strstr(v->name, "layers.0.mlp") || strstr(v->name, "layers.1.self_attn"))
			continue;
		if (!strcmp(v->name, "model.norm.weight"))
			pm_st_declare(w, v->name, PM_F32, 2, (uint64_t[]){1, v->dim[0]}, &e);
		else if (strstr(v->name, "0.input_layernorm"))
			pm_st_declare(w, v->name, PM_I32, 1, v->dim, &e);
		else
			pm_st_declare(w, v->name, v->type, v->nd, v->dim, &e);
	}
	pm_st_declare(w, "lm_head.weight", PM_F32, 2, (uint64_t[]){131, 32}, &e);
	pm_st_declare(w, "model.layers.0.self_attn.rotary_emb.inv_freq", PM_F32, 1, (uint64_t[]){4}, &e);
	pm_st_declare(w, "model.layers.2.mlp.up_proj.weight", PM_F32, 1, (uint64_t[]){4}, &e);
	for (i = 0; i < n; i++) {
		const struct pm_view *v = pm_store_at(store, i);

		if (!strstr(v->name, "layers.0.mlp") && !strstr(v->name, "layers.1.self_attn"))
			pm_st_put(w, v->data, v->bytes, &e);
	}
	pm_st_put(w, extra, sizeof extra, &e);
	pm_st_put(w, extra, 32, &e);
	check(pm_st_end(w, &e) == 0 && pm_store_open(&other, tmp, &e) == 0, "a store with faults %s", e.text);
	if (!other)
		return;
	check(pm_spec_check(s, other, &e) < 0 && e.status == PM_DATA, "is refused: %s", e.text);
	check(strstr(e.text, "7 tensors are missing: 'model.layers.0.mlp.gate_proj.weight', 'model.layers.0.mlp.up_proj.weight', ") &&
		strstr(e.text, "', …"), "three of the missing are named");
	check(strstr(e.text, "'model.norm.weight' is [1, 32] where [32] was wanted") != NULL, "the misshapen");
	check(strstr(e.text, "'model.layers.0.input_layernorm.weight' is i32 where f32, f16 or bf16 was wanted") != NULL, "the wrong type");
	check(strstr(e.text, "'lm_head.weight' differs from 'model.embed_tokens.weight', to which it is tied") != NULL, "the head that is no copy");
	check(strstr(e.text, "1 tensor is unexpected: 'model.layers.2.mlp.up_proj.weight'") != NULL, "the unexpected; the buffer is ignored");
	pm_store_close(other);
	pm_spec_free(s);
	pm_store_close(store);
}

/* What a program may give that is no spec. */
static void wrong_program(const char *program, const char *words)
{
	struct pm_err e = {0};
	struct pm_spec *s = NULL;
	char family[200], config[4096];
	FILE *f;
	int r;

	snprintf(family, sizeof family, "%s/mine.jq", tmp);
	snprintf(config, sizeof config, "%s/config.json", tmp);
	f = fopen(family, "w");
	fputs(program, f);
	fclose(f);
	f = fopen(config, "w");
	fputs("{\"model_type\":\"mine\"}", f);
	fclose(f);
	r = pm_spec_load(&s, tmp, "share", family, NULL, &e);
	check(r < 0 && e.status == PM_DATA && strstr(e.text, words), "%s", r < 0 ? e.text : "accepted");
	pm_spec_free(s);
}

#define SPEC(layer, tensor) "{family: \"mine\", layers: 1, hidden: 4, vocab: 8, norm: \"rms\", norm_eps: 0.1, tied: true, ropes: [], layer: [" layer \
	"], tensor: [" tensor "]}"
#define LAYER "{block: \"transformer\", heads: 2, kv_heads: 1, head_dim: 4, scale: 0.5, ff: \"gated\", act: \"silu\", inner: 8}"
#define TENSOR(role, dim) "{role: \"" role "\", file: \"a\", module: \"a\", use: \"embed\", dim: " dim "}"

static void own_program(void)
{
	struct pm_err e = {0};
	struct pm_spec *s = NULL;
	char family[200];

	wrong_program("{", "mine.jq");
	wrong_program("empty", "0 values");
	wrong_program("1, 2", "2 values");
	wrong_program("[]", "an object was wanted");
	wrong_program("{family: \"mine\"}", "'layers' is missing");
	wrong_program(SPEC(LAYER, TENSOR("text.embed", "[8, 4]")) " + {tide: true}", "'tide' is no key");
	wrong_program(SPEC(LAYER, TENSOR("text.embed", "[8, 4]")) " + {norm: \"batch\"}", "'norm': 'batch' is not known, known are none, rms, rms1, layer");
	wrong_program(SPEC(LAYER, TENSOR("text.embed", "[8, 4]")) " + {layers: 2}", "1 layers are described");
	wrong_program(SPEC(LAYER " + {rope: 0}", TENSOR("text.embed", "[8, 4]")), "layer 0: 'rope' is 0, there are 0");
	wrong_program(SPEC(LAYER " + {block: \"wall\"}", TENSOR("text.embed", "[8, 4]")), "'block': 'wall'");
	wrong_program(SPEC(LAYER, TENSOR("text.embed", "[]")), "1 to 4 dimensions");
	wrong_program(SPEC(LAYER, TENSOR("text.embed", "[8, 0]")), "dimension 1 is no size");
	wrong_program(SPEC(LAYER, TENSOR("text.embed", "[8, 4]") "," TENSOR("text.embed", "[8, 4]")), "two tensors have the role 'text.embed'");
	wrong_program(SPEC(LAYER " + {experts: 2, chosen: 1}", TENSOR("text.embed", "[8, 4]")), "only where 'ff' is experts are there any");
	wrong_program(SPEC(LAYER " + {ff: \"experts\", experts: 2, chosen: 3}", TENSOR("text.embed", "[8, 4]")), "'experts' is 2, 'chosen' 3");
	wrong_program(SPEC(LAYER " + {act: \"clamped\", act_alpha: 1, act_limit: 1}", TENSOR("text.embed", "[8, 4]")), "'act_alpha, act_limit'");
	wrong_program(SPEC(LAYER " + {act_limit: 1}", TENSOR("text.embed", "[8, 4]")), "'act_alpha, act_limit': nothing");
	wrong_program(SPEC(LAYER, TENSOR("text.embed", "[8, 4]") " + {experts: 7}"), "'experts' is 7, the first dimension was wanted");
	wrong_program(SPEC(LAYER, TENSOR("text.embed", "[8, 4]") " + {experts: 8, apart: true}"), "one {} in the name of a stack that lies apart");
	wrong_program(SPEC(LAYER, TENSOR("text.embed", "[8, 4]") " + {apart: true}"), "'experts' is 0");
	wrong_program(SPEC(LAYER, TENSOR("text.embed", "[8, 4]") " + {hf_turn: 3}"), "'hf_turn' is 3");
	wrong_program("error(\"no such luck\")", "no such luck");
	wrong_program("include \"pm\"; .config | size(\"width\")", "'width' is missing");
	snprintf(family, sizeof family, "%s/mine.jq", tmp);
	wrong_program(SPEC(LAYER, TENSOR("text.embed", "[8, 4]")) " | del(.tied)", "'tied' is missing");
	FILE *f = fopen(family, "w");
	fputs(SPEC(LAYER, TENSOR("text.embed", "[8, 4]")), f);
	fclose(f);
	check(pm_spec_load(&s, tmp, "share", family, NULL, &e) == 0 && s->layer[0].rope == -1 && !strcmp(s->model_type, "mine"), "a family of one's own %s",
		e.text);
	pm_spec_free(s);
}

int main(void)
{
	static const char *const families[] = {"llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "gpt2", "mixtral", "qwen3_moe", "gpt_oss"};
	struct pm_err e;
	size_t i;

	shared = golden_dir();
	if (!mkdtemp(tmp))
		return 1;
	own_program();
	longrope();
	if (shared) {
		for (i = 0; i < sizeof families / sizeof *families; i++)
			every_case(families[i]);
		every_case("lora");
		every_case("embedding");
		every_case("packing");
		every_case("accumulation");
		every_case("medium");
		one_case("data/models/stories260K_hf");
		llama();
		llama_ropes();
		others();
		their_tensors();
		their_defaults();
		wrong_configs();
		wrong_families();
		wrong_store();
	} else {
		skip("golden data is not there");
	}
	pm_remove_tree(tmp, &e);
	return done();
}
