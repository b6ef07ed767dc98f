# pm-gguf: the frame, and the verbs that work on files as they are: dump.
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
	pm-gguf dump --json "$(golden_path $all)" | jq -S '{keys: .keys | map_values(.), types: .types,
		tensors: [.tensors[] | {name, dims: (.shape | reverse), bytes}]}' >have
	jq -S '{keys: [.keys[] | {key, value}] | from_entries,
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
