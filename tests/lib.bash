# lib.bash: what the bats files share. `load lib` at their top. Every test starts in an empty directory of its own with the built
# tools first in PATH.
#
#   golden FILE CMD...              the command ends well and its output is tests/golden/FILE
#   fails_with STATUS TEXT CMD...   it ends with STATUS and one line on stderr that holds TEXT
#   golden_path REL                 prints where a file of the golden data is (fixtures/..., data/...): in $PM_SHARED, else in
#                                   tests/golden; fails where it is in neither
#   needs_golden REL...             skips the test where one of them is in neither
#   needs_device                    skips the test where OpenCL shows no device
#   with_verbs TOOL                 prints its name and those of its verbs' pages: pm-gguf, pm-gguf-dump ...
#   typed NAME                      prints how one of these is typed: pm-gguf dump
#   tiny                            prints the path of a tiny model with a tokenizer and a chat template

PM_TOP=$(cd "${BASH_SOURCE[0]%/*}/.." && pwd)
PM_BIN=$(cd "$PM_TOP" && realpath "${PM_BUILD:-build}")/bin
PATH=$PM_BIN:$PATH
if [ -z "${PM_SHARED-}" ] && [ -f "$PM_TOP/../shared/fixtures/README.md" ]; then
	PM_SHARED=$(cd "$PM_TOP/../shared" && pwd)
	export PM_SHARED
fi
bats_require_minimum_version 1.5.0

setup() {
	cd "$BATS_TEST_TMPDIR" || return 1
}

golden() {
	local want=$PM_TOP/tests/golden/$1
	shift
	"$@" >golden.out || { echo "status $?: $*"; return 1; }
	diff -u "$want" golden.out
}

fails_with() {
	local want=$1 text=$2 status=0
	shift 2
	"$@" >fails.out 2>fails.err </dev/null || status=$?
	if [ "$status" -ne "$want" ] || [ "$(wc -l <fails.err)" -ne 1 ] || ! grep -qF -- "$text" fails.err; then
		echo "wanted status $want and one line with '$text' from: $*"
		echo "status $status:"
		head -20 fails.err
		return 1
	fi
}

golden_path() {
	local dir
	for dir in ${PM_SHARED:+"$PM_SHARED"} "$PM_TOP/tests/golden"; do
		[ -e "$dir/$1" ] && { echo "$dir/$1"; return 0; }
	done
	return 1
}

needs_golden() {
	local rel
	for rel; do
		golden_path "$rel" >/dev/null || skip "golden data is not there ($rel)"
	done
}

needs_device() {
	pm-inspect --devices >/dev/null 2>&1 || skip "no OpenCL device"
}

tiny() {
	echo "$PM_TOP/tests/golden/tiny"
}

with_verbs() {
	echo "$1"
	"$1" --help | sed -n "/^verbs/,\$s/^  \([a-z]*\) .*/$1-\1/p"
}

typed() {
	if [ -x "$PM_BIN/$1" ]; then echo "$1"; else echo "${1%-*} ${1##*-}"; fi
}
