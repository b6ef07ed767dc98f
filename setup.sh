#!/bin/sh
# setup.sh: installs the Debian packages that are missing (as root, or with sudo), then runs make with the arguments given:
# `sh setup.sh check` needs nothing else on a fresh Debian 12.
set -eu
cd "$(dirname "$0")"

# To build: compiler, make, OpenCL headers and loader, the libraries.
packages="gcc libc6-dev make
	ocl-icd-opencl-dev libjq-dev libjansson-dev libarchive-dev libcurl4-openssl-dev libgcrypt20-dev libpcre2-dev libutf8proc-dev"
# To run: a CPU device for OpenCL (it links kernels with the system's linker), and what the recipes call.
packages="$packages pocl-opencl-icd binutils ca-certificates jq gnuplot-nox"
# To test.
packages="$packages bash bats mandoc libmicrohttpd-dev xz-utils"
case " $* " in
*" lint "*) packages="$packages clang cppcheck shellcheck" ;;
esac

missing=
for p in $packages; do
	case $(dpkg-query -W -f='${Status}' "$p" 2>/dev/null || :) in
	*" installed") ;;
	*) missing="$missing $p" ;;
	esac
done

if [ -n "$missing" ]; then
	as_root=
	if [ "$(id -u)" -ne 0 ]; then
		command -v sudo >/dev/null || { echo "setup.sh: root is needed to install:$missing" >&2; exit 77; }
		as_root=sudo
	fi
	echo "setup.sh: installing$missing" >&2
	export DEBIAN_FRONTEND=noninteractive
	$as_root apt-get -q update >&2
	# shellcheck disable=SC2086 # a list of names
	$as_root apt-get -q install -y --no-install-recommends $missing >&2
fi

[ $# -gt 0 ] || exit 0
make -j"$(nproc)" all
exec make "$@"
