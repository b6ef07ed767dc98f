# bpe.awk: learns the merges of a byte-level BPE tokenizer from ASCII text, and prints it as tokenizer.json: 256 bytes, then merges
# up to `vocab` less the special tokens, which come last. examples/model/tokenizer.json was made by
#	(awk -v kind=text -v n=2000 -f examples/generate.awk; awk -v kind=chats -v n=2000 -f examples/generate.awk) |
#		jq -r '.text // (.messages[] | .role, .content)' | awk -v vocab=640 -f examples/bpe.awk
function utf8(c) { return c < 128 ? sprintf("%c", c) : sprintf("%c%c", 192 + int(c / 64), 128 + c % 64) }
function quote(s) { return s == "\"" || s == "\\" ? "\\" s : s }
function json(s,    i, out) {                    # a token; only whole single bytes can be '"' or '\'
	for (i = 1; i <= length(s); i++) out = out quote(substr(s, i, 1))
	return "\"" out "\""
}
BEGIN {
	for (b = 0; b < 256; b++)                # GPT-2's alphabet: a visible character for every byte
		letter[b] = utf8((b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174 ? b : 256 + hidden++)
	for (b = 32; b < 127; b++) byte[sprintf("%c", b)] = b
}
{
	rest = $0
	while (match(rest, /^ ?[A-Za-z]+|^ ?[0-9]+|^ ?[^ A-Za-z0-9]+|^ +/)) {
		words[substr(rest, 1, RLENGTH)]++
		rest = substr(rest, RLENGTH + 1)
	}
}
END {
	for (w in words) {
		s = ""
		for (i = 1; i <= length(w); i++) s = s (i > 1 ? " " : "") letter[byte[substr(w, i, 1)]]
		split_[w] = s
	}
	special = split("<|endoftext|> <|im_start|> <|im_end|>", name, " ")
	while (256 + merges + special < vocab) {
		split("", count)
		for (w in words) {
			n = split(split_[w], part, " ")
			for (i = 1; i < n; i++) count[part[i] " " part[i + 1]] += words[w]
		}
		best = ""
		for (p in count)
			if (best == "" || count[p] > count[best] || (count[p] == count[best] && p < best)) best = p
		if (best == "") break
		merge[++merges] = best
		split(best, pair, " ")
		for (w in words) {
			n = split(split_[w], part, " ")
			s = ""
			for (i = 1; i <= n; i++) {
				if (i < n && part[i] == pair[1] && part[i + 1] == pair[2]) { piece = part[i] part[i + 1]; i++ }
				else piece = part[i]
				s = s (s == "" ? "" : " ") piece
			}
			split_[w] = s
		}
	}
	print "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":["
	for (i = 1; i <= special; i++)
		print "{\"id\":" 255 + merges + i ",\"content\":\"" name[i] "\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true}" \
			(i < special ? "," : "],")
	print "\"normalizer\":null,"
	print "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":true},"
	print "\"post_processor\":null,"
	print "\"decoder\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true,\"use_regex\":true},"
	print "\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,\"continuing_subword_prefix\":\"\",\"end_of_word_suffix\":\"\","
	print "\"fuse_unk\":false,\"byte_fallback\":false,\"vocab\":{"
	for (b = 0; b < 256; b++) print json(letter[b]) ":" b ","
	for (i = 1; i <= merges; i++) {
		split(merge[i], pair, " ")
		print json(pair[1] pair[2]) ":" 255 + i (i < merges ? "," : "},")
	}
	print "\"merges\":["
	for (i = 1; i <= merges; i++) print json(merge[i]) (i < merges ? "," : "]}}")
}
