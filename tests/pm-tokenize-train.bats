# pm-tokenize --train: the vocabularies are those of the tokenizers library's trainer, and it reads them as we do.
# tests/golden/learn was made with tokenizers 0.23.3: NAME.json what BpeTrainer learns from text.txt with the options below; ids.jsonl the
# ids that it gives for some texts with the files that pm-tokenize writes.
load lib

# Trains on the golden text into x.json.
train() {
	pm-tokenize -q --train "$1" --format plain -o x.json "${@:2}" "$PM_TOP/tests/golden/learn/text.txt"
}

same_as() {
	jq -c '{vocab: (.model.vocab | to_entries | sort_by(.value) | map(.key)), merges: .model.merges}' x.json | cmp - <(jq -c . "$PM_TOP/tests/golden/learn/$1.json")
}

@test "pm-tokenize --train bpe: merges and vocabulary are those of BpeTrainer" {
	train bpe --pattern gpt2 --vocab-size 700 --special-tokens '<|endoftext|>,<|pad|>'
	same_as gpt2
	train bpe --vocab-size 1000 --special-tokens '<|end|>'
	same_as llama3
	train bpe --pattern qwen2 --normalizer nfc --vocab-size 600 --min-frequency 5
	same_as qwen2
	train bpe --pattern o200k --vocab-size 100000 --min-frequency 20
	same_as o200k
	train bpe --pattern metaspace --normalizer nfkc,lowercase --vocab-size 600 --min-frequency 0 --special-tokens '<unk>,<s>' --special-tokens '</s>'
	same_as metaspace
}

@test "pm-tokenize --train: a regular expression as the pattern gives what its name gives" {
	train bpe --pattern qwen2 --vocab-size 600
	jq -c .model x.json >named
	train bpe --vocab-size 600 --pattern "$(jq -r '.pre_tokenizer.pretokenizers[0].pattern.Regex' x.json)"
	jq -c .model x.json | cmp - named
}

@test "pm-tokenize --train: what it writes is read here as by the tokenizers library" {
	while IFS= read -r row; do
		mapfile -t options < <(jq -r '.train[]' <<<"$row")
		train "${options[@]}"
		jq -c '.texts[] | {text: .}' <<<"$row" >texts
		pm-tokenize -q -m x.json --parse-special --json texts | jq -c .ids >have
		jq -c '.ids[]' <<<"$row" | diff - have
	done <"$PM_TOP/tests/golden/learn/ids.jsonl"
}

@test "pm-tokenize --train unigram: every character is a piece, the size is the one wanted, whole words come first" {
	train unigram --vocab-size 800
	jq -e '.model.vocab | length == 800 and .[0] == ["<unk>", 0] and (map(.[0]) | index("▁the") != null and index("北") != null)' x.json
	jq -e '.model.vocab[1:] | map(.[1]) | . == (sort | reverse) and all(. < 0)' x.json
	cp x.json again.json
	train unigram --vocab-size 800
	cmp x.json again.json
	train unigram --vocab-size 10
	jq -e '.model.vocab | length > 150 and all(.[1:][]; .[0] | length == 1)' x.json
}

@test "pm-tokenize --train: with bytes or with byte fallback every text comes back" {
	printf '%s\n' '"Ελληνικά 漢字 \t 🙂"' '"  two  spaces "' '"a\nb\r\n\n"' >want
	for o in "bpe" "bpe --pattern gpt2" "bpe --pattern metaspace --byte-fallback --no-prefix-space" "unigram --pattern o200k --normalizer none" \
		"unigram --byte-fallback --normalizer none --no-prefix-space"; do
		# shellcheck disable=SC2086
		train $o --vocab-size 1200
		jq -c '{text: .}' want | pm-tokenize -q -m x.json | pm-tokenize -q -m x.json --decode --json | jq -c .text >have
		diff want have || { echo "$o"; return 1; }
	done
}

@test "pm-tokenize --train: records are learned from as texts, prompts, answers and messages" {
	printf '%s\n' '{"text":"abab abab"}' >a
	printf '%s\n' '{"messages":[{"role":"user","content":"abab"},{"role":"assistant","content":" abab"}]}' >b
	printf '%s\n' '{"prompt":"abab","completion":" abab"}' >c
	for f in a b c; do
		pm-tokenize -q --train bpe --vocab-size 300 $f | jq -c .model.merges >$f.merges
		[ "$(cat $f.merges)" = '[["a","b"],["ab","ab"]]' ]
	done
	printf '%s\n' '{"q":"abab abab"}' | pm-tokenize -q --train bpe --vocab-size 300 --map '{text: .q}' | jq -c .model.merges | cmp - a.merges
	printf '%s\n' 'nonsense' '{"text":"abab abab"}' >bad
	fails_with 65 "line 1" pm-tokenize -q --train bpe --vocab-size 300 bad
	printf '%s\n' '{"text":1}' '{"text":"abab abab"}' >bad
	fails_with 65 "bad: line 1: there is no text in it" pm-tokenize -q --train bpe --format text bad
	pm-tokenize -q --train bpe --vocab-size 300 --format text --on-bad skip bad | jq -c .model.merges | cmp - a.merges
}

@test "pm-tokenize --train -o DIR: a tokenizer that the tools open, and how it was made" {
	pm-tokenize -q --train bpe --format plain --vocab-size 400 --special-tokens '<s>,</s>' --bos-token '<s>' --eos-token '</s>' -o m "$PM_TOP/tests/golden/learn/text.txt"
	jq -e '.eos_token == "</s>" and .bos_token == "<s>" and .pm.tool == "pm-tokenize" and (.pm.inputs[0].sha256 | length) == 64' m/tokenizer_config.json
	echo '{"text":"a"}' | pm-tokenize -q -m m --json --eos | jq -e '.ids[-1] == 1'
}

@test "pm-tokenize --train: what is wrong is said" {
	echo '{"text":"a"}' >x
	fails_with 64 "--model has no effect with --train" pm-tokenize --train bpe -m m x
	fails_with 64 "--vocab-size has no effect without --train" pm-tokenize --vocab-size 3 x
	fails_with 64 "--min-frequency has no effect with --train unigram" pm-tokenize --train unigram --min-frequency 3 x
	fails_with 64 "--max-piece-length has no effect with --train bpe" pm-tokenize --train bpe --max-piece-length 3 x
	fails_with 64 "normalizer 'nfx'" pm-tokenize --train bpe --normalizer nfc,nfx x
	fails_with 64 "byte fallback has no effect with a byte-level pre-tokenizer" pm-tokenize --train bpe --byte-fallback x
	fails_with 64 "the special token 'a' stands twice" pm-tokenize --train bpe --special-tokens a,b,a x
	fails_with 64 "'</s>' is none of the --special-tokens" pm-tokenize --train bpe --eos-token '</s>' -o m x
	fails_with 64 "--eos-token has no effect without -o DIR" pm-tokenize --train bpe --special-tokens a --eos-token a x
	fails_with 65 "pattern '[a'" pm-tokenize --train bpe --pattern '[a' x
	: >z
	fails_with 65 "there is no text to learn from" pm-tokenize --train bpe --format plain z
	printf '\377' >y
	fails_with 65 "y: byte 0 of the text is not UTF-8" pm-tokenize --train bpe --format plain y
	[ ! -e m ]
}
