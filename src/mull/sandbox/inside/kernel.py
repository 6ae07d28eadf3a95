"""System calls that Python has no function for, through ctypes."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable

_libc = ctypes.CDLL(None, use_errno=True)
_held = ctypes.PyDLL(None, use_errno=True)
"""libc without releasing the GIL: a forked child must not wait for it."""
_CLONE = {"x86_64": 56, "aarch64": 220}
_libc.mount.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p]
_libc.prctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong]

NEW_NAMESPACES = 0x10000000 | 0x00020000 | 0x20000000 | 0x40000000 | 0x08000000 | 0x04000000 | 0x02000000
"""User, mount, pid, network, ipc, uts and cgroup."""
NEW_MOUNTS = 0x00020000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND = 1, 2, 4, 8, 0x20, 0x1000
MS_PRIVATE, MS_REC = 0x40000, 0x4000

_PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 4, 22, 38
_PR_SET_CHILD_SUBREAPER, _PR_SET_PDEATHSIG = 36, 1
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def unshare(flags: int) -> None:
    _check(_libc.unshare(flags), "unshare")


def fork_into(flags: int) -> int:
    """Forks as `os.fork` does, but into new namespaces, in which the child is the first process; 0 in the child.

    One fork instead of `unshare` and two forks takes a third of the time. Only for single-threaded processes.
    """
    ctypes.pythonapi.PyOS_BeforeFork()
    child: int = _held.syscall(_CLONE[os.uname().machine], ctypes.c_ulong(flags | 17), None, None, None, None)
    if child == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
        return 0
    ctypes.pythonapi.PyOS_AfterFork_Parent()
    return _check(child, "clone")


def mount(source: bytes | None, target: bytes, kind: bytes | None, flags: int, data: bytes | None = None) -> None:
    _check(_libc.mount(source, target, kind, flags, data), f"mount {target.decode()}")


def write(path: str, text: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text)
    finally:
        os.close(descriptor)


def prctl(option: int, *values: int) -> None:
    _check(_libc.prctl(option, *(*values, 0, 0, 0, 0)[:4]), f"prctl {option}")


def hide_memory() -> None:
    """Hides this process's memory and descriptors from the same user's other processes, in /proc and by ptrace."""
    prctl(_PR_SET_DUMPABLE, 0)


def show_memory() -> None:
    """Undoes `hide_memory`: a program may inspect itself."""
    prctl(_PR_SET_DUMPABLE, 1)


def die_with_parent(number: int = 9) -> None:
    prctl(_PR_SET_PDEATHSIG, number)


def adopt_orphans() -> None:
    prctl(_PR_SET_CHILD_SUBREAPER, 1)


def no_new_privileges() -> None:
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


def drop_capabilities() -> None:
    """Drops every capability. With `no_new_privileges`, running a file cannot restore them."""
    header = struct.pack("Ii", 0x20080522, 0)
    _check(_libc.capset(header, bytes(24)), "capset")


def filter_calls(program: bytes) -> None:
    """Installs a seccomp filter, which cannot be removed. Needs `no_new_privileges`."""
    code = ctypes.create_string_buffer(program, len(program))
    fprog = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    keep = ctypes.create_string_buffer(fprog, len(fprog))
    prctl(_PR_SET_SECCOMP, 2, ctypes.addressof(keep))


def landlock_version() -> int:
    """The kernel's landlock ABI version; 0 if it has none."""
    version: int = _libc.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1)
    return max(0, version)


LANDLOCK_READ = (1 << 0) | (1 << 2) | (1 << 3)
"""Execute a file, read a file, list a folder."""
LANDLOCK_FILES = (1 << 15) - 1
"""Every file right of ABI version 3."""


def landlock(rules: Iterable[tuple[str, int]]) -> None:
    """Restricts this process to these rights under these paths, without TCP, outside abstract sockets or signals.

    Needs ABI version 6 and `no_new_privileges`.
    """
    attributes = struct.pack("QQQ", LANDLOCK_FILES, 3, 3)
    ruleset = _check(
        _libc.syscall(_LANDLOCK_CREATE, attributes, ctypes.c_size_t(len(attributes)), 0), "landlock_create_ruleset"
    )
    try:
        for path, rights in rules:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
            try:
                if not os.path.isdir(path):
                    rights &= (1 << 0) | (1 << 1) | (1 << 2) | (1 << 14)
                rule = struct.pack("=Qi", rights, descriptor)
                _check(_libc.syscall(_LANDLOCK_ADD, ruleset, 1, rule, 0), f"landlock_add_rule {path}")
            finally:
                os.close(descriptor)
        _check(_libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0), "landlock_restrict_self")
    finally:
        os.close(ruleset)
