"""Probed capabilities, saved on disk: one file per model and server."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path

from mull.bank.places import default_path
from mull.models.served.capabilities import Capabilities
from mull.models.served.deployment import Deployment
from mull.models.served.template import ChatTemplate
from mull.types import Cost

FORM = 3
"""Version of the file format; files of another version are ignored."""

_known: dict[Path, Capabilities | None] = {}


def folder() -> Path:
    """The folder of saved capabilities: beside the bank's file, or in the user's data folder."""
    return default_path().parent / "probes"


def place(deployment: Deployment) -> Path:
    """The file of one model on one server."""
    return _place(deployment, os.environ.get("MULL_BANK"), os.environ.get("XDG_DATA_HOME"), os.environ.get("HOME"))


@functools.lru_cache(maxsize=256)
def _place(deployment: Deployment, *environment: str | None) -> Path:
    """`place` for the variables that say where the folder is: every draw asks for it."""
    told = [
        deployment.urls[0],
        deployment.served,
        deployment.api,
        deployment.extra,
        None if deployment.template is None else deployment.template.text,
        *([] if deployment.effort is None else [deployment.effort]),
    ]
    return folder() / (hashlib.blake2b(json.dumps(told).encode(), digest_size=12).hexdigest() + ".json")


def known(deployment: Deployment) -> Capabilities | None:
    """The saved capabilities; `None`: not probed yet."""
    path = place(deployment)
    if path not in _known:
        _known[path] = _load(path)
    return _known[path]


def _load(path: Path) -> Capabilities | None:
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
        if row.pop("form") != FORM:
            return None
        row.pop("url"), row.pop("model")
        cost, told = Cost(**row.pop("cost")), row.pop("template")
        read = None if told is None else ChatTemplate(**told)
        return Capabilities(
            **{
                **row,
                "rejects": tuple(row["rejects"]),
                "ignores": tuple(row["ignores"]),
                "cost": cost,
                "template": read,
            }
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None  # it is probed again


def assume(deployment: Deployment, can: Capabilities) -> None:
    """Sets the capabilities of a deployment for this process, which need not be probed."""
    _known[place(deployment)] = can


def save(deployment: Deployment, can: Capabilities) -> None:
    """Saves capabilities; keeps them for this process only if the file cannot be written."""
    path = place(deployment)
    _known[path] = can
    row = {"form": FORM, "url": deployment.urls[0], "model": deployment.served, **asdict(can)}
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(row, indent=1), encoding="utf-8")
        part.replace(path)
    except OSError:
        return


def forget(deployment: Deployment) -> None:
    """Deletes the saved capabilities of a deployment, so that the next use probes it again."""
    path = place(deployment)
    _known[path] = None
    path.unlink(missing_ok=True)
