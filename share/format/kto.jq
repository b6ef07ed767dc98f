# {"prompt", "completion", "label": true or false}: an answer that is wanted, or not; or a chat of which the last turn is judged.
def turns: map(if has("from") then {role: (if .from == "human" then "user" elif .from == "gpt" then "assistant" else .from end), content: .value} else . end);
def truth: if . == "true" or . == "True" or . == 1 or . == "1" then true elif . == "false" or . == "False" or . == 0 or . == "0" then false else . end;
.["label"] |= truth
| if (.["label"] | type) == "boolean" then . else error("its 'label' is neither true nor false") end
| if has("prompt") and has("completion") then {prompt, completion, "label": .["label"]}
	else . as $r | (.messages // .conversations // error("it lacks 'completion' or 'messages'")) | turns
		| {prompt: .[:-1], completion: .[-1:], "label": $r["label"]} end
