# The recipes of examples/, on a very small scale.
load lib

generate() {    # KIND N [SEED]
	awk -v kind="$1" -v n="$2" -v seed="${3:-1}" -f "$PM_TOP/examples/generate.awk"
}

@test "examples: the generator gives the same lines for a seed, other ones for another" {
	for k in text chats test; do
		generate $k 50 7 >a
		generate $k 50 7 | cmp - a
		[ "$(wc -l <a)" -eq 50 ]
		! generate $k 50 8 | cmp -s - a
	done
	generate text 2 1 >text
	diff "$PM_TOP/tests/golden/generate.txt" text
}

@test "examples: no question of the test is in any chat, and what follows from a question alone is in no text" {
	generate chats 3000 | jq -r '.messages[] | select(.role == "user").content' | sort -u >asked
	generate test 100 | jq -r '.messages[] | select(.role == "user").content' | sort >held
	[ "$(wc -l <held)" -eq 100 ]
	[ "$(sort -u held | wc -l)" -eq 100 ]
	[ -z "$(comm -12 asked held)" ]
	generate text 3000 | jq -r .text >text
	[ -z "$(sort -u text | comm -12 - held)" ]
	# "What is a b c backwards?" is answered by "Backwards, a b c is c b a."
	sed -n 's/^What is \(.*\) backwards?/Backwards, \1 is /p; s/^What is \(.*\) in order?/In order, \1 is /p' held >scenes
	[ -s scenes ]
	! grep -qFf scenes text
}

@test "examples: every answer of the generator is right" {
	generate chats 2000 | jq -r '.messages | range(0; length; 2) as $i | [.[$i].content, .[$i + 1].content] | @tsv' >qa
	awk -F "\t" '
		{ n = split($1, w, /[ ?.,]+/); want = "" }
		$1 ~ / plus / { want = w[3] " plus " w[5] " is " w[3] + w[5] "." }
		$1 ~ / backwards\?/ {
			for (i = n - 2; i > 2; i--) want = want " " w[i]
			s = $1; sub(/^What is/, "Backwards,", s); sub(/ backwards\?/, " is", s); want = s want "."
		}
		$1 ~ / in order\?/ {
			for (d = 1; d < 10; d++) for (i = 3; i <= n - 3; i++) if (w[i] == d) want = want " " d
			s = $1; sub(/^What is/, "In order,", s); sub(/ in order\?/, " is", s); want = s want "."
		}
		$1 ~ /^Which is larger/ { want = "Of " w[4] " and " w[6] ", " (w[4] > w[6] ? w[4] : w[6]) " is larger." }
		$1 ~ /after [0-9]/ { want = "After " w[4] " comes " w[4] + 1 "." }
		$1 ~ /opposite/ {
			split($2, a, /[ .]/)
			if (w[6] in other && other[w[6]] != a[6]) { print "two opposites of " w[6]; bad = 1 }
			other[w[6]] = a[6]
		}
		want == "" { rest++; next }
		want != $2 { print NR ": " $0 " (wanted " want ")"; bad = 1 }
		END { for (o in other) if (other[o] in other && other[other[o]] != o) { print o; bad = 1 } exit bad || rest > NR / 2 }' qa
}

@test "examples: finetune.mk makes an adapter and a report of any model and chats" {
	generate chats 24 | jq -c '{question: .messages[0].content, answer: ("So: " + .messages[1].content)}' >chats.jsonl
	recipe=(make -s -f "$PM_TOP/examples/finetune.mk" MODEL="$(tiny)" DATA=chats.jsonl OUT=out HELD=4 LENGTH=128 NEW=4 BATCH=2
		MAP='{messages: [{role: "user", content: .question}, {role: "assistant", content: .answer}]}' JUDGE='split(":")[-1]')
	"${recipe[@]}" >log
	tail -2 log
	[ "$(wc -l <out/train.jsonl)" -eq 20 ]
	[ "$(wc -l <out/after.jsonl)" -eq 4 ]
	grep -q '^before fine-tuning: 0 of 4 held-out answers right, loss ' out/report.txt
	grep -q '^after fine-tuning: ' out/report.txt
	[ -s out/loss.png ]
	[ -s out/adapter/adapter_model.safetensors ]
	[ -z "$("${recipe[@]}" -n out/report.txt out/loss.png)" ]     # nothing is left to do
}

@test "examples: score.jq counts right answers, by JUDGE" {
	printf '{"text":" 7 "}\n{"text":"a b"}\n{"text":"x #### 5"}\n' >a
	printf '{"messages":[{"content":"%s"}]}\n' 7 "a  b" "y #### 5" >t
	echo '{"loss":1.23456}' >l
	score() {
		sed "s~JUDGE |~$1 |~" "$PM_TOP/examples/score.jq" | jq -rn -f /dev/stdin --arg when after --slurpfile answers a --slurpfile test t --slurpfile loss l
	}
	[ "$(score .)" = "after fine-tuning: 1 of 3 held-out answers right, loss 1.235" ]
	[ "$(score 'split("####")[-1]')" = "after fine-tuning: 2 of 3 held-out answers right, loss 1.235" ]
}

@test "examples: the demo runs on a very small scale" {
	make -s -f "$PM_TOP/examples/demo.mk" BIN="$PM_BIN" OUT="$PWD/demo" TEXTS=40 CHATS=30 >log 2>err || { cat err; false; }
	grep -q '^after fine-tuning: [0-9]* of 100 ' log
	[ -s demo/loss.png ]
	[ -s demo/tune/loss.png ]
}
