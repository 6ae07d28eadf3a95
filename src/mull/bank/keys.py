"""Keys of the bank: they cover everything that determines a draw or a verdict, and nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import astuple
from typing import Any

from mull.types import Message, Model, Pair, Params, Problem, Prompt, Sample, Trial


def question(model: Model, prompt: Prompt, params: Params, seed: int) -> dict[str, Any]:
    """Everything that determines the draws of a question; the `digest` of it is their key in the bank."""
    asked = {
        "model": model.identity,
        "messages": [said(m) for m in prompt.messages],
        "prefix": prompt.prefix,
        "temperature": params.temperature,
        "max_tokens": params.max_tokens,
        "stop": list(params.stop),
        "top_p": params.top_p,
        "top_k": params.top_k,
        "seed": seed,
    }
    if params.logprobs is not None:
        asked["logprobs"] = params.logprobs
    if params.thinking_tokens is not None:
        asked["thinking_tokens"] = params.thinking_tokens
    if params.logit_bias:
        asked["logit_bias"] = sorted([text, bias] for text, bias in params.logit_bias)
    if params.effort is not None:
        asked["effort"] = params.effort
    if params.response_format is not None:
        asked["response_format"] = params.response_format
    if params.extra != "{}":
        asked["extra"] = params.extra
    if prompt.tools:
        asked["tools"] = [[tool.name, tool.parameters, tool.description] for tool in prompt.tools]
    return asked


def said(message: Message) -> list[Any]:
    """A message as part of a key: role and content, and its tool calls if it has any."""
    if message.is_plain:
        return [message.role, message.content]
    content: Any = message.content
    if not isinstance(content, str):
        content = [{type(part).__name__: astuple(part)} for part in content]
    named = [] if message.name is None else [message.name]
    return [message.role, content, [astuple(call) for call in message.tool_calls], message.tool_call_id, *named]


def digest(asked: Mapping[str, Any]) -> str:
    """The key of a question: a tagged hash of its canonical JSON."""
    text = json.dumps(asked, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "b2:" + hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()


def seed_of(key: str, number: int) -> int:
    """The seed of a numbered draw: 63 bits that depend only on the question and the number."""
    return int.from_bytes(hashlib.blake2b(f"{key}/{number}".encode(), digest_size=8).digest(), "big") >> 1


def score_key(identity: str, problem: Problem, sample: Sample) -> str | None:
    """The key of a verifier's score: equal replies to the same problem share it, whatever their draw numbers.

    `None` if `Problem.given` holds values that JSON cannot represent: such a score is not banked.
    """
    return _verdict_key("score", identity, problem, sample)


def preference_key(identity: str, problem: Problem, pair: Pair) -> str | None:
    """The key of a judge's preference; the order of the pair matters. `None` as for `score_key`."""
    return _verdict_key("preference", identity, problem, pair.first, pair.second)


def behaviour_key(identity: str, problem: Problem, trial: Trial) -> str | None:
    """The key of a program's behaviour. `None` as for `score_key`."""
    return _verdict_key("behaviour", identity, problem, program=[trial.program, trial.tests, trial.inputs])


def _verdict_key(kind: str, identity: str, problem: Problem, *samples: Sample, **more: Any) -> str | None:
    judged = {
        **more,
        kind: identity,
        "problem": problem.id,
        "messages": [said(m) for m in problem.prompt.messages],
        "prefix": problem.prompt.prefix,
        "kind": problem.kind.value,
        "given": dict(problem.given),
        "replies": [_reply(sample) for sample in samples],
    }
    try:
        return digest(judged)
    except TypeError:
        return None


def _reply(sample: Sample) -> list[Any]:
    calls = [[call.name, call.arguments] for call in sample.tool_calls]
    return [sample.reply, sample.answer, sample.reasoning, sample.finish, *([calls] if calls else [])]
