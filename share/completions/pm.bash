# bash completion of all pm tools that are in PATH, from what their --help says.
_pm() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} tool=${COMP_WORDS[0]} help choices verbs
	help=$("$tool" --help 2>/dev/null) || return 0
	# a tool with verbs: the verb, then what belongs to it
	verbs=$(sed -n '/^verbs/,$s/^  \([a-z]*\) .*/\1/p' <<<"$help")
	if [ -n "$verbs" ] && [ "$COMP_CWORD" -eq 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W "$verbs --help --version" -- "$cur")
		return 0
	fi
	[ -z "$verbs" ] || help=$("$tool" "${COMP_WORDS[1]}" --help 2>/dev/null) || return 0
	# the words of a choice: "--precision P  arithmetic ... (f32|bf16|auto)"
	if [[ $prev == --* ]]; then
		choices=$(sed -nE "s/^ .*${prev} .*\(([a-z0-9_|-]*\|[a-z0-9_|-]*)\).*/\1/p" <<<"$help")
		if [ -n "$choices" ]; then
			mapfile -t COMPREPLY < <(compgen -W "${choices//|/ }" -- "$cur")
			return 0
		fi
	fi
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(sed -nE 's/^  (-.,|   ) --(\[no-\])?([a-z0-9-]+).*/--\3/p' <<<"$help")" -- "$cur")
		return 0
	fi
	mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	# where a model is asked for: also what was fetched
	if [[ $prev == -[ma] || $prev == --model || $prev == --adapter || $prev == --draft-model || $tool == *pm-inspect || $prev == --remove ]]; then
		mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W "$(pm-fetch --list 2>/dev/null | cut -f1 | sort -u)" -- "$cur")
	fi
}
for _pm_tool in $(compgen -c pm- | sort -u); do
	complete -o filenames -F _pm "$_pm_tool"
done
unset _pm_tool
