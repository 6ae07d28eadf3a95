#!/bin/sh
# The process reward model that ships with the package, from nano's solutions of training problems: `sh recipes/nano_prm.sh`.
# Labels take about half an hour on two cores, training about twenty minutes. Needs mull[train].
set -eu
build=${1:-build/nano-prm}
mkdir -p "$build"
for ops in 2 4 5 6 7 8 9 10 12; do
	mull train label "chain:ops=$ops,split=train" --method omega --problems 1000 --solutions 4 -k 4 --bank none \
		--out "$build/labels-$ops.jsonl"
done
mull train prm "$build"/labels-*.jsonl --base nano --readout next --epochs 1 --out "$build/model"
python recipes/export.py "$build/model" nano-prm
python recipes/prm_quality.py
