/* spec_experts: families with experts: their layers, the names and shapes of stacks in each kind of file, and what is refused. */
#include "spec_golden.h"

/* Of a stack: all names, shapes and what else is said. */
static void stack_is(const struct pm_spec *s, const char *role, const char *wanted)
{
	const struct pm_tensor_spec *t = pm_spec_find(s, role);
	char text[2000];
	int64_t hf[4], gguf[4];

	if (!check(t != NULL, "%s is there", role))
		return;
	pm_hf_shape(hf, t);
	pm_gguf_shape(gguf, t);
	snprintf(text, sizeof text, "%s%s hf %s [%lld, %lld, %lld]%s fused %s%s module %s gguf %s%s%s [%lld, %lld, %lld] turn %d use %s", t->file, t->apart ? " apart" : "",
		t->hf, (long long)hf[0], (long long)hf[1], (long long)hf[2], t->hf_transposed ? " transposed" : "", t->fused ? t->fused : "none", t->turns ? " in turns" : "",
		t->module, t->gguf, t->gguf_up ? " and " : "", t->gguf_up ? t->gguf_up : "", (long long)gguf[0], (long long)gguf[1], (long long)gguf[2], t->hf_turn, t->use);
	check(t->experts == t->dim[0] && !strcmp(text, wanted), "%s: %s", role, text);
}

static void experts(void)
{
	struct pm_store *store;
	struct pm_spec *s = open_golden("fixtures/mixtral/window", &store);
	const struct pm_layer_spec *l = &s->layer[1];

	check(!strcmp(l->ff, "experts") && !strcmp(l->act, "silu") && l->experts == 6 && l->chosen == 2 && l->inner == 28 && !l->route_late && l->route_renormalise &&
		l->route_scale == 1 && l->window == 9 && l->head_dim == 12, "mixtral: a layer");
	check(pm_spec_parameters(s) == 69400 && pm_spec_active(s) == 69400 - 2 * 4 * 3 * 28 * 40, "mixtral: parameters, and those that a token meets");
	is(s, "text.1.router", "model.layers.1.block_sparse_moe.gate.weight model.layers.1.block_sparse_moe.gate blk.1.ffn_gate_inp.weight router 6 40");
	stack_is(s, "text.1.experts.up", "model.layers.1.block_sparse_moe.experts.{}.w3.weight apart hf model.layers.1.block_sparse_moe.experts.{}.w3.weight [6, 28, 40] "
		"fused model.layers.1.mlp.experts.gate_up_proj module model.layers.1.block_sparse_moe.experts.{}.w3 gguf blk.1.ffn_up_exps.weight [6, 28, 40] turn 0 use linear");
	stack_is(s, "text.0.experts.down", "model.layers.0.block_sparse_moe.experts.{}.w2.weight apart hf model.layers.0.block_sparse_moe.experts.{}.w2.weight [6, 40, 28] "
		"fused model.layers.0.mlp.experts.down_proj module model.layers.0.block_sparse_moe.experts.{}.w2 gguf blk.0.ffn_down_exps.weight [6, 40, 28] turn 0 use linear");
	pm_spec_free(s);
	pm_store_close(store);
	s = open_golden("fixtures/qwen3_moe/sparse", &store);
	check(!strcmp(s->layer[0].ff, "gated") && s->layer[0].inner == 44 && !strcmp(s->layer[1].ff, "experts") && s->layer[1].inner == 8 && s->layer[1].experts == 12 &&
		!s->layer[1].route_renormalise && !strcmp(s->layer[2].ff, "gated") && !strcmp(s->layer[3].ff, "gated"), "qwen3_moe: one layer has experts");
	is(s, "text.1.router", "model.layers.1.mlp.gate.weight model.layers.1.mlp.gate blk.1.ffn_gate_inp.weight router 12 32");
	pm_spec_free(s);
	pm_store_close(store);
	s = open_golden("fixtures/gpt_oss/bf16", &store);
	l = &s->layer[1];
	check(!strcmp(l->act, "clamped") && l->act_alpha == 1.702 && l->act_limit == 7 && l->interleaved && l->route_late && l->window == 0 && s->layer[2].window == 7,
		"gpt_oss: a layer");
	check(s->ropes[0].type == PM_ROPE_YARN && !s->ropes[0].truncate && near(s->ropes[0].attention_factor, 0.1 * log(8) + 1), "gpt_oss: rope");
	is(s, "text.1.attn.sinks", "model.layers.1.self_attn.sinks model.layers.1.self_attn blk.1.attn_sinks.weight other 2");
	is(s, "text.1.experts.down.bias", "model.layers.1.mlp.experts.down_proj_bias model.layers.1.mlp.experts.down_proj blk.1.ffn_down_exps.bias bias 5 36");
	stack_is(s, "text.1.experts.gate_up", "model.layers.1.mlp.experts.gate_up_proj hf model.layers.1.mlp.experts.gate_up_proj [5, 36, 40] transposed "
		"fused model.layers.1.mlp.experts.gate_up_proj in turns module model.layers.1.mlp.experts.gate_up_proj gguf blk.1.ffn_gate_exps.weight and "
		"blk.1.ffn_up_exps.weight [5, 40, 36] turn 0 use linear");
	pm_spec_free(s);
	pm_store_close(store);
	s = open_golden("fixtures/gpt_oss/mxfp4", &store);
	stack_is(s, "text.1.experts.down", "model.layers.1.mlp.experts.down_proj_blocks hf model.layers.1.mlp.experts.down_proj [5, 32, 64] transposed "
		"fused model.layers.1.mlp.experts.down_proj module model.layers.1.mlp.experts.down_proj gguf blk.1.ffn_down_exps.weight [5, 64, 32] turn 0 use linear");
	check(pm_spec_view(s, pm_spec_find(s, "text.1.experts.down"), store)->type == PM_MXFP4, "gpt_oss: blocks stay blocks");
	pm_spec_free(s);
	pm_store_close(store);
}

/* Of the experts of a stack one is not there, one has another shape. */
static void wrong_expert(void)
{
	struct pm_err e = {0};
	struct pm_store *store = NULL, *other = NULL;
	struct pm_spec *s = open_golden("fixtures/mixtral/base", &store);
	struct pm_st_writer *w;
	char path[200];
	size_t i;

	if (!s)
		return;
	snprintf(path, sizeof path, "%s/model.safetensors", tmp);
	pm_st_begin(&w, path, NULL, &e);
	for (i = 0; i < pm_store_count(store); i++) {
		const struct pm_view *v = pm_store_at(store, i);

		if (strstr(v->name, "1.block_sparse_moe.experts.3.w2"))
			continue;
		if (strstr(v->name, "0.block_sparse_moe.experts.5.w1"))
			pm_st_declare(w, v->name, v->type, 2, (uint64_t[]){v->dim[1], v->dim[0]}, &e);
		else
			pm_st_declare(w, v->name, v->type, v->nd, v->dim, &e);
	}
	for (i = 0; i < pm_store_count(store); i++)
		if (!strstr(pm_store_at(store, i)->name, "1.block_sparse_moe.experts.3.w2"))
			pm_st_put(w, pm_store_at(store, i)->data, pm_store_at(store, i)->bytes, &e);
	check(pm_st_end(w, &e) == 0 && pm_store_open(&other, tmp, &e) == 0, "a store with faulty experts %s", e.text);
	if (!other)
		return;
	check(pm_spec_check(s, other, &e) < 0 && strstr(e.text, "1 tensor is missing: 'model.layers.1.block_sparse_moe.experts.3.w2.weight'; 1 tensor is wrong: "
		"'model.layers.0.block_sparse_moe.experts.5.w1.weight' is [40, 28] where [28, 40] was wanted"), "is refused: %s", e.text);
	pm_store_close(other);
	pm_spec_free(s);
	pm_store_close(store);
}

static void wrong_configs(void)
{
	refuses("mixtral/base", "{\"num_experts_per_tok\":7}", "'num_experts_per_tok' is 7, at most the number of experts (6)");
	refuses("mixtral/base", "{\"num_experts\":7}", "'num_experts' (7) and 'num_local_experts' (6) contradict each other");
	refuses("mixtral/base", "{\"num_local_experts\":65536,\"num_hidden_layers\":6}", "more than 1048576 matrices of experts");
	refuses("mixtral/base", "{\"num_local_experts\":65537}", "at most 65536 was wanted");
	refuses("mixtral/base", "{\"num_local_experts\":0}", "'num_local_experts' is 0");
	refuses("mixtral/base", "{\"router_jitter_noise\":0.1}", "'router_jitter_noise' is 0.1, only 0");
	refuses("qwen3_moe/norm", "{\"mlp_only_layers\":\"all\"}", "'mlp_only_layers' is \"all\"");
	refuses("qwen3_moe/norm", "{\"decoder_sparse_step\":0}", "'decoder_sparse_step' is 0");
	refuses("qwen3_moe/norm", "{\"norm_topk_prob\":1}", "'norm_topk_prob' is 1");
	refuses("gpt_oss/bf16", "{\"hidden_act\":\"gelu\"}", "'hidden_act' is \"gelu\", only \"silu\"");
	refuses("gpt_oss/bf16", "{\"swiglu_limit\":-1}", "'swiglu_limit' is -1");
	refuses("gpt_oss/mxfp4", "{\"experts_per_token\":3}", "'experts_per_token' is 3, only 2");
	refuses("gpt_oss/mxfp4", "{\"quantization_config\":{\"quant_method\":\"fp8\"}}", "'quantization_config' is {\"quant_method\":\"fp8\"}");
	accepts("mixtral/base", "{\"num_experts\":6,\"sliding_window\":0}");
	accepts("gpt_oss/mxfp4", "{}");
	accepts("gpt_oss/bf16", "{\"layer_types\":null,\"rope_parameters\":null,\"swiglu_alpha\":null,\"sliding_window\":null}");
}

int main(void)
{
	struct pm_err e;

	shared = golden_dir();
	if (!mkdtemp(tmp))
		return 1;
	if (shared) {
		experts();
		wrong_configs();
		wrong_expert();
	} else {
		skip("golden data is not there");
	}
	pm_remove_tree(tmp, &e);
	return done();
}
