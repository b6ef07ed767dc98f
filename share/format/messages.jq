# {"messages": [{"role", "content"}, …], "tools"?}: a chat as in OpenAI's fine-tuning files; also under "conversations".
# A message may have a "weight" (or "loss_weight", or "train": false). Parts that hold their text as "value" become one string; those that
# are calls of tools (JSON as text), tool_calls. Records that are in this form already are taken as they are, and never come here.
def text_of_parts:
	if type == "array" and length > 0 and all(.[]; type == "object" and (.value | type) == "string") then
		(map(select(.type == "reasoning").value) | join("")) as $thought
		| (if $thought == "" then "" else "<think>\n\($thought)\n</think>\n\n" end)
			+ (map(select(.type != "reasoning") | if .type == "text" then .value else error("a part of type '\(.type)'") end) | join(""))
	else . end;
def calls_of_parts:
	if (.content | type) == "array" and any(.content[]; type == "object" and .type == "tool_call") then
		.tool_calls = [.content[] | select(.type == "tool_call") | {type: "function", function: (.value | fromjson)}]
		| .content |= map(select(.type != "tool_call"))
		| if .content == [] then .content = "" else . end
	else . end;
. as $record
| (.messages // .conversations // error("it has no 'messages'"))
| if type == "array" then . else error("'messages' is no list") end
| map(if type != "object" then error("a message is no object") else . end
	| if has("loss_weight") then .weight = .loss_weight | del(.loss_weight) else . end
	| if .train == false then .weight = 0 else . end
	| del(.train)
	| calls_of_parts
	| if has("content") then .content |= text_of_parts else . end) as $messages
| {messages: $messages}
	+ ($record.tools | if . == null or . == [] or . == "" then {} elif type == "string" then {tools: fromjson} else {tools: .} end)
	+ ($record | with_entries(select((.key == "documents" or .key == "chat_template_kwargs") and .value != null and .value != [])))
