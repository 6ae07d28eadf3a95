#!/usr/bin/env bash
# lm_eval 0.4.13 grades repeats of a task with several gold answers by position: with `repeats: 2`, a filter that keeps
# both replies (take_first_k) and two golds, `exact_match` compares the first reply with the first gold and the second
# reply with the second gold. A question whose first reply equals the second gold counts as wrong (0.0), the same two
# replies in the other order count as right. With one gold the value is the share of right replies.
# Seen: position 0: 0.0; position 1: 0.5 (counted as right, since any value over 0 is); one gold: 0.5.
set -e
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q lm_eval==0.4.13
"$dir/venv/bin/python" - <<'PY'
from lm_eval.api.metrics import exact_match_fn


def graded(golds, replies):
    """As ConfigurableTask.process_results calls it for `multiple_target`: the list of replies once for each gold."""
    return float(exact_match_fn(references=golds, predictions=[replies for _ in golds])["exact_match"])


golds = ["Paris", "the city of Paris"]
found = graded(golds, ["the city of Paris", "Rome"]), graded(golds, ["Rome", "the city of Paris"])
one = float(exact_match_fn(references=["Paris"], predictions=[["Paris", "Rome"]])["exact_match"])
print(f"position 0: {found[0]}; position 1: {found[1]}; one gold: {one}")
assert found == (0.0, 0.5), found
assert one == 0.5, one
PY
