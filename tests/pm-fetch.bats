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
