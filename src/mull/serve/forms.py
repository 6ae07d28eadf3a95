"""Other forms of a chat: each request becomes a chat's, and each reply, whole or streamed, is told in its own form."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from mull.serve.attend import Emit
from mull.serve.faults import ApiError, bad
from mull.serve.fields import ChatFields, RequestFields
from mull.serve.shaped import shaped
from mull.serve.shapes import DONE


class Translator(Protocol):
    """Turns the chunks of a chat's stream into the events of another form."""

    def feed(self, chunk: Mapping[str, Any]) -> bytes:
        """The events for one chunk; empty if there is nothing to tell."""
        ...

    def end(self) -> bytes:
        """The events after the last chunk."""
        ...

    def fail(self, error: ApiError, usage: Mapping[str, Any] | None) -> bytes:
        """The events after which nothing more comes: the stream broke off. `usage` is a chat's, of what was spent."""
        ...


class ChatForm(Protocol):
    """One form of request and reply."""

    fields: ClassVar[type[RequestFields]]
    """The fields of a request that are checked before it is told as a chat."""
    path: ClassVar[str]
    """Where a model's own server takes it, as it is or as a chat."""
    names: ClassVar[Mapping[str, str]]
    """What fields of a chat are called in it, where the names differ."""

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
            told = translator.feed(shaped(json.loads(data[6:]), is_chunk=True))
        if told:
            await emit(told)

    return feed


def is_event(chunk: Mapping[str, Any]) -> bool:
    """Whether a chunk tells what happens, rather than a part of the reply or how it came about."""
    return isinstance(told := chunk.get("mull"), dict) and "event" in told


def refuse(body: Mapping[str, Any], names: Mapping[str, str]) -> None:
    """Raises `ApiError` for fields with a value that this form does not have here, with the reason."""
    for name, why in names.items():
        if body.get(name):
            raise bad(name, why)


def unknown(fields: type[RequestFields], body: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a body that neither its form nor a chat has: they go to the model's server."""
    return {name: body[name] for name in body if name not in fields.model_fields | ChatFields.model_fields}


def in_form(form: ChatForm | None, error: ApiError) -> ApiError:
    """An error of a chat, with the path of the field in the form that was sent."""
    if form is None or error.param is None:
        return error
    name, rest = re.findall(r"\A(\w*)(.*)", error.param, re.DOTALL)[0]
    if name not in form.names or (form.names[name] == name and not rest):
        return error
    # What is inside a message has another place than in the chat.
    return error.at(form.names[name] + ("" if name == "messages" else rest))
