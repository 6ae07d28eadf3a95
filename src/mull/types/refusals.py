"""Refusals of in-process models, which read and write only plain text."""

from __future__ import annotations

from mull.types.conversation import Params, Prompt

CONTINUES = "cannot continue a partial reply: use a model that can, such as nano"
BIASES = "does not support a logit bias: use a model that does, such as nano"
LIMITS_THINKING = "has no thinking budget of its own: use force:at_most=..., which works without one"


def beyond_text(prompt: Prompt, params: Params) -> str | None:
    """Why a plain-text model cannot serve this request, as a predicate that follows its name; `None`: it can."""
    if prompt.tools:
        return "cannot call tools: use a model behind a server"
    if not prompt.is_plain:
        return "reads only text: use a model behind a server for images, files and tool turns"
    if params.response_format is not None:
        return "does not support response_format: use a model behind a server"
    if params.effort is not None:
        return "does not support reasoning effort: use a model behind a server, or force:at_most=..."
    if params.extra != "{}":
        return "runs in this process and takes no extra request fields: use a model behind a server"
    return None
