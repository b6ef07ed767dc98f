# pm-infer: golden greedy tokens, every kind of prompt and mode, sampling, where answers end, what it refuses.
load lib

base() {
	golden_path fixtures/llama/base
}

@test "pm-infer: greedy tokens are the golden ones, one by one and batched, by plain kernels, too" {
	needs_device
	for c in llama/base gemma3/base gpt2/base qwen3/base mixtral/window qwen3_moe/norm; do
		b=$(golden_path fixtures/$c)
		jq -c '{ids}' "$b/tokens.jsonl" >prompts.jsonl
		n=$(jq '.greedy[0] | length' "$b/golden.json")
		jq -c '.greedy[]' "$b/golden.json" >want
		pm-infer -q -m "$b" --json -t 0 -n "$n" --ignore-eos <prompts.jsonl >out
		jq -c .ids out | diff want -
		jq -s -e 'all(.finish_reason == "length" and (has("text") | not))' out
		pm-infer -q -m "$b" --json -t 0 -n "$n" --ignore-eos --batch 1 <prompts.jsonl | cmp - out
	done
	b=$(base)
	jq -c '{ids}' "$b/tokens.jsonl" | pm-infer -q --reference -m "$b" --json -t 0 -n 16 --ignore-eos | jq -c .ids | diff <(jq -c '.greedy[]' "$b/golden.json") -
}

@test "pm-infer: weights in blocks: decoded with x in 8 bits, in floats, and by the plain kernels: the same text" {
	local f all="fixtures/quant/models/llama/quantised/Q4_K_M.gguf fixtures/quant/models/llama/quantised/Q8_0.gguf
		fixtures/quant/models/stories260K/quantised/Q8_0.gguf"
	needs_golden $all
	needs_device
	for f in $all; do
		f=$(golden_path "$f")
		pm-infer -q -t 0 -n 12 --ignore-eos -m "$f" 'Once upon a time' >fast
		pm-infer -q -t 0 -n 12 --ignore-eos --precision f32 -m "$f" 'Once upon a time' >floats
		pm-infer -q -t 0 -n 12 --ignore-eos --reference -m "$f" 'Once upon a time' >plain
		[ -s fast ]
		cmp fast floats
		cmp fast plain
	done
}

@test "pm-infer: many prompts of all lengths: order kept, each as if it were alone" {
	needs_device
	t=$(tiny)
	for i in $(seq 1 13); do
		printf '{"prompt":"%s"}\n' "$(printf 'abcdefgh ijklmnop %.0s' $(seq 1 $((i * 7 % 11 + 1))))$i"
	done >prompts.jsonl
	for how in "-t 0" "-t 1.3 -s 5 --top-k 40 --top-p 0.95 --min-p 0.01" "-t 0 --repetition-penalty 1.4"; do
		pm-infer -q -m "$t" --json $how -n 12 <prompts.jsonl >eight
		[ "$(wc -l <eight)" -eq 13 ]
		pm-infer -q -m "$t" --json $how -n 12 --batch 1 <prompts.jsonl | cmp - eight
		pm-infer -q -m "$t" --json $how -n 12 --batch 3 -j 1 <prompts.jsonl | cmp - eight
	done
	pm-infer -q -m "$t" --json -t 0 -n 12 <prompts.jsonl >greedy
	! cmp -s greedy eight           # the penalty changes something
	pm-infer -q -m "$t" --json -t 1.3 --top-k 1 -n 12 <prompts.jsonl | cmp - greedy
	pm-infer -q -m "$t" --json -t 1 -s 1 -n 12 <prompts.jsonl >one
	pm-infer -q -m "$t" --json -t 1 -s 2 -n 12 <prompts.jsonl >two
	! cmp -s one two
	pm-infer -q -m "$t" --json -t 1 -s 1 -n 12 <prompts.jsonl | cmp - one
}

@test "pm-infer: guesses change nothing of what is said" {
	needs_device
	t=$(tiny)
	for i in 1 2 3 4 5; do
		printf '{"prompt":"%s"}\n' "$(printf 'one two three four %.0s' $(seq 1 $i))"
	done >prompts.jsonl
	for how in "-t 0" "-t 1.3 -s 5 --top-k 40 --top-p 0.95" "-t 0 --repetition-penalty 1.4" "-t 0 --stop e"; do
		pm-infer -q -m "$t" --json $how -n 24 <prompts.jsonl >plain
		for b in 1 3; do
			pm-infer -q -m "$t" --json $how -n 24 --batch $b --lookup <prompts.jsonl | cmp - plain
			pm-infer -q -m "$t" --json $how -n 24 --batch $b --draft-model "$t" --num-draft-tokens 7 <prompts.jsonl | cmp - plain
		done
	done
	pm-infer -q -m "$t" --json -t 0 -n 24 --ignore-eos --draft-model "$t" --stats <prompts.jsonl 2>&1 >/dev/null | jq -e '.draft_accepted > 0 and .draft_tokens >= .draft_accepted'
	pm-infer -q -m "$t" --json -t 0 -n 24 --ignore-eos --lookup --stats <prompts.jsonl 2>&1 >/dev/null | jq -e '.draft_tokens >= .draft_accepted'
	fails_with 64 exclude pm-infer -m "$t" --lookup --draft-model "$t" x
	fails_with 64 num-draft-tokens pm-infer -m "$t" --num-draft-tokens 3 x
	fails_with 66 nowhere pm-infer -m "$t" --draft-model nowhere x
}

@test "pm-infer: what prompts begin with in common is read once" {
	needs_device
	t=$(tiny)
	jq -n -c '("a b c d e f g h " * 20) as $s | range(9) | {prompt: ($s + "\(. * 7)" + (" x" * .))}' >prompts.jsonl
	pm-infer -q -m "$t" --json -t 0 -n 12 --batch 4 --stats <prompts.jsonl >four 2>stats
	pm-infer -q -m "$t" --json -t 0 -n 12 --batch 1 <prompts.jsonl | cmp - four
	while read -r line; do
		pm-infer -q -m "$t" --json -t 0 -n 12 <<<"$line"
	done <prompts.jsonl | cmp - four
	whole=$(pm-tokenize -q -m "$t" --map '{text: .prompt}' --json prompts.jsonl | jq -s 'map(select(.ids) | .ids | length) | add')
	jq -e --argjson n "$whole" '.prompt_tokens < $n / 3' stats
}

@test "pm-infer: prompts as arguments, on stdin, as records of every kind" {
	needs_device
	t=$(tiny)
	pm-infer -q -m "$t" -n 8 hello >one
	pm-infer -q -m "$t" -n 8 hello 'a b' hello >three
	[ "$(wc -l <one)" -ge 1 ]
	{ cat one; pm-infer -q -m "$t" -n 8 'a b'; cat one; } | cmp - three
	printf hello | pm-infer -q -m "$t" -n 8 | cmp - one
	pm-infer -q -m "$t" -n 8 --json hello | jq -j '.text + "\n"' | cmp - one
	pm-infer -q -m "$t" -n 8 --chat hello >chat
	echo hello | pm-infer -q -m "$t" -n 8 --chat | cmp - chat
	pm-infer -q -m "$t" -n 8 --chat --system be hello >system
	! cmp -s chat system
	ids=$(pm-tokenize -q -m "$t" --json <<<'{"text":"hello"}' | jq -c 'select(.ids) | .ids' | head -1)
	printf '%s\n' '{"prompt":"hello"}' '' '"hello"' '{"text":"hello"}' '{"messages":[{"role":"user","content":"hello"}]}' \
		'{"prompt":[{"role":"user","content":"hello"}]}' '{"messages":[{"role":"system","content":"be"},{"role":"user","content":"hello"}]}' |
		pm-infer -q -m "$t" -n 8 --json | jq -r .text >all
	{ cat one one one chat chat system; } | cmp - all
	echo '{"messages":[{"role":"user","content":"hello"}]}' | pm-infer -q -m "$t" -n 8 --json --system be | jq -r .text | cmp - system
	echo "$ids"
}

@test "pm-infer: a conversation on a pipe reads what was said before" {
	needs_device
	t=$(tiny)
	printf 'hi\nand you\n/new\nhi\n/bye\nnever\n' | pm-infer -q -m "$t" -n 8 -i >said
	first=$(pm-infer -q -m "$t" -n 8 --chat hi)
	jq -n -c --arg a "$first" '{messages: [{role: "user", content: "hi"}, {role: "assistant", content: $a}, {role: "user", content: "and you"}]}' >two
	{ echo "$first"; pm-infer -q -m "$t" -n 8 --json <two | jq -r .text; echo "$first"; } | diff - said
}

@test "pm-infer: end tokens, stop strings, the context: where an answer ends, and why" {
	needs_device
	t=$(tiny)
	cp -rL "$t" ends && chmod -R u+w ends
	pm-infer -q -m "$t" -n 12 --ignore-eos --json 'some words' >whole
	third=$(jq '.ids[2]' whole)
	fifth=$(jq '.ids[4]' whole)
	jq --argjson a "$fifth" --argjson b "$third" '.eos_token_id = [$a, $b]' "$t/generation_config.json" >ends/generation_config.json
	pm-infer -q -m ends -n 12 --json 'some words' | jq -e --slurpfile w whole '.finish_reason == "stop" and .ids == $w[0].ids[:2]'
	pm-infer -q -m ends -n 12 --ignore-eos --json 'some words' | cmp - whole
	stop=$(jq -r '.text[3:5]' whole)
	pm-infer -q -m "$t" -n 12 --ignore-eos --json --stop nowhere --stop "$stop" 'some words' |
		jq -e --slurpfile w whole --arg s "$stop" '.finish_reason == "stop" and .text == ($w[0].text | split($s)[0])'
	pm-infer -q -m "$t" -n 12 --ignore-eos --stop "$stop" 'some words' | diff - <(jq -r --arg s "$stop" '.text | split($s)[0]' whole)
	pm-infer -q -m "$t" -n 5 --ignore-eos --json 'some words' | jq -e --slurpfile w whole '.finish_reason == "length" and .ids == $w[0].ids[:5]'
	# the model's own max_new_tokens is 16
	pm-infer -q -m "$t" --ignore-eos --json 'some words' | jq -e '.ids | length == 16'
	# prompt and answer share the context
	b=$(base)
	jq -c -n '{ids: [range(100)]}' | pm-infer -q -m "$b" -n 40 --ignore-eos --json -l 103 | jq -e '(.ids | length) == 3 and .finish_reason == "length"'
	jq -c -n '{ids: [range(100)]}' >long
	for l in 50 100; do
		status=0
		pm-infer -q -m "$b" --json -l $l <long 2>said || status=$?
		[ "$status" -eq 65 ] && [ "$(wc -l <said)" -eq 1 ] && grep -q "stdin: line 1: a prompt has 100 tokens, the context $l" said
	done
	# rotary positions go on, with a word; learned ones do not
	jq -c -n '{ids: [range(300) | . % 131]}' | pm-infer -m "$b" -n 2 --ignore-eos --json 2>said | jq -e '.ids | length == 2'
	grep -q 'made for 256 positions' said
	g=$(golden_path fixtures/gpt2/base)
	p=$(jq .n_positions "$g/config.json")
	jq -c -n --argjson p "$p" '{ids: [range($p) | . % 90]}' >long
	status=0
	pm-infer -q -m "$g" --json <long 2>said || status=$?
	[ "$status" -eq 65 ] && grep -q "the context $p" said
	fails_with 64 "the model learned $p positions" pm-infer -q -m "$g" --json -l $((p + 1)) x
}

@test "pm-infer: thinking, shown and hidden" {
	needs_device
	# a model that says the same whatever it is asked: its greedy text between the tags that its tokenizer is given
	t=$(tiny)
	cp -rL "$t" m && chmod -R u+w m
	pm-infer -q -m "$t" -n 12 --ignore-eos --json 'some words' >whole
	jq --argjson a "$(jq '.ids[1]' whole)" --argjson b "$(jq '.ids[5]' whole)" '
		.model.vocab |= with_entries(if .value == $a then .key = "<think>" elif .value == $b then .key = "</think>" else . end) |
		.model.merges = []' m/tokenizer.json >new.json && mv new.json m/tokenizer.json
	pm-tokenize -q -m "$t" --json <<<'{"text":"some words"}' | jq -c 'select(.ids) | {ids}' >id
	pm-infer -q -m m -n 12 --ignore-eos --json <id >shown
	pm-infer -q -m m -n 12 --ignore-eos --json --hide-thinking <id >hidden
	for f in whole shown hidden; do
		jq -c .ids $f
	done | uniq | wc -l | grep -x 1
	jq -e '.text | contains("<think>") and contains("</think>")' shown
	jq -e '.text | contains("think>") | not' hidden
	jq -s -e '.[0].text as $t | ($t | split("<think>")) as $p | .[1].reasoning_content == ($p[1] | split("</think>")[0]) and
		(.[1].text | startswith($p[0]))' shown hidden
	fails_with 64 "exclude each other" pm-infer -m m --hide-thinking --show-thinking x
}

@test "pm-infer: adapters: unmerged, weighted, added up" {
	needs_device
	b=$(base)
	a=$b/lora/final
	jq -c '{ids: .ids[:6]}' "$b/lora/train.jsonl" | head -3 >prompts.jsonl
	ask() {
		pm-infer -q -m "$b" --json -t 0 -n 10 --ignore-eos "$@" <prompts.jsonl
	}
	ask >plain
	ask -a "$a" >whole
	! cmp -s plain whole
	ask -a "$a=0" | cmp - plain
	ask -a "$a=0.5" -a "$a=0.5" | cmp - whole
	ask -a "$a=0.25" -a "$a=0.75" | cmp - whole
	ask -a "$a=1.0" | cmp - whole
	ask -a "$a=0.3" >part
	ask -a "$a=0.1" -a "$a=0.2" | cmp - part
	fails_with 66 "nowhere/adapter_config.json" pm-infer -q -m "$b" -a nowhere --json x
}

@test "pm-infer: streaming never splits a character, and the stream is the text" {
	needs_device
	# stories260K falls back to bytes: its tokens split characters
	needs_golden data/models/stories260K_hf
	m=$(golden_path data/models/stories260K_hf)
	pm-infer -q -m "$m" -t 3 -s 3 -n 60 --ignore-eos 'ü' >text
	iconv -f UTF-8 -t UTF-8 text >/dev/null
	pm-infer -q -m "$m" -t 3 -s 3 -n 60 --ignore-eos --json 'ü' | jq -j '.text + "\n"' | cmp - text
}

@test "pm-infer: --stats is one line of JSON, rates of decoding are of decoding alone" {
	needs_device
	pm-infer -q -m "$(tiny)" -n 9 --ignore-eos --stats hello 2>stats >out
	jq -e '.prompt_tokens > 0 and .decode_tokens == 9 and .prefill_tokens_per_s > 0 and .decode_tokens_per_s > 0 and .ttft_ms > 0 and .peak_rss_mb > 1' stats
	[ "$(wc -l <stats)" -eq 1 ]
	pm-infer -q -m "$(tiny)" -n 1 --ignore-eos --stats hello 2>&1 >out | jq -e '.decode_tokens == 1 and .decode_tokens_per_s == 0'
}

@test "pm-infer: a reader that goes away, a full disk, numbers that are not finite" {
	needs_device
	t=$(tiny)
	pm-infer -q -m "$t" -n 200 -l 250 --ignore-eos hello 2>said | head -c 3 >out
	[ ! -s said ] && [ "$(wc -c <out)" -eq 3 ]
	status=0
	pm-infer -q -m "$t" -n 5 hello 2>said >/dev/full || status=$?
	[ "$status" -eq 74 ] && [ "$(wc -l <said)" -eq 1 ]
	b=$(base)
	mkdir nan && cp "$b/config.json" nan
	at=$((8 + $(od -An -tu8 -N8 "$b/model.safetensors" | tr -d ' ') + 4000))
	{ head -c $at "$b/model.safetensors"; printf '\000\000\300\177'; tail -c +$((at + 5)) "$b/model.safetensors"; } >nan/model.safetensors
	for how in "-t 0" "-t 1"; do
		status=0
		echo '{"ids":[1,2,3]}' | pm-infer -q -m nan $how --json -n 3 2>said >out || status=$?
		[ "$status" -eq 65 ] && grep -q 'not finite' said && [ ! -s out ]
	done
}

@test "pm-infer: no room where kernels are compiled is told, a signal ends compiling" {
	needs_device
	t=$(tiny)
	PM_CACHE=$PWD/none POCL_CACHE_DIR=$PWD/fresh pm-infer -q -m "$t" -n 200 -l 250 --ignore-eos hello >out 2>said &
	while [ -z "$(find none -name '*.clbin' 2>/dev/null)" ] && kill -0 $!; do sleep 0.1; done
	status=0
	kill -TERM $!
	wait $! || status=$?
	[ "$status" -eq 143 ] && [ ! -s said ]
	[ "$(id -u)" = 0 ] || skip "mounting a small disk needs root"
	mkdir small
	mount -t tmpfs -o size=200k tmpfs small 2>/dev/null || skip "a small disk cannot be mounted here"
	PM_CACHE=$PWD/other POCL_CACHE_DIR=$PWD/small/kcache fails_with 74 "no room to compile: $PWD/small/kcache: 4194304 bytes are needed" pm-infer -q -m "$t" hello
	umount small
}

@test "pm-infer: prompts that will not do" {
	needs_device
	t=$(tiny)
	b=$(base)
	refused() {     # TEXT INPUT ARGS...
		local text=$1 input=$2 status=0
		shift 2
		printf "$input" | pm-infer -q "$@" >out 2>said || status=$?
		[ "$status" -eq 65 ] && [ "$(wc -l <said)" -eq 1 ] && grep -qF -- "$text" said || { echo "status $status, wanted '$text':"; cat said; return 1; }
	}
	refused "stdin: there are no prompts in it" '' -m "$t" --json
	refused "stdin: there are no prompts in it" '\n\n' -m "$t" --json
	refused "stdin: the prompt is empty" '' -m "$t"
	run --separate-stderr bash -c 'pm-infer -q -m "$1" <&-' - "$t"
	# shellcheck disable=SC2154
	[ "$status" -eq 74 ] && [ "$stderr" = "pm-infer: stdin: Bad file descriptor" ]
	refused 'stdin: line 2: a prompt was wanted' '{"prompt":"a"}\n{"promt":1}\n' -m "$t" --json
	[ "$(wc -l <out)" -eq 1 ]       # what came before it is answered
	refused 'stdin: line 2, column' '{"prompt":"a"}\n{"prompt":1\n' -m "$t" --json
	refused 'stdin: line 1, column' '{"prompt":"a\xff"}\n' -m "$t" --json
	refused 'not UTF-8' 'a\xff' -m "$t"
	refused 'stdin: line 1: token 131 does not exist: the model' '{"ids":[1,131]}\n' -m "$b" --json
	refused 'stdin: line 1: the prompt is empty' '{"ids":[]}\n' -m "$b" --json
	refused 'has no tokenizer' '{"prompt":"a"}\n' -m "$b" --json
	refused 'has no tokenizer' 'text' -m "$b"
}

@test "pm-infer: options that make no sense together" {
	fails_with 64 "-m was wanted" pm-infer x
	fails_with 64 "--batch has no effect without --json" pm-infer -m m --batch 3 x
	fails_with 64 "--interactive and --json exclude each other" pm-infer -m m -i --json
	fails_with 64 "--system has no effect without --chat" pm-infer -m m --system be x
	fails_with 64 "--max-tokens: a number from 1" pm-infer -m m -n 0 x
	fails_with 64 "--top-p: a number from 1e-09 to 1" pm-infer -m m --top-p 0 x
	fails_with 64 "--chat-template has no effect without --chat" pm-infer -m m --chat-template gemma x
	fails_with 64 "a conversation takes no prompts" pm-infer -m m -i x
	fails_with 64 "unknown option '--bogus'" pm-infer --bogus
	needs_device
	fails_with 66 "nowhere" pm-infer -q -m nowhere x
}

@test "pm-infer: a signal ends it with what was said until then" {
	needs_device
	pm-infer -q -m "$(tiny)" -n 30000 -l 30000 --ignore-eos hello >out 2>said 3>&- &
	pid=$!
	for _ in $(seq 500); do
		[ -s out ] && break
		sleep 0.02
	done
	kill -TERM $pid
	status=0
	wait $pid || status=$?
	[ "$status" -eq 143 ] && [ -s out ] && [ ! -s said ]
	# also where it waits for someone to speak
	mkfifo speech
	pm-infer -q -m "$(tiny)" -i <speech >out 2>said 3>&- &
	pid=$!
	exec 5>speech
	echo hello >&5
	for _ in $(seq 500); do
		[ -s out ] && break
		sleep 0.02
	done
	sleep 0.3
	kill -TERM $pid
	status=0
	wait $pid || status=$?
	exec 5>&-
	[ "$status" -eq 143 ] && [ ! -s said ]
}
