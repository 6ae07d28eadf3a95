"""Thirty-two hostile programs, each with what has to become of it. The tests and a benchmark run them.

Run as a program, it prints one line of JSON: what was wrong with each, by name, and nothing where all was well.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from mull.sandbox import Call, Job, JobLimits, JobResult, PythonCalls, Sandbox, Script, Status
from mull.sandbox.bubblewrap import Bubblewrap

LIMITS = JobLimits(cpu_seconds=1, wall_seconds=30, memory_bytes=256 << 20, disk_bytes=16 << 20)
"""The clock has room, for machines that are busy: most are to end by other limits."""
SECRET = secrets.token_hex(16)
"""In the environment of the process that runs the boxes, and in a file of its user: no program may tell it."""
EXPECTED = secrets.randbits(40)
"""What a right program would return: known outside only."""
MARK = str(10**8 + secrets.randbelow(10**8))
"""In the arguments of processes that want to stay."""


@dataclass(frozen=True)
class Hostile:
    """A program and what is right about its result: `fault` says what is not."""

    name: str
    job: Job
    fault: Callable[[JobResult], str]


def ends(*statuses: Status) -> Callable[[JobResult], str]:
    return lambda result: "" if result.status in statuses else f"ended as {result.status}: {said(result)}"


def says(text: str) -> Callable[[JobResult], str]:
    def fault(result: JobResult) -> str:
        right = result.status is Status.OK and result.stdout.decode(errors="replace").strip() == text
        return "" if right else f"{result.status}: {said(result)}"

    return fault


def said(result: JobResult) -> str:
    return repr(result.stdout[-300:] + result.stderr[-300:])


def at_most(n: int) -> Callable[[JobResult], str]:
    def fault(result: JobResult) -> str:
        words = result.stdout.split()
        return "" if len(words) == 2 and words[0] == b"full" and int(words[1]) <= n else said(result)

    return fault


JOB_CALLS = (Call("f", (1,)), Call("f", (2,)))
CTYPES = """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def call(*numbers):
    ctypes.set_errno(0)
    result = libc.syscall(*[ctypes.c_long(n) for n in numbers])
    return "in" if result >= 0 else errno.errorcode[ctypes.get_errno()]
import platform
ARM = platform.machine() == "aarch64"
"""


def script(source: str, wall_seconds: float = LIMITS.wall_seconds) -> Script:
    return Script(source, limits=replace(LIMITS, wall_seconds=wall_seconds))


def calls(setup: str) -> PythonCalls:
    return PythonCalls(setup, JOB_CALLS, call_seconds=20, limits=LIMITS)


def full(folder: str, what: str) -> str:
    return f"""
import errno, os
n = 0
try:
    while True:
        {what.format(folder=folder)}
        n += 1
except OSError as error:
    print("full" if error.errno == errno.ENOSPC else error, n)
"""


WRITE = "open(f'{folder}/{{n}}', 'wb').write(bytes(1 << 20))"

PROGRAMS = [
    Hostile("spin", script("while True: pass"), ends(Status.CPU)),
    Hostile("sleep", script("import time; time.sleep(999)", wall_seconds=1), ends(Status.WALL)),
    Hostile(
        "spin and ignore signals",
        script("import signal\nfor n in (24, 15, 14): signal.signal(n, signal.SIG_IGN)\nwhile True: pass"),
        ends(Status.CPU),
    ),
    Hostile("memory", script("x = []\nwhile True: x.append(bytearray(1 << 24))"), ends(Status.MEMORY)),
    Hostile(
        "forks",
        script("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass", wall_seconds=2),
        ends(Status.CPU, Status.WALL, Status.MEMORY),
    ),
    Hostile(
        "threads",
        script(
            "import threading, time\nthreading.stack_size(1 << 17)\nn = 0\ntry:\n    while n < 500:\n"
            "        threading.Thread(target=time.sleep, args=(60,), daemon=True).start(); n += 1\n"
            "except RuntimeError:\n    print('full', n)\nimport os, sys; sys.stdout.flush(); os._exit(0)"
        ),
        at_most(16),
    ),
    Hostile(
        "daemon",
        script(
            "import os\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
            f"        os.execv('/usr/bin/sleep', ['sleep', '{MARK}'])\n    os._exit(0)\nos.wait()\nprint('done')"
        ),
        says("done"),
    ),
    Hostile("fill /tmp", script(full("/tmp", WRITE)), at_most(16)),
    Hostile("fill /dev/shm", script(full("/dev/shm", WRITE)), at_most(16)),
    Hostile(
        "inodes",
        script(full("/tmp", "os.mkdir(f'{folder}/{{n}}')")),
        lambda r: "" if r.status in (Status.CPU, Status.WALL) else at_most(5000)(r),
    ),
    Hostile(
        "flood",
        script("while True: print('x' * 1000)"),
        lambda r: ends(Status.OUTPUT)(r) or ("" if len(r.stdout) <= LIMITS.output_bytes else "too much"),
    ),
    Hostile(
        "look around",
        script(
            "import os, glob\nprint(dict(os.environ))\n"
            "for path in glob.glob('/proc/*/environ') + glob.glob('/proc/*/cmdline') + ['/etc/passwd', '/etc/shadow',"
            "'/proc/1/root/etc/passwd', '/root/.bashrc', '/proc/kcore', '/dev/mem'] + glob.glob('/home/*/*') + "
            f"glob.glob('/root/*') + {[str(Path.home()), str(Path(__file__).resolve())]!r}:\n"
            "    try: print(path, open(path, 'rb').read(100000) if os.path.isfile(path) else os.listdir(path))\n"
            "    except OSError as error: print(path, error.errno)\n"
        ),
        lambda r: ends(Status.OK)(r) or ("it told" if b"root:" in r.stdout or b"Thirty-two" in r.stdout else ""),
    ),
    Hostile(
        "connect",
        script("import socket\ntry: socket.create_connection(('1.1.1.1', 53), 1)\nexcept OSError as e: print(e.errno)"),
        says("1"),
    ),
    Hostile(
        "resolve",
        script(
            "import socket\nfor host in ('example.com', '169.254.169.254'):\n"
            "    try: socket.create_connection((host, 80), 1); print('in')\n    except OSError: print('no')"
        ),
        says("no\nno"),
    ),
    Hostile(
        "abstract socket",
        script(
            f"import socket\ntry: s = socket.socket(socket.AF_UNIX); s.connect('\\0{MARK}'); print('in')\n"
            "except OSError as e: print('no')"
        ),
        says("no"),
    ),
    Hostile(
        "write /usr",
        script(
            "import errno, sys, os\nfor p in ('/usr/x', '/x', '/dev/x', sys.prefix + '/x', os.__file__):\n"
            "    try: open(p, 'w'); print('in')\n    except OSError as e: print(errno.errorcode[e.errno])"
        ),
        lambda r: ends(Status.OK)(r) or (said(r) if set(r.stdout.split()) - {b"EROFS", b"EACCES"} else ""),
    ),
    Hostile(
        "write core_pattern",
        script(
            "import errno\ntry: open('/proc/sys/kernel/core_pattern', 'r+').write('|/x'); print('in')\n"
            "except OSError as e: print('no')"
        ),
        says("no"),
    ),
    Hostile(
        "new namespaces",
        script(
            CTYPES + "print(call(97 if ARM else 272, 0x10000000), call(40 if ARM else 165, 0, 0, 0, 0, 0), "
            "call(220 if ARM else 56, 0x10000000 | 17, 0, 0, 0, 0))"
        ),
        says("EPERM EPERM EPERM"),
    ),
    Hostile(
        "new namespaces by clone3",
        script(
            CTYPES + "import struct\nb = ctypes.create_string_buffer(struct.pack('11Q', 0x10000000, 0, 0, 0, 17, "
            "0, 0, 0, 0, 0, 0), 88)\nprint(call(435, ctypes.addressof(b), 88))"
        ),
        says("ENOSYS"),
    ),
    Hostile(
        "attack process 1",
        script(
            CTYPES + "import signal\nprint(call(117 if ARM else 101, 16, 1, 0, 0))\n"
            "print(call(261 if ARM else 302, 1, 0, 0, 0))\n"
            "for path in ('/proc/1/mem', '/proc/1/environ', '/proc/1/fd', '/proc/1/maps'):\n"
            "    try: (os.listdir if path.endswith('fd') else open)(path); print('in')\n"
            "    except OSError as e: print(errno.errorcode[e.errno])\n"
            "for n in (9, 19, 15):\n    try: os.kill(1, n)\n    except OSError: pass\n"
            "import time; time.sleep(.2); print(os.path.exists('/proc/1'))"
        ),
        says("EPERM\nEPERM\nEACCES\nEACCES\nEACCES\nEACCES\nTrue"),
    ),
    Hostile("segfault", script("import ctypes; ctypes.string_at(8)"), ends(Status.SIGNAL)),
    Hostile(
        "recursion",
        script("import sys; sys.setrecursionlimit(10**9)\nclass A:\n    def __repr__(s): return repr(s)\nrepr(A())"),
        ends(Status.SIGNAL, Status.CPU, Status.MEMORY, Status.FAILED),
    ),
    Hostile("regular expression", script("import re; re.match('(a+)+$', 'a' * 64 + 'b')"), ends(Status.CPU)),
    Hostile("tower", script("9**9**9"), ends(Status.CPU, Status.MEMORY)),
    Hostile(
        "leave early",
        calls("import os\nos._exit(0)"),
        lambda r: "" if {x.status for x in r.returns} == {Status.NO_REPLY} else f"{r.returns}",
    ),
    Hostile(
        "claim success",
        calls("print('{\"passed\": true}')"),
        lambda r: "" if {x.status for x in r.returns} == {Status.FAILED} else f"{r.returns}",
    ),
    Hostile(
        "bytes",
        script("import os; os.write(1, b'\\xff\\xfe\\0\\x1b[31m\\x1b]0;x\\x07')"),
        lambda r: "" if r.stdout == b"\xff\xfe\0\x1b[31m\x1b]0;x\x07" else said(r),
    ),
    Hostile(
        "go silent",
        script("import os, time; os.close(1); os.close(2); time.sleep(999)", wall_seconds=1),
        ends(Status.WALL),
    ),
    Hostile(
        "shell",
        script(
            "import subprocess\nprint(subprocess.run('cat /proc/1/cmdline /proc/*/environ; id; env; ls /home',"
            " shell=True, capture_output=True, text=True).stdout)"
        ),
        ends(Status.OK),
    ),
    Hostile(
        "rare system calls",
        script(
            CTYPES + "print(*{call(n, 0, 0, 0, 0, 0) for n in ((425, 280, 219, 241, 282, 262, 279, 270, 438) if ARM "
            "else (425, 321, 250, 298, 323, 300, 319, 310, 438))})"
        ),
        says("EPERM"),
    ),
    Hostile(
        "tamper with answers",
        calls(
            "import builtins, gc, sys\nclass Same(int):\n"
            "    def __eq__(s, o): return True\n    def __ne__(s, o): return False\n"
            "    __hash__ = int.__hash__\nbuiltins.sum = lambda *a: Same()\nbuiltins.isinstance = lambda *a: True\n"
            "sys.modules['json'].dumps = lambda *a, **k: 'true'\n"
            "def f(x):\n    frame = sys._getframe()\n    seen = []\n    while frame:\n        seen += "
            "[v for v in frame.f_locals.values() if type(v) is int and v > 2**33]\n        frame = frame.f_back\n"
            "    seen += [v for o in gc.get_objects() if type(o) is dict for v in o.values() if type(v) is int and "
            "2**33 < v < 2**41]\n    return seen[0] if x == 1 and seen else Same()"
        ),
        lambda r: (
            ""
            if r.returns and not any(x.value == EXPECTED for x in r.returns) and len(r.returns) == 2
            else f"{r.returns}"
        ),
    ),
    Hostile(
        "forge replies",
        calls(
            "import os, struct, json\ndef frame(b): return struct.pack('>I', len(b)) + b\n"
            "forged = frame(json.dumps({'nonce': '0' * 32, 'how': 0}).encode()) + frame(b'vtrue')\n"
            "def f(x):\n    for n in range(3, 64):\n        try: os.write(n, forged)\n        except OSError: pass\n"
            "    try:\n        for n in os.listdir('/proc/1/fd'): os.write(os.open(f'/proc/1/fd/{n}', 1), forged)\n"
            "    except OSError: pass\n    os._exit(0)"
        ),
        lambda r: "" if {x.status for x in r.returns} == {Status.NO_REPLY} else f"{r.returns}",
    ),
]


def words_of(process: Path) -> list[str]:
    """The arguments of a process, by its folder in `/proc`."""
    try:
        return (process / "cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return []


def left_over() -> list[str]:
    """Processes that still have the mark of a program that wanted to stay."""
    found = [words_of(path) for path in Path("/proc").glob("[0-9]*")]
    return [" ".join(words) for words in found if MARK in words]


def owners() -> set[int]:
    """The users of those processes."""
    return {path.stat().st_uid for path in Path("/proc").glob("[0-9]*") if MARK in words_of(path)}


def traces() -> dict[str, int]:
    """What could pile up: descriptors of this process, its descendants, mounts and files in the temporary folder."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, _, rest = path.read_text().partition(" ")
        except OSError:
            continue
        parents[int(pid)] = int(rest.rpartition(")")[2].split()[1])
    below, left = 0, [os.getpid()]
    while left:
        parent = left.pop()
        children = [pid for pid, of in parents.items() if of == parent]
        below += len(children)
        left += children
    return {
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "processes": below,
        "mounts": len(Path("/proc/self/mounts").read_text().splitlines()),
    }


async def faults(box: Sandbox, programs: Iterable[Hostile] = PROGRAMS, at_once: bool = True) -> dict[str, str]:
    """What was wrong with each program, run side by side or one after the other: nothing is what should be."""

    async def fault(program: Hostile) -> str:
        result = await box.run(program.job)
        told = SECRET.encode() in result.stdout + result.stderr
        return "it told the secret" if told else program.fault(result)

    chosen = list(programs)
    found = await asyncio.gather(*map(fault, chosen)) if at_once else [await fault(program) for program in chosen]
    all_well = {program.name: "" for program in chosen}
    return all_well | {program.name: why for program, why in zip(chosen, found, strict=True) if why}


async def main() -> None:
    os.environ["MULL_SECRET"] = SECRET
    async with Bubblewrap(warm="cold" not in sys.argv, at_once=4) as box:
        found = await faults(box)
    print(json.dumps({"uid": os.getuid(), "faults": found, "left": left_over()}))


if __name__ == "__main__":
    asyncio.run(main())
