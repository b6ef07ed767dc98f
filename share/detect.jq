# Which format a record has, by its keys: the name of a file in share/format, or "ids" for a record that is tokenised already.
def both(a; b): has(a) and has(b);
def any_of(names): . as $r | any(names; . as $k | $r | has($k));
if type != "object" then error("an object was wanted, this is \(type)")
elif has("ids") then "ids"
elif both("chosen"; "rejected") or both("chosen_messages"; "rejected_messages") then "preference"
elif has("label") and any_of("completion", "messages", "conversations") then "kto"
elif (.messages | type) == "array" then "messages"
elif (.conversations | type) == "array" then
	if (.conversations[0] | type) == "object" and (.conversations[0] | has("role")) then "messages" else "sharegpt" end
elif has("instruction") and any_of("output", "response") then "alpaca"
elif both("prompt"; "completion") then "prompt_completion"
elif any_of("thinking", "reasoning", "reasoning_content", "thought") and any_of("problem", "question", "prompt")
	and any_of("solution", "answer", "response") then "reasoning"
elif has("text") then "text"
else error("the format is not known from its keys (\(keys_unsorted | join(", "))): name one with --format or map it with --map")
end
