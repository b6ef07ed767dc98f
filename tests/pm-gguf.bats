# pm-gguf: the frame, and the verbs that work on files as they are: dump, check, hash, set, split, join.
load lib

all=fixtures/quant/gguf/all.gguf

@test "pm-gguf: a verb is wanted" {
	fails_with 64 "pm-gguf: a verb was wanted" pm-gguf
	fails_with 64 "pm-gguf: unknown verb 'dumb'" pm-gguf dumb x.gguf
	fails_with 64 "pm-gguf: unknown option '--json'" pm-gguf --json
	pm-gguf --help | grep -q '^  dump '
}

@test "pm-gguf dump: every key and tensor of the golden file" {
	needs_golden $all
	# numbers by their value: jq 1.7 keeps the digits of what it only passes on
	pm-gguf dump --json "$(golden_path $all)" | jq -S 'walk(if type == "number" then . + 0 else . end) | {keys: .keys | map_values(.), types: .types,
		tensors: [.tensors[] | {name, dims: (.shape | reverse), bytes}]}' >have
	jq -S 'walk(if type == "number" then . + 0 else . end) | {keys: [.keys[] | {key, value}] | from_entries,
		types: [.keys[] | {key, value: (if .type | startswith("array of ") then "\(.type[9:])[\(.value | length)]" else .type end)}] | from_entries,
		tensors: [.tensors[] | {name, dims, bytes}]}' "$(golden_path fixtures/quant/gguf/expected.json)" >want
	diff want have
}

@test "pm-gguf dump: text has a line for the file, one for each key, one for each tensor" {
	needs_golden $all
	pm-gguf dump "$(golden_path $all)" >out
	[ "$(wc -l <out)" -eq 65 ]
	awk -F '\t' 'NR == 1 && $2 == "version 3" && $3 == "alignment 32" { a = 1 }
		$1 == "a.f32" && $2 == "f32" && $3 == "0.1" { b = 1 }
		$1 == "b.str" && $2 == "str[3]" && $3 == "[\"\",\"a\",\"▁b\"]" { c = 1 }
		$1 == "t.Q4_K.weight" && $2 == "q4_k" && $3 == "[3,256]" && $5 == 432 { d = 1 }
		END { exit !(a && b && c && d) }' out
	[ "$(pm-gguf dump --keys "$(golden_path $all)" | wc -l)" -eq 29 ]
	[ "$(pm-gguf dump --tensors "$(golden_path $all)" | wc -l)" -eq 35 ]
}

@test "pm-gguf dump: what cannot be done is said" {
	needs_golden $all
	fails_with 64 "a file was wanted" pm-gguf dump
	fails_with 64 "exclude each other" pm-gguf dump --keys --tensors x
	fails_with 64 "--full has no effect" pm-gguf dump --full --json x
	head -c 500 "$(golden_path $all)" >cut.gguf
	fails_with 65 "pm-gguf dump: cut.gguf: key 18 of 29: cut short" pm-gguf dump cut.gguf
	fails_with 66 "none.gguf" pm-gguf dump ./none.gguf
}

@test "pm-gguf: completion knows the verbs and their options" {
	source "$PM_TOP/share/completions/pm.bash"
	COMP_WORDS=(pm-gguf du) COMP_CWORD=1
	_pm
	[ "${COMPREPLY[*]}" = dump ]
	COMP_WORDS=(pm-gguf dump --js) COMP_CWORD=2
	_pm
	[ "${COMPREPLY[*]}" = --json ]
}

@test "pm-gguf check: nothing is wrong with the golden files" {
	needs_golden $all
	for f in all align8 align64 align4096 version2 no_tensors; do
		pm-gguf check "$(golden_path fixtures/quant/gguf/$f.gguf)" >out
		[ ! -s out ]
	done
	run -1 pm-gguf check "$(golden_path fixtures/quant/gguf/no_keys.gguf)"
	[[ $output == *"no_keys.gguf: key 'general.architecture': is not there" ]]
}

@test "pm-gguf check: what others would stumble over" {
	needs_golden $all
	pm-gguf set "$(golden_path $all)" -o a.gguf general.name=u32:5 llama.block_count=i32:1 general.file_type='u32[]:[1]' \
		tokenizer.ggml.tokens='str[]:["a","b"]' tokenizer.ggml.scores='f32[]:[1]' tokenizer.ggml.bos_token_id=u32:2
	run -1 pm-gguf check a.gguf
	[ "${#lines[@]}" -eq 5 ]
	[[ $output == *"key 'general.name': str was wanted, not u32"* && $output == *"'llama.block_count': u32 was wanted, not i32"* ]]
	[[ $output == *"'general.file_type': u32 was wanted, not u32[]"* && $output == *"'tokenizer.ggml.scores': 1 elements for 2 tokens"* ]]
	[[ $output == *"'tokenizer.ggml.bos_token_id': 2 is none of 2 tokens"* ]]
}

# Bytes put into a copy of the golden file, from the beginning of a tensor's.
broken() { # TENSOR PLUS OCTAL...
	local at
	at=$(pm-gguf dump --json --tensors "$(golden_path $all)" | jq --arg t "$1" '.tensors[] | select(.name == $t) | .offset')
	cat "$(golden_path $all)" >b.gguf
	# shellcheck disable=SC2059
	printf "$3" | dd of=b.gguf bs=1 seek=$((at + $2)) conv=notrunc status=none
}

@test "pm-gguf check: numbers that are none, in floats and in the scales of blocks" {
	needs_golden $all
	for t in Q4_0:18 Q4_1:22 Q5_0:0 Q5_1:2 Q8_0:34 Q2_K:80 Q2_K:82 Q3_K:108 Q4_K:0 Q4_K:146 Q5_K:0 Q6_K:208 IQ2_XXS:0 IQ2_XS:0 IQ2_S:0 IQ3_XXS:0 IQ3_S:0 \
		IQ1_S:50 IQ4_NL:18 IQ4_XS:0 TQ1_0:52 TQ2_0:64 Q1_0:0 Q2_0:18; do
		broken "t.${t%:*}.weight" "${t#*:}" '\0\174'
		run -1 pm-gguf check b.gguf
		[[ $output == *"tensor 't.${t%:*}.weight': the block of value "*" has a scale that is no number" ]] || { echo "$t: $output"; false; }
		pm-gguf check --no-data b.gguf
	done
	broken t.IQ1_M.weight 48 '\0\0\0\0\0\300\0\160'
	run -1 pm-gguf check b.gguf
	broken t.MXFP4.weight 17 '\377'
	run -1 pm-gguf check b.gguf
	[[ $output == *"the block of value 32 "* ]]
	broken t.F32 4 '\0\0\200\377'
	run -1 pm-gguf check b.gguf
	[[ $output == *"tensor 't.F32': value 1 is no number" ]]
	broken t.F16 0 '\1\174'
	run -1 pm-gguf check b.gguf
	broken t.BF16 0 '\200\177'
	run -1 pm-gguf check b.gguf
	broken t.F64 14 '\360\177'
	run -1 pm-gguf check b.gguf
	[[ $output == *"tensor 't.F64': value 1 is no number" ]]
}

@test "pm-gguf hash: the golden hashes; keys do not count" {
	needs_golden $all
	jq -r '.tensors[] | "\(.sha256)  \(.name)"' "$(golden_path fixtures/quant/gguf/expected.json)" >want
	pm-gguf hash "$(golden_path $all)" >have
	head -n -1 have | diff want -
	pm-gguf set "$(golden_path $all)" -o b.gguf a.u8=1 general.alignment=u32:64
	[ "$(pm-gguf hash --whole b.gguf | cut -c 1-64)" = "$(tail -1 have | cut -c 1-64)" ]
	pm-gguf hash --json b.gguf | jq -e --arg h "$(tail -1 have | cut -c 1-64)" '.sha256 == $h and (.tensors | length) == 35'
}

@test "pm-gguf set: values of every type, in place; the tensors stay" {
	needs_golden $all
	cat "$(golden_path $all)" >a.gguf
	pm-gguf set a.gguf a.u8=7 a.i64=-1 a.u64=18446744073709551614 a.f32=-1e-3 a.true=false a.string='x=y:z' b.str='["é",""]' b.f64='f64[]:[1.5,2]' \
		'new one=bool:true' --remove b.i8 --remove a.i8
	pm-gguf dump --json a.gguf | jq -e '.keys | .["a.u8"] == 7 and .["a.i64"] == -1 and .["a.f32"] == -0.001 and .["a.true"] == false and
		.["a.string"] == "x=y:z" and .["b.str"] == ["é", ""] and .["b.f64"] == [1.5, 2] and .["new one"] and (has("b.i8") or has("a.i8") | not)'
	pm-gguf dump --json a.gguf | jq -e '.types["a.u8"] == "u8" and .types["b.str"] == "str[2]" and (.keys | keys_unsorted[0:2]) == ["general.architecture", "a.u8"]'
	[ "$(pm-gguf hash a.gguf | head -n -1)" = "$(pm-gguf hash "$(golden_path $all)" | head -n -1)" ]
	pm-gguf set a.gguf general.alignment=u32:4096
	pm-gguf dump a.gguf | grep -q 'alignment 4096'
	pm-gguf set a.gguf --remove general.alignment
	pm-gguf check a.gguf
}

@test "pm-gguf set: what cannot be done leaves the file as it is" {
	needs_golden $all
	cat "$(golden_path $all)" >a.gguf
	fails_with 64 "KEY=VALUE … was wanted" pm-gguf set a.gguf
	fails_with 64 "KEY=VALUE was wanted, not 'x'" pm-gguf set a.gguf x
	fails_with 64 "key 'x' is new: a type was wanted" pm-gguf set a.gguf x=1
	fails_with 64 "key 'a.u8': 256 does not fit in u8" pm-gguf set a.gguf a.u8=256
	fails_with 64 "key 'a.u8': 'seven' is no u8" pm-gguf set a.gguf a.u8=seven
	fails_with 64 "key 'a.u64': '-1' is no u64" pm-gguf set a.gguf a.u64=-1
	fails_with 64 "key 'a.true': '2' is no bool" pm-gguf set a.gguf a.true=2
	fails_with 64 "element 1: an element is no u32" pm-gguf set a.gguf 'b.u32=[1,"2"]'
	fails_with 64 "key 'b.str': its value" pm-gguf set a.gguf 'b.str=["a"'
	fails_with 64 "key 'a.u8' is named twice" pm-gguf set a.gguf a.u8=1 --remove a.u8
	fails_with 64 "there is no key 'x'" pm-gguf set a.gguf --remove x
	fails_with 64 "alignment 48 is no power of two" pm-gguf set a.gguf general.alignment=u32:48
	cmp a.gguf "$(golden_path $all)"
	[ "$(ls -A)" = "a.gguf
fails.err
fails.out" ]
}

@test "pm-gguf split, join: the parts of llama-gguf-split, and back to the same bytes" {
	needs_golden $all fixtures/quant/models/stories260K/split
	dir=$(golden_path fixtures/quant/models/stories260K/split)
	pm-gguf join -q "$dir/stories260K-00002-of-00003.gguf" -o whole.gguf
	pm-gguf check whole.gguf
	pm-gguf split -q whole.gguf --max-tensors 17 -o stories260K >list
	[ "$(wc -l <list)" -eq 3 ]
	for n in 1 2 3; do
		cmp stories260K-0000$n-of-00003.gguf "$dir/stories260K-0000$n-of-00003.gguf"
	done
	[ "$(pm-gguf hash --whole whole.gguf | cut -c 1-64)" = "$(pm-gguf hash --whole stories260K-00003-of-00003.gguf | cut -c 1-64)" ]
}

@test "pm-gguf split: by size, without tensors in the first part, dry" {
	needs_golden $all
	cat "$(golden_path $all)" >m.gguf
	pm-gguf split m.gguf --max-size 3k --dry-run >list
	[ "$(ls -A)" = "list
m.gguf" ]
	awk -F '\t' '{ sub(/ .*/, "", $2); sub(/ .*/, "", $3); n += $2; if ($2 + 0 > 1 && $3 + 0 > 3000) bad = 1 } END { exit n != 35 || bad }' list
	grep -q "1 tensors	3072 bytes" list
	pm-gguf split m.gguf --no-tensor-first -o p
	[ "$(pm-gguf dump --tensors p-00001-of-00002.gguf | wc -l)" -eq 0 ]
	[ "$(pm-gguf dump --keys p-00002-of-00002.gguf | wc -l)" -eq 3 ]
	pm-gguf join p-00001-of-00002.gguf -o back.gguf
	cmp back.gguf m.gguf
	fails_with 64 "--max-size: a size" pm-gguf split m.gguf --max-size 3T
	fails_with 64 "exclude each other" pm-gguf split m.gguf --max-size 3k --max-tensors 3
	fails_with 65 "no part of a split model" pm-gguf join m.gguf -o x.gguf
	rm p-00002-of-00002.gguf
	fails_with 66 "p-00002-of-00002.gguf" pm-gguf join p-00001-of-00002.gguf -o x.gguf
	[ ! -e x.gguf ]
}
