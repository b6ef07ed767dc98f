# What holds for the source tree as a whole.

setup() {
	cd "$BATS_TEST_DIRNAME/.."
	shopt -s nullglob
}

@test "tree: every room includes only what lib/ROOMS allows, and headers form no circle" {
	awk -f tests/rooms.awk lib/ROOMS lib/*/*.[ch] bin/*.c
}

@test "tree: no file over 600 lines, no function over 80, but for the argued exceptions" {
	awk -f tests/sizes.awk tests/sizes.except lib/*/*.[ch] bin/*.c kernels/*.cl tests/*/*.[ch]
}

@test "tree: no banned function is called" {
	awk -f tests/banned.awk lib/*/*.[ch] bin/*.c
}

@test "tree: the library holds no variable that changes" {
	bad=$(objdump -t "${PM_BUILD:-build}/libpm.a" | awk '
		/file format/ { file = $1 }
		($4 == ".data" || $4 == ".bss" || $3 == ".data" || $3 == ".bss") && $NF !~ /^\./ && $(NF - 1) !~ /^0+$/ { print file, $NF }' |
		grep -v '^tool\.o:' || :)
	[ -z "$bad" ] || { echo "$bad"; false; }
}

@test "tree: compilers leave nothing among the sources" {
	left=$(find . -path './build*' -prune -o -path ./.git -prune -o -type f \( -name '*.[doa]' -o -name '*.so' -o -name core \) -print)
	[ -z "$left" ] || { echo "$left"; false; }
}

@test "tree: the checks find what they look for" {
	cd "$BATS_TEST_TMPDIR"
	mkdir -p lib/a lib/b
	printf 'a\nb a\n' >lib/ROOMS
	printf '#include "b/x.h"\n' >lib/a/x.h
	printf '#include "a/x.h"\n' >lib/b/x.h
	run awk -f "$OLDPWD/tests/rooms.awk" lib/ROOMS lib/*/*.h
	[ "$status" -eq 1 ]
	[[ $output == *"a may not include b"* && $output == *"headers in a circle"* ]]

	{ echo 'static int long_one(int a,'; echo '	int b)'; echo '{'; yes '	a++;' | head -78; echo '}'; } >lib/a/f.c
	: >sizes.except
	run awk -f "$OLDPWD/tests/sizes.awk" sizes.except lib/a/f.c
	[ "$status" -eq 1 ]
	[[ $output == *"long_one() has 82 lines"* ]]
	echo 'lib/a/f.c:long_one a table' >sizes.except
	awk -f "$OLDPWD/tests/sizes.awk" sizes.except lib/a/f.c

	printf 'int f(void)\n{\n\t/* exit(1) */ x = "exit(1)"; pm_exit(0); return atoi(s);\n}\n' >lib/a/g.c
	run awk -f "$OLDPWD/tests/banned.awk" lib/a/g.c
	[ "$status" -eq 1 ]
	[ "${#lines[@]}" -eq 1 ]
	[[ $output == *"atoi()"* ]]
	printf 'static void g(void)\n{\n\texit(1);\n}\n' >lib/a/g.c
	run awk -f "$OLDPWD/tests/banned.awk" lib/a/g.c
	[ "$status" -eq 1 ]
}

@test "tree: the test runner counts, and takes a crash, a missing plan and a wrong plan for failures" {
	cd "$BATS_TEST_TMPDIR"
	prog() { { echo '#!/bin/sh'; cat; } >"$1"; chmod +x "$1"; }
	prog good <<<'echo "ok 1 - a"; echo "ok 2 # SKIP no moon"; echo 1..2'
	prog bad <<<'echo "not ok 1 - b"; echo "# why"; echo 1..1; exit 1'
	prog crash <<<'echo "ok 1"; echo 1..1; kill -SEGV $$'
	prog noplan <<<'echo "ok 1"'
	prog short <<<'echo "ok 1"; echo 1..2'
	prog status <<<'echo "ok 1"; echo 1..1; exit 3'
	prog golden <<<'echo "ok 1 # SKIP golden data is not there"; echo 1..1'
	dir=$PWD
	cd "$OLDPWD"
	PM_SHARED='' run tests/run "$dir"/good
	[ "$status" -eq 0 ]
	[ "${lines[-1]}" = "1 passed, 0 failed, 1 skipped" ]
	PM_SHARED=$dir run tests/run "$dir"/{good,bad,crash,noplan,short,status,golden}
	[ "$status" -eq 1 ]
	echo "$output"
	[ "${lines[-1]}" = "5 passed, 6 failed, 1 skipped" ]
	[[ $output == *"# why"* && $output == *"ended by signal 11"* && $output == *"printed no plan"* ]]
}

# jq 1.8.2 links modules from the last to the first (jqlang/jq issue 3597): what another one needs stands last.
@test "tree: programs of share/gguf bring in gguf before pm" {
	awk '/^include "gguf";/ { gguf = FNR } /^include "pm";/ && gguf != FNR - 1 { print FILENAME; bad = 1 } END { exit bad }' "$PM_TOP"/share/gguf/*.jq
}
