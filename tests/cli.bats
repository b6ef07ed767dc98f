# What holds for every tool alike.
load lib

# With the verbs of those that have some, as pm-gguf-dump.
tools() {
	local f
	for f in "$PM_BIN"/pm-*; do
		case $f in *.o) ;; *) [ -x "$f" ] && with_verbs "$(basename "$f")" ;; esac
	done
	return 0
}

@test "cli: --help and -h print the usage on stdout and nothing else" {
	tools | while read -r t; do
		t=$(typed "$t")
		$t --help >out 2>err
		head -1 out | grep -q "^usage: $t "
		[ ! -s err ]
		$t -h | cmp - out
	done
}

@test "cli: --version names the tool and the version" {
	tools | while read -r t; do
		t=$(typed "$t")
		[ "$($t --version)" = "$t (pm) $(cat "$PM_TOP/VERSION")" ]
		[ "$($t -V)" = "$($t --version)" ]
	done
}

@test "cli: an unknown option is status 64 and one line" {
	tools | while read -r t; do
		t=$(typed "$t")
		fails_with 64 "$t: unknown option '--nonsense'" $t --nonsense
		fails_with 64 "$t: unknown option '-Z'" $t -Z
	done
}

@test "cli: help that cannot be written is status 74" {
	tools | while read -r t; do
		t=$(typed "$t")
		run --separate-stderr bash -c "$t --help >/dev/full"
		[ "$status" -eq 74 ]
		# shellcheck disable=SC2154
		[[ $stderr == "$t: cannot write the output: No space left on device" ]]
	done
}

@test "cli: nothing takes the place of a closed standard input, output or error" {
	tools | while read -r t; do
		t=$(typed "$t")
		[ "$(bash -c "$t --version <&- 2>&-")" = "$($t --version)" ]
		run --separate-stderr bash -c "$t --version >&-"
		[ "$status" -eq 74 ]
		# shellcheck disable=SC2154
		[[ $stderr == "$t: cannot write the output: Bad file descriptor" ]]
	done
}

@test "cli: what is tried of the processor is found with all of them closed, too" {
	needs_device
	PM_CACHE=$PWD/open pm-infer -q -m "$(tiny)" -n 2 hello
	PM_CACHE=$PWD/closed bash -c 'pm-infer -q -m "$1" -n 2 hello <&- >&- 2>&-' - "$(tiny)" || true
	# nothing is tried on some machines
	cat open/*.probe >tried || true
	cat closed/*.probe | cmp - tried
}

@test "cli: a letter means in every tool what the table of pm.7 says" {
	tools | while read -r t; do
		t=$(typed "$t")
		$t --help | sed -nE 's/^  -(.), --(\[no-\])?([^ ]*).*/\1 \3/p'
	done | sort -u >used
	awk '/^\.It Fl . Ta/ { for (i = 5; i < NF && $i != "Ta"; i++) if ($i == "Fl") print $3, substr($(i + 1), 2) }' "$PM_TOP/man/pm.7" | sort -u >table
	[ "$(wc -l <table)" -ge 13 ]
	comm -23 used table >unknown
	cat unknown
	[ ! -s unknown ]
}

@test "cli: what install puts there, uninstall removes" {
	make -s -C "$PM_TOP" B="${PM_BUILD:-build}" DESTDIR="$PWD/root" install-files
	for t in $(tools); do
		PM_SHARE=$PWD/root/usr/local/share/pm root/usr/local/bin/$(typed "$t") --version
		[ -f "root/usr/local/share/man/man1/$t.1" ]
	done
	[ -f root/usr/local/share/man/man7/pm.7 ]
	[ -f root/usr/local/share/pm/kernels/common.cl ]
	make -s -C "$PM_TOP" B="${PM_BUILD:-build}" DESTDIR="$PWD/root" uninstall
	[ -z "$(find root -type f -o -type l)" ]
}
