#!/usr/bin/env bash
# math-verify 0.9.0 takes numerals in different bases for one: `101_2` (five) verifies `101_3` (ten), and both verify the
# plain 101. The base in the index is left out.
# Seen: `True` three times.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q "math-verify==0.9.0" "latex2sympy2_extended==1.11.0" "sympy==1.14.0" "antlr4-python3-runtime==4.13.2"
"$dir/venv/bin/python" - <<'PY'
from math_verify import parse, verify

for gold, answer in [("$101_2$", "$101_3$"), ("$101_2$", "$101$"), ("$101_3$", "$101$")]:
    found = verify(parse(gold), parse(answer))
    print(gold, answer, found)
    assert found is True, (gold, answer, found)
PY
