"""Model files of the Hugging Face Hub: fetched once, resumed where a download broke off, and checked.

`huggingface_hub` makes the requests and shows the progress; its own cache neither resumes in another process nor
compares a file with its checksum.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from mull.bank.places import data_folder
from mull.errors import ModelError, UsageError

HUB = "hf.co/"
ADDRESS = re.compile(r"hf\.co/(?P<repo>[\w.-]+/[\w.-]+)/(?P<file>[\w./ -]+\.gguf)")
SHA256 = re.compile(r"[0-9a-f]{64}")


def folder() -> Path:
    """Where fetched files are kept: the user's data folder."""
    return data_folder() / "models"


def fetched(address: str) -> Path:
    """The local copy of a file, `hf.co/OWNER/REPO/FILE`, which is fetched if it is not there yet.

    A download that broke off goes on where it ended. Raises `UsageError` for another form of address, `ModelError` if
    the file cannot be had or is not what its checksum says.
    """
    found = ADDRESS.fullmatch(address)
    if found is None or ".." in address:
        raise UsageError(f"a model file of the hub is {HUB}OWNER/REPO/FILE.gguf, not {address!r}")
    path = folder() / found["repo"] / found["file"]
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _fetch(address, found["repo"], found["file"], path)
    return path


def _fetch(address: str, repo: str, file: str, path: Path) -> None:
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import WeakFileLock, build_hf_headers

    part = path.with_name(path.name + ".part")
    # What the library raises depends on its HTTP client, whose errors are a base class of its own ones.
    failures = (OSError, *HfHubHTTPError.__bases__)
    with WeakFileLock(part.with_suffix(".lock")):
        if path.exists():
            return  # another process fetched it meanwhile
        try:
            told = get_hf_file_metadata(hf_hub_url(repo, file))
            with part.open("ab") as begun:
                if told.size is not None and begun.tell() > told.size:
                    begun.truncate(0)
                    begun.seek(0)
                http_get(
                    told.location,
                    begun,
                    resume_size=begun.tell(),
                    headers=build_hf_headers(),
                    expected_size=told.size,
                    displayed_filename=path.name,
                )
        except failures as error:
            n_bytes = part.stat().st_size if part.exists() else 0
            kept = f"; {n_bytes:,} bytes are kept, and the same command goes on from there" if n_bytes else ""
            words = " ".join(str(error).split())[:300] or type(error).__name__
            raise ModelError(f"{address} cannot be fetched: {words}{kept}") from error
        if (etag := told.etag or "") and SHA256.fullmatch(etag) and _sha256(part) != etag:
            part.unlink()
            raise ModelError(f"{address} was fetched and does not have the checksum that the hub gives: fetch it again")
        part.replace(path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
