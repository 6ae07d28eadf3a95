#!/bin/sh
# The reward models that ship with the package, from nano's solutions of training problems: `sh recipes/verifiers.sh`.
# Labels take about half an hour on two cores, each training about twenty minutes. Needs the extra `train`.
set -eu
build=${1:-build/verifiers}
mkdir -p "$build"
for ops in 2 4 5 6 7 8 9 10 12; do
	mull train label "chain:ops=$ops,split=train" --method omega --problems 1000 --solutions 4 -k 4 --bank none \
		--out "$build/labels-$ops.jsonl"
done
mull train prm "$build"/labels-*.jsonl --base nano --readout next --epochs 1 --out "$build/prm"
mull train orm "$build"/labels-4.jsonl "$build"/labels-6.jsonl "$build"/labels-8.jsonl "$build"/labels-10.jsonl \
	--base nano --rate 1e-3 --epochs 2 --out "$build/orm"
python recipes/export.py "$build/prm" nano-prm
python recipes/export.py "$build/orm" nano-orm
python recipes/prm_quality.py
