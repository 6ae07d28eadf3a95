"""Language models as verifiers and judges: one answer at a time (GenRM), or two against each other in both orders."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from mull.cost import total
from mull.errors import UsageError
from mull.run.judging import LATE, SPENT
from mull.types import Ask, Calls, Cost, Finish, Model, Pair, Params, Preference, Problem, Prompt, Said, Sample, Score
from mull.verifiers.fence import RULES, code_of, fenced, harmless
from mull.verifiers.labels import log_masses, plain
from mull.verifiers.reading import Unscored, softmax

N_ALTERNATIVES = 20
N_THOUGHT_ALTERNATIVES = 5
"""The same for every token of a rationale, of which only one place is read: twenty would be a megabyte."""
LEAST_MASS = 0.5
"""How likely a verdict must be at all, among all that the judge may say at its place."""
VERDICT_MASS = 0.05
"""How likely some label must be for a place near the end of a rationale to be that of its verdict."""
TAIL = 200
"""Characters at the end of a rationale in which its verdict is looked for."""

POINTWISE = f"""\
You check whether the answer to a problem is correct.

{RULES}

{{problem}}

{{answer}}

"""
POINTWISE_WORD = POINTWISE + "Is the answer correct (Yes/No)? Reply with this one word and nothing else."
POINTWISE_THOUGHT = POINTWISE + (
    "Check the answer step by step. Then end with one line of this form, where X is Yes or No:\n"
    "Verification: Is the answer correct (Yes/No)? X"
)
PAIRWISE = f"""\
You compare two answers, A and B, to the same problem, and say which is the better one. Their order means nothing.

{RULES}

{{problem}}

{{answer}}

{{other}}

"""
PAIRWISE_WORD = PAIRWISE + "Which answer is better (A/B)? Reply with this one letter and nothing else."
PAIRWISE_THOUGHT = PAIRWISE + (
    "Compare the answers step by step. Then end with one line of this form, where X is A, B or Tie:\n"
    "Verdict: Which answer is better (A/B/Tie)? X"
)
_VERDICT = re.compile(
    r"\((?:yes/no|a/b(?:/tie)?)\)\s*\?[\s*:_`\"'\\{}(\[]*(?:boxed)?[\s{(\[]*(\w+)[\s.*_`\"'!)\]}$]*\Z", re.I
)


class Opinion(NamedTuple):
    """What a judge said once: the probability of the first label (`None`: it said nothing clear, and why)."""

    p: float | None
    cost: Cost
    why: str = ""


@dataclass(frozen=True)
class _Speaker:
    """A language model that is asked for verdicts, and how."""

    model: Model
    k: int = 0
    temperature: float = 0.7
    max_tokens: int = 1024
    seed: int = 0
    template: str | None = None

    def __post_init__(self) -> None:
        if self.k < 0:
            raise UsageError(f"k, the number of rationales, must be 0 (none, one word) or more, not {self.k}")
        if self.max_tokens < 1:
            raise UsageError(f"max_tokens must be at least 1, not {self.max_tokens}")

    @property
    def name(self) -> str:
        return f"{type(self).__name__.lower()} {self.model.name}"

    @property
    def identity(self) -> str:
        """The model and all else that changes what it says."""
        asked = f"{self._template(True)}/{self._template(False)}" if self.template is None else self.template
        told = hashlib.blake2b(asked.encode(), digest_size=4).hexdigest()
        how = f"k={self.k} t={self.temperature} max={self.max_tokens} " if self.k else ""
        return f"{type(self).__name__.lower()} {self.model.identity} {how}seed={self.seed} {told}"

    def _template(self, is_thought: bool) -> str:
        raise NotImplementedError

    def quote(self, problem: Problem, items: Sequence[Sample] | Sequence[Pair]) -> Cost:
        """Nothing beside its draws, which are held one by one."""
        return Cost()

    @property
    def _params(self) -> Params:
        if self.k:
            return Params(self.temperature, self.max_tokens, logprobs=N_THOUGHT_ALTERNATIVES)
        return Params(0.0, 1, logprobs=N_ALTERNATIVES)

    @property
    def _n(self) -> int:
        """Draws for one verdict."""
        return max(self.k, 1)

    def _prompt(self, problem: Problem, answers: Sequence[str]) -> Prompt:
        asked = "\n\n".join(m.text if m.role == "user" else f"({m.role}) {m.text}" for m in problem.prompt.messages)
        code = code_of(self.seed, asked, *answers)
        names = ("answer",) if len(answers) == 1 else ("answer A", "answer B")
        quoted = [fenced(name, answer, code) for name, answer in zip(names, answers, strict=True)]
        parts = {"code": code, "problem": fenced("problem", asked, code), "answer": quoted[0], "other": quoted[-1]}
        # In one pass: what is put in is never looked at for places to put something in.
        template = self.template or self._template(self.k > 0)
        return Prompt.user(re.sub(r"\{(\w+)\}", lambda m: parts.get(m[1], m[0]), template))

    def _ask(self, prompt: Prompt, first: int = 0) -> Ask:
        return Ask(prompt, self._n, self._params, first)

    def _opinion(self, said: Said, labels: Sequence[Sequence[str]]) -> Opinion:
        """What the judge makes of what it said: an average over those of its draws that have a verdict."""
        found: list[float] = []
        whys: list[str] = []
        for sample in said.samples:
            try:
                found.append(_read_thought(sample, labels) if self.k else _read_word(sample, labels))
            except Unscored as reason:
                whys.append(str(reason))
        if not found:
            failed = f"the judge failed: {said.why}" if said.why not in (SPENT, LATE) else said.why
            return Opinion(None, said.cost, whys[0] if whys else failed)
        n_missing = self._n - len(found)
        why = f"{n_missing} of {self._n} rationales had no verdict: {[*whys, said.why][0]}" if n_missing else ""
        return Opinion(math.fsum(found) / len(found), said.cost, why)


def spread(samples: Sequence[Sample], said: Mapping[str, Opinion]) -> list[Score]:
    """A score for each sample from the opinion of its reply, which is paid for once."""
    scores: list[Score] = []
    paid: set[str] = set()
    for sample in samples:
        if sample.finish is Finish.ERROR:
            scores.append(Score(None, why="the draw failed"))
        elif sample.reply not in said:
            scores.append(Score(None, why="the reply is empty"))
        else:
            opinion = said[sample.reply]
            scores.append(Score(opinion.p, cost=Cost() if sample.reply in paid else opinion.cost, why=opinion.why))
            paid.add(sample.reply)
    return scores


def _read_word(sample: Sample, labels: Sequence[Sequence[str]]) -> float:
    """The probability of the first label where the reply begins."""
    if sample.finish is Finish.ERROR:
        raise Unscored(f"the judge failed: {sample.error or 'its reply could not be used'}")
    if not sample.alternatives:
        raise Unscored(
            "the judge gives no log-probabilities: ask for rationales (k=1 or more) or use a server that does"
        )
    likeliest = sample.alternatives[0]
    p = _share(likeliest, labels)
    if p is None:
        word, logprob = max(likeliest, key=lambda item: item[1]) if likeliest else ("", -math.inf)
        options = " or ".join(group[0].title() for group in labels[:2])
        raise Unscored(f"the judge does not say {options}: it is likeliest to say {word!r} ({math.exp(logprob):.2f})")
    return p


def _mass(likeliest: Sequence[tuple[str, float]], labels: Sequence[Sequence[str]]) -> float:
    """How likely a word of any label is."""
    words = {word for group in labels for word in group}
    return math.fsum(math.exp(logprob) for token, logprob in likeliest if plain(token) in words)


def _share(likeliest: Sequence[tuple[str, float]], labels: Sequence[Sequence[str]]) -> float | None:
    """The first label's share of what the first two have together; `None` where that is little or unclear."""
    masses = log_masses(likeliest, labels[:2]) if _mass(likeliest, labels[:2]) >= LEAST_MASS else None
    return None if masses is None else softmax(masses)[0]


def _read_thought(sample: Sample, labels: Sequence[Sequence[str]]) -> float:
    """The probability of the first label at the verdict that ends a rationale; 1, 0 or 1/2 where that is not told."""
    if sample.finish is Finish.ERROR:
        raise Unscored(f"the judge failed: {sample.error or 'its reply could not be used'}")
    verdict = _VERDICT.search(sample.text.rstrip()[-TAIL:])
    said = None if verdict is None else next((i for i, group in enumerate(labels) if plain(verdict[1]) in group), None)
    if said is None:
        cut = " before it was cut off" if sample.finish is Finish.LENGTH else ""
        raise Unscored(f"the judge gave no verdict{cut}: its reply ends in {harmless(sample.text[-40:])!r}")
    hard = (1.0, 0.0, 0.5)[said]
    if said < 2:
        for likeliest in reversed(sample.alternatives or ()):
            if _mass(likeliest, labels) >= VERDICT_MASS:
                p = _share(likeliest, labels)
                return hard if p is None else p
    return hard


YES_NO = (("yes",), ("no",))
A_B_TIE = (("a",), ("b",), ("tie", "equal"))


@dataclass(frozen=True)
class GenRM(_Speaker):
    """A language model that says whether an answer is right: P(Yes), or its mean over k rationales (arXiv 2408.15240).

    With `k=0` the score is P(Yes) / (P(Yes) + P(No)) for the first word of the reply, which takes a model that gives
    log-probabilities. With `k` rationales each ends in a verdict, and the score is the mean of P(Yes) there, or of the
    verdicts where no log-probabilities are told; rationales without one are left out and counted. `template` may hold
    `{code}`, `{problem}` and `{answer}`.
    """

    def _template(self, is_thought: bool) -> str:
        return POINTWISE_THOUGHT if is_thought else POINTWISE_WORD

    def _prompts(self, problem: Problem, samples: Sequence[Sample]) -> dict[str, Prompt]:
        told = (s for s in samples if s.finish is not Finish.ERROR and s.reply.strip())
        return {s.reply: self._prompt(problem, [s.reply]) for s in told}

    async def score(self, problem: Problem, samples: Sequence[Sample], calls: Calls) -> Sequence[Score]:
        prompts = self._prompts(problem, samples)
        said = await calls.draw(self.model, [[self._ask(prompt)] for prompt in prompts.values()], self.seed)
        opinions = [self._opinion(one, YES_NO) for (one,) in said]
        scores = spread(samples, dict(zip(prompts, opinions, strict=True)))
        return [replace(score, cost=Cost(), drawn=score.cost) for score in scores]


@dataclass(frozen=True)
class Pairwise(_Speaker):
    """A language model that says which of two answers is better, asked in both orders; if they disagree it is a tie.

    Judges favour a place, most where the answers are close (arXiv 2406.07791), and asking in one order does not average
    that out. With `k` rationales each order gets k. A pair that is there several times is asked anew each time.
    """

    def _template(self, is_thought: bool) -> str:
        return PAIRWISE_THOUGHT if is_thought else PAIRWISE_WORD

    def _orders(self, problem: Problem, pair: Pair) -> tuple[Prompt, Prompt]:
        first, second = pair.first.reply, pair.second.reply
        return self._prompt(problem, [first, second]), self._prompt(problem, [second, first])

    def _asks(self, problem: Problem, pair: Pair, calls: Calls) -> tuple[Ask, Ask]:
        """What to ask about a pair, in both orders.

        Without rationales a verdict is the same every time, so equal pairs share it. With them a pair and its reverse
        have draws of their own, whichever of the two is asked first or alone.
        """
        there, back = self._orders(problem, pair)
        if not self.k:
            return self._ask(there), self._ask(back)
        n_before = calls.times_asked(f"{self.identity}/{there}")
        first = self.k * (2 * n_before + (pair.first.reply > pair.second.reply))
        return self._ask(there, first), self._ask(back, first)

    async def prefer(self, problem: Problem, pairs: Sequence[Pair], calls: Calls) -> Sequence[Preference]:
        known = [already(pair) for pair in pairs]
        asked = [self._asks(problem, p, calls) if k is None else None for p, k in zip(pairs, known, strict=True)]
        distinct = list(dict.fromkeys(tuple(sorted(both, key=str)) for both in asked if both is not None))
        said: dict[Ask, Opinion] = {}
        for group, heard in zip(distinct, await calls.draw(self.model, distinct, self.seed), strict=True):
            said.update(zip(group, (self._opinion(one, A_B_TIE) for one in heard), strict=True))
        preferences: list[Preference] = []
        paid: set[Ask] = set()
        for both, preference in zip(asked, known, strict=True):
            if both is None:
                assert preference is not None  # it is known, or it was asked
                preferences.append(preference)
                continue
            drawn = total(said[ask].cost for ask in both if ask not in paid)
            preferences.append(replace(both_orders(*(said[ask] for ask in both)), cost=Cost(), drawn=drawn))
            paid.update(both)
        return preferences


def both_orders(there: Opinion, back: Opinion) -> Preference:
    """One preference from the probability that the first shown is better, asked as they are and the other way round."""
    cost = there.cost + back.cost
    if there.p is None or back.p is None:
        return Preference(None, cost, there.why or back.why)
    first, again = there.p, 1 - back.p
    if (first - 0.5) * (again - 0.5) < 0:
        return Preference(0.5, cost, "the judge's verdict turned with the order")
    return Preference((first + again) / 2, cost, there.why or back.why)


def already(pair: Pair) -> Preference | None:
    """What is to be said of a pair without asking anybody; `None` where one has to be asked."""
    if Finish.ERROR in (pair.first.finish, pair.second.finish):
        return Preference(None, why="a draw of the pair failed")
    return Preference(0.5, why="the replies are equal") if pair.first.reply == pair.second.reply else None
