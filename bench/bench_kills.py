"""Bad days: sweeps that are killed at random moments, and sweeps whose disk, pipe or server fails at random.

A killed sweep must leave a file that can be read, with nothing in it that the bank does not have; the same command must
then end as if nothing had happened, and make no draw again that was banked. A fault must be told in one line.

    python bench/bench_kills.py [--sqlite 200] [--postgres 50] [--faults 500] [--seed 0]

Each sweep is a process of its own, forked from this one. Prints a line a kind, and exits with 1 if anything went wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import resource
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from conftest import Postgres, _programs  # type: ignore[import-not-found]
from fault_server import FaultServer  # type: ignore[import-not-found]
from mull.bank import open_bank
from mull.bank.sql import SqlBank
from mull.cli import main
from mull.errors import FileFormatError
from mull.files.lines import read_jsonl
from mull.files.opening import CutOffError
from mull.lab.sources import read_source

for name in (
    "mull.cli.sweep mull.lab.cluster mull.lab.shared mull.models.embedded mull.tasks.synthetic mull.config.schema "
    "numpy.random mull.models.served.drawing mull.models.served.hello mull.models.served.configured "
    "mull.models.served.opened mull.models.served.requests mull.strategies.parallel mull.report.table rich.console "
    "rich.progress mull.programs.executor"
).split():
    import_module(name)  # before the first fork, so that no sweep need do it

SWEEP = ("sweep", "chain:ops=2", "--allow-unreadable", "-s", "single", "-s", "majority:n=4", "--problems", "12")
N_PROBLEMS = 12
N_DRAWS = N_PROBLEMS * 4
DISK = ("small file", "small file, no bank", "full file", "full bank")
PIPE = ("full output", "closed output", "closed pipe", "full output and errors")
SERVER = tuple(
    "429 429-after 429-long quota 500 400 422 redirect redirect-nowhere deep choices html not-json no-choices reset "
    "hang truncated wrong-n duplicate empty null no-finish filter surrogate stall".split()
)
MULL_TOML = """[models.words]
base_url = "{url}"
retries = 1
timeout = 0.5
connect_timeout = 0.5
idle_timeout = 0.5
patience = 0.2
backoff = 0.01
concurrency = 4
"""


COUNTS: Counter[str] = Counter()
SAID: dict[int, dict[Path, int]] = {}
"""By process: the pipes that it writes to, and the files for what comes through them."""


def fork(words: tuple[str, ...], folder: Path, prepare: Callable[[], None] = lambda: None) -> int:
    """Starts `mull` with these words; `ended` writes what it says to the files `out` and `err` of the folder."""
    pipes = [os.pipe(), os.pipe()]  # no files, since some of these processes may write none
    pid = os.fork()
    if pid:
        for _, writing in pipes:
            os.close(writing)
        SAID[pid] = {folder / name: reading for name, (reading, _) in zip(("out", "err"), pipes, strict=True)}
        return pid
    code = 70
    try:
        for fd, (reading, writing) in enumerate(pipes, 1):
            os.close(reading)
            os.dup2(writing, fd)
            os.close(writing)
        os.chdir(folder)
        prepare()
        sys.argv = ["mull", *words]
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1 if end.code else 0
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
    except BaseException:  # noqa: BLE001 - it is told as Python would
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def ended(pid: int) -> int:
    """The exit status of a process; minus the signal that killed it."""
    for path, reading in SAID.pop(pid, {}).items():
        with os.fdopen(reading, "rb") as pipe:
            path.write_bytes(pipe.read())
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def begun(out: Path, pid: int) -> None:
    """Waits until a sweep has opened its file, just before its first draw, or has ended."""
    while not _size(out) and os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        time.sleep(0.001)


def _size(path: Path) -> int:
    """The bytes of a file; 0 where there is none. A sweep makes and removes its file to see that it can be written."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def banked(url: str) -> dict[tuple[str, int], str]:
    """The text of every draw in a bank."""
    from mull.bank.schema import draws

    with open_bank(url) as bank:
        assert isinstance(bank, SqlBank)
        rows = bank.read(lambda connection: connection.execute(draws.select()).fetchall())
    return {(row.key, row.draw): row.text for row in rows}


def outcome_rows(path: Path) -> list[Any]:
    """The rows of a sweep's file without its first line and what is measured."""
    rows = [row for _, row in read_jsonl(path)][1:]
    for row in rows:
        for result in row["outcomes"].values():
            result["cost"].pop("seconds")
    return rows


def kill(
    rng: random.Random, sweep: tuple[str, ...], url: str, folder: Path, reference: Path, seconds: float
) -> list[str]:
    """What is wrong after a sweep was killed at a random moment and done again."""
    out = folder / "draws.jsonl"
    words = (*sweep, "--out", str(out), "--bank", url)
    pid = fork(words, folder)
    begun(out, pid)
    time.sleep(rng.uniform(0, seconds))
    os.kill(pid, signal.SIGKILL)
    if ended(pid) == 0:
        COUNTS["ended before"] += 1
    wrong = []
    before: dict[tuple[str, int], str] = {}
    with contextlib.suppress(FileNotFoundError):
        before = banked(url)
    if _size(out):
        rows: list[dict[str, Any]] = []
        try:
            rows.extend(row for _, row in read_jsonl(out))
        except CutOffError:
            COUNTS["cut lines"] += 1
        except FileFormatError as error:
            if out.read_bytes().count(b"\n"):
                wrong.append(f"not readable: {error}")
        if len(rows) > 1:
            COUNTS["files with rows"] += 1
            try:
                read_source(out)
            except FileFormatError as error:
                wrong.append(f"not readable: {error}")
        ids = [row["problem_id"] for row in rows[1:]]
        texts = Counter(sample["text"] for row in rows[1:] for sample in row["samples"])
        if len(ids) != len(set(ids)):
            wrong.append("a problem is there twice")
        if texts - Counter(before.values()):
            wrong.append("the file has draws that the bank has not")
    COUNTS["draws banked at the kill"] += len(before)
    if ended(fork(words, folder)) != 0:
        wrong.append(f"the second run failed: {(folder / 'err').read_text()[-300:]}")
        return wrong
    told = (folder / "err").read_text()
    if f"{N_DRAWS - len(before):,} draws made now" not in told:
        wrong.append(f"{len(before)} draws were banked, and then: {told!r}")
    after = banked(url)
    if len(after) != N_DRAWS or any(after[key] != text for key, text in before.items()):
        wrong.append(f"{len(after)} draws instead of {N_DRAWS}, or others")
    if outcome_rows(out) != outcome_rows(reference):
        wrong.append("other outcomes than without a kill")
    left = sorted(path.name for path in folder.iterdir() if path.suffix in (".part", ".before"))
    with open_bank(url) as bank:
        assert isinstance(bank, SqlBank)
        n_left = bank.read(
            lambda c: [c.exec_driver_sql(f"select count(*) from {t}").scalar_one() for t in ("leases", "workers")]
        )
    if left or any(n_left):
        wrong.append(f"left behind: {left}, leases and workers {n_left}")
    return wrong


def limited(n_bytes: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))


def to_full(*fds: int) -> Callable[[], None]:
    def prepare() -> None:
        full = os.open("/dev/full", os.O_WRONLY)
        for fd in fds:
            os.dup2(full, fd)

    return prepare


def to_closed_pipe() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    os.dup2(writing, 1)
    os.close(writing)


def fault(rng: random.Random, kind: str, folder: Path, url: str) -> list[str]:
    """What is wrong with how `mull` takes a fault."""
    out = folder / "draws.jsonl"
    words: tuple[str, ...] = (*SWEEP, "--out", str(out), "--bank", str(folder / "b.db"))
    prepare: Callable[[], None] = lambda: None  # noqa: E731
    is_silent = False
    match kind:
        case "small file":
            prepare = limited(rng.randrange(200, 120_000))
        case "small file, no bank":
            words, prepare = (*SWEEP, "--out", str(out), "--bank", "none"), limited(rng.randrange(200, 30_000))
        case "full file":
            words = (*SWEEP, "--out", "/dev/full", "--bank", "none")
        case "full bank":
            words, prepare = (*SWEEP, "--bank", str(folder / "b.db")), limited(rng.randrange(33_000, 120_000))
        case "full output":
            prepare = to_full(1)
        case "closed output":
            prepare = partial(os.close, 1)
        case "closed pipe":
            prepare = to_closed_pipe
        case "full output and errors":
            prepare, is_silent = to_full(1, 2), True
        case _:
            (folder / "mull.toml").write_text(MULL_TOML.format(url=url))
            words = (*SWEEP[:-1], "3", "--model", "words", "--out", str(out), "--bank", str(folder / "b.db"))
            os.environ["MULL_BANK"] = str(folder / "b.db")  # where what the server can do is kept, too
    code = ended(fork(words, folder, prepare))
    told = (folder / "err").read_text()
    COUNTS[f"exit {code}"] += 1
    wrong = []
    if "Traceback" in told or "Exception ignored" in told or code not in (0, 1, 2):
        wrong.append(f"exit {code}: {told[-600:]}")
    errors = [line for line in told.splitlines() if line.startswith("mull: ")]
    if len(errors) != (code != 0) and not is_silent:
        wrong.append(f"exit {code} and {len(errors)} lines: {told[-600:]}")
    if kind in PIPE and (code != 1 or ("majority:n=4" not in told and not is_silent)):
        wrong.append(f"exit {code}, the table is not shown: {told[-300:]}")
    if _size(out) and out.read_bytes().count(b"\n") > 1:
        try:
            read_source(out)
        except FileFormatError as error:
            wrong.append(f"not readable: {error}")
    return wrong


@contextlib.contextmanager
def served(**options: Any) -> Iterator[str]:
    """The URL of a `FaultServer` in a process of its own."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:

        async def serve() -> None:
            async with FaultServer(**options) as server:
                os.write(writing, server.url.encode() + b"\n")
                await asyncio.Event().wait()

        try:
            asyncio.run(serve())
        finally:
            os._exit(0)
    os.close(writing)
    try:
        yield os.read(reading, 200).decode().strip()
    finally:
        os.close(reading)
        os.kill(pid, signal.SIGKILL)
        ended(pid)


def faults(seed: int) -> Iterator[str]:
    """Faults of a server, every seventh reply or so."""
    rng = random.Random(seed)
    while True:
        yield rng.choice(SERVER) if rng.random() < 0.15 else "ok"


@contextlib.contextmanager
def postgres() -> Iterator[Callable[[], str]]:
    """Makes new databases in a PostgreSQL of its own."""
    programs = _programs()
    if programs is None:
        sys.exit("PostgreSQL is not installed: no initdb")
    with contextlib.closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="mull-postgres-") as folder:
        if os.geteuid() == 0:
            import shutil

            shutil.chown(folder, "postgres", "postgres")
        server = Postgres(programs, Path(folder), port)
        server.make()
        server.start()
        try:
            yield server.new
        finally:
            server.stop()


def run(what: str, n: int, one: Callable[[random.Random, Path], list[str]], seed: int) -> int:
    """Runs a kind of bad day `n` times; prints the figures and what was wrong."""
    COUNTS.clear()
    n_wrong = 0
    for i in range(n):
        with tempfile.TemporaryDirectory(prefix="mull-kills-") as folder:
            wrong = one(random.Random(f"{seed}/{what}/{i}"), Path(folder))
        n_wrong += bool(wrong)
        for line in wrong:
            print(f"{what} {i}: {line}", flush=True)
    if n:
        counts = ", ".join(f"{count:,} {name}" for name, count in sorted(COUNTS.items()))
        print(f"{what}: {n} times, {n_wrong} wrong; {counts}", flush=True)
    return n_wrong


def bench() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, n in (("sqlite", 200), ("postgres", 50), ("faults", 500), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=n)
    asked = parser.parse_args()
    n_wrong = 0
    with tempfile.TemporaryDirectory(prefix="mull-kills-") as name:
        folder, reference = Path(name), Path(name) / "reference.jsonl"
        os.environ |= {"MULL_BANK": str(folder / "b.db"), "COLUMNS": "160", "TMPDIR": name}
        with served(n="rejected", latency=0.03) as url, contextlib.ExitStack() as stack:
            (folder / "mull.toml").write_text(MULL_TOML.format(url=url).replace("0.5", "60.0"))
            sweep = (*SWEEP, "--model", "words", "--config", str(folder / "mull.toml"))
            for words in (("--bank", str(folder / "b.db")), ("--bank", "none", "--out", str(reference))):
                pid = fork((*sweep, *words), folder)
                begun(reference, pid)
                started = time.monotonic()
                assert ended(pid) == 0, (folder / "err").read_text()
            seconds = 1.05 * (time.monotonic() - started)

            def killed(new: Callable[[], str] | None, rng: random.Random, folder: Path) -> list[str]:
                url = str(folder / "b.db") if new is None else new()
                return kill(rng, sweep, url, folder, reference, seconds)

            n_wrong += run("kills over SQLite", asked.sqlite, partial(killed, None), asked.seed)
            if asked.postgres:
                new = stack.enter_context(postgres())
                n_wrong += run("kills over PostgreSQL", asked.postgres, partial(killed, new), asked.seed)
        if asked.faults:
            with served(script=faults(asked.seed)) as url:
                for kinds, what in ((DISK, "disk"), (PIPE, "pipe"), (("server",), "server")):
                    n = asked.faults * {"disk": 4, "pipe": 2, "server": 4}[what] // 10

                    def one(rng: random.Random, folder: Path, kinds: tuple[str, ...] = kinds) -> list[str]:
                        return fault(rng, rng.choice(kinds), folder, url)

                    n_wrong += run(f"faults of {what}", n, one, asked.seed)
    return n_wrong


if __name__ == "__main__":
    sys.exit(bench() != 0)
