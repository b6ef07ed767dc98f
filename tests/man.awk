# man.awk: what a man page's source or a tool's --help says of its options, one a line ("-m", "--model").
# usage: awk -v what=page -f tests/man.awk PAGE      awk -v what=help -f tests/man.awk <(TOOL --help)
# In pages options are items: ".It Fl m , Fl -model Ar DIR" or "Fl Fl model".
what == "page" && /^\.It Fl / {
	gsub(/Fl Fl /, "Fl -")
	n = split($0, w, " ")
	for (i = 2; i < n; i++)
		if (w[i] == "Fl") {
			o = w[i + 1]
			sub(/^\\-/, "-", o)
			print "-" o
		}
}
what == "help" && /^  (-.,|   ) --/ {
	if ($1 ~ /^-[^-],$/) print substr($1, 1, 2)
	o = $1 ~ /^--/ ? $1 : $2
	if (sub(/\[no-\]/, "", o)) print "--no-" substr(o, 3)
	print o
}
