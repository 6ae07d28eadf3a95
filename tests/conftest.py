"""A PostgreSQL of the tests' own, gone when they are over; a browser; and examples that are the same every time."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import settings

from warm import Warm

# The tests run one process for each processor: numpy's own threads would only wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# No deadline, since a busy machine is no fault of the code, and the same examples in every run.
settings.load_profile("ci")


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    """Starts `mull` without the time that Python's imports take."""
    started = Warm()
    yield started
    started.close()


def _programs() -> Path | None:
    """The folder of `initdb` and `pg_ctl`, which Debian keeps off the path."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return folders[-1] if folders else None


@dataclass
class Postgres:
    """A server that can be stopped and started again."""

    programs: Path
    folder: Path
    port: int

    def __post_init__(self) -> None:
        self._names = count()

    def _call(self, program: str, *arguments: str) -> None:
        # PostgreSQL refuses to run as root.
        user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        command = [str(self.programs / program), *arguments]
        log = self.folder / "calls.log"
        with log.open("a") as file:
            done = subprocess.run(command, cwd=self.folder, stdout=file, stderr=file, **user)  # type: ignore[call-overload]
        assert done.returncode == 0, log.read_text()

    def make(self) -> None:
        self._call("initdb", "--pgdata=data", "--username=mull", "--auth=trust", "--no-sync", "--encoding=UTF8")

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self.folder} -c fsync=off"
        self._call("pg_ctl", "start", "--pgdata=data", "--wait", f"--options={options}", "--log=server.log")

    def stop(self) -> None:
        """Cuts every connection off."""
        self._call("pg_ctl", "stop", "--pgdata=data", "--wait", "--mode=immediate")

    def new(self) -> str:
        """The URL of a new, empty database."""
        name = f"bank{next(self._names)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"create database {name}")
        return self.url(name)

    def url(self, name: str, password: str = "secret") -> str:
        return f"postgresql://mull:{password}@127.0.0.1:{self.port}/{name}"


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: no initdb")
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Not in pytest's folder, which nobody but its owner may enter.
    folder = Path(subprocess.check_output(["mktemp", "--directory", "/tmp/mull-postgres-XXXXXX"], text=True).strip())
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    server = Postgres(programs, folder, port)
    try:
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def postgres_url(postgres: Postgres) -> str:
    return postgres.new()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A browser for the pages of a module."""
    import screenshots

    driver = screenshots.chromium(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()
