# sizes.awk: no file over 600 lines and no function over 80, but for those that tests/sizes.except names with a reason:
# "PATH reason" for a file, "PATH:FUNCTION reason" for a function.
# usage: awk -f tests/sizes.awk tests/sizes.except FILE...
function file_end() {
	if (lines > 600) over(file, file ": " lines " lines, 600 are the limit")
}
function over(key, text) {
	used[key]
	if (!(key in reason)) { print text; bad = 1 }
}
FILENAME ~ /sizes\.except$/ {
	if ($0 ~ /^#/ || !NF) next
	if (NF < 2) { print "sizes.except: " $1 ": a reason is wanted"; bad = 1 }
	reason[$1]
	next
}
FNR == 1 { file_end(); file = FILENAME; start = 0; head = "" }
{ lines = FNR }
# A function begins where a line at the left margin has "(", and its body where "{" follows at the margin or ends that line.
/^[A-Za-z_].*\(/ { if (!start) { head = $0; head_at = FNR } }
/^[^ \t].*;[ \t]*$/ || /^#/ { if (!start) head = "" }
(/^\{/ || /^[A-Za-z_].*\).*\{[ \t]*$/) && head != "" && !start { start = head_at }
/^\}/ {
	if (start && FNR - start + 1 > 80) {
		name = head
		gsub(/__attribute__[ \t]*\(\([^()]*(\([^()]*\))?[^()]*\)\)/, "", name)
		sub(/[ \t]*\(.*/, "", name)
		sub(/.*[ \t*]/, "", name)
		over(file ":" name, file ": " name "() has " FNR - start + 1 " lines, 80 are the limit")
	}
	start = 0; head = ""
}
END {
	file_end()
	for (k in reason) if (!(k in used)) { print "sizes.except: " k ": needs no exception"; bad = 1 }
	exit bad
}
