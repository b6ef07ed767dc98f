# {"instruction", "input"?, "output", "system"?, "history"?: [[question, answer], …]}; Dolly's "context" and "response" too.
def said($keys): . as $r | first($keys[] | $r[.] | select(. != null)) // "";
if has("instruction") and (has("output") or has("response")) then . else error("it lacks 'instruction' or 'output'") end
| (said(["input", "context"])) as $input
| {messages: (
	(if (.system // "") != "" then [{role: "system", content: .system}] else [] end)
	+ [(.history // [])[] | {role: "user", content: .[0]}, {role: "assistant", content: .[1]}]
	+ [{role: "user", content: (if $input == "" then .instruction else "\(.instruction)\n\n\($input)" end)},
	   {role: "assistant", content: said(["output", "response"])}])}
