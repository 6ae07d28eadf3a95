"""Hostile programs are contained, whoever runs mull."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import hostile
from mull import sandbox
from mull.sandbox.bubblewrap import Bubblewrap

NOBODY = 65534
SYSTEM_PYTHON = "/usr/bin/python3"

needs_bubblewrap = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
pytestmark = needs_bubblewrap


@pytest.fixture(scope="module")
def copy() -> Iterator[Path]:
    """What runs boxes, at a place that any user can read."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mull = folder / "mull"
        mull.mkdir()
        source = Path(sandbox.__file__).parents[1]
        for file in ("__init__.py", "errors.py"):
            shutil.copy(source / file, mull)
        shutil.copytree(source / "sandbox", mull / "sandbox", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(hostile.__file__, folder)
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755)
        yield folder


def faults(folder: Path, user: int | None, *arguments: str) -> dict[str, str]:
    """Run every hostile program, as another user where one is given, and see that nothing stayed."""
    python = sys.executable if user is None else SYSTEM_PYTHON
    done = subprocess.run(
        [python, str(folder / "hostile.py"), *arguments],
        user=user,
        group=user,
        extra_groups=None if user is None else [],
        env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["uid"] == (os.getuid() if user is None else user)
    assert report["left"] == []
    return report["faults"]


@pytest.mark.parametrize("arguments", [(), ("cold",)], ids=["warm", "cold"])
def test_hostile_programs_are_contained(copy: Path, arguments: tuple[str, ...]) -> None:
    found = faults(copy, None, *arguments)
    assert len(found) == 32
    assert {name: why for name, why in found.items() if why} == {}


@pytest.mark.skipif(os.getuid() != 0, reason="not root: the test above is this one")
def test_hostile_programs_are_contained_for_an_unprivileged_user(copy: Path) -> None:
    version = subprocess.run(
        [SYSTEM_PYTHON, "-c", "import sys; print(sys.version_info >= (3, 11))"], capture_output=True
    )
    if version.stdout.strip() != b"True":
        pytest.skip(f"{SYSTEM_PYTHON} is not there, or older than 3.11")
    found = faults(copy, NOBODY)
    assert {name: why for name, why in found.items() if why} == {}


async def test_hundreds_of_hostile_runs_leave_nothing_behind() -> None:
    """Processes, descriptors, mounts and temporary files are as many after as before. `bench_sandbox.py` runs 1,000."""
    quick = [p for p in hostile.PROGRAMS if p.name in ("daemon", "leave early", "segfault", "flood", "forge replies")]
    async with Bubblewrap(at_once=4) as box:
        await hostile.faults(box, quick)
        before = await settled()
        found = await hostile.faults(box, quick * 20)
    assert not any(found.values())
    assert await settled() == before


async def settled() -> dict[str, int]:
    """What there is once ended boxes are gone and those for the next runs are made: the same in ten looks."""
    seen: list[dict[str, int]] = []
    while len(seen) < 10 or any(one != seen[-1] for one in seen[-10:]):
        await asyncio.sleep(0.02)
        seen.append(hostile.traces())
    return seen[-1]
