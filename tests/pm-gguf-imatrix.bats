# pm-gguf imatrix: what is collected is the same bits however it was cut; what cannot be done is said. (Against llama-imatrix: tests/unit/golden_imatrix.c.)
load lib

# A text of so many lines.
lines() {
	for i in $(seq "$1"); do
		echo "$i bottles of milk on the wall, take $((i * 7 % 13)) down and pass them around."
	done
}

@test "pm-gguf imatrix: every product of every layer, in chunks" {
	needs_device
	lines 40 >text.txt
	pm-gguf imatrix -m "$(tiny)" text.txt -o m.gguf -l 64 --chunks 5 2>said
	grep -q '5 chunks of 64 tokens' said
	pm-gguf check m.gguf
	pm-gguf dump --json m.gguf | jq -e '.keys == {"general.type": "imatrix", "imatrix.datasets": ["text.txt"], "imatrix.chunk_count": 5, "imatrix.chunk_size": 64}'
	layers=$(jq .num_hidden_layers "$(tiny)/config.json")
	pm-gguf dump --tensors m.gguf | cut -f 1 | sort >have
	for i in $(seq 0 $((layers - 1))); do
		for t in attn_q attn_k attn_v attn_output ffn_gate ffn_up ffn_down; do
			echo "blk.$i.$t.weight.counts"
			echo "blk.$i.$t.weight.in_sum2"
		done
	done | sort | diff - have
}

@test "pm-gguf imatrix: two halves merged are the whole; the older form says the same" {
	needs_device
	lines 40 >a.txt
	lines 60 | tail -20 >b.txt
	pm-gguf imatrix -q -m "$(tiny)" a.txt b.txt -o whole.gguf -l 32
	pm-gguf imatrix -q -m "$(tiny)" a.txt -o a.gguf -l 32
	pm-gguf imatrix -q -m "$(tiny)" b.txt -o b.gguf -l 32 --in-file a.gguf
	pm-gguf imatrix -q -m "$(tiny)" b.txt -o b1.gguf -l 32
	pm-gguf imatrix -q --in-file a.gguf --in-file b1.gguf -o both.gguf
	for m in b both; do
		pm-gguf dump --json $m.gguf | jq -e --argjson n "$(pm-gguf dump --json whole.gguf | jq '.keys["imatrix.chunk_count"]')" '.keys["imatrix.chunk_count"] == $n'
		[ "$(pm-gguf dump --tensors $m.gguf)" = "$(pm-gguf dump --tensors both.gguf)" ]
	done
	pm-gguf imatrix -q --in-file whole.gguf --format dat -o whole.dat
	fails_with 64 "does not say how many tokens a chunk had" pm-gguf imatrix -q --in-file whole.dat -o x.gguf
	pm-gguf imatrix -q --in-file a.gguf --in-file whole.dat -o three.gguf
	pm-gguf dump --json three.gguf | jq -e --argjson n "$(pm-gguf dump --json whole.gguf a.gguf | jq -s 'map(.keys["imatrix.chunk_count"]) | add')" \
		'.keys["imatrix.chunk_count"] == $n'
}

@test "pm-gguf imatrix: interrupted and resumed: the same bits" {
	needs_device
	lines 900 >text.txt
	common="-q -m $(tiny) text.txt -l 32 --save-every 1"
	pm-gguf imatrix $common -o whole.gguf
	for signal in TERM KILL INT; do
		pm-gguf imatrix $common -o cut.gguf --resume 2>said 3>&- &
		pid=$!
		until [ -e cut.gguf.part ] || ! kill -0 $pid 2>/dev/null; do :; done
		kill -s $signal $pid
		status=0
		wait $pid || status=$?
		echo "$signal: $status"
		[ "$status" -eq $((128 + $(kill -l "$signal"))) ]
		[ ! -e cut.gguf ] && [ -e cut.gguf.part ]
		chunks=$(pm-gguf dump --json cut.gguf.part | jq '.keys["imatrix.chunk_count"]')
		[ "$chunks" -ge 1 ] && [ "$chunks" -lt "$(pm-gguf dump --json whole.gguf | jq '.keys["imatrix.chunk_count"]')" ]
		pm-gguf imatrix $common -o cut.gguf --resume
		cmp whole.gguf cut.gguf
		[ ! -e cut.gguf.part ]
		rm cut.gguf
	done
}

@test "pm-gguf imatrix: experts are counted apart, whichever way they lie; one that saw nothing weighs nothing" {
	needs_golden fixtures/quant/models/gptoss/golden.json
	needs_device
	m=$(golden_path fixtures/quant/models)/gptoss
	lines 20 >text.txt
	for model in hf gptoss.bf16.gguf; do
		pm-gguf imatrix -q --precision f32 -m "$m/$model" text.txt -o $model.m -l 16 --chunks 9
		pm-gguf dump --tensors $model.m | cut -f 1-3 >$model.t
	done
	cmp hf.t gptoss.bf16.gguf.t
	grep -q '^blk.1.ffn_up_exps.weight.in_sum2	f32	\[4,64\]$' hf.t && grep -q '^blk.0.ffn_down_exps.weight.counts	f32	\[4,1\]$' hf.t
	pm-gguf imatrix -q --precision f32 -m "$m/hf" text.txt -o one.m -l 1 --chunks 1     # two experts of four
	pm-gguf quantize -q "$m/hf" --to Q4_K_M --allow-requantize --imatrix one.m -o a.gguf
	pm-gguf quantize -q "$m/hf" --to Q4_K_M --allow-requantize --imatrix hf.m -o b.gguf
	pm-gguf quantize -q "$m/hf" --to Q4_K_M --allow-requantize -o c.gguf
	for t in blk.0.ffn_up_exps.weight blk.0.attn_q.weight; do
		[ "$(pm-gguf hash -q a.gguf b.gguf c.gguf | grep "$t" | sort -u | wc -l)" -eq 3 ]
	done
	pm-gguf imatrix -q --in-file one.m --in-file one.m -o two.m
	pm-gguf quantize -q "$m/hf" --to Q4_K_M --allow-requantize --imatrix two.m -o d.gguf
	[ "$(pm-gguf hash -q a.gguf d.gguf | grep exps.weight | sort | uniq -c | grep -c '^ *2 ')" -eq 6 ]
}

@test "pm-gguf imatrix: what cannot be done is said" {
	needs_device
	lines 2 >text.txt
	fails_with 64 "-o was wanted" pm-gguf imatrix -m "$(tiny)" text.txt
	fails_with 64 "-m was wanted" pm-gguf imatrix text.txt -o x.gguf
	fails_with 64 "texts or --in-file were wanted" pm-gguf imatrix -m "$(tiny)" -o x.gguf
	fails_with 64 "--chunks has no effect without a text" pm-gguf imatrix --in-file x.gguf -o y.gguf --chunks 3
	fails_with 65 "text.txt: " pm-gguf imatrix -q -m "$(tiny)" text.txt -o x.gguf -l 512
	fails_with 66 "none.txt" pm-gguf imatrix -q -m "$(tiny)" none.txt -o x.gguf
	lines 20 >text.txt
	pm-gguf imatrix -q -m "$(tiny)" text.txt -o m.gguf -l 32
	fails_with 65 "m.gguf: " pm-gguf imatrix -q -m "$(tiny)" text.txt -o x.gguf -l 64 --in-file m.gguf
	cp m.gguf x.gguf.part
	cp text.txt other.txt
	fails_with 65 "x.gguf.part: was made of other texts" pm-gguf imatrix -q -m "$(tiny)" other.txt -o x.gguf -l 32 --resume
	fails_with 65 "x.gguf.part: does not say which model it is of" pm-gguf imatrix -q -m "$(tiny)" text.txt -o x.gguf -l 32 --resume
	[ ! -e x.gguf ]
}

@test "pm-gguf imatrix: what was begun otherwise is not gone on with" {
	needs_device
	lines 20 >a.txt
	common="-q a.txt b.txt -o x.gguf --save-every 1"
	fails_with 66 "b.txt" pm-gguf imatrix $common -m "$(tiny)" -l 32         # after all of a.txt
	cp a.txt b.txt
	cp x.gguf.part kept
	cp -rL "$(tiny)" other
	chmod -R u+w other
	printf x | dd of=other/model.safetensors bs=1 seek=$(($(stat -L -c %s other/model.safetensors) - 1)) conv=notrunc status=none
	fails_with 65 "x.gguf.part: was made by another model than other" pm-gguf imatrix $common -m other -l 32 --resume
	fails_with 65 "x.gguf.part: was made without --process-output" pm-gguf imatrix $common -m "$(tiny)" -l 32 --resume --process-output
	fails_with 65 "chunks of 64 tokens were wanted" pm-gguf imatrix $common -m "$(tiny)" -l 64 --resume
	cmp x.gguf.part kept
	pm-gguf imatrix $common -m "$(tiny)" -l 32 --resume
	[ "$(pm-gguf dump --json x.gguf | jq -c '.keys | keys')" = '["general.type","imatrix.chunk_count","imatrix.chunk_size","imatrix.datasets"]' ]
}
