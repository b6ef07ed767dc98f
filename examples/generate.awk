# generate.awk: a small synthetic set of texts and chats, for the demo. The same seed gives the same lines with any awk.
# usage: awk -v kind=text|chats|test -v n=LINES [-v seed=N] -f examples/generate.awk
#   text    records {"text": ...}: lines that state something, and questions followed by such a line
#   chats   records {"messages": [...]}: questions and their answers, one to three a chat
#   test    records {"messages": [...]}: one question each, at most 35 in 100 of one kind, none of which is asked in any of the chats or texts; where the
#           answer follows from the question alone (orders, words backwards) it is stated in no text either
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
		"happy sad clean dirty deep shallow", opposite, " ")
	sorts = split("bird fish tree tool fruit metal", kind_of, " ")
	members["bird"] = "robin owl crow swan duck goose"; members["fish"] = "trout carp eel cod pike salmon"
	members["tree"] = "oak elm ash birch pine willow"; members["tool"] = "hammer saw chisel drill plane wrench"
	members["fruit"] = "pear plum cherry fig lemon melon"; members["metal"] = "iron copper tin lead gold silver"
	letters = split("a b c d e f g h", letter, " ")
	days = split("Monday Tuesday Wednesday Thursday Friday Saturday Sunday", day, " ")
	kinds = split("add opposite sort after backwards order larger", kindname, " ")
}
function distinct(n, m,    i, j, t) {    # pick[1..n]: n different numbers of 1..m
	for (i = 1; i <= m; i++) all[i] = i
	for (i = 1; i <= n; i++) {
		j = i + rnd(m - i + 1)
		t = all[i]; all[i] = all[j]; all[j] = t
		pick[i] = all[i]
	}
}
# Sets question and answer (a line of the texts, too).
function draw(what,    a, b, n, i, s, t) {
	if (what == "add") {
		a = rnd(10); b = rnd(10)
		question = "What is " a " plus " b "?"
		answer = a " plus " b " is " a + b "."
	} else if (what == "opposite") {
		a = 1 + rnd(opposites)
		question = "What is the opposite of " opposite[a] "?"
		answer = "The opposite of " opposite[a] " is " opposite[a % 2 ? a + 1 : a - 1] "."
	} else if (what == "sort") {
		a = 1 + rnd(sorts); n = split(members[kind_of[a]], part, " "); b = 1 + rnd(n)
		question = "What sort of thing is " part[b] "?"
		answer = part[b] " is a " kind_of[a] "."
	} else if (what == "after") {
		if (rnd(3) == 0) { i = 1 + rnd(days); s = day[i]; t = day[i % days + 1] }
		else if (rnd(2)) { i = 1 + rnd(letters - 1); s = letter[i]; t = letter[i + 1] }
		else { s = rnd(19); t = s + 1 }
		question = "What comes after " s "?"
		answer = "After " s " comes " t "."
	} else if (what == "backwards") {
		n = 2 + rnd(2)
		for (i = 1; i <= n; i++) { a = letter[1 + rnd(letters)]; s = s " " a; t = " " a t }
		question = "What is" s " backwards?"
		answer = "Backwards," s " is" t "."
	} else if (what == "order") {
		distinct(3, 9)
		for (i = 1; i <= 3; i++) s = s " " pick[i]
		for (i = 1; i <= 9; i++) if (i == pick[1] || i == pick[2] || i == pick[3]) t = t " " i
		question = "What is" s " in order?"
		answer = "In order," s " is" t "."
	} else {
		distinct(2, 9)
		question = "Which is larger, " pick[1] " or " pick[2] "?"
		answer = "Of " pick[1] " and " pick[2] ", " (pick[1] > pick[2] ? pick[1] : pick[2]) " is larger."
	}
	recall = what != "backwards" && what != "order"
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
				asks = rnd(4) > 0
				do draw(kindname[1 + rnd(kinds)]); while (held(question) && (asks || !recall))
				s = s (s == "" ? "" : "\\n") (asks ? question "\\n" : "") answer
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
			draw(what = kindname[1 + rnd(kinds)])
			if (++tries > 10000 + 100 * n) exit     # no more questions are held out
			if (held(question) && !(question in seen) && of[what] < n * 0.35) {
				seen[question]; of[what]++
				print "{\"messages\":[" exchange() "]}"
				line++
			}
		}
	}
}
