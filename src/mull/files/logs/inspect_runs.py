"""Runs of agents in inspect_ai's logs: the turns of a sample after its question."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from mull.files.logs import agents, base
from mull.files.recording import AgentRun
from mull.types import Message


def run_of(sample: Mapping[str, Any], attached: Callable[[str], str]) -> AgentRun | None:
    """The run of an agent; `None` for a sample of one reply that calls no tools.

    `attached` gives the text that the log keeps aside.
    """
    turns = [base.mapping(turn) for turn in base.items(sample.get("messages"))]
    first = next((i for i, turn in enumerate(turns) if turn.get("role") == "assistant" and _is_made(turn)), None)
    if first is None:
        return None
    replies = [turn for turn in turns[first:] if turn.get("role") == "assistant"]
    if len(replies) == 1 and not replies[0].get("tool_calls"):
        return None
    made = tuple(_turn(turn, attached) for turn in turns[first:])
    limit = base.mapping(sample.get("limit")).get("type")
    ended = f"{limit} limit" if limit else "finished"
    return AgentRun(f"{sample['id']}, epoch {sample['epoch']}", "inspect_ai", made, ended, is_whole=False)


def tokens_of(sample: Mapping[str, Any], model: str) -> int | None:
    """The tokens of all replies of a run; `None` if the log has only those of the last one."""
    used = base.mapping(base.mapping(sample.get("model_usage")).get(model))
    return base.whole(used.get("output_tokens"))


def _is_made(turn: Mapping[str, Any]) -> bool:
    """Whether a reply was generated, not given as part of the question."""
    return turn.get("source") in ("generate", None)


def _turn(turn: Mapping[str, Any], attached: Callable[[str], str]) -> Message:
    role = str(turn.get("role") or "")
    if role == "tool":
        error = base.mapping(turn.get("error")).get("message")
        made = agents.result(turn.get("content"), turn.get("tool_call_id"))
        text = attached(made.text)
        return replace(made, content=f"{text}\n{error}".strip() if error else text)
    calls = [
        agents.call_of(call.get("id"), call.get("function"), call.get("arguments"))
        for call in map(base.mapping, base.items(turn.get("tool_calls")))
    ]
    made = Message(role, agents.content_of(turn.get("content")), tuple(calls))
    return replace(made, content=attached(made.content)) if isinstance(made.content, str) else made
