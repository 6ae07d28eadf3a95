#!/usr/bin/env bash
# The `accuracy_reward` of trl 1.16.0 (by math-verify 0.9.0) gives 0 to a reply that corrects itself: where a reply has
# two boxes, such as a first answer, "Wait", and another answer, both are read as one set of answers, so the reply is
# right for none of them. Reinforcement with this reward teaches a model not to box an answer again, right as it may be.
# A box in a finished thought counts too. A box that repeats the same answer is right.
# Seen, for the answer 4: one box 1.0; corrected 0.0; corrected inside the thought 0.0; repeated 1.0.
# math-verify itself reads the corrected reply as {3, 4}.
set -e
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
# The reward needs no torch: trl alone, with what this one module imports.
"$dir/venv/bin/pip" install -q --no-deps trl==1.16.0
"$dir/venv/bin/pip" install -q math-verify==0.9.0 transformers==5.24.0 packaging
"$dir/venv/bin/python" - 2>/dev/null <<'PY'
from math_verify import parse
from trl.rewards.accuracy_rewards import accuracy_reward

replies = {
    "one box": r"2 + 2 is \boxed{4}.",
    "corrected": r"It is \boxed{3}. Wait, let me check: it is \boxed{4}.",
    "corrected in the thought": "<think>" + r"It is \boxed{3}. Wait, no." + "</think>" + r"It is \boxed{4}.",
    "repeated": r"It is \boxed{4}. Wait, let me check: it is \boxed{4}.",
}
found = {name: accuracy_reward([[{"role": "assistant", "content": text}]], ["4"])[0] for name, text in replies.items()}
print(found, parse(replies["corrected"])[0])
assert found == {"one box": 1.0, "corrected": 0.0, "corrected in the thought": 0.0, "repeated": 1.0}, found
assert str(parse(replies["corrected"])[0]) == "{3, 4}"
PY
