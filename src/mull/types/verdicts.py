"""What verifiers, judges and executors say."""

from __future__ import annotations

from dataclasses import dataclass

from mull.types.conversation import Sample
from mull.types.costs import Cost


@dataclass(frozen=True, slots=True)
class Score:
    """A verifier's verdict in [0, 1], or `None` when it could not tell, with the reason in `why`.

    `steps` has one value a step where the verifier scores the process. `cost` is what the verifier spent itself, and
    `drawn` what the draws cost that it made through `Calls`, which has paid for them: a score made of draws is not
    banked, since its draws are. `is_lasting` says of a score without a value that asking again would say the same, as
    it is not where something failed: only then is it banked.
    """

    value: float | None
    steps: tuple[float, ...] = ()
    cost: Cost = Cost()
    why: str = ""
    is_lasting: bool = False
    drawn: Cost = Cost()


@dataclass(frozen=True, slots=True)
class Pair:
    """Two samples to be compared, in the order in which the judge sees them."""

    first: Sample
    second: Sample


@dataclass(frozen=True, slots=True)
class Preference:
    """Probability that the first of a pair is better; `None` when the judge could not tell, with `why`.

    `cost`, `drawn` and `is_lasting` are as in `Score`.
    """

    first: float | None
    cost: Cost = Cost()
    why: str = ""
    is_lasting: bool = False
    drawn: Cost = Cost()


@dataclass(frozen=True, slots=True)
class Said:
    """What a model said to one `Ask` of a verifier or a judge, in draw order, and why it is not all that was asked."""

    samples: tuple[Sample, ...] = ()
    why: str = ""
    cost: Cost = Cost()
    """What the draws cost, as verification; nothing for draws that this run has paid for before."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A program and what it is to be tried on: `tests` are assertions, or `inputs` calls or texts to read.

    Where the program reads standard input (the problem names no function) a test is a pair of input and output.
    """

    program: str
    tests: tuple[str | tuple[str, str], ...] = ()
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What came of a trial.

    `passed` has one entry a test (`None`: the test itself is broken). `outputs` has one text an input, equal where
    the values are, or `None` where the program gave none; `errors` says how it ended there. `is_known` is false where
    the sandbox failed and nothing can be said of the program, with `why`.
    """

    passed: tuple[bool | None, ...] = ()
    outputs: tuple[str | None, ...] = ()
    errors: tuple[str, ...] = ()
    is_known: bool = True
    cost: Cost = Cost()
    why: str = ""


Verdict = Score | Preference | Behaviour
"""What a verifier, a judge or an executor said."""
