"""Other forms of a chat: each request becomes a chat's, and each reply, whole or streamed, is told in its own form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from mull.serve.attend import Emit
from mull.serve.faults import ApiError, bad
from mull.serve.fields import CompletionFields, RequestFields
from mull.serve.shapes import DONE, event
from mull.wire.routes import COMPLETIONS

SAME = ("model", "stream", "temperature", "top_p", "seed", "stop", "n", "mull", "logit_bias", "user", "metadata")
"""Fields that have the same name and meaning in a chat."""


class Translator(Protocol):
    """Turns the chunks of a chat's stream into the events of another form."""

    def feed(self, chunk: Mapping[str, Any]) -> bytes:
        """The events for one chunk; empty if there is nothing to tell."""
        ...

    def end(self) -> bytes:
        """The events after the last chunk."""
        ...

    def fail(self, error: ApiError) -> bytes:
        """The events after which nothing more comes: the stream broke off."""
        ...


class ChatForm(Protocol):
    """One form of request and reply."""

    fields: ClassVar[type[RequestFields]]
    """The fields of a request that are checked before it is told as a chat."""
    path: ClassVar[str]
    """Where a model's own server takes it, as it is or as a chat."""

    def chat(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The body of the chat that a request stands for. Raises `ApiError` with the path of what is wrong."""
        ...

    def whole(self, reply: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
        """A chat's reply in this form."""
        ...

    def stream(self, body: Mapping[str, Any]) -> Translator:
        """A new translator for one reply."""
        ...

    def error(self, error: ApiError) -> dict[str, Any]:
        """An error in this form."""
        ...


def translated(translator: Translator, emit: Emit) -> Emit:
    """Emits what is emitted of a chat in another form; comments stay as they are."""

    async def feed(data: bytes) -> None:
        if not data.startswith(b"data: "):
            told = data
        elif data == DONE:
            told = translator.end()
        else:
            told = translator.feed(json.loads(data[6:]))
        if told:
            await emit(told)

    return feed


def refuse(body: Mapping[str, Any], names: Mapping[str, str]) -> None:
    """Raises `ApiError` for fields with a value that this form does not have here, with the reason."""
    for name, why in names.items():
        if body.get(name):
            raise bad(name, why)


def listed(body: Mapping[str, Any], name: str) -> list[Any]:
    """The list in a field; empty if there is none. Raises `ApiError` for something else."""
    value = body.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise bad(name, "must be a list")
    return value


class Completions:
    """`/v1/completions`: a text goes on. Without a preset the model's own server does that."""

    fields: ClassVar[type[RequestFields]] = CompletionFields
    path: ClassVar[str] = COMPLETIONS

    def chat(self, body: Mapping[str, Any]) -> dict[str, Any]:
        prompt = body.get("prompt")
        if isinstance(prompt, list) and len(prompt) == 1:
            (prompt,) = prompt
        if not isinstance(prompt, str):
            raise bad("prompt", "must be a text")
        own = {name: value for name, value in body.items() if name not in ("prompt", "logprobs", "stream_options")}
        told = body.get("logprobs")
        if isinstance(told, int) and not isinstance(told, bool):
            own |= {"logprobs": True, "top_logprobs": told}
        if "stream_options" in body:
            own["stream_options"] = body["stream_options"]
        return {**own, "messages": [{"role": "user", "content": prompt}]}

    def whole(self, reply: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
        choices = [
            {**choice, "text": choice["message"].get("content") or "", "logprobs": None} for choice in reply["choices"]
        ]
        for choice in choices:
            choice.pop("message")
        return {**reply, "id": reply["id"].replace("chatcmpl", "cmpl"), "object": "text_completion", "choices": choices}

    def stream(self, body: Mapping[str, Any]) -> Translator:
        return _TextChunks()

    def error(self, error: ApiError) -> dict[str, Any]:
        return error.body


class _TextChunks:
    def feed(self, chunk: Mapping[str, Any]) -> bytes:
        choices = []
        for choice in chunk.get("choices") or ():
            text = (choice.get("delta") or {}).get("content") or ""
            if text or choice.get("finish_reason"):
                told = {"index": choice["index"], "text": text, "finish_reason": choice.get("finish_reason")}
                choices.append({**told, "logprobs": None})
        if chunk.get("choices") and not choices:
            return b""
        return event({**chunk, "object": "text_completion", "choices": choices})

    def end(self) -> bytes:
        return DONE

    def fail(self, error: ApiError) -> bytes:
        return event(error.body)
