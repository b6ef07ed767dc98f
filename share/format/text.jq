# {"text": …}: a document, all of it trained; {"text": …, "pair": …}: two texts as the tokenizer puts them together.
if has("text") then {text} + (if has("pair") then {pair} else {} end) else error("it has no 'text'") end
