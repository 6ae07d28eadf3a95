"""Refusals of in-process models, which read and write only plain text."""

from __future__ import annotations

from mull.types.conversation import Params, Prompt

CONTINUES = "cannot continue a partial reply: use a model that can, such as nano"
BIASES = "takes no logit bias: use a model that does, such as nano"
LIMITS_THINKING = "keeps no thinking budget of its own: use force:at_most=..., which needs none"


def beyond_text(prompt: Prompt, params: Params) -> str | None:
    """Why a plain-text model cannot serve this request, as a predicate that follows its name; `None`: it can."""
    if prompt.tools:
        return "calls no tools: use a model behind a server"
    if not prompt.is_plain:
        return "reads nothing but text: use a model behind a server for images, files and turns of tools"
    if params.response_format is not None:
        return "cannot be held to a response_format: use a model behind a server"
    if params.effort is not None:
        return "has no levels of effort: use a model behind a server, or force:at_most=..."
    if params.extra != "{}":
        return "is behind no server that extra fields could be passed to"
    return None
