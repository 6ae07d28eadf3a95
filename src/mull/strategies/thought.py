"""A thought drawn in pieces that stop before its end delimiter, so that it can be continued, cut or closed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from mull.errors import ParamError, PromptError
from mull.replies import thinking
from mull.replies.answers import answers_of
from mull.replies.thinking import Delimiters
from mull.run import Run
from mull.types import Finish, Outcome, Params, Problem, Prompt, Sample

End = Literal["model", "length", "context", "ceiling", "error"]
"""Why a piece of a thought ended: the model ended the thought, the piece reached the requested length, the model's
context or a ceiling of the budget was used up, or the draw failed."""


def tokens_of(sample: Sample, most: int) -> int:
    """Tokens of a draw limited to `most`; `most` itself if the server did not count them."""
    n = sample.cost.output_tokens
    return most if n is None else n


def room_of(params: Params, n_answer: int) -> int:
    """Tokens that `max_tokens` leaves for the thought. Raises `ParamError` if the answer does not fit."""
    if params.max_tokens < n_answer:
        raise ParamError(
            "max_tokens",
            f"max_tokens={params.max_tokens} leaves no room for an answer: n_answer={n_answer} tokens are reserved",
        )
    return params.max_tokens - n_answer


class Thought:
    """The thought of one reply to a problem, and the answer after it.

    The thought's tokens are those drawn inside it, with its closing delimiter if the model counts that; inserted
    strings do not count. `n_answer` tokens of `Params.max_tokens`, of the model's context and of the budget's ceilings
    are reserved for the answer.
    """

    def __init__(self, problem: Problem, run: Run, marks: Delimiters, n_answer: int) -> None:
        self.problem, self.run, self.marks, self.n_answer = problem, run, marks, n_answer
        self.n_tokens = 0
        self.end: End = "length"
        """Why the last piece ended."""
        self.pieces: list[Sample] = []
        self.text = problem.prompt.prefix + marks.begin
        """The text so far, inserted strings included."""

    @classmethod
    async def start(
        cls, problem: Problem, run: Run, marks: Delimiters, n_answer: int, strings: Sequence[str] = ()
    ) -> Thought:
        """Checks, before any draw, that the model can continue a partial reply and read the delimiters and `strings`.

        `strings` are those that may be inserted into the thought. Raises `UsageError` otherwise.
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
        """The prompt that continues the thought."""
        return replace(self.problem.prompt, prefix=self.text)

    @property
    def is_ended(self) -> bool:
        """Whether the model ended the thought."""
        return self.end == "model"

    @property
    def answer_params(self) -> Params:
        """Parameters of the answer's draw, with the tokens reserved for it."""
        return replace(self.run.params, max_tokens=self.n_answer)

    @property
    def cut(self) -> Prompt:
        """The prompt for an answer from the thought so far: closed, with the cue."""
        return replace(self.problem.prompt, prefix=thinking.closed(self.text, self.marks, is_cut=True))

    async def think(
        self, most: int, stop: tuple[str, ...] = (), logit_bias: tuple[tuple[str, float], ...] = ()
    ) -> Sample | None:
        """Continues the thought by at most `most` tokens; `stop` are further stop strings. `None`: nothing was drawn.

        Sets `end` to the reason why the piece ended.
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
        """`most`, or fewer tokens if the model's context is known and has no room for them and the answer."""
        quote = self.run.model.quote
        try:
            closing = quote(self.cut, self.answer_params).prompt_tokens
            begun = quote(self.prompt, self.answer_params).prompt_tokens
            kept = self.n_answer + (0 if closing is None or begun is None else closing - begun)
            room = quote(self.prompt, replace(self.run.params, max_tokens=most + kept)).output_tokens
        except PromptError:
            return 0
        return most if room is None else min(most, room - kept)

    def beginning(self) -> str:
        """The text so far, with the opening delimiter in full if the model has written only a part of it."""
        own, marks = self.problem.prompt.prefix, self.marks
        written = self.text.removeprefix(own).lstrip()
        is_partial = marks.opens == "model" and marks.open.startswith(written) and written != marks.open
        return own + marks.open + "\n" if is_partial else self.text

    def go_on(self, string: str) -> None:
        """Removes the thought's end, and begins a new line with `string` unless that is empty."""
        self.text = thinking.again(self.text, string)
        if self.pieces:
            self.run.note("gone on", self.pieces[-1:], string=string)

    async def answer(self) -> Sample | None:
        """Closes the thought and draws the answer; `None` if a ceiling leaves no room for it.

        Makes one more draw if the model ended its thought but gave no answer, with the cue; or if the thought left no
        room for an answer in the context, with the end of the thought removed.
        """
        run, params = self.run, self.run.params
        if self.pieces and self.pieces[-1].finish is Finish.ERROR and len(self.pieces) == 1:
            return self.pieces[0]
        params = replace(params, max_tokens=max(self.n_answer, params.max_tokens - self.n_tokens))
        closed = replace(self.problem.prompt, prefix=thinking.closed(self.text, self.marks, is_cut=not self.is_ended))
        drawn = await run.draw(closed, 1, params)
        if drawn and drawn[0].finish is Finish.ERROR and self.end == "context":
            self._shorten()
            drawn = await run.draw(self.cut, 1, self.answer_params) or drawn
        elif drawn and drawn[0].finish is not Finish.ERROR and self.is_ended and not drawn[0].text.strip():
            cued = replace(self.problem.prompt, prefix=thinking.cued(drawn[0].reply, self.marks))
            drawn = await run.draw(cued, 1, self.answer_params) or drawn
        return drawn[0] if drawn else None

    def _shorten(self) -> None:
        """Removes the end of a thought that filled the context, for a server that does not report its context size."""
        added = len(self.text) - len(self.problem.prompt.prefix)
        # Twice the answer's length: the delimiters need room too, and every token has at least one letter.
        n = min(added, 2 * self.n_answer * max(1, -(-added // max(self.n_tokens, 1))))
        self.text = self.text[: len(self.text) - n]
        self.text = self.text[: self.text.rfind("\n", len(self.problem.prompt.prefix)) + 1] or self.text

    def warning(self) -> str | None:
        """A warning if the model does not write the expected delimiters."""
        marks, drawn = self.marks, [piece for piece in self.pieces if piece.finish is not Finish.ERROR]
        if not drawn:
            return None
        whole = drawn[0].prompt.prefix + thinking.written(drawn[0], marks)
        if marks.opens == "model" and not thinking.begins(whole.removeprefix(self.problem.prompt.prefix), marks):
            return (
                f"{self.run.model.name} did not begin its reply with {marks.open!r}: it uses others, does not think, "
                "or its chat template already opened the thought; name a family or OPEN...CLOSE with think="
            )
        if any(p.finish is Finish.STOP and (p.reasoning is None or not p.text.strip()) for p in drawn):
            return f"{self.run.model.name} ended its reply inside the thought, without {marks.close!r}"
        return None

    async def outcome(self, sample: Sample | None, **notes: float | str | None) -> Outcome:
        """The outcome of one complete reply; its notes give the thought's length and why it ended."""
        answer = None if sample is None else (await answers_of(self.problem, [sample]))[0]
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
