# pm-fetch: what it fetches, from a server on the loopback, and what all tools make of the names that it takes.
load lib

# A cache as others fill it: the tiny model as org/tiny, its adapter as org/adapter.
by_hand() {
	local c=0123456789abcdef0123456789abcdef01234567 d=$PWD/hub/models--org--tiny
	export HF_HUB_CACHE=$PWD/hub
	mkdir -p "$d/blobs" "$d/snapshots/$c" "$d/refs" hub/models--org--adapter/snapshots/$c hub/models--org--adapter/refs
	for f in "$(tiny)"/*; do
		local h
		h=$(sha256sum "$f" | cut -d' ' -f1)
		cp "$f" "$d/blobs/$h"
		ln -s "../../blobs/$h" "$d/snapshots/$c/${f##*/}"
	done
	printf %s $c >"$d/refs/main"
	printf %s $c >"$d/refs/v1"
	cp "$PM_TOP"/tests/golden/fixtures/llama/base/lora/init/* hub/models--org--adapter/snapshots/$c
	printf %s $c >hub/models--org--adapter/refs/main
}

@test "names: every tool takes ORG/NAME from the cache for a model and an adapter" {
	needs_device
	by_hand
	echo '{"text":"the cat sat on the mat, and then the cat sat on the hat again and again"}' >t.jsonl
	pm-tokenize -m org/tiny t.jsonl | pm-pack -q -l 16 >t.blocks
	pm-inspect org/tiny | head -1 | grep -q snapshots
	pm-eval -q -m org/tiny@v1 t.blocks >one
	pm-eval -q -m "$(tiny)" t.blocks >two
	cmp one two
	[ "$(pm-infer -q -m hf://models/org/tiny -n 4 x)" = "$(pm-infer -q -m "$(tiny)" -n 4 x)" ]
	pm-train -q -m org/tiny --lora 2 -n 1 -o tuned t.blocks
	[ "$(jq -r .base_model_name_or_path tuned/adapter_config.json)" = org/tiny ]
	pm-eval -q -m org/tiny -a tuned t.blocks >three
	pm-inspect org/adapter | grep -q adapter
}

@test "names: what the cache has not is status 66 with what would fetch it; a path wins" {
	by_hand
	fails_with 66 "org/other: is no path, and not in the cache: 'pm-fetch org/other' gets it" pm-tokenize -m org/other x
	fails_with 66 "'pm-fetch org/tiny@v9' gets it" pm-inspect org/tiny@v9
	fails_with 66 "'pm-fetch hf://datasets/org/tiny' gets it" pm-inspect hf://datasets/org/tiny
	fails_with 66 "org/tiny:Q4_0: the cache has no GGUF file of Q4_0" pm-inspect org/tiny:Q4_0
	fails_with 66 "./org/tiny" pm-inspect ./org/tiny
	mkdir -p org/other
	cp "$(tiny)"/* org/other
	pm-inspect org/other | head -1 | grep -qx org/other
}

@test "names: the cache is found as other software finds it" {
	by_hand
	unset HF_HUB_CACHE
	mv hub moved
	mkdir -p a b/huggingface home/.cache/huggingface
	HF_HUB_CACHE=$PWD/moved pm-inspect org/tiny >1
	ln -s "$PWD/moved" a/hub
	HF_HOME=$PWD/a pm-inspect org/tiny >2
	ln -s "$PWD/moved" b/huggingface/hub
	XDG_CACHE_HOME=$PWD/b pm-inspect org/tiny >3
	ln -s "$PWD/moved" home/.cache/huggingface/hub
	env -u XDG_CACHE_HOME -u HF_HOME HOME="$PWD/home" pm-inspect org/tiny >4
	HUGGINGFACE_HUB_CACHE=$PWD/moved pm-inspect org/tiny >5
	HOME=$PWD HF_HOME='~/a' pm-inspect org/tiny >6
	for i in 2 3 4 5 6; do diff <(tail -n +2 1) <(tail -n +2 $i); done
}

# ---- a hub on the loopback ----

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
	coproc HUB { "$(dirname "$PM_BIN")/tests/server/hub" srv; }
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

@test "fetch: a model lands in the layout that others share" {
	hub
	[ "$(fetch org/model)" = "$PWD/$repo/snapshots/$C1" ]
	whole $C1
	[ ! -e $repo/snapshots/$C1/pytorch_model.bin ]
	[ ! -e $repo/snapshots/$C1/onnx ]
	[ "$(cat $repo/refs/main)" = $C1 ]
	[ "$(readlink $repo/snapshots/$C1/config.json)" = "../../blobs/$(git hash-object srv/models/org/model/$C1/config.json 2>/dev/null || printf 'blob 22\0{"model_type":"llama"}' | sha1sum | cut -d' ' -f1)" ]
	h=$(sha256sum <srv/models/org/model/$C1/model-00001-of-00002.safetensors | cut -d' ' -f1)
	[ "$(readlink $repo/snapshots/$C1/model-00001-of-00002.safetensors)" = "../../blobs/$h" ]
	grep -q '^Signature: 8a477f597d28d172789f06886806bc55' cache/CACHEDIR.TAG
	[ -e cache/.locks/models--org--model/$h.lock ]
	[ "$(jq -r '.format_version, .files["config.json"].size, .files["model-00001-of-00002.safetensors"].lfs_sha256' $repo/trees/$C1.json | tr '\n' ' ')" = "1 22 $h " ]
	[ "$(jq '.files | length' $repo/trees/$C1.json)" = 7 ]
}

@test "fetch: a second call asks one question and transfers nothing; a commit asks none; --offline neither" {
	hub
	fetch org/model
	: >srv/log
	fetch org/model
	[ "$(cat srv/log)" = "hub GET /api/models/org/model/revision/main range=- auth=-" ]
	: >srv/log
	fetch --revision $C1 org/model
	pm-fetch -q --offline org/model
	HF_HUB_OFFLINE=1 fetch org/model@$C1
	[ ! -s srv/log ]
}

@test "fetch: revisions: branches, tags, commits, pull requests; blobs are shared" {
	hub
	fetch org/model@v2
	whole $C2
	fetch org/model@refs/pr/1
	[ "$(cat $repo/refs/refs/pr/1)" = $C2 ]
	: >srv/log
	fetch org/model
	[ "$(asked /resolve/)" = 1 ]
	[ "$(asked config.json)" = 1 ]
	whole $C1
	printf %s $C2 >srv/models/org/model/main
	[ "$(fetch org/model)" = "$PWD/$repo/snapshots/$C2" ]
	[ "$(cat $repo/refs/main)" = $C2 ]
	fails_with 64 "--revision v1 says otherwise" fetch --revision v1 org/model@v2
}

@test "fetch: what is chosen: files, patterns, all, a name with a path, GGUF by quantisation" {
	hub
	snap=$repo/snapshots/$C1
	[ "$(fetch org/model config.json)" = "$PWD/$snap/config.json" ]
	[ "$(ls $snap)" = config.json ]
	[ "$(asked /tree/)" = 0 ]
	[ "$(fetch hf://org/model/onnx/model.onnx)" = "$PWD/$snap/onnx/model.onnx" ]
	[ "$(fetch "$HF_ENDPOINT/org/model/blob/main/pytorch_model.bin")" = "$PWD/$snap/pytorch_model.bin" ]
	fetch org/model --include '*.bin' --include 'onnx/' --exclude 'x*'
	fetch org/model --all
	[ "$(find $snap -type l | wc -l)" = 7 ]
	fails_with 66 "no file 'absent*'" fetch org/model 'absent*'
	fails_with 66 "absent.json: there is no such file" fetch org/model@v2 absent.json
	[ -e $repo/.no_exist/$C2/absent.json ]
	g=srv/models/org/gguf/$C1
	mkdir -p $g
	for q in Q2_K Q4_K_M Q8_0-00001-of-00002 Q8_0-00002-of-00002; do seq 1 500 >$g/m-$q.gguf; echo $q >>$g/m-$q.gguf; done
	printf %s $C1 >srv/models/org/gguf/main
	[ "$(fetch org/gguf:q8_0)" = "$PWD/cache/models--org--gguf/snapshots/$C1/m-Q8_0-00001-of-00002.gguf" ]
	[ "$(ls cache/models--org--gguf/snapshots/$C1 | wc -l)" = 2 ]
	fetch org/gguf
	[ "$(ls cache/models--org--gguf/snapshots/$C1 | wc -l)" = 3 ]
	fails_with 66 "no GGUF file of Q5_K" fetch org/gguf:Q5_K
}

@test "fetch: data sets and spaces" {
	hub
	for t in datasets spaces; do
		mkdir -p srv/$t/org/set/$C1/data
		seq 1 2000 >srv/$t/org/set/$C1/data/train.jsonl
		echo '# x' >srv/$t/org/set/$C1/README.md
		printf %s $C1 >srv/$t/org/set/main
	done
	d=$(fetch --type dataset org/set)
	[ "$d" = "$PWD/cache/datasets--org--set/snapshots/$C1" ]
	cmp "$d/data/train.jsonl" srv/datasets/org/set/$C1/data/train.jsonl
	[ -e "$d/README.md" ]
	[ "$(readlink "$d/data/train.jsonl")" = "../../../blobs/$(sha256sum <srv/datasets/org/set/$C1/data/train.jsonl | cut -d' ' -f1)" ]
	fetch hf://spaces/org/set
	[ "$(ls -d cache/spaces--org--set)" ]
	fails_with 64 "--type model says otherwise" fetch --type model hf://datasets/org/set
	fails_with 66 "there is no such repository" fetch org/set
}
