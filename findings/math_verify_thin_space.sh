#!/usr/bin/env bash
# math-verify 0.9.0 adds the two halves of a number whose thousands are set apart by LaTeX's thin space.
# Input: \boxed{12\,500}, which is how 12 500 is usually written in LaTeX (ISO 80000-1 asks for a thin space).
# Seen: parse gives 512 (12 + 500, as if it were a mixed number), so 512 is accepted as equal and 12500 is refused.
# Expected: 12500. Note that \boxed{12{,}500} and the plain text "12 500" are read as 12500.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet math-verify==0.9.0
"$folder/venv/bin/python" - <<'PY'
from math_verify import parse, verify

reply = parse(r"The total is \boxed{12\,500}.")
print("read:", reply)
assert verify(parse("512"), reply) is True, "512 is no longer accepted"
assert verify(parse("12500"), reply) is False, "12500 is no longer refused"
assert verify(parse("12500"), parse(r"The total is \boxed{12{,}500}.")) is True
PY
echo "as described: 12\\,500 is read as 512"
