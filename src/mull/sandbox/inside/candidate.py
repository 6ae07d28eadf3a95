"""The process of the untrusted program. It knows no secret, and can report only its own answer.

It reads orders from one pipe, writes replies to another, and after each reply writes a status to a third. The program
may write to all of them: a forged reply is only a guess, since nothing here knows the right answer.
"""

from __future__ import annotations

import atexit
import fcntl
import functools
import io
import json
import os
import resource
import signal
import struct
import sys
import threading
import traceback
from collections.abc import Callable
from types import ModuleType
from typing import Any, NoReturn

from mull.sandbox import values
from mull.sandbox.inside import frames, kernel

ORDERS, REPLIES, DONE = 3, 4, 5
RETURNED, RAISED, NO_MEMORY, NO_SUCH_PROGRAM, READY = 0, 1 << 16, 1 << 17, 1 << 18, 1 << 19
"""The status after a reply: one of these, or the exit status of the process that ran the call."""


def main(descriptors: tuple[int, ...], lock: Callable[[], None]) -> NoReturn:
    """Becomes the program. `descriptors` become 0 to 5; `lock` removes the rights that namespaces leave."""
    try:
        try:
            order = _prepare(descriptors, lock)
        except (OSError, ValueError) as error:
            frames.send(REPLIES, f"{type(error).__name__}: {error}".encode())
            raise
        _tell(READY)
        _become(order)
    finally:
        os._exit(70)  # the program must never return into the code that forked it


def _prepare(descriptors: tuple[int, ...], lock: Callable[[], None]) -> dict[str, Any]:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, 64) for descriptor in descriptors]
    for place, descriptor in enumerate(high):
        os.dup2(descriptor, place, inheritable=place < ORDERS)
    os.closerange(len(descriptors), 1 << 20)
    order: dict[str, Any] = json.loads(frames.receive(ORDERS))
    _limit(order["limits"], order["is_lenient"])
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["env"])
    kernel.show_memory()
    kernel.drop_capabilities()
    kernel.no_new_privileges()
    lock()
    return order


def _become(order: dict[str, Any]) -> NoReturn:
    if order["argv"]:
        _program(order["argv"], order["env"])
    _streams()
    sys.argv, sys.path = ["program.py"], [p for p in sys.path if p]
    module = ModuleType("__main__")
    sys.modules["__main__"] = module
    if order["script"]:
        _script(order["source"], module)
    _calls(order["source"], module, order["isolated"])


def _program(argv: list[str], env: dict[str, str]) -> NoReturn:
    for number in (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execve(argv[0], argv, env)
    except OSError as error:
        frames.send(REPLIES, os.fsencode(f"{argv[0]}: {error.strerror}"))
        _tell(NO_SUCH_PROGRAM)
        os._exit(127)


def _limit(limits: dict[str, Any], is_lenient: bool) -> None:
    """Sets the limits. `is_lenient` skips those that the kernel, such as gVisor's, does not support."""
    cpu = max(1, -(-int(limits["cpu_seconds"] * 1000) // 1000))
    for what, soft, hard in (
        (resource.RLIMIT_CPU, cpu, cpu + 1),
        (resource.RLIMIT_AS, limits["memory_bytes"], limits["memory_bytes"]),
        (resource.RLIMIT_FSIZE, limits["disk_bytes"], limits["disk_bytes"]),
        (resource.RLIMIT_NOFILE, limits["open_files"], limits["open_files"]),
        (resource.RLIMIT_NPROC, limits["processes"], limits["processes"]),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_MEMLOCK, 65536, 65536),
        (resource.RLIMIT_MSGQUEUE, 0, 0),
        (resource.RLIMIT_SIGPENDING, 256, 256),
    ):
        ceiling = resource.getrlimit(what)[1]
        if ceiling != resource.RLIM_INFINITY:
            soft, hard = min(soft, ceiling), min(hard, ceiling)
        try:
            resource.setrlimit(what, (soft, hard))
        except ValueError:
            if not is_lenient:
                raise


def _streams() -> None:
    sys.stdin = io.TextIOWrapper(open(0, "rb", closefd=False), encoding="utf-8")
    sys.stdout = io.TextIOWrapper(open(1, "wb", closefd=False), encoding="utf-8")
    sys.stderr = io.TextIOWrapper(
        open(2, "wb", closefd=False), encoding="utf-8", errors="backslashreplace", line_buffering=True
    )
    for name in ("stdin", "stdout", "stderr"):
        setattr(sys, f"__{name}__", getattr(sys, name))


def _tell(how: int) -> None:
    os.write(DONE, struct.pack(">I", how))


def _script(source: str, module: ModuleType) -> NoReturn:
    code = 0
    try:
        exec(compile(source, "program.py", "exec", dont_inherit=True), module.__dict__)
    except SystemExit as leave:
        if isinstance(leave.code, int):
            code = leave.code & 255
        elif leave.code is not None:
            print(leave.code, file=sys.stderr)
            code = 1
    except BaseException as error:  # noqa: BLE001 - as Python does at the end of a program
        traceback.print_exception(error.with_traceback(error.__traceback__ and error.__traceback__.tb_next))
        code = 1
        if isinstance(error, MemoryError):
            _tell(NO_MEMORY)
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        code = code or 120  # as Python exits if its output cannot be written
    os._exit(code)


def _calls(source: str, module: ModuleType, isolated: bool) -> NoReturn:
    """Runs the setup, then one order at a time."""
    _tell(_answer(lambda: exec(compile(source, "program.py", "exec", dont_inherit=True), module.__dict__)))
    while True:
        call = json.loads(frames.receive(ORDERS))
        if not isolated:
            _tell(_answer(functools.partial(_call, call, module)))
            continue
        child = os.fork()
        if child == 0:
            os.close(DONE)
            os.close(ORDERS)
            _answer(functools.partial(_call, call, module))
            os._exit(0)
        _tell(os.waitpid(child, 0)[1])


def _call(call: dict[str, Any], module: ModuleType) -> Any:
    value = eval(compile(call["expression"].strip(), "call", "eval", dont_inherit=True), module.__dict__)
    if call["args"] is None:
        return value
    return value(*values.decode(call["args"]), **values.decode(call["kwargs"]))


def _answer(function: Callable[[], Any]) -> int:
    """Sends what the function returns or raises."""
    how = RETURNED
    try:
        reply = "v" + values.encode(function())
    except BaseException as error:  # noqa: BLE001 - whatever it raised is the answer
        how = NO_MEMORY if isinstance(error, MemoryError) else RAISED
        reply = ("m" if how == NO_MEMORY else "e") + _words(error)
    sys.stdout.flush()
    sys.stderr.flush()
    frames.send(REPLIES, reply.encode("utf-8", "backslashreplace"))
    return how


def _words(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"[:1000]
    except BaseException:  # noqa: BLE001 - its text is the program's own code
        return type(error).__name__
