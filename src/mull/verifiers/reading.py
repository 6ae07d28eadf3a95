"""The input format and output reading of a reward model, as one frozen declaration.

Every reward model has its own conventions: the text before the question, where a step ends, which token marks it,
which number at that position is the score. With another model's conventions it still answers, but wrongly. A `Reading`
declares them in one place; every backend (`servers.py`, `local.py`, an embedded one) follows it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal, NamedTuple, Protocol

from mull.replies.steps import Fold, fold, split
from mull.types import Message, Problem, Score

Row = Sequence[float]


class Unscored(Exception):
    """Why something has no score; caught where scores are made, never raised to callers.

    `may_be_paid`: it may have been computed at an unknown cost.
    """

    def __init__(self, why: str, may_be_paid: bool = False) -> None:
        super().__init__(why)
        self.may_be_paid = may_be_paid


class Rows(NamedTuple):
    """A reward model's output: one row of numbers for each position where a value is read.

    `is_activated`: the activation has been applied. `n_tokens`: the number of tokens read (`None`: unknown).
    """

    values: Sequence[Row]
    is_activated: bool
    n_tokens: int | None


class RewardInput(NamedTuple):
    """A question and a reply as input of a reward model, in every form that a backend may need.

    `messages` is the conversation; in a dialogue of turns a value is read at each assistant message. `head` and `body`
    are the same as plain text, before the reply and from it on (`None`: the model's template is unknown). `pieces` are
    the parts of that text if they are tokenized separately: the text before the reply, then each step and its tag.
    """

    messages: tuple[Message, ...]
    head: str | None
    body: str
    pieces: tuple[str, ...]
    n_values: int
    n_steps: int


class RewardBackend(Protocol):
    """Runs a reward model: a server, this process, the embedded runtime."""

    @property
    def model(self) -> str:
        """The model's name, under which its scores are banked."""
        ...

    async def rows(self, asked: RewardInput, reading: Reading) -> Rows:
        """The numbers of one reply; raises `Unscored` if there are none."""
        ...


@dataclass(frozen=True)
class Reading:
    """The conventions of one reward model.

    `form`: a conversation for the model's chat template, plain text, or a dialogue in which each step is a user turn
    that the model answers. `split` is the separator of steps (`None`: the reply is scored as a whole), `label` the
    prefix added to a step that does not begin with it (`{i}` is its number), `tag` the token after each step where its
    value is read, `joint` the text between steps.
    """

    form: Literal["chat", "plain", "turns"]
    readout: Literal["class", "pair", "value"]
    """The numbers at a position: one for each class, the logits of two tokens of the vocabulary, or a single one."""
    activation: Literal["none", "sigmoid", "softmax"]
    split: str | None = None
    system: str = ""
    template: Literal["", "chatml", "llama3"] = ""
    """The chat template as text, for servers that apply none themselves."""
    start: str = ""
    """For plain text: the text before the reply; `{question}` is replaced by the question."""
    label: str = ""
    tag: str = ""
    tag_id: int | None = None
    joint: str = ""
    index: int = 0
    """Index of the number for the good class."""
    pair: tuple[str, str] = ("", "")
    """The tokens whose logits are read, the good one first, as text ..."""
    pair_ids: tuple[int, int] | None = None
    """... and as ids, for servers that need those."""
    at: Literal["end", "tag", "piece"] = "end"
    """Where values are read: at the end, at each tag, or at the end of each separately tokenized piece."""
    low: float = 0.0
    high: float = 1.0
    """The range of the activation's values, which are rescaled to [0, 1]."""
    fold: Fold = "last"
    reserved: tuple[str, ...] = ()
    """Special tokens of the model: a reply that contains one could forge the input format."""
    server: str = "pooling"
    """The usual server API for it; see `servers.SERVERS`."""

    @property
    def is_process(self) -> bool:
        """Whether it scores steps."""
        return self.split is not None

    @property
    def digest(self) -> str:
        """An eight-character hash of these conventions."""
        told = "/".join(f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if f.name != "server")
        return hashlib.blake2b(told.encode(), digest_size=4).hexdigest()

    def asked(self, problem: Problem, reply: str) -> RewardInput:
        """The model's input for a reply; raises `Unscored` if there is none."""
        question = "\n\n".join(m.text for m in problem.prompt.messages if m.role == "user")
        for where, text in (("question", question), ("reply", reply)):
            for token in (*self.reserved, self.tag):
                if token.strip() and token in text:
                    raise Unscored(f"the {where} contains {token!r}, a special token of the reward model")
        whole = [reply.strip()] if self.split is None else [s.strip() for s in split(reply, self.split)]
        steps = [self._labelled(i, step) for i, step in enumerate(whole, 1) if step]
        if not steps:
            raise Unscored("the reply is empty")
        start = self.start.replace("{question}", question)
        joined = self.joint.join(step + self.tag for step in steps)
        if self.form == "turns":
            messages = self._turns(start, steps)
        else:
            turns = [m for m in problem.prompt.messages if m.role != "system"]
            system = [Message("system", self.system)] if self.system else []
            messages = (*system, *turns, Message("assistant", joined))
        head, body = (start, joined) if self.form == "plain" else self._written(messages)
        pieces = [start]
        for i, step in enumerate(steps):
            pieces += [self.joint + step if i else step, self.tag]
        n_values = len(steps) if self.is_process else 1
        return RewardInput(messages, head, body, tuple(pieces), n_values, len(steps))

    def _labelled(self, i: int, step: str) -> str:
        label = self.label.replace("{i}", str(i))
        return step if step.startswith(label) else label + step

    def _turns(self, start: str, steps: Sequence[str]) -> tuple[Message, ...]:
        messages = []
        for i, step in enumerate(steps):
            messages += [Message("user", step if i else start + step), Message("assistant", self.pair[0])]
        return tuple(messages)

    def _written(self, messages: Sequence[Message]) -> tuple[str | None, str]:
        """A conversation as text, in two parts: everything before its last message, and that message."""
        if not self.template:
            return None, ""
        begin, middle, end = _TEMPLATES[self.template]
        turns = [f"{begin}{m.role}{middle}{m.text}{end}" for m in messages]
        head = "".join(turns[:-1]) + f"{begin}assistant{middle}"
        return head, messages[-1].text + end

    def values(self, rows: Rows, n_values: int) -> tuple[float, ...]:
        """The scores from rows of numbers, each in [0, 1]; raises `Unscored` if they are invalid."""
        if len(rows.values) != n_values:
            raise Unscored(
                f"the reward model returned values for {len(rows.values)} places instead of {n_values}: "
                "its server reads steps at other places than the preset"
            )
        return tuple(self._value(row, rows.is_activated) for row in rows.values)

    def _value(self, row: Row, is_activated: bool) -> float:
        needed = {"pair": 2, "value": 1}.get(self.readout)
        if len(row) <= self.index or (needed is not None and len(row) != needed):
            raise Unscored(f"the reward model returned {len(row)} numbers at a place; the preset reads {self._what()}")
        if not all(math.isfinite(x) for x in row):
            raise Unscored("the reward model returned a number that is not finite")
        value = row[self.index]
        if self.activation == "softmax":
            if is_activated and not (min(row) >= 0 and math.isclose(math.fsum(row), 1, abs_tol=1e-2)):
                raise Unscored(f"the reward model returned {list(row)} instead of probabilities")
            value = value if is_activated else softmax(row)[self.index]
        elif self.activation == "sigmoid" and not is_activated:
            value = sigmoid(value)
        if not self.low <= value <= self.high:
            raise Unscored(f"the reward model returned {value:g}, outside its range of {self.low:g} to {self.high:g}")
        return (value - self.low) / (self.high - self.low)

    def _what(self) -> str:
        if self.readout == "value":
            return "one: a classifier of several labels needs a preset that says which is good"
        return "two" if self.readout == "pair" else f"number {self.index}"

    def score(self, values: Sequence[float], how: Fold, n_steps: int) -> Score:
        """One score folded from the values of a reply; its `why` notes a reply of a single step."""
        if not self.is_process:
            return Score(values[-1])
        why = f"the reply is a single step: it has no {self.split!r}" if n_steps == 1 else ""
        return Score(fold(values, how), tuple(values), why=why)


def sigmoid(x: float) -> float:
    """The logistic function, without overflow."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def softmax(row: Row) -> list[float]:
    """Probabilities from logits or log-probabilities, without overflow."""
    top = max(row)
    powers = [math.exp(x - top) for x in row]
    return [power / math.fsum(powers) for power in powers]


_TEMPLATES = {
    "chatml": ("<|im_start|>", "\n", "<|im_end|>\n"),
    "llama3": ("<|start_header_id|>", "<|end_header_id|>\n\n", "<|eot_id|>"),
}
