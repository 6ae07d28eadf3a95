"""`mull` in processes that start at once: forks of one process that has already imported what commands import.

Each has its own arguments, folder, environment, streams and exit status. What a command imports by itself is for
processes that start from nothing: those of `tests/cli/test_start.py`, and each whose environment tells Python what to
import.
"""

import atexit
import gc
import importlib
import json
import os
import pkgutil
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import mull.cli

NOT_IMPORTED = (
    "mull.__main__",
    "mull.equal.worker",
    "mull.runtime",  # its library starts a thread, which no fork would have
    "mull.sandbox.inside",
    "mull.serve",
    "mull.train",
)
LIBRARIES = (
    "aiohttp",
    "matplotlib.figure",
    "matplotlib.backends.backend_svg",
    "scipy.special",
    "sqlalchemy.dialects.sqlite",
)
LIMIT_S = 300.0


class Warm:
    """Starts the process that is forked at the first call, and ends it with `close`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def close(self) -> None:
        if self._calls is not None and self._process is not None:
            self._calls.close()
            self._process.wait(60)

    def _channel(self) -> socket.socket:
        with self._lock:
            if self._calls is None:
                self._calls, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                command = [sys.executable, __file__, str(theirs.fileno())]
                environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
                self._process = subprocess.Popen(
                    command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, env=environment
                )
                theirs.close()
            return self._calls

    def mull(self, *arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
        """What `python -m mull ARGUMENTS` prints and ends with; `options` are those of `run`."""
        return self.run([str(argument) for argument in arguments], **options)

    def run(
        self,
        arguments: list[str],
        *,
        code: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | str | None = None,
        input: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """Like `subprocess.run` with captured text, of `python -m mull ARGUMENTS`, or of `python -c CODE ARGUMENTS`."""
        told = dict(os.environ if env is None else env)
        if not hasattr(os, "pidfd_open") or _python(told) != _python(os.environ):
            start = ["-m", "mull"] if code is None else ["-c", code]
            return subprocess.run(
                [sys.executable, *start, *arguments],
                input=input, capture_output=True, text=True, env=told, cwd=cwd, timeout=LIMIT_S,
            )  # fmt: skip
        asked = {"arguments": arguments, "code": code, "env": told, "cwd": str(cwd or Path.cwd())}
        (in_, to), (out, to_out), (err, to_err) = os.pipe(), os.pipe(), os.pipe()
        ours, theirs = socket.socketpair()
        try:
            socket.send_fds(self._channel(), [json.dumps(asked).encode()], [in_, to_out, to_err, theirs.fileno()])
        finally:
            for end in (in_, to_out, to_err):
                os.close(end)
            theirs.close()
        printed: dict[int, bytes] = {}
        threads = [threading.Thread(target=_read, args=(end, printed)) for end in (out, err)]
        threads.append(threading.Thread(target=_write, args=(to, input.encode())))
        for thread in threads:
            thread.start()
        with ours:
            pid, status = _ended(ours)
        for thread in threads:
            thread.join(LIMIT_S)
        assert not any(thread.is_alive() for thread in threads), f"process {pid} has ended and its streams are open"
        return subprocess.CompletedProcess(
            arguments, os.waitstatus_to_exitcode(status), printed[out].decode(), printed[err].decode()
        )


def _python(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that Python reads when it starts."""
    return {name: value for name, value in environment.items() if name.startswith(("PYTHON", "LC_", "LANG"))}


def _read(end: int, printed: dict[int, bytes]) -> None:
    with open(end, "rb") as file:
        printed[end] = file.read()


def _write(end: int, text: bytes) -> None:
    with suppress(BrokenPipeError), open(end, "wb") as file:  # a command need not read
        file.write(text)


def _ended(answers: socket.socket) -> tuple[int, int]:
    """The process and its wait status; killed at the time limit."""
    with answers.makefile() as lines:
        pid = int(lines.readline())
        late = threading.Timer(LIMIT_S, os.kill, (pid, signal.SIGKILL))
        late.start()
        try:
            return pid, int(lines.readline())
        finally:
            late.cancel()
            late.join()


# The process that is forked


def serve(calls: socket.socket) -> dict[str, Any]:
    """Forks a process for every call, and returns in it with what it is to do; ends when the tests have."""
    waiting = selectors.DefaultSelector()
    waiting.register(calls, selectors.EVENT_READ)
    while True:
        for key, _ in waiting.select():
            if key.data is not None:
                pid, answers = key.data
                waiting.unregister(key.fd)
                os.close(key.fd)
                _tell(answers, os.waitpid(pid, 0)[1])
                os.close(answers)
                continue
            message, ends, _, _ = socket.recv_fds(calls, 1 << 20, 4)
            if not message:
                sys.exit()
            pid = os.fork()
            if not pid:
                held = [other for key in waiting.get_map().values() if key.data for other in (key.fd, key.data[1])]
                waiting.close()
                calls.close()
                for i, end in enumerate(ends[:3]):
                    os.dup2(end, i)
                for end in (*ends, *held):
                    os.close(end)
                return dict(json.loads(message))
            for end in ends[:3]:
                os.close(end)
            _tell(ends[3], pid)
            waiting.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, ends[3]))


def _tell(answers: int, number: int) -> None:
    with suppress(BrokenPipeError):  # who asked may be gone
        os.write(answers, f"{number}\n".encode())


def begin(asked: dict[str, Any]) -> None:
    """Makes this process what Python makes of a new one."""
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    time.tzset()
    sys.argv = ["-c" if asked["code"] else "mull", *asked["arguments"]]
    sys.path[0] = "" if asked["code"] else asked["cwd"]
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", errors="backslashreplace", buffering=1, closefd=False)


def load() -> None:
    """Imports what commands import."""
    for name in LIBRARIES:
        importlib.import_module(name)
    for module in pkgutil.walk_packages(mull.__path__, "mull."):
        if not module.name.startswith(NOT_IMPORTED):
            importlib.import_module(module.name)
    assert len(list(Path("/proc/self/task").iterdir())) == 1, "a fork has one thread only"
    gc.freeze()  # what is never collected is never copied


def end(status: int) -> NoReturn:
    """Ends a process as Python does, without taking every module apart, which is half of a short command's work."""
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            status = 120  # as Python's own
    os._exit(status)


def main() -> NoReturn:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the tests' own Ctrl-C ends them, and so this
    load()
    asked = serve(socket.socket(fileno=int(sys.argv[1])))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        begin(asked)
        if asked["code"] is None:
            mull.cli.main()
        else:
            exec(compile(asked["code"], "<string>", "exec"), {"__name__": "__main__"})
    except SystemExit as ended:
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
        end(ended.code if isinstance(ended.code, int) else int(ended.code is not None))
    except BaseException:  # noqa: BLE001 - as Python ends
        traceback.print_exc()
        end(1)
    end(0)


if __name__ == "__main__":
    main()
