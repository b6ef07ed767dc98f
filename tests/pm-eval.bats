# pm-eval: golden losses and logits, windows, several documents against one at a time, what it refuses.
load lib

base() {
	golden_path fixtures/llama/base
}

# A B TOL: numbers near each other, relative to B
near() {
	awk -v a="$1" -v b="$2" -v t="$3" 'BEGIN { d = a - b; d = d < 0 ? -d : d; m = b < 0 ? -b : b; if (!(d <= t * m)) { print a, b; exit 1 } }'
}

# FILE NAME: the float32 or int32 (with a third argument "d4") values of a tensor, one a line
tensor() {
	local n from to
	n=$(od -An -tu8 -N8 "$1" | tr -d ' ')
	read -r from to < <(dd if="$1" bs=1 skip=8 count="$n" status=none | jq -r --arg t "$2" '.[$t].data_offsets | "\(.[0]) \(.[1])"')
	od -An -v -w4 "-t${3-f4}" -j $((8 + n + from)) -N $((to - from)) "$1"
}

@test "pm-eval: loss and logits are the golden ones, through the pipe" {
	needs_device
	for c in llama/base gemma3/base gpt2/base qwen3/base mixtral/window qwen3_moe/norm; do
		b=$(golden_path fixtures/$c)
		pm-tokenize -q "$b/tokens.jsonl" | pm-eval -q -m "$b" --logits l.safetensors >out
		[ "$(wc -l <out)" -eq 1 ]
		near "$(jq .loss out)" "$(jq .loss "$b/golden.json")" 1e-5
		jq -e --argjson n "$(wc -l <"$b/tokens.jsonl")" '.documents == $n and .tokens > 0 and (.perplexity - (.loss | exp) | fabs) < 1e-9 * .perplexity' out
		tensor l.safetensors logits >ours
		tensor "$b/golden.safetensors" logits >theirs
		paste ours theirs | awk -v s="$(jq .logits_std "$b/golden.json")" '{ d = $1 - $2; d = d < 0 ? -d : d; if (d > m) m = d }
			END { print NR, "values, worst", m / s; exit !(NR > 1000 && m <= 1e-4 * s) }'
		for t in input_ids lengths; do
			cmp <(tensor l.safetensors $t d4) <(tensor "$b/golden.safetensors" $t d4)
		done
		pm-inspect --tensors l.safetensors | grep -qE "^logits	f32	\[$(jq .documents out),[0-9]+,$(jq .vocab_size "$b/config.json")\]$"
		pm-inspect --tensors l.safetensors | grep -qE "^input_ids	i32	\[$(jq .documents out),[0-9]+\]$"
	done
}

@test "pm-eval: the sum over documents, packed or not, in one file or several" {
	needs_device
	b=$(golden_path fixtures/packing/llama)
	pm-eval -q -m "$b" "$b/tokens.jsonl" >whole
	jq -e --slurpfile g "$b/golden.json" '.documents == ($g[0].documents | length)' whole
	near "$(jq .nll whole)" "$(jq '[.documents[].loss_sum] | add' "$b/golden.json")" 1e-5
	near "$(jq .loss whole)" "$(jq '.loss' "$b/golden.json")" 1e-5
	pm-pack -q -l 128 "$b/tokens.jsonl" | pm-eval -q -m "$b" >packed
	near "$(jq .nll packed)" "$(jq .nll whole)" 1e-6
	[ "$(jq -c '[.tokens, .documents]' packed)" = "$(jq -c '[.tokens, .documents]' whole)" ]
	head -3 "$b/tokens.jsonl" >one
	tail -n +4 "$b/tokens.jsonl" >two
	pm-eval -q -m "$b" one two | cmp - whole
	i=0
	while read -r line; do
		echo "$line" | pm-eval -q -m "$b" >doc || { jq -e '.weights | all(. == 0)' <<<"$line" >/dev/null; continue; }
		near "$(jq .nll doc)" "$(jq ".documents[$i].loss_sum" "$b/golden.json")" 2e-5
		i=$((i + 1))
	done < <(head -4 "$b/tokens.jsonl")
	pm-eval -q --reference -m "$b" "$b/tokens.jsonl" >plain
	near "$(jq .nll plain)" "$(jq .nll whole)" 1e-5
	pm-eval -q -j 1 -m "$b" "$b/tokens.jsonl" | cmp - whole
}

@test "pm-eval: windows and strides: each token once, in the first window that predicts it" {
	needs_device
	b=$(base)
	jq -c -n '{ids: [range(40) | . * 37 % 131]}' >doc
	pm-eval -q -m "$b" doc >whole
	[ "$(jq .tokens whole)" -eq 39 ]
	pm-eval -q -m "$b" -l 40 doc | cmp - whole
	pm-eval -q -m "$b" -l 64 --stride 8 doc | cmp - whole
	# windows that do not overlap are documents of their own: the first token of each is predicted by nothing
	pm-eval -q -m "$b" -l 16 doc >cut
	jq -c -n '[range(40) | . * 37 % 131] | {ids: .[:16]}, {ids: .[16:32]}, {ids: .[32:]}' >pieces
	pm-eval -q -m "$b" pieces >apart
	[ "$(jq .tokens cut)" -eq "$(jq .tokens apart)" ]
	near "$(jq .nll cut)" "$(jq .nll apart)" 1e-6
	# with a stride: the first window whole, then what is new in each
	pm-eval -q -m "$b" -l 16 --stride 4 doc >strided
	[ "$(jq .tokens strided)" -eq 39 ]
	sum=$(for from in 0 4 8 12 16 20 24; do
		jq -c -n --argjson f $from '[range(40) | . * 37 % 131] | {ids: .[$f:$f + 16], weights: [range(16) | if $f == 0 or . >= 12 then 1 else 0 end]}'
	done | pm-eval -q -m "$b" | jq .nll)
	near "$(jq .nll strided)" "$sum" 1e-6
	fails_with 64 "--stride has no effect without -l" pm-eval -m "$b" --stride 4 doc
	fails_with 64 "--stride 20 would skip tokens" pm-eval -m "$b" -l 16 --stride 20 doc
	fails_with 64 "its logits do not fit windows of 16" pm-eval -q -m "$b" -l 16 --logits l doc
	[ ! -e l ]
}

@test "pm-eval: --text is what pm-tokenize makes of it" {
	needs_device
	t=$(tiny)
	printf 'Once upon a time there was a text.' >a.txt
	printf 'And another.' >b.txt
	pm-eval -q -m "$t" --text a.txt >one
	jq -n -c --rawfile t a.txt '{text: $t}' | pm-tokenize -q -m "$t" | pm-eval -q -m "$t" >tok
	[ "$(jq .nll one)" = "$(jq .nll tok)" ] || echo "tokenised: $(cat tok) text: $(cat one)"
	pm-eval -q -m "$t" --text <a.txt | cmp - one
	pm-eval -q -m "$t" --text a.txt b.txt | jq -e '.documents == 2'
	: >none
	fails_with 65 "none: there is nothing to predict" pm-eval -q -m "$t" --text none
	fails_with 66 "tokenizer.json" pm-eval -q -m "$(base)" --text a.txt
}

@test "pm-eval: adapters" {
	needs_device
	b=$(base)
	pm-eval -q -m "$b" "$b/lora/train.jsonl" >plain
	head -2 "$b/lora/train.jsonl" >first
	near "$(pm-eval -q -m "$b" -a "$b/lora/init" first | jq .loss)" "$(jq .lora.first_loss "$b/golden.json")" 1e-5
	pm-eval -q -m "$b" -a "$b/lora/final" --logits l.safetensors <(head -1 "$b/lora/train.jsonl") >/dev/null
	tensor l.safetensors logits >ours
	tensor "$b/lora/golden.safetensors" logits_final >theirs
	paste ours theirs | awk -v s="$(jq .logits_std "$b/golden.json")" '{ d = $1 - $2; d = d < 0 ? -d : d; if (d > m) m = d }
		END { exit !(NR > 1000 && m <= 1e-4 * s) }'
	pm-eval -q -m "$b" -a "$b/lora/final=0" "$b/lora/train.jsonl" | cmp - plain
	near "$(pm-eval -q -m "$b" -a "$b/lora/final=0.5" -a "$b/lora/final=0.5" "$b/lora/train.jsonl" | jq .loss)" \
		"$(pm-eval -q -m "$b" -a "$b/lora/final" "$b/lora/train.jsonl" | jq .loss)" 1e-6
}

@test "pm-eval: chunks of which the second half counts" {
	needs_device
	t=$(tiny)
	for i in $(seq 20); do echo "$i stones sink, $((i * 3)) leaves float."; done >a.txt
	n=$(pm-tokenize -q --format plain --json -m "$t" a.txt | jq '.ids | length')
	pm-eval -q -m "$t" --text --chunk 32 a.txt >chunks
	jq -e --argjson n "$n" '.documents == ($n / 32 | floor) and .tokens == .documents * 15 and .perplexity_error > 0' chunks
	pm-eval -q -m "$t" --text --chunk 32 --chunks 3 a.txt a.txt | jq -e '.documents == 6'
	pm-tokenize -q --format plain --json -m "$t" a.txt | jq -c '.ids as $ids | range($n / 32 | floor) | {ids: $ids[. * 32:. * 32 + 32],
		weights: [range(32) | if . > 16 then 1 else 0 end]}' --argjson n "$n" | pm-eval -q -m "$t" | cmp - chunks
	fails_with 65 "tokens are less than a chunk of 4096" pm-eval -q -m "$t" --text --chunk 4096 a.txt
	fails_with 64 "--chunk has no effect without --text" pm-eval -q -m "$t" --chunk 8 a.txt
	fails_with 64 "--chunks has no effect" pm-eval -q -m "$t" --text --chunks 8 a.txt
	fails_with 64 "exclude each other" pm-eval -q -m "$t" --text --chunk 8 -l 8 a.txt
}

@test "pm-eval: llama-perplexity's perplexity" {
	needs_device
	needs_golden fixtures/quant/models/stories260K
	s=$(golden_path fixtures/quant/models/stories260K)
	near "$(pm-eval -q -m "$s/hf" --text --chunk "$(jq .perplexity.n_ctx "$s/golden.json")" --chunks "$(jq .perplexity.chunks "$s/golden.json")" "$s/perplexity.txt" |
		jq .perplexity)" "$(jq -r '.perplexity.f32[:6]' "$s/golden.json")" 3e-5
}

@test "pm-eval: a model against what it was made of" {
	needs_device
	b=$(base)
	pm-eval -q -m "$b" "$b/tokens.jsonl" >plain
	pm-eval -q -m "$b" --kl "$b" "$b/tokens.jsonl" | jq -e '.kl.max == 0 and .kl.min == 0 and .kl.error == 0 and .dp.rms == 0 and .same_top == 1 and .perplexity_ratio == 1 and
		.perplexity_change == 0 and .perplexity_ratio_error == 0 and .perplexity == .base_perplexity'
	pm-eval -q -m "$b" -a "$b/lora/final" "$b/tokens.jsonl" >adapted
	pm-eval -q -m "$b" -a "$b/lora/final" --kl "$b" "$b/tokens.jsonl" >both
	near "$(jq .loss both)" "$(jq .loss adapted)" 1e-5
	near "$(jq .base_perplexity both)" "$(jq .perplexity plain)" 1e-5
	jq -e --slurpfile p plain '.tokens == $p[0].tokens and .documents == $p[0].documents and .kl.mean > 0 and .kl.min >= 0 and .kl.max > .kl.p99 and
		.kl.p90 > .kl.median and .kl.median > .kl.p10 and .same_top < 1 and .dp.max > 0 and .dp.min < 0 and .perplexity_ratio_error > 0' both
	pm-eval -q -m "$b" -a "$b/lora/final" --kl "$b" -l 16 --stride 8 "$b/tokens.jsonl" >windows
	near "$(jq .loss windows)" "$(pm-eval -q -m "$b" -a "$b/lora/final" -l 16 --stride 8 "$b/tokens.jsonl" | jq .loss)" 1e-5
	pm-eval -q -m "$b" --kl "$b" --decode "$b/tokens.jsonl" | jq -e ".kl.mean < 1e-5 and (.perplexity_ratio - 1 | fabs) < 1e-3"
	fails_with 64 "--decode has no effect without --kl" pm-eval -q -m "$b" --decode "$b/tokens.jsonl"
	fails_with 64 "--kl and --logits exclude each other" pm-eval -q -m "$b" --kl "$b" --logits l "$b/tokens.jsonl"
	if s=$(golden_path fixtures/quant/models/stories260K/hf); then
		fails_with 65 "the base has 512 tokens, the model 131: their predictions cannot be compared" pm-eval -q -m "$b" --kl "$s" "$b/tokens.jsonl"
	fi
	fails_with 66 "nowhere" pm-eval -q -m "$b" --kl ./nowhere "$b/tokens.jsonl"
}

@test "pm-eval: what will not do" {
	needs_device
	b=$(base)
	fails_with 64 "-m was wanted" pm-eval x
	fails_with 64 "unknown option" pm-eval -m "$b" --bogus
	fails_with 66 "nowhere" pm-eval -q -m "$b" nowhere
	fails_with 65 "standard input: is empty" pm-eval -q -m "$b"
	echo '{"ids":[1,131]}' >rows
	fails_with 65 "rows: record 1: token 131 does not exist: the model's vocabulary has 131" pm-eval -q -m "$b" rows
	echo '{"ids":[1]}' >rows
	fails_with 65 "there is nothing to measure" pm-eval -q -m "$b" rows
	echo '{"ids":[1,2,3],"weights":[1,0,0]}' >rows
	fails_with 65 "there is nothing to measure" pm-eval -q -m "$b" rows
	fails_with 74 "/dev/full" pm-eval -q -m "$b" --logits /dev/full "$b/tokens.jsonl"
	fails_with 73 "nodir/l" pm-eval -q -m "$b" --logits nodir/l "$b/tokens.jsonl"
	status=0
	pm-eval -q -m "$b" "$b/tokens.jsonl" >/dev/full 2>said || status=$?
	[ "$status" -eq 74 ] && [ "$(wc -l <said)" -eq 1 ]
	g=$(golden_path fixtures/gpt2/base)
	p=$(jq .n_positions "$g/config.json")
	jq -c -n --argjson p "$p" '{ids: [range($p + 1) | . % 90]}' >rows
	fails_with 65 "the model learned positions for $p" pm-eval -q -m "$g" rows
	jq -c -n '{ids: [range(300) | . % 131]}' >rows
	pm-eval -m "$b" rows 2>said | jq -e '.tokens == 299'
	grep -q 'made for 256 positions' said
	mkdir nan && cp "$b/config.json" nan
	at=$((8 + $(od -An -tu8 -N8 "$b/model.safetensors" | tr -d ' ') + 4000))
	{ head -c $at "$b/model.safetensors"; printf '\000\000\300\177'; tail -c +$((at + 5)) "$b/model.safetensors"; } >nan/model.safetensors
	fails_with 65 "not finite" pm-eval -q -m nan "$b/tokens.jsonl"
	fails_with 65 "not finite" pm-eval -q -m nan --logits l "$b/tokens.jsonl"
	[ ! -e l ]
	OCL_ICD_VENDORS=$PWD/none fails_with 69 "no OpenCL device" pm-eval -q -m "$b" "$b/tokens.jsonl"
}
