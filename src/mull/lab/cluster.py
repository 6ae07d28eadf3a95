"""A grid on a Ray cluster: idle workers take the next problem, and share nothing but the bank.

A worker that dies is replaced, and its problems are run again: banked draws are read from the bank, so that only the
draws in progress are lost. The outcomes are those of `grid.run_plan`.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import is_dataclass, replace
from typing import Any

from mull.bank.sql import SqlBank
from mull.errors import BankError, MissingExtraError, ModelError, MullError, UsageError
from mull.lab.grid import N_AT_ONCE, Cell, Done, Plan, columns
from mull.lab.reach import check_address, quiet
from mull.types import Problem

log = logging.getLogger(__name__)

MOST_DEATHS = 5
"""Maximum number of workers that may die on one problem before the run fails."""
SECONDS_TO_CLOSE = 30.0
SECONDS_BETWEEN_LOOKS = 1.5
N_UNANSWERED = 3
"""Looks at the head of the cluster without an answer after which it counts as gone."""


@contextmanager
def cluster(address: str = "local", n_cpus: int | None = None) -> Iterator[None]:
    """Connects to a Ray cluster while the context is open; the address `local` starts one on this machine."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise MissingExtraError("a Ray cluster", "Ray", "ray") from None
    check_address(address)
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address == "local":
        options |= {"num_cpus": n_cpus, "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    with quiet():
        with redirect_stdout(sys.stderr):  # Ray reports on its processes here; standard output is for results
            try:
                ray.init(address=address, **options)
            except (ConnectionError, RuntimeError, TimeoutError, ValueError, ray.exceptions.RayError) as error:
                raise UsageError(f"the Ray cluster at {address} cannot be joined: {_line(error)}") from error
            ray._private.worker._worker_logs_enabled = False  # what it writes of a lost node is hundreds of lines
        try:
            yield
        except HeadGoneError:
            _abandon()
            raise
        except BaseException:
            ray.shutdown()
            raise
        ray.shutdown()


def _abandon() -> None:
    """Leaves a cluster without a head: Ray's own shutdown would wait for it, and its threads crash in a usual exit."""
    import ray

    atexit.unregister(ray.shutdown)
    node = ray._private.worker._global_node
    if node is not None:
        node.kill_all_processes(check_alive=False, allow_graceful=False)
    atexit.register(_leave)


def _leave() -> None:
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.flush()
    os._exit(1)


def _line(error: Exception) -> str:
    """An error of Ray's on one line; a mismatch of versions with what helps."""
    said = " ".join(str(error).split())
    return f"{said}: install the same versions here" if "ersion mismatch" in said else said[:500]


class HeadGoneError(ModelError):
    """The head of a Ray cluster does not answer any more."""


def _head() -> tuple[str, int]:
    """Host and port of the head of the connected cluster."""
    import ray

    host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
    return host.strip("[]"), int(port)


async def _answers(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(SECONDS_BETWEEN_LOOKS):
            _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True


async def _watch() -> None:
    """Raises `HeadGoneError` once the head of the cluster has not answered for some seconds."""
    import ray

    if ray.util.client.ray.is_connected():
        await asyncio.Event().wait()  # the address may be one of the cluster's own; Ray's client notices by itself
    host, port = _head()
    n_failed = 0
    while n_failed < N_UNANSWERED:
        await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
        n_failed = 0 if await _answers(host, port) else n_failed + 1
    raise HeadGoneError(
        f"the head of the Ray cluster, {host}:{port}, does not answer any more: run the same command again once it "
        "does; what was drawn is in the bank"
    )


def lasting(bank: SqlBank | None) -> SqlBank:
    """The bank. Raises `UsageError` if there is none, or one of this process alone."""
    if bank is None or bank.database.is_private:
        raise UsageError("the workers of a Ray cluster share results through a bank: name one with --bank")
    return bank


def shared(bank: SqlBank | None) -> SqlBank:
    """The bank. Raises `UsageError` if not all workers of the connected cluster could open it."""
    import ray

    bank = lasting(bank)
    n_machines = sum(node["Alive"] for node in ray.nodes())
    if bank.database.is_sqlite and n_machines > 1:
        raise UsageError(
            f"the Ray cluster has {n_machines} machines, which cannot share a file: use --bank postgresql://HOST/NAME"
        )
    return bank


class _Worker:
    """One process of the cluster."""

    def __init__(self, plan: Plan, bank: SqlBank) -> None:
        self._plan, self._bank = plan, bank

    async def name(self) -> tuple[str, int]:
        return self._bank.worker, os.getpid()

    async def cells(self, problem: Problem) -> dict[str, Cell] | MullError:
        """The outcomes on a problem, or the error, as a value that can be pickled."""
        try:
            return await self._plan.cells(problem, self._bank, lambda: None)
        except MullError as error:
            plain = next((kind for kind in (UsageError, BankError, ModelError) if isinstance(error, kind)), MullError)
            return plain(str(error))

    async def close(self) -> None:
        self._bank.close()


class _Seat:
    """A slot for a worker, refilled when its worker dies."""

    def __init__(self, make: Callable[[], Any], bank: SqlBank) -> None:
        self._make, self._bank = make, bank
        self._lock = asyncio.Lock()
        self.worker: Any = None
        self.name = ""
        self.pid = 0

    async def fill(self, dead: Any = None, n_others: int = 0) -> None:
        """Starts a worker, or replaces the `dead` one; callers that wait for the same dead one replace it once.

        A worker whose node has died, too, is not replaced, and `worker` is then `None`: if the cluster has no more
        processors than the `n_others` workers need.
        """
        from ray.exceptions import RayActorError

        async with self._lock:
            if self.worker is not dead:
                return
            if dead is not None:
                self._bank.expel(self.name)
                self.worker = None
            worker = self._make()
            named = asyncio.ensure_future(worker.name.remote())
            while not (await asyncio.wait({named}, timeout=SECONDS_BETWEEN_LOOKS))[0]:
                if dead is not None and not await self._has_room(n_others):
                    named.cancel()
                    log.warning("a node of the Ray cluster died (%s): the others go on", self.name.partition("/")[0])
                    return
            try:
                self.name, self.pid = named.result()
            except RayActorError as error:
                raise ModelError(f"a worker of the Ray cluster could not start: {_line(error)}") from error
            self.worker = worker

    @staticmethod
    async def _has_room(n_others: int) -> bool:
        """Whether the cluster has a processor for one more worker; `True` while its head does not answer."""
        import ray

        if not ray.util.client.ray.is_connected() and not await _answers(*_head()):
            return True
        return bool(ray.cluster_resources().get("CPU", 0) > n_others)

    async def clear(self, *, is_done: bool) -> None:
        """Stops the worker; one that is not done is killed."""
        import ray

        if self.worker is None:
            return
        if is_done:
            with suppress(TimeoutError, ray.exceptions.RayActorError):
                await asyncio.wait_for(self.worker.close.remote(), SECONDS_TO_CLOSE)
        ray.kill(self.worker)
        self._bank.expel(self.name)


async def run_plan(
    plan: Plan,
    bank: SqlBank | None,
    *,
    n_problems: int | None,
    n_workers: int | None = None,
    tick: Callable[[], None] = lambda: None,
    done: Done = lambda place, cells: None,
    seated: Callable[[list[int]], None] = lambda pids: None,
) -> dict[str, list[Cell]]:
    """Runs a plan as `run_each` does; returns the cells of each strategy in order."""
    cells: dict[int, Mapping[str, Cell]] = {}

    def keep(place: int, found: Mapping[str, Cell]) -> None:
        cells[place] = found
        done(place, found)

    await run_each(plan, bank, keep, n_problems=n_problems, n_workers=n_workers, tick=tick, seated=seated)
    return columns([cells[place] for place in range(len(cells))])


async def run_each(
    plan: Plan,
    bank: SqlBank | None,
    done: Done,
    *,
    n_problems: int | None,
    places: Sequence[int] | None = None,
    n_workers: int | None = None,
    tick: Callable[[], None] = lambda: None,
    seated: Callable[[list[int]], None] = lambda pids: None,
) -> None:
    """Runs a plan on the connected cluster, with one worker per processor, and keeps nothing.

    `places` are those of the problems to run; `None`: all of them. `tick` is called after each outcome, `done` after
    each problem, and `seated` with the workers' process ids once all have started.
    """
    import ray

    bank = shared(bank)
    problems = list(enumerate(plan.problems(n_problems)))
    todo = deque(problems if places is None else [problems[place] for place in places])
    n_left = len(todo)
    n_done = 0
    deaths: Counter[str] = Counter()
    sent = ray.put(_portable(plan)), ray.put(bank)
    make = ray.remote(num_cpus=1, max_concurrency=N_AT_ONCE + 2)(_Worker)
    n_workers = n_workers or int(ray.cluster_resources().get("CPU", 1))
    seats = [_Seat(lambda: make.remote(*sent), bank) for _ in range(n_workers)]

    async def serve(seat: _Seat) -> None:
        nonlocal n_done
        while todo and seat.worker is not None:
            i, problem = todo.popleft()
            worker = seat.worker
            try:
                found = await worker.cells.remote(problem)
            except ray.exceptions.RayActorError as error:
                todo.appendleft((i, problem))
                deaths[problem.id] += 1
                if deaths[problem.id] >= MOST_DEATHS:
                    what = f"{MOST_DEATHS} workers of the Ray cluster died while running problem {problem.id!r}"
                    raise ModelError(f"{what}: {error}") from error
                await seat.fill(dead=worker, n_others=sum(s.worker is not None for s in seats if s is not seat))
                continue
            if isinstance(found, MullError):
                raise found
            n_done += 1
            done(i, found)
            for _ in found:
                tick()

    tasks: list[asyncio.Task[None]] = []

    async def serve_all() -> None:
        await asyncio.gather(*(seat.fill() for seat in seats))
        seated([seat.pid for seat in seats])
        while n_done < n_left:  # what a worker leaves that is not replaced goes to the others
            if all(seat.worker is None for seat in seats):
                raise ModelError(
                    "the nodes of the Ray cluster have died, and no processor is left: run the same command again once "
                    "they are back; what was drawn is in the bank"
                )
            tasks[:] = [asyncio.create_task(serve(seat)) for _ in range(N_AT_ONCE) for seat in seats]
            await asyncio.gather(*tasks)

    work, watch = asyncio.create_task(serve_all()), asyncio.create_task(_watch())
    is_done = is_headless = False
    try:
        await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
        is_headless = watch.done()
        (watch if is_headless else work).result()
        is_done = True
    finally:
        for task in (work, watch, *tasks):
            task.cancel()
        await asyncio.gather(work, watch, *tasks, return_exceptions=True)
        if not is_headless:
            await asyncio.gather(*(seat.clear(is_done=is_done) for seat in seats))


def _portable(plan: Plan) -> Plan:
    """The plan without caches of this process; contents of files that its parts depend on are sent along."""
    model, verifier = _fresh(plan.model), _fresh(plan.verifier)
    for part in (model, verifier):
        if part is not None:
            part.identity  # noqa: B018 - caches it now: other machines may not have the file that it is read from
    return replace(plan, task=_fresh(plan.task), model=model, verifier=verifier)


def _fresh(part: Any) -> Any:
    return replace(part) if is_dataclass(part) and not isinstance(part, type) else part
