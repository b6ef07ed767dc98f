# The man pages against the tools: every option in both, the synopsis, and every line of the examples that begins with "$ ".
#
# Examples are run one after the other in a directory that holds
#	model           a tiny model with a tokenizer and a ChatML chat template (tests/golden/tiny)
#	model.gguf      a GGUF file with every type of key and tensor
#	adapter         a PEFT adapter for it
#	config.json     a model's configuration, for one trained from nothing
#	text.txt        plain text
#	chats.jsonl     records {"messages": [...]}
#	test.jsonl      more of them, held out
#	prompts.jsonl   records {"prompt": "..."}
#	train.blocks    chats.jsonl, tokenised and packed
load lib

pages() {
	local f
	for f in "$PM_TOP"/man/*.[1-9]; do
		[ -e "$f" ] && echo "$f"
	done
	return 0
}

# The tools, and the verbs of those that have some, as pm-gguf-dump.
tools() {
	local f
	for f in "$PM_TOP"/bin/pm-*.c; do
		[ -e "$f" ] && with_verbs "$(basename "$f" .c)"
	done
	return 0
}

# The page as plain text.
text() {
	mandoc -Tutf8 -Owidth=200 "$1" | sed "s|.\x08||g"
}

@test "man: every tool has a page" {
	for t in $(tools); do
		[ -f "$PM_TOP/man/$t.1" ] || { echo "no man/$t.1"; missing=1; }
	done
	[ -z "${missing-}" ]
}

@test "man: mandoc finds nothing to complain of" {
	for f in $(pages); do
		(cd "$PM_TOP" && mandoc -Tlint "man/${f##*/}") | grep -v 'referenced manual not found' || continue
		bad=1
	done
	[ -z "${bad-}" ]
}

@test "man: references to our own pages lead somewhere" {
	for f in $(pages); do
		grep -E '^\.Xr pm' "$f" | while read -r _ name section _; do
			[ -f "$PM_TOP/man/$name.$section" ] || echo "${f##*/}: $name($section) does not exist"
		done
	done >dangling
	cat dangling
	[ ! -s dangling ]
}

@test "man: the options of --help and of the page are the same" {
	for t in $(tools); do
		[ -f "$PM_TOP/man/$t.1" ] || continue
		$(typed "$t") --help | awk -v what=help -f "$PM_TOP/tests/man.awk" | sort -u >help
		awk -v what=page -f "$PM_TOP/tests/man.awk" "$PM_TOP/man/$t.1" | sort -u >page
		diff help page >both || { echo "$t: < in --help only, > in the page only"; grep '^[<>]' both; bad=1; }
	done
	[ -z "${bad-}" ]
}

@test "man: the synopsis names the tool and its operands as --help does" {
	for t in $(tools); do
		[ -f "$PM_TOP/man/$t.1" ] || continue
		want=$($(typed "$t") --help | sed -n '1s/^usage: .* \[options\] *//p' | tr -d ' ')
		have=$(text "$PM_TOP/man/$t.1" | sed -n '/^SYNOPSIS/,/^DESCRIPTION/p' | tr -d ' \n' | sed 's/\.\.\./…/g')
		want=${want//.../…}
		[[ ${have,,} == *"$(typed "$t" | tr -d ' ')"*"${want,,}"description ]] || { echo "$t: operands '$want' wanted at the end of: $have"; bad=1; }
	done
	[ -z "${bad-}" ]
}

@test "man: every page of a tool has the sections that belong to it" {
	for t in $(tools); do
		[ -f "$PM_TOP/man/$t.1" ] || continue
		for s in NAME SYNOPSIS DESCRIPTION 'EXIT STATUS' EXAMPLES 'SEE ALSO'; do
			grep -qE "^\.Sh \"?$s\"?\$" "$PM_TOP/man/$t.1" || { echo "man/$t.1: no section $s"; bad=1; }
		done
	done
	[ -z "${bad-}" ]
}

examples() {    # PAGE: the commands of its examples, continued lines joined
	text "$1" | awk '
		/^[A-Z]/ { on = /^EXAMPLES/ }
		on && sub(/^ *\$ /, "") { cmd = $0; while (sub(/\\$/, "", cmd) && (getline line) > 0) cmd = cmd line; print cmd }'
}

prepare() {
	ln -s "$(tiny)" model
	ln -s "$PM_TOP/tests/golden/fixtures/quant/gguf/all.gguf" model.gguf
	cp -r "$PM_TOP/tests/golden/fixtures/llama/base/lora/init" adapter
	cp "$(tiny)/config.json" config.json
	printf 'The sun rises in the east.\nA stone sinks, a leaf floats.\n' >text.txt
	for i in 1 2 3 4 5 6 7 8; do
		printf '{"messages":[{"role":"user","content":"%d and 1?"},{"role":"assistant","content":"%d"}]}\n' $i $((i + 1))
	done >chats.jsonl
	printf '{"messages":[{"role":"user","content":"9 and 1?"},{"role":"assistant","content":"10"}]}\n' >test.jsonl
	printf '{"prompt":"%s"}\n' "one" "two" >prompts.jsonl
	pm-tokenize -m model chats.jsonl | pm-pack -l 64 >train.blocks
}

@test "man: the examples run" {
	prepare
	for f in $(pages); do
		examples "$f" >examples
		while IFS= read -r -u 3 cmd; do
			timeout 120 bash -o pipefail -c "$cmd" >example.out 2>example.err </dev/null && continue
			echo "${f##*/}: status $?: $cmd"
			tail -5 example.err
			bad=1
		done 3<examples
	done
	[ -z "${bad-}" ]
}
