"""Which sandbox there is on this machine: the best of those that work, and none below the level asked for."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mull.errors import NoSandboxError, SandboxError
from mull.sandbox.base import Level, Limits, Sandbox, Script, Status
from mull.sandbox.bubblewrap import Bubblewrap

INSTALL = (
    "install bubblewrap: apt install bubblewrap, dnf install bubblewrap or pacman -S bubblewrap; where it is there "
    "and does not work, the kernel has to allow user namespaces"
)
_PROBE = Script("print(6 * 7)", limits=Limits(wall_seconds=20.0))


@dataclass(frozen=True, slots=True)
class Availability:
    """A kind of sandbox, and whether it works here; `why` says what is missing."""

    name: str
    level: Level
    works: bool
    why: str = ""


def kinds() -> dict[str, Callable[..., Sandbox]]:
    """The kinds of sandboxes by name, best first."""
    return {"bubblewrap": Bubblewrap}


async def available() -> list[Availability]:
    """Each kind of sandbox, tried by running a program in it."""
    return [await _try(name, kind()) for name, kind in kinds().items()]


def best(minimum: Level = Level.NAMESPACES, **options: Any) -> Sandbox:
    """The best sandbox that works on this machine, to be entered with `async with`.

    `options` are those of `Bubblewrap` (`readable`, `at_once`). Entering raises `NoSandboxError` where none of
    `minimum` or above works: nothing runs, and the message says what to install.
    """
    return _Best(minimum, tuple(sorted(options.items())))
