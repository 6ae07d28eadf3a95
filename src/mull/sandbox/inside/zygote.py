"""The zygote: a process inside an outer box that forks boxes into fresh namespaces.

The outer box is bubblewrap's: no network, an empty read-only root, an unprivileged user. The zygote holds only
modules. For each box it forks into new user, mount, process, network, ipc, host name and cgroup namespaces; the child
covers what was shared with empty file systems and serves one job. A program is thus isolated twice, and the outer box
contains no other user's files either.
"""

from __future__ import annotations

import gc
import importlib
import os
import platform
import signal
import socket
import struct
import sys
from collections.abc import Sequence
from typing import NoReturn

from mull.sandbox.inside import frames, harness, kernel, seccomp

FOLDER = "/tmp"
_PRELOADED = """
    abc array bisect calendar cmath collections collections.abc contextlib copy dataclasses datetime decimal enum
    fractions functools hashlib heapq itertools json keyword linecache math numbers operator queue random re
    statistics string struct textwrap threading time traceback types typing warnings
"""


def once(channel: int, outgoing: int | None = None) -> NoReturn:
    """Serves one job as the first process of a box made by another program."""
    kernel.die_with_parent()
    _names()
    code = seccomp.program(platform.machine())
    harness.serve(
        channel, channel if outgoing is None else outgoing, FOLDER, lambda: kernel.filter_calls(code), is_first=True
    )


def bare(channel: int, folder: str, readable: Sequence[str]) -> NoReturn:
    """Serves one job without namespaces, with landlock in their place."""
    kernel.die_with_parent(signal.SIGTERM)
    kernel.adopt_orphans()
    kernel.no_new_privileges()
    _names()
    code = seccomp.program(platform.machine(), keep_metadata=True)
    readers = ["/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", sys.base_prefix, *readable]
    rules = [(path, kernel.LANDLOCK_READ) for path in readers if os.path.exists(path)]
    rules += [(f"/dev/{name}", kernel.LANDLOCK_FILES) for name in ("null", "zero", "full", "random", "urandom")]
    rules.append((folder, kernel.LANDLOCK_FILES))

    def lock() -> None:
        kernel.landlock(rules)
        kernel.filter_calls(code)

    harness.serve(channel, channel, folder, lock, is_first=False)


def forever(control: int) -> NoReturn:
    """Makes a box for each descriptor that arrives, until the other side closes."""
    kernel.die_with_parent()
    for name in _PRELOADED.split():
        importlib.import_module(name)
    _names()
    code = seccomp.program(platform.machine())
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for boxes: the kernel reaps them
    connection = socket.socket(fileno=control)
    user, group = os.getuid(), os.getgid()
    gc.collect()
    gc.freeze()
    connection.send(b"ready")
    while True:
        message, descriptors, _, _ = socket.recv_fds(connection, 8, 1)
        if not message:
            os._exit(0)
        (channel,) = descriptors
        if kernel.fork_into(kernel.NEW_NAMESPACES) == 0:
            connection.close()
            _box(channel, user, group, struct.unpack(">Q", message)[0], code)
        os.close(channel)


def _box(channel: int, user: int, group: int, disk_bytes: int, code: bytes) -> NoReturn:
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        kernel.write("/proc/self/setgroups", b"deny")
        kernel.write("/proc/self/uid_map", b"%d %d 1" % (user, user))
        kernel.write("/proc/self/gid_map", b"%d %d 1" % (group, group))
        kernel.mount(None, b"/", None, kernel.MS_REC | kernel.MS_PRIVATE)
        sealed = kernel.MS_NOSUID | kernel.MS_NODEV
        kernel.mount(b"tmpfs", b"/tmp", b"tmpfs", sealed, b"mode=700,nr_inodes=4096,size=%d" % disk_bytes)
        kernel.mount(b"tmpfs", b"/dev/shm", b"tmpfs", sealed, b"mode=700,nr_inodes=256,size=4m")
        kernel.write("/proc/sys/user/max_user_namespaces", b"0")
        kernel.mount(b"proc", b"/proc", b"proc", sealed | kernel.MS_NOEXEC)
        for path in (b"/proc/sys", b"/proc/irq", b"/proc/bus"):
            kernel.mount(path, path, None, kernel.MS_BIND | kernel.MS_REC)
            kernel.mount(
                None,
                path,
                None,
                kernel.MS_BIND | kernel.MS_REMOUNT | kernel.MS_RDONLY | sealed | kernel.MS_NOEXEC,
            )
        socket.send_fds(_lend(channel), [b"box"], [os.pidfd_open(os.getpid())])
        harness.serve(channel, channel, FOLDER, lambda: kernel.filter_calls(code), is_first=True)
    except EOFError:
        pass  # the requester of the box is gone
    except BaseException as error:
        frames.send(channel, f"{type(error).__name__}: {error}".encode())
        raise
    finally:
        os._exit(1)


def _lend(descriptor: int) -> socket.socket:
    return socket.socket(fileno=os.dup(descriptor))


def _names() -> None:
    """Adds the builtins that the site module gives to programs, without its disk access."""
    import site

    site.setquit()
    site.setcopyright()
    site.sethelper()


def main(arguments: Sequence[str]) -> None:
    sys.path[:] = [path for path in sys.path if path]
    if arguments[0] == "zygote":
        forever(int(arguments[1]))
    if arguments[0] == "landlock":
        bare(int(arguments[1]), arguments[2], arguments[3:])
    once(int(arguments[1]), int(arguments[2]) if len(arguments) > 2 else None)
