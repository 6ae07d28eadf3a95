"""The first process of a box: it forks the program, then reads the job, watches the program and reports.

The program is forked before the job and its nonce are read, so they are not in its memory, and it gets no descriptor
that leads out of the box. As the first process of the box, the harness cannot be killed from inside.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import stat
import struct
import time
from collections.abc import Callable
from typing import Any, NoReturn

from mull.sandbox.inside import candidate, frames, kernel
from mull.sandbox.inside.usage import TICK_SECONDS, CpuUsage

_READY_SECONDS = 60.0
_PAGE = resource.getpagesize()


def serve(incoming: int, outgoing: int, folder: str, lock: Callable[[], None], is_first: bool) -> NoReturn:
    """Runs the one job that arrives, and exits.

    `folder` is the program's working directory. The program calls `lock` before it starts. `is_first` is whether this
    is process 1 of its own namespace, with which every process of the box ends.
    """
    kernel.hide_memory()
    standard_in = os.memfd_create("stdin")
    out, err, orders, replies, done = (os.pipe() for _ in range(5))
    child = os.fork()
    if child == 0:
        kernel.die_with_parent()
        candidate.main((standard_in, out[1], err[1], orders[0], replies[1], done[1]), lock)
    for descriptor in (out[1], err[1], orders[0], replies[1], done[1]):
        os.close(descriptor)
    kernel.drop_capabilities()
    job = json.loads(frames.receive(incoming))
    for name in job["files"]:
        _write(folder, name, frames.receive(incoming))
    stdin = frames.receive(incoming)
    os.write(standard_in, stdin)
    os.lseek(standard_in, 0, os.SEEK_SET)
    os.close(standard_in)
    run = _Program(job, child, out[0], err[0], replies[0], done[0], is_first)
    if not is_first:
        signal.signal(signal.SIGTERM, lambda *_: run.leave())
    order = {key: job[key] for key in ("argv", "script", "source", "isolated", "limits", "is_lenient", "env")}
    order["env"] = {"HOME": folder, "TMPDIR": folder, **order["env"]}
    order["limits"] = {**job["limits"], "processes": job["limits"]["processes"] + (1 if is_first else _mine())}
    _order(orders[1], json.dumps({**order, "folder": folder}).encode())
    is_ready = run.is_ready()
    fault = "" if is_ready else run.report()["note"] or "the process ended"
    frames.send(outgoing, json.dumps({"nonce": job["nonce"], "fault": fault}).encode())
    if not is_ready:
        os._exit(1)
    if job["argv"] or job["script"]:
        run.to_the_end()
    else:
        _calls(job, run, incoming, outgoing, orders[1])
    run.end()
    files = {name: _read(folder, name, job["limits"]["disk_bytes"]) for name in job["collect"]}
    kept = {name: contents for name, contents in files.items() if contents is not None}
    head = {"nonce": job["nonce"], "files": list(kept), **run.report()}
    texts = (bytes(run.written[out[0]]), bytes(run.written[err[0]]))
    frames.send(outgoing, json.dumps(head).encode(), *texts, *kept.values())
    os._exit(0)


def _order(orders: int, order: bytes) -> bool:
    """Sends an order to the program; returns whether the program is still there."""
    try:
        frames.send(orders, order)
    except BrokenPipeError:
        return False
    return True


def _calls(job: dict[str, Any], run: _Program, incoming: int, outgoing: int, orders: int) -> None:
    setup, _ = run.reply(job["limits"]["wall_seconds"])
    text, alive = run.taken(setup), setup == candidate.RETURNED
    _say(outgoing, job["nonce"], setup, text)
    for _ in range(job["calls"]):
        order = frames.receive(incoming)
        how: int | str = "no reply"
        if alive and _order(orders, order):
            how, alive = run.reply(job["call_seconds"], keep=job["isolated"])
        _say(outgoing, job["nonce"], how, run.taken(how))


def _say(outgoing: int, nonce: str, how: int | str, text: bytes) -> None:
    frames.send(outgoing, json.dumps({"nonce": nonce, "how": how}).encode(), text)


class _Program:
    """The running program."""

    def __init__(
        self, job: dict[str, Any], child: int, out: int, err: int, replies: int, done: int, is_first: bool
    ) -> None:
        self.limits = job["limits"]
        self.child, self.is_first = child, is_first
        self.replies, self.done = replies, done
        self.written = {out: bytearray(), err: bytearray(), replies: bytearray(), done: bytearray()}
        self.usage = CpuUsage(self._others)
        self.stop = time.monotonic() + _READY_SECONDS
        self.status: int | None = None
        self.cpu_seconds = 0.0
        self.cause = ""
        self.too_long = False
        self.poll = select.poll()
        try:
            self.pidfd = os.pidfd_open(child)
            self.poll.register(self.pidfd, select.POLLIN)
        except OSError:
            self.pidfd = -1  # a kernel without pidfds, such as gVisor's: the end is noticed at the next tick
        for descriptor in self.written:
            os.set_blocking(descriptor, False)
            self.poll.register(descriptor, select.POLLIN)

    def is_ready(self) -> bool:
        """Waits until only the program is left to run, then starts the clocks."""
        while self.status is None and not self.cause and len(self.written[self.done]) < 4:
            self._step()
        told = bytes(self.written[self.done][:4])
        del self.written[self.done][:4]
        self.usage.restart()
        self.stop = time.monotonic() + self.limits["busy_factor"] * self.limits["wall_seconds"]
        return told == struct.pack(">I", candidate.READY)

    def to_the_end(self) -> None:
        """Waits until the process has ended or must be ended."""
        while self.status is None and not self.cause:
            self._step()
        if self.cause:
            return
        self._read_all()

    def reply(self, seconds: float, keep: bool = False) -> tuple[int | str, bool]:
        """Waits for the reply to an order; returns its status, and whether the process can take another order.

        With `keep`, the order runs in a process of its own, which is killed if it takes too long or writes too much.
        """
        self.too_long = False
        until, stopped = self.usage.own + seconds, ""
        while self.status is None and not self.cause and len(self.written[self.done]) < 4:
            self._step()
            if self.usage.own < until and (stopped or not self.too_long):
                continue
            why = "output" if self.too_long else "wall"
            if stopped or not keep:
                self.cause = self.cause or stopped or why
            elif not self.cause:
                stopped, until = why, self.usage.own + 1
                self.kill_others(self.child)
        if self.cause:
            return self.cause, False
        told = bytes(self.written[self.done][:4])
        self.written[self.done].clear()
        if keep and len(told) == 4:
            self.kill_others(self.child)
        self._read_all()
        if len(told) < 4:
            return "no reply", False
        return stopped or struct.unpack(">I", told)[0], True

    def taken(self, how: int | str) -> bytes:
        """The reply that arrived; empty unless there is exactly one."""
        text = bytes(self.written[self.replies])
        self.written[self.replies].clear()
        if isinstance(how, str) or len(text) < 5 or struct.unpack(">I", text[:4])[0] != len(text) - 4:
            return b""
        return text[4:]

    def _step(self) -> None:
        """Waits for an event, for at most a tick, and records it and the resources used."""
        for descriptor, _ in self.poll.poll(int(1000 * TICK_SECONDS)):
            if descriptor == self.pidfd:
                self._reap()
            else:
                self._read(descriptor)
        if self.pidfd < 0 and self.status is None:
            self._reap()
        if self.status is None and self.usage.look():
            self._watch()

    def _read(self, descriptor: int) -> bool:
        """Reads what is available; returns whether there may be more."""
        try:
            part = os.read(descriptor, 65536)
        except BlockingIOError:
            return False
        if not part:
            self.poll.unregister(descriptor)
            return False
        held = self.written[descriptor]
        held += part
        if descriptor == self.replies:
            if len(held) > self.limits["reply_bytes"] + 4:
                held.clear()
                self.too_long = True
        elif len(held) > self.limits["output_bytes"]:
            del held[self.limits["output_bytes"] :]
            self.cause = self.cause or "output"
            return False
        return True

    def _read_all(self) -> None:
        for descriptor in self.written:
            try:
                while self._read(descriptor):
                    pass
            except KeyError:
                pass  # at its end already

    def _reap(self) -> None:
        pid, status, usage = os.wait4(self.child, os.WNOHANG)
        if pid:
            self.status, self.cpu_seconds = status, usage.ru_utime + usage.ru_stime
            if self.pidfd >= 0:
                self.poll.unregister(self.pidfd)

    def _watch(self) -> None:
        """Reaps orphans, adds up the memory of all processes, and checks whether a limit is reached."""
        used = 0
        for pid in self._others():
            try:
                with open(f"/proc/{pid}/statm", "rb") as file:
                    _, resident, shared, *_ = file.read().split()
                used += (int(resident) - int(shared)) * _PAGE
                if pid != self.child:
                    os.waitpid(pid, os.WNOHANG)
            except (OSError, ValueError):
                continue  # it is gone, or somebody else's child
        for cause, is_reached in (
            ("memory", used > self.limits["memory_bytes"]),
            ("cpu", self.usage.cpu >= self.limits["total_cpu_seconds"]),
            ("wall", self.usage.own >= self.limits["wall_seconds"]),
            ("starved", time.monotonic() > self.stop),
        ):
            self.cause = self.cause or (cause if is_reached else "")

    def _others(self) -> list[int]:
        me = os.getpid()
        if self.is_first:
            return [int(name) for name in os.listdir("/proc") if name.isdecimal() and int(name) != me]
        return _descendants(me)

    def kill_others(self, kept: int = 0) -> None:
        """Kills all other processes of the box, until none is left."""
        for _ in range(100):
            others = [pid for pid in self._others() if pid != kept and _is_alive(pid)]
            for pid in others:
                try:
                    os.kill(pid, signal.SIGKILL)
                    if pid != self.child:
                        os.waitpid(pid, os.WNOHANG)
                except OSError:
                    pass  # it is gone, or somebody else's child
            if not others:
                return

    def end(self) -> None:
        if self.status is None:
            os.kill(self.child, signal.SIGKILL)
            _, self.status, usage = os.wait4(self.child, 0)
            self.cpu_seconds = usage.ru_utime + usage.ru_stime
            self._read_all()
            self.cause = self.cause or "end"
        if not self.is_first:
            self.kill_others()

    def leave(self) -> NoReturn:
        """Ends everything that was started here, if no namespace does so, and exits."""
        self.kill_others()
        os._exit(1)

    def report(self) -> dict[str, Any]:
        told = bytes(self.written[self.done][:4])
        return {
            "cause": self.cause,
            "status": self.status,
            "seconds": max(self.usage.own, min(self.cpu_seconds, self.limits["wall_seconds"])),
            "cpu_seconds": max(self.cpu_seconds, self.usage.cpu),
            "told": struct.unpack(">I", told)[0] if len(told) == 4 else None,
            "note": bytes(self.written[self.replies][4:1000]).decode("utf-8", "replace"),
        }


def _write(folder: str, name: str, contents: bytes) -> None:
    path = f"{folder}/{name}"
    os.makedirs(path.rpartition("/")[0], exist_ok=True)
    with open(path, "wb") as file:
        file.write(contents)


def _read(folder: str, name: str, most: int) -> bytes | None:
    """The content of a file that the program wrote; `None` if it is a link, a pipe, or too long."""
    try:
        descriptor = os.open(f"{folder}/{name}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        status = os.fstat(descriptor)
        is_plain = stat.S_ISREG(status.st_mode) and status.st_size <= most
        return frames.read_exactly(descriptor, status.st_size) if is_plain else None
    finally:
        os.close(descriptor)


def _is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return False


def _mine() -> int:
    """The number of this user's processes and threads, all of which the limit counts if no namespace separates them.

    Zombies are left out: counting the room they briefly take up would let the candidate use it later.
    """
    n = 0
    for name in os.listdir("/proc"):
        try:
            if name.isdecimal() and os.stat(f"/proc/{name}").st_uid == os.getuid() and _is_alive(int(name)):
                n += len(os.listdir(f"/proc/{name}/task"))
        except OSError:
            continue
    return n


def _descendants(root: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        try:
            if name.isdecimal():
                with open(f"/proc/{name}/stat", "rb") as file:
                    parent = int(file.read().rpartition(b")")[2].split()[1])
                children.setdefault(parent, []).append(int(name))
        except OSError:
            continue
    found, left = [], [root]
    while left:
        below = children.get(left.pop(), [])
        found += below
        left += below
    return found
