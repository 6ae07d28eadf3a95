"""Choice of the sandbox on this machine: the preferred one that works, never below the required level."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

from mull.errors import NoSandboxError, SandboxError
from mull.sandbox.base import JobLimits, Level, Sandbox, Script
from mull.sandbox.bubblewrap import Bubblewrap
from mull.sandbox.landlock import Landlock
from mull.sandbox.oci import Oci

KINDS: Mapping[str, tuple[Level, Callable[[tuple[str, ...]], Sandbox]]] = {
    "bubblewrap": (Level.NAMESPACES, lambda readable: Bubblewrap(readable=readable)),
    "bubblewrap, cold": (Level.NAMESPACES, lambda readable: Bubblewrap(warm=False, readable=readable)),
    "gVisor": (Level.KERNEL, lambda readable: Oci("runsc", readable=readable)),
    "crun": (Level.CONTAINER, lambda readable: Oci("crun", readable=readable)),
    "runc": (Level.CONTAINER, lambda readable: Oci("runc", readable=readable)),
    "landlock": (Level.LANDLOCK, lambda readable: Landlock(readable=readable)),
}
"""The kinds of sandbox with their levels, in order of preference: the fastest sufficient one comes first."""

INSTALL = (
    "install bubblewrap with `apt install bubblewrap`, `dnf install bubblewrap` or `pacman -S bubblewrap`; if it is "
    "installed, the kernel must allow user namespaces (sysctl user.max_user_namespaces above 0)"
)
INSTALL_GVISOR = "install gVisor's runsc: apt install runsc on Debian, or as gvisor.dev says"


@dataclass(frozen=True, slots=True)
class Availability:
    """A kind of sandbox, and whether it works here; `why` is the reason if it does not."""

    name: str
    level: Level
    works: bool
    why: str = ""


_working: set[tuple[str, tuple[str, ...]]] = set()


async def available() -> list[Availability]:
    """The availability of each kind of sandbox, tested by running a program in it."""
    faults = await asyncio.gather(*[_fault(name, ()) for name in KINDS])
    return [Availability(name, KINDS[name][0], not why, why) for name, why in zip(KINDS, faults, strict=True)]


@contextlib.asynccontextmanager
async def best(minimum: Level = Level.NAMESPACES, readable: tuple[str, ...] = ()) -> AsyncIterator[Sandbox]:
    """The preferred sandbox that works on this machine and has level `minimum` or above.

    `readable` lists folders that programs may read besides `/usr` and Python. Raises `NoSandboxError` if there is
    none; the message says what to install.
    """
    faults = []
    for name, (level, make) in KINDS.items():
        if level < minimum:
            continue
        fault = await _fault(name, readable)
        if not fault:
            async with make(readable) as box:
                yield box
            return
        faults.append(f"{name}: {fault}")
    install = INSTALL_GVISOR if minimum is Level.KERNEL else INSTALL
    raise NoSandboxError(
        f"untrusted code was not run: no sandbox of level {minimum.name.lower()} or above works here "
        f"({'; '.join(faults)}); {install}"
    )


async def _fault(name: str, readable: tuple[str, ...]) -> str:
    """Why a kind of sandbox does not work; empty if it works."""
    if (name, readable) in _working:
        return ""
    try:
        async with KINDS[name][1](readable) as box:
            result = await box.run(Script("print(6 * 7)", limits=JobLimits(wall_seconds=20.0)))
    except (SandboxError, OSError) as error:
        return str(error)
    if result.stdout != b"42\n":
        return f"a program ended as {result.status}: {result.stderr[-200:]!r}"
    _working.add((name, readable))
    return ""
