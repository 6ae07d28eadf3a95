"""The verdicts of verifiers, judges and executors."""

from __future__ import annotations

from dataclasses import dataclass

from mull.types.conversation import Sample
from mull.types.costs import Cost


@dataclass(frozen=True, slots=True)
class Score:
    """A verifier's verdict in [0, 1]; `None` if it could not tell, with the reason in `why`.

    `steps` has one value per step if the verifier scores the process. `cost` is what the verifier spent itself;
    `drawn` is the cost of its draws through `Calls`, which has already paid for them. A score made from draws is not
    banked, because the draws are. `is_lasting` marks a score without a value that would be the same if asked again,
    unlike one that is missing because something failed; a score without a value is banked only if it is lasting.
    """

    value: float | None
    steps: tuple[float, ...] = ()
    cost: Cost = Cost()
    why: str = ""
    is_lasting: bool = False
    drawn: Cost = Cost()


@dataclass(frozen=True, slots=True)
class Pair:
    """Two samples to compare, in the order in which the judge sees them."""

    first: Sample
    second: Sample


@dataclass(frozen=True, slots=True)
class Preference:
    """Probability that the first of a pair is better; `None` when the judge could not tell, with `why`.

    `cost`, `drawn` and `is_lasting` are as in `Score`. A preference made from draws is banked if it has a `cost` of its
    own, so that a replay does not pay it again.
    """

    first: float | None
    cost: Cost = Cost()
    why: str = ""
    is_lasting: bool = False
    drawn: Cost = Cost()


@dataclass(frozen=True, slots=True)
class Said:
    """The draws for one `Ask` of a verifier or a judge, in draw order, and why any are missing."""

    samples: tuple[Sample, ...] = ()
    why: str = ""
    cost: Cost = Cost()
    """The cost of the draws, booked as verification; zero for draws that this run has paid for before."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A program and what to run it on: `tests` are assertions; `inputs` are calls, or texts for standard input.

    If the program reads standard input (the problem names no function), a test is a pair of input and output.
    """

    program: str
    tests: tuple[str | tuple[str, str], ...] = ()
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Behaviour:
    """The result of a trial.

    `passed` has one entry per test (`None`: the test itself is broken). `outputs` has one text per input, equal for
    equal values, or `None` if the program returned none; `errors` says how the program ended there. `is_known` is
    false if the sandbox failed, so that nothing is known about the program; `why` is the reason.
    """

    passed: tuple[bool | None, ...] = ()
    outputs: tuple[str | None, ...] = ()
    errors: tuple[str, ...] = ()
    is_known: bool = True
    cost: Cost = Cost()
    why: str = ""


Verdict = Score | Preference | Behaviour
"""A verdict of a verifier, a judge or an executor."""
