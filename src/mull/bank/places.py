"""Where banks are kept, and opening one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mull.bank.sql import SqlBank


def default_path() -> Path:
    """Where draws are kept unless told otherwise: `MULL_BANK`, or the user's data folder."""
    if "MULL_BANK" in os.environ:
        return Path(os.environ["MULL_BANK"])
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return data / "mull" / "bank.db"


def open_bank(url: str | None = None) -> SqlBank:
    """The bank at an SQLAlchemy URL or a file's path; without one, the default file, made if need be."""
    from mull.bank.sql import SqlBank

    if url is None or "://" not in url:
        path = default_path() if url is None else Path(url)
        return SqlBank.file(path)
    return SqlBank(url)
