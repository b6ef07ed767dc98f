#!/usr/bin/env bash
# plot.sh: the loss of one or more trainings, as a PNG and, on a terminal's line, as text.
# usage: examples/plot.sh TITLE OUT.png METRICS.jsonl ...
set -euo pipefail
title=$1 png=$2
shift 2
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
curves=
i=0
for f; do
	i=$((i + 1))
	name=$(basename "$(dirname "$f")")/$(basename "$f" .jsonl)
	jq -r 'select(.loss != null) | [.step, .loss] | @tsv' "$f" >"$tmp/$i"
	curves="${curves:+$curves, }'$tmp/$i' using 1:2 with lines lw 2 title '$name'"
done
gnuplot -e "set title '$title'; set xlabel 'step'; set ylabel 'loss'; set grid; set terminal png size 900,500; set output '$png'; plot $curves"
gnuplot -e "set title '$title'; set xlabel 'step'; set terminal dumb size 78,20; plot $curves" | tr -d '\f'
