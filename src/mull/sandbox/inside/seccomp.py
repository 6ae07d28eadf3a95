"""The system call filter: a classic BPF program that the kernel runs before each call.

It lists what is refused, not what is allowed: namespaces provide the isolation, and the filter removes parts of the
kernel that programs do not need and that most sandbox escapes have used.
"""

from __future__ import annotations

import errno
import struct

_KILL, _ERRNO, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_NAMESPACES = 0x7E020000
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# Call numbers are those of the kernel's tables; None: this architecture has no such call.
REFUSED: dict[str, tuple[int | None, int | None]] = {
    # other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "process_madvise": (440, 440),
    # namespaces and mounts
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "open_tree_attr": (467, 467),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    # the network: a box has none; socket pairs stay allowed
    "socket": (41, 198),
    # parts of the kernel with many past vulnerabilities
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "fanotify_init": (300, 262),
    "modify_ldt": (154, None),
    "vmsplice": (278, 75),
    # memory that no process limit counts
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    # memory policy of other processes
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "mbind": (237, 235),
    "set_mempolicy": (238, 237),
    # the machine
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "syslog": (103, 116),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "iopl": (172, None),
    "ioperm": (173, None),
    "personality": (135, 92),
}

CHANGING_METADATA: dict[str, tuple[int | None, int | None]] = {
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "setxattrat": (463, 463),
    "removexattrat": (466, 466),
    "file_setattr": (469, 469),
}
"""Calls that landlock does not cover: without namespaces they would reach the user's own files."""

_CLONE, _CLONE3, _IOCTL, _PRLIMIT = (56, 220), (435, 435), (16, 29), (302, 261)


def _statement(code: int, value: int) -> bytes:
    return struct.pack("=HBBI", code, 0, 0, value)


def _jump(code: int, value: int, yes: int, no: int) -> bytes:
    return struct.pack("=HBBI", code, yes, no, value)


def _refuse(error: int) -> bytes:
    return _statement(_RETURN, _ERRNO | error)


def program(machine: str, keep_metadata: bool = False) -> bytes:
    """The filter for an architecture, as an array of `struct sock_filter`.

    `keep_metadata` also refuses to change modes, owners, times and attributes of files.

    Raises `KeyError` for an architecture that it does not know.
    """
    column = list(AUDIT_ARCH).index(machine) if machine in AUDIT_ARCH else None
    if column is None:
        raise KeyError(machine)
    refused = {**REFUSED, **(CHANGING_METADATA if keep_metadata else {})}
    numbers = sorted(n for pair in refused.values() if (n := pair[column]) is not None)
    out = [
        _statement(_LOAD, _ARCHITECTURE),
        _jump(_JUMP_EQUAL, AUDIT_ARCH[machine], 1, 0),
        _statement(_RETURN, _KILL),
        _statement(_LOAD, _NUMBER),
    ]
    if machine == "x86_64":  # x32 call numbers would bypass everything that follows
        out += [_jump(_JUMP_AT_LEAST, 0x40000000, 0, 1), _statement(_RETURN, _KILL)]
    for number in numbers:
        out += [_jump(_JUMP_EQUAL, number, 0, 1), _refuse(errno.EPERM)]
    # The flags of clone3 are behind a pointer, so it is refused; libraries then fall back to clone.
    out += [_jump(_JUMP_EQUAL, _CLONE3[column], 0, 1), _refuse(errno.ENOSYS)]
    out += _with_argument(_CLONE[column], 0, [(_JUMP_ANY_BIT, _NAMESPACES)])
    out += _with_argument(_IOCTL[column], 1, [(_JUMP_EQUAL, _TIOCSTI), (_JUMP_EQUAL, _TIOCLINUX)])
    # Only the caller's own limits: prlimit allows those of the same user, which is every process in a box.
    out += [
        _jump(_JUMP_EQUAL, _PRLIMIT[column], 0, 4),
        _statement(_LOAD, _ARGUMENTS),
        _jump(_JUMP_EQUAL, 0, 1, 0),
        _refuse(errno.EPERM),
        _statement(_RETURN, _ALLOW),
        _statement(_RETURN, _ALLOW),
    ]
    return b"".join(out)


def _with_argument(number: int, place: int, tests: list[tuple[int, int]]) -> list[bytes]:
    """Refuses a call if the low half of one of its arguments passes one of the tests."""
    inner = [_statement(_LOAD, _ARGUMENTS + 8 * place)]
    for code, value in tests:
        inner += [_jump(code, value, 0, 1), _refuse(errno.EPERM)]
    inner.append(_statement(_RETURN, _ALLOW))
    return [_jump(_JUMP_EQUAL, number, 0, len(inner)), *inner]
