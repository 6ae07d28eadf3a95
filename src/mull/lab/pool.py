"""Grids on a Ray cluster that is joined only for what the bank does not have: a replay needs no worker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Self

from mull.bank import Bank, Claim
from mull.bank.sql import SqlBank
from mull.errors import MullError, UsageError
from mull.lab import cluster
from mull.lab.grid import Cell, Done, Plan, side_by_side
from mull.lab.reach import UnjoinedError, check_form
from mull.types import Problem, Prompt, Sample, Verdict


class _NotBankedError(MullError):
    """The bank does not have a draw that a replay needs."""


class _Replayed:
    """A bank whose draws can be read, but not added to.

    Verdicts are added: whether one has to be computed, or follows from banked draws, is known only once it is there.
    """

    def __init__(self, bank: Bank) -> None:
        self._bank = bank
        self.lacks_draws = False
        """Whether a draw was asked for that the bank does not have. Whatever follows from that is of no use."""
        self.lacked_verdicts = False

    def get(self, key: str, prompt: Prompt, first: int, n: int) -> dict[int, Sample]:
        return self._bank.get(key, prompt, first, n)

    def put(self, key: str, asked: Mapping[str, Any], sample: Sample) -> None:
        raise _NotBankedError("a replay makes no draws")

    def claim(self, key: str, numbers: Sequence[int]) -> Claim:
        self.lacks_draws = True
        raise _NotBankedError("a draw is not in the bank")

    def is_shared(self) -> bool:
        return self._bank.is_shared()

    def verdicts(self, keys: Sequence[str]) -> dict[str, Verdict]:
        return self._bank.verdicts(keys)

    def keep(self, key: str, judged_by: str, verdict: Verdict) -> None:
        self.lacked_verdicts = True
        self._bank.keep(key, judged_by, verdict)


async def replay(plan: Plan, bank: Bank, problems: Sequence[Problem], done: Done) -> list[int]:
    """Runs a plan on problems in order from the bank, up to the first that needs a draw or verdict made now.

    Returns the places of the problems that are left, for which `done` was not called. Verdicts that have no identity
    are never banked, so that such a plan is left whole.
    """
    if any(part is not None and part.identity is None for part in (plan.verifier, plan.judge, plan.executor)):
        return list(range(len(problems)))
    todo = iter(enumerate(problems))
    left: list[int] = []
    is_over = False

    async def work() -> None:
        nonlocal is_over
        while not is_over and (each := next(todo, None)) is not None:
            place, problem = each
            replayed = _Replayed(bank)
            found = asyncio.ensure_future(plan.cells(problem, replayed, lambda: None))
            try:
                await asyncio.wait({found})
            finally:
                found.cancel()
                await asyncio.gather(found, return_exceptions=True)
            is_over = is_over or replayed.lacks_draws or replayed.lacked_verdicts
            if replayed.lacks_draws:  # a strategy may have caught the error, or raised another one from it
                left.append(place)
            else:
                done(place, found.result())

    await side_by_side(work, min(plan.n_at_once, len(problems)))
    return sorted([*left, *(place for place, _ in todo)])


@dataclass
class RayPool:
    """A Ray cluster for the grids of a command, as a context manager; see `cluster.cluster` for the parameters.

    Raises `UsageError` for an invalid address at once, and `UnjoinedError` for a cluster that cannot be joined when the
    first problem needs a draw or verdict that the bank does not have.
    """

    address: str = "local"
    n_cpus: int | None = None
    _joined: ExitStack = field(default_factory=ExitStack)
    _is_joined: bool = False

    def __enter__(self) -> Self:
        check_form(self.address)
        return self

    def __exit__(self, *exc: Any) -> None:
        self._is_joined = False
        self._joined.__exit__(*exc)

    async def run_each(
        self,
        plan: Plan,
        bank: SqlBank | None,
        done: Done,
        *,
        n_problems: int | None,
        tick: Callable[[], None] = lambda: None,
    ) -> None:
        """Runs a plan as `grid.run_each` does: from the bank as far as it goes, then on the cluster."""
        bank = cluster.lasting(bank)

        def replayed(place: int, cells: Mapping[str, Cell]) -> None:
            done(place, cells)
            for _ in cells:
                tick()

        left = await replay(plan, bank, plan.problems(n_problems), replayed)
        if not left:
            return
        if not self._is_joined:
            try:
                self._joined.enter_context(cluster.cluster(self.address, self.n_cpus))
            except UsageError as error:
                raise UnjoinedError(str(error)) from error
            self._is_joined = True
        await cluster.run_each(plan, bank, done, n_problems=n_problems, places=left, tick=tick)
