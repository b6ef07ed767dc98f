# pm-train: golden runs through the command line, the invariants of a run (how it is cut, threads, interruption), what it refuses.
load lib

# The options that the golden runs of fixtures/llama/base were made with, apart from the schedule's shape.
lora_run="--lr 0.005 --warmup 2 --schedule cosine --weight-decay 0.01 --betas 0.9,0.999 --eps 1e-8 --clip 1"
full_run="--lr 0.001 --warmup 2 --schedule linear --weight-decay 0.01 --betas 0.9,0.95 --eps 1e-8 --clip 1"

base() {
	golden_path fixtures/llama/base
}

# FILE: every value of a file of float32 tensors, tensors by name: "NAME value", one a line.
values() {
	local n
	n=$(od -An -tu8 -N8 "$1" | tr -d ' ')
	dd if="$1" bs=1 skip=8 count="$n" status=none | jq -r 'to_entries[] | select(.key != "__metadata__") |
		[.key, (.value.data_offsets | .[0] / 4, .[1] / 4)] | @tsv' | sort >names.tmp
	od -An -v -w4 -tf4 -j $((8 + n)) "$1" | awk 'NR == FNR { name[NR] = $1; from[NR] = $2; to[NR] = $3; n = NR; next }
		{ v[FNR - 1] = $1 } END { for (i = 1; i <= n; i++) for (k = from[i]; k < to[i]; k++) print name[i], v[k] }' names.tmp -
}

# OURS THEIRS START TOL: |ours - theirs| / |theirs - start| over all tensors together is at most TOL; the names are the same.
moved_as() {
	values "$1" >ours.v && values "$2" >theirs.v && values "$3" >start.v
	[ "$(wc -l <ours.v)" -gt 1000 ]
	cut -d' ' -f1 ours.v >ours.n && cut -d' ' -f1 theirs.v | cmp - ours.n && cut -d' ' -f1 start.v | cmp - ours.n
	paste -d' ' ours.v theirs.v start.v | awk -v tol="$4" '{ d += ($2 - $4) ^ 2; m += ($4 - $6) ^ 2 }
		END { r = sqrt(d / m); print "differs by", r, "of the movement"; exit !(m > 0 && r <= tol) }'
}

# METRICS KIND: losses, norms and rates are those of golden.json
steps_as() {
	jq -s -e --slurpfile g "$(base)/golden.json" --arg k "$2" 'def near(a; b; t): (a - b | fabs) <= t * (b | fabs) + 1e-15;
		($g[0][$k].steps) as $s | length == ($s | length) and length > 3 and all(range(length) as $i | [.[$i], $s[$i]];
			.[0].step == .[1].step and near(.[0].loss; .[1].loss; 2e-5) and near(.[0].grad_norm; .[1].grad_norm; 1e-4) and
			near(.[0].lr; .[1].lr; 1e-9))' "$1"
}

# A file of metrics without what differs from run to run.
bare() {
	jq -c 'del(.seconds, .tokens_per_s, .peak_rss_mb)' "$1"
}

# Waits until FILE has N lines, or process PID has ended.
lines_or_end() {
	local i
	for ((i = 0; i < 3000; i++)); do
		[ -f "$1" ] && [ "$(wc -l <"$1")" -ge "$2" ] && return 0
		kill -0 "$3" 2>/dev/null || return 0
		sleep 0.02
	done
	return 1
}

@test "pm-train: LoRA from tokens, from blocks and through pipes is the golden run" {
	needs_device
	b=$(base)
	pm-train -q -m "$b" -a "$b/lora/init" $lora_run --batch 2 --no-shuffle --metrics m.jsonl -o out "$b/lora/train.jsonl"
	steps_as m.jsonl lora
	moved_as out/adapter_model.safetensors "$b/lora/final/adapter_model.safetensors" "$b/lora/init/adapter_model.safetensors" 5e-4
	pm-tokenize -q "$b/lora/train.jsonl" | pm-pack -q -l 24 --no-shuffle | tee blocks | pm-train -q -m "$b" -a "$b/lora/init" $lora_run --batch 2 \
		--accum 1 --no-shuffle --epochs 1 --seed 1 --save-every 3 --metrics n.jsonl -o piped -
	diff <(bare m.jsonl) <(bare n.jsonl)
	cmp out/adapter_model.safetensors piped/adapter_model.safetensors
	pm-train -q -m "$b" -a "$b/lora/init" $lora_run --batch 2 --no-shuffle -o blocked blocks
	cmp out/adapter_model.safetensors blocked/adapter_model.safetensors
	diff <(bare m.jsonl) <(bare blocked/metrics.jsonl)
	[ "$(cd piped && echo *)" = "adapter_config.json adapter_model.safetensors checkpoint-3 checkpoint-6 checkpoint-8 provenance.json" ]
	jq -e -s 'all(.tokens == 48 and .trained > 0 and .tokens_per_s > 0 and .peak_rss_mb > 1 and .seconds > 0)' m.jsonl
}

@test "pm-train: the whole model is the golden run, stored as asked" {
	needs_device
	b=$(base)
	pm-train -q -m "$b" --full --dtype f32 $full_run --batch 2 --no-shuffle -o out "$b/full/train.jsonl"
	steps_as out/metrics.jsonl full
	moved_as out/model.safetensors "$b/full/final.safetensors" "$b/model.safetensors" 5e-4
	diff <(jq -S . "$b/config.json") <(jq -S . out/config.json)
	pm-train -q -m "$b" --full --dtype bf16 $full_run --batch 2 --no-shuffle -o half "$b/full/train.jsonl"
	pm-inspect --json half | jq -e '.types | keys == ["bf16"]'
	jq -e '(.torch_dtype // .dtype) == "bfloat16"' half/config.json
	for d in "$b" out half; do
		pm-eval -q -m $d "$b/full/train.jsonl"
	done | jq -s -e '.[1].loss < .[0].loss - 0.02 and (.[2].loss - .[1].loss | fabs) < 0.005'
}

@test "pm-train: however a step is cut, and on however many threads: the same bits" {
	needs_device
	b=$(base)
	common="-q -m $b --lora 2 --dropout 0.2 --lr 0.01 -s 5"
	pm-train $common --batch 4 -o a "$b/lora/train.jsonl"
	pm-train $common --batch 1 --accum 4 -j 1 -o b "$b/lora/train.jsonl"
	pm-train $common --batch 2 --accum 2 -j 2 --gradient-checkpointing -o c "$b/lora/train.jsonl"
	for d in b c; do
		cmp a/adapter_model.safetensors $d/adapter_model.safetensors
		diff <(bare a/metrics.jsonl) <(bare $d/metrics.jsonl)
	done
	pm-train $common --batch 4 -s 6 -o other "$b/lora/train.jsonl"
	! cmp -s a/adapter_model.safetensors other/adapter_model.safetensors
	common="-q -m $b --full --lr 0.001"
	pm-train $common --batch 3 -o d "$b/full/train.jsonl"
	pm-train $common --accum 3 --gradient-checkpointing -j 1 -o e "$b/full/train.jsonl"
	cmp d/model.safetensors e/model.safetensors
	diff <(bare d/metrics.jsonl) <(bare e/metrics.jsonl)
	[ "$(wc -l <d/metrics.jsonl)" -eq 6 ]           # 16 rows by 3: the last step is short
}

@test "pm-train: shuffled and in order, epochs and steps" {
	needs_device
	b=$(base)
	pm-train -q -m "$b" --lora 2 -n 3 --epochs 9 -o a "$b/lora/train.jsonl"
	[ "$(jq -s 'map(.step) == [1, 2, 3]' a/metrics.jsonl)" = true ]
	pm-train -q -m "$b" --lora 2 --lr 0 --epochs 2 --batch 16 -o b "$b/lora/train.jsonl"
	pm-train -q -m "$b" --lora 2 --lr 0 --epochs 2 --no-shuffle --batch 16 -o c "$b/lora/train.jsonl"
	jq -s -e '.[0].epoch == 1 and .[1].epoch == 2 and (.[0].loss - .[1].loss | fabs) < 1e-5' b/metrics.jsonl
	jq -s -e '.[0].loss == .[1].loss' c/metrics.jsonl
	# at rate 0 the losses of an epoch are those of its rows: shuffled, each comes once an epoch, in another order each time
	pm-train -q -m "$b" --lora 2 --lr 0 --epochs 2 -o d "$b/lora/train.jsonl"
	pm-train -q -m "$b" --lora 2 --lr 0 --no-shuffle -o e "$b/lora/train.jsonl"
	jq .loss e/metrics.jsonl | sort >rows
	head -16 d/metrics.jsonl | jq .loss >one
	tail -16 d/metrics.jsonl | jq .loss >two
	sort one | cmp - rows
	sort two | cmp - rows
	! cmp -s one two
}

@test "pm-train: --grads are the golden gradients, and nothing else is written" {
	needs_device
	b=$(base)
	pm-tokenize -q "$b/tokens.jsonl" | pm-pack -q -l 64 --no-shuffle | pm-train -q -m "$b" --full --batch 2 --grads g.safetensors
	values "$b/golden.safetensors" | sed -n 's/^grad\.//p' >want
	values g.safetensors >got
	[ "$(wc -l <got)" -eq 25440 ]
	paste -d' ' got want | awk '$1 != $3 { print "names", $1, $3; exit 1 } { d[$1] += ($2 - $4) ^ 2; n[$1] += $4 ^ 2 }
		END { for (k in d) if (sqrt(d[k]) > 1e-4 * sqrt(n[k])) { print k, sqrt(d[k] / n[k]); exit 1 } }'
	[ "$(echo g.*)" = g.safetensors ] && [ ! -e metrics.jsonl ]
	pm-train -q -m "$b" -a "$b/lora/init" --batch 2 --no-shuffle --grads a.safetensors "$b/lora/train.jsonl"
	values "$b/lora/golden.safetensors" | sed -n 's/^grad\.//p' >want
	values a.safetensors >got
	paste -d' ' got want | awk '$1 != $3 { print "names", $1, $3; exit 1 } { d[$1] += ($2 - $4) ^ 2; n[$1] += $4 ^ 2 }
		END { for (k in d) if (sqrt(d[k]) > 1e-4 * sqrt(n[k])) { print k, sqrt(d[k] / n[k]); exit 1 } }'
}

@test "pm-train: interrupted by a signal and resumed: the same bits, and the status says so" {
	needs_device
	b=$(base)
	for kind in "--lora 2 --dropout 0.3 --schedule cosine --warmup 3" "--full --schedule linear"; do
		rm -rf whole cut
		common="-q -m $b $kind --lr 0.01 --epochs 8 --batch 2 -s 3 $b/lora/train.jsonl"
		pm-train $common -o whole
		for signal in TERM INT; do
			pm-train $common -o cut --resume >said 2>&1 3>&- &
			pid=$!
			lines_or_end cut/metrics.jsonl 5 $pid
			kill -s $signal $pid
			status=0
			wait $pid || status=$?
			echo "$kind $signal: $status"
			[ "$status" -eq "$([ $signal = TERM ] && echo 143 || echo 130)" ]
			[ "$(echo cut/checkpoint-*)" != 'cut/checkpoint-*' ] && [ ! -e cut/adapter_model.safetensors ] && [ ! -e cut/model.safetensors ]
			pm-train $common -o cut --resume
			cmp whole/*model.safetensors cut/*model.safetensors
			diff <(bare whole/metrics.jsonl) <(bare cut/metrics.jsonl)
			rm -rf cut
		done
	done
}

@test "pm-train: killed at any moment and resumed: the same bits, nothing half written" {
	needs_device
	b=$(base)
	for kind in "--lora 2 --dropout 0.3" "--full"; do
		rm -rf whole cut
		common="-q -m $b $kind --lr 0.01 --epochs 4 --batch 2 -s 3 $b/lora/train.jsonl"
		pm-train $common -o whole --save-every 1 --keep 2
		kills=0
		for at in 1 4 9 17 25; do
			pm-train $common -o cut --save-every 1 --keep 2 --resume 3>&- &
			pid=$!
			lines_or_end cut/metrics.jsonl $at $pid
			kill -9 $pid 2>/dev/null && kills=$((kills + 1))
			wait $pid || true
			for f in cut/checkpoint-*[0-9]; do
				[ ! -d "$f" ] || [ "$f" != "${f%.tmp}" ] || jq -e .step "$f/trainer_state.json" >/dev/null
			done
		done
		[ "$kills" -ge 3 ]
		pm-train $common -o cut --save-every 1 --keep 2 --resume
		cmp whole/*model.safetensors cut/*model.safetensors
		diff <(bare whole/metrics.jsonl) <(bare cut/metrics.jsonl)
		diff <(cd whole && find . | sort) <(cd cut && find . | sort)
		[ "$(cd cut && echo checkpoint-*)" = "checkpoint-31 checkpoint-32" ]
	done
}

@test "pm-train: --resume refuses other rows and options, and begins where there is nothing" {
	needs_device
	b=$(base)
	common="-q -m $b --lora 2 --batch 4 --save-every 1"
	pm-train $common -n 2 --resume -o out "$b/lora/train.jsonl"
	[ -e out/adapter_model.safetensors ] && [ -e out/checkpoint-2 ]
	cp -r out before
	pm-train $common -n 2 --resume -o out "$b/lora/train.jsonl"
	cmp before/adapter_model.safetensors out/adapter_model.safetensors
	diff before/metrics.jsonl out/metrics.jsonl
	fails_with 65 "lr 0.0002, not 0.001" pm-train $common -n 2 --lr 0.001 --resume -o out "$b/lora/train.jsonl"
	fails_with 65 "the run to resume had lora 2, not 3" pm-train $common -n 2 --lora 3 --resume -o out "$b/lora/train.jsonl"
	fails_with 65 "the run to resume had seed" pm-train $common -n 2 -s 4 --resume -o out "$b/lora/train.jsonl"
	fails_with 65 "out/checkpoint-2: the run to resume had rows \"" pm-train $common -n 2 --resume -o out "$b/tokens.jsonl"
	diff -r before out
	fails_with 73 "out: holds a result already (adapter_model.safetensors)" pm-train $common -o out "$b/lora/train.jsonl"
	rm -r out/checkpoint-*
	fails_with 73 "and no checkpoint" pm-train $common -n 2 --resume -o out "$b/lora/train.jsonl"
}

@test "pm-train: a written adapter is read by PEFT's rules: by pm-infer, pm-eval and pm-train" {
	needs_device
	b=$(base)
	pm-train -q -m "$b" --lora 3 --alpha 5 --targets q_proj,v_proj --lr 0.05 --epochs 2 -o out "$b/lora/train.jsonl"
	jq -e --arg b "$b" '.base_model_name_or_path == $b and .r == 3 and .lora_alpha == 5 and .peft_type == "LORA" and
		(.target_modules | sort) == ["q_proj", "v_proj"]' out/adapter_config.json
	jq -e '.tool == "pm-train" and (.command | contains("--alpha 5")) and (.rows_sha256 | length) == 64' out/provenance.json
	before=$(pm-eval -q -m "$b" "$b/lora/train.jsonl" | jq .loss)
	pm-eval -q -m "$b" -a out "$b/lora/train.jsonl" | jq -e --argjson b "$before" '.loss < $b - 0.05'
	pm-eval -q -m "$b" -a out=0 "$b/lora/train.jsonl" | jq -e --argjson b "$before" '(.loss - $b | fabs) < 1e-6'
	jq -c '{ids: .ids[:8]}' "$b/lora/train.jsonl" | head -2 | pm-infer -q -m "$b" -a out --json -t 0 -n 4 --ignore-eos | jq -s -e 'map(.ids | length) == [4, 4]'
	# going on from it begins where it ended
	pm-train -q -m "$b" -a out --lr 0 --batch 16 --no-shuffle -o more "$b/lora/train.jsonl"
	after=$(pm-eval -q -m "$b" -a out "$b/lora/train.jsonl" | jq .loss)
	jq -e --argjson a "$after" '(.loss - $a | fabs) < 1e-5' more/metrics.jsonl
	jq -e '.r == 3 and .lora_alpha == 5' more/adapter_config.json
}

@test "pm-train: LoRA on weights in MLX's and bitsandbytes' codes is LoRA on their values, bit for bit" {
	needs_golden fixtures/quant/mlx/models/affine4/config.json fixtures/quant/bnb/models/nf4-double/config.json
	needs_device
	local m
	jq -nc 'range(6) as $i | {ids: [range(12) | (. * 37 + $i * 11) % 300]}' >rows.jsonl
	for m in mlx/models/affine4 mlx/models/affine8-g32 bnb/models/nf4-double bnb/models/fp4; do
		m=$(golden_path "fixtures/quant/$m/config.json")
		m=${m%/*}
		rm -rf plain a b
		pm-train -q -m "$m" --full --lr 0 --steps 1 --dtype f32 --precision f32 -o plain rows.jsonl
		jq -e '.quantization == null and .quantization_config == null' plain/config.json
		pm-train -q -m "$m" --lora 4 --lr 1e-2 --batch 2 --epochs 2 --precision f32 -o a rows.jsonl
		pm-train -q -m plain --lora 4 --lr 1e-2 --batch 2 --epochs 2 --precision f32 -o b rows.jsonl
		values a/adapter_model.safetensors >a.v && values b/adapter_model.safetensors >b.v
		[ "$(wc -l <a.v)" -gt 1000 ]
		cmp a.v b.v
		jq -s -e '(map(.loss) | first - last) > 0.01' a/metrics.jsonl
	done
}

@test "pm-train: models with experts: in full, saved under the files' own names, resumed, as plan; from blocks as floats" {
	needs_device
	for c in qwen3_moe/norm gpt_oss/bf16; do
		b=$(golden_path fixtures/$c)
		steps=$(jq '.full.steps | length' "$b/golden.json")
		pm-train -q -m "$b" --full --dtype f32 --precision f32 $full_run --batch 2 --no-shuffle --epochs 100 --steps "$steps" -o out "$b/full/train.jsonl"
		jq -s -e --slurpfile g "$b/golden.json" '$g[0].full.steps as $s | length == ($s | length) and
			all(range(length) as $i | [.[$i], $s[$i]]; ((.[0].loss - .[1].loss | fabs) <= 2e-5 * .[1].loss))' out/metrics.jsonl
		pm-inspect --tensors "$b" | cut -f1,3 | sort >want
		pm-inspect --tensors out | cut -f1,3 | sort | diff want -
		pm-train -q -m "$b" --full --dtype f32 --precision f32 $full_run --batch 2 --no-shuffle --epochs 100 --steps "$steps" --save-every 2 -o two "$b/full/train.jsonl"
		cmp out/model.safetensors two/model.safetensors
		rm -r two/model.safetensors two/checkpoint-"$steps" two/provenance.json
		pm-train -q -m "$b" --full --dtype f32 --precision f32 $full_run --batch 2 --no-shuffle --epochs 100 --steps "$steps" --save-every 2 --resume -o two "$b/full/train.jsonl"
		cmp out/model.safetensors two/model.safetensors
		pm-train -q -m "$b" --full --precision f32 --grads g.safetensors --batch 100 --accum 1 "$b/tokens.jsonl"
		pm-inspect --tensors g.safetensors | cut -f1,3 | sort | diff want -
		rm -r out two
	done
	b=$(golden_path fixtures/gpt_oss/mxfp4)
	pm-eval -q --precision f32 -m "$b" "$b/tokens.jsonl" >before
	pm-train -q -m "$b" --full --dtype f32 --precision f32 --lr 0 --weight-decay 0 --steps 1 --save-every 1 -o out "$b/tokens.jsonl"
	jq -e 'has("quantization_config") | not' out/config.json
	pm-inspect --tensors out | grep -qxF $'model.layers.1.mlp.experts.gate_up_proj\tf32\t[5,64,64]'
	pm-inspect --tensors out | grep -qxF $'model.layers.1.mlp.experts.down_proj\tf32\t[5,32,64]'
	pm-eval -q --precision f32 -m out "$b/tokens.jsonl" | jq -e --slurpfile b before '(.loss - $b[0].loss | fabs) < 1e-6 * .loss'
	pm-train -q -m "$b" --full --dtype f32 --precision f32 --lr 0 --weight-decay 0 --steps 1 --save-every 1 --resume -o out "$b/tokens.jsonl"
	pm-train -m "$(golden_path fixtures/mixtral/base)" --full --plan "$b/tokens.jsonl" >plan
	[ -s plan ]
}

@test "pm-train: adapters of experts, apart and in one: however a step is cut the same bits; new ones; on blocks" {
	needs_device
	for c in mixtral/window/lora mixtral/window/fused/lora gpt_oss/bf16/fused/lora; do
		l=$(golden_path fixtures/$c)
		b=${l%/lora} b=${b%/fused}
		common="-q -m $b -a $l/init --lr 0.005 --epochs 1"
		pm-train $common --batch 4 -o a "$l/train.jsonl"
		pm-train $common --batch 1 --accum 4 -j 1 -o b "$l/train.jsonl"
		pm-train $common --batch 2 --accum 2 --gradient-checkpointing -o c "$l/train.jsonl"
		cmp a/adapter_model.safetensors b/adapter_model.safetensors
		cmp a/adapter_model.safetensors c/adapter_model.safetensors
		diff <(jq -S 'del(.base_model_name_or_path)' "$l/init/adapter_config.json") <(jq -S 'del(.base_model_name_or_path)' a/adapter_config.json)
		rm -r a b c
	done
	b=$(golden_path fixtures/mixtral/window)
	pm-train -q -m "$b" --lora 2 --lr 0.02 --epochs 2 -o new "$b/lora/train.jsonl"
	jq -e '.target_modules == ["k_proj", "o_proj", "q_proj", "v_proj", "w1", "w2", "w3"] and .target_parameters == null' new/adapter_config.json
	pm-inspect --tensors new | grep -qxF $'base_model.model.model.layers.1.block_sparse_moe.experts.5.w2.lora_B.weight\tf32\t[40,2]'
	pm-eval -q -m "$b" "$b/lora/train.jsonl" >before
	pm-eval -q -m "$b" --adapter new "$b/lora/train.jsonl" | jq -e --slurpfile b before '.loss < $b[0].loss - 0.02'
	b=$(golden_path fixtures/gpt_oss/mxfp4)
	pm-train -q -m "$b" --lora 2 --lr 0.02 --epochs 2 --targets experts.gate_up_proj,experts.down_proj -o blocks "$b/lora/train.jsonl"
	jq -e '.target_modules == [] and .target_parameters == ["experts.down_proj", "experts.gate_up_proj"]' blocks/adapter_config.json
	pm-inspect --tensors blocks | grep -qxF $'base_model.model.model.layers.1.mlp.experts.base_layer.lora_B.weight\tf32\t[64,10]'
	pm-eval -q -m "$b" "$b/lora/train.jsonl" >before
	pm-eval -q -m "$b" --adapter blocks "$b/lora/train.jsonl" | jq -e --slurpfile b before '.loss < $b[0].loss - 0.02'
	fails_with 65 "'lora_dropout' is 0.1" pm-train -q -m "$b" --lora 2 --dropout 0.1 --targets gate_up_proj -o none "$b/lora/train.jsonl"
}

@test "pm-train: --router-aux-loss makes the use of experts more even, and says how even it is" {
	needs_device
	b=$(golden_path fixtures/qwen3_moe/norm)
	common="-q -m $b --full --precision f32 --dtype f32 --lr 0.005 --epochs 3 --batch 2"
	pm-train $common -o without "$b/full/train.jsonl"
	pm-train $common --router-aux-loss 1 -o with "$b/full/train.jsonl"
	jq -s -e 'all(has("router_aux_loss") | not)' without/metrics.jsonl
	jq -s -e 'all(.router_aux_loss > 2.9) and .[-1].router_aux_loss < .[0].router_aux_loss' with/metrics.jsonl
	! cmp -s with/model.safetensors without/model.safetensors
	pm-train $common --router-aux-loss 1 --gradient-checkpointing -o again "$b/full/train.jsonl"
	cmp with/model.safetensors again/model.safetensors
	fails_with 64 "the model has no experts" pm-train -q -m "$(base)" --lora 2 --router-aux-loss 0.1 -o none "$(base)/lora/train.jsonl"
}

@test "pm-train: --init: from scratch, reproducible by the seed, tokenizer files go along" {
	needs_device
	cp "$(tiny)"/*.json . && rm -f model.safetensors
	jq '.num_hidden_layers = 1' "$(tiny)/config.json" >config.json
	printf '%s\n' '{"text":"one two three four"}' '{"text":"five six seven eight nine"}' '{"text":"ten"}' >texts.jsonl
	pm-tokenize -q -m "$(tiny)" texts.jsonl | pm-pack -q -l 48 >blocks
	pm-train -q --init config.json --lr 3e-3 --epochs 30 -s 2 -o a blocks
	pm-train -q --init config.json --lr 3e-3 --epochs 30 -s 2 -j 1 -o b blocks
	cmp a/model.safetensors b/model.safetensors
	pm-train -q --init config.json --lr 3e-3 --epochs 30 -s 1 -o c blocks
	! cmp -s a/model.safetensors c/model.safetensors
	jq -s -e 'length == 30 and .[0].loss > 4 and .[29].loss < .[0].loss - 1' a/metrics.jsonl
	cmp tokenizer.json a/tokenizer.json && cmp tokenizer_config.json a/tokenizer_config.json
	[ "$(pm-infer -q -m a -n 3 'one two' | wc -l)" -ge 1 ]
}

@test "pm-train: --eval measures held-out rows as pm-eval does, also longer ones" {
	needs_device
	b=$(base)
	pm-train -q -m "$b" --lora 2 -n 3 --batch 2 --eval "$b/tokens.jsonl" --eval-every 2 -o out "$b/lora/train.jsonl"
	jq -s -c 'map(select(.eval_loss)) | map(.step)' out/metrics.jsonl | grep -xF '[2,3]'
	last=$(jq 'select(.step == 3 and .eval_loss) | .eval_loss' out/metrics.jsonl)
	pm-eval -q -m "$b" -a out "$b/tokens.jsonl" | jq -e --argjson l "$last" '(.loss - $l | fabs) < 1e-5 * $l'
	jq -c '{ids: (.ids + .ids)}' "$b/lora/train.jsonl" | head -3 >longer.jsonl
	pm-train -q -m "$b" --lora 2 -n 3 --batch 2 --eval longer.jsonl --eval-every 1 -o more "$b/lora/train.jsonl"
	last=$(jq 'select(.step == 3 and .eval_loss) | .eval_loss' more/metrics.jsonl)
	pm-eval -q -m "$b" -a more longer.jsonl | jq -e --argjson l "$last" '(.loss - $l | fabs) < 1e-5 * $l'
	cmp out/adapter_model.safetensors more/adapter_model.safetensors        # looking changes nothing
	diff <(bare out/metrics.jsonl | grep -v eval) <(bare more/metrics.jsonl | grep -v eval)
}

@test "pm-train: --plan prints what is needed and writes nothing; what does not fit is refused at once" {
	needs_device
	b=$(base)
	pm-train -q -m "$b" --lora 4 --batch 2 --plan -o out "$b/lora/train.jsonl" >plan
	grep -qE '^rows +16 of up to 32 tokens, 8 steps$' plan
	grep -qE '^weights +[0-9]+ bytes \(mapped\)$' plan
	grep -qE '^gradients\+moments +46848 bytes$' plan
	[ ! -e out ]
	pm-train -q --init "$b/config.json" --plan "$b/lora/train.jsonl" | grep -qE '^weights +101760 bytes$'
	jq '.hidden_size = 65536 | .intermediate_size = 262144 | .head_dim = 128 | .num_hidden_layers = 80 | .num_attention_heads = 512' \
		"$b/config.json" >huge.json
	fails_with 69 "huge.json: training every weight needs" timeout 20 pm-train -q --init huge.json --plan "$b/lora/train.jsonl"
	fails_with 69 "huge.json: training every weight needs" timeout 20 pm-train -q --init huge.json -o out "$b/lora/train.jsonl"
	jq '.hidden_size = 1024 | .intermediate_size = 2048 | .head_dim = 128 | .num_hidden_layers = 1' "$b/config.json" >large.json
	fails_with 69 "a smaller --batch, --gradient-checkpointing, shorter rows (pm-pack -l) or --lora would help" timeout 60 \
		pm-train -q --init large.json --batch 65536 -o out "$b/lora/train.jsonl"
	[ ! -e out ]
}

@test "pm-train: numbers that are not finite end the run with 65 and no result" {
	needs_device
	b=$(base)
	mkdir nan && cp "$b/config.json" nan
	at=$((8 + $(od -An -tu8 -N8 "$b/model.safetensors" | tr -d ' ') + 4000))
	{ head -c $at "$b/model.safetensors"; printf '\000\000\300\177'; tail -c +$((at + 5)) "$b/model.safetensors"; } >nan/model.safetensors
	fails_with 65 "step 1: the loss is not finite" pm-train -q -m nan --lora 2 -o out "$b/lora/train.jsonl"
	fails_with 65 "step 1: the loss is not finite" pm-train -q -m nan --full -o out "$b/lora/train.jsonl"
	fails_with 65 "the loss is not finite" pm-train -q -m nan --full --grads g "$b/lora/train.jsonl"
	[ "$(cd out && echo *)" = metrics.jsonl ] && [ ! -s out/metrics.jsonl ] && [ ! -e g ]
}

@test "pm-train: data that will not do" {
	needs_device
	b=$(base)
	common="pm-train -q -m $b --lora 2 -o out"
	: >none
	fails_with 65 "none: is empty" $common none
	fails_with 65 "standard input: is empty" $common -
	fails_with 66 "nowhere" $common nowhere
	echo '{"ids":[1,2,131]}' >rows.jsonl
	fails_with 65 "rows.jsonl: record 1: token 131 does not exist: the model's vocabulary has 131" $common rows.jsonl
	printf '%s\n' '{"ids":[1,2,3]}' '{"ids":[]}' >rows.jsonl
	fails_with 65 "rows.jsonl: record 2: has no tokens" $common rows.jsonl
	printf '%s\n' '{"ids":[1,2,3]}' '{"ids":[1,2,3]' >rows.jsonl
	fails_with 65 "rows.jsonl: line" $common rows.jsonl
	echo '{"ids":[1,2,3],"weights":[1,0,0]}' >rows.jsonl
	fails_with 65 "there is nothing to learn" $common rows.jsonl
	pm-tokenize -q -m "$(tiny)" <<<'{"text":"abc"}' >tok
	cp -rL "$(tiny)" other && chmod -R u+w other && echo >>other/tokenizer.json
	fails_with 65 "another tokenizer" pm-train -q -m other --lora 2 -o out tok
	[ ! -e out ]
}

@test "pm-train: outputs that cannot be written" {
	needs_device
	b=$(base)
	fails_with 74 "/dev/full: cannot write: No space left" pm-train -q -m "$b" --lora 2 --metrics /dev/full -o out "$b/lora/train.jsonl"
	[ -c /dev/full ] && [ ! -e out/adapter_model.safetensors ]
	fails_with 74 "/dev/full" pm-train -q -m "$b" --lora 2 --grads /dev/full "$b/lora/train.jsonl"
	fails_with 73 "nodir/m: cannot create" pm-train -q -m "$b" --lora 2 --metrics nodir/m -o out "$b/lora/train.jsonl"
	: >file
	fails_with 73 "file: a directory was wanted" pm-train -q -m "$b" --lora 2 -o file "$b/lora/train.jsonl"
	fails_with 73 "/proc/out" pm-train -q -m "$b" --lora 2 -o /proc/out "$b/lora/train.jsonl"
	mkdir small
	if mount -t tmpfs -o size=80k none small 2>/dev/null; then
		status=0
		pm-train -q -m "$b" --full -o small/out "$b/lora/train.jsonl" 2>said || status=$?
		left=$(ls small/out)
		umount small
		[ "$status" -eq 74 ] && [ "$(wc -l <said)" -eq 1 ] && grep -q 'No space left' said
		! grep -q 'model.safetensors\|tmp' <<<"$left"
	fi
	# metrics on a pipe, also of a run that goes on
	pm-train -q -m "$b" --lora 2 -n 2 --save-every 1 --metrics - -o piped "$b/lora/train.jsonl" | cat >m
	[ "$(wc -l <m)" -eq 2 ]
	rm -r piped/checkpoint-2 piped/adapter_model.safetensors
	pm-train -q -m "$b" --lora 2 -n 2 --save-every 1 --metrics /dev/stdout --resume -o piped "$b/lora/train.jsonl" | cat >n
	[ "$(jq -s -c 'map(.step)' n)" = "[2]" ]
}

@test "pm-train: options that make no sense together" {
	b=$(base)
	rows=$b/lora/train.jsonl
	fails_with 64 "one of --lora, --adapter, --full and --init was wanted, 0 were given" pm-train -m "$b" -o out "$rows"
	fails_with 64 "2 were given" pm-train -m "$b" --lora 2 --full -o out "$rows"
	fails_with 64 "-m was wanted" pm-train --lora 2 -o out "$rows"
	fails_with 64 "-o was wanted" pm-train -m "$b" --lora 2 "$rows"
	fails_with 64 "--model has no effect" pm-train -m "$b" --init "$b/config.json" -o out "$rows"
	fails_with 64 "two different things" pm-train -m "$b" --lora 2 --plan --grads g "$rows"
	fails_with 64 "--alpha has no effect without --lora" pm-train -m "$b" --full --alpha 3 -o out "$rows"
	fails_with 64 "--dropout has no effect without --lora" pm-train -m "$b" -a "$b/lora/init" --dropout 0.1 -o out "$rows"
	fails_with 64 "--dtype has no effect on an adapter" pm-train -m "$b" --lora 2 --dtype f32 -o out "$rows"
	fails_with 64 "--eval-every has no effect without --eval" pm-train -m "$b" --lora 2 --eval-every 3 -o out "$rows"
	fails_with 64 "--keep has no effect without --save-every" pm-train -m "$b" --lora 2 --keep 3 -o out "$rows"
	fails_with 64 "--save-every has no effect with --grads" pm-train -m "$b" --lora 2 --grads g --save-every 3 "$rows"
	fails_with 64 "unknown option '--bogus'" pm-train -m "$b" --bogus "$rows"
	fails_with 64 "--lr: a number was wanted" pm-train -m "$b" --lora 2 --lr abc -o out "$rows"
	needs_device
	fails_with 64 "--betas: two numbers" pm-train -q -m "$b" --lora 2 --betas 0.9 -o out "$rows"
	fails_with 64 "--betas: two numbers" pm-train -q -m "$b" --lora 2 --betas ,0.9 -o out "$rows"
	fails_with 64 "--betas: two numbers" pm-train -q -m "$b" --lora 2 --betas 0.9,1 -o out "$rows"
	fails_with 64 "--layers: numbers and ranges" pm-train -q -m "$b" --lora 2 --layers 1-0 -o out "$rows"
	fails_with 64 "--rank-pattern: 'q_proj': a number was wanted" pm-train -q -m "$b" --lora 2 --rank-pattern '{"q_proj":"x"}' -o out "$rows"
	fails_with 65 "'nothing' means no module" pm-train -q -m "$b" --lora 2 --targets nothing -o out "$rows"
	fails_with 66 "nowhere" pm-train -q -m nowhere --lora 2 -o out "$rows"
	fails_with 66 "nowhere/adapter_config.json" pm-train -q -m "$b" -a nowhere -o out "$rows"
	[ ! -e out ]
}
