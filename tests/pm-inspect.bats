# pm-inspect: what it says of models, files, adapters, configurations and devices, and what it refuses.
load lib

has() {         # TEXT: a line of the file `out` that is so, blanks apart
	grep -qE "^ *$1\$" out || { echo "no line '$1' in:"; cat out; return 1; }
}

@test "pm-inspect: a model: family, sizes, parameters, types, memory" {
	pm-inspect "$(golden_path fixtures/llama/base)" >out
	has 'family +llama'
	has 'layers +2'
	has 'hidden +32'
	has 'feed-forward +56'
	has 'heads +4'
	has 'kv heads +2'
	has 'head size +8'
	has 'vocabulary +131, head apart'
	has 'positions +256, rope 500000'
	has 'parameters +25440 \(25.4 k\)'
	has 'f32 +21 tensors, 102 kB'
	has 'to run +358 kB: 102 kB of weights, 256 kB of keys and values for 1000 tokens'
	has 'to train +352 kB and activations with LoRA of rank 16 \(15.6 k parameters\)'
	has '407 kB and activations in full'
}

@test "pm-inspect: --json: parameters are the sum of the tensors' sizes, memory is as the page says" {
	for m in llama/base gemma3/base; do
		dir=$(golden_path fixtures/$m)
		pm-inspect --json --tensors -l 10 --lora 4 "$dir" >out
		[ "$(wc -l <out)" -eq 1 ]
		jq -e '.parameters == ([.tensors[].shape | reduce .[] as $n (1; . * $n)] | add)' out
		jq -e '.bytes == 4 * .parameters and .types == {f32: {tensors: (.tensors | length), bytes: .bytes}}' out
		jq -e '.memory.kv == 10 * .layers * 2 * .kv_heads * .head_dim * 4 and .memory.run == .bytes + .memory.kv' out
		jq -e '.memory.train_full == 16 * .parameters and .memory.train_lora == .bytes + 16 * .memory.lora_parameters' out
	done
	# rank 4 over q, k, v, o, gate, up, down of llama/base
	[ "$(pm-inspect --json --lora 4 "$(golden_path fixtures/llama/base)" | jq .memory.lora_parameters)" -eq \
		$((2 * 4 * (64 + 48 + 48 + 64 + 3 * (32 + 56)))) ]
}

@test "pm-inspect: layers that differ are listed" {
	pm-inspect "$(golden_path fixtures/gemma3/base)" >out
	has 'family +gemma3 \(gemma3_text\)'
	has 'window +6, 0, 6'
	has 'positions +256, rope 1000000 linear ×8, rope 10000'
	has 'vocabulary +131, head tied to the embedding'
}

@test "pm-inspect: experts, and how many parameters a token meets" {
	pm-inspect "$(golden_path fixtures/qwen3_moe/sparse)" >out
	has 'family +qwen3_moe'
	has 'feed-forward +44, 8, 44 ×2'
	has 'experts +0, 12, 0 ×2'
	has 'of a token +0, 2, 0 ×2'
	has 'parameters +44496 \(44.5 k\), 36816 of a token'
	has 'bf16 +80 tensors, 89.0 kB'
	pm-inspect "$(golden_path fixtures/gpt_oss/mxfp4)" >out
	has 'experts +5'
	has 'mxfp4 +6 tensors, 49.0 kB'
	pm-inspect --json "$(golden_path fixtures/mixtral/base)" | jq -e '.experts == 6 and .chosen == 2 and .active == .parameters - 2 * 4 * 3 * 28 * 40'
	pm-inspect --json "$(golden_path fixtures/llama/base)" | jq -e '.experts == 0 and .active == .parameters'
}

@test "pm-inspect: --tensors lists names, types and shapes" {
	pm-inspect --tensors "$(golden_path fixtures/llama/base)" >out
	[ "$(wc -l <out)" -eq 21 ]
	grep -qxF $'model.layers.1.self_attn.k_proj.weight\tf32\t[16,32]' out
	pm-inspect --tensors "$(golden_path fixtures/llama/base)/model.safetensors" | cmp - out
}

@test "pm-inspect: a file of tensors, with what its header says besides" {
	pm-inspect "$(golden_path fixtures/llama/base)/model.safetensors" >out
	has 'parameters +25440 \(25.4 k\)'
	has 'format +pt'
	pm-inspect --json "$(golden_path fixtures/llama/base)/model.safetensors" | jq -e '.kind == "tensors" and .metadata == {format: "pt"}'
}

@test "pm-inspect: an adapter" {
	pm-inspect "$(golden_path fixtures/llama/base)/lora/init" >out
	has 'kind +LORA'
	has 'rank +4'
	grep -q 'targets .*q_proj' out
	pm-inspect --json "$(golden_path fixtures/llama/base)/lora/init" | jq -e '.kind == "adapter" and .r == 4 and (.target_modules | length) > 0'
}

@test "pm-inspect: a configuration without tensors, by its own family program or another" {
	pm-inspect --json "$(golden_path fixtures/llama/base)/config.json" >out
	jq -e '.kind == "config" and .parameters == 25440 and .types == null and .memory.weights == 101760' out
	pm-inspect --json --family "$PM_TOP/share/family/llama.jq" "$(golden_path fixtures/llama/base)/config.json" | cmp - out
}

@test "pm-inspect: shards by their directory and by their index" {
	needs_golden fixtures/llama/sharded-bf16
	dir=$(golden_path fixtures/llama/sharded-bf16)
	pm-inspect "$dir" >out
	has 'bf16 +21 tensors, 50.9 kB'
	has 'files +[2-9]'
	pm-inspect --json "$dir" | jq 'del(.path)' >one
	pm-inspect --json "$dir/model.safetensors.index.json" | jq 'del(.path)' >two
	cmp one two
}

@test "pm-inspect: several paths, one after the other" {
	pm-inspect "$(golden_path fixtures/llama/base)" "$(golden_path fixtures/gemma3/base)" >out
	[ "$(grep -c family out)" -eq 2 ]
}

@test "pm-inspect: refuses with the right status and names what is wrong" {
	dir=$(golden_path fixtures/llama/base)
	fails_with 64 "a model directory or a file was wanted" pm-inspect
	fails_with 64 "--tensors has no effect" pm-inspect --tensors "$dir/config.json"
	fails_with 64 "--family has no effect" pm-inspect --family x.jq "$dir/model.safetensors"
	fails_with 64 "--devices takes no path" pm-inspect --devices "$dir"
	fails_with 64 "--tensors has no effect with --devices" pm-inspect --devices --tensors
	fails_with 66 "nowhere: No such file" pm-inspect nowhere
	mkdir empty
	fails_with 66 "empty: no model.safetensors" pm-inspect empty
	cp -r "$dir" model && chmod -R u+w model
	jq '.hidden_act = "mish"' "$dir/config.json" >model/config.json
	fails_with 65 "model/config.json: family llama: 'hidden_act' is \"mish\", known are silu" pm-inspect model
	jq '.num_hidden_layers = 3' "$dir/config.json" >model/config.json
	fails_with 65 "model: 9 tensors are missing: 'model.layers.2." pm-inspect model
	cp "$dir/config.json" model
	truncate -s -100 model/model.safetensors
	fails_with 65 "model/model.safetensors: tensor '" pm-inspect model
	truncate -s 0 model/model.safetensors
	fails_with 65 "model/model.safetensors: 0 bytes" pm-inspect model
	rm model/config.json
	cp "$dir/model.safetensors" model
	fails_with 66 "model/config.json" pm-inspect model
	run --separate-stderr bash -c "pm-inspect '$dir' >/dev/full"
	[ "$status" -eq 74 ]
}

@test "pm-inspect: --devices" {
	needs_device
	pm-inspect --devices >out
	grep -qE $'^0\t(cpu|gpu|other)\t' out
	pm-inspect --devices --json | jq -e -s '.[0].device == 0 and .[0].units > 0 and .[0].memory > 0'
	t=$(tiny)
	pm-infer -q -m "$t" -n 3 --profile a 2>before >/dev/null
	! grep -q floor before
	pm-inspect --devices --measure --json | jq -e -s '.[0].rates | .f32 > 1e8 and .read > 1e7 and .bf16 >= 0'
	pm-infer -q -m "$t" -n 3 --profile a 2>after >/dev/null
	head -1 after | grep -q 'floor %'
	grep -q '^(launch)' after
	fails_with 64 "--measure has no effect without --devices" pm-inspect --measure "$t"
}

@test "pm-inspect: --devices where there is none is status 69" {
	mkdir none
	OCL_ICD_VENDORS=$PWD/none fails_with 69 "no OpenCL device was found" pm-inspect --devices
}

@test "pm-inspect: the family program in the examples of pm-family.5 is one" {
	sed -n '/^\.Sh EXAMPLES/,/^\.Ed/p' "$PM_TOP/man/pm-family.5" | sed '1,/^\.Bd/d; /^\.Ed/d; s/^\\&//' >mine.jq
	jq '.logits_scaling = 4 | del(.hidden_act)' "$(golden_path fixtures/llama/base)/config.json" >config.json
	pm-inspect --json --family mine.jq config.json | jq -e '.family == "mine" and .tied'
	jq '.logits_scaling = "4"' config.json >other.json
	fails_with 65 "other.json: mine.jq: 'logits_scaling' is \"4\", a number was wanted" pm-inspect --family mine.jq other.json
}
