"""What a box gives back, what it refuses, and that nothing runs outside one."""

import asyncio
import contextlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hostile
from mull import sandbox
from mull.errors import NoSandboxError, UsageError
from mull.sandbox import Call, Command, JobLimits, Level, Opaque, PythonCalls, Return, Sandbox, Script, Status, values
from mull.sandbox.bubblewrap import Bubblewrap
from mull.sandbox.inside import kernel, seccomp
from mull.sandbox.landlock import Landlock
from mull.sandbox.oci import Oci

needs_bubblewrap = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
needs_landlock = pytest.mark.skipif(kernel.landlock_version() < 6, reason="this kernel has no landlock of version 6")


def works(runtime: str) -> Any:
    return pytest.mark.skipif(shutil.which(runtime) is None, reason=f"{runtime} is not installed")


# Without namespaces the limit on processes counts all of a user's: tests that run beside these have the usual user.
ALONE = 65_400 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
BOXES: list[Any] = [
    pytest.param(Bubblewrap(), id="bubblewrap", marks=needs_bubblewrap),
    pytest.param(Bubblewrap(warm=False), id="cold", marks=needs_bubblewrap),
    pytest.param(Landlock(user=ALONE), id="landlock", marks=needs_landlock),
    pytest.param(Oci("runc"), id="runc", marks=works("runc")),
    pytest.param(Oci("runsc"), id="gVisor", marks=works("runsc")),
]


@pytest.mark.parametrize("box", BOXES)
async def test_programs_calls_and_commands(box: Sandbox) -> None:
    """The same jobs have the same results in every kind of box."""
    async with box:
        script = await box.run(
            Script("import sys\nprint(sys.stdin.read().upper(), open('a/b').read())\nexit(3)", b"hi", {"a/b": b"file"})
        )
        assert (script.status, script.exit_code, script.stdout) == (Status.FAILED, 3, b"HI file\n")
        assert script.level is box.level
        setup = "seen = []\ndef f(x, k=1):\n    seen.append(x)\n    return {x: (len(seen), k * 1.5)}\n"
        calls = (Call("f", ("a",)), Call("f", ("b",), {"k": 3}), Call("f(1/0)"), Call("seen"), Call("f"))
        apart = await box.run(PythonCalls(setup, calls))
        assert [r.value for r in apart.returns[:2]] == [{"a": (1, 1.5)}, {"b": (1, 4.5)}]
        assert apart.returns[2] == Return(Status.FAILED, error="ZeroDivisionError: division by zero")
        assert apart.returns[3].value == []
        assert apart.returns[4].value.type == "builtins.function"
        together = await box.run(PythonCalls(setup, calls, isolated=False))
        assert [r.value for r in together.returns[:2]] == [{"a": (1, 1.5)}, {"b": (2, 4.5)}]
        assert together.returns[3].value == ["a", "b"]
        shell = ("sh", "-c", "cat; echo $WHO >&2; echo new > out")
        command = await box.run(Command(shell, stdin=b"x", env={"WHO": "me"}, collect=("out", "none")))
        assert (command.stdout, command.stderr, dict(command.files)) == (b"x", b"me\n", {"out": b"new\n"})
        with pytest.raises(UsageError, match="cannot run /usr/bin/nosuch: No such file"):
            await box.run(Command(("nosuch",)))


async def appearing() -> None:
    """Until the process that a program started is there to be seen."""
    while not await asyncio.to_thread(hostile.left_over):
        pass


async def settled() -> dict[str, int]:
    """What there is once nothing comes or goes any more: the boxes that are made ready ahead take a moment."""
    found, n_alike = await asyncio.to_thread(hostile.traces), 0
    async with asyncio.timeout(30):
        while n_alike < 25:
            now = await asyncio.to_thread(hostile.traces)
            found, n_alike = now, n_alike + 1 if now == found else 0
    return found


DIFFERENT = {
    "landlock": {"fill /tmp", "fill /dev/shm", "inodes"},  # its folder is elsewhere, and nothing caps the sum
    "gVisor": {"memory", "fill /dev/shm", "attack process 1"},  # slow memory; no such folder; process 1 can be killed
}
SLOW = {"forks", "regular expression", "tower", "spin and ignore signals", "recursion", "sleep"}


@pytest.mark.parametrize("box", BOXES[2:])
async def test_other_boxes_contain_hostile_programs_too(
    box: Sandbox, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MULL_SECRET", hostile.SECRET)
    left_out = DIFFERENT.get(request.node.callspec.id, set()) | SLOW
    if box.level is Level.LANDLOCK and os.geteuid() != 0:
        left_out |= {"threads"}  # nobody else can give it a user of its own, and others of this user come and go
    async with box:
        at_once = box.level is not Level.LANDLOCK  # they would count each other's processes
        found = await hostile.faults(box, [p for p in hostile.PROGRAMS if p.name not in left_out], at_once)
    assert {name: why for name, why in found.items() if why} == {}
    assert hostile.left_over() == []


@needs_bubblewrap
async def test_one_call_that_hangs_costs_no_other() -> None:
    setup = (
        "import os, time, sys\ndef f(x):\n    if x == 1: time.sleep(99)\n    if x == 2: os._exit(0)\n"
        "    if x == 3: os.kill(os.getpid(), 11)\n    if x == 4: return 'y' * 10**6\n"
        "    if x == 5:\n        while True: pass\n    if x == 6: return bytearray(10**9)\n"
        "    if x == 7: sys.exit(0)\n    return x"
    )
    limits = JobLimits(cpu_seconds=1, reply_bytes=1000, wall_seconds=60)
    async with Bubblewrap() as box:
        result = await box.run(
            PythonCalls(setup, tuple(Call("f", (i,)) for i in range(9)), call_seconds=5, limits=limits)
        )
    assert result.status is Status.OK
    kinds = [r.status for r in result.returns]
    assert kinds[1:5] == [Status.WALL, Status.NO_REPLY, Status.SIGNAL, Status.OUTPUT]
    assert kinds[5:8] == [Status.CPU, Status.MEMORY, Status.FAILED]
    assert [result.returns[i].value for i in (0, 8)] == [0, 8]


@needs_bubblewrap
async def test_a_setup_that_fails_answers_nothing() -> None:
    async with Bubblewrap() as box:
        result = await box.run(PythonCalls("def f(x): return 1\nraise ValueError('no')", (Call("f", (1,)),)))
        assert (result.status, result.why) == (Status.FAILED, "setup: ValueError: no")
        assert result.returns == (Return(Status.NO_REPLY, error="setup: ValueError: no"),)
        broken = await box.run(PythonCalls("def f(:", (Call("f", (1,)),)))
        assert broken.returns[0].status is Status.NO_REPLY
        assert "SyntaxError" in broken.why


@needs_bubblewrap
async def test_boxes_see_nothing_of_one_another() -> None:
    """Files, and the state of random numbers that forks would share; hashes are the same, so that runs repeat."""
    async with Bubblewrap(at_once=2) as box:
        await box.run(Script("open('/tmp/left', 'w').write('x'); open('/dev/shm/left', 'w').write('x')"))
        look = "import os, random\nprint(os.listdir('/tmp') + os.listdir('/dev/shm'), random.random())"
        first, second = await asyncio.gather(*[box.run(Script(look)) for _ in range(2)])
    assert first.stdout.startswith(b"[] ")
    assert second.stdout.startswith(b"[] ")
    assert first.stdout != second.stdout
    async with Bubblewrap() as box, Bubblewrap(warm=False) as cold:
        one, other = [await b.run(Script("print(hash('x'), {'a', 'b', 'c'})")) for b in (box, cold)]
    assert one.stdout == other.stdout


@needs_bubblewrap
async def test_a_cancelled_run_leaves_nothing_behind() -> None:
    async with Bubblewrap() as box:
        await box.run(Script(""))
        before = await settled()
        hang = Script(
            f"import subprocess; print(1); subprocess.run(['sleep', '{hostile.MARK}'])",
            limits=JobLimits(wall_seconds=60),
        )
        task = asyncio.create_task(box.run(hang))
        async with asyncio.timeout(30):
            await appearing()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await settled() == before
        assert hostile.left_over() == []


@pytest.mark.parametrize("box", BOXES[1:])
async def test_a_run_cancelled_twice_waits_for_its_process(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that nobody waits for outlives the event loop, and is told of in whatever runs next."""
    started: list[asyncio.subprocess.Process] = []
    one_runs = asyncio.Event()
    start = asyncio.create_subprocess_exec

    async def kept(*command: Any, **options: Any) -> asyncio.subprocess.Process:
        started.append(await start(*command, **options))
        one_runs.set()
        return started[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", kept)
    async with box:
        hang = Script(f"import time; time.sleep({hostile.MARK})", limits=JobLimits(wall_seconds=60))
        task = asyncio.create_task(box.run(hang))
        async with asyncio.timeout(30):
            await one_runs.wait()
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert all(process.returncode is not None for process in started)


@needs_bubblewrap
async def test_a_zygote_that_was_killed_is_replaced() -> None:
    from mull.sandbox import bubblewrap

    async with Bubblewrap() as box:
        await box.run(Script(""))
        zygote = bubblewrap._zygote(box)
        zygote.process.kill()
        zygote.process.wait()
        assert (await box.run(Script("print(1)"))).stdout == b"1\n"


@needs_bubblewrap
def test_the_boxes_end_with_whoever_wanted_them() -> None:
    """Killed without a word, it takes the zygote and the running box along."""
    code = (
        "import asyncio\nfrom mull.sandbox import JobLimits, Script\nfrom mull.sandbox.bubblewrap import Bubblewrap\n"
        'async def main():\n    async with Bubblewrap() as box:\n        await box.run(Script("import os; '
        f"os.execv('/usr/bin/sleep', ['sleep', '{hostile.MARK}'])\", limits=JobLimits(wall_seconds=90)))\n"
        "asyncio.run(main())"
    )
    owner = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 30
    while not hostile.left_over():
        assert time.monotonic() < deadline
    owner.kill()
    owner.wait()
    while hostile.left_over():
        assert time.monotonic() < deadline


async def test_without_a_sandbox_nothing_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No fallback below the level asked for: an error that says what to install."""
    from mull.sandbox import choice

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(choice, "_working", set())
    with pytest.raises(NoSandboxError, match=r"code was not run.*namespaces.*bubblewrap is not installed.*apt install"):
        async with sandbox.best():
            pytest.fail("there is no sandbox")
    with pytest.raises(NoSandboxError, match=r"runsc is not installed.*install gVisor"):
        async with sandbox.best(Level.KERNEL):
            pytest.fail("there is no sandbox")
    if kernel.landlock_version() >= 6:
        async with sandbox.best(Level.LANDLOCK) as box:
            assert box.level is Level.LANDLOCK


@pytest.fixture
def broken() -> Iterator[str]:
    """A folder that any user can read, with a bubblewrap as it is where the kernel allows no namespaces."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        program = Path(folder, "bwrap")
        program.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
        program.chmod(0o755)
        yield folder


@needs_bubblewrap
async def test_what_keeps_bubblewrap_from_working_is_told(monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    from mull.sandbox import choice

    monkeypatch.setenv("PATH", f"{broken}:/usr/bin:/bin")
    monkeypatch.setattr(choice, "_working", set())
    zygotes: dict[Any, Any] = {}
    monkeypatch.setattr("mull.sandbox.bubblewrap._zygotes", zygotes)
    fault = await choice._fault("bubblewrap", ())
    for zygote in zygotes.values():
        zygote.close()
    assert "No permissions to create new namespace" in fault


@needs_bubblewrap
async def test_the_best_is_the_warm_one() -> None:
    async with sandbox.best() as box:
        assert box == Bubblewrap()
    found = {box.name: box for box in await sandbox.available()}
    assert found["bubblewrap"].works
    assert found["bubblewrap"].level is Level.NAMESPACES


@pytest.mark.parametrize(
    ("job", "why"),
    [
        (Script("", files={"../x": b""}), "relative name"),
        (Script("", files={"/x": b""}), "relative name"),
        (Command(("true",), collect=("/etc/passwd",)), "relative name"),
        (Script("", files={"x": bytes(20 << 20)}), "larger than disk_bytes"),
        (Script("", limits=JobLimits(wall_seconds=0)), "wall_seconds must be above 0"),
        (Command(()), "argv is empty"),
    ],
)
async def test_jobs_that_make_no_sense(job: Any, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        await Bubblewrap().run(job)


@needs_bubblewrap
async def test_a_collected_file_is_no_way_out() -> None:
    """A link that a program leaves is not followed, and a pipe is not waited for."""
    shell = "ln -s /proc/self/environ a; mkfifo b; mkdir c; echo x > d"
    async with Bubblewrap() as box:
        result = await box.run(Command(("sh", "-c", shell), collect=("a", "b", "c", "d")))
    assert dict(result.files) == {"d": b"x\n"}


SIMPLE = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.complex_numbers()
KEYS = st.recursive(SIMPLE, lambda s: st.tuples(s, s) | st.frozensets(s, max_size=3), max_leaves=4)
ALL = st.recursive(
    SIMPLE,
    lambda s: st.lists(s) | st.tuples(s, s) | st.dictionaries(KEYS, s, max_size=4) | st.sets(KEYS, max_size=4),
    max_leaves=12,
)


def typed(value: Any) -> Any:
    """A value with its types written out, so that 1, 1.0 and True differ, and 0.0 and -0.0."""
    if isinstance(value, list | tuple):
        return type(value), [typed(v) for v in value]
    if isinstance(value, dict):
        return dict, [(typed(k), typed(v)) for k, v in value.items()]
    if isinstance(value, set | frozenset):
        return type(value), sorted(map(repr, map(typed, value)))
    return type(value), repr(value)


@settings(max_examples=200)
@given(ALL)
def test_values_arrive_with_their_exact_types(value: Any) -> None:
    assert typed(values.decode(values.encode(value))) == typed(value)


@settings(max_examples=300)
@given(st.text() | st.binary())
def test_no_text_does_more_than_fail(text: str | bytes) -> None:
    with contextlib.suppress(ValueError):
        values.decode(text)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '["q", 1]',
        "[1]",
        "1.5",
        "NaN",
        "9" * 30,
        "[" * 100_000,
        '["l",' * 5000,
        '["f","0x1p99999"]',
        '["s",[["l",[]]]]',
        '["d",[1]]',
        '["d",[[["l",[]],1]]]',
        '["i","__import__"]',
        '["b","zz"]',
        '["i"]',
        "",
    ],
)
def test_what_is_no_value_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the texts differ
        values.decode(text)


def test_sets_made_to_be_slow_are_refused() -> None:
    """Multiples of the modulus of hashes all have one hash; 20,000 of them would take seconds to put into a set."""
    modulus = sys.hash_info.modulus
    members = ",".join(f'["i","{hex(i * modulus)}"]' for i in range(1, 20_000))
    started = time.process_time()
    for kind in ("s", "z"):
        with pytest.raises(ValueError, match="equal hashes"):
            values.decode(f'["{kind}",[{members}]]')
    assert time.process_time() - started < 5
    assert len(values.decode(values.encode(set(range(50_000))))) == 50_000


def test_values_of_other_types_are_opaque() -> None:
    class Same(int):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = int.__hash__

    came = values.decode(values.encode([Same(3), random.Random]))
    assert all(isinstance(value, Opaque) for value in came)
    assert came[0] != 3
    assert came[0] != Opaque("x", "3")


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_refuses_what_it_lists(machine: str) -> None:
    """By an interpreter of classic BPF written for this test, for every call from 0 to 600 and both architectures."""
    import struct

    code = seccomp.program(machine)
    program = [struct.unpack("=HBBI", code[i : i + 8]) for i in range(0, len(code), 8)]

    def verdict(number: int, arguments: tuple[int, ...] = (), arch: int = seccomp.AUDIT_ARCH[machine]) -> int:
        data = struct.pack("<IIQ6Q", number, arch, 0, *(*arguments, *[0] * 6)[:6])
        at = loaded = 0
        while True:
            operation, yes, no, value = program[at]
            at += 1
            if operation == 0x20:
                (loaded,) = struct.unpack_from("<I", data, value)
            elif operation == 0x06:
                return value
            else:
                holds = {0x15: loaded == value, 0x35: loaded >= value, 0x45: bool(loaded & value)}[operation]
                at += yes if holds else no

    allowed, refused, killed = 0x7FFF0000, 0x00050001, 0x80000000
    column = list(seccomp.AUDIT_ARCH).index(machine)
    listed = {pair[column] for pair in seccomp.REFUSED.values()} - {None}
    clone, clone3, ioctl, prlimit = {"x86_64": (56, 435, 16, 302), "aarch64": (220, 435, 29, 261)}[machine]
    for number in range(600):
        wanted = refused if number in listed else 0x00050026 if number == clone3 else allowed
        assert verdict(number) == wanted, number
    assert verdict(clone, (0x10000011,)) == refused
    assert verdict(clone, (0x3D0F00,)) == allowed  # a thread
    assert verdict(ioctl, (0, 0x5412)) == refused
    assert verdict(prlimit, (1,)) == refused
    assert verdict(0, arch=0x40000003) == killed
    assert verdict(0x40000000 + 41) == (killed if machine == "x86_64" else allowed)


@pytest.mark.skipif(not Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h").exists(), reason="no kernel headers")
def test_the_numbers_of_system_calls_are_the_kernels() -> None:
    import re

    table = {
        name: int(number)
        for name, number in re.findall(
            r"#define __NR_(\w+) (\d+)", Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h").read_text()
        )
    }
    for name, (number, _) in {**seccomp.REFUSED, **seccomp.CHANGING_METADATA}.items():
        assert number is None or table.get(name, number) == number, name
    generic = Path("/usr/include/asm-generic/unistd.h")
    if generic.exists():
        arm = {name: int(n) for name, n in re.findall(r"#define __NR(?:3264)?_(\w+) (\d+)", generic.read_text())}
        for name, (_, number) in {**seccomp.REFUSED, **seccomp.CHANGING_METADATA}.items():
            assert number is None or arm.get(name, number) == number, name


@pytest.mark.skipif(os.getuid() != 0, reason="not root: everything is unprivileged")
@needs_bubblewrap
async def test_root_gives_up_being_root() -> None:
    """The boxes of root belong to a user without rights, seen from outside."""
    async with Bubblewrap() as box:
        look = Script(
            f"import os; os.execv('/usr/bin/sleep', ['sleep', '{hostile.MARK}'])", limits=JobLimits(wall_seconds=60)
        )
        task = asyncio.create_task(box.run(look))
        async with asyncio.timeout(30):
            await appearing()
        owners = hostile.owners()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert owners == {65534}


@pytest.fixture
def folder() -> Iterator[str]:
    """A folder in `/tmp` with a file that anybody may read."""
    with tempfile.TemporaryDirectory(dir="/tmp") as made:
        Path(made).chmod(0o755)
        Path(made, "told").write_text("42")
        yield made


@pytest.mark.parametrize("box", BOXES)
async def test_a_folder_that_programs_may_read_may_lie_in_tmp(box: Any, folder: str) -> None:
    """As a solver's does whose environment is in a checkout under `/tmp`, of which most boxes have one of their own."""
    async with replace(box, readable=(folder,)) as able:
        script = await able.run(Script(f"print(open('{folder}/told').read())\nopen('{folder}/new', 'w')"))
    assert script.stdout == b"42\n"
    assert b"Error" in script.stderr
