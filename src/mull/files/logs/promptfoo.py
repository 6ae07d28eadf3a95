"""promptfoo's results: `.json` and `.jsonl` files written by `promptfoo eval --output` since 0.100."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mull.errors import FileFormatError
from mull.files.lines import read_jsonl
from mull.files.logs import base
from mull.files.logs.base import Log, LoggedProblem
from mull.files.recording import RecordedSample, Settings
from mull.types import Message

TOOL = "promptfoo"
FAILED = 2
"""Value of `failureReason` if the provider failed, so that there is no real reply."""


def read(path: Path, content: Any) -> Log:
    """promptfoo's results: repeats of a test are its draws, correct if all its assertions passed.

    The log numbers each repeat separately: those with the same prompt and variables are one test. Raises
    `FileFormatError` for results of another layout.
    """
    if content is None:
        rows: Iterator[tuple[int | None, Any]] = iter(read_jsonl(path))
        options: dict[str, Settings] = {}
    else:
        results = base.mapping(content["results"]).get("results")
        if not isinstance(results, list):
            raise base.half(
                path, None, TOOL, "`results.results` is not a list: write it with `promptfoo eval --output`"
            )
        rows = ((None, row) for row in results)
        options = _options(content)
    problems: dict[tuple[str, str], LoggedProblem] = {}
    n_failed = n_partial = 0
    for line, row in rows:
        row = base.mapping(row)
        for name in ("success", "response", "prompt"):
            if name not in row and not row.get("error"):
                raise base.half(path, line, TOOL, f"a result has no `{name}`")
        provider = base.mapping(row.get("provider"))
        group = str(provider.get("label") or provider.get("id") or "unknown model")
        raw, variables = str(base.mapping(row.get("prompt")).get("raw", "")), row.get("vars")
        key = json.dumps([group, raw, variables, base.mapping(row.get("testCase")).get("assert")], sort_keys=True)
        messages = _messages(raw)
        if (group, key) not in problems:
            prompt = base.last_user(messages) if messages else raw
            number = row.get("testIdx", len(problems))
            settings = options.get(group, Settings())
            problems[group, key] = LoggedProblem(
                f"test {number}", prompt, _gold(row), group, line=line, messages=messages, settings=settings
            )
        response = base.mapping(row.get("response"))
        if row.get("failureReason") == FAILED or "output" not in response:
            n_failed += 1
            continue
        if not isinstance(row.get("success"), bool):
            raise FileFormatError(path, line, f"`success` is {row.get('success')!r}, neither true nor false")
        score = base.number(row.get("score"))
        n_partial += not row["success"] and score is not None and 0 < score < 1
        usage = base.mapping(response.get("tokenUsage"))
        problem = problems[group, key]
        answer = base.met(problem.gold, None) if row["success"] else None
        tokens = base.whole(usage.get("completion"))
        text = base.as_text(response["output"]) or ""
        problem.samples.append(RecordedSample(text, answer, row["success"], None, tokens))
    notes = [f"{n_failed} calls failed and are left out"] if n_failed else []
    if n_partial:
        notes.append(f"{n_partial} replies passed only some of their assertions and count as wrong, as in promptfoo")
    return base.log_of(path, TOOL, problems.values(), notes)


def _options(content: Any) -> dict[str, Settings]:
    """The sampling settings of each provider, by its label or id."""
    found = {}
    for one in base.items(base.mapping(content.get("config")).get("providers")):
        provider = base.mapping(one)
        name = str(provider.get("label") or provider.get("id"))
        found[name] = base.settings_of(base.mapping(provider.get("config")))
    return found


def _messages(raw: str) -> tuple[Message, ...]:
    """The conversation, if the prompt is one in JSON."""
    if not raw.lstrip().startswith("["):
        return ()
    try:
        turns = json.loads(raw)
    except (ValueError, RecursionError):
        return ()
    is_chat = isinstance(turns, list) and turns and all("role" in base.mapping(turn) for turn in turns)
    return base.messages_of(turns) if is_chat else ()


def _gold(row: Any) -> str | None:
    """The expected reply, if the only assertion is equality with it."""
    asserts = [base.mapping(one) for one in base.items(base.mapping(row.get("testCase")).get("assert"))]
    if len(asserts) == 1 and asserts[0].get("type") == "equals":
        return base.as_text(asserts[0].get("value"))
    return None
