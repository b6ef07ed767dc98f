# pm-fetch: what it fetches, from a server on the loopback, and what all tools make of the names that it takes.
load lib
load hub

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

@test "fetch: --dry-run says files and bytes and writes nothing; --json says all" {
	hub
	fetch --dry-run org/model >out
	[ ! -e cache ]
	[ "$(grep -c '^fetch' out)" = 5 ]
	grep -qx $'fetch\t22\tconfig.json' out
	[ "$(tail -1 out)" = $'total\t43928\t5 of 5 files to fetch, 43928 bytes' ]
	fetch org/model config.json
	fetch --dry-run org/model >out
	grep -qx $'here\t22\tconfig.json' out
	[ "$(tail -1 out)" = $'total\t43928\t4 of 5 files to fetch, 43906 bytes' ]
	fetch --json org/model >out
	[ "$(wc -l <out)" = 1 ]
	[ "$(jq -r '.type, .id, .revision, .commit, .received, (.files | length), ([.files[].is] | unique | join(",")), .path' out | tr '\n' ' ')" = \
		"model org/model main $C1 43906 5 fetched,here $PWD/$repo/snapshots/$C1 " ]
	fetch --json org/model | jq -e '.received == 0 and .needed == 0'
	pm-fetch --retry-delay 0.01 org/model@v2 >out 2>err
	[ "$(cat out)" = "$PWD/$repo/snapshots/$C2" ]
	grep -q "org/model@222222222222: 5 files" err
	PM_PROGRESS=1 pm-fetch --local-dir there org/model >out 2>err
	grep -q 'model-00001-of-00002.safetensors  18.9 kB' err
	grep -qE '5 of 5 files  43.9 kB of 43.9 kB  ' err
}

@test "fetch: offline, what is missing is status 66, and half a snapshot is none" {
	hub
	fails_with 66 "the network is not to be used" pm-fetch -q --offline org/model
	fetch org/model config.json
	pm-fetch -q --offline org/model config.json
	fetch org/model --exclude '*00002-of*'
	fails_with 66 "'model-00002-of-00002.safetensors' is not in the cache" pm-fetch -q --offline org/model
	fails_with 66 "the cache lacks 'model-00002-of-00002.safetensors' of it: 'pm-fetch org/model' gets it" pm-inspect org/model
	fetch org/model
	pm-fetch -q --offline org/model
	rm $repo/trees/$C1.json # filled by others, who kept no list
	pm-fetch -q --offline org/model
	fails_with 66 "no file 'x'" pm-fetch -q --offline org/model x
	fails_with 64 "--jobs has no effect with --offline" pm-fetch --offline --jobs 2 org/model
}

@test "fetch: --local-dir has plain files, goes on, and knows what was changed" {
	hub
	[ "$(fetch --local-dir d org/model)" = d ]
	for f in config.json empty.json model-00001-of-00002.safetensors; do
		cmp srv/models/org/model/$C1/$f d/$f
		[ ! -L d/$f ]
	done
	[ "$(sed -n 1p d/.cache/huggingface/download/config.json.metadata)" = $C1 ]
	sha256sum d/model-00001-of-00002.safetensors | grep -q "^$(sed -n 2p d/.cache/huggingface/download/model-00001-of-00002.safetensors.metadata) "
	[ "$(cat d/.cache/huggingface/.gitignore)" = '*' ]
	[ ! -e cache ]
	: >srv/log
	fetch --local-dir d org/model
	[ "$(wc -l <srv/log)" = 1 ]
	pm-fetch -q --offline --local-dir d org/model
	printf 'x%.0s' $(seq 22) >d/config.json
	touch -d '+1 hour' d/config.json
	pm-fetch -q --verify d >out || [ $? = 1 ]
	grep -q 'd/config.json: has the hash' out
	fetch --local-dir d org/model
	cmp srv/models/org/model/$C1/config.json d/config.json
	[ "$(asked /resolve/)" = 1 ]
	fetch --local-dir d org/model@v2
	cmp srv/models/org/model/$C2/config.json d/config.json
	pm-fetch -q --verify d
	rm -rf d/.cache
	faults 'only /tree/' 'list [{"type":"file","path":".git/hooks/pre-commit","size":5,"oid":"e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"}]'
	fails_with 65 "'.git/hooks/pre-commit': such a one goes into the cache only" fetch --all --local-dir d org/model@v2
	[ ! -e d/.git ]
}

@test "fetch: --lock writes what was fetched, and fetches exactly that" {
	hub
	fetch --lock l.json org/model >/dev/null
	[ "$(jq -r '.pm_lock, .repositories[0].type, .repositories[0].id, .repositories[0].revision, .repositories[0].commit, (.repositories[0].files | length)' l.json | tr '\n' ' ')" = "1 model org/model main $C1 5 " ]
	printf %s $C2 >srv/models/org/model/main
	rm -rf cache
	: >srv/log
	[ "$(fetch --lock l.json)" = "$PWD/$repo/snapshots/$C1" ]
	whole $C1
	[ "$(asked /api/)" = 0 ]
	fetch --lock l.json org/model
	[ "$(asked /api/)" = 0 ]
	mkdir -p srv/models/org/two/$C2
	echo '{}' >srv/models/org/two/$C2/config.json
	printf %s $C2 >srv/models/org/two/main
	fetch --lock l.json org/two
	[ "$(jq '.repositories | length' l.json)" = 2 ]
	fails_with 65 "l.json has the revision 'main', 'v2' was wanted" fetch --lock l.json org/model@v2
	# what the hub has under that commit is no longer what it was
	rm -rf cache
	printf '{"model_type":"other"}' >srv/models/org/model/$C1/config.json
	fails_with 65 "config.json: the bytes have the hash" fetch --lock l.json org/model
	jq '.repositories[0].files[0].path = "../x"' l.json >bad.json
	fails_with 65 "'../x'" fetch --lock bad.json
	echo '{}' >bad.json
	fails_with 65 "a lock file was wanted" fetch --lock bad.json
}

@test "fetch: --verify finds what was changed, --repair fetches it again" {
	hub
	fetch org/model
	pm-fetch --verify 2>err
	grep -q "5 files are what they were, 0 are not" err
	h=$(readlink -f $repo/snapshots/$C1/config.json)
	printf '{"model_type":"LLAMA"}' >"$h"
	status=0
	pm-fetch -q --verify org/model >out || status=$?
	[ $status = 1 ]
	[ "$(wc -l <out)" = 1 ]
	grep -qE "config.json: has the hash [0-9a-f]{40}, ${h##*/} was wanted" out
	fetch org/model
	! pm-fetch -q --verify $repo/snapshots/$C1
	fetch --repair org/model
	pm-fetch -q --verify
	whole $C1
	fetch --lock l.json org/model
	cp -rL $repo/snapshots/$C1 plain
	fails_with 66 "no hash is known" pm-fetch -q --verify plain
	pm-fetch -q --verify --lock l.json plain
	rm plain/empty.json
	status=0
	pm-fetch -q --json --verify --lock l.json plain >out || status=$?
	[ $status = 1 ]
	[ "$(jq -r 'select(.is == "gone").path' out)" = empty.json ]
}

@test "fetch: --list, --prune and --remove" {
	hub
	pm-fetch --list
	fetch org/model
	fetch org/model@v2
	pm-fetch --list >out
	[ "$(wc -l <out)" = 2 ]
	grep -q "^org/model	main	5 files	43.9 kB	.*/$C1$" out
	[ "$(pm-fetch --list --json | jq -r 'select(.commit == "'$C2'").revisions')" = v2 ]
	pm-fetch -q --prune >out
	[ ! -s out ]
	printf %s $C2 >srv/models/org/model/main
	fetch org/model
	echo part >$repo/blobs/$(printf 'a%.0s' {1..64}).incomplete
	echo half >$repo/refs/main.99999999.tmp
	echo half >$repo/trees/x.json.99999999.tmp
	echo orphan >$repo/blobs/$(printf 'b%.0s' {1..64})
	pm-fetch -q --prune --dry-run >out
	[ "$(wc -l <out)" = 6 ] # the commit, its blob, the part, the orphan, what killed writers left
	[ -e $repo/snapshots/$C1 ]
	pm-fetch -q --prune >out2
	cmp out out2
	[ ! -e $repo/snapshots/$C1 ]
	[ "$(find $repo/blobs -type f | wc -l)" = 5 ]
	[ -z "$(find cache -name '*.tmp')" ]
	pm-fetch -q --verify
	fetch org/model@v1
	pm-fetch -q --remove org/model@v1
	[ ! -e $repo/snapshots/$C1 ]
	whole $C2
	pm-fetch -q --remove org/model
	[ ! -e $repo ]
	fails_with 66 "is not in the cache" pm-fetch --remove org/model
	fails_with 64 "--include has no effect with --list" pm-fetch --list --include x
	fails_with 64 "--prune (--remove does) takes no name" pm-fetch --prune org/model
}

@test "fetch: files from addresses: once, asked again whether they changed, held to a hash, resumed" {
	hub
	at=http://127.0.0.1:$AWAY/files
	seq 1 5000 >srv/files/data.jsonl
	sum=$(sha256sum <srv/files/data.jsonl | cut -d' ' -f1)
	path=$(fetch $at/data.jsonl)
	[ "${path##*/}" = data.jsonl ]
	cmp $path srv/files/data.jsonl
	: >srv/log
	[ "$(fetch $at/data.jsonl)" = $path ]
	[ "$(fetch --json $at/data.jsonl | jq -r '.is, .received')" = $'here\n0' ]
	[ "$(wc -l <srv/log)" = 2 ]
	[ "$(pm-fetch -q --offline $at/data.jsonl)" = $path ]
	fetch $at/data.jsonl#sha256=$sum
	[ "$(wc -l <srv/log)" = 2 ] # the hash says it all
	bad=${sum//[0-8]/9}
	fails_with 65 "$bad was wanted" fetch --sha256 $bad $at/data.jsonl
	[ "$(fetch $at/data.jsonl)" = $path ]
	seq 1 6000 >srv/files/data.jsonl
	fetch $at/data.jsonl
	cmp $path srv/files/data.jsonl
	[ "$(fetch --local-dir here $at/data.jsonl)" = here/data.jsonl ]
	cmp here/data.jsonl srv/files/data.jsonl
	rm here/data.jsonl
	[ "$(fetch --json --local-dir here $at/data.jsonl | jq -r '.path, .received')" = $'here/data.jsonl\n0' ]
	cmp here/data.jsonl srv/files/data.jsonl
	seq 1 7000 >srv/files/other
	faults 'once cut 20000'
	path=$(fetch $at/other)
	cmp $path srv/files/other
	[ "$(asked 'range=bytes=20000-')" = 1 ]
	seq 1 8000 >srv/files/third
	faults 'cut 9000'
	fails_with 69 "the connection ended after\|transfer closed\|third" fetch --retries 0 $at/third || grep -q third fails.err
	seq 2 8001 >srv/files/third # it changes while a part of the old one is here
	faults
	cmp "$(fetch $at/third)" srv/files/third
	fails_with 66 "there is no such" fetch $at/none
	fails_with 66 "is not in the cache, and the network is not to be used" pm-fetch -q --offline $at/none
	fetch --lock l.json $at/other
	[ "$(jq -r '.addresses[0].sha256' l.json)" = "$(sha256sum <srv/files/other | cut -d' ' -f1)" ]
	echo changed >srv/files/other
	rm -rf pm
	fails_with 65 "was wanted" fetch --lock l.json
	fails_with 64 "--revision has no effect" fetch --revision x $at/other
}

@test "fetch: archives from addresses and paths are unpacked, once, and names of them are paths to all tools" {
	hub
	at=http://127.0.0.1:$AWAY/files
	mkdir in
	cp -rL "$(tiny)" in/tiny
	tar -czf srv/files/tiny.tar.gz -C in tiny
	path=$(fetch $at/tiny.tar.gz)
	[ "${path##*/}" = tiny ]
	diff -r "$path" in/tiny
	diff <(pm-inspect "$path" | tail -n +2) <(pm-inspect $at/tiny.tar.gz | tail -n +2)
	[ -z "$(find pm -name '*.tar.gz')" ]
	[ "$(fetch $at/tiny.tar.gz)" = "$path" ]
	path=$(fetch --include '*/config.json' $at/tiny.tar.gz)
	[ "$(ls "$path")" = config.json ]
	[ "$(fetch --local-dir apart $at/tiny.tar.gz)" = apart ]
	diff -r apart/tiny in/tiny
	diff -r "$(fetch $at/tiny.tar.gz)" in/tiny
	path=$(fetch --no-unpack $at/tiny.tar.gz)
	cmp "$path" srv/files/tiny.tar.gz
	path=$(fetch file:$PWD/srv/files/tiny.tar.gz)
	diff -r "$path" in/tiny
	[ "$(fetch srv/files/tiny.tar.gz)" = "$path" ]
	[ "$(fetch --local-dir out srv/files/tiny.tar.gz)" = out ]
	diff -r out/tiny in/tiny
	fails_with 73 "out: is already there" fetch --local-dir out srv/files/tiny.tar.gz
	[ "$(fetch in/tiny)" = in/tiny ]
	[ "$(fetch in/tiny/config.json)" = in/tiny/config.json ]
	fails_with 66 "is no such\|No such file" fetch file:none || grep -q none fails.err
	fails_with 65 "more than 2 files" fetch --max-files 2 srv/files/tiny.tar.gz --repair
	fails_with 65 "more than 100 bytes" fetch --max-bytes 100 srv/files/tiny.tar.gz --repair
	[ "$(fetch srv/files/tiny.tar.gz)" = "$path" ]
	tar -C in -czPf srv/files/evil.tar.gz --transform 's,tiny/config,../../evil,' tiny/config.json
	fails_with 65 "'../../evil.json'" fetch $at/evil.tar.gz
	[ -z "$(find . -name 'evil.json')" ]
	fails_with 66 "is not in the cache" pm-inspect $at/evil.tar.gz
}

@test "fetch: options that have no effect, and names that are none, are status 64" {
	hub
	fails_with 64 "a name was wanted" pm-fetch
	fails_with 64 "ORG/NAME was wanted" pm-fetch a/b/c
	fails_with 64 "'x' has no effect" pm-fetch hf://org/model/config.json x
	fails_with 64 "--sha256 has no effect on a repository" pm-fetch --sha256 x org/model
	fails_with 64 "--unpack has no effect on a repository" pm-fetch --no-unpack org/model
	fails_with 64 "--list" pm-fetch --list org/model
	fails_with 64 "files can be named of a repository only" pm-fetch http://127.0.0.1:1/x y
	env -u HF_HUB_CACHE -u HOME -u XDG_CACHE_HOME pm-fetch org/model 2>err || [ $? = 78 ]
	grep -q "no place for a cache" err
}

@test "names: completion knows what was fetched" {
	by_hand
	source "$PM_TOP/share/completions/pm.bash"
	COMP_WORDS=(pm-infer -m org/t) COMP_CWORD=2 COMPREPLY=()
	_pm
	[ "${COMPREPLY[*]}" = org/tiny ]
	COMP_WORDS=(pm-fetch --type "") COMP_CWORD=2 COMPREPLY=()
	_pm
	[ "${COMPREPLY[*]}" = "model dataset space" ]
}

@test "fetch: a cache that other software filled costs no transfer: with its list, without, with copies for links" {
	hub
	local s=$repo/snapshots/$C1 m=srv/models/org/model/$C1 f h
	mkdir -p $s $repo/blobs $repo/refs $repo/trees cache/.locks/models--org--model
	printf %s $C1 >$repo/refs/main
	for f in config.json tokenizer.json empty.json; do
		h=$({ printf 'blob %d\0' "$(stat -c %s $m/$f)"; cat $m/$f; } | sha1sum | cut -d' ' -f1)
		cp $m/$f $repo/blobs/$h
		ln -s ../../blobs/$h $s/$f
	done
	for f in model-00001-of-00002.safetensors model-00002-of-00002.safetensors; do
		h=$(sha256sum <$m/$f | cut -d' ' -f1)
		cp $m/$f $repo/blobs/$h
		ln -s ../../blobs/$h $s/$f
	done
	echo part >$repo/blobs/$h.0a1b2c3d.incomplete
	[ "$(fetch org/model)" = "$PWD/$s" ]
	[ "$(asked /revision/)" = 1 ]
	[ "$(asked /tree/)" = 1 ]
	[ "$(wc -l <srv/log)" = 2 ]
	# the same list as others write it
	jq --indent 1 . $repo/trees/$C1.json >t.json
	mv t.json $repo/trees/$C1.json
	: >srv/log
	fetch org/model
	[ "$(wc -l <srv/log)" = 1 ]
	# where links were not to be had, the files themselves lie there
	cp --remove-destination "$(readlink -f $s/config.json)" $s/config.json
	fetch org/model
	[ "$(asked /resolve/)" = 0 ]
	pm-fetch -q --verify org/model
	pm-fetch -q --prune | grep -q '0a1b2c3d.incomplete$'
	pm-fetch -q --verify org/model
}

@test "fetch: the Python client reads what pm-fetch fetched, and the other way round, without a transfer" {
	python3 -c 'import huggingface_hub' 2>/dev/null || skip "no huggingface_hub for Python here"
	hub
	export HF_HUB_DISABLE_TELEMETRY=1 HF_HUB_DISABLE_PROGRESS_BARS=1 HF_HUB_DISABLE_UPDATE_CHECK=1
	faults away
	fetch --all org/model
	: >srv/log
	[ "$(python3 -c 'import huggingface_hub as h; print(h.snapshot_download("org/model"))')" = "$PWD/$repo/snapshots/$C1" ]
	python3 -c 'import huggingface_hub as h; print(h.snapshot_download("org/model", local_files_only=True), h.hf_hub_download("org/model", "config.json"))'
	python3 -c 'import huggingface_hub as h; i = h.scan_cache_dir(); assert not i.warnings, i.warnings; assert i.repos'
	[ "$(asked 'GET.*/resolve/\|/cdn/')" = 0 ]
	rm -rf cache
	python3 -c 'import huggingface_hub as h; h.snapshot_download("org/model", allow_patterns=["*.json", "*.safetensors"])'
	: >srv/log
	fetch org/model
	whole $C1
	[ "$(asked /resolve/)" = 0 ]
	python3 -c 'import huggingface_hub as h; h.snapshot_download("org/model", revision="v2", local_dir="d", allow_patterns=["*.json"])'
	: >srv/log
	fetch --local-dir d --include '*.json' org/model@v2
	[ "$(asked /resolve/)" = 0 ]
}
