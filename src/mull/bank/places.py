"""Where banks are stored, and how to open one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mull.bank.sql import SqlBank


def default_path() -> Path:
    """The default file of the bank: `MULL_BANK`, or a file in the user's data folder."""
    if "MULL_BANK" in os.environ:
        return Path(os.environ["MULL_BANK"])
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return data / "mull" / "bank.db"


def open_bank(url: str | None = None) -> SqlBank:
    """Opens the bank at an SQLAlchemy URL or a file path, by default `default_path()`; creates it if missing."""
    from mull.bank.sql import SqlBank

    if url is None or "://" not in url:
        path = default_path() if url is None else Path(url)
        return SqlBank.file(path)
    return SqlBank(url)
