"""What a run in a box costs, and that a thousand hostile ones leave nothing behind.

The warm box is compared with the cold start of plain bubblewrap with the same profile and Python, in turns, so that
whatever else the machine does weighs on both. Processor time is that of the whole machine's accounting of these
processes, where cgroup v1 lets root have it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import hostile
from mull.sandbox import Call, PythonCalls, Script, Status
from mull.sandbox.bubblewrap import Bubblewrap

TRIVIAL = Script("print(1 + 1)")
# A program and tests of the size of those in HumanEval, written for this benchmark.
PROGRAM = PythonCalls(
    '''
from typing import List

def longest_rise(numbers: List[int]) -> List[int]:
    """The longest run of neighbours that rise."""
    best: List[int] = []
    current: List[int] = []
    for number in numbers:
        if current and number <= current[-1]:
            current = []
        current = current + [number]
        if len(current) > len(best):
            best = current
    return best
''',
    tuple(Call("longest_rise", ([(i * k) % 17 for i in range(k + 5)],)) for k in range(7)),
    isolated=False,
)
PLAIN = """bwrap --unshare-all --unshare-user --disable-userns --die-with-parent --new-session --clearenv
    --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64 --proc /proc
    --ro-bind /proc/sys /proc/sys --dev /dev --size 16777216 --tmpfs /tmp --size 4194304 --tmpfs /dev/shm
    --remount-ro / --cap-drop ALL --uid 1000 --gid 1000 /usr/bin/python3 -I -S -c"""


def plain() -> float:
    """Seconds of one run of plain bubblewrap, without any of ours."""
    as_nobody = {"user": 65534, "group": 65534, "extra_groups": []} if os.getuid() == 0 else {}
    started = time.perf_counter()
    done = subprocess.run([*PLAIN.split(), "print(1 + 1)"], capture_output=True, cwd="/", **as_nobody)  # type: ignore[call-overload]
    assert done.stdout == b"2\n", done.stderr
    return time.perf_counter() - started


def accounted() -> float | None:
    """Processor seconds of this process and all that it started, living or not; `None` where that is not told."""
    folder = Path("/sys/fs/cgroup/cpuacct/mull-bench")
    try:
        folder.mkdir(exist_ok=True)
        (folder / "cgroup.procs").write_text(str(os.getpid()))
        return int((folder / "cpuacct.usage").read_text()) / 1e9
    except OSError:
        return None


async def start(n: int) -> None:
    warm: list[float] = []
    cold: list[float] = []
    bare: list[float] = []
    async with Bubblewrap(at_once=1) as box, Bubblewrap(warm=False, at_once=1) as slow:
        await box.run(TRIVIAL)
        for turn in range(n):
            for seconds, where in ((warm, box), (cold, slow)):
                if where is slow and turn % 4:
                    continue
                started = time.perf_counter()
                result = await where.run(TRIVIAL)
                assert result.stdout == b"2\n", result
                seconds.append(time.perf_counter() - started)
            if turn % 4 == 0:
                bare.append(plain())
    for name, seconds in (("warm box", warm), ("cold box", cold), ("plain bubblewrap", bare)):
        low, middle = 1e3 * min(seconds), 1e3 * statistics.median(seconds)
        print(f"{name:>17}: median {middle:6.1f} ms, least {low:6.1f} ms over {len(seconds)} runs")
    print(f"plain bubblewrap / warm box: {statistics.median(bare) / statistics.median(warm):.1f} times, by medians")


async def throughput(n: int) -> None:
    async with Bubblewrap() as box:
        await box.run(PROGRAM)
        before, started = accounted(), time.perf_counter()
        results = await asyncio.gather(*[box.run(PROGRAM) for _ in range(n)])
        seconds, after = time.perf_counter() - started, accounted()
    assert all(r.status is Status.OK and all(x.status is Status.OK for x in r.returns) for r in results)
    print(
        f"programs with {len(PROGRAM.calls)} calls: {n / seconds:.0f} a second, at a load of {os.getloadavg()[0]:.1f}"
    )
    if before is not None and after is not None:
        each, processors = (after - before) / n, os.cpu_count() or 1
        print(f"  {1e3 * each:.2f} ms of processor each; {processors} free ones make {processors / each:.0f} a second")


async def leaks(n: int) -> None:
    names = ("daemon", "leave early", "segfault", "flood", "forge replies", "attack process 1", "shell", "fill /tmp")
    quick = [p for p in hostile.PROGRAMS if p.name in names]
    async with Bubblewrap() as box:
        await hostile.faults(box, quick)
        before = hostile.traces()
        for _ in range(n // (len(quick) * 5)):
            found = await hostile.faults(box, quick * 5)
            assert not any(found.values()), found
    print(f"{n} hostile runs: before {before}, after {hostile.traces()}, processes left {hostile.left_over()}")


def main() -> None:
    if shutil.which("bwrap") is None:
        sys.exit("bubblewrap is not installed")
    accounted()  # from here on
    asyncio.run(start(200))
    asyncio.run(throughput(400))
    asyncio.run(leaks(1000))


if __name__ == "__main__":
    main()
