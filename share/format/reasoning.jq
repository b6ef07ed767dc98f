# {"problem", "thinking", "solution"}: an answer with what was thought before it, in the words of the models that think aloud.
def said($keys): . as $r | first($keys[] | $r[.] | select(. != null)) // error("it lacks '\($keys[0])'");
said(["problem", "question", "prompt"]) as $problem
| said(["thinking", "reasoning", "reasoning_content", "thought"]) as $thought
| said(["solution", "answer", "response"]) as $solution
| {messages: ((if (.system // "") != "" then [{role: "system", content: .system}] else [] end)
	+ [{role: "user", content: $problem}, {role: "assistant", content: "<think>\n\($thought)\n</think>\n\n\($solution)"}])}
