"""Model files on this machine: those of the working folder, those fetched from the hub, those of installed packages."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

from mull.errors import UnknownNameError
from mull.models.hub import HUB, fetched, folder


def on_this_machine() -> dict[str, Path]:
    """Model files by the names that `gguf:` takes. A file of the working folder comes before others of its name."""
    packages = importlib.metadata.distributions()
    packaged = (Path(file.locate()) for one in packages for file in one.files or () if file.suffix == ".gguf")
    found = [*packaged, *sorted(folder().rglob("*.gguf")), *sorted(Path.cwd().glob("*.gguf"))]
    return {path.name: path for path in found if path.exists()}


def located(name: str) -> Path:
    """The file of a path, of an address of the hub (fetched if it is not there yet), or of a name in `on_this_machine`.

    Raises `UnknownNameError` for a name that is none of these, `ModelError` for what cannot be fetched.
    """
    if name.startswith(HUB):
        return fetched(name)
    path = Path(name).expanduser()
    if path.exists() or path.name != name:
        return path
    known = on_this_machine()
    if name not in known:
        raise UnknownNameError("model file", name, known)
    return known[name]
