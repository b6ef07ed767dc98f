# tap.awk: counts the TAP of one test program; shows its failures with what they say.
# Variables: name, status (its exit status), errors (file of its stderr), sums (file for "passed failed skipped"), golden (1 where
# the golden data is there, so that nothing may be skipped for the want of it).
function bad(line) { failed++; failures = failures "\n      " line; showing = 1 }
/^ok / {
	seen++; showing = 0
	if (tolower($0) ~ /# skip/) {
		if (golden && tolower($0) ~ /golden data/) bad("skipped though the golden data is there: " $0)
		else { skipped++; sub(/.*# [Ss][Kk][Ii][Pp] */, ""); why[$0]++ }
	} else passed++
	next
}
/^not ok / { seen++; bad($0); next }
/^1\.\.[0-9]+/ { plan = substr($1, 4) + 0; planned = 1; all_skipped = tolower($0) ~ /# skip/; next }
/^#/ && showing { failures = failures "\n        " $0 }
END {
	if (!planned) bad("printed no plan")
	else if (!plan && !all_skipped) bad("planned no test")
	else if (plan != seen) bad("planned " plan " tests, reported " seen + 0)
	if (status == 124 || status == 137) bad("ran out of time")
	else if (status > 128) bad("ended by signal " status - 128)
	else if (status && !failed) bad("exit status " status)
	while ((getline line < errors) > 0) {
		if (line ~ /^[0-9]+ warnings? generated/) warned++
		if (++lines <= 40) said = said "\n      | " line
	}
	if (warned) bad("kernels were compiled with warnings: a name that stands for two things, perhaps")
	if (failed) failures = failures said
	printf "%-4s  %-28s %4d passed%s%s%s\n", failed ? "FAIL" : "ok", name, passed,
		failed ? ", " failed " failed" : "", skipped ? ", " skipped " skipped" : "", failures
	for (w in why) printf "      skipped %d: %s\n", why[w], w
	print passed + 0, failed + 0, skipped + 0 > sums
}
