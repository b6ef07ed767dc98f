# pm-gguf convert and export: the reference converter's bytes, there and back; adapters; training on a GGUF file.
load lib

models=fixtures/quant/models

# NAME FILE TYPE: the models of the collection whose families there are.
each() {
	printf '%s\n' "llama llama.bf16 bf16" "qwen2 qwen2.f16 f16" "qwen3 qwen3.f16 f16" "gemma3 gemma3.bf16 bf16" "gpt2 gpt2.f32 f32" \
		"stories260K stories260K.f32 f32" "mixtral mixtral.f16 f16" "qwen3moe qwen3moe.bf16 bf16" "gptoss gptoss.bf16 bf16"
}

# FILE: every tensor's name and hash.
tensors() {
	pm-gguf hash -q "$1" | grep -vF "$1" | sort
}

# FILE: values of a safetensors file's tensors, by name: "NAME DTYPE SHAPE HASH".
st_tensors() {
	local n name dtype shape from to
	n=$(od -An -tu8 -N8 "$1" | tr -d ' ')
	dd if="$1" bs=1 skip=8 count="$n" status=none | jq -r 'to_entries[] | select(.key != "__metadata__") |
		[.key, .value.dtype, (.value.shape | tojson), (.value.data_offsets[])] | @tsv' | sort |
	while IFS=$'\t' read -r name dtype shape from to; do
		echo "$name $dtype $shape $(tail -c +$((9 + n + from)) "$1" | head -c $((to - from)) | sha256sum | cut -c1-16)"
	done
}

@test "pm-gguf convert: the file is the reference converter's, byte for byte" {
	needs_golden $models/llama/golden.json
	m=$(golden_path $models)
	each | while read -r name file type; do
		pm-gguf convert "$m/$name/hf" --to "$type" --name "$name" -o out.gguf
		cmp out.gguf "$m/$name/$file.gguf"
	done
}

@test "pm-gguf convert: the type of the matrices, chosen or found; blocks where the columns allow them" {
	needs_golden $models/llama/golden.json
	m=$(golden_path $models)
	pm-gguf convert "$m/llama/hf" --dry-run >out
	grep -q '^blk.0.attn_q.weight	bf16	\[256,256\]' out
	grep -q '^blk.0.attn_norm.weight	f32	\[256\]	1024$' out
	tail -1 out | grep -q '^[0-9]* keys, 22 tensors, [0-9]* bytes$'
	pm-gguf convert "$m/stories260K/hf" --dry-run | grep -q '^token_embd.weight	f16'
	pm-gguf convert "$m/stories260K/hf" --to q8_0 -o q.gguf
	pm-gguf dump --tensors q.gguf >out
	grep -q '^blk.0.ffn_down.weight	f16' out
	grep -q '^blk.0.ffn_up.weight	q8_0' out
	pm-gguf dump --json --keys q.gguf | jq -e '.keys["general.file_type"] == 7 and .keys["general.name"] == "Hf"'
	TMPDIR=$PWD pm-gguf convert "$m/qwen2/hf" -o r.gguf
	[ "$(ls)" = "$(printf '%s\n' out q.gguf r.gguf)" ]
}

@test "pm-gguf convert: what the user says of it" {
	needs_golden $models/qwen3/golden.json
	m=$(golden_path $models)/qwen3/hf
	echo '{"general.author": "A", "general.tags": ["x", "y"], "general.license": "mit"}' >meta.json
	pm-gguf convert "$m" -o a.gguf --metadata meta.json --name N --override qwen3.context_length=u32:99 --override my.list='i32[]:[1,2]' \
		--override tokenizer.ggml.eos_token_id=u32:3
	pm-gguf dump --json a.gguf >a.json
	jq -e '.keys | .["general.name"] == "N" and .["general.author"] == "A" and .["general.tags"] == ["x", "y"] and .["general.license"] == "mit" and
		.["qwen3.context_length"] == 99 and .["my.list"] == [1, 2] and .["tokenizer.ggml.eos_token_id"] == 3' a.json
	jq -e '.keys | keys_unsorted | index("general.author") == index("general.name") + 1 and .[-1] == "my.list"' a.json
	echo '{"llama.block_count": 3}' >bad.json
	fails_with 65 "'llama.block_count' of --metadata is not known" pm-gguf convert "$m" -o b.gguf --metadata bad.json
	fails_with 64 "KEY=TYPE:VALUE was wanted" pm-gguf convert "$m" -o b.gguf --override x
	[ ! -e b.gguf ]
}

@test "pm-gguf convert: what cannot be done is said" {
	needs_golden $models/llama/golden.json
	m=$(golden_path $models)/llama
	fails_with 64 "one directory was wanted" pm-gguf convert
	fails_with 64 "-o was wanted" pm-gguf convert "$m/hf"
	fails_with 64 "-o has no effect" pm-gguf convert --dry-run -o x "$m/hf"
	fails_with 64 "is a GGUF file already" pm-gguf convert -o x "$m/llama.bf16.gguf"
	fails_with 64 "--base has no effect on a model" pm-gguf convert -o x --base "$m/hf" "$m/hf"
	fails_with 64 "--to has no effect on an adapter" pm-gguf convert -o x --to f32 --base "$m/hf" "$m/lora/peft"
	fails_with 64 "--base was wanted: the model that the adapter is for ('hf' is not here)" pm-gguf convert -o x "$m/lora/peft"
	cp -rL "$m/hf" model && chmod -R u+w model
	jq '.rope_scaling = {"rope_type": "dynamic", "factor": 2}' "$m/hf/config.json" >model/config.json
	fails_with 65 "architecture llama: 'rope_type' is \"dynamic\", which no key of a GGUF file can say" pm-gguf convert -o x model
	jq '.hidden_act = "gelu"' "$m/hf/config.json" >model/config.json
	fails_with 65 "'hidden_act' is \"gelu\", only silu can be said" pm-gguf convert -o x model
	[ ! -e x ]
}

@test "pm-gguf export: a model directory with the same values; converted again it is the same file" {
	needs_golden $models/llama/golden.json
	m=$(golden_path $models)
	each | while read -r name file type; do
		rm -rf dir
		dtype="--dtype $type"
		[ "$name" != gptoss ] || dtype=         # so that MXFP4 stays
		# shellcheck disable=SC2086
		pm-gguf export "$m/$name/$file.gguf" $dtype -o dir
		[ -f dir/tokenizer.json ] && [ -f dir/tokenizer_config.json ]
		if [ "$name" != qwen3 ]; then           # a BF16 directory made F16
			st_tensors dir/model.safetensors >have
			st_tensors "$m/$name/hf/model.safetensors" | cmp - have
		fi
		pm-inspect --json dir | jq -S 'del(.path, .files)' >have
		pm-inspect --json "$m/$name/hf" | jq -S 'del(.path, .files)' >want
		[ "$name" = qwen3 ] || cmp have want
		pm-gguf convert dir --to "$type" --name "$name" -o again.gguf
		tensors again.gguf >have
		tensors "$m/$name/$file.gguf" | cmp - have
		# a directory has the merges of a SentencePiece model, not its scores
		case $name in stories260K|gemma3|mixtral) less='del(.["tokenizer.ggml.scores", "tokenizer.ggml.token_type"])' ;; *) less=. ;; esac
		pm-gguf dump --json --keys again.gguf | jq -S ".keys | $less" >have
		pm-gguf dump --json --keys "$m/$name/$file.gguf" | jq -S ".keys | $less" | diff - have
	done
}

@test "pm-gguf convert, export: experts in other forms mean the same" {
	needs_golden $models/gptoss/golden.json
	m=$(golden_path $models)
	pm-gguf export "$m/gptoss/gptoss.bf16.gguf" --dtype f32 -o floats           # stacks of (in, out), gate and up in turns
	jq -e 'has("quantization_config") | not' floats/config.json
	pm-gguf convert floats --to f32 -o floats.gguf
	pm-gguf quantize -q "$m/gptoss/gptoss.bf16.gguf" --to F32 --allow-requantize -o want.gguf
	tensors want.gguf >want
	tensors floats.gguf | cmp - want
	pm-gguf quantize -q "$m/gptoss/hf" --to MXFP4_MOE -o a.gguf                 # blocks as they are, from either
	pm-gguf quantize -q "$m/gptoss/gptoss.bf16.gguf" --to MXFP4_MOE -o b.gguf
	tensors b.gguf >want
	tensors a.gguf | cmp - want
	pm-gguf dump --tensors "$m/gptoss/gptoss.bf16.gguf" | grep exps.weight | cut -f 1 | while read -r t; do
		tensors "$m/gptoss/gptoss.bf16.gguf" | grep "$t" | grep -F -f - want
	done
	fails_with 64 "is mxfp4 already" pm-gguf quantize -q "$m/gptoss/hf" --to Q4_K_M -o c.gguf
	pm-gguf split -q "$m/gptoss/gptoss.bf16.gguf" -o part --max-tensors 10
	pm-gguf join -q part-00001-of-00005.gguf -o joined.gguf
	cmp joined.gguf "$m/gptoss/gptoss.bf16.gguf"
	pm-gguf check part-00001-of-00005.gguf joined.gguf "$m/mixtral/mixtral.f16.gguf" "$m/qwen3moe/qwen3moe.bf16.gguf"
	pm-gguf quantize -q "$m/qwen3moe/hf" --to Q4_K_M -o d.gguf
	tensors "$m/qwen3moe/quantised/Q4_K_M.gguf" >want
	tensors d.gguf | cmp - want
	cp -rL "$m/qwen3moe/hf" model && chmod -R u+w model
	jq '.norm_topk_prob = false' "$m/qwen3moe/hf/config.json" >model/config.json
	fails_with 65 "'norm_topk_prob' is false, a GGUF file of this architecture means true" pm-gguf convert -o x model
	rm -r model
	cp -rL "$m/gptoss/hf" model && chmod -R u+w model
	jq '.layer_types |= reverse' "$m/gptoss/hf/config.json" >model/config.json
	fails_with 65 "'layer_types' is" pm-gguf convert -o x model
	jq '.rope_scaling.truncate = true' "$m/gptoss/hf/config.json" >model/config.json
	fails_with 65 "'truncate' is true" pm-gguf convert -o x model
	pm-gguf set "$m/gptoss/gptoss.bf16.gguf" -o x.gguf gpt-oss.expert_weights_scale=f32:2
	fails_with 65 "'gpt-oss.expert_weights_scale' is 2, which is not known here" pm-gguf export -o y x.gguf
	pm-gguf set "$m/llama/llama.bf16.gguf" -o x.gguf llama.expert_count=u32:4
	fails_with 65 "" pm-gguf export -o y x.gguf
	pm-gguf set "$m/qwen3/qwen3.f16.gguf" -o x.gguf qwen3.expert_count=u32:4
	fails_with 65 "'qwen3.expert_count' is 4, this architecture is known without experts" pm-gguf export -o y x.gguf
}

@test "pm-gguf export: blocks become floats; what cannot be done is said" {
	needs_golden $models/llama/golden.json
	needs_device
	m=$(golden_path $models)/llama
	pm-gguf export "$m/quantised/Q4_K_M.gguf" --dtype f32 -o dir
	echo '{"ids":[330,49,46,44,36,46,267,33,321,11,260,78]}' >t.jsonl
	pm-eval -q --precision f32 -m dir t.jsonl >a
	pm-eval -q --precision f32 -m "$m/quantised/Q4_K_M.gguf" t.jsonl >b
	jq -s -e '(.[0].loss - .[1].loss | fabs) < 1e-5' a b
	fails_with 64 "-o was wanted" pm-gguf export "$m/llama.bf16.gguf"
	fails_with 64 "one file was wanted" pm-gguf export -o x
	fails_with 64 "--base was wanted" pm-gguf export -o x "$m/lora/adapter.f32.gguf"
	fails_with 64 "--dtype has no effect on an adapter" pm-gguf export -o x --dtype f32 --base "$m/hf" "$m/lora/adapter.f32.gguf"
	[ ! -e x ]
}

@test "pm-gguf: adapters there and back, whatever the base is" {
	needs_golden $models/llama/golden.json
	m=$(golden_path $models)
	for name in llama stories260K; do
		b=$m/$name
		pm-gguf convert "$b/lora/peft" --base "$b/hf" -o a.gguf
		cmp a.gguf "$b/lora/adapter.f32.gguf"
		pm-gguf convert "$b/lora/peft" --base "$b/quantised/Q8_0.gguf" -o a.gguf
		cmp a.gguf "$b/lora/adapter.f32.gguf"
		pm-gguf convert "$b/lora/peft" --base "$b/hf/config.json" -o a.gguf
		cmp a.gguf "$b/lora/adapter.f32.gguf"
		for base in hf quantised/Q8_0.gguf; do
			rm -rf dir
			pm-gguf export a.gguf --base "$b/$base" -o dir
			st_tensors dir/adapter_model.safetensors >have
			st_tensors "$b/lora/peft/adapter_model.safetensors" | cmp - have
			jq -S 'del(.base_model_name_or_path)' dir/adapter_config.json >have
			jq -S 'del(.base_model_name_or_path)' "$b/lora/peft/adapter_config.json" | diff - have
		done
	done
}

@test "pm-gguf: adapters of embeddings, of several ranks, with rsLoRA" {
	needs_golden $models/llama/golden.json
	needs_device
	m=$(golden_path $models)/stories260K
	jq -nc 'range(4) as $r | {ids: [range(24) | (. * 37 + $r * 53) % 500]}' >t.jsonl
	pm-train -q --precision f32 --lora 4 --targets embed_tokens,q_proj --rank-pattern '{"layers.1.self_attn.q_proj":2}' --rslora --lr 0.01 -n 3 --gguf -m "$m/hf" \
		-o peft t.jsonl
	pm-gguf dump --tensors peft/adapter.gguf >out
	grep -q '^token_embd.weight.lora_a	f32	\[512,4\]' out
	grep -q '^token_embd.weight.lora_b	f32	\[64,4\]' out
	grep -q '^blk.1.attn_q.weight.lora_a	f32	\[2,64\]' out
	pm-gguf export peft/adapter.gguf --base "$m/hf" -o back
	jq -e '.rank_pattern == {"model.layers.1.self_attn.q_proj": 2} and .target_modules == ["embed_tokens", "q_proj"] and .use_rslora == false' back/adapter_config.json
	for model in hf stories260K.f32.gguf; do
		for a in peft peft/adapter.gguf back; do
			pm-eval -q --precision f32 -m "$m/$model" -a $a t.jsonl
		done
	done | jq -s -e '[.[].loss] | (max - min) / max < 1e-6'
	[ "$(pm-eval -q -m "$m/hf" t.jsonl | jq '.loss > 17.5')" = true ]
}

@test "pm-train: on a GGUF file as on its numbers in a directory: losses, gradients, trajectory" {
	needs_golden $models/llama/golden.json
	needs_device
	m=$(golden_path $models)/llama
	jq -nc 'range(6) as $r | {ids: [range(24) | (. * 37 + $r * 53) % 330]}' >t.jsonl
	for q in Q4_K_M Q8_0 IQ3_XXS.imatrix; do
		f=$m/quantised/$q.gguf
		rm -rf dir g h
		pm-gguf export "$f" --dtype f32 -o dir
		o="-q --precision f32 --lora 4 --lr 0.01 --batch 2 --no-shuffle --epochs 2 --seed 3"
		pm-train $o -m "$f" --gguf -o g t.jsonl
		pm-train $o -m dir -o h t.jsonl
		jq -s -e --slurpfile h h/metrics.jsonl 'def near(a; b): (a - b | fabs) <= 1e-5 * (b | fabs); length == 6 and
			all(range(length) as $i | [.[$i], $h[$i]]; near(.[0].loss; .[1].loss) and near(.[0].grad_norm; .[1].grad_norm))' g/metrics.jsonl
		jq -S 'del(.base_model_name_or_path)' g/adapter_config.json >have
		jq -S 'del(.base_model_name_or_path)' h/adapter_config.json | diff - have
		pm-eval -q --precision f32 -m dir -a g t.jsonl >a
		pm-eval -q --precision f32 -m dir -a h t.jsonl >b
		pm-eval -q --precision f32 -m "$f" -a h t.jsonl >c
		pm-gguf convert g --base "$f" --name g -o g.gguf
		cmp g.gguf g/adapter.gguf
		pm-eval -q --precision f32 -m dir -a g.gguf t.jsonl >d
		pm-eval -q --precision f32 -m dir t.jsonl >e
		jq -s -e 'def near(a; b): (a - b | fabs) <= 1e-5 * b; (.[0].loss * 1.05 < .[4].loss) and all(.[1, 2, 3]; near(.loss; $a[0].loss))' --slurpfile a a a b c d e
	done
}

@test "pm-train: on a GGUF file with experts as on its numbers in a directory; adapters of experts both ways" {
	needs_golden $models/qwen3moe/golden.json
	needs_device
	m=$(golden_path $models)
	jq -nc 'range(6) as $r | {ids: [range(24) | (. * 37 + $r * 53) % 330]}' >t.jsonl
	while read -r file targets; do
		f=$m/$file
		rm -rf dir g h back
		pm-gguf export "$f" --dtype f32 -o dir
		o="-q --precision f32 --lora 4 --lr 0.01 --batch 2 --no-shuffle --seed 3 --targets $targets"
		pm-train $o -m "$f" --gguf -o g t.jsonl
		pm-train $o -m dir -o h t.jsonl
		jq -s -e --slurpfile h h/metrics.jsonl 'def near(a; b): (a - b | fabs) <= 1e-5 * (b | fabs); length == 3 and
			all(range(length) as $i | [.[$i], $h[$i]]; near(.[0].loss; .[1].loss) and near(.[0].grad_norm; .[1].grad_norm))' g/metrics.jsonl
		pm-gguf convert g --base "$f" --name g -o g.gguf
		cmp g.gguf g/adapter.gguf
		pm-gguf export g.gguf --base "$f" -o back
		st_tensors back/adapter_model.safetensors >have
		st_tensors g/adapter_model.safetensors | cmp - have
		for a in g g.gguf h; do
			pm-eval -q --precision f32 -m dir -a $a t.jsonl
			pm-eval -q --precision f32 -m "$f" -a $a t.jsonl
		done | jq -s -e '[.[].loss] | (max - min) / max < 1e-5'
	done <<-END
		qwen3moe/quantised/Q4_K_M.gguf q_proj,gate_proj,up_proj,down_proj
		mixtral/quantised/Q8_0.gguf all-linear
		gptoss/gptoss.bf16.gguf all-linear
	END
}

@test "pm-eval, pm-inspect: a model in parts" {
	needs_golden $models/stories260K/golden.json
	needs_device
	m=$(golden_path $models)/stories260K
	pm-eval -q --precision f32 -m "$m/split/stories260K-00001-of-00003.gguf" --text "$m/perplexity.txt" >a
	pm-eval -q --precision f32 -m "$m/hf" --text "$m/perplexity.txt" >b
	jq -s -e '(.[0].loss - .[1].loss | fabs) < 1e-4 and .[0].tokens == .[1].tokens' a b      # the parts hold halves
	pm-inspect --json "$m/split/stories260K-00001-of-00003.gguf" | jq -e '.family == "llama" and .kind == "model" and .layers == 5 and (.files | length) == 3'
}

@test "pm-train: what a GGUF file cannot do" {
	needs_golden $models/llama/golden.json
	needs_device
	m=$(golden_path $models)/llama
	echo '{"ids":[1,2,3]}' >t.jsonl
	fails_with 64 "every weight is trained from a model directory" pm-train -q --full -m "$m/llama.bf16.gguf" -o out t.jsonl
	fails_with 64 "--gguf has no effect without an adapter" pm-train -q --full --gguf -m "$m/hf" -o out t.jsonl
	fails_with 64 "GGUF adapters have no modules that are saved whole" pm-train -q --lora 2 --modules-to-save lm_head --gguf -m "$m/hf" -o out t.jsonl
	pm-gguf set "$m/llama.bf16.gguf" -o x.gguf general.architecture=str:llama9
	fails_with 65 "'general.architecture' is \"llama9\", known are gemma" pm-eval -q -m x.gguf t.jsonl
}

@test "pm-infer: greedy tokens of GGUF files are the reference's" {
	needs_golden $models/llama/golden.json
	needs_device
	m=$(golden_path $models)
	each | while read -r name file type; do
		g=$m/$name/golden.json
		jq -c '{ids: .input_ids}' "$g" | pm-infer -q --precision f32 --json --ignore-eos -t 0 -n "$(jq '.greedy | length' "$g")" -m "$m/$name/$file.gguf" >out
		jq -e --slurpfile g "$g" '.ids == $g[0].greedy' out
		jq -r '.quantised // {} | keys[]' "$g" | while read -r q; do
			jq -e --arg q "$q" '.quantised[$q].greedy_margin > 0.005' "$g" >/dev/null || continue
			jq -c '{ids: .input_ids}' "$g" | pm-infer -q --precision f32 --json --ignore-eos -t 0 -n "$(jq --arg q "$q" '.quantised[$q].greedy | length' "$g")" \
				-m "$m/$name/quantised/$q.gguf" >out
			jq -e --slurpfile g "$g" --arg q "$q" '.ids == $g[0].quantised[$q].greedy' out
		done
	done
}
