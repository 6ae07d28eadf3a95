"""The protocols that models, verifiers, judges and executors implement."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol, runtime_checkable

from mull.types.conversation import Ask, Draw, Params, Prompt, Sample
from mull.types.costs import Cost
from mull.types.problems import Problem
from mull.types.verdicts import Behaviour, Pair, Preference, Said, Score, Trial


class Purse(Protocol):
    """The budget of one `Model.sample` call: report lost draws to it, and ask before exceeding the quote."""

    @property
    def until(self) -> float | None:
        """When the call is cancelled, on the clock of `time.monotonic`; `None`: never."""
        ...

    def lost(self, cost: Cost) -> None:
        """Reports the cost of a draw that was begun and not delivered."""
        ...

    def hold(self, cost: Cost) -> bool:
        """Reserves `cost` until the call ends, for example to retry a draw; `False`: a ceiling does not allow it."""
        ...

    def pay(self, cost: Cost) -> None:
        """Reports a cost other than a draw, such as probing what a server can do."""
        ...


class Model(Protocol):
    """A source of draws: remote, embedded, recorded, fake or a wrapper. Strategies cannot tell the difference."""

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> str:
        """Key under which draws are banked: the name and everything else that changes them, such as the weights."""
        ...

    def refuses(self, prompt: Prompt, params: Params) -> str | None:
        """Why the model cannot serve this request, and a remedy, as a predicate that follows its name; `None`: it can.

        Called before anything is spent, for features such as `Prompt.prefix` or `Params.logit_bias`.
        """
        ...

    def quote(self, prompt: Prompt, params: Params) -> Cost:
        """The most that one draw can cost; the budget holds it before the draw. Unknown parts are `None`."""
        ...

    def sample(
        self, prompt: Prompt, params: Params, draws: Sequence[Draw], purse: Purse
    ) -> AsyncGenerator[Sample, None]:
        """Yields the requested draws as they finish; `Sample.draw` is `Draw.number`.

        Yielding fewer draws means that there are no more. Closing the generator cancels the draws in progress and
        reports the cost of every draw that was begun and not delivered to `purse.lost`.
        """
        ...


@runtime_checkable
class Served(Protocol):
    """A model behind a server: beside `Model`, it must find out what the server can do."""

    async def prepare(self, purse: Purse | None = None) -> None:
        """Finds out what the server can do, unless that is known already; `purse` pays for it."""
        ...


class Calls(Protocol):
    """What verifiers and judges call models through: within the run's ceilings, banked, and booked as verification."""

    async def draw(self, model: Model, groups: Sequence[Sequence[Ask]], seed: int = 0) -> list[list[Said]]:
        """The model's draws for each ask, group by group.

        Groups are served in order; the ceilings admit all asks of a group or none. An error on one ask leaves its
        samples missing and does not affect the others; a deadline keeps the draws made before it. A numbered draw
        that this run has made before is returned again at no cost.
        """
        ...

    async def score(self, verifier: Verifier, problem: Problem, samples: Sequence[Sample]) -> list[Score]:
        """The scores of another verifier, metered and banked like those of the run's own verifier."""
        ...

    def times_asked(self, what: str) -> int:
        """How often this run has asked for `what` before; counts this call."""
        ...


class Verifier(Protocol):
    """Scores replies: an outcome or process reward model, tests, a proof checker."""

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> str | None:
        """Key under which scores are banked: the name and everything else that changes them.

        `None`: scores are not banked, because they are too cheap or depend on more than the problem and the reply,
        such as the other samples.
        """
        ...

    def quote(self, problem: Problem, samples: Sequence[Sample]) -> Cost:
        """The most that scoring these samples can cost, without what is asked through `calls`."""
        ...

    async def score(self, problem: Problem, samples: Sequence[Sample], calls: Calls) -> Sequence[Score]:
        """One score per sample, in order. Models and other verifiers are asked through `calls`."""
        ...


@runtime_checkable
class Selective(Protocol):
    """A verifier that can score some problems only, such as those with tests."""

    def lacks(self, problem: Problem) -> str:
        """What the problem lacks to be scored, as a clause; empty: nothing."""
        ...


class Judge(Protocol):
    """Compares two replies and says which is better."""

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> str | None:
        """Key under which preferences are banked; `None`: they are not banked, being too cheap."""
        ...

    def quote(self, problem: Problem, pairs: Sequence[Pair]) -> Cost:
        """The most that these comparisons can cost, without what is asked through `calls`."""
        ...

    async def prefer(self, problem: Problem, pairs: Sequence[Pair], calls: Calls) -> Sequence[Preference]:
        """One preference per pair, in order. Models and verifiers are asked through `calls`."""
        ...


class Executor(Protocol):
    """Runs programs that a model wrote, isolated from the machine, and reports what they did."""

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> str | None:
        """Key under which its results are banked; `None`: they are not banked."""
        ...

    def quote(self, problem: Problem, trials: Sequence[Trial]) -> Cost:
        """The most that these trials can cost."""
        ...

    async def execute(self, problem: Problem, trials: Sequence[Trial]) -> Sequence[Behaviour]:
        """One behaviour per trial, in order."""
        ...
