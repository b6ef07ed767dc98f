# pm-tokenize: what is trained of a chat, formats, and every kind of bad input.
load lib

CHAT='{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"yo"},{"role":"user","content":"and"},{"role":"assistant","content":"so"}]}'
MAP='{messages: [{role: "user", content: .question}, {role: "assistant", content: .answer}]}'

# The text of what is trained: the table of --show-mask, tokens in a row joined, one line a run.
trained() {
	pm-tokenize -q --show-mask "$@" | awk -F '\t' '
		$4 > 0 { sub(/^"/, "", $5); sub(/"$/, "", $5); run = run $5; next }
		run != "" { print run; run = "" }
		END { if (run != "") print run }'
}

tokenizer() {
	golden_path "data/tokenizers/$1"
}

@test "pm-tokenize: what the assistant says is trained on every turn, with the token that ends it" {
	echo "$CHAT" | trained -m "$(tiny)" >got
	printf 'yo<|im_end|>\nso<|im_end|>\n' | diff - got
}

@test "pm-tokenize: --train-on last trains the last answer, all trains everything" {
	echo "$CHAT" | trained -m "$(tiny)" --train-on last >got
	echo 'so<|im_end|>' | diff - got
	echo "$CHAT" | pm-tokenize -q -m "$(tiny)" --train-on all --json | jq -e '.weights | all(. == 1)'
}

@test "pm-tokenize: a message's weight counts, train false takes it out" {
	echo '{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","weight":0},{"role":"user","content":"a"},{"role":"assistant","content":"c","weight":0.5}]}' >x
	pm-tokenize -q -m "$(tiny)" --json x | jq -e '.weights | map(select(. > 0)) | unique == [0.5]'
	sed 's/"weight":0.5/"train":false/' x >y
	fails_with 65 "y: line 1: no token is trained" pm-tokenize -q -m "$(tiny)" y
}

@test "pm-tokenize: a special token that a user spells is text, unless --parse-special is given" {
	echo '{"messages":[{"role":"user","content":"<|im_end|>"},{"role":"assistant","content":"<|im_start|>"}]}' >x
	end=$(echo '{"text":"<|im_end|>"}' | pm-tokenize -q -m "$(tiny)" --json --parse-special | jq .ids[0])
	[ "$(pm-tokenize -q -m "$(tiny)" --json x | jq "[.ids[] | select(. == $end)] | length")" = 2 ]
	[ "$(pm-tokenize -q -m "$(tiny)" --json --parse-special x | jq "[.ids[] | select(. == $end)] | length")" = 3 ]
	[ "$(echo '{"text":"<|im_end|>"}' | pm-tokenize -q -m "$(tiny)" --json | jq "[.ids[] | select(. == $end)] | length")" = 0 ]
}

@test "pm-tokenize: chats are encoded as the model's own template renders them" {
	needs_golden data/templates/golden.jsonl data/tokenizers/llama3_1 data/tokenizers/gemma3
	for m in llama3_1 gemma3; do
		jq -c --slurpfile c "$(golden_path data/templates/conversations.json)" --arg t "npmcfg__$m" '
			($c[0] | map({(.id): .}) | add) as $by
			| select(.template_name == $t and .rendered and .kwargs.add_generation_prompt == false and .disputed != true)
			| $by[.conv] as $v
			| select(($v.tools == null or $v.tools == []) and ($v.messages | length > 0 and all(.[]; (.content | type) == "string" and .role != "tool" and (has("tool_calls") | not))))
			| select(.conv | startswith("special_text") | not)
			| {messages: $v.messages, text: .rendered}' "$(golden_path data/templates/golden.jsonl)" >rows
		[ "$(wc -l <rows)" -gt 8 ]
		jq -c '{messages}' rows | pm-tokenize -q -m "$(tokenizer $m)" --train-on all --json | jq -c .ids >have
		jq -c '{text}' rows | pm-tokenize -q -m "$(tokenizer $m)" --parse-special --no-special --json | jq -c .ids >want
		diff want have
	done
}

@test "pm-tokenize: one BOS, whether the template writes it or the tokenizer adds it" {
	needs_golden data/tokenizers/llama3_1 data/tokenizers/llama2
	echo '{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}' >chat
	echo '{"text":"a"}' >text
	[ "$(pm-tokenize -q -m "$(tokenizer llama3_1)" --json chat | jq -c '[.ids[] | select(. == 128000)]')" = '[128000]' ]
	[ "$(pm-tokenize -q -m "$(tokenizer llama2)" --chat-template llama2 --json chat | jq -c '[.ids[] | select(. == 1)]')" = '[1]' ]
	[ "$(pm-tokenize -q -m "$(tokenizer llama2)" --json text | jq -c .ids[0])" = 1 ]
	[ "$(pm-tokenize -q -m "$(tokenizer llama2)" --no-special --json text | jq -c '[.ids[] | select(. == 1)]')" = '[]' ]
}

@test "pm-tokenize: a model without a template is an error, and one can be named instead" {
	needs_golden data/tokenizers/qwen3 data/tokenizers/gpt2
	echo "$CHAT" >x
	fails_with 65 "has no chat template (name one with --chat-template)" pm-tokenize -q -m "$(tokenizer gpt2)" x
	fails_with 65 "has no chat template" pm-tokenize -q -m "$(tokenizer gpt2)" --on-bad skip x
	fails_with 64 "--chat-template" pm-tokenize -q -m "$(tokenizer gpt2)" --chat-template klingon x
	pm-tokenize -q -m "$(tokenizer qwen3)" --chat-template chatml x >y
	pm-tokenize -m "$(tokenizer gpt2)" --chat-template chatml x 2>err >y
	grep -q "'<|im_end|>', which ends a turn, is no token of this vocabulary" err
}

@test "pm-tokenize: chat_template.jinja goes before tokenizer_config.json; what it says is never replaced" {
	cp -r "$(tiny)" m
	chmod -R u+w m
	echo "$CHAT" >x
	echo '{% for m in messages %}{{ raise_exception("never") }}{% endfor %}' >m/chat_template.jinja
	fails_with 65 "x: line 1: m/chat_template.jinja: line 1: never" pm-tokenize -q -m m x
	echo '{% for m in messages %}' >m/chat_template.jinja
	fails_with 65 "m/chat_template.jinja: line 1: the template ends" pm-tokenize -q -m m x
	echo '{% for m in messages %}<{{ m.content }}>{% endfor %}' >m/chat_template.jinja
	[ "$(pm-tokenize -q -m m x | pm-tokenize -q -m m --decode -)" = "$(jq -j '.messages[] | "<\(.content)>"' x)" ]
	pm-tokenize -q -m m --chat-template chatml --json x >have
	jq -r .chat_template "$(tiny)/tokenizer_config.json" >m/chat_template.jinja
	echo '{"bos_token":"<s>","eos_token":"<|im_end|>"}' >m/tokenizer_config.json
	pm-tokenize -q -m m --json x | cmp - have
	rm m/chat_template.jinja
	fails_with 65 "m: has no chat template" pm-tokenize -q -m m x
}

@test "pm-tokenize: tables, packed files, --columns" {
	printf 'id,q,a\n1,"x, y",z\n2,"a\nb",c\n' >t.csv
	pm-tokenize -q -m "$(tiny)" --json --columns prompt=q,completion=a t.csv >want
	[ "$(jq -s length want)" = 2 ]
	printf '{"prompt":"x, y","completion":"z"}\n{"prompt":"a\\nb","completion":"c"}\n' >x.jsonl
	pm-tokenize -q -m "$(tiny)" --json x.jsonl | jq -c .ids | cmp - <(jq -c .ids want)
	gzip -c t.csv >t.csv.gz
	pm-tokenize -q -m "$(tiny)" --json --columns prompt=q,completion=a t.csv.gz | jq -c .ids | cmp - <(jq -c .ids want)
	xz -c x.jsonl | pm-tokenize -q -m "$(tiny)" --json | jq -c .ids | cmp - <(jq -c .ids want)
	tr , '\t' <<<'text' >t.tsv
	echo one >>t.tsv
	pm-tokenize -q -m "$(tiny)" t.tsv | pm-tokenize -q -m "$(tiny)" --decode - | grep -x one
	printf 'a,b\n1\n' >short
	fails_with 65 "short: line 2: 1 fields" pm-tokenize -q -m "$(tiny)" --columns text=a short
	head -c 20 t.csv.gz >cut.csv.gz
	fails_with 65 "cut.csv.gz: " pm-tokenize -q -m "$(tiny)" --columns text=a cut.csv.gz
	fails_with 64 "--columns: 'x'" pm-tokenize -q -m "$(tiny)" --columns x x.jsonl
	fails_with 64 "--columns has no effect on plain text" pm-tokenize -q -m "$(tiny)" --format plain --columns a=b x.jsonl
}

@test "pm-tokenize: --render gives texts and spans, or errors, without a model" {
	cat >t.jinja <<-'E'
		{% for m in messages %}<{{ m.role }}>{{ m.content ~ (m.reasoning_content or '') }}{% if m.tool_calls %}{{ m.tool_calls|tojson }}{% endif %}</s>
		{% endfor %}
		{% if add_generation_prompt %}<assistant>{% endif %}{{ tools is none }} {{ documents }} {{ x }} {{ strftime_now('%d %b %Y %H:%M') }}
	E
	cat >x <<-'E'
		{"messages":[{"role":"user","content":"é"},{"role":"assistant","content":"日本","thinking":"t","tool_calls":[{"a":1,"b":1.0}]}]}
		{"messages":[{"role":"user","content":{"k":[1,2.0,null,true]}}],"tools":[{}],"documents":[1],"args":{"x":2}}
		{"messages":5}
		{"messages":[]}
	E
	status=0
	pm-tokenize -q --render --json --date 2026-01-15T12:34:56 --chat-template t.jinja --chat-template-args '{"x":"é"}' --on-bad skip x >y || status=$?
	[ $status = 65 ]
	jq -e -s 'length == 4 and .[0].text == "<user>é</s>\n<assistant>日本t[{\"a\": 1, \"b\": 1.0}]</s>\nTrue None é 15 Jan 2026 12:34" and
		(.[0] | .text[.spans[0][0]:.spans[0][1]]) == "日本t[{\"a\": 1, \"b\": 1.0}]</s>" and (.[0].spans | length) == 1 and
		(.[1].text | contains("{\u0027k\u0027: [1, 2.0, None, True]}</s>\nFalse [1] 2 ")) and (.[2].error | contains("line 3: a list of messages")) and
		.[3].spans == []' y
	fails_with 65 "x: line 3: a list of messages" pm-tokenize -q --render --chat-template t.jinja x
	head -1 x | SOURCE_DATE_EPOCH=0 pm-tokenize --render --add-generation-prompt --chat-template t.jinja | tail -1 | grep -qx '<assistant>True None  01 Jan 1970 00:00'
	fails_with 64 "a chat template was wanted" pm-tokenize --render x
	fails_with 64 "--add-generation-prompt has no effect without --render" pm-tokenize -m "$(tiny)" --add-generation-prompt x
	fails_with 64 "--train-on has no effect with --render" pm-tokenize --render --train-on all x
	fails_with 64 "a date like" pm-tokenize --render --chat-template t.jinja --date 2026-02-30 x
	fails_with 64 "--chat-template-args: an object" pm-tokenize --render --chat-template t.jinja --chat-template-args 5 x
}

@test "pm-tokenize: a GGUF's templates, by their keys" {
	needs_golden data/llama.cpp/vocab/ggml-vocab-deepseek-llm.gguf
	pm-gguf set -q -o v.gguf "$(golden_path data/llama.cpp/vocab/ggml-vocab-deepseek-llm.gguf)" \
		'tokenizer.chat_template=str:{% for m in messages %}<{{ m.role }}>{{ m.content }}{{ eos_token }}{% endfor %}' \
		'tokenizer.chat_template.rag=str:rag {{ messages|length }}'
	echo '{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"yo"}]}' >x
	pm-tokenize -q -m v.gguf --render --json x | jq -e '.text == "<user>hi<｜end▁of▁sentence｜><assistant>yo<｜end▁of▁sentence｜>" and .spans == [[38,59]]'
	[ "$(pm-tokenize -q -m v.gguf --chat-template rag --render x)" = "rag 2" ]
	fails_with 64 "'nosuch' is neither one of the model's" pm-tokenize -m v.gguf --chat-template nosuch x
	[ "$(pm-tokenize -q -m v.gguf --show-mask x | awk '$4 == 1' | wc -l)" = 2 ]
}

@test "pm-tokenize: --render is what transformers gives: golden templates" {
	needs_golden data/templates
	local d t
	d=$(golden_path data/templates)
	for t in trl__qwen3_training llamacpp__openai-gpt-oss-120b llamacpp__mistralai-Mistral-Nemo-Instruct-2407; do
		jq -c --arg t $t 'select(.template_name == $t and (has("disputed") | not))' "$d/golden.jsonl" >rows
		jq -c --slurpfile c "$d/conversations.json" '. as $r | ($c[0][] | select(.id == $r.conv)) |
			{messages, tools, documents: $r.kwargs.documents, args: ($r.kwargs | del(.documents))}' rows >x
		pm-tokenize -q --render --json --date 2026-01-15T12:34:56 --chat-template "$d/$t.jinja" --on-bad skip x >y || true
		jq -c 'if has("error") then "error" else .rendered end' rows >want
		jq -c 'if has("error") then "error" else .text end' y | cmp - want
	done
}

@test "pm-tokenize: texts and plain text need no chat template" {
	needs_golden data/tokenizers/gpt2
	echo '{"text":"a b"}' | pm-tokenize -q -m "$(tokenizer gpt2)" --json | jq -e '.ids == [64, 275] and .offsets == [[0,1],[1,3]] and (has("weights") | not)'
	printf 'a b' | pm-tokenize -q -m "$(tokenizer gpt2)" --json --format plain | jq -e '.ids == [64, 275]'
}

@test "pm-tokenize: ids, offsets and text are those of the tokenizers library, through the tool" {
	for m in llama2 llama3_1 mistral_v01 qwen3 gemma3 gpt2 stories260K; do
		needs_golden "data/tokenizers/$m"
		t=$(tokenizer $m)
		jq -c 'select(.disputed | not)' "$t/golden.jsonl" >rows
		jq -c '{text}' rows | pm-tokenize -q -m "$t/tokenizer.json" --format text --json --parse-special | jq -c .ids >have
		jq -c .ids rows | cmp - have
		jq -c '{text}' rows | pm-tokenize -q -m "$t" --format text --json --no-special | jq -c .ids >have
		jq -c '.ids_special_as_text // .ids_no_special' rows | cmp - have
		jq -c '{ids: .ids_no_special}' rows | pm-tokenize -m "$t" --decode --json | jq -c .text >have
		jq -c .decoded rows | cmp - have
		# Long rows come without offsets.
		jq -c 'select(.offsets)' rows >some
		[ "$(wc -l <some)" -gt 200 ]
		jq -c '{text}' some | pm-tokenize -q -m "$t" --format text --json --parse-special --no-special | jq -c '[.ids, .offsets]' >have
		jq -c '[.ids_no_special, .offsets]' some | cmp - have
	done
}

@test "pm-tokenize: an empty text is an empty document" {
	echo '{"text":""}' | pm-tokenize -q -m "$(tiny)" --no-special --json | jq -e '.ids == [] and .offsets == []'
}

@test "pm-tokenize: offsets count code points" {
	needs_golden data/tokenizers/gpt2
	echo '{"text":"Ä日 x"}' | pm-tokenize -q -m "$(tokenizer gpt2)" --json | jq -e '.offsets[-1] == [2, 4]'
}

@test "pm-tokenize: --eos ends texts; a completion ends with the EOS token, --no-eos leaves it out" {
	eos=$(echo '{"text":"<|im_end|>"}' | pm-tokenize -q -m "$(tiny)" --json --parse-special --no-special | jq .ids[-1])
	echo '{"text":"ab"}' >t
	echo '{"prompt":"ab","completion":" cd"}' >p
	[ "$(pm-tokenize -q -m "$(tiny)" --json t | jq .ids[-1])" != "$eos" ]
	[ "$(pm-tokenize -q -m "$(tiny)" --json --eos t | jq .ids[-1])" = "$eos" ]
	pm-tokenize -q -m "$(tiny)" --json p | jq -e ".ids[-1] == $eos and .weights[-1] == 1 and .weights[0] == 0"
	pm-tokenize -q -m "$(tiny)" --json --no-eos p | jq -e ".ids[-1] != $eos and .weights[-1] == 1"
	trained -m "$(tiny)" p >got
	echo ' cd<|im_end|>' | diff - got
}

@test "pm-tokenize: a preference pair is two documents of one group" {
	printf '%s\n' '{"prompt":"a","chosen":" b","rejected":" c"}' '{"chosen":[{"role":"user","content":"q"},{"role":"assistant","content":"b"}],"rejected":[{"role":"user","content":"q"},{"role":"assistant","content":"c"}]}' >x
	pm-tokenize -q -m "$(tiny)" --json x >y
	jq -c '[.kind, .group]' y | diff - <(printf '["%s",%d]\n' chosen 0 rejected 0 chosen 1 rejected 1)
	sed -n 2p x >z
	trained -m "$(tiny)" z >got
	printf '%s\n' 'b<|im_end|>' 'c<|im_end|>' | diff - got
	echo '{"prompt":"a","completion":"b","label":false}' | pm-tokenize -q -m "$(tiny)" --json | jq -e '.kind == "rejected" and (has("group") | not)'
}

@test "pm-tokenize: the format is found by the keys and said; --format forces one" {
	echo '{"instruction":"a","output":"b","text":"c"}' >x
	pm-tokenize -m "$(tiny)" x 2>err >y
	grep -qx 'pm-tokenize: x: format alpaca' err
	[ "$(pm-tokenize -q -m "$(tiny)" --format text x | pm-tokenize --decode -m "$(tiny)" --skip-special)" = c ]
	fails_with 64 "'nonsense' is no format" pm-tokenize -q -m "$(tiny)" --format nonsense x
	fails_with 65 "x: line 1: " pm-tokenize -q -m "$(tiny)" --format sharegpt x
}

@test "pm-tokenize: every file may be of another format; JSON arrays are read like lines" {
	echo '{"text":"a"}' >a
	printf '[\n {"instruction":"b",\n  "output":"c"},\n {"instruction":"d","output":"e"}\n]\n' >b
	pm-tokenize -m "$(tiny)" a b 2>err >y
	grep -qx 'pm-tokenize: a: format text' err
	grep -qx 'pm-tokenize: b: format alpaca' err
	grep -q '^pm-tokenize: 3 rows, ' err
}

@test "pm-tokenize: --map makes records, several or none of one" {
	printf '%s\n' '{"q":"a","n":2}' '{"q":"b","n":0}' >x
	[ "$(pm-tokenize -q -m "$(tiny)" --map '. as $r | range(.n) | {text: "\($r.q)\(.)"}' x | pm-tokenize --decode -m "$(tiny)" --skip-special)" = "$(printf 'a0\na1')" ]
	fails_with 64 "--map: " pm-tokenize -q -m "$(tiny)" --map '{' x
	fails_with 65 "x: line 1: --map: oh" pm-tokenize -q -m "$(tiny)" --map 'error("oh")' x
}

@test "pm-tokenize: records with ids pass through without a model" {
	printf '%s\n' '{"ids":[1,2,3],"weights":[0,1,0.5],"x":1}' '{"ids":[4]}' >x
	pm-tokenize -q --json x | diff - <(printf '%s\n' '{"ids":[1,2,3],"weights":[0,1,0.5]}' '{"ids":[4]}')
	pm-tokenize -q x >y
	head -1 y | jq -e '.pm == "tokens" and .version == 1 and .tokenizer == null and .tool == "pm-tokenize" and (.command | startswith("pm-tokenize -q"))'
	fails_with 65 "x: line 1: token 0 has id 99999" pm-tokenize -q -m "$(tiny)" --map '{ids: [99999]}' x
	echo '{"ids":[1,2],"weights":[1,0]}' >z
	fails_with 65 "z: line 1: no token is trained" pm-tokenize -q z
	echo '{"text":"a"}' >z
	fails_with 64 "a model was wanted" pm-tokenize -q z
}

@test "pm-tokenize: a model without tokenizer files does for records with ids" {
	mkdir m
	echo '{"ids":[1,2]}' >x
	pm-tokenize -q -m m --json x | diff - x
	echo '{"text":"a"}' >y
	fails_with 66 "m/tokenizer.json" pm-tokenize -q -m m y
}

@test "pm-tokenize: the header says which tokenizer, and of which files the tokens are" {
	echo '{"ids":[1,2]}' >x
	pm-tokenize -q x - <x | head -1 | jq -e --arg h "$(sha256sum <x | cut -d' ' -f1)" '.inputs == [{name: "x", sha256: $h}]'
	echo '{"text":"a b"}' | pm-tokenize -q -m "$(tiny)" >y
	[ "$(head -1 y | jq -r .tokenizer)" = "$(sha256sum <"$(tiny)/tokenizer.json" | cut -d' ' -f1)" ]
	needs_golden data/tokenizers/gpt2
	fails_with 65 "of another tokenizer" pm-tokenize --decode -m "$(tokenizer gpt2)" y
}

@test "pm-tokenize: --decode gives the text back, from streams, JSON and blocks" {
	echo "$CHAT" | pm-tokenize -q -m "$(tiny)" >y
	pm-tokenize --decode -m "$(tiny)" y >text
	grep -q '^<|im_start|> *assistant$' text
	pm-tokenize --decode -m "$(tiny)" --json y | jq -e '.text | test("^<.im_start.> *user\nhi<.im_end.>")'
	pm-tokenize --decode -m "$(tiny)" --json --skip-special y | jq -e '.text | contains("<|im") | not'
	pm-pack -q -l 128 y | pm-tokenize --decode -m "$(tiny)" | diff text -
	pm-pack -q -l 128 --json y | pm-tokenize --decode -m "$(tiny)" | diff text -
}

@test "pm-tokenize: two texts as one, with type_ids" {
	needs_golden data/tokenizers/bert_base_uncased
	echo '{"text":"Hello","pair":"world"}' | pm-tokenize -q -m "$(tokenizer bert_base_uncased)" --json |
		jq -e '.ids == [101,7592,102,2088,102] and .type_ids == [0,0,0,1,1] and .offsets == [[0,0],[0,5],[0,0],[0,5],[0,0]]'
	echo '{"text":"Hello","pair":1}' >x
	fails_with 65 "x: line 1: 'pair': a text was wanted" pm-tokenize -q -m "$(tokenizer bert_base_uncased)" x
}

@test "pm-tokenize: truncation and padding act where they are asked for" {
	needs_golden data/variants data/tokenizers/bert_base_uncased
	m=$(golden_path data/variants/trunc_left.json)
	echo '{"text":"a word b and so on"}' >x
	pm-tokenize -q -m "$m" --json x | jq -e '.ids | length > 8'
	pm-tokenize -q -m "$m" --json --truncate --pad x | jq -e '(.ids | length == 8) and (.attention_mask | all(. == 1))'
	m=$(golden_path data/variants/pad_fixed_left.json)
	echo '{"text":"a"}' | pm-tokenize -q -m "$m" --json --pad | jq -e '(.ids | length == 16) and (.attention_mask | add) == 2 and (.weights | add) == 2'
	fails_with 64 "--eos has no effect behind padding" pm-tokenize -q -m "$m" --pad --eos x
	fails_with 64 "--pad has no effect" pm-tokenize -q -m "$m" --decode --pad x
	# every row of the golden file, by the tool
	golden=$(golden_path data/tokenizers/bert_base_uncased)
	jq -c 'select(has("text"))' "$golden/trunc_pad.jsonl" >rows
	pm-tokenize -q -m "$golden" --json --truncate --pad --map '{text}' rows | jq -c '[.ids, .attention_mask]' | diff - <(jq -c '[.ids, .attention_mask]' rows)
}

@test "pm-tokenize: SentencePiece models, in a file or a directory" {
	model=$BATS_TEST_DIRNAME/golden/sentencepiece/bpe.model
	jq -c 'select(.model == "golden/sentencepiece/bpe.model")' "$BATS_TEST_DIRNAME/golden/sentencepiece/golden.jsonl" >rows
	[ "$(wc -l <rows)" -gt 30 ]
	pm-tokenize -q -m "$model" --json --map '{text}' rows | jq -c .ids | diff - <(jq -c .ids rows)
	mkdir m
	cp "$model" m/tokenizer.model
	echo '{"tokenizer_class":"LlamaTokenizer"}' >m/tokenizer_config.json
	echo '{"text":"ab"}' | pm-tokenize -q -m m --json | jq -e '.ids == [1,433,4]'
	echo '{"text":"ab"}' | pm-tokenize -q -m m | pm-tokenize -m m --decode --skip-special | grep -qx ab
	head -c 1000 "$model" >m/tokenizer.model
	echo '{"text":"ab"}' >x
	fails_with 65 "m/tokenizer.model: " pm-tokenize -q -m m x
}

@test "pm-tokenize: GGUF files" {
	needs_golden fixtures/quant/models/qwen2/golden.json
	m=$(golden_path fixtures/quant/models/qwen2)
	jq -c .tokenize[] "$m/golden.json" >rows
	jq -c '{text}' rows | pm-tokenize -q -m "$m/qwen2.f16.gguf" --json --parse-special | jq -c .ids | diff - <(jq -c .llama_cpp rows)
	jq -c '{text}' rows | pm-tokenize -q -m "$m/qwen2.f16.gguf" --json --no-special | jq -c .ids | diff - <(jq -c .llama_cpp_plain rows)
	head -c 3000 "$m/qwen2.f16.gguf" >short.gguf
	echo '{"text":"ab"}' >x
	fails_with 65 "short.gguf: " pm-tokenize -q -m short.gguf x
}

@test "pm-tokenize: what the proofs of other software run: every golden row, encoded and decoded" {
	needs_golden data/tokenizers/gemma3 data/tokenizers/gptoss
	for t in gemma3 gptoss; do
		golden=$(golden_path data/tokenizers/$t)
		jq -c 'select((.disputed // []) == [])' "$golden/golden.jsonl" >rows
		jq -c '{text}' rows >texts
		pm-tokenize -q -m "$golden/tokenizer.json" --json --format text --parse-special texts | jq -c .ids | diff - <(jq -c .ids rows)
		pm-tokenize -q -m "$golden/tokenizer.json" --json --format text --parse-special --no-special texts >out
		jq -c .ids out | diff - <(jq -c .ids_no_special rows)
		jq -c --slurpfile r rows '.offsets | select($r[input_line_number - 1].offsets)' out | diff - <(jq -c '.offsets | select(.)' rows)
		jq -c '{ids: .ids_no_special}' rows | pm-tokenize -q -m "$golden/tokenizer.json" --decode --json | jq -c .text | diff - <(jq -c .decoded rows)
		jq -c '{ids}' rows | pm-tokenize -q -m "$golden/tokenizer.json" --decode --json --skip-special | jq -c .text |
			diff - <(jq -c '.decoded_skip_special // .decoded' rows)
	done
}

@test "pm-tokenize: --paragraphs parts plain text at empty lines" {
	printf '\n\none\ntwo\n \n\nthree\n' >x
	pm-tokenize -q -m "$(tiny)" --format plain --paragraphs x | pm-tokenize --decode -m "$(tiny)" --json --skip-special | jq -r .text >y
	printf 'one\ntwo\nthree\n' | diff - y
}

@test "pm-tokenize: a record that is bad ends the run with file and line, or is skipped and counted" {
	{ echo "$CHAT"; echo '{"messages":[{"role":"user","content":"only a prompt"}]}'; echo '{"messages": [}'; printf '{"messages":"\xff"}\n'
		echo '{"messages":[{"role":"assistant"}]}'; echo '{"messages":[],"messages":[]}'; echo '{"nothing":1}'; } >x
	fails_with 65 "x: line 2: no token is trained" pm-tokenize -q -m "$(tiny)" x
	[ ! -e out ]
	for line in 3 4 5 6 7; do
		{ echo "$CHAT"; sed -n ${line}p x; } >y
		fails_with 65 "y: line 2" pm-tokenize -q -m "$(tiny)" y -o out
		[ ! -e out ]
	done
	pm-tokenize -m "$(tiny)" --on-bad skip -v x 2>err >out
	grep -qx 'pm-tokenize: 6 records were skipped' err
	[ "$(grep -c '^pm-tokenize: skipped: x: line' err)" -eq 6 ]
	[ "$(pm-tokenize --decode -m "$(tiny)" --json out | wc -l)" -eq 1 ]
	sed 1d x >y
	fails_with 65 "no record is left: all 6 were skipped" pm-tokenize -q -m "$(tiny)" --on-bad skip y
}

@test "pm-tokenize: broken JSON is named with its column" {
	echo '{"messages": [}' >x
	fails_with 65 "x: line 1, column 15: " pm-tokenize -q -m "$(tiny)" x
	printf '[{"text":"a"},\n{"text" "b"}]' >x
	fails_with 65 "x: line 2, column " pm-tokenize -q -m "$(tiny)" --on-bad skip x
}

@test "pm-tokenize: a conversation that the template refuses is bad" {
	echo '{"messages":[{"role":"user","content":"a"},{"role":"user","content":"b"},{"role":"assistant","content":"c"}]}' >x
	fails_with 65 "gemma.jinja: line 21: roles must alternate user, assistant, user" pm-tokenize -q -m "$(tiny)" --chat-template gemma x
	echo '{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":null,"tool_calls":[{}]}]}' >x
	fails_with 65 "has no way to write tool calls" pm-tokenize -q -m "$(tiny)" x
}

@test "pm-tokenize: no data is status 65, no file 66" {
	: >x
	fails_with 65 "no records" pm-tokenize -q -m "$(tiny)" x
	fails_with 65 "no records" pm-tokenize -q -m "$(tiny)"
	fails_with 65 "no records" pm-tokenize -q -m "$(tiny)" --format plain x
	fails_with 66 "nowhere" pm-tokenize -q -m "$(tiny)" nowhere
	fails_with 66 "nowhere" pm-tokenize -q -m nowhere x
	echo 'Hello' >x
	fails_with 65 "x: line 1: JSON records were wanted" pm-tokenize -q -m "$(tiny)" x
	printf 'caf\xe9' >x
	fails_with 65 "x: line 1: " pm-tokenize -q -m "$(tiny)" --format plain x
}

@test "pm-tokenize: options that would have no effect are status 64" {
	echo '{"ids":[1,2]}' >x
	fails_with 64 "--skip-special has no effect" pm-tokenize --skip-special x
	fails_with 64 "--train-on has no effect" pm-tokenize --decode -m "$(tiny)" --train-on all x
	fails_with 64 "--paragraphs has no effect" pm-tokenize --paragraphs x
	fails_with 64 "--map has no effect" pm-tokenize -m "$(tiny)" --format plain --map . x
	fails_with 64 "--json has no effect" pm-tokenize --json --show-mask x
	fails_with 64 "a model was wanted" pm-tokenize --decode x
}

@test "pm-tokenize: a full disk is status 74, a closed pipe ends quietly, nothing half-written stays" {
	for i in $(seq 3000); do echo "$CHAT"; done >x
	fails_with 74 "No space left on device" pm-tokenize -q -m "$(tiny)" -o /dev/full x
	run --separate-stderr bash -c 'pm-tokenize -q -m "$1" x >/dev/full' - "$(tiny)"
	[ "$status" -eq 74 ]
	run --separate-stderr bash -c 'set -o pipefail; pm-tokenize -q -m "$1" x | head -c 1 >/dev/null' - "$(tiny)"
	# shellcheck disable=SC2154
	[ "$status" -eq 141 ] && [ -z "$stderr" ]
	fails_with 73 "no/such/out" pm-tokenize -q -m "$(tiny)" -o no/such/out x
	echo '{"messages":[]}' >>x
	fails_with 65 "x: line 3001" pm-tokenize -q -m "$(tiny)" -o out x
	[ "$(ls | grep -v ^separate)" = "$(printf 'fails.err\nfails.out\nx')" ]
}

@test "pm-tokenize: no binary data on a terminal; there, the mask has colours" {
	command -v script >/dev/null || skip "script(1) is not there"
	echo "$CHAT" >x
	run script -qec "pm-tokenize -q -m '$(tiny)' x" /dev/null
	[ "$status" -eq 64 ]
	[[ $output == *"binary data is not written to a terminal"* ]]
	run script -qec "pm-tokenize -q -m '$(tiny)' --show-mask x" /dev/null
	[ "$status" -eq 0 ]
	[[ $output == *$'\033[32m'* ]]
	run script -qec "NO_COLOR=1 pm-tokenize -q -m '$(tiny)' --show-mask x" /dev/null
	[[ $output != *$'\033['* ]]
}

@test "pm-tokenize: real data sets of all formats" {
	needs_golden data/data/derived data/tokenizers/llama3_1
	for f in alpaca.json kto.jsonl messages.jsonl messages_multiturn.jsonl preference.jsonl preference_messages.jsonl sharegpt.json text.jsonl; do
		pm-tokenize -q -m "$(tokenizer llama3_1)" "$(golden_path "data/data/derived/$f")" >"$f.tok"
	done
	cat ./*.tok | pm-pack -l 1024 >/dev/null
}

@test "pm-tokenize, pm-pack: GSM8K chats fill rows of 2048 to 99.7 % and more" {
	needs_golden data/data/gsm8k_train.jsonl data/tokenizers/qwen3
	pm-tokenize -q -m "$(tokenizer qwen3)" --chat-template chatml --map "$MAP" "$(golden_path data/data/gsm8k_train.jsonl)" | pm-pack -l 2048 2>err >blocks
	tail -1 err | awk '{ print; exit !($1 == "efficiency" && $2 >= 99.7 && $3 == "%") }'
	head -1 blocks | jq -e '.efficiency > 0.997 and .rows == 699'
}
