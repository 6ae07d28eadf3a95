"""Where banks are stored, and how to open one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mull.bank.sql import SqlBank


def data_folder() -> Path:
    """Where mull keeps what is the user's: a folder of the user's data folder."""
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return data / "mull"


def default_url() -> str:
    """The default bank: the file or database of `MULL_BANK`, or a file in the user's data folder."""
    return os.environ.get("MULL_BANK") or str(default_path())


def default_path() -> Path:
    """The default file of the bank, or of what lies beside it where `MULL_BANK` is a database."""
    told = os.environ.get("MULL_BANK", "")
    if told and "://" not in told:
        return Path(told)
    return data_folder() / "bank.db"


def open_bank(url: str | None = None) -> SqlBank:
    """Opens the bank at an SQLAlchemy URL or a file path, by default `default_url()`; creates it if missing."""
    from mull.bank.sql import SqlBank

    place = default_url() if url is None else url
    return SqlBank(place) if "://" in place else SqlBank.file(Path(place))
