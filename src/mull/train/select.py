"""Choosing few traces to fine-tune on from many, by quality, difficulty and diversity (s1, arXiv 2501.19393).

s1 filters for quality, drops problems that a weaker model solves, and then takes one domain at random and in it one
problem, preferring long traces, until there are enough.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mull.errors import UnknownNameError, UsageError
from mull.files.recording import RecordedSample, Recording
from mull.types import Finish

CRITERIA = ("quality", "difficulty", "diversity")
ALONE = ("random", "longest", "all")
"""What else traces can be chosen by, each on its own: the baselines of the paper."""
SOLVED = 0.5
"""A problem is too easy if a larger share of the weaker model's draws is right."""


@dataclass(frozen=True, slots=True)
class ChosenTrace:
    """One reply to a problem, and the domain of the problem."""

    recording: Recording
    sample: RecordedSample
    domain: str

    @property
    def length(self) -> int:
        """Tokens, or characters where tokens were not recorded."""
        return len(self.sample.text) if self.sample.output_tokens is None else self.sample.output_tokens


class ChosenTraces(NamedTuple):
    """The chosen traces, and how many were left after each step."""

    traces: list[ChosenTrace]
    left: list[tuple[str, int]]


def domain_of(problem_id: str) -> str:
    """The domain of a problem: its id up to the first slash, which in generated tasks is the task and its level."""
    return problem_id.partition("/")[0] if "/" in problem_id else ""


def criteria_of(text: str) -> tuple[str, ...]:
    """Reads `--by`. Raises `UnknownNameError`, and `UsageError` for a baseline beside other criteria."""
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for name in names:
        if name not in CRITERIA + ALONE:
            raise UnknownNameError("criterion", name, CRITERIA + ALONE)
    if not names or (len(names) > 1 and set(names) & set(ALONE)):
        raise UsageError(
            f"choose by some of {', '.join(CRITERIA)}, joined by commas, or by one of {', '.join(ALONE)}, not {text!r}"
        )
    return names


def select(
    recordings: Sequence[Recording], n: int, by: Sequence[str], seed: int, weak: Sequence[Recording] = ()
) -> ChosenTraces:
    """Chooses at most `n` traces, by `criteria_of`, at random from a seed.

    `quality`: the reply ended by itself, is not known to be wrong, and repeats no other. `difficulty`: at most half of
    the judged draws of `weak` on the problem are right, or of the recordings themselves if there is no `weak`.
    `diversity`: a domain at random, and in it a trace with probability 1/2 the longest, 1/4 the second, and so on; a
    problem is chosen again only when all have been. Without it, at random. Raises `UsageError` if difficulty is
    unknown, or nothing is left.
    """
    rng = random.Random(seed)
    traces = [ChosenTrace(one, sample, domain_of(one.id)) for one in recordings for sample in one.samples]
    left = [("traces", len(traces))]
    if "quality" in by:
        traces = _good(traces)
        left.append(("quality", len(traces)))
    if "difficulty" in by:
        hard = _hard(weak or recordings, is_other=bool(weak))
        traces = [trace for trace in traces if hard(trace.recording.id)]
        left.append(("difficulty", len(traces)))
    if not traces:
        raise UsageError(
            "no trace is left: " + ", ".join(f"{name} {count:,}" for name, count in left) + "; leave out a criterion"
        )
    if "all" in by:
        chosen = traces
    elif "longest" in by:
        chosen = sorted(traces, key=lambda trace: -trace.length)[:n]
    elif "diversity" in by:
        chosen = _diverse(traces, n, rng)
    else:
        chosen = rng.sample(traces, min(n, len(traces)))
    left.append(("chosen", len(chosen)))
    return ChosenTraces(chosen, left)


def _good(traces: Iterable[ChosenTrace]) -> list[ChosenTrace]:
    seen: set[tuple[str, str]] = set()
    found = []
    for trace in traces:
        sample, key = trace.sample, (trace.recording.id, trace.sample.text)
        is_whole = sample.finish in (None, Finish.STOP, Finish.STOP_STRING) and bool(sample.text.strip())
        if is_whole and sample.correct is not False and key not in seen:
            seen.add(key)
            found.append(trace)
    return found


def _hard(judged: Sequence[Recording], *, is_other: bool) -> Callable[[str], bool]:
    """Whether a problem is hard enough, by draws with verdicts."""
    shares: dict[str, float] = {}
    for one in judged:
        verdicts = [sample.correct for sample in one.samples if sample.correct is not None]
        if verdicts:
            shares[one.id] = sum(verdicts) / len(verdicts)
    if not shares:
        whose = "the file of the weaker model has" if is_other else "the traces have"
        raise UsageError(
            f"how hard the problems are is not known: {whose} no verdicts; give graded draws of a weaker model on the "
            "same problems with --weak"
        )

    def is_hard(problem_id: str) -> bool:
        share = shares.get(problem_id)
        return share is None or share <= SOLVED

    return is_hard


def _diverse(traces: Sequence[ChosenTrace], n: int, rng: random.Random) -> list[ChosenTrace]:
    chosen: list[ChosenTrace] = []
    waiting = list(traces)
    while waiting and len(chosen) < n:
        by_domain: dict[str, list[ChosenTrace]] = {}
        for trace in sorted(waiting, key=lambda trace: -trace.length):
            by_domain.setdefault(trace.domain, []).append(trace)
        taken: set[int] = set()
        while by_domain and len(chosen) < n:
            domain = rng.choice(sorted(by_domain))
            there = by_domain[domain]
            rank = 0
            while rank + 1 < len(there) and rng.random() < 0.5:
                rank += 1
            trace = there[rank]
            chosen.append(trace)
            taken.add(id(trace))
            by_domain[domain] = [one for one in there if one.recording.id != trace.recording.id]
            if not by_domain[domain]:
                del by_domain[domain]
        waiting = [trace for trace in waiting if id(trace) not in taken]
    return chosen


def rows_of(traces: Sequence[ChosenTrace]) -> list[dict[str, object]]:
    """A row per problem with its traces, which mull reads as recorded samples and `mull train sft` trains on."""
    found: dict[str, dict[str, object]] = {}
    samples: dict[str, list[dict[str, object]]] = {}
    for trace in traces:
        one, sample = trace.recording, trace.sample
        told: dict[str, object] = {"text": sample.text}
        told |= {"correct": sample.correct} if sample.correct is not None else {}
        told |= {"output_tokens": sample.output_tokens} if sample.output_tokens is not None else {}
        row: dict[str, object] = {"problem_id": one.id, "prompt": one.prompt}
        found.setdefault(one.id, row | ({"answer": one.gold} if one.gold is not None else {}))
        samples.setdefault(one.id, []).append(told)
    return [{**row, "samples": samples[name]} for name, row in found.items()]
