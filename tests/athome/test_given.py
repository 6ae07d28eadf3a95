"""What a run is given is checked when it is made: the message says what is wrong, and what to write instead."""

from collections.abc import Callable
from typing import Any

import pytest

from mull import Cost, MemoryBank, Run, UsageError
from mull.run.fits import CALLED, PARTS
from mull.testing import FakeExecutor, FakeJudge, FakeModel, FakeVerifier

WHOLE: dict[str, Callable[[], Any]] = {
    "model": FakeModel,
    "verifier": FakeVerifier,
    "judge": FakeJudge,
    "executor": FakeExecutor,
    "bank": MemoryBank,
}


def run_with(kind: str, value: Any) -> Run:
    return Run(value) if kind == "model" else Run(FakeModel(), **{kind: value})


@pytest.mark.parametrize("kind", WHOLE)
def test_what_is_whole_is_taken(kind: str) -> None:
    assert run_with(kind, WHOLE[kind]()).spent == Cost()


@pytest.mark.parametrize("kind", WHOLE)
def test_a_class_in_place_of_an_object_is_told(kind: str) -> None:
    with pytest.raises(UsageError, match=rf"{kind}={WHOLE[kind].__name__} is a class, not an object of it: write "):
        run_with(kind, WHOLE[kind])


@pytest.mark.parametrize("wrong", ["nano", 5, b"x", ["a"], {"name": "x"}])
@pytest.mark.parametrize("kind", WHOLE)
def test_a_plain_value_is_told_with_what_to_write(kind: str, wrong: object) -> None:
    with pytest.raises(UsageError, match=rf"{kind} must be an object with .*, such as \w+\(.*\), not "):
        run_with(kind, wrong)


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in WHOLE for name in PARTS[kind]])
def test_each_part_that_is_missing_is_named(kind: str, name: str) -> None:
    class Mine:
        pass

    for part in PARTS[kind]:
        if part != name:
            setattr(Mine, part, getattr(WHOLE[kind], part, None))
    with pytest.raises(UsageError, match=rf"{kind}=.*Mine\(\.\.\.\) has no {name}, which a {kind} must have"):
        run_with(kind, Mine())


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in WHOLE for name in CALLED.get(kind, {})])
def test_a_method_that_cannot_be_called_as_it_is_is_told_with_both_lists(kind: str, name: str) -> None:
    class Mine:
        pass

    for part in PARTS[kind]:
        setattr(Mine, part, getattr(WHOLE[kind], part, None))
    arguments = ", ".join(CALLED[kind][name])

    def few(self: object, one: object) -> None: ...
    def more(self: object, *some: object) -> None: ...

    setattr(Mine, name, few)
    with pytest.raises(UsageError, match=rf"Mine\(\.\.\.\)\.{name} takes \(one\), and is called with \({arguments}\)"):
        run_with(kind, Mine())

    class Lenient(Mine):
        pass

    setattr(Lenient, name, more)
    run_with(kind, Lenient())


def test_another_part_of_a_run_is_checked_too() -> None:
    run = Run(FakeModel())
    with pytest.raises(UsageError, match="has no quote"):
        run.on(verifier=object())  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="budget must be a Budget, not 5 of type int"):
        Run(FakeModel(), budget=5)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="seed must be a whole number"):
        Run(FakeModel(), seed="x")  # type: ignore[arg-type]
