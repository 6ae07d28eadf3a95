"""Language models as verifiers (GenRM, one answer at a time) and as judges (two answers, in both orders)."""

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
"""The same for every token of a rationale, of which only one position is read: twenty would be a megabyte."""
LEAST_MASS = 0.5
"""Minimum total probability of the labels at the position of a verdict."""
VERDICT_MASS = 0.05
"""Minimum probability of a label for a position near the end of a rationale to count as its verdict."""
TAIL = 200
"""Number of characters at the end of a rationale that are searched for its verdict."""

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
    """One reply of a judge: the probability of the first label (`None`: no clear verdict; `why` has the reason)."""

    p: float | None
    cost: Cost
    why: str = ""


@dataclass(frozen=True)
class Speaker:
    """A language model that gives verdicts, and the options of asking it."""

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
        """The model and every option that changes its verdicts."""
        asked = f"{self._template(True)}/{self._template(False)}" if self.template is None else self.template
        told = hashlib.blake2b(asked.encode(), digest_size=4).hexdigest()
        how = f"k={self.k} t={self.temperature} max={self.max_tokens} " if self.k else ""
        return f"{type(self).__name__.lower()} {self.model.identity} {how}seed={self.seed} {told}"

    def _template(self, is_thought: bool) -> str:
        raise NotImplementedError

    def quote(self, problem: Problem, items: Sequence[Sample] | Sequence[Pair]) -> Cost:
        """No cost beyond its draws, which reserve their own cost one by one."""
        return Cost()

    @property
    def _params(self) -> Params:
        if self.k:
            return Params(self.temperature, self.max_tokens, logprobs=N_THOUGHT_ALTERNATIVES)
        return Params(0.0, 1, logprobs=N_ALTERNATIVES)

    @property
    def _n(self) -> int:
        """Number of draws for one verdict."""
        return max(self.k, 1)

    def _prompt(self, problem: Problem, answers: Sequence[str], names: Sequence[str] = ()) -> Prompt:
        """The request about one answer or two, which are quoted under `names` if given."""
        asked = "\n\n".join(m.text if m.role == "user" else f"({m.role}) {m.text}" for m in problem.prompt.messages)
        code = code_of(self.seed, asked, *answers)
        names = names or (("answer",) if len(answers) == 1 else ("answer A", "answer B"))
        quoted = [fenced(name, answer, code) for name, answer in zip(names, answers, strict=True)]
        parts = {"code": code, "problem": fenced("problem", asked, code), "answer": quoted[0], "other": quoted[-1]}
        # In one pass: inserted text is never searched for placeholders.
        template = self.template or self._template(self.k > 0)
        return Prompt.user(re.sub(r"\{(\w+)\}", lambda m: parts.get(m[1], m[0]), template))

    def _ask(self, prompt: Prompt, first: int = 0) -> Ask:
        return Ask(prompt, self._n, self._params, first)

    def _read(self, sample: Sample, labels: Sequence[Sequence[str]]) -> float:
        """The verdict of one draw, in [0, 1]. Raises `Unscored` if it has none."""
        return _read_thought(sample, labels) if self.k else _read_word(sample, labels)

    def _opinion(self, said: Said, labels: Sequence[Sequence[str]]) -> Opinion:
        """The mean opinion over those of the judge's draws that have a verdict."""
        found: list[float] = []
        whys: list[str] = []
        for sample in said.samples:
            try:
                found.append(self._read(sample, labels))
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
    """The probability of the first label at the start of the reply."""
    if sample.finish is Finish.ERROR:
        raise Unscored(f"the judge failed: {sample.error or 'its reply could not be used'}")
    if not sample.alternatives:
        raise Unscored(
            "the judge returns no log-probabilities: set k=1 or more for rationales, or use a server that returns them"
        )
    likeliest = sample.alternatives[0]
    p = _share(likeliest, labels)
    if p is None:
        word, logprob = max(likeliest, key=lambda item: item[1]) if likeliest else ("", -math.inf)
        options = " or ".join(group[0].title() for group in labels[:2])
        raise Unscored(f"the judge's likeliest reply is {word!r} ({math.exp(logprob):.2f}), not {options}")
    return p


def _mass(likeliest: Sequence[tuple[str, float]], labels: Sequence[Sequence[str]]) -> float:
    """The total probability of the words of all labels."""
    words = {word for group in labels for word in group}
    return math.fsum(math.exp(logprob) for token, logprob in likeliest if plain(token) in words)


def _share(likeliest: Sequence[tuple[str, float]], labels: Sequence[Sequence[str]]) -> float | None:
    """The first label's share of the first two labels' probability; `None` if that is low or undetermined."""
    masses = log_masses(likeliest, labels[:2]) if _mass(likeliest, labels[:2]) >= LEAST_MASS else None
    return None if masses is None else softmax(masses)[0]


def _read_thought(sample: Sample, labels: Sequence[Sequence[str]]) -> float:
    """The probability of the first label at a rationale's final verdict; 1, 0 or 1/2 without log-probabilities."""
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
class GenRM(Speaker):
    """Generative verifier (GenRM): a language model's P(Yes), or its mean over k rationales (arXiv 2408.15240).

    With `k=0` the score is P(Yes) / (P(Yes) + P(No)) for the first word of the reply, which needs log-probabilities.
    With `k` rationales, each ends in a verdict, and the score is the mean of P(Yes) there, or of the verdicts without
    log-probabilities; rationales without a verdict are excluded and counted. `template` may contain `{code}`,
    `{problem}` and `{answer}`.
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
class Pairwise(Speaker):
    """A language model says which of two answers is better, in both orders; if the orders disagree it is a tie.

    Judges have a position bias, strongest for answers of similar quality (arXiv 2406.07791), which one order does not
    average out. With `k` rationales each order gets k. A repeated pair gets new draws each time.
    """

    def _template(self, is_thought: bool) -> str:
        return PAIRWISE_THOUGHT if is_thought else PAIRWISE_WORD

    def _orders(self, problem: Problem, pair: Pair) -> tuple[Prompt, Prompt]:
        first, second = pair.first.reply, pair.second.reply
        return self._prompt(problem, [first, second]), self._prompt(problem, [second, first])

    def _asks(self, problem: Problem, pair: Pair, calls: Calls) -> tuple[Ask, Ask]:
        """The requests for a pair, in both orders.

        Without rationales a verdict is deterministic, so equal pairs share it. With them a pair and its reverse have
        separate draws, whichever of the two comes first.
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
                assert preference is not None  # known already, or requested above
                preferences.append(preference)
                continue
            drawn = total(said[ask].cost for ask in both if ask not in paid)
            preferences.append(replace(both_orders(*(said[ask] for ask in both)), cost=Cost(), drawn=drawn))
            paid.update(both)
        return preferences


def both_orders(there: Opinion, back: Opinion) -> Preference:
    """One preference from the probabilities that the answer shown first is better, in the given and reverse order."""
    cost = there.cost + back.cost
    if there.p is None or back.p is None:
        return Preference(None, cost, there.why or back.why)
    first, again = there.p, 1 - back.p
    if (first - 0.5) * (again - 0.5) < 0:
        return Preference(0.5, cost, "the judge's verdict depends on the order")
    return Preference((first + again) / 2, cost, there.why or back.why)


def already(pair: Pair) -> Preference | None:
    """The preference for a pair that needs no judge; `None` if it needs one."""
    if Finish.ERROR in (pair.first.finish, pair.second.finish):
        return Preference(None, why="a draw of the pair failed")
    return Preference(0.5, why="the replies are equal") if pair.first.reply == pair.second.reply else None
