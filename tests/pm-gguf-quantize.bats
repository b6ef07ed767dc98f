# pm-gguf quantize: the same files as llama-quantize's; options; refusals; types for a size.
load lib

models=fixtures/quant/models

# same MODEL FILE WANT OPTION...: the file quantised is the golden one, byte for byte, on one thread and on three.
same() {
	local dir want
	dir=$(golden_path $models/$1)
	want=$dir/quantised/$3
	pm-gguf quantize "$dir/$2" -o out.gguf -q -j 3 "${@:4}" >lines && [ ! -s lines ] && cmp out.gguf "$want" || { echo "$want"; return 1; }
	pm-gguf quantize "$dir/$2" -o one.gguf -q -j 1 "${@:4}" && cmp one.gguf "$want"
}

# errors FILE: the lines of --json as NAME RELATIVE
errors() {
	jq -r 'select(.relative) | "\(.tensor) \(.relative)"' "$1"
}

@test "pm-gguf quantize: whole files are llama-quantize's" {
	needs_golden $models
	for t in IQ4_XS Q2_K Q4_0 Q4_K_M Q6_K Q8_0; do
		same llama llama.bf16.gguf $t.gguf --to $t
	done
	same llama quantised/Q8_0.gguf Q4_0.from-Q8_0.gguf --to q4_0 --allow-requantize
	same gemma3 gemma3.bf16.gguf Q8_0.gguf --to Q8_0
	same gpt2 gpt2.f32.gguf Q8_0.gguf --to Q8_0
	same mixtral mixtral.f16.gguf Q8_0.gguf --to Q8_0
	same qwen2 qwen2.f16.gguf Q8_0.gguf --to Q8_0
	same qwen2 qwen2.f16.gguf Q4_K_M.gguf --to Q4_K
	same qwen3moe qwen3moe.bf16.gguf Q4_K_M.gguf --to Q4_K_M
	for t in Q4_K_M Q8_0 IQ4_XS; do
		same stories260K stories260K.f32.gguf $t.gguf --to $t
	done
}

@test "pm-gguf quantize: with importance too, from either form of file" {
	needs_golden $models
	dir=$(golden_path $models)
	same llama llama.bf16.gguf Q4_K_M.imatrix.gguf --to Q4_K_M --imatrix "$dir/llama/imatrix/imatrix.gguf"
	same qwen3moe qwen3moe.bf16.gguf Q4_K_M.imatrix.gguf --to Q4_K_M --imatrix "$dir/qwen3moe/imatrix/imatrix.gguf"
	same stories260K stories260K.f32.gguf Q4_0.imatrix.gguf --to Q4_0 --imatrix "$dir/stories260K/imatrix/imatrix.gguf"
	pm-gguf quantize "$dir/llama/llama.bf16.gguf" -o old.gguf -q --to Q4_K_M --imatrix "$dir/llama/imatrix/imatrix.dat"
	[ "$(pm-gguf dump --json old.gguf | jq -r '.keys["quantize.imatrix.file"]')" = imatrix.dat ]
}

@test "pm-gguf quantize: IQ2 and IQ3 files have llama-quantize's types and sizes" {
	needs_golden $models
	dir=$(golden_path $models/llama)
	for t in IQ2_XXS IQ3_XXS; do
		pm-gguf quantize "$dir/llama.bf16.gguf" -o $t.gguf --json --to $t --imatrix "$dir/imatrix/imatrix.gguf" >$t.json
		diff <(pm-gguf dump --tensors $t.gguf) <(pm-gguf dump --tensors "$dir/quantised/$t.imatrix.gguf")
		[ "$(errors $t.json | wc -l)" -eq 16 ]
	done
}

@test "pm-gguf quantize: a split model, and the report" {
	needs_golden $models
	dir=$(golden_path $models/stories260K)
	pm-gguf quantize "$dir/split/stories260K-00002-of-00003.gguf" -o a.gguf --to Q8_0 --json >a.json
	pm-gguf dump --json a.gguf | jq -e '.keys | has("split.no") | not'
	jq -es '.[] | select(.tensor == "token_embd.weight") | .from == "f16" and .to == "q8_0" and .bytes == 34816 and (.rmse > 0) and (.rmse < 0.01) and
		.relative < 0.01 and .cosine > 0.9999 and .max < 0.05 and .shape == [512, 64]' a.json
	[ "$(errors a.json | wc -l)" -eq 31 ]
	tail -1 a.json | jq -e '.type == "Q8_0" and .bytes < .bytes_from and .bpw > 8 and .bpw < 13 and .values == 260032'
	pm-gguf quantize "$dir/split/stories260K-00001-of-00003.gguf" --dry-run --to Q8_0 >dry
	grep -qP '^token_embd.weight\tf16\tq8_0\t34816$' dry
	[ "$(wc -l <dry)" -eq "$(($(pm-gguf dump --tensors a.gguf | wc -l) + 1))" ]
}

@test "pm-gguf quantize: a model directory gives the tensors of the file converted from it" {
	needs_golden $models
	dir=$(golden_path $models)
	for m in llama/Q4_K_M qwen2/Q8_0 gemma3/Q8_0 gpt2/Q8_0 stories260K/Q4_K_M; do
		pm-gguf quantize "$dir/${m%/*}/hf" -o dir.gguf -q --to "${m#*/}"
		diff <(pm-gguf hash dir.gguf | sed 's/dir.gguf//' | head -n -1) <(pm-gguf hash "$dir/${m%/*}/quantised/${m#*/}.gguf" | head -n -1)
		pm-gguf dump --json --keys dir.gguf | jq -S '.keys | del(.["general.name"], .["general.size_label"])' >have
		pm-gguf dump --json --keys "$dir/${m%/*}/quantised/${m#*/}.gguf" | jq -S '.keys | del(.["general.name"], .["general.size_label"])' >want
		diff have want
	done
}

@test "pm-gguf quantize: options for types" {
	needs_golden $models
	m=$(golden_path $models/llama)/llama.bf16.gguf
	types() {
		pm-gguf quantize "$m" --dry-run "$@" | cut -f 1,3
	}
	types --to Q4_K_M --pure >t
	! grep -E 'weight\s(q6_k|q5_k)' t
	types --to Q4_K_M --tensor-type 'blk\.0\.FFN_(up|gate)=q8_0' --tensor-type attn_v=bf16 --output-tensor-type q5_k --token-embedding-type f16 >t
	grep -qP '^blk.0.ffn_up.weight\tq8_0' t
	grep -qP '^blk.1.ffn_up.weight\tq4_k' t
	grep -qP '^blk.1.attn_v.weight\tbf16' t
	grep -qP '^output.weight\tq5_k' t
	grep -qP '^token_embd.weight\tf16' t
	types --to Q4_0 --leave-output-tensor | grep -qP '^output.weight\tbf16'
	pm-gguf quantize --to help | grep -qx IQ4_XS
}

@test "pm-gguf quantize: a size instead of a type" {
	needs_golden $models
	dir=$(golden_path $models/llama)
	for x in 3 4.5 6.5; do
		pm-gguf quantize "$dir/llama.bf16.gguf" -o $x.gguf --target-bpw $x --imatrix "$dir/imatrix/imatrix.gguf" --json >$x.json
		tail -1 $x.json | jq -e ".bpw <= $x and .bpw > $x - 0.2"
	done
	# less is more: the mean error of the output falls with the size, and at the size of a mix it is below the mix's
	mean() { jq -s '[.[] | select(.relative) | .relative * .relative] | add' "$1"; }
	pm-gguf quantize "$dir/llama.bf16.gguf" -o mix.gguf --to Q4_K_M --imatrix "$dir/imatrix/imatrix.gguf" --json >mix.json
	bpw=$(tail -1 mix.json | jq .bpw)
	pm-gguf quantize "$dir/llama.bf16.gguf" -o as.gguf --target-bpw "$bpw" --imatrix "$dir/imatrix/imatrix.gguf" --json >as.json
	jq -en "$(mean 3.json) > $(mean 4.5.json) and $(mean 4.5.json) > $(mean 6.5.json) and $(mean as.json) < $(mean mix.json)"
	fails_with 64 "the least that is possible is" pm-gguf quantize "$dir/llama.bf16.gguf" --dry-run --target-bpw 1
	fails_with 64 "no effect with --target-bpw" pm-gguf quantize "$dir/llama.bf16.gguf" --dry-run --target-bpw 4 --pure
}

@test "pm-gguf quantize: MLX's and bitsandbytes' directories, the same bytes as theirs" {
	needs_golden fixtures/quant/mlx fixtures/quant/bnb
	mlx=$(golden_path fixtures/quant/mlx) bnb=$(golden_path fixtures/quant/bnb)
	# FILE: its tensors by name, with a sum of their bytes
	bytes() {
		local n
		n=$(od -An -t u8 -N 8 "$1" | tr -d ' ')
		dd if="$1" bs=1 skip=8 count="$n" status=none | jq -r 'to_entries[] | select(.key != "__metadata__") |
			"\(.key) \(.value.dtype) \(.value.shape) \(.value.data_offsets[0]) \(.value.data_offsets[1])"' |
			while read -r name dtype shape from to; do
				echo "$name $dtype $shape $(tail -c +$((9 + n + from)) "$1" | head -c $((to - from)) | cksum)"
			done | sort
	}
	pm-gguf quantize "$mlx/base" -o a --to mlx-4bit -q
	diff <(bytes a/model.safetensors) <(bytes "$mlx/models/affine4/model.safetensors")
	jq -e '.quantization == {"group_size":64,"bits":4,"mode":"affine"} and .quantization_config == .quantization' a/config.json
	pm-gguf quantize "$mlx/base" -o b --to mlx-8bit --group-size 32 --json | jq -e '.bpw > 9 and .bpw < 9.1'
	diff <(bytes b/model.safetensors) <(bytes "$mlx/models/affine8-g32/model.safetensors")
	pm-gguf quantize "$bnb/base" -o c --to nf4 --double-quant -q
	diff <(bytes c/model.safetensors) <(bytes "$bnb/models/nf4-double/model.safetensors")
	pm-gguf quantize "$bnb/base" -o d --to fp4 -q
	diff <(bytes d/model.safetensors) <(bytes "$bnb/models/fp4/model.safetensors")
	jq -e '.quantization_config | .quant_method == "bitsandbytes" and .load_in_4bit and .bnb_4bit_quant_type == "fp4"' d/config.json
	[ -f a/tokenizer.json ] || [ ! -f "$mlx/base/tokenizer.json" ]
	fails_with 65 "quantised" pm-gguf quantize a -o e --to nf4
	fails_with 64 "has no effect" pm-gguf quantize "$mlx/base" -o e --to nf4 --pure
	fails_with 64 "has no effect" pm-gguf quantize "$mlx/base" -o e --to mlx-4bit --double-quant
	fails_with 64 "in groups of 32, 64 or 128" pm-gguf quantize "$mlx/base" -o e --to mlx-7bit
	fails_with 64 "a model directory was wanted" pm-gguf quantize "$mlx/base/model.safetensors" -o e --to nf4
	[ ! -e e ]
}

@test "pm-gguf quantize: what cannot be done is said" {
	needs_golden $models $models/llama/quantised
	dir=$(golden_path $models/llama)
	m=$dir/llama.bf16.gguf
	fails_with 64 "either --to TYPE or --target-bpw X" pm-gguf quantize "$m" -o x.gguf
	fails_with 64 "'Q9_X' is no file type" pm-gguf quantize "$m" -o x.gguf --to Q9_X
	fails_with 64 "-o FILE was wanted" pm-gguf quantize "$m" --to Q4_0
	fails_with 64 "one model was wanted" pm-gguf quantize --to Q4_0 -o x.gguf
	fails_with 64 "tensor 'blk.0.attn_k.weight' as iq2_xxs needs importance" pm-gguf quantize "$m" -o x.gguf --to IQ2_XXS
	fails_with 64 "is q8_0 already" pm-gguf quantize "$dir/quantised/Q8_0.gguf" -o x.gguf --to Q4_0
	fails_with 64 "'rope_freqs' has no effect" pm-gguf quantize "$m" -o x.gguf --to Q4_0 --tensor-type rope_freqs=q8_0
	fails_with 64 "'q4_9' is no type" pm-gguf quantize "$m" -o x.gguf --to Q4_0 --tensor-type a=q4_9
	fails_with 64 "--pure has no effect with --to F16" pm-gguf quantize "$m" -o x.gguf --to F16 --pure
	fails_with 65 "importance of 'blk.0.attn_k.weight'" pm-gguf quantize "$m" -o x.gguf --to Q4_0 \
		--imatrix "$(golden_path $models/stories260K)/imatrix/imatrix.gguf"
	fails_with 65 "general.type = 'imatrix' was wanted" pm-gguf quantize "$m" -o x.gguf --to Q4_0 --imatrix "$m"
	fails_with 65 "importance" pm-gguf quantize "$m" -o x.gguf --to Q4_0 --imatrix "$dir/imatrix/calibration.txt"
	[ ! -e x.gguf ]
	pm-gguf quantize "$(golden_path $models/stories260K)/stories260K.f32.gguf" --dry-run --to Q1_0 2>said >/dev/null
	grep -q "have no whole blocks of q1_0: they become f16 (llama-quantize refuses them)" said
}
