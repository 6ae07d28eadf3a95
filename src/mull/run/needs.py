"""What strategies declare, and the errors of a run that does not meet their needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import partial
from typing import Any, TypeVar

from mull.errors import UsageError
from mull.types import NO_NEEDS, Executor, Judge, Need, Problem, Scaling, Selection, Selective, Verifier

E = TypeVar("E", bound=StrEnum)

NEEDED: Mapping[Need, str] = {
    Need.VERIFIER: "this strategy needs a verifier: name one with --verifier or verifier=",
    Need.JUDGE: "this strategy needs a judge: name one with --judge or judge=",
    Need.EXECUTOR: "this strategy runs programs and needs an executor: name one with executor=",
}


def needs_of(strategy: Any) -> frozenset[Need]:
    """The needs that a strategy declares; empty if it declares none, so that it may still fail when it runs."""
    said = getattr(strategy, "needs", NO_NEEDS)
    if not isinstance(said, set | frozenset):
        return NO_NEEDS
    return frozenset(need for need in map(partial(_one_of, Need), said) if need is not None)


def draws_of(strategy: Any) -> Scaling | None:
    """How a strategy declares that it spends draws; `None`: not declared."""
    return _one_of(Scaling, getattr(strategy, "draws", None))


def selects_of(strategy: Any) -> Selection | None:
    """How a strategy declares that it selects; `None`: not declared."""
    return _one_of(Selection, getattr(strategy, "selects", None))


def reuses(strategy: Any) -> bool:
    """Whether a strategy declares that its first draws may be ones handed back to the run."""
    return getattr(strategy, "reuses", False) is True


def deepest(parts: Iterable[Any]) -> Scaling | None:
    """How a composition spends draws: like its part furthest from parallel; `None`: a part does not declare it."""
    said = [draws_of(part) for part in parts]
    known = [draws for draws in said if draws is not None]
    return max(known, key=list(Scaling).index, default=Scaling.PARALLEL) if len(known) == len(said) else None


def _one_of(kind: type[E], value: Any) -> E | None:
    """The member of an enumeration with this value; `None` for anything else."""
    return kind(value) if isinstance(value, str) and value in set(kind) else None


def lacking(verifier: Any, problem: Problem) -> str:
    """What a problem lacks to be scored by this verifier; empty: nothing that the verifier tells."""
    return verifier.lacks(problem) if isinstance(verifier, Selective) else ""


def check_scorable(verifier: Any, problems: Iterable[Problem]) -> None:
    """Raises `UsageError` if a verifier can score none of these problems, for want of what its `lacks` names."""
    why = ""
    for why in (lacking(verifier, problem) for problem in problems):
        if not why:
            return
    if why:
        raise UsageError(f"the verifier {verifier.name} can score no draw: {why}")


def check_given(strategy: Any, verifier: Verifier | None, judge: Judge | None, executor: Executor | None) -> None:
    """Raises `UsageError` for a verifier, judge or executor that a strategy needs and that is missing.

    A strategy may name the verifier in `its_verifier`, a function of no arguments.
    """
    needs = needs_of(strategy)
    scoring = {Need.VERIFIER, Need.STEPS}
    if needs & scoring and verifier is None:
        named = getattr(strategy, "its_verifier", lambda: None)()
        raise UsageError(f"{NEEDED[Need.VERIFIER]}{f'; {named}' if named else ''}")
    if Need.STEPS in needs and getattr(verifier, "split", None) is None:
        raise UsageError(
            f"this strategy needs a verifier that scores steps, and {verifier.name if verifier else 'none'} scores "
            "whole replies only: use a process reward model, or a strategy of whole replies such as weighted:n=16"
        )
    if Need.JUDGE in needs and judge is None:
        raise UsageError(NEEDED[Need.JUDGE])
    if Need.EXECUTOR in needs and executor is None:
        raise UsageError(NEEDED[Need.EXECUTOR])
