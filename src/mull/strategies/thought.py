"""A thought under way: drawn in pieces that stop where it would end, so that it can be gone on with, cut or closed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from mull.errors import PromptError, UsageError
from mull.replies import thinking
from mull.replies.answers import answer_of
from mull.replies.thinking import Delimiters
from mull.run import Run
from mull.types import Finish, Outcome, Params, Problem, Prompt, Sample

End = Literal["model", "length", "context", "ceiling", "error"]
"""Why a piece of a thought ended: the model ended the thought, it had the length asked for, the model's context or a
ceiling of the budget was used up, or the draw failed."""


def tokens_of(sample: Sample, most: int) -> int:
    """Tokens of a draw that was to have `most` at most; where nobody counted them it is taken to have had them all."""
    n = sample.cost.output_tokens
    return most if n is None else n


def room_of(params: Params, n_answer: int) -> int:
    """Tokens that `max_tokens` leaves for the thought. Raises `UsageError` where it has no room for the answer."""
    if params.max_tokens < n_answer:
        raise UsageError(
            f"max_tokens={params.max_tokens} leaves no room for an answer: n_answer={n_answer} tokens are kept"
        )
    return params.max_tokens - n_answer


class Thought:
    """The thought of one reply to a problem, and at its end the answer.

    Tokens of the thought are those that were drawn inside it, its closing delimiter among them where the model counts
    that; what was put there by hand is not drawn and not counted. So many tokens as `n_answer` are kept for the
    answer, of `Params.max_tokens`, of the model's context and of the budget's ceilings.
    """

    def __init__(self, problem: Problem, run: Run, marks: Delimiters, n_answer: int) -> None:
        self.problem, self.run, self.marks, self.n_answer = problem, run, marks, n_answer
        self.n_tokens = 0
        self.end: End = "length"
        """Why the last piece ended."""
        self.pieces: list[Sample] = []
        self.text = problem.prompt.prefix + marks.begin
        """All that was written so far."""

    @classmethod
    async def start(
        cls, problem: Problem, run: Run, marks: Delimiters, n_answer: int, strings: Sequence[str] = ()
    ) -> Thought:
        """Refuses, before anything is spent, a model that cannot go on with its own text or cannot read the delimiters
        or one of the `strings` that may be put into the thought. Raises `UsageError`.
        """
        room_of(run.params, n_answer)
        await run.prepare()
        run.check_continues()
        thought = cls(problem, run, marks, n_answer)
        for string in ("", *strings):
            put = thinking.closed(thinking.again(thought.text, string), marks, is_cut=True)
            try:
                run.priced(replace(problem.prompt, prefix=put), thought.answer_params)
            except PromptError as error:
                if not string:
                    raise
                raise PromptError(f"{string!r} cannot be put into a thought: {error}") from error
        return thought

    @property
    def prompt(self) -> Prompt:
        """What to ask for more of the thought."""
        return replace(self.problem.prompt, prefix=self.text)

    @property
    def is_ended(self) -> bool:
        """Whether the model ended it."""
        return self.end == "model"

    @property
    def answer_params(self) -> Params:
        """With the tokens that are kept for an answer."""
        return replace(self.run.params, max_tokens=self.n_answer)

    @property
    def cut(self) -> Prompt:
        """What to ask for the answer of the thought as it stands: closed, with the cue."""
        return replace(self.problem.prompt, prefix=thinking.closed(self.text, self.marks, is_cut=True))

    async def think(
        self, most: int, stop: tuple[str, ...] = (), logit_bias: tuple[tuple[str, float], ...] = ()
    ) -> Sample | None:
        """Goes on for `most` tokens at most; `stop` are further strings to stop before. `None`: nothing was drawn.

        What is in the way of more is in `end` afterwards.
        """
        run = self.run
        n, self.end = self._room(most), "context"
        if n < min(most, 1):
            return None
        if n < 1:
            self.end = "length"
            return None
        bias = (*run.params.logit_bias, *logit_bias)
        params = replace(run.params, max_tokens=n, stop=(*self.marks.until, *stop), logit_bias=bias)
        with run.reserve(self.cut, self.answer_params):
            allowed = run.left.tokens
            drawn = await run.draw(self.prompt, 1, params)
        if not drawn:
            self.end = "ceiling"
            return None
        (sample,) = drawn
        self.pieces.append(sample)
        self.n_tokens += tokens_of(sample, n)
        if sample.finish is Finish.ERROR:
            self.end = "error"
            return sample
        self.text = thinking.opened(self.text + thinking.written(sample, self.marks), self.marks)
        if thinking.is_whole_thought(sample):
            self.end = "model"
        elif allowed is not None and allowed < n:
            self.end = "ceiling"
        else:
            self.end = "length" if n == most and tokens_of(sample, n) >= n else "context"
        return sample

    def _room(self, most: int) -> int:
        """So many tokens of `most` as the model's context has room for beside the answer, as far as that is known."""
        quote = self.run.model.quote
        try:
            closing = quote(self.cut, self.answer_params).prompt_tokens
            begun = quote(self.prompt, self.answer_params).prompt_tokens
            kept = self.n_answer + (0 if closing is None or begun is None else closing - begun)
            room = quote(self.prompt, replace(self.run.params, max_tokens=most + kept)).output_tokens
        except PromptError:
            return 0
        return most if room is None else min(most, room - kept)

    def go_on(self, string: str) -> None:
        """Takes the end back, and begins a new line with `string` unless that is empty."""
        self.text = thinking.again(self.text, string)
        if self.pieces:
            self.run.note("gone on", self.pieces[-1:], string=string)

    async def answer(self) -> Sample | None:
        """Closes the thought and draws the answer; `None`: no ceiling allows it.

        Where the model ended its thought and then gives no answer it is asked again with the cue, and where the thought
        turns out to have left no room for one, without the thought's end: a draw more in both cases.
        """
        run, params = self.run, self.run.params
        if self.pieces and self.pieces[-1].finish is Finish.ERROR and len(self.pieces) == 1:
            return self.pieces[0]
        params = replace(params, max_tokens=max(self.n_answer, params.max_tokens - self.n_tokens))
        closed = replace(
            self.problem.prompt, prefix=thinking.closed(self.text, self.marks, is_cut=not self.is_ended)
        )  # fmt: skip
        drawn = await run.draw(closed, 1, params)
        if drawn and drawn[0].finish is Finish.ERROR and self.end == "context":
            self._shorten()
            drawn = await run.draw(self.cut, 1, self.answer_params) or drawn
        elif drawn and drawn[0].finish is not Finish.ERROR and self.is_ended and not drawn[0].text.strip():
            cued = replace(self.problem.prompt, prefix=thinking.cued(drawn[0].reply, self.marks))
            drawn = await run.draw(cued, 1, self.answer_params) or drawn
        return drawn[0] if drawn else None

    def _shorten(self) -> None:
        """Drops the end of a thought that filled the context of a server that does not tell how large that is."""
        added = len(self.text) - len(self.problem.prompt.prefix)
        # Twice the answer's length, for the delimiters need room as well and no token is shorter than a letter.
        n = min(added, 2 * self.n_answer * max(1, -(-added // max(self.n_tokens, 1))))
        self.text = self.text[: len(self.text) - n]
        self.text = self.text[: self.text.rfind("\n", len(self.problem.prompt.prefix)) + 1] or self.text

    def warning(self) -> str | None:
        """What is wrong where the model does not write the delimiters that it was said to write."""
        marks, drawn = self.marks, [piece for piece in self.pieces if piece.finish is not Finish.ERROR]
        if not drawn:
            return None
        whole = drawn[0].prompt.prefix + thinking.written(drawn[0], marks)
        if marks.opens == "model" and not thinking.begins(whole.removeprefix(self.problem.prompt.prefix), marks):
            return (
                f"{self.run.model.name} did not begin its reply with {marks.open!r}: it thinks between others "
                "or not at all, or its chat template has opened the thought; name a family or OPEN...CLOSE with think="
            )
        if any(p.finish is Finish.STOP and (p.reasoning is None or not p.text.strip()) for p in drawn):
            return f"{self.run.model.name} ended its reply inside the thought, without {marks.close!r}"
        return None

    def outcome(self, sample: Sample | None, **notes: float | str | None) -> Outcome:
        """The outcome of one whole reply; its notes say how long the thought was and why it ended."""
        answer = None if sample is None else answer_of(self.problem, sample)
        failed = next((p.error for p in self.pieces if p.finish is Finish.ERROR), None)
        is_counted = all(piece.cost.output_tokens is not None for piece in self.pieces)
        told: dict[str, float | str | None] = {
            "thinking_tokens": self.n_tokens if is_counted else None,
            "thought_ended_by": self.end,
            **notes,
        }
        if warning := self.warning():
            told["warning"] = warning
        if failed is not None:
            told["error"] = failed
        whole = () if sample is None else (sample,)
        return Outcome(sample, answer, whole, stopped=self.run.stopped, notes=told)
