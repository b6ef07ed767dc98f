# generate.awk: a small synthetic set of texts and chats, for the demo. The same seed gives the same lines with any awk.
# usage: awk -v kind=text|chats|test -v n=LINES [-v seed=N] -f examples/generate.awk
#   text    records {"text": ...}: statements of fact, sums, scenes, words in order and backwards, and questions of that kind
#   chats   records {"messages": [...]}: questions about such things and their answers, one to three a chat
#   test    records {"messages": [...]}, one question each, none of which stands in any of the chats or texts; where the answer follows
#           from the question alone (scenes, orders, words backwards) the statement is in no text either
function rnd(n) {                        # 0 .. n-1; Park and Miller's generator, exact in doubles
	state = (16807 * state) % 2147483647
	return int(state / 2147483647 * n)
}
function held(q,    i, h) {             # one question in eight is held out, chosen by its text
	h = 7
	for (i = 1; i <= length(q); i++) h = (h * 131 + index(ascii, substr(q, i, 1))) % 1000003
	return h % 8 == 0
}
function init(    i) {
	for (i = 32; i < 127; i++) ascii = ascii sprintf("%c", i)
	opposites = split("hot cold big small fast slow old new wet dry full empty light dark high low long short soft hard " \
		"rich poor early late near far open closed loud quiet thick thin sharp blunt strong weak up down left right good bad " \
		"happy sad clean dirty deep shallow tall tiny", opposite, " ")
	things = split("cup ball hat book box car door bag pen key lamp boat kite shoe coat ring", thing, " ")
	colours = split("red blue green black white yellow pink brown", colour, " ")
	people = split("Tom Ann Ben Eva Max Mia Leo Ida Sam Zoe", person, " ")
	letters = split("a b c d e f g h", letter, " ")
	kinds = split("add opposite colour owner backwards order larger", kindname, " ")
}
function distinct(n, m,    i, j, t) {    # pick[1..n]: n different numbers of 1..m
	for (i = 1; i <= m; i++) all[i] = i
	for (i = 1; i <= n; i++) {
		j = i + rnd(m - i + 1)
		t = all[i]; all[i] = all[j]; all[j] = t
		pick[i] = all[i]
	}
}
# Sets question, answer and fact (the statement of the texts).
function draw(what,    a, b, n, i, s, t, which) {
	if (what == "add") {
		a = rnd(10); b = rnd(10); answer = a + b
		fact = a " plus " b " is " answer "."
		question = "What is " a " plus " b "?"
	} else if (what == "opposite") {
		a = 1 + rnd(opposites); b = a % 2 ? a + 1 : a - 1; answer = opposite[b]
		fact = "The opposite of " opposite[a] " is " answer "."
		question = "What is the opposite of " opposite[a] "?"
	} else if (what == "colour") {
		n = 2 + rnd(2); distinct(n, things)
		for (i = 1; i <= n; i++) t_[i] = thing[pick[i]]
		distinct(n, colours)
		for (i = 1; i <= n; i++) s = s "The " t_[i] " is " colour[pick[i]] ". "
		which = 1 + rnd(n); answer = colour[pick[which]]
		fact = s; for (i = 0; i < n; i++) { a = (which + i) % n + 1; fact = fact (i ? " " : "") "The colour of the " t_[a] " is " colour[pick[a]] "." }
		question = s "What is the colour of the " t_[which] "?"
	} else if (what == "owner") {
		n = 2 + rnd(2); distinct(n, people)
		for (i = 1; i <= n; i++) t_[i] = person[pick[i]]
		distinct(n, things)
		for (i = 1; i <= n; i++) s = s t_[i] " has the " thing[pick[i]] ". "
		which = 1 + rnd(n); answer = t_[which]
		fact = s; for (i = 0; i < n; i++) { a = (which + i) % n + 1; fact = fact (i ? " " : "") "The owner of the " thing[pick[a]] " is " t_[a] "." }
		question = s "Who is the owner of the " thing[pick[which]] "?"
	} else if (what == "backwards") {
		n = 2 + rnd(3)
		for (i = 1; i <= n; i++) { a = letter[1 + rnd(letters)]; s = s " " a; t = " " a t }
		answer = substr(t, 2)
		fact = "Backwards," s " is" t "."
		question = "What is" s " backwards?"
	} else if (what == "order") {
		distinct(3, 9)
		for (i = 1; i <= 3; i++) s = s " " pick[i]
		for (i = 1; i <= 9; i++) if (i == pick[1] || i == pick[2] || i == pick[3]) t = t " " i
		answer = substr(t, 2)
		fact = "In order," s " is" t "."
		question = "What is" s " in order?"
	} else {
		distinct(2, 9); answer = pick[1] > pick[2] ? pick[1] : pick[2]
		fact = "Of " pick[1] " and " pick[2] ", " answer " is larger."
		question = "Which is larger, " pick[1] " or " pick[2] "?"
	}
	recall = what == "add" || what == "opposite" || what == "larger"
}
function message(role, text) { return "{\"role\":\"" role "\",\"content\":\"" text "\"}" }
function exchange() { return message("user", question) "," message("assistant", answer) }
BEGIN {
	init()
	state = (seed + (kind == "text" ? 1 : kind == "chats" ? 2 : 3) * 7919) % 2147483646 + 1
	for (i = 0; i < 20; i++) rnd(2)
	while (line < n) {
		if (kind == "text") {
			s = ""
			for (i = 3 + rnd(18); i > 0; i--) {
				asks = rnd(3) == 0
				do draw(kindname[1 + rnd(kinds)]); while (held(question) && (asks || !recall))
				s = s (s == "" ? "" : " ") (asks ? "Question: " question " Answer: " answer "." : fact)
			}
			print "{\"text\":\"" s "\"}"
			line++
		} else if (kind == "chats") {
			s = ""
			for (i = 1 + rnd(3); i > 0; i--) {
				do draw(kindname[1 + rnd(kinds)]); while (held(question))
				s = s (s == "" ? "" : ",") exchange()
			}
			print "{\"messages\":[" s "]}"
			line++
		} else {
			draw(kindname[1 + rnd(kinds)])
			if (++tries > 10000 + 100 * n) exit     # no more questions are held out
			if (held(question) && !(question in seen)) {
				seen[question]
				print "{\"messages\":[" exchange() "]}"
				line++
			}
		}
	}
}
