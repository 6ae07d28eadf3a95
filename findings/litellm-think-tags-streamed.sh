#!/bin/sh
# litellm.completion takes a <think> part out of a whole reply, and leaves it in the same reply when it is streamed.
#
# Seen with litellm 1.110.2 on Linux, Python 3.11, with a server of OpenAI's chat API whose content begins with
# "<think>...</think>". Whole: content is "\nThe answer is 42." and reasoning_content is "\n7*6 is 42\n". With stream=True
# the deltas' content joins to the text with its tags and no delta has reasoning_content, and stream_chunk_builder of those
# chunks has the tags in content and no reasoning_content. So votes on or checks of `content` differ between the two.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check litellm==1.110.2
cd "$dir"
HOME="$dir" LITELLM_LOCAL_MODEL_COST_MAP=True venv/bin/python - <<'EOF'
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import litellm

THOUGHT, SAID = "\n7*6 is 42\n", "\nThe answer is 42."
TEXT = f"<think>{THOUGHT}</think>{SAID}"


class Chats(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        told = {"id": "1", "created": 1, "model": "m"}
        if asked.get("stream"):
            deltas = [{"role": "assistant", "content": TEXT[i : i + 5]} for i in range(0, len(TEXT), 5)]
            choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
            choices.append({"index": 0, "delta": {}, "finish_reason": "stop"})
            rows = [json.dumps({**told, "object": "chat.completion.chunk", "choices": [one]}) for one in choices]
            body, kind = "".join(f"data: {row}\n\n" for row in [*rows, "[DONE]"]), "text/event-stream"
        else:
            message = {"role": "assistant", "content": TEXT}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            usage = {"prompt_tokens": 1, "completion_tokens": 9, "total_tokens": 10}
            body = json.dumps({**told, "object": "chat.completion", "choices": [choice], "usage": usage})
            kind = "application/json"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Chats)
threading.Thread(target=server.serve_forever, daemon=True).start()
asked = {
    "model": "openai/m",
    "api_base": f"http://127.0.0.1:{server.server_port}/v1",
    "api_key": "none",
    "messages": [{"role": "user", "content": "What is 7*6?"}],
}
whole = litellm.completion(**asked).choices[0].message
assert (whole.content, whole.reasoning_content) == (SAID, THOUGHT), whole
chunks = list(litellm.completion(**asked, stream=True))
deltas = [chunk.choices[0].delta for chunk in chunks]
assert "".join(delta.content or "" for delta in deltas) == TEXT, deltas
assert not any(getattr(delta, "reasoning_content", None) for delta in deltas), deltas
built = litellm.stream_chunk_builder(chunks).choices[0].message
assert (built.content, getattr(built, "reasoning_content", None)) == (TEXT, None), built
EOF
echo "litellm takes the thought out of a whole reply, and leaves it in a streamed one"
