#!/bin/sh
# hf_hub_download keeps a file whose bytes are not those of the checksum that it was given.
#
# Seen with huggingface_hub 2.4.0 on Linux, Python 3.11: a hub tells an ETag that is the SHA-256 of a file (as for every
# large file) and sends other bytes of the same length. The download succeeds without a word; the wrong bytes are stored
# in the cache as blobs/<the right SHA-256>, and later calls return them without asking. Only the length is compared.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check huggingface_hub==2.4.0
HF_HOME="$dir/home" HF_HUB_DISABLE_TELEMETRY=1 HF_HUB_DISABLE_XET=1 "$dir/venv/bin/python" - <<'EOF'
import hashlib
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

RIGHT, WRONG = b"r" * 100_000, b"w" * 100_000
SHA = hashlib.sha256(RIGHT).hexdigest()


class Hub(BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.send_response(200 if "/resolve/" in self.path else 404)
        self.send_header("ETag", f'"{SHA}"')
        self.send_header("X-Repo-Commit", "1" * 40)
        self.send_header("Content-Length", str(len(WRONG) if "/resolve/" in self.path else 0))
        self.end_headers()

    def do_GET(self):
        self.do_HEAD()
        if "/resolve/" in self.path:
            self.wfile.write(WRONG)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["HF_ENDPOINT"] = f"http://127.0.0.1:{server.server_address[1]}"

import huggingface_hub

path = Path(huggingface_hub.hf_hub_download("some/model", "weights.bin"))
found = hashlib.sha256(path.read_bytes()).hexdigest()
print(huggingface_hub.__version__, path.resolve().name == SHA, found == SHA)
assert path.resolve().name == SHA, "changed: the blob has another name"
assert found != SHA, "changed: the right bytes came from somewhere"
server.shutdown()
EOF
