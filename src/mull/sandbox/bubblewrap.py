"""Sandboxes of bubblewrap: fresh namespaces, an empty read-only root, an unprivileged user, no network."""

from __future__ import annotations

import asyncio
import atexit
import collections
import contextlib
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from mull.errors import SandboxError, UsageError
from mull.sandbox import protocol
from mull.sandbox.base import Job, JobLimits, JobResult, Level
from mull.sandbox.inside.launch import STAGE

_OPEN_SECONDS = 20.0
_SPARES = 2
"""Number of boxes created in advance for the next runs."""
_UID = 1000
"""The user id inside a box; outside it is the user's own, or `Bubblewrap.user` for root."""

Opened = tuple[asyncio.StreamReader, asyncio.StreamWriter, Callable[[], None]]


@dataclass(frozen=True)
class Bubblewrap:
    """A sandbox of bubblewrap, `Level.NAMESPACES`.

    With `warm`, boxes are forked into fresh namespaces by a process in an outer box, which takes milliseconds;
    without it every run starts bubblewrap and Python anew. `readable` lists further folders that programs may read,
    at the same path. If root starts it, everything runs as `user`, a user id without rights on this machine. At most
    `at_once` boxes exist at a time; `None`: one per CPU.

    Programs have no access to the network, other processes, or files other than `/usr`, Python and `readable`, and
    nothing they write persists. The sandbox does not protect against kernel vulnerabilities or timing side channels.
    """

    warm: bool = True
    readable: tuple[str, ...] = ()
    user: int = 65534
    at_once: int | None = None

    @property
    def level(self) -> Level:
        return Level.NAMESPACES

    async def __aenter__(self) -> Self:
        if shutil.which("bwrap") is None:
            raise SandboxError("bubblewrap is not installed")
        for folder in self.readable:
            if not Path(folder).is_absolute() or not Path(folder).exists():  # noqa: ASYNC240 - a stat
                raise UsageError(f"readable folders must be absolute paths of existing folders, not {folder!r}")
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Does nothing: every box ends with its run, and the process that forks them ends with this one."""

    async def run(self, job: Job) -> JobResult:
        """Runs a job in a box of its own; see `Sandbox.run`."""
        protocol.check(job)
        async with protocol.slots(self, self.at_once), self._open(job.limits) as (reader, writer, kill):
            return await protocol.converse(reader, writer, job, self.level, kill)

    @contextlib.asynccontextmanager
    async def _open(self, limits: JobLimits) -> AsyncIterator[Opened]:
        # A warm box that reads folders under `/tmp` would lose them when its own `/tmp` is mounted.
        is_warm = self.warm and not any(map(_is_covered, _folders(self)))
        async with (self._fork if is_warm else self._start)(limits) as (ours, kill):
            reader, writer = await asyncio.open_connection(sock=ours, limit=1 << 20)
            try:
                yield reader, writer, kill
            finally:
                writer.transport.abort()

    @contextlib.asynccontextmanager
    async def _fork(self, limits: JobLimits) -> AsyncIterator[tuple[socket.socket, Callable[[], None]]]:
        """A box forked by the zygote, possibly in advance."""
        zygote = _zygote(self)
        with zygote.box(limits.disk_bytes) as ours:
            try:
                async with asyncio.timeout(_OPEN_SECONDS):
                    await _readable(ours)
                message, descriptors, _, _ = socket.recv_fds(ours, 1000, 1)
            except (TimeoutError, ConnectionError):
                message, descriptors = b"", []
            if not descriptors:
                said = message[4:].decode(errors="replace") or zygote.last_words() or "no reply"
                raise SandboxError(f"no box could be started: {said}")
            async with _ending(descriptors[0]) as kill:
                yield ours, kill

    @contextlib.asynccontextmanager
    async def _start(self, limits: JobLimits) -> AsyncIterator[tuple[socket.socket, Callable[[], None]]]:
        """A box started by its own bubblewrap process."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with ours, tempfile.TemporaryFile() as errors:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    *command(self, "once", theirs.fileno(), limits),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    pass_fds=[theirs.fileno()],
                    cwd="/",
                    env={},
                )
            try:
                async with _ending(os.pidfd_open(process.pid)) as kill:
                    try:
                        await asyncio.get_running_loop().sock_sendall(ours, protocol.bundle(compiled=True))
                        yield ours, kill
                    except (SandboxError, ConnectionError) as error:
                        raise SandboxError(f"no box could be started: {_last_line(errors) or error}") from None
            finally:
                await protocol.finish(process.wait())


def _folders(options: Bubblewrap) -> list[str]:
    """Folders that a box may read besides the system's own; all of them exist."""
    folders = dict.fromkeys((sys.base_prefix, *options.readable))
    return [folder for folder in folders if folder != "/usr" and not folder.startswith("/usr/")]


def _is_covered(folder: str) -> bool:
    """Whether a folder is in `/tmp`, which the box's own `/tmp` covers."""
    return Path(folder).is_relative_to("/tmp")


def command(options: Bubblewrap, entry: str, channel: int, limits: JobLimits) -> list[str]:
    """The command line that starts a box; for root, through a launcher that drops privileges."""
    folders = _folders(options)
    is_root = os.geteuid() == 0
    sources = [f"{STAGE}/{place}" for place in range(len(folders))] if is_root else folders
    python = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    argv = [str(shutil.which("bwrap"))]
    argv += ["--unshare-user", "--unshare-all", "--die-with-parent", "--new-session", "--clearenv", "--as-pid-1"]
    argv += ["--cap-drop", "ALL", "--uid", str(_UID), "--gid", str(_UID), "--hostname", "box"]
    argv += ["--ro-bind", "/usr", "/usr"]
    for name in ("/bin", "/sbin", "/lib", "/lib32", "/lib64"):
        if Path(name).is_symlink():
            argv += ["--symlink", str(Path(name).readlink()), name]
        elif Path(name).is_dir():
            argv += ["--ro-bind", name, name]
    binds = {folder: ["--ro-bind", source, folder] for source, folder in zip(sources, folders, strict=True)}
    for folder, bind in binds.items():
        argv += [] if _is_covered(folder) else bind
    argv += ["--proc", "/proc", "--size", "65536", "--tmpfs", "/dev"]
    for name in ("null", "zero", "full", "random", "urandom"):
        argv += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
    for name, where in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        argv += ["--symlink", f"/proc/self/fd{where}", f"/dev/{name}"]
    if entry == "zygote":
        argv += ["--dir", "/dev/shm", "--dir", "/tmp"]
    else:
        argv += ["--disable-userns", "--ro-bind", "/proc/sys", "/proc/sys"]
        argv += ["--size", str(4 << 20), "--tmpfs", "/dev/shm", "--size", str(limits.disk_bytes), "--tmpfs", "/tmp"]
        for folder, bind in binds.items():
            argv += bind if _is_covered(folder) else []
    argv += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/"]
    argv += ["--setenv", "PYTHONHASHSEED", "0", python, *protocol.PYTHON, protocol.BOOT, entry, str(channel)]
    if not is_root:
        return argv
    source = str(Path(__file__).parents[2])
    boot = f"import sys; sys.path.insert(0, {source!r}); from mull.sandbox.inside.launch import main; main()"
    plan = json.dumps({"user": options.user, "folders": folders, "argv": argv})
    return [python, "-I", "-S", "-c", boot, plan]


class _Zygote:
    """The process that forks boxes. It ends when this process does, however that happens."""

    def __init__(self, options: Bubblewrap) -> None:
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self.control, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                command(options, "zygote", theirs.fileno(), JobLimits()),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self.errors,
                pass_fds=[theirs.fileno()],
                cwd="/",
                env={},
            )
        self.control.sendall(protocol.bundle(compiled=True))
        self.spares: collections.deque[socket.socket] = collections.deque()
        self.spare_disk_bytes = 0

    def box(self, disk_bytes: int) -> socket.socket:
        """The channel of a new box, which announces when it is ready; one created in advance if it fits."""
        if disk_bytes != self.spare_disk_bytes:
            for channel in self.spares:
                channel.close()
            self.spares.clear()
            self.spare_disk_bytes = disk_bytes
        while len(self.spares) <= _SPARES:
            self.spares.append(self._ask(disk_bytes))
        return self.spares.popleft()

    def _ask(self, disk_bytes: int) -> socket.socket:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            try:
                socket.send_fds(self.control, [struct.pack(">Q", disk_bytes)], [theirs.fileno()])
            except OSError as error:
                ours.close()
                raise SandboxError(f"no box could be started: {self.last_words() or error}") from None
        return ours

    def last_words(self) -> str:
        return _last_line(self.errors)

    def close(self) -> None:
        for channel in (*self.spares, self.control):
            channel.close()
        self.process.kill()
        self.process.wait()
        self.errors.close()


_zygotes: dict[tuple[int, tuple[str, ...], int], _Zygote] = {}
_starting = threading.Lock()


def _zygote(options: Bubblewrap) -> _Zygote:
    """This process's live zygote for these options."""
    key = (os.getpid(), options.readable, options.user)
    with _starting:
        zygote = _zygotes.get(key)
        if zygote is None or zygote.process.poll() is not None:
            if zygote is not None:
                zygote.close()
            zygote = _zygotes[key] = _Zygote(options)
        return zygote


@atexit.register
def _end_zygotes() -> None:
    for (pid, *_), zygote in _zygotes.items():
        if pid == os.getpid():
            zygote.close()


@contextlib.asynccontextmanager
async def _ending(pidfd: int) -> AsyncIterator[Callable[[], None]]:
    """Guards the first process of a box: kills it at the end, and waits until it is gone."""

    def kill() -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)

    try:
        yield kill
    finally:
        kill()
        try:
            await _readable(pidfd)
        finally:
            os.close(pidfd)


async def _readable(source: socket.socket | int) -> None:
    """Waits until there is something to read, or until the process of a pidfd has ended."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(source, lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_reader(source)


def _last_line(file: IO[bytes]) -> str:
    file.seek(0)
    lines = file.read()[-2000:].decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
