"""Carry-over thinking: a thought in chunks, each of which sees only the end of the one before (Delethink)."""

from __future__ import annotations

from dataclasses import dataclass

from mull.replies import thinking
from mull.run import Run
from mull.strategies.force import check_marks
from mull.strategies.outcomes import check_at_least
from mull.strategies.thought import Thought, room_of
from mull.types import Need, Outcome, Problem, Scaling, Selection


@dataclass(frozen=True)
class Delethink:
    """One chain of thought in chunks with a short carry-over (Delethink: Aghajohari et al. 2025, arXiv 2510.06557).

    After `chunk` tokens the model continues from the question, the first `head` tokens of its thought and the last
    `carry` ones alone, by `chunk` - `carry` tokens, and so on until it ends the thought or reaches `max_tokens`. So its
    context holds at most the question, `head` + `chunk` tokens and the answer, however long it thinks. `n_answer`,
    `think` and `cue` are as in `force`.
    """

    needs = frozenset({Need.CONTINUATION})
    draws = Scaling.SEQUENTIAL
    selects = Selection.NONE

    chunk: int = 8192
    carry: int = 4096
    head: int = 100
    n_answer: int = 32
    think: str = "think"
    cue: str | None = None

    def __post_init__(self) -> None:
        check_at_least(1, carry=self.carry)
        check_at_least(0, head=self.head)
        check_marks(self.think, self.cue, self.n_answer)
        # A chunk is drawn in parts, so that the text of its last `carry` tokens is known.
        check_at_least(self.carry + max(self.carry, self.head), chunk=self.chunk)

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        await run.check(self)
        most = room_of(run.params, self.n_answer)
        thought = await Thought.start(problem, run, thinking.delimiters(self.think, self.cue), self.n_answer)
        n_chunks, n_fresh = 1, self.chunk - self.head
        await self._go_on(thought, self.head, most)
        head = thought.beginning()
        while await self._go_on(thought, n_fresh - self.carry, most):
            n_before = len(thought.text)
            if not await self._go_on(thought, self.carry, most):
                break
            thought.text = head + thought.text[n_before:]
            n_chunks, n_fresh = n_chunks + 1, self.chunk - self.carry
        return await thought.outcome(await thought.answer(), chunks=n_chunks)

    @staticmethod
    async def _go_on(thought: Thought, n: int, most: int) -> bool:
        """Continues the thought by n tokens, `most` in all; returns whether it can go on after them."""
        n = min(n, most - thought.n_tokens)
        if n > 0 and thought.end == "length":
            await thought.think(n)
        return thought.end == "length" and thought.n_tokens < most
