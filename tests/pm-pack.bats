# pm-pack: rows, order, what is too long, streams one after the other, and bad input.
load lib

# documents N: N documents of 20 to 119 tokens, the first half of each not trained; ids tell document and place.
documents() {
	jq -nc --argjson n "$1" 'range($n) | . as $d | (20 + ($d * 37) % 100) as $len
		| {ids: [range($len) | $d * 200 + .], weights: [range($len) | if . < $len / 2 then 0 else 1 end]}'
}

# Every document of a JSON stream of rows, a line each: its ids, then its weights.
unpack() {
	jq -c '. as $r | range(.bounds | length - 1) | . as $i | $r.bounds[$i:$i + 2] as [$a, $b] | [$r.ids[$a:$b], $r.weights[$a:$b]]' "$@"
}

@test "pm-pack: every document is in one row, whole, with its weights, the first one 0" {
	documents 300 >x
	pm-pack -l 256 --json x 2>err >rows
	jq -e '(.ids | length) == 256 and (.weights | length) == 256 and .bounds[0] == 0 and (. as $r | .ids[.bounds[-1]:] + .weights[.bounds[-1]:] | all(. == 0))' rows >/dev/null
	unpack rows | sort >have
	jq -c '[.ids, (.weights | .[0] = 0)]' x | sort | diff - have
	grep -q '^pm-pack: 300 documents, ' err
	[ "$(tail -1 err)" = "$(jq -s '(map(.bounds[-1]) | add) / (256 * length) * 10000 | round | . / 100' rows | xargs printf 'efficiency %.2f %%')" ]
}

@test "pm-pack: a document without weights is trained, but for its first token" {
	echo '{"ids":[5,6,7]}' | pm-pack -q -l 4 --json | jq -ce '[.ids, .weights, .bounds] == [[5,6,7,0],[0,1,1,0],[0,3]]'
}

@test "pm-pack: the order depends on the seed alone" {
	documents 400 >x
	pm-pack -q -l 512 --json x >a
	pm-pack -q -l 512 --json -s 0 x | cmp - a
	pm-pack -q -l 512 --json -s 7 x >b
	run ! cmp -s a b
	unpack a | sort >c
	unpack b | sort | cmp - c
	unpack a >d
	unpack b >e
	run ! cmp -s d e
}

@test "pm-pack: --no-shuffle keeps the input's order, next-fit" {
	documents 50 >x
	pm-pack -q -l 128 --no-shuffle --json x >rows
	unpack rows | jq -c '.[0]' | diff <(jq -c .ids x) -
	jq -s '[range(1; length) as $i | .[$i - 1].bounds[-1] + .[$i].bounds[1]] | all(. > 128)' rows | grep -qx true
	fails_with 64 "--seed has no effect with --no-shuffle" pm-pack -l 128 --no-shuffle -s 1 x
}

@test "pm-pack: --no-shuffle hands rows on while documents still come" {
	mkfifo in
	documents 500 >docs
	pm-pack -q -l 128 --no-shuffle --json <in >rows &
	pid=$!
	exec 7>in
	cat docs >&7
	for _ in $(seq 100); do [ -s rows ] && break; sleep 0.1; done
	kill -0 $pid
	[ -s rows ]
	exec 7>&-
	wait $pid
}

@test "pm-pack: rows are the same as binary and as JSON" {
	documents 100 >x
	pm-pack -q -l 256 x >a
	pm-pack -q -l 256 --json x >b
	head -1 a | jq -e '.pm == "blocks" and .length == 256 and .efficiency > 0.9' >/dev/null
	[ "$(head -1 a | jq .rows)" -eq "$(wc -l <b)" ]
	[ "$(head -1 a | jq -r .command)" = 'pm-pack -q -l 256 x' ]
	# What lies in the binary rows: their ids by od, at a fixed place.
	size=$(($(tail -c +$(($(head -1 a | wc -c) + 1)) a | head -c 4 | od -An -tu4)))
	[ $size -gt 2048 ]
	tail -c +$(($(head -1 a | wc -c) + 17)) a | head -c 1024 | od -An -v -tu4 -w1024 | xargs -n1 | jq -sc . | diff - <(head -1 b | jq -c .ids)
}

@test "pm-pack: --on-overflow split makes documents of the pieces, and says what is lost" {
	documents 20 >x
	echo '{"ids":[9001,9002,9003,9004,9005,9006,9007],"weights":[0,0,0,0,0,1,1]}' | pm-pack -l 3 --no-shuffle --json 2>err >rows
	jq -c '[.ids, .weights, .bounds]' rows | diff - <(printf '%s\n' '[[9004,9005,9006],[0,0,1],[0,3]]')
	grep -q '1 documents longer than a row were split; 1 pieces are kept, 2 without a trained token are left out' err
	grep -q '1 trained tokens were lost; 0 documents lost their trained end' err
	pm-pack -l 50 x 2>err >rows
	grep -Eq '^pm-pack: [0-9]+ documents longer than a row were split' err
}

@test "pm-pack: --on-overflow cut, drop and error" {
	documents 20 >x
	pm-pack -l 50 --on-overflow cut --json x 2>err >rows
	jq -e '.bounds[-1] <= 50' rows >/dev/null
	long=$(jq -s 'map(select(.ids | length > 50)) | length' x)
	grep -q "^pm-pack: $long documents longer than a row were cut" err
	grep -q "trained tokens were lost; $long documents lost their trained end" err
	pm-pack -l 50 --on-overflow drop --json x 2>err >rows
	grep -q "^pm-pack: $long documents were dropped" err
	[ "$(unpack rows | wc -l)" -eq $((20 - long)) ]
	fails_with 65 "the document of line 2 has 57 tokens, a row has 50" pm-pack -l 50 --on-overflow error x
	fails_with 64 "--on-overflow" pm-pack -l 50 --on-overflow burst x
}

@test "pm-pack: preference pairs stay together" {
	jq -nc 'range(60) | . as $i | ("chosen", "rejected") as $k | {ids: [range(10 + $i % 7) | $i], kind: $k, group: $i}' >x
	pm-pack -q -l 100 --json x >rows
	jq -ec '. as $r | [range(0; .groups | length; 2)] | all(. as $i | $r.groups[$i] == $r.groups[$i + 1] and $r.kinds[$i:$i + 2] == ["chosen", "rejected"])' rows >/dev/null
	[ "$(jq -s 'map(.groups[]) | length' rows)" -eq 120 ]
	pm-pack -l 20 --json x 2>err >rows
	grep -q 'documents were dropped: they, or their group, are longer than a row' err
}

@test "pm-pack: streams one after the other are one, from files and from a pipe" {
	documents 30 >x
	pm-tokenize -q x >a
	sed 's/"ids":\[/&7,/; s/"weights":\[/&0,/' x | pm-tokenize -q >b
	pm-pack -q -l 256 --json a b >one
	cat a b | pm-pack -q -l 256 --json | cmp - one
	cat a b >c
	pm-pack -q -l 256 --json - <c | cmp - one
	[ "$(unpack one | wc -l)" -eq 60 ]
}

@test "pm-pack: streams of different tokenizers or vocabularies do not mix" {
	printf '{"pm":"tokens","version":1,"tokenizer":"aa","vocab":10}\n{"ids":[1,2]}\n' >a
	printf '{"pm":"tokens","version":1,"tokenizer":"bb","vocab":10}\n{"ids":[1,2]}\n' >b
	printf '{"pm":"tokens","version":1,"tokenizer":"aa","vocab":11}\n{"ids":[1,2]}\n' >c
	fails_with 65 "b: its header says another tokenizer than the one before it" pm-pack -l 8 a b
	fails_with 65 "c: its header says another vocabulary than the one before it" pm-pack -l 8 a c
	cat a b >d
	fails_with 65 "d: its header says another tokenizer" pm-pack -l 8 d
	pm-pack -q -l 8 a a | head -1 | jq -e '.tokenizer == "aa" and .vocab == 10'
}

@test "pm-pack: bad input is named with its record or line" {
	: >empty
	fails_with 65 "empty: is empty" pm-pack -l 8 empty
	fails_with 65 "standard input: is empty" pm-pack -l 8
	fails_with 66 "nowhere" pm-pack -l 8 nowhere
	documents 3 | pm-tokenize -q >a
	head -c -3 a >cut
	fails_with 65 "cut: record 3: the file ends after" pm-pack -l 128 -o out cut
	[ ! -e out ]
	pm-pack -q -l 128 a >blocks
	fails_with 65 "packed already" pm-pack -l 128 blocks
	printf '{"ids":[1,2]}\n{"ids":[1,"x"]}\n' >j
	fails_with 65 "j: line 2: 'ids': entry 1 is no token id" pm-pack -l 8 j
	printf '{"ids":[1,2]}\n{"ids":[1,2],"weights":[1,-1]}\n' >j
	fails_with 65 "j: line 2: token 1: a weight of -1" pm-pack -l 8 j
	printf '{"ids":[]}\n' >j
	fails_with 65 "no document is left to be packed" pm-pack -l 8 j
	printf 'Hello\n' >j
	fails_with 65 "j: neither a token stream nor JSON lines" pm-pack -l 8 j
}

@test "pm-pack: usage" {
	fails_with 64 "-l LENGTH was wanted" pm-pack
	fails_with 64 "--length" pm-pack -l 0
	fails_with 64 "unknown option '--nonsense'" pm-pack --nonsense
}

@test "pm-pack: a full disk is status 74, a closed pipe ends quietly, nothing half-written stays" {
	documents 300 >x
	fails_with 74 "No space left on device" pm-pack -q -l 256 -o /dev/full x
	run --separate-stderr bash -c 'pm-pack -q -l 256 x >/dev/full'
	[ "$status" -eq 74 ]
	run --separate-stderr bash -c 'set -o pipefail; pm-pack -q -l 256 x | head -c 1 >/dev/null'
	# shellcheck disable=SC2154
	[ "$status" -eq 141 ] && [ -z "$stderr" ]
	fails_with 73 "no/such/out" pm-pack -q -l 256 -o no/such/out x
	TMPDIR=$PWD/nowhere fails_with 73 "cannot create a temporary file" pm-pack -q -l 256 x
	echo '{"ids":[-1]}' >>x
	fails_with 65 "x: line 301" pm-pack -q -l 256 --no-shuffle -o out x
	[ "$(ls | grep -v ^separate)" = "$(printf 'fails.err\nfails.out\nx')" ]
}
