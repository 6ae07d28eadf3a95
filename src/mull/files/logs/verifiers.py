"""Rollouts of Prime Intellect's verifiers: `results.jsonl` (to 0.3) and `traces.jsonl` (since 0.4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mull.errors import FileFormatError
from mull.files.lines import read_jsonl
from mull.files.logs import base
from mull.files.logs.base import Log, LoggedProblem
from mull.files.recording import RecordedSample

TOOL = "verifiers"


def read(path: Path, content: Any = None) -> Log:
    """Saved rollouts: those of one example are its draws, correct if the reward reaches the run's `pass_threshold`.

    `metadata.json` in the same folder has the threshold, the model and the settings. Raises `FileFormatError` if
    rewards are not just 0 and 1 and there is no threshold.
    """
    beside = path.with_name("metadata.json")
    about = base.mapping(base.loaded(beside)) if beside.is_file() else {}
    threshold = base.number(about.get("pass_threshold"))
    settings = base.settings_of(base.mapping(about.get("sampling_args")))
    model, task = str(about.get("model") or "unknown model"), about.get("env_id") or None
    problems: dict[str, LoggedProblem] = {}
    counts: Counter[str] = Counter()
    for line, row in read_jsonl(path):
        asked = row["prompt"]
        messages = base.messages_of(asked) if isinstance(asked, list) else ()
        prompt = base.last_user(messages) if messages else str(asked)
        id = str(row.get("example_id", prompt))
        gold = base.as_text(row.get("answer")) or None
        if id not in problems:
            problems[id] = LoggedProblem(id, prompt, gold, model, task, line, messages, settings)
        if row.get("error"):
            counts["failed"] += 1
            continue
        is_right = _is_right(path, line, row.get("reward"), threshold, counts)
        said = row["completion"]
        turns = [turn for turn in base.items(said) if base.mapping(turn).get("role") == "assistant"]
        counts["several turns"] += len(turns) > 1
        text = said if isinstance(said, str) else base.content_text(turns[-1].get("content")) if turns else ""
        reasoning = turns[-1].get("reasoning_content") if turns else None
        tokens = base.whole(base.mapping(row.get("token_usage")).get("output_tokens"))
        answer = base.met(gold, None) if is_right else None
        thought = reasoning if isinstance(reasoning, str) else None
        problems[id].samples.append(RecordedSample(text, answer, is_right, None, tokens, None, None, thought))
    return base.log_of(path, TOOL, problems.values(), _notes(counts, threshold))


def read_traces(path: Path, content: Any = None) -> Log:
    """Saved episodes: those of one task are its draws. Raises `FileFormatError` if rewards are not just 0 and 1."""
    problems: dict[str, LoggedProblem] = {}
    counts: Counter[str] = Counter()
    for line, row in read_jsonl(path):
        traces = [base.mapping(trace) for trace in base.items(row["traces"])]
        if len(traces) != 1:
            counts["several agents" if traces else "failed"] += 1
            continue
        trace = traces[0]
        task = base.mapping(row["task"])
        data = base.mapping(task.get("data"))
        asked = [base.mapping(base.mapping(node).get("message")) for node in base.items(trace.get("nodes"))]
        sampled = [i for i, node in enumerate(base.items(trace.get("nodes"))) if base.mapping(node).get("sampled")]
        messages = base.messages_of(asked[: sampled[0]] if sampled else asked)
        gold = next((text for name in ("answer", "gold", "target") if (text := base.as_text(data.get(name)))), None)
        calls = [base.mapping(call) for call in base.items(trace.get("calls"))]
        last = calls[-1] if calls else {}
        id = str(task.get("key") or task.get("hash") or data.get("id") or data.get("idx") or data.get("name"))
        group = str(last.get("model") or "unknown model")
        if id not in problems:
            env = base.mapping(row.get("env")).get("id")
            settings = base.settings_of(base.mapping(last.get("sampling")))
            prompt = base.last_user(messages)
            problems[id] = LoggedProblem(id, prompt, gold, group, env or None, line, messages, settings)
        if trace.get("errors") or not sampled or trace.get("ok") is False:
            counts["failed"] += 1
            continue
        is_right = _is_right(path, line, _reward(trace), None, counts)
        counts["several turns"] += len(sampled) > 1
        reply = asked[sampled[-1]]
        tokens = base.whole(trace.get("num_output_tokens"))
        finish = base.FINISHES.get(str(last.get("finish_reason")))
        thought = reply.get("reasoning_content")
        text, answer = base.content_text(reply.get("content") or ""), base.met(gold, None) if is_right else None
        reasoning = thought if isinstance(thought, str) else None
        sample = RecordedSample(text, answer, is_right, None, tokens, None, finish, reasoning)
        problems[id].samples.append(sample)
    return base.log_of(path, TOOL, problems.values(), _notes(counts, None))


def _reward(trace: Mapping[str, Any]) -> float | None:
    """The weighted sum of a trace's rewards, as verifiers computes it; `None` if one is missing."""
    rewards = [base.mapping(reward) for reward in base.mapping(trace.get("rewards")).values()]
    parts = [(base.number(reward.get("score")), base.number(reward.get("weight", 1.0))) for reward in rewards]
    if not parts or any(score is None or weight is None for score, weight in parts):
        return None
    return sum(score * weight for score, weight in parts if score is not None and weight is not None)


def _is_right(path: Path, line: int, reward: Any, threshold: float | None, counts: Counter[str]) -> bool:
    value = base.number(reward)
    if value is None:
        raise FileFormatError(path, line, f"the reward {reward!r} is not a number")
    counts["partial"] += value not in (0, 1)
    if threshold is not None:
        return value >= threshold
    if value not in (0, 1):
        what = f"the reward {value:g} is neither 0 nor 1, and no `pass_threshold` in metadata.json says what is right"
        raise base.half(path, line, TOOL, what)
    return value == 1


def _notes(counts: Counter[str], threshold: float | None) -> list[str]:
    notes = []
    if n := counts["failed"]:
        notes.append(f"{n} rollouts failed and are left out")
    if n := counts["several agents"]:
        notes.append(f"{n} episodes of several agents are left out: the log does not say whose reply is the answer")
    if threshold is not None and counts["partial"]:
        notes.append(f"rewards of at least {threshold:g} are right, the run's pass_threshold")
    if n := counts["several turns"]:
        notes.append(f"{n} rollouts have several turns; the last reply is used")
    return notes
