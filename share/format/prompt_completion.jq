# {"prompt": …, "completion": …}: two texts that follow each other as they are, or two lists of messages of one chat.
if has("prompt") and has("completion") then {prompt, completion} else error("it lacks 'prompt' or 'completion'") end
