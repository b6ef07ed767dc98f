# {"prompt"?, "chosen", "rejected"}: texts, or lists of messages. Without a prompt, what both begin with is the prompt. One message in
# place of a list, and the turns that lead to it under "conversations", are taken as well.
def message:
	if has("from") then {role: (if .from == "human" then "user" elif .from == "gpt" then "assistant" else .from end), content: .value} else . end
	| if (.content | type) == "array" and all(.content[]; has("value")) then .content |= (map(.value) | join("")) else . end
	| del(.loss_weight);
def messages: if type == "object" then [message] elif type == "array" then map(message) else . end;
def shared($a; $b): first(range(0; [$a, $b | length] | min) | select($a[.] != $b[.])) // ([$a, $b | length] | min);
((.chosen // .chosen_messages) | messages) as $chosen
| ((.rejected // .rejected_messages) | messages) as $rejected
| if ($chosen | type) != ($rejected | type) or $chosen == null then error("'chosen' and 'rejected' are not of one kind") else . end
| ((.prompt // .conversations) | messages) as $prompt
| if $prompt != null then
	if ($prompt | type) == "string" and ($chosen | type) == "array" then {prompt: [{role: "user", content: $prompt}], chosen: $chosen, rejected: $rejected}
	else {prompt: $prompt, chosen: $chosen, rejected: $rejected} end
elif ($chosen | type) == "array" then
	shared($chosen; $rejected) as $n | {prompt: $chosen[:$n], chosen: $chosen[$n:], rejected: $rejected[$n:]}
else
	($chosen | explode) as $c | ($rejected | explode) as $r | shared($c; $r) as $n
	| (if $n > 0 and $c[$n - 1] == 32 then $n - 1 else $n end) as $k
	| {prompt: ($c[:$k] | implode), chosen: ($c[$k:] | implode), rejected: ($r[$k:] | implode)}
end
| if .chosen == .rejected then error("'chosen' and 'rejected' are the same") else . end
