"""TRL's `completions_*.parquet`, logged by its GRPO and RLOO trainers with `log_completions=True`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mull.files.logs import base, tables
from mull.files.logs.base import Log, LoggedProblem
from mull.files.recording import RecordedSample

TOOL = "TRL"
OWN = ("step", "prompt", "completion", "advantage", "prompt_ids", "completion_ids", "images")
ABOUT_RIGHT = ("accura", "correct", "right", "solve", "exact", "match", "pass", "verif")
"""Parts of common names of rewards that measure whether an answer is correct."""
GOLD = ("answer", "solution", "target", "ground_truth", "gold")


def read(path: Path, content: Any = None) -> Log:
    """TRL's completions: those of one prompt in one step are its draws, graded by the reward for correctness.

    That is the only reward with values 0 and 1, or the only such reward whose name says so. Raises `FileFormatError` if
    there is none or there are several, since the weights of rewards are not in the log.
    """
    rows = tables.rows(path)
    rewards = [n for n in (rows[0] if rows else ()) if n not in OWN and _are_numbers([row.get(n) for row in rows])]
    verdicts = [name for name in rewards if all(row[name] in (0, 1) for row in rows if row[name] is not None)]
    named = [name for name in verdicts if any(part in name.lower() for part in ABOUT_RIGHT)]
    chosen = named if len(verdicts) > 1 else verdicts
    if len(chosen) != 1:
        has = ", ".join(rewards) or "none"
        raise base.half(path, None, TOOL, f"no single reward can be identified as the verdict (it has {has})")
    reward = chosen[0]
    problems: dict[tuple[int, str], LoggedProblem] = {}
    n_unscored = 0
    for row in rows:
        asked, said = row["prompt"], row["completion"]
        messages = base.messages_of(asked) if isinstance(asked, list) else ()
        prompt = base.last_user(messages) if messages else str(asked)
        step = base.whole(row["step"]) or 0
        gold = next((text for name in GOLD if (text := base.as_text(row.get(name))) is not None), None)
        problem = problems.get((step, prompt))
        if problem is None:
            problem = LoggedProblem(prompt[:80], prompt, gold, f"policy at step {step}", messages=messages)
            problems[step, prompt] = problem
        if row[reward] is None:
            n_unscored += 1
            continue
        text = base.content_text(said[-1].get("content")) if isinstance(said, list) and said else str(said or "")
        is_right = row[reward] == 1
        problem.samples.append(RecordedSample(text, base.met(gold, None) if is_right else None, is_right, None))
    notes = [f"graded by {reward}; not used: {', '.join(n for n in rewards if n != reward) or 'none'}"]
    if n_unscored:
        notes.append(f"{n_unscored} completions have no {reward} and are left out")
    for number, problem in enumerate(problems.values()):
        problem.id = f"prompt {number}"
    return base.log_of(path, TOOL, problems.values(), notes)


def _are_numbers(values: Sequence[Any]) -> bool:
    known = [value for value in values if value is not None]
    return bool(known) and all(isinstance(value, int | float) for value in known)
