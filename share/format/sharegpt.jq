# {"conversations": [{"from": "human", "value": …}, {"from": "gpt", "value": …}], "system"?, "tools"?}
def role:
	if . == "human" or . == "user" then "user"
	elif . == "gpt" or . == "assistant" or . == "chatgpt" or . == "bing" or . == "bard" or . == "model" then "assistant"
	elif . == "system" then "system"
	elif . == "tool" or . == "observation" or . == "function_response" then "tool"
	else error("unknown speaker '\(.)'") end;
def message:
	if type != "object" then error("a turn is no object")
	elif .from == "function_call" then
		{role: "assistant", content: "", tool_calls: [.value | fromjson | if type == "array" then .[] else . end | {type: "function", function: .}]}
	else {role: ((.from // .role) | role), content: (if has("value") then .value else .content end)}
		+ (if has("weight") then {weight} else {} end) end;
. as $record
| (.conversations // .conversation // error("it has no 'conversations'"))
| if type == "array" then . else error("'conversations' is no list") end
| {messages: ((if ($record.system // "") != "" then [{role: "system", content: $record.system}] else [] end) + map(message))}
	+ ($record.tools | if . == null or . == [] or . == "" then {} elif type == "string" then {tools: fromjson} else {tools: .} end)
