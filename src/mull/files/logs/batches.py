"""Outputs of request batches, in the format of OpenAI's Batch API and `vllm run-batch`, with their input files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mull.errors import FileFormatError
from mull.files.lines import read_jsonl
from mull.files.logs import base
from mull.files.logs.base import Log, LoggedProblem
from mull.files.recording import RecordedSample
from mull.types import Message

TOOL = "OpenAI or vLLM batches"


def read(path: Path, content: Any = None) -> Log:
    """A batch's output: the choices of a request are the draws of its question, which the input file holds.

    The input is the only other `.jsonl` file in the folder whose lines have a `body` and the same `custom_id`s. A log
    of batches has neither verdicts nor gold answers. Raises `FileFormatError` if there is no input.
    """
    asked = _inputs(path)
    problems: dict[str, LoggedProblem] = {}
    n_failed = 0
    for line, row in read_jsonl(path):
        id = str(row["custom_id"])
        response = base.mapping(row.get("response"))
        body = base.mapping(response.get("body"))
        choices = [base.mapping(choice) for choice in base.items(body.get("choices"))]
        if row.get("error") or response.get("status_code", 200) != 200 or not choices:
            n_failed += 1
            continue
        if id not in asked:
            raise base.half(path, line, TOOL, f"its input has no request {id!r}")
        request = asked[id]
        messages = base.messages_of(request.get("messages")) or (Message("user", str(request.get("prompt", ""))),)
        model = str(body.get("model") or request.get("model") or "unknown model")
        key = repr((model, messages, base.settings_of(request)))
        problem = problems.get(key)
        if problem is None:
            prompt, settings = base.last_user(messages), base.settings_of(request)
            problem = problems[key] = LoggedProblem(id, prompt, None, model, None, line, messages, settings)
        usage = base.whole(base.mapping(body.get("usage")).get("completion_tokens"))
        for choice in choices:
            said = base.mapping(choice.get("message"))
            text = choice.get("text")  # a completion; a chat has a message
            text = text if isinstance(text, str) else base.content_text(said.get("content"))
            thought = said.get("reasoning_content") or said.get("reasoning")
            finish = base.FINISHES.get(str(choice.get("finish_reason")))
            tokens = usage if len(choices) == 1 else None  # of several choices the server reports only the sum
            reasoning = thought if isinstance(thought, str) else None
            problem.samples.append(RecordedSample(text, None, None, None, tokens, None, finish, reasoning))
    notes = [f"{n_failed} requests failed and are left out"] if n_failed else []
    return base.log_of(path, TOOL, problems.values(), notes)


def _inputs(path: Path) -> Mapping[str, Mapping[str, Any]]:
    """The bodies of a batch's requests by `custom_id`."""
    wanted = {str(row["custom_id"]) for _, row in read_jsonl(path)}
    found = []
    for other in sorted(path.parent.glob("*.jsonl")):
        if other == path:
            continue
        try:
            first = next(read_jsonl(other), (0, {}))[1]
        except FileFormatError:
            continue  # a file that is not JSONL is not an input
        if "custom_id" in first and isinstance(first.get("body"), dict):
            bodies = {str(row.get("custom_id")): base.mapping(row.get("body")) for _, row in read_jsonl(other)}
            if wanted <= set(bodies):
                found.append(bodies)
    if len(found) != 1:
        has = "no file beside it has" if not found else f"{len(found)} files beside it have"
        what = f"an output does not hold the questions, and {has} its requests: put the batch's one input file there"
        raise base.half(path, None, TOOL, what)
    return found[0]
