"""The outer half of a run: sends a job into a box, and interprets its answer."""

from __future__ import annotations

import asyncio
import functools
import json
import marshal
import os
import secrets
import signal
import struct
import weakref
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from importlib import resources
from pathlib import PurePosixPath
from typing import Any

from mull.errors import SandboxError, UsageError
from mull.sandbox import values
from mull.sandbox.base import Command, Job, JobLimits, JobResult, Level, PythonCalls, Return, Script, Status
from mull.sandbox.inside import candidate

GRACE_SECONDS = 2.0
"""Seconds that a box may take after its time limit to report, before it is killed from outside."""

_READY_SECONDS = 30.0

_PARTS = (
    "values",
    *(f"inside.{name}" for name in ("frames", "kernel", "seccomp", "candidate", "usage", "harness", "zygote")),
)

BOOT = """
import sys, os, marshal
entry, channel = sys.argv[1], int(sys.argv[2])
def read(n):
    data = b""
    while len(data) < n:
        part = os.read(channel, n - len(data))
        if not part:
            os._exit(1)
        data += part
    return data
for name, code in marshal.loads(read(int.from_bytes(read(4), "big"))):
    module = sys.modules[name] = type(sys)(name)
    module.__path__ = []
    exec(code, module.__dict__)
sys.modules["mull.sandbox.inside.zygote"].main(sys.argv[1:])
"""
"""Run as `python *PYTHON BOOT ENTRY CHANNEL`: reads the code of the box from the channel."""
PYTHON = ("-s", "-P", "-S", "-c")
"""Not `-I`, which would ignore PYTHONHASHSEED; mull sets the environment itself."""


@functools.cache
def bundle(compiled: bool) -> bytes:
    """The code of the box, to send to `BOOT`; `compiled` if the box runs this very Python."""
    parts: list[tuple[str, Any]] = [(name, "") for name in ("mull", "mull.sandbox", "mull.sandbox.inside")]
    root = resources.files("mull.sandbox")
    for part in _PARTS:
        source = root.joinpath(*f"{part}.py".replace(".", "/", part.count(".")).split("/")).read_text()
        name = f"mull.sandbox.{part}"
        parts.append((name, compile(source, name, "exec", dont_inherit=True) if compiled else source))
    data = marshal.dumps(parts) if compiled else marshal.dumps(parts, 2)
    return _frame(data)


_semaphores: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Any, asyncio.Semaphore]]
_semaphores = weakref.WeakKeyDictionary()


def slots(options: Any, at_once: int | None) -> asyncio.Semaphore:
    """This event loop's semaphore for boxes of these options: `at_once` slots, or one per CPU."""
    places = _semaphores.setdefault(asyncio.get_running_loop(), {})
    return places.setdefault(options, asyncio.Semaphore(at_once or os.cpu_count() or 1))


def check(job: Job) -> None:
    """Raises `UsageError` for an invalid job."""
    limits = job.limits
    for name, value in asdict(limits).items():
        if not value > 0:
            raise UsageError(f"limit {name} must be above 0, not {value}")
    if sum(map(len, job.files.values())) > limits.disk_bytes:
        raise UsageError(f"the files of a job are larger than disk_bytes, {limits.disk_bytes}")
    for name in (*job.files, *(job.collect if isinstance(job, Command) else ())):
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name:
            raise UsageError(f"a job's file must have a relative name without '..', not {name!r}")
    if isinstance(job, Command) and not job.argv:
        raise UsageError("a command needs a program: argv is empty")


async def finish(ending: Coroutine[Any, Any, object]) -> None:
    """Awaits `ending` even if the caller is cancelled; the cancellation is then raised afterwards.

    `asyncio.shield` alone would return at once, and an event loop that closes next would leave the process unwaited.
    """
    task = asyncio.ensure_future(ending)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


async def converse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, job: Job, level: Level, kill: Callable[[], None]
) -> JobResult:
    """Sends a job to a ready box, and reads its answer until it is complete or the box must be killed.

    Raises `UsageError` if the program does not exist in the box, and `SandboxError` if the box did not start.
    """
    nonce = secrets.token_hex(16)
    try:
        async with asyncio.timeout(_READY_SECONDS):
            writer.write(_question(job, nonce, level))
            head = await _head(reader, nonce)
    except (TimeoutError, EOFError, ConnectionError):
        kill()
        raise SandboxError("no box could be started: it ended before the program was started") from None
    if head["fault"]:
        raise SandboxError(f"the box could not be locked: {head['fault']}")
    seconds = job.limits.busy_factor * job.limits.wall_seconds + GRACE_SECONDS
    if isinstance(job, PythonCalls):
        seconds += GRACE_SECONDS
    returns: list[Return] = []
    try:
        async with asyncio.timeout(seconds):
            result = await _answer(reader, job, level, nonce, returns)
    except TimeoutError:
        kill()
        result = JobResult(Status.WALL, level, why="the box was killed from outside")
    except (EOFError, ConnectionError):
        result = JobResult(Status.NO_REPLY, level, why="the box ended without an answer")
    if isinstance(job, PythonCalls):
        missing = len(job.calls) - len(returns)
        error = result.why if result.status is not Status.OK else ""
        object.__setattr__(result, "returns", (*returns, *[Return(Status.NO_REPLY, error=error)] * missing))
    return result


def _frame(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _question(job: Job, nonce: str, level: Level) -> bytes:
    source = job.source if isinstance(job, Script) else job.setup if isinstance(job, PythonCalls) else ""
    argv = list(job.argv) if isinstance(job, Command) else []
    if argv and "/" not in argv[0]:
        argv[0] = f"/usr/bin/{argv[0]}"
    env = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"}
    head = {
        "nonce": nonce,
        "argv": argv,
        "script": isinstance(job, Script),
        "source": source,
        "env": {**env, **job.env} if isinstance(job, Command) else env,
        "isolated": isinstance(job, PythonCalls) and job.isolated,
        "calls": len(job.calls) if isinstance(job, PythonCalls) else 0,
        "call_seconds": job.call_seconds if isinstance(job, PythonCalls) else 0,
        "is_lenient": level is Level.KERNEL,
        "files": list(job.files),
        "collect": list(job.collect) if isinstance(job, Command) else [],
        "limits": asdict(job.limits),
    }
    parts = [json.dumps(head).encode(), *job.files.values(), b"" if isinstance(job, PythonCalls) else job.stdin]
    if isinstance(job, PythonCalls):
        for call in job.calls:
            no_arguments = call.args is None and call.kwargs is None
            order = {
                "expression": call.expression,
                "args": None if no_arguments else values.encode(tuple(call.args or ())),
                "kwargs": values.encode(dict(call.kwargs or {})),
            }
            parts.append(json.dumps(order).encode())
    return b"".join(map(_frame, parts))


async def _answer(reader: asyncio.StreamReader, job: Job, level: Level, nonce: str, returns: list[Return]) -> JobResult:
    limits = job.limits
    setup = Return(Status.OK)
    if isinstance(job, PythonCalls):
        setup = await _one(reader, limits, nonce)
        for _ in job.calls:
            returns.append(await _one(reader, limits, nonce))
        if setup.status is not Status.OK:
            why = f"setup: {setup.error or setup.status}"
            returns[:] = [Return(Status.NO_REPLY, error=why)] * len(job.calls)
    head = await _head(reader, nonce)
    stdout = await _receive(reader, limits.output_bytes)
    stderr = await _receive(reader, limits.output_bytes)
    files = {name: await _receive(reader, limits.disk_bytes) for name in head["files"]}
    if head["told"] == candidate.NO_SUCH_PROGRAM and isinstance(job, Command):
        raise UsageError(f"the box cannot run {head['note']}")
    status, code, number = _ending(head, limits)
    why = ""
    if isinstance(job, PythonCalls):
        if setup.status is not Status.OK:
            status, why = setup.status, f"setup: {setup.error or setup.status}"
        elif head["cause"] == "end":
            status = Status.OK
        elif status in (Status.OK, Status.FAILED):
            status, why = Status.NO_REPLY, "the process ended before it answered all calls"
        code = number = None
    return JobResult(status, level, code, number, stdout, stderr, (), head["seconds"], head["cpu_seconds"], why, files)


async def _one(reader: asyncio.StreamReader, limits: JobLimits, nonce: str) -> Return:
    """Reads one reply: its status as the harness reports it, and the value that the program wrote."""
    head = await _head(reader, nonce)
    text = await _receive(reader, limits.reply_bytes)
    how = head["how"]
    _check_starved(how, limits)
    if isinstance(how, str):
        return Return(Status(how))
    if not text:
        if how >= candidate.RAISED:
            return Return(Status.NO_REPLY)
        return Return(_signal(how & 127, None, limits) if how & 127 else Status.NO_REPLY)
    if text[:1] == b"v":
        try:
            return Return(Status.OK, values.decode(text[1:]))
        except ValueError as error:
            return Return(Status.NO_REPLY, error=f"not a reply: {error}")
    words = text[1:].decode("utf-8", "replace")
    return Return(Status.MEMORY if text[:1] == b"m" else Status.FAILED, error=words)


def _check_starved(cause: object, limits: JobLimits) -> None:
    if cause == "starved":
        seconds = limits.busy_factor * limits.wall_seconds
        raise SandboxError(f"the machine is too busy: the program could not finish within {seconds:g} seconds")


def _ending(head: dict[str, Any], limits: JobLimits) -> tuple[Status, int | None, int | None]:
    """Status, exit code and signal, from what the harness reports."""
    raw = head["status"]
    number, code = raw & 127 or None, raw >> 8 if raw & 127 == 0 else None
    _check_starved(head["cause"], limits)
    if head["cause"] not in ("", "end"):
        return Status(head["cause"]), None, None
    if number:
        return _signal(number, head["cpu_seconds"], limits), None, number
    if (head["cpu_seconds"] or 0.0) > limits.total_cpu_seconds:
        return Status.CPU, None, None
    if code and head["told"] == candidate.NO_MEMORY:
        return Status.MEMORY, code, None
    return (Status.FAILED if code else Status.OK), code, None


def _signal(number: int, cpu_seconds: float | None, limits: JobLimits) -> Status:
    if number == signal.SIGXCPU:
        return Status.CPU
    if number == signal.SIGKILL and (cpu_seconds is None or cpu_seconds >= limits.cpu_seconds * 0.9):
        return Status.CPU  # the hard limit, for those that ignore the soft one
    return Status.SIGNAL


async def _head(reader: asyncio.StreamReader, nonce: str) -> dict[str, Any]:
    head: dict[str, Any] = json.loads(await _receive(reader, 1 << 16))
    if not secrets.compare_digest(str(head.get("nonce")), nonce):
        raise SandboxError("a reply of a box does not have the nonce of its run")
    return head


async def _receive(reader: asyncio.StreamReader, most: int) -> bytes:
    (length,) = struct.unpack(">I", await reader.readexactly(4))
    if length > most:
        raise SandboxError("a box sent more data than allowed")
    return await reader.readexactly(length)
