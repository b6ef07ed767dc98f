# {"text": …}: a document, all of it trained.
if has("text") then {text} else error("it has no 'text'") end
