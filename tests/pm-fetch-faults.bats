# pm-fetch against a hub that fails: cut, slow, wrong, refusing, gone; killed at any moment; two at once; a full disk.
load lib
load hub

teardown() {
	! mountpoint -q "$BATS_TEST_TMPDIR/small" || umount "$BATS_TEST_TMPDIR/small"
}

@test "faults: a connection cut at any byte goes on where it ended" {
	hub
	for n in 0 1 7 500 4096 18892; do
		rm -rf cache
		faults 'only /cdn/' "cut $n"
		[ $n != 0 ] || { fails_with 69 "model-0000" fetch --jobs 1 --retries 2 org/model; faults; }
		[ $n != 1 ] || { fails_with 69 "model-0000" fetch --retries 0 org/model; [ -n "$(find cache -name '*.incomplete')" ]; faults 'only /cdn/' 'once cut 1'; }
		[ $n != 7 ] || faults 'only /cdn/' 'once cut 7' 'once cut 8'
		fetch org/model
		whole $C1
	done
	# the parts are asked for, not the whole again
	[ "$(asked 'range=bytes=18892-')" = 1 ] || [ "$(asked 'cdn GET\|hub GET /cdn')" -ge 3 ]
}

@test "faults: small files are cut, too" {
	hub
	faults 'only .json' 'once cut 3' 'once cut 0' 'once cut 5'
	fetch --jobs 1 org/model
	whole $C1
}

@test "faults: a server without ranges, or with ranges that lie, gives the whole file again" {
	hub
	faults 'only 00001' 'once cut 5000' 'noranges'
	fetch org/model
	whole $C1
	rm -rf cache
	faults 'only 00001' 'once cut 5000' 'once badranges'
	fetch org/model
	whole $C1
}

@test "faults: a part from before is gone on with, one that is wrong is fetched again" {
	hub
	h=$(sha256sum <srv/models/org/model/$C1/model-00001-of-00002.safetensors | cut -d' ' -f1)
	mkdir -p $repo/blobs
	head -c 9000 srv/models/org/model/$C1/model-00001-of-00002.safetensors >$repo/blobs/$h.incomplete
	fetch org/model
	whole $C1
	[ "$(asked 'range=bytes=9000-')" = 2 ] # the hub, and where it sends us
	for bad in 9000 18893 30000; do
		rm -rf cache
		mkdir -p $repo/blobs
		head -c $bad /dev/zero >$repo/blobs/$h.incomplete
		fetch org/model
		whole $C1
	done
	rm -rf cache
	mkdir -p $repo/blobs
	cp srv/models/org/model/$C1/model-00001-of-00002.safetensors $repo/blobs/$h.incomplete # all of it, but killed before it had its name
	: >srv/log
	fetch org/model
	whole $C1
	[ "$(asked 00001)" = 0 ]
}

@test "faults: wrong bytes and wrong lengths are status 65 with both, and cost no other file" {
	hub
	h=$(sha256sum <srv/models/org/model/$C1/model-00001-of-00002.safetensors | cut -d' ' -f1)
	faults 'only 00001' flip
	fails_with 65 "$h was wanted" fetch org/model
	grep -qE 'org/model: model-00001-of-00002.safetensors: the bytes have the hash [0-9a-f]{64}, [0-9a-f]{64} was wanted' fails.err
	[ -e $repo/snapshots/$C1/model-00002-of-00002.safetensors ]
	[ ! -e $repo/snapshots/$C1/model-00001-of-00002.safetensors ]
	[ ! -e $repo/refs/main ]
	fails_with 66 "is no path, and not in the cache" pm-inspect org/model
	faults 'only 00001' 'short 5'
	fails_with 65 "18893 bytes were wanted, the server has 18888" fetch org/model
	faults 'only 00001' 'long 5'
	fails_with 65 "18893 bytes were wanted, the server has 18898" fetch org/model
	faults 'only 00001' 'long 5' chunked
	fails_with 65 "the server sends more" fetch org/model
	rm -rf cache
	faults 'only config.json' flip
	fails_with 65 "config.json: the bytes have the hash" fetch org/model
	faults chunked
	fetch org/model
	whole $C1
}

@test "faults: answers have the status of their cause" {
	hub
	faults 'status 401'
	fails_with 77 "needs a token (HF_TOKEN)" fetch org/model
	faults 'status 403'
	HF_TOKEN=hf_x fails_with 77 "the token does not allow it" fetch org/model
	[ "$(wc -l <srv/log)" = 1 ]
	faults
	fails_with 66 "org/none: there is no such repository" fetch org/none
	fails_with 66 "org/model: there is no such revision" fetch org/model@none
	faults 'only /cdn/' 'status 404'
	fails_with 66 "model-0000" fetch org/model
	faults 'only /api/' 'status 500'
	fails_with 75 "the server says 500" fetch --retries 2 org/model
	[ "$(wc -l <srv/log)" = 3 ]
	faults 'status 429'
	fails_with 75 "the server says 429, too many requests" fetch --retries 1 org/model
	faults 'once status 503' 'once status 429' 'once status 408' 'once status 502'
	fetch org/model
	whole $C1
	faults 'status 418'
	fails_with 69 "418" fetch org/model
}

@test "faults: Retry-After is heeded, and too long a wait is an end" {
	hub
	faults 'only 00001' 'once status 429 1'
	start=$(date +%s%N)
	fetch org/model
	[ $(($(date +%s%N) - start)) -ge 1000000000 ]
	whole $C1
	faults 'status 429 4000'
	fails_with 75 "the server asks to wait 4000 s" fetch org/model
}

@test "faults: no connection and no host are status 69" {
	hub
	HF_ENDPOINT=http://127.0.0.1:1 fails_with 69 "org/model" fetch --retries 1 org/model
	HF_ENDPOINT=http://host.invalid fails_with 69 "org/model" fetch --retries 0 org/model
	HF_ENDPOINT=ftp://127.0.0.1 fails_with 64 "org/model" fetch org/model
	HF_ENDPOINT=https://127.0.0.1:$PORT fails_with 69 "org/model" fetch --retries 0 org/model
}

@test "faults: a server that goes silent is given up and asked again; slow bytes are not" {
	hub
	faults 'only 00001' 'once stall 5000'
	fetch --timeout 0.5 org/model
	whole $C1
	rm -rf cache
	faults 'only 00001' 'drip 3000 400' # longer than the patience in all, but never silent for so long
	fetch --timeout 2 --retries 0 org/model
	whole $C1
	rm -rf cache
	faults 'only 00001' 'stall 0'
	fails_with 69 "nothing came for 0.3 s" fetch --timeout 0.3 --retries 1 org/model
}

@test "faults: the token goes to the hub alone; redirects without end are an end" {
	hub
	faults 'token hf_secret' away
	fails_with 77 "needs a token" fetch org/model
	: >srv/log
	HF_TOKEN=hf_secret fetch org/model
	whole $C1
	[ "$(asked '^cdn')" = 2 ]
	[ "$(asked '^cdn.*auth=-')" = 2 ]
	[ "$(asked -v 'auth=Bearer hf_secret\|^cdn')" = 0 ]
	mkdir -p home/.cache/huggingface other
	printf 'hf_secret\n' >home/.cache/huggingface/token
	printf 'hf_wrong\n' >other/token
	fetch org/model
	HF_TOKEN_PATH=$PWD/other/token fails_with 77 "does not allow" fetch org/model
	HF_HUB_DISABLE_IMPLICIT_TOKEN=1 fails_with 77 "needs a token" fetch org/model
	HF_TOKEN=$'a\r\nX: y' fails_with 78 "characters that a token cannot have" fetch org/model
	rm -rf cache
	faults loop
	fails_with 69 "more than ten times" fetch org/model@v1 model-00001-of-00002.safetensors onnx/model.onnx
}

@test "faults: lists in pages are followed; without hashes the files are asked for theirs" {
	hub
	faults 'page 2'
	fetch org/model
	whole $C1
	[ "$(asked /tree/)" = 4 ]
	rm -rf cache
	faults nohash
	fetch org/model
	whole $C1
	[ "$(asked HEAD)" = 5 ]
	[ ! -e $repo/trees ]
	rm -rf cache
	faults 'only /tree/' 'list [{"type":"file","path":"../../evil","size":3}]'
	fails_with 65 "'../../evil'" fetch org/model
	faults 'only /tree/' 'list {"not":"a list"}'
	fails_with 65 "an array was wanted" fetch org/model
	faults 'only /tree/' 'list [{"type":"file","path":"config.json","size":22,"oid":"../../../x"}]'
	fails_with 65 "40 hexadecimal digits" fetch org/model
	[ -z "$(find . -name '*evil*')" ]
}

# A fetch that is killed -9 after some milliseconds; it may be through by then.
killed() {
	pm-fetch -q --retry-delay 0.01 org/model >/dev/null 2>&1 &
	local pid=$!
	perl -e 'select undef, undef, undef, rand(0.06)' 2>/dev/null || sleep "0.0$((RANDOM % 6))"
	kill -9 $pid 2>/dev/null || :
	wait $pid 2>/dev/null || :
}

@test "faults: 200 kills at any moment: nothing lost, nothing wrong at the end" {
	hub
	seq 1 30000 >srv/models/org/model/$C1/model-00001-of-00002.safetensors
	faults 'only /cdn/' 'drip 4000 5'
	for i in $(seq 200); do
		killed
		if [ $((i % 40)) = 0 ]; then
			for b in "$repo"/blobs/*; do
				[ -e "$b" ] || continue
				n=${b##*/}
				[[ $n == *.* ]] || [ ${#n} != 64 ] || [ "$(sha256sum <"$b" | cut -d' ' -f1)" = "$n" ]
			done
			[ ! -e $repo/refs/main ] || whole $C1 || find cache -name '*.incomplete'
		fi
		# begin anew now and then, so that kills fall into every stage
		[ $((i % 50)) != 0 ] || rm -rf cache
	done
	fetch org/model
	faults
	for f in config.json tokenizer.json empty.json model-00001-of-00002.safetensors model-00002-of-00002.safetensors; do
		cmp srv/models/org/model/$C1/$f $repo/snapshots/$C1/$f
	done
	pm-fetch -q --prune >/dev/null
	[ -z "$(find cache -name '*.incomplete' -o -name '*.tmp')" ]
	pm-fetch -q --verify org/model
}

@test "faults: a server that goes away is status 69; what came stays, and the next server gives the rest" {
	hub
	faults 'only /cdn/' 'drip 1000 50'
	fetch --retries 1 org/model 2>err &
	pid=$!
	while [ -z "$(find cache -name '*.incomplete' -size +3 2>/dev/null)" ]; do kill -0 $pid; done
	kill -9 $HUB_PID
	status=0
	wait $pid || status=$?
	[ $status = 69 ]
	[ "$(wc -l <err)" = 1 ]
	[ -n "$(find cache -name '*.incomplete' -size +3)" ]
	sleep 0.1
	hub
	fetch org/model
	whole $C1
	[ "$(asked 'range=bytes=')" -ge 2 ]
}

@test "faults: two at once share the work" {
	hub
	faults 'only /cdn/' 'drip 2000 20'
	fetch org/model >one &
	one=$!
	fetch org/model >two
	wait $one
	cmp one two
	whole $C1
	[ "$(asked /cdn/)" = 2 ]
}

@test "faults: two at once, and kills, of an archive from an address" {
	hub
	at=http://127.0.0.1:$AWAY/files
	mkdir in
	cp -rL "$(tiny)" in/tiny
	tar -czf srv/files/tiny.tar.gz -C in tiny
	faults 'drip 4000 1'
	fetch $at/tiny.tar.gz >one &
	one=$!
	fetch $at/tiny.tar.gz >two
	wait $one
	cmp one two
	diff -r "$(cat one)" in/tiny
	[ "$(asked 'range=- ')" = 2 ] # the second asks whether it has changed
	for i in $(seq 40); do
		rm -f pm/fetched/*/fetched.json
		pm-fetch -q --retry-delay 0.01 $at/tiny.tar.gz >/dev/null 2>&1 &
		pid=$!
		sleep "0.0$((RANDOM % 9))"
		kill -9 $pid 2>/dev/null || :
		wait $pid 2>/dev/null || :
	done
	diff -r "$(fetch $at/tiny.tar.gz)" in/tiny
	pm-fetch -q --prune >/dev/null
	[ -z "$(find pm/fetched -maxdepth 2 -name '*.tmp' -o -maxdepth 2 -name part)" ]
}

@test "faults: a signal ends it with 128 and its number; the next goes on" {
	hub
	faults 'only /cdn/' 'drip 1000 30'
	pm-fetch -q org/model &
	pid=$!
	while [ -z "$(find cache -name '*.incomplete' -size +3 2>/dev/null)" ]; do kill -0 $pid; done
	kill -TERM $pid
	status=0
	wait $pid || status=$?
	[ $status = 143 ]
	[ -n "$(find cache -name '*.incomplete' -size +3)" ]
	faults
	fetch org/model
	whole $C1
	[ "$(asked 'range=bytes=')" -ge 2 ]
}

@test "faults: a full disk is found before the first byte, or in the middle, and nothing is lost" {
	[ "$(id -u)" = 0 ] || skip "mounting a small disk needs root"
	mkdir small
	mount -t tmpfs -o size=200k tmpfs small 2>/dev/null || skip "a small disk cannot be mounted here"
	hub
	seq 1 60000 >srv/models/org/model/$C1/model-00001-of-00002.safetensors
	HF_HUB_CACHE=$PWD/small/hub fails_with 74 "bytes are needed" fetch org/model
	[ "$(asked /resolve/)" = 0 ]
	seq 1 60000 >srv/files/big
	PM_CACHE=$PWD/small/pm fails_with 74 "bytes are needed" fetch "http://127.0.0.1:$AWAY/files/big"
	faults chunked # no size is known beforehand
	PM_CACHE=$PWD/small/pm fails_with 74 "No space left" fetch "http://127.0.0.1:$AWAY/files/big"
	mount -o remount,size=4m small
	faults
	HF_HUB_CACHE=$PWD/small/hub fetch org/model model-00001-of-00002.safetensors
	cmp srv/models/org/model/$C1/model-00001-of-00002.safetensors small/hub/models--org--model/snapshots/$C1/model-00001-of-00002.safetensors
}
