# banned.awk: functions that are not to be called. Some nowhere: they overrun or hide errors. Some not in the library, which
# neither exits nor prints nor reads the environment (lib/cli does that for the tools).
# usage: awk -f tests/banned.awk FILE...
function code(s,    out, i, c, d) {          # the line without its comments, strings and characters
	out = ""
	for (i = 1; i <= length(s); i++) {
		c = substr(s, i, 1); d = substr(s, i, 2)
		if (comment) { if (d == "*/") { comment = 0; i++ } }
		else if (d == "/*") { comment = 1; i++ }
		else if (d == "//") break
		else if (c == "\"" || c == "'") {
			q = c
			for (i++; i <= length(s) && substr(s, i, 1) != q; i++) if (substr(s, i, 1) == "\\") i++
			out = out q q
		} else out = out c
	}
	return out
}
function check(list, why,    n, i, f) {
	n = split(list, f, " ")
	for (i = 1; i <= n; i++)
		if (line ~ ("(^|[^A-Za-z0-9_.>])" f[i] "[ \t]*\\(")) { print FILENAME ":" FNR ": " f[i] "(): " why; bad = 1 }
}
FNR == 1 { comment = 0; library = FILENAME ~ /^lib\// && FILENAME !~ /^lib\/cli\// }
{
	line = code($0)
	check("strcpy strcat sprintf vsprintf strtok gets atoi atol atof", "not in this project")
	if (library) {
		check("exit abort printf vprintf puts putchar perror getenv setenv", "not in the library")
		if (line ~ /(^|[^A-Za-z0-9_])stderr([^A-Za-z0-9_]|$)/) { print FILENAME ":" FNR ": stderr: not in the library"; bad = 1 }
	}
}
END { exit bad }
