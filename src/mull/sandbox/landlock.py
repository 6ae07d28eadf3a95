"""A sandbox for machines without user namespaces: landlock, a system call filter, and limits."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from mull.errors import SandboxError
from mull.sandbox import protocol
from mull.sandbox.base import Job, JobResult, Level
from mull.sandbox.inside import kernel

_NEEDED_VERSION = 6
_GONE_SECONDS = 5.0


@dataclass(frozen=True)
class Landlock:
    """A sandbox of landlock, `Level.LANDLOCK`, for kernels from 6.12 on.

    Programs cannot read other files, use the network, signal other processes, or make most of the rarer system calls.
    They can see the names, sizes and owners of files and the list of processes, and can fill the disk with files of
    `JobLimits.disk_bytes` each. `readable` and `user` are as in `Bubblewrap`.
    """

    readable: tuple[str, ...] = ()
    user: int = 65534

    @property
    def level(self) -> Level:
        return Level.LANDLOCK

    async def __aenter__(self) -> Self:
        if kernel.landlock_version() < _NEEDED_VERSION:
            raise SandboxError(f"the kernel does not support landlock version {_NEEDED_VERSION}, which Linux 6.12 has")
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Does nothing: every box ends with its run."""

    async def run(self, job: Job) -> JobResult:
        """Runs a job in a box of its own; see `Sandbox.run`."""
        protocol.check(job)
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with ours, _folder(self.user) as folder:
            async with self._started(theirs, folder) as process:
                reader, writer = await asyncio.open_connection(sock=ours, limit=1 << 20)
                try:
                    writer.write(protocol.bundle(compiled=_python() == _own_python()))
                    return await protocol.converse(
                        reader, writer, job, self.level, lambda: _signal(process, signal.SIGTERM)
                    )
                finally:
                    writer.transport.abort()

    @contextlib.asynccontextmanager
    async def _started(self, theirs: socket.socket, folder: str) -> AsyncIterator[asyncio.subprocess.Process]:
        as_user: dict[str, Any] = {}
        if os.geteuid() == 0:
            as_user = {"user": self.user, "group": self.user, "extra_groups": []}
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *(_python(), *protocol.PYTHON, protocol.BOOT, "landlock", str(theirs.fileno()), folder, *self.readable),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                cwd=folder,
                env={"PYTHONHASHSEED": "0"},
                **as_user,
            )
        try:
            yield process
        finally:
            await protocol.finish(_ended(process))


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Makes the harness end everything it started, and itself."""
    _signal(process, signal.SIGTERM)
    try:
        async with asyncio.timeout(_GONE_SECONDS):
            await process.wait()
    except TimeoutError:
        _signal(process, signal.SIGKILL)
        await process.wait()


def _signal(process: asyncio.subprocess.Process, number: int) -> None:
    # Not `process.send_signal`, which may reap the process before the event loop does.
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


@contextlib.contextmanager
def _folder(user: int) -> Any:
    """A temporary working folder, deleted afterwards whatever its permissions are."""
    folder = tempfile.mkdtemp(prefix="mull-box-")
    try:
        if os.geteuid() == 0:
            os.chown(folder, user, user)
        yield folder
    finally:
        for parent, names, _ in os.walk(folder):
            for name in names:
                path = Path(parent, name)
                if not path.is_symlink():
                    path.chmod(0o700)
        shutil.rmtree(folder)


def _own_python() -> str:
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


def _python() -> str:
    """mull's Python if every user can read it, otherwise the machine's. Raises `SandboxError` if there is none."""
    own = _own_python()
    if os.geteuid() != 0 or all(parent.stat().st_mode & 0o001 for parent in Path(own).parents):
        return own
    if Path("/usr/bin/python3").exists():
        return "/usr/bin/python3"
    raise SandboxError(f"an unprivileged user cannot read {own}, and there is no /usr/bin/python3")
