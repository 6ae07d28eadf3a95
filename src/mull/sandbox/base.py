"""Jobs for a sandbox: untrusted programs, their limits, and their results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from math import inf
from typing import Any, Literal, Protocol, Self


class Level(IntEnum):
    """How well a sandbox isolates a program from the machine; a higher level is stronger isolation."""

    LANDLOCK = 1
    """Landlock, seccomp and limits: no access to other files or the network, but the process list is visible."""
    CONTAINER = 2
    """An OCI container, which shares the machine's kernel."""
    NAMESPACES = 3
    """Bubblewrap: fresh namespaces, an empty read-only root, a system call filter, an unprivileged user."""
    KERNEL = 4
    """A separate kernel: gVisor, or another machine."""


LevelName = Literal["landlock", "container", "namespaces", "kernel"]
"""The levels as options of verifiers."""


class Status(StrEnum):
    """How a program, or one call in it, ended."""

    OK = "ok"
    """A program: exit status 0. A call: it returned. Calls: setup finished and every call has an entry in `returns`."""
    FAILED = "failed"
    """A program: nonzero exit status or an uncaught exception. A call: it raised."""
    SIGNAL = "signal"
    """A signal killed it, for example after an invalid memory access."""
    CPU = "cpu"
    """It used up `JobLimits.cpu_seconds`."""
    WALL = "wall"
    """It ran or slept longer than `JobLimits.wall_seconds`, or a call longer than `PythonCalls.call_seconds`."""
    MEMORY = "memory"
    """It requested more than `JobLimits.memory_bytes`."""
    OUTPUT = "output"
    """It wrote more than `JobLimits.output_bytes`, or returned more than `JobLimits.reply_bytes`."""
    NO_REPLY = "no reply"
    """A call: the process ended without a complete reply, for example by `os._exit(0)`. That is never a success."""


@dataclass(frozen=True, slots=True)
class JobLimits:
    """Resource limits of a job. CPU time and memory apply to each process; memory also to all of them together."""

    cpu_seconds: float = 5.0
    """CPU seconds per process, rounded up to whole seconds."""
    wall_seconds: float = 10.0
    """Wall-clock seconds, without the time that the program waits for a busy CPU."""
    memory_bytes: int = 512 << 20
    output_bytes: int = 64 << 10
    """For standard output and standard error each."""
    reply_bytes: int = 1 << 20
    """For the encoded return value of one call."""
    processes: int = 16
    """Processes and threads, including the first one."""
    open_files: int = 64
    disk_bytes: int = 16 << 20
    """Size of `/tmp`, which is in memory and deleted with the box; also the largest file."""
    total_cpu_seconds: float = inf
    """CPU time of all processes together."""
    busy_factor: float = 10.0
    """If a program waits for the CPU until this many times `wall_seconds` have passed, `SandboxError` is raised."""


@dataclass(frozen=True, slots=True)
class Command:
    """A program installed on the machine, such as a compiler or a proof checker.

    `argv[0]` is an absolute path, or a name under `/usr/bin`. `files` are written to the working directory first:
    relative name -> contents. The program can read only `/usr`, mull's Python and the sandbox's `readable` folders.
    """

    argv: tuple[str, ...]
    files: Mapping[str, bytes] = field(default_factory=dict)
    stdin: bytes = b""
    env: Mapping[str, str] = field(default_factory=dict)
    collect: tuple[str, ...] = ()
    """Files of the working directory to return in `JobResult.files`, if they exist and are regular files."""
    limits: JobLimits = JobLimits()


@dataclass(frozen=True, slots=True)
class Script:
    """Python source that runs as `__main__`, with `stdin` as standard input."""

    source: str
    stdin: bytes = b""
    files: Mapping[str, bytes] = field(default_factory=dict)
    limits: JobLimits = JobLimits()


@dataclass(frozen=True, slots=True)
class Call:
    """One call of something that `PythonCalls.setup` defines.

    `expression` is evaluated in the namespace of `setup`; if `args` or `kwargs` is not `None`, its value is called
    with them. They are values that `mull.sandbox.values` can encode: None, bool, int, float, complex, str, bytes,
    list, tuple, set, frozenset and dict of these; they arrive with exactly those types.
    """

    expression: str
    args: tuple[Any, ...] | None = None
    kwargs: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class PythonCalls:
    """Python source, and calls of what it defines; their return values are sent back.

    With `isolated`, every call runs in its own process, forked after `setup`: no call sees changes made by another,
    and one that hangs or dies does not affect the others. Without it, the calls run in order in one process, and those
    after one that hangs or dies have no reply. Do not put expected values in here: compare `Return.value` outside.
    `call_seconds` limits each call, measured like `limits.wall_seconds`, which limits all of them together.
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
    """The result of a call: a value of exact built-in types if `status` is `OK`, otherwise none.

    `error` is the exception, as `ValueError: text`, for `FAILED` and `MEMORY`; the untrusted program wrote that text.
    """

    status: Status
    value: Any = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class JobResult:
    """The result of a job. `stdout` and `stderr` are bytes that the program wrote: escape them before showing them.

    `exit_code` is set if the process exited, `signal` if a signal ended it. `seconds` is the run time of the program,
    without the time to set up the box and without waiting for the CPU. `why` gives details, if there are any.
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
    """Runs untrusted programs. Many jobs may run at once, each in its own box, of which nothing is left afterwards."""

    @property
    def level(self) -> Level: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...

    async def run(self, job: Job) -> JobResult:
        """Runs a job to its end. Failures of the program are reported in the result.

        Raises `SandboxError` if the box itself fails or the machine is too busy, and `UsageError` for an invalid job.
        A cancelled run leaves nothing behind.
        """
        ...
