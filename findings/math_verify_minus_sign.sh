#!/usr/bin/env bash
# math-verify 0.9.0 finds no answer where a number has the Unicode minus sign (U+2212), which many models write in prose.
# Input: "The answer is −5." with U+2212. Seen: parse gives an empty list, so a right answer of -5 is refused, without a
# warning. With an ASCII hyphen the same sentence is read as -5. Expected: -5 in both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet math-verify==0.9.0
"$folder/venv/bin/python" - <<'PY'
from math_verify import parse, verify

assert parse("The answer is \u22125.") == [], parse("The answer is \u22125.")
assert verify(parse("-5"), parse("The answer is \u22125.")) is False
assert verify(parse("-5"), parse("The answer is -5.")) is True
PY
echo "as described: U+2212 before a number leaves no answer"
