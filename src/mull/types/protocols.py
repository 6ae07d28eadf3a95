"""What a model, a verifier, a judge and an executor must offer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol, runtime_checkable

from mull.types.conversation import Ask, Draw, Params, Prompt, Sample
from mull.types.costs import Cost
from mull.types.problems import Problem
from mull.types.verdicts import Behaviour, Pair, Preference, Said, Score, Trial


class Purse(Protocol):
    """The budget of one `Model.sample` call: report lost draws to it, and ask before exceeding the quote."""

    def lost(self, cost: Cost) -> None:
        """Reports a draw that was begun, cost this and was not delivered."""
        ...

    def hold(self, cost: Cost) -> bool:
        """Sets so much aside until the call ends, as for a second attempt at a draw; `False`: no ceiling allows it."""
        ...

    def pay(self, cost: Cost) -> None:
        """Reports something paid for beside draws, as a look at what a server can do."""
        ...


class Model(Protocol):
    """Remote, embedded, recorded, fake or wrapped: all the same to a strategy."""

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> str:
        """What its draws are banked under: the name and all else that changes them, such as the weights."""
        ...

    def refuses(self, prompt: Prompt, params: Params) -> str | None:
        """Why it cannot do this and what would help, as the end of a sentence that its name begins; `None`: it can.

        Asked before anything is spent, of such things as a `Prompt.prefix` to go on from or a `Params.logit_bias`.
        """
        ...

    def quote(self, prompt: Prompt, params: Params) -> Cost:
        """The most that one draw can cost, held before it is made. `None` where that is unknown."""
        ...

    def sample(
        self, prompt: Prompt, params: Params, draws: Sequence[Draw], purse: Purse
    ) -> AsyncGenerator[Sample, None]:
        """The draws asked for, as they finish; `Sample.draw` is `Draw.number`.

        Fewer draws mean that there are no more. Closing the generator cancels what is under way; the cost of every
        draw that was begun and not delivered is then reported to `purse.lost`.
        """
        ...


@runtime_checkable
class Served(Protocol):
    """What a model behind a server has beside `Model`: it must find out what the server can do."""

    async def prepare(self, purse: Purse | None = None) -> None:
        """Finds out what the server can do, unless that is known; `purse` pays for it."""
        ...


class Calls(Protocol):
    """What a verifier or a judge may call: models, held to the run's ceilings, banked, and booked as verification."""

    async def draw(self, model: Model, groups: Sequence[Sequence[Ask]], seed: int = 0) -> list[list[Said]]:
        """What the model says to each ask. Groups are dealt with in order: all asks of one fit the ceilings or none is
        made. An error on one ask is its missing samples and ends nothing else; a deadline leaves what came before it.

        A numbered draw that was made in this run is given again, for nothing.
        """
        ...

    async def score(self, verifier: Verifier, problem: Problem, samples: Sequence[Sample]) -> list[Score]:
        """The scores of another verifier: held, banked and paid for as the run's own."""
        ...

    def times_asked(self, what: str) -> int:
        """How often this was asked for in this run before now; counts this time."""
        ...


class Verifier(Protocol):
    """Outcome reward, process reward, tests, a proof: what tells good replies from bad ones."""

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> str | None:
        """What its scores are banked under: the name and all else that changes them.

        `None`: they are not kept, because they are too cheap or because they depend on more than the problem and
        the reply, such as the other samples.
        """
        ...

    def quote(self, problem: Problem, samples: Sequence[Sample]) -> Cost:
        """The most that scoring these samples can cost, beside what is asked through `calls`."""
        ...

    async def score(self, problem: Problem, samples: Sequence[Sample], calls: Calls) -> Sequence[Score]:
        """One score for each sample, in order. Models and other verifiers are asked through `calls`."""
        ...


class Judge(Protocol):
    """Says which of two replies is better."""

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> str | None:
        """What its preferences are banked under: the name and all else that changes them. `None`: too cheap to keep."""
        ...

    def quote(self, problem: Problem, pairs: Sequence[Pair]) -> Cost:
        """The most that these comparisons can cost, beside what is asked through `calls`."""
        ...

    async def prefer(self, problem: Problem, pairs: Sequence[Pair], calls: Calls) -> Sequence[Preference]:
        """One preference for each pair, in order. Models and verifiers are asked through `calls`."""
        ...


class Executor(Protocol):
    """Runs programs that a model wrote, kept apart from the machine, and says what they did."""

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> str | None:
        """What what it tells is banked under: the name and all else that changes them. `None`: not to be kept."""
        ...

    def quote(self, problem: Problem, trials: Sequence[Trial]) -> Cost:
        """The most that these trials can cost."""
        ...

    async def execute(self, problem: Problem, trials: Sequence[Trial]) -> Sequence[Behaviour]:
        """What each program did, in order."""
        ...
