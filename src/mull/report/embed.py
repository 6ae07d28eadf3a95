"""The problems embedded in a page: all verdicts, and as many prompts and texts as a fixed limit allows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mull import spec
from mull.files.recording import Recording, Result
from mull.lab.measured import Measured, Study
from mull.shown import shown_within

MOST_PROBLEMS = 5_000
MOST_STRATEGIES = 8
MOST_SAMPLES = 8
"""Most texts of one problem on a page: its first draws."""
MOST_CHARACTERS = 2_000
"""Longest text; longer ones are cut, with a note of how much is missing."""
MOST_ANSWERS = 8
TEXT_BUDGET = 2_000_000
"""Most characters of prompts and texts on one page."""


@dataclass
class Embedded:
    """The problems as plain values for JSON, and the counts of what was left out."""

    groups: list[dict[str, Any]] = field(default_factory=list)
    problems: list[dict[str, Any]] = field(default_factory=list)
    n_problems: int = 0
    n_texts: int = 0
    n_shown: int = 0
    n_cut: int = 0

    def left_out(self) -> list[str]:
        """A sentence for each kind of thing left out; empty if the page has everything."""
        lines = []
        if len(self.problems) < self.n_problems:
            lines.append(
                f"{self.n_problems - len(self.problems):,} of {self.n_problems:,} problems are not in the table."
            )
        if self.n_shown < self.n_texts:
            lines.append(
                f"{self.n_shown:,} of {self.n_texts:,} texts are on this page: of each problem the first "
                f"{MOST_SAMPLES} draws, within {TEXT_BUDGET / 1e6:g} million characters."
            )
        if self.n_cut:
            lines.append(f"{self.n_cut:,} texts or prompts are cut after {MOST_CHARACTERS:,} characters.")
        return lines


def embed(studies: Sequence[Study]) -> Embedded:
    """The problems of all groups, group by group; the text limit is shared evenly, a draw of each problem at a time."""
    page = Embedded()
    recordings: list[tuple[Recording, dict[str, Any]]] = []
    for g, study in enumerate(studies):
        shown = columns(study)
        page.groups.append({"name": study.group.name, "strategies": [m.name for m in shown]})
        page.n_problems += len(study.group.recordings)
        for i, one in enumerate(study.group.recordings):
            page.n_texts += len(one.samples)
            if len(recordings) < MOST_PROBLEMS:
                recordings.append((one.only(slice(MOST_SAMPLES)), _problem(g, i, one, shown)))
    page.problems = [row for _, row in recordings]
    left = TEXT_BUDGET
    for one, row in recordings:
        left -= _add(page, row, "prompt", one.prompt or "", left)
    for k in range(MOST_SAMPLES):
        for one, row in recordings:
            if k < len(one.samples) and left > 0:
                sample = one.samples[k]
                entry = {
                    "answer": sample.answer,
                    "correct": sample.correct,
                    "score": sample.score,
                    "tokens": sample.output_tokens,
                }
                left -= _add(page, entry, "text", sample.text, left)
                row["samples"].append(entry)
                page.n_shown += 1
    return page


def columns(study: Study) -> list[Measured]:
    """The strategies shown in the table of problems: the widest of each kind first, in their order."""
    kinds: dict[str, list[Measured]] = {}
    for m in study.strategies:
        kinds.setdefault(spec.head(m.name) if m.is_replayed else m.name, []).append(m)
    chosen = {max(kind, key=lambda m: m.draws).name for kind in list(kinds.values())[:MOST_STRATEGIES]}
    return [m for m in study.strategies if m.name in chosen]


def _add(page: Embedded, entry: dict[str, Any], name: str, text: str, left: int) -> int:
    """Adds a text to an entry, cut to the limits; returns its new length."""
    most = max(0, min(MOST_CHARACTERS, left))
    entry[name] = text[:most]
    if len(text) > most:
        entry["cut"] = len(text) - most
        page.n_cut += 1
    return min(len(text), most)


def _problem(g: int, i: int, one: Recording, shown: Sequence[Measured]) -> dict[str, Any]:
    return {
        "g": g,
        "id": one.id,
        "gold": one.gold,
        "n": one.n or None,
        "right": one.n_correct if one.n else None,
        "solved": [m.correct[i] for m in shown],
        "taken": [_result(one.results[m.name]) if m.name in one.results else None for m in shown],
        "tally": _tally(one),
        "samples": [],
    }


def _result(result: Result) -> list[Any]:
    return [result.answer, result.correct, result.draws, result.stopped, result.cost.tokens]


def _tally(one: Recording) -> list[list[Any]]:
    """Answers with their counts and the share of each that is correct, most frequent first; the rest as one row."""
    counts = Counter(one.answers)
    right = Counter(a for a, c in zip(one.answers, one.correct, strict=False) if c)
    rows: list[list[Any]] = [
        [a if a is None else a[:200], n, right[a] / n] for a, n in counts.most_common(MOST_ANSWERS)
    ]
    n_rest = len(counts) - len(rows)
    return [*rows, [f"{n_rest} more answers", one.n - sum(row[1] for row in rows), None]] if n_rest else rows


def to_json(value: Any) -> str:
    """JSON that is safe inside a script element and on the page: no character that HTML could read as its own."""
    text = json.dumps(shown_within(value), ensure_ascii=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
