"""Validation of requests to models, before anything is spent."""

from __future__ import annotations

import json

from mull.errors import PromptError, UsageError
from mull.types import Params, Prompt

MOST_DRAWS = 1_000_000
"""Of one question: more do not fit the memory of a machine."""


def check_asked(prompt: Prompt, n: int, params: Params) -> None:
    """Raises `UsageError` for a request that no model could answer."""
    if n < 1:
        raise UsageError(f"the number of draws must be at least 1, not {n}")
    if n > MOST_DRAWS:
        raise UsageError(f"the number of draws must be at most {MOST_DRAWS:,}, not {n:,}")
    if not any(message.text.strip() or not message.is_plain for message in prompt.messages):
        raise PromptError("the prompt is empty")
    if not params.temperature >= 0:
        raise UsageError(f"the temperature must be 0 or more, not {params.temperature}")
    if params.max_tokens < 1:
        raise UsageError(f"max_tokens must be at least 1, not {params.max_tokens}")
    if not 0 < params.top_p <= 1:
        raise UsageError(f"top_p must be above 0 and at most 1, not {params.top_p}")
    if params.top_k < 0:
        raise UsageError(f"top_k must be 0 (off) or more, not {params.top_k}")
    if params.thinking_tokens is not None and (params.thinking_tokens < 0 or prompt.prefix):
        raise UsageError("a server's thinking budget is 0 or more, and for whole replies, not for the rest of one")
    for text, bias in params.logit_bias:
        if not text or not -100 <= bias <= 100:
            raise UsageError(f"a logit bias is a text and a number from -100 to 100, not {text!r} and {bias}")
    for tool in prompt.tools:
        _check_object(f"the parameters of the tool {tool.name!r}", tool.parameters)
    _check_object("extra", params.extra)
    if params.response_format is not None:
        _check_object("response_format", params.response_format)
    if params.effort == "":
        raise UsageError("an effort is a word such as low or high, or None")


def _check_object(what: str, text: str) -> None:
    """Raises `UsageError` unless `text` is a JSON object."""
    if text == "{}":
        return
    try:
        told = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{what} must be the JSON text of an object: {error}") from error
    if not isinstance(told, dict):
        raise UsageError(f"{what} must be the JSON text of an object, not of a {type(told).__name__}")
