"""The nouns: frozen values and the protocols between them. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from mull.run import Run


class Finish(StrEnum):
    """Why a draw ended."""

    STOP = "stop"
    """The model ended its reply."""
    STOP_STRING = "stop_string"
    """One of `Params.stop` came up; it is not part of the text."""
    LENGTH = "length"
    """`Params.max_tokens` or the model's context was used up."""
    ERROR = "error"
    """The reply could not be used; it never votes."""


class Stopped(StrEnum):
    """Why a strategy stopped."""

    COMPLETE = "complete"
    """It did all that it was asked to do."""
    EARLY = "early"
    """Its own rule said that more draws would not help."""
    BUDGET = "budget"
    """A ceiling was reached."""
    DEADLINE = "deadline"
    """The ceiling on seconds was reached."""
    EXHAUSTED = "exhausted"
    """The model had no more draws to give, as a recording has after its last."""


class AnswerKind(StrEnum):
    """What answers to a problem look like, which decides how they are read and compared."""

    NUMBER = "number"
    CHOICE = "choice"
    TEXT = "text"
    EXPRESSION = "expression"
    """Arithmetic, compared as it is written."""
    MATH = "math"
    """Anything of mathematics, in LaTeX or plain text, compared by what it means (`mull.equal`)."""
    CODE = "code"
    """A program: what a reply gives is the whole of it, ready to run."""


Number = TypeVar("Number", int, float)


def _plus(a: Number | None, b: Number | None) -> Number | None:
    return None if a is None or b is None else a + b


@dataclass(frozen=True, slots=True)
class Cost:
    """What something took. `None` is unknown, and unknown plus anything is unknown.

    `calls` counts draws and judge calls. `prompt_tokens` are those computed or billed, `cached_tokens`
    those among them that a cache served. `seconds` are the draws' own durations added up: more than the
    time on the clock where draws run side by side. `retries` counts requests made again because they failed;
    what those may have cost is in the other parts.
    """

    calls: int | None = 0
    prompt_tokens: int | None = 0
    output_tokens: int | None = 0
    verifier_tokens: int | None = 0
    cached_tokens: int | None = 0
    flops: float | None = 0.0
    usd: float | None = 0.0
    seconds: float | None = 0.0
    retries: int | None = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            _plus(self.calls, other.calls),
            _plus(self.prompt_tokens, other.prompt_tokens),
            _plus(self.output_tokens, other.output_tokens),
            _plus(self.verifier_tokens, other.verifier_tokens),
            _plus(self.cached_tokens, other.cached_tokens),
            _plus(self.flops, other.flops),
            _plus(self.usd, other.usd),
            _plus(self.seconds, other.seconds),
            _plus(self.retries, other.retries),
        )

    @property
    def tokens(self) -> int | None:
        """Tokens generated, by the model and by verifiers: what `Budget.tokens` caps."""
        return _plus(self.output_tokens, self.verifier_tokens)


@dataclass(frozen=True, slots=True)
class Budget:
    """Ceilings for one run; `None` is no ceiling.

    `calls`: draws and judge calls. `tokens`: tokens generated. `usd`, `flops`: as priced by the model.
    `seconds`: time on the clock from the start of the run.
    """

    calls: int | None = None
    tokens: int | None = None
    usd: float | None = None
    flops: float | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation; `role` is `system`, `user` or `assistant`."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conversation, and the start of the reply that the model is to continue."""

    messages: tuple[Message, ...]
    prefix: str = ""

    @classmethod
    def user(cls, content: str) -> Prompt:
        """A conversation of one user message."""
        return cls((Message("user", content),))

    def extend(self, text: str) -> Prompt:
        """The same conversation with `text` added to the partial reply."""
        return replace(self, prefix=self.prefix + text)


@dataclass(frozen=True, slots=True)
class Params:
    """How to sample. `top_p=1` and `top_k=0` switch those filters off; temperature 0 is greedy."""

    temperature: float = 1.0
    max_tokens: int = 512
    stop: tuple[str, ...] = ()
    top_p: float = 1.0
    top_k: int = 0
    logprobs: int | None = None
    """Ask for token log-probabilities and for this many of the likeliest tokens beside each; `None`: not needed."""
    logit_bias: tuple[tuple[str, float], ...] = ()
    """Added to the logit of the token that each of these texts begins with; refused where a model cannot do it."""
    thinking_tokens: int | None = None
    """The server's own limit on a whole reply's thought; refused where none was found to be kept. `None`: no limit."""


class Draw(NamedTuple):
    """One draw to be made: its number among the draws of its question, and the seed that belongs to it."""

    number: int
    seed: int


@dataclass(frozen=True, slots=True)
class Problem:
    """What a strategy may see. There is no gold answer here, by type.

    `given` holds what may be checked at run time (the numbers of a countdown, public tests, a theorem).
    """

    id: str
    prompt: Prompt
    kind: AnswerKind = AnswerKind.TEXT
    given: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sample:
    """One numbered draw.

    `text` continues `prompt.prefix`. `draw` is its number among the draws of this question, `seed` what it
    was drawn with (`None`: the server took none), `logprobs` one natural logarithm a token (`None`: not
    told), `answer` an answer that came beside the text, as recordings have (`None`: read it from the text).
    `reasoning` is the thought that a server tells apart from the text, `alternatives` the likeliest tokens at
    each place with their logarithms, and `batch` how many draws shared its request (`None`: no such thing);
    its cost is then its share of what the request cost.
    """

    prompt: Prompt
    text: str
    finish: Finish
    cost: Cost = Cost(calls=1)
    draw: int = 0
    seed: int | None = None
    logprobs: tuple[float, ...] | None = None
    answer: str | None = None
    error: str | None = None
    reasoning: str | None = None
    alternatives: tuple[tuple[tuple[str, float], ...], ...] | None = None
    batch: int | None = None

    @property
    def reply(self) -> str:
        """The whole reply: what the prompt had begun and what the model added."""
        return self.prompt.prefix + self.text


@dataclass(frozen=True, slots=True)
class Score:
    """A verifier's verdict in [0, 1], or `None` when it could not tell, with the reason in `why`.

    `steps` has one value a step where the verifier scores the process. `is_lasting` says of a score without a
    value that asking again would say the same, as it is not where something failed: only then is it banked.
    """

    value: float | None
    steps: tuple[float, ...] = ()
    cost: Cost = Cost()
    why: str = ""
    is_lasting: bool = False


@dataclass(frozen=True, slots=True)
class Pair:
    """Two samples to be compared, in the order in which the judge sees them."""

    first: Sample
    second: Sample


@dataclass(frozen=True, slots=True)
class Preference:
    """Probability that the first of a pair is better; `None` when the judge could not tell, with `why`.

    `is_lasting` says of a preference without a value that asking again would say the same: only then is it banked.
    """

    first: float | None
    cost: Cost = Cost()
    why: str = ""
    is_lasting: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a strategy made of a problem.

    `best` is the sample it settled on (`None`: it has none), `candidates` all that it drew, `scores` one for
    each candidate or empty, `tally` the weight of each answer class, heaviest first, where it voted.
    `confidence` is the winner's share of that weight, or its score. `notes` are whatever else the strategy has to
    say, by name: a vote tells how many candidates gave `no_answer` and how many have an `undecided` class.
    """

    best: Sample | None
    answer: str | None
    candidates: tuple[Sample, ...] = ()
    scores: tuple[Score, ...] = ()
    tally: tuple[tuple[str, float], ...] = ()
    confidence: float | None = None
    stopped: Stopped = Stopped.COMPLETE
    notes: Mapping[str, float | str | None] = field(default_factory=dict)

    @property
    def n_unscored(self) -> int:
        """How many candidates the verifier could not score."""
        return sum(score.value is None for score in self.scores)


@dataclass(frozen=True, slots=True)
class Grade:
    """Whether a reply is right. `correct` is `None` when that could not be decided, with `why`."""

    correct: bool | None
    why: str = ""


@runtime_checkable
class Purse(Protocol):
    """What a call of `Model.sample` spends from: told what was lost, asked before more is spent than was quoted."""

    def __call__(self, cost: Cost) -> None:
        """A draw was begun, cost this and was not delivered."""
        ...

    def hold(self, cost: Cost) -> bool:
        """Sets so much aside until the call ends, as for a second attempt at a draw; `False`: no ceiling allows it."""
        ...

    def pay(self, cost: Cost) -> None:
        """Something beside draws was paid for, as a look at what a server can do."""
        ...


class Model(Protocol):
    """Remote, embedded, recorded, fake or wrapped: all the same to a strategy."""

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> str:
        """What its draws are banked under: the name and all else that changes them, such as the weights."""
        ...

    @property
    def can_continue(self) -> bool:
        """Whether it can go on from `Prompt.prefix`; asked before anything is spent."""
        ...

    def quote(self, prompt: Prompt, params: Params) -> Cost:
        """The most that one draw can cost, held before it is made. `None` where that is unknown."""
        ...

    def sample(
        self, prompt: Prompt, params: Params, draws: Sequence[Draw], lost: Callable[[Cost], None]
    ) -> AsyncGenerator[Sample, None]:
        """The draws asked for, as they finish; `Sample.draw` is `Draw.number`.

        Fewer draws mean that there are no more. Closing the generator cancels what is under way, and `lost`
        is then told the cost of every draw that was begun and not delivered. A run gives a `Purse` as `lost`.
        """
        ...


@runtime_checkable
class Served(Protocol):
    """What a model behind a server has beside `Model`: it must find out what the server can do."""

    @property
    def why_no_continuation(self) -> str:
        """Why `can_continue` is false, and what would help."""
        ...

    async def prepare(self, purse: Purse | None = None) -> None:
        """Finds out what the server can do, unless that is known; `purse` pays for it."""
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
        """The most that scoring these samples can cost."""
        ...

    async def score(self, problem: Problem, samples: Sequence[Sample]) -> Sequence[Score]:
        """One score for each sample, in order."""
        ...


class ProcessVerifier(Verifier, Protocol):
    """A verifier whose scores have `Score.steps`, and whose value of a reply's beginning tells what it promises.

    Tree searches ask for `split` before they spend anything; a verifier that has none scores whole replies only.
    """

    @property
    def split(self) -> str | None:
        """What ends a step; `None`: it scores whole replies only."""
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
        """The most that these comparisons can cost."""
        ...

    async def prefer(self, problem: Problem, pairs: Sequence[Pair]) -> Sequence[Preference]:
        """One preference for each pair, in order."""
        ...


class Strategy(Protocol):
    """A frozen value: its fields are its options and its call is the algorithm."""

    async def __call__(self, problem: Problem, run: Run) -> Outcome: ...


class Task(Protocol):
    """A problem set, and the only holder of gold answers."""

    @property
    def name(self) -> str: ...

    def problems(self) -> Iterable[Problem]: ...

    async def grade(self, problem_id: str, sample: Sample) -> Grade: ...
