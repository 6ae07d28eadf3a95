#!/usr/bin/env bash
# math-verify 0.9.0 leaves out a `\text{}` that multiplies the number before it: the gold `5 \text{ million}` is verified
# by 5, and `2 \text{ dozen}` by 2, both ways round, while the number that is meant (5000000, 24) is refused.
# Seen: one line for each pair, `True` for 5 and 2, `False` for 5000000 and 24.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q "math-verify==0.9.0" "latex2sympy2_extended==1.11.0" "sympy==1.14.0" "antlr4-python3-runtime==4.13.2"
"$dir/venv/bin/python" - <<'PY'
from math_verify import parse, verify

pairs = [
    (r"$5 \text{ million}$", "$5$", True),
    (r"$2 \text{ dozen}$", "$2$", True),
    (r"$5 \text{ million}$", "$5000000$", False),
    (r"$2 \text{ dozen}$", "$24$", False),
]
for gold, answer, seen in pairs:
    found = verify(parse(gold), parse(answer))
    print(gold, answer, found)
    assert found is seen, (gold, answer, found)
PY
