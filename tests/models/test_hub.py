"""Model files of a hub, which is a server of the test's own: fetched, resumed, checked, kept."""

import hashlib
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gguf_files import header
from mull import UsageError
from mull.errors import ModelError
from mull.models import hub
from mull.models.gguf import Gguf

FIELDS = {"general.architecture": "llama", "tokenizer.chat_template": "{{ messages }}"}
FILE = "hf.co/some/model-GGUF/it.Q4.gguf"


class Hub(ThreadingHTTPServer):
    """Serves one file; the first `n_breaks` downloads break off after 300 KB."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.raw = header(FIELDS, n_data=1 << 20)
        self.etag: str | None = hashlib.sha256(self.raw).hexdigest()
        self.n_breaks = 0
        self.ranges: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        if self.path.endswith(".gguf"):  # the library asks for more than what it is told to fetch
            self.server.ranges.append(self.headers["Range"])
        self._answer()

    def _answer(self) -> None:
        if self.path != "/some/model-GGUF/resolve/main/it.Q4.gguf":
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        found = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        raw = self.server.raw[int(found[1]) :] if found else self.server.raw
        self.send_response(206 if found else 200)
        self.send_header("ETag", f'"{self.server.etag}"')
        self.send_header("X-Repo-Commit", "1" * 40)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.server.n_breaks > 0:
            self.server.n_breaks -= 1
            self.wfile.write(raw[:300_000])
            self.wfile.flush()
            self.connection.close()
            return
        self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    made = Hub()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    # The library reads its address when it is imported.
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", made.url)
    monkeypatch.setattr(
        "huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1 << 16
    )  # what comes is written in such pieces
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", made.url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def test_a_file_of_the_hub_is_fetched_once_and_is_a_model(server: Hub) -> None:
    model = Gguf(FILE)
    assert model.path.read_bytes() == server.raw
    assert (model.name, model.identity.partition("@")[0]) == ("it.Q4", "it.Q4")
    assert Gguf(FILE).identity == model.identity
    assert server.ranges == [None]
    assert [path.name for path in model.path.parent.iterdir() if path.suffix == ".part"] == []


def test_a_download_that_breaks_goes_on_where_it_ended(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in another process: the part that was fetched stays."""

    def ended(seconds: float) -> None:
        raise OSError("the process ends while the library waits to try again")

    server.n_breaks = 1
    with monkeypatch.context() as patched:
        patched.setattr("huggingface_hub.file_download.time.sleep", ended)
        with pytest.raises(ModelError, match=r"cannot be fetched: .*bytes are kept, and the same command goes on"):
            Gguf(FILE)
    (part,) = hub.folder().rglob("*.part")
    n_kept = part.stat().st_size
    assert 0 < n_kept <= 300_000
    assert Gguf(FILE).path.read_bytes() == server.raw
    assert server.ranges == [None, f"bytes={n_kept}-"]


def test_a_file_that_is_not_what_its_checksum_says_is_not_kept(server: Hub) -> None:
    right = server.raw
    server.raw = right[:-9] + b"x" * 9
    with pytest.raises(ModelError, match="does not have the checksum that the hub gives"):
        Gguf(FILE)
    assert list(hub.folder().rglob("*.gguf*part")) == []
    server.raw = right
    assert Gguf(FILE).path.read_bytes() == right


def test_a_part_longer_than_the_file_is_begun_anew(server: Hub) -> None:
    path = hub.folder() / "some" / "model-GGUF" / "it.Q4.gguf.part"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x" * (len(server.raw) + 5))
    assert Gguf(FILE).path.read_bytes() == server.raw


def test_a_file_that_the_hub_does_not_have(server: Hub) -> None:
    with pytest.raises(ModelError, match=r"model-GGUF/other\.gguf cannot be fetched"):
        Gguf("hf.co/some/model-GGUF/other.gguf")


def test_a_hub_that_is_away(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "http://127.0.0.1:9"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", url)
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    with pytest.raises(ModelError, match=f"{re.escape(FILE)} cannot be fetched"):
        Gguf(FILE)


@pytest.mark.parametrize(
    "address",
    [
        "hf.co/model.gguf",
        "hf.co/some/model",
        "hf.co/some/model/it.bin",
        "hf.co/some/../etc/it.gguf",
        "hf.co/a/b/../c.gguf",
    ],
)
def test_another_form_of_address(address: str) -> None:
    with pytest.raises(UsageError, match="a model file of the hub is hf"):
        Gguf(address)
