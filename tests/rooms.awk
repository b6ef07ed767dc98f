# rooms.awk: each room includes only what lib/ROOMS allows, and no headers include each other in a circle.
# usage: awk -f tests/rooms.awk lib/ROOMS lib/*/*.[ch] bin/*.c
function complain(text) { print text; bad = 1 }
function walk(h, path,    n, i, to) {
	if (state[h] == 1) { complain("headers in a circle: " path); return }
	if (state[h] == 2) return
	state[h] = 1
	n = split(uses[h], to, " ")
	for (i = 1; i <= n; i++) walk(to[i], path " -> " to[i])
	state[h] = 2
}
FILENAME ~ /ROOMS$/ {
	if ($0 ~ /^#/ || !NF) next
	if ($1 in room) complain("lib/ROOMS: " $1 " stands twice")
	room[$1]; ok[$1, $1]
	for (i = 2; i <= NF; i++) {
		if (!($i in room)) complain("lib/ROOMS: " $1 " looks up at " $i)
		ok[$1, $i]
	}
	next
}
FNR == 1 {
	n = split(FILENAME, part, "/")
	from = part[1] == "lib" ? part[2] : part[1]
	if (part[1] == "lib" && !(from in room)) complain(FILENAME ": lib/ROOMS has no room '" from "'")
}
/^[ \t]*#[ \t]*include[ \t]*"/ {
	split($0, q, "\"")
	n = split(q[2], to, "/")
	if (from == "bin" && to[1] == "bin" && n == 2) next            # parts of one tool
	if (n != 2 || !(to[1] in room)) { complain(FILENAME ":" FNR ": \"" q[2] "\" is not ROOM/FILE.h"); next }
	if (part[1] == "lib" && !((from, to[1]) in ok)) complain(FILENAME ":" FNR ": " from " may not include " to[1])
	if (FILENAME ~ /\.h$/) uses[from "/" part[3]] = uses[from "/" part[3]] " " q[2]
}
END {
	for (h in uses) walk(h, h)
	exit bad
}
