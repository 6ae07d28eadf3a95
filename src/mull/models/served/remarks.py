"""What a user should know of a server that shows itself only while draws are made: said once in a process."""

from __future__ import annotations

import logging

from mull.models.served.deployment import Deployment
from mull.shown import shown

_said: set[tuple[str, tuple[str, ...], str]] = set()


def remark(deployment: Deployment, kind: str, words: str) -> None:
    """Logs a warning of the logger `mull`, unless one of this kind was logged for the deployment before."""
    key = deployment.identity, deployment.urls, kind
    if key not in _said:
        _said.add(key)
        logging.getLogger("mull").warning("%s", shown(f"{deployment.name}: {words}"))
