# hub.bash: a hub on the loopback (tests/server/hub.c) for the tests of pm-fetch. `load hub` behind `load lib`.
# shellcheck disable=SC2034,SC2154 # the names are read by the tests; lib.bash sets PM_BIN

C1=1111111111111111111111111111111111111111
C2=2222222222222222222222222222222222222222

# Begins a hub that serves $PWD/srv; it ends with the test. org/model has a model's files at two commits.
hub() {
	local m=srv/models/org/model
	mkdir -p $m/$C1/onnx $m/$C2 srv/files
	printf '{"model_type":"llama"}' >$m/$C1/config.json
	printf '{"tokens":[]}' >$m/$C1/tokenizer.json
	: >$m/$C1/empty.json
	seq 1 4000 >$m/$C1/model-00001-of-00002.safetensors
	seq 4001 9000 >$m/$C1/model-00002-of-00002.safetensors
	echo pickle >$m/$C1/pytorch_model.bin
	echo onnx >$m/$C1/onnx/model.onnx
	cp -r $m/$C1/. $m/$C2
	printf '{"model_type":"qwen3"}' >$m/$C2/config.json
	printf %s $C1 >$m/main
	printf %s $C1 >$m/v1
	printf %s $C2 >$m/v2
	mkdir -p $m/refs/pr
	printf %s $C2 >$m/refs/pr/1
	: >srv/faults
	: >srv/log
	coproc HUB { exec "$(dirname "$PM_BIN")/tests/server/hub" srv; }
	read -r PORT AWAY <&"${HUB[0]}"
	export HF_ENDPOINT=http://127.0.0.1:$PORT HF_HUB_CACHE=$PWD/cache PM_CACHE=$PWD/pm
	unset HF_TOKEN HF_HOME HF_HUB_OFFLINE http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY
	export HOME=$PWD/home
	repo=cache/models--org--model
}

fetch() { pm-fetch -q --retry-delay 0.01 "$@"; }
faults() { printf '%s\n' "$@" >srv/faults; : >srv/log; }
asked() { grep -c "$@" srv/log || :; }

# The files of a commit, but for some, are in the snapshot.
whole() {
	local snap=$repo/snapshots/$1 f
	for f in config.json tokenizer.json empty.json model-00001-of-00002.safetensors model-00002-of-00002.safetensors; do
		cmp "srv/models/org/model/$1/$f" "$snap/$f" || return 1
	done
	[ -z "$(find cache -name '*.incomplete' -o -name '*.tmp')" ]
}

