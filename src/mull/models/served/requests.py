"""Request bodies: a prompt and parameters in the format that a server supports."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mull.errors import UsageError
from mull.models.served import anthropic, backends, messages, responses
from mull.models.served.capabilities import Capabilities
from mull.models.served.deployment import Deployment, bound
from mull.types import Params, Prompt
from mull.wire.body import encode
from mull.wire.routes import CHAT, COMPLETIONS, MESSAGES, RESPONSES


@dataclass(frozen=True)
class RequestTemplate:
    """A request without its seed and number of replies, ready to be sent many times.

    `head` is the JSON body up to its closing brace. `cut_at` are stop strings at which the client breaks a stream off.
    The prompt has `n_prompt_bytes`, and at most so many tokens as `bound` says.
    """

    path: str
    head: bytes
    is_streamed: bool
    cut_at: tuple[str, ...]
    most_bytes: int
    stop: str
    n_prompt_bytes: int = 0
    most_prompt_tokens: int | None = None

    def body(self, n: int, seed: int | None) -> bytes:
        """The body for `n` replies."""
        more = b""
        if n > 1:
            more += b',"n":%d' % n
        if seed is not None:
            more += b',"seed":%d' % seed
        return self.head + more + b"}"


def ask(
    deployment: Deployment,
    prompt: Prompt,
    params: Params,
    can: Capabilities,
    token_ids: Mapping[str, int] | None = None,
    *,
    in_time: bool = False,
) -> RequestTemplate:
    """The request for a prompt. Raises `UsageError` if the server cannot serve it.

    `token_ids` has the id of the first token of each text in `Params.logit_bias`, if the server needs ids. `in_time`:
    several replies are wanted before a deadline, so that a stream of them keeps those that finish.
    """
    backend = backends.named(can.backend)
    if params.effort is None:
        params = replace(params, effort=deployment.effort)
    path, body = _begun(deployment, prompt, params, can)
    body |= _sampling(deployment, params, can)
    body |= {name: value for name, value in backend.plain.items() if name not in can.rejects}
    if params.top_k:
        if "top_k" in can.rejects:
            raise UsageError(f"{deployment.name}: its server does not support top_k")
        body["top_k"] = params.top_k
    cut_at: tuple[str, ...] = ()
    if params.stop:
        if can.stop == "ignored":
            cut_at = params.stop
        else:
            if path in (CHAT, COMPLETIONS):
                body["stop"] = list(params.stop[: backend.most_stops])
            if can.stop == "kept":
                body |= {name: value for name, value in backend.keeps_stop.items() if name not in can.rejects}
    if params.logit_bias:
        body |= bias_fields(params.logit_bias, can, token_ids or {})
    if params.thinking_tokens is not None:
        if can.limits is None:
            raise UsageError(f"{deployment.name}: its server does not enforce thinking_tokens")
        body |= backends.thinking_fields(can.limits, params.thinking_tokens)
    n_tops = 0
    if params.logprobs is not None:
        if not can.logprobs:
            raise UsageError(f"{deployment.name}: its server returns no log-probabilities, but logprobs was requested")
        n_tops = params.logprobs
        if can.tops is not None and n_tops > can.tops:
            remedy = f"ask for {can.tops} (top={can.tops})" if can.tops else "ask for none (signal=chosen)"
            raise UsageError(
                f"{deployment.name}: its server returns the log-probabilities of {can.tops} likeliest tokens, and "
                f"{n_tops} were requested: {remedy}"
            )
        if path == CHAT:
            if n_tops and backend.tops_hold_chosen:
                n_tops = max(n_tops, min(n_tops + 1, can.tops or backends.MOST_TOPS))
            body |= {"logprobs": True} | ({"top_logprobs": n_tops} if n_tops else {})
        elif path == COMPLETIONS:
            body["logprobs"] = n_tops
    # Where only so many replies are generated at once, what comes of one shows that it is worked on; and a server that
    # counts the first reply of a request alone counts each in a stream.
    is_slow = can.slots is not None or not can.counts_all
    is_useful = bool(cut_at) or ((in_time or is_slow) and can.stream_usage and (can.stream_n or not can.n))
    is_streamed = can.stream and (is_useful if deployment.stream is None else deployment.stream)
    if is_streamed:
        body["stream"] = True
        if can.stream_usage and "stream_options" not in can.rejects:
            body["stream_options"] = {"include_usage": True}
    body = merged(merged(body, deployment.extra_body), json.loads(params.extra))
    per_token = 64 + (0 if params.logprobs is None else 200 * (1 + n_tops)) + (400 if is_streamed else 0)
    return RequestTemplate(
        path,
        encode(body)[:-1],
        is_streamed,
        cut_at,
        params.max_tokens * per_token,
        can.stop,
        len(prompt.question.encode(errors="replace")),
        bound(prompt, can),
    )


def merged(body: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """A body with further fields; objects in both, such as `chat_template_kwargs`, are merged."""
    both = {name for name in more if isinstance(more[name], Mapping) and isinstance(body.get(name), Mapping)}
    return {**body, **more, **{name: {**body[name], **more[name]} for name in both}}


def bias_fields(
    logit_bias: Sequence[tuple[str, float]], can: Capabilities, token_ids: Mapping[str, int]
) -> dict[str, Any]:
    """The request fields for a logit bias. Raises `UsageError` if the server does not support it."""
    if can.biases is None:
        raise UsageError("its server does not support logit_bias")
    added: dict[str, float] = {}
    for text, bias in logit_bias:
        name = text if can.biases == "texts" else str(token_ids[text])
        added[name] = added.get(name, 0.0) + bias
    return {"logit_bias": added, **({"logit_bias_type": "tokens"} if can.biases == "texts" else {})}


def _sampling(deployment: Deployment, params: Params, can: Capabilities) -> dict[str, Any]:
    """Temperature and top_p: every value, even common ones, since servers have their own defaults.

    A field that the server refuses is left out where it would say what the model does without it.
    """
    for name in ("temperature", "top_p"):
        if name in can.rejects and getattr(params, name) != 1:
            raise UsageError(f"{deployment.name}: its server accepts no {name}: leave it at 1")
    told = {"temperature": params.temperature, "top_p": params.top_p}
    return {name: value for name, value in told.items() if name not in can.rejects}


def _begun(deployment: Deployment, prompt: Prompt, params: Params, can: Capabilities) -> tuple[str, dict[str, Any]]:
    """The path to post to, and a body with the prompt and what else has fields of its own in this API."""
    body: dict[str, Any] = {"model": deployment.served}
    if prompt.prefix and can.continues is None and deployment.api != "completions":
        raise UsageError(f"{deployment.name} cannot continue a partial reply: {can.why}")
    if deployment.api == "anthropic":
        return MESSAGES, body | anthropic.fields(prompt, params, can)
    if deployment.api == "responses":
        return RESPONSES, body | responses.fields(prompt, params)
    path = _put_prompt(body, deployment, prompt, can)
    return path, body | {can.length: params.max_tokens} | messages.fields(prompt, params)


def _put_prompt(body: dict[str, Any], deployment: Deployment, prompt: Prompt, can: Capabilities) -> str:
    """Adds the prompt to a body in the format of a chat or of plain completions; returns the path to post to."""
    if deployment.api == "completions":
        body["prompt"] = "\n\n".join(message.text for message in prompt.messages) + prompt.prefix
        return COMPLETIONS
    turns = messages.turns(prompt)
    if not prompt.prefix:
        body["messages"] = turns
        return CHAT
    assert can.continues is not None  # checked before
    if can.continues == "template":
        assert can.template is not None  # without a template the probe does not find this way
        text = can.template.render(prompt)
        body["prompt"] = text if can.has_bos else can.template.without_bos(text)
        return COMPLETIONS
    of_request, of_message = backends.CONTINUES[can.continues]
    body["messages"] = [*turns, {"role": "assistant", "content": prompt.prefix, **of_message}]
    body |= of_request
    return CHAT
