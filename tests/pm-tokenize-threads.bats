# pm-tokenize -j: the output does not depend on how many threads there are.
load lib

# What comes behind the header, which has the command line.
body() {
	tail -n +2 "$1"
}

# Many records: texts, pairs, and some that are bad.
records() {
	jq -nc --arg text "$(cat "$PM_TOP/tests/golden/learn/text.txt")" '
		($text | split("\n")) as $l | range(3000) | . as $i | $l[$i % ($l | length)] as $a | $l[($i * 7) % ($l | length)] as $b
		| if $i % 397 == 5 then {prompt: "a", chosen: 1, rejected: "x"} else {prompt: ($a + "p"), chosen: ($b + "c"), rejected: ("r" + $a)} end' | sed '100~501s/^/nonsense /'
}

@test "pm-tokenize -j: records, groups, remarks and reports are the same with any number of threads" {
	records >x
	for j in 1 2 7; do
		pm-tokenize -v --on-bad skip -m "$(tiny)" -j $j x >bin.$j 2>said.$j
		pm-tokenize -q --on-bad skip -m "$(tiny)" -j $j --json x x >json.$j
		pm-tokenize -q --on-bad skip -m "$(tiny)" -j $j --show-mask x >mask.$j
	done
	for j in 2 7; do
		cmp said.1 said.$j
		cmp json.1 json.$j
		cmp mask.1 mask.$j
		cmp <(body bin.1) <(body bin.$j)
	done
	[ "$(grep -c skipped: said.1)" = 14 ]
	grep -q '14 records were skipped' said.1
	jq -s -e 'map(.group) | . == (sort | .) and (unique | length) == length / 2' json.1
}

@test "pm-tokenize -j: the first bad record is the one that is named, and what is before it is written" {
	records >x
	for j in 1 2 7; do
		status=0
		pm-tokenize -q -m "$(tiny)" -j $j --json x >out.$j 2>err.$j || status=$?
		[ $status = 65 ]
		grep -q '^pm-tokenize: x: line 6: ' err.$j
	done
	cmp err.1 err.2
	cmp err.1 err.7
}

@test "pm-tokenize -j: plain text, whole and by paragraphs, in files and pipes" {
	for i in $(seq 60); do cat "$PM_TOP/tests/golden/learn/text.txt"; echo; done >big
	for j in 1 2 7; do
		pm-tokenize -q -m "$(tiny)" -j $j --format plain --json big big >whole.$j
		pm-tokenize -q -m "$(tiny)" -j $j --format plain --paragraphs --json <big >parts.$j
	done
	cmp whole.1 whole.2
	cmp whole.1 whole.7
	cmp parts.1 parts.2
	cmp parts.1 parts.7
	[ "$(wc -l <whole.1)" = 2 ]
	[ "$(wc -l <parts.1)" -gt 10000 ]
}

@test "pm-tokenize -j: one long text is the same ids and offsets" {
	for m in llama3_1 qwen3 gemma3 llama2; do
		needs_golden "data/tokenizers/$m"
		for i in $(seq 30); do cat "$PM_TOP/tests/golden/learn/text.txt"; echo; done >big
		for j in 1 3; do
			pm-tokenize -q -m "$(golden_path "data/tokenizers/$m/tokenizer.json")" -j $j --format plain --json big >whole.$j
		done
		cmp whole.1 whole.3
	done
}

@test "pm-tokenize -j: it has no effect on decoding" {
	fails_with 64 "--threads has no effect with --decode" pm-tokenize --decode -j 2 -m "$(tiny)"
}
