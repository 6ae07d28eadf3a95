"""Synthesis: a model reads several replies and writes one, or says which is best."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mull.replies.answers import answers_of, classes, extract
from mull.replies.aside import aside
from mull.run import Run
from mull.strategies import pick
from mull.strategies.outcomes import check_at_least, elected, turnout
from mull.strategies.quoting import check_reads, legible, numbered, quoting, said, showing
from mull.types import NO_NEEDS, AnswerKind, Ask, Model, Outcome, Problem, Sample, Scaling, Selection

COMPARE = (
    "Do not do the task yet. Compare the replies under five headings, each with a few short points that name the "
    "replies: Agreement, Contradictions, In one reply only, Missing from all, Mistakes."
)
FUSE = (
    "Now do the task: write one reply, complete in itself and in the form that the task asks for. Take what the "
    "replies have right, decide each contradiction on its merits, and add what is missing. Do not mention the replies."
)
DISTIL = (
    "Do not do the task yet. Write short notes for somebody who will do it without seeing these replies: what is "
    "established, which results disagree and what speaks for each, which ideas failed and why, what is still to check."
)
REFINE = (
    "Do the task with the help of these notes, which may be wrong in part: check what you use. Write a reply that is "
    "complete in itself and in the form that the task asks for. Do not mention the notes."
)
SELECT = (
    "Do not do the task yourself. Judge which one of these replies does it best: compare them step by step, and check "
    "what they claim. Then end with one line of the form `answer: NUMBER`, with the number of that reply."
)

UNREAD = -1
"""Stands for no reply in the votes of a list."""


async def _written(problem: Problem, run: Run, drafts: Sequence[Sample], last: Sequence[Sample]) -> Outcome:
    """The outcome of a reply written from drafts; where it could not be made, that of the drafts' most frequent one."""
    final = legible(last)
    if not final:
        answers = await classes(problem, drafts)
        outcome = elected(pick.majority(answers, run.rng), answers, drafts, (), run.stopped)
        notes = {**turnout(answers), "written": 0, "warning": "no reply was written from the drafts: most frequent one"}
        return replace(outcome, tally=(), confidence=None, candidates=(*drafts, *last), notes=notes)
    (answer,) = await answers_of(problem, final)
    return Outcome(final[0], answer, (*drafts, *final), stopped=run.stopped, notes={"written": 1})


@dataclass(frozen=True)
class Fuse:
    """Fusion: several replies, compared in a structured way, and one written from replies and comparison.

    The run's model draws n replies, and each of `models` as many. `writer`, by default the run's model, compares them
    (agreements, contradictions, what only one has, what all miss, mistakes) and then writes the reply. The replies are
    shown in random order. If a ceiling leaves no room for the writer, the drafts' most frequent answer is taken, with
    a warning. Generative aggregation is trained for in AggLM (arXiv 2509.06870).
    """

    needs = NO_NEEDS
    draws = Scaling.SEQUENTIAL
    selects = Selection.NONE
    reuses = True

    n: int = 4
    models: tuple[Model, ...] = ()
    writer: Model | None = None

    def __post_init__(self) -> None:
        check_at_least(1, n=self.n)

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        writer = run.on(self.writer)
        await check_reads(problem, writer, FUSE)
        with writer.reserve(problem.prompt):
            drafts = await run.draw(problem.prompt, self.n)
            for model in self.models:
                drafts += await run.on(model).draw(problem.prompt, self.n)
            shown = legible(drafts)
            run.rng.shuffle(shown)
            compared = await writer.draw(showing(problem, writer, shown, COMPARE)) if len(shown) > 1 else []
        last: list[Sample] = []
        if shown:
            notes = [("comparison", said(one)) for one in legible(compared)]
            quoted = [*numbered([said(one) for one in shown]), *notes]
            last = await writer.draw(quoting(problem, quoted, FUSE, run.seed))
        outcome = await _written(problem, run, drafts, last)
        return replace(outcome, candidates=(*drafts, *last))


@dataclass(frozen=True)
class Pdr:
    """Parallel-distill-refine: rounds of n drafts, each distilled to bounded notes that the next round works from.

    The notes, at most `notes` tokens, are all that a round passes on, so prompts stay short however long drafts are.
    After `rounds` rounds one reply is written from the last notes (arXiv 2510.01123). If a ceiling leaves no room for
    it, the last drafts' most frequent answer is taken, with a warning.
    """

    needs = NO_NEEDS
    draws = Scaling.SEQUENTIAL
    selects = Selection.NONE
    reuses = True

    n: int = 8
    rounds: int = 1
    notes: int = 512

    def __post_init__(self) -> None:
        check_at_least(1, n=self.n, rounds=self.rounds, notes=self.notes)

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        await check_reads(problem, run, DISTIL)
        short = replace(run.params, max_tokens=min(self.notes, run.params.max_tokens))
        prompt, drafts, drawn = problem.prompt, list[Sample](), list[Sample]()
        with run.reserve(problem.prompt):
            for _ in range(self.rounds):
                with run.reserve(prompt, short):
                    drafts = await run.draw(prompt, self.n)
                if not drafts:
                    break
                drawn += drafts
                shown = legible(drafts)
                distilled = await run.draw(showing(problem, run, shown, DISTIL), 1, short) if shown else []
                for notes in legible(distilled):
                    prompt = quoting(problem, [("notes", said(notes))], REFINE, run.seed)
        last = await run.draw(prompt) if prompt != problem.prompt else []
        outcome = await _written(problem, run, drafts or drawn, last)
        return replace(outcome, candidates=(*drawn, *last))


@dataclass(frozen=True)
class GenSelect:
    """List-wise generative choice: the model reads up to `shown` replies at once and says which is best.

    Each list is judged k times, in a new random order each time, and the reply named most often advances; of equals,
    the one whose answer more draws gave, else one at random. Lists are formed anew until one reply is left. Equal
    answers are shown once, as the first drawn (GenSelect, Moshkov et al. 2025, arXiv 2504.16891).
    """

    needs = NO_NEEDS
    draws = Scaling.SEQUENTIAL
    selects = Selection.VOTES
    reuses = True

    n: int = 16
    shown: int = 8
    k: int = 2

    def __post_init__(self) -> None:
        check_at_least(1, n=self.n, k=self.k)
        check_at_least(2, shown=self.shown)

    async def __call__(self, problem: Problem, run: Run) -> Outcome:
        await check_reads(problem, run, SELECT)
        samples = await run.draw(problem.prompt, self.n)
        answers = await classes(problem, samples)
        first = {a: i for i, a in reversed([*enumerate(answers)]) if a is not None and legible([samples[i]])}
        field, unread, last = sorted(first.values()), 0, Counter[int]()
        while len(field) > 1:
            run.rng.shuffle(field)
            lists = [field[i : i + self.shown] for i in range(0, len(field), self.shown)]
            votes = await self._votes(problem, run, samples, lists)
            unread += sum(vote.pop(UNREAD, 0) for vote in votes)
            field = [
                max(places, key=lambda i: (vote[i], answers.count(answers[i])))
                for vote, places in zip(votes, lists, strict=True)
            ]
            last = votes[0]
        best, answer = (samples[field[0]], answers[field[0]]) if field else (None, None)
        tally = tuple((str(answers[i]), float(n)) for i, n in last.most_common())
        share = last[field[0]] / last.total() if last.total() else None
        notes = {**turnout(answers), "unread": unread}
        return Outcome(best, answer, tuple(samples), (), tally, share, run.stopped, notes)

    async def _votes(
        self, problem: Problem, run: Run, samples: Sequence[Sample], lists: Sequence[Sequence[int]]
    ) -> list[Counter[int]]:
        """How often each place of each list was named, and under `UNREAD` how many verdicts named none."""
        orders = [(i, run.rng.sample(places, len(places))) for i, places in enumerate(lists) for _ in range(self.k)]
        orders = [(i, order) for i, order in orders if len(order) > 1]
        prompts = [showing(problem, run, [samples[place] for place in order], SELECT) for _, order in orders]
        heard = await run.draw_each([Ask(prompt, 1, run.params) for prompt in prompts])
        replies = [said(drawn[0]) if drawn else "" for drawn in heard]
        read = await aside(lambda: [extract(reply, AnswerKind.NUMBER) for reply in replies], sum(map(len, replies)))
        votes = [Counter[int]() for _ in lists]
        for (i, order), drawn, number in zip(orders, heard, read, strict=True):
            at = int(number) if number is not None and number.isdecimal() and len(number) < 9 else 0
            if drawn:
                votes[i][order[at - 1] if 0 < at <= len(order) else UNREAD] += 1
        return votes
