"""Parts of messages beside plain text: images, files, tools and tool calls. All are plain, frozen values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TextPart:
    """A piece of text."""

    text: str


@dataclass(frozen=True, slots=True)
class ImagePart:
    """An image: `url` is its address or a `data:` URL, `detail` the resolution to use (`None`: the model decides)."""

    url: str
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file: `data` is a `data:` URL, or `file_id` names a file on the server."""

    filename: str | None = None
    data: str | None = None
    file_id: str | None = None


Part = TextPart | ImagePart | FilePart


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that a model may call; `parameters` is the JSON Schema of its arguments, as JSON text."""

    name: str
    parameters: str = '{"type":"object","properties":{}}'
    description: str = ""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's call of a tool. `arguments` is JSON as the model wrote it; it may be malformed."""

    id: str
    name: str
    arguments: str
