"""Untrusted programs: what they are given, what they may use, and what came of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from math import inf
from typing import Any, Literal, Protocol, Self


class Level(IntEnum):
    """How well a program is kept apart from the machine; a higher level is a better wall."""

    LANDLOCK = 1
    """Landlock, seccomp and limits: no foreign files and no network, but the machine's processes can be seen."""
    CONTAINER = 2
    """A container of docker or podman, with a kernel that is shared and a daemon that runs as root."""
    NAMESPACES = 3
    """Bubblewrap: fresh namespaces, an empty read-only root, a system call filter, an unprivileged user."""
    KERNEL = 4
    """A kernel of its own: gVisor, or a machine elsewhere."""


LevelName = Literal["landlock", "container", "namespaces", "kernel"]
"""The levels as options of verifiers."""


class Status(StrEnum):
    """How a program, or one call in it, ended."""

    OK = "ok"
    """A program: exit status 0. A call: it returned. Calls: setup ended and every call has an entry in `returns`."""
    FAILED = "failed"
    """A program: another exit status, or an exception that it did not catch. A call: it raised."""
    SIGNAL = "signal"
    """A signal killed it, as after an invalid memory access."""
    CPU = "cpu"
    """It used up `Limits.cpu_seconds`."""
    WALL = "wall"
    """It ran or slept longer than `Limits.wall_seconds`, or a call longer than `Calls.call_seconds`."""
    MEMORY = "memory"
    """It asked for more than `Limits.memory_bytes`."""
    OUTPUT = "output"
    """It wrote more than `Limits.output_bytes`, or returned more than `Limits.reply_bytes`."""
    NO_REPLY = "no reply"
    """A call: the process ended without a complete reply, as by `os._exit(0)`. That is never a success."""


@dataclass(frozen=True, slots=True)
class JobLimits:
    """What a program may use. Processor time and memory are for each process; memory also for all of them together."""

    cpu_seconds: float = 5.0
    """In whole seconds: a part of one counts as one."""
    wall_seconds: float = 10.0
    """On the clock, but for the time in which the program waits for a processor that others use."""
    memory_bytes: int = 512 << 20
    output_bytes: int = 64 << 10
    """For standard output and for standard error, each."""
    reply_bytes: int = 1 << 20
    """For the value of one call, in its encoded form."""
    processes: int = 16
    """Processes and threads, the first one included."""
    open_files: int = 64
    disk_bytes: int = 16 << 20
    """For `/tmp`, which is memory and is gone with the box; also the longest file."""
    total_cpu_seconds: float = inf
    """Processor time of all processes together."""
    busy_factor: float = 10.0
    """A program that is kept waiting until this many times `wall_seconds` are over has no result: `SandboxError`."""


@dataclass(frozen=True, slots=True)
class Command:
    """A program of the machine, such as a compiler or a proof checker.

    `argv[0]` is an absolute path, or a name under `/usr/bin`. `files` are written to the working directory first:
    relative name -> contents. Only `/usr`, the Python of mull and the folders of `Sandbox` options are there to read.
    """

    argv: tuple[str, ...]
    files: Mapping[str, bytes] = field(default_factory=dict)
    stdin: bytes = b""
    env: Mapping[str, str] = field(default_factory=dict)
    collect: tuple[str, ...] = ()
    """Files of the working directory to bring back, as `Result.files`, where they are there and are plain files."""
    limits: JobLimits = JobLimits()


@dataclass(frozen=True, slots=True)
class Script:
    """Python source that is run as `__main__`, with `stdin` to read."""

    source: str
    stdin: bytes = b""
    files: Mapping[str, bytes] = field(default_factory=dict)
    limits: JobLimits = JobLimits()


@dataclass(frozen=True, slots=True)
class Call:
    """One call of what `Calls.setup` defines.

    `expression` is evaluated in the namespace of `setup`; with `args` or `kwargs` not `None` its value is called
    with them. They are values of `mull.sandbox.values`: None, bool, int, float, complex, str, bytes, list, tuple,
    set, frozenset and dict of these, and arrive as exactly those types.
    """

    expression: str
    args: tuple[Any, ...] | None = None
    kwargs: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class PythonCalls:
    """Python source, and calls of what it defines, whose values come back.

    With `isolated`, every call runs in a process of its own forked after `setup`: no call sees what an earlier one
    changed, and one that hangs or dies costs no other. Without it they run in one process in order, and those after
    one that hangs or dies have no reply. No expected value belongs in here: compare outside, with `Return.value`.
    `call_seconds` is for each call, on the clock of `limits.wall_seconds`, which is for all.
    """

    setup: str
    calls: tuple[Call, ...]
    isolated: bool = True
    call_seconds: float = 5.0
    files: Mapping[str, bytes] = field(default_factory=dict)
    limits: JobLimits = JobLimits()


Job = Command | Script | PythonCalls


@dataclass(frozen=True, slots=True)
class Return:
    """What a call gave: a value of exact built-in types where `status` is `OK`, else none.

    `error` is what it raised, as `ValueError: text`, for `FAILED` and `MEMORY`; the candidate wrote that text.
    """

    status: Status
    value: Any = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class JobResult:
    """What came of a job. `stdout` and `stderr` are bytes that the program wrote: escape them before showing them.

    `exit_code` is set where the process ended by itself, `signal` where a signal ended it. `seconds` is from the
    start of the program to its end, without the box around it and without waiting for a processor. `why` says
    more where there is more to say.
    """

    status: Status
    level: Level
    exit_code: int | None = None
    signal: int | None = None
    stdout: bytes = b""
    stderr: bytes = b""
    returns: tuple[Return, ...] = ()
    seconds: float = 0.0
    cpu_seconds: float | None = None
    why: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)


class Sandbox(Protocol):
    """Where untrusted programs run. Many jobs may run at once; each has a box of its own that nothing survives."""

    @property
    def level(self) -> Level: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...

    async def run(self, job: Job) -> JobResult:
        """Run a job to its end. What the program does wrong is in the result.

        Raises `SandboxError` where the box itself failed or the machine is too busy, and `UsageError` for a job that
        makes no sense. A cancelled run leaves nothing behind.
        """
        ...
