"""What messages of other forms hold beside texts, as the parts of a chat's messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mull.serve.expect import a_text, an_object, may_be_text, one_of
from mull.serve.faults import bad

SHOWN = ("text", "image", "document", "search_result")
"""The types of Anthropic's blocks that a model reads, in messages and in the results of tools."""


def text_part(text: str) -> dict[str, Any]:
    """A text in a message."""
    return {"type": "text", "text": text}


def shown(content: Any, at: str, known: Sequence[str] = SHOWN) -> list[dict[str, Any]]:
    """The parts for a text, or for a list of Anthropic's blocks of these types."""
    if isinstance(content, str):
        return [text_part(content)]
    if not isinstance(content, list):
        raise bad(at, "must be a text or a list of parts")
    return [part for i, block in enumerate(content) for part in shown_block(block, f"{at}[{i}]", known)]


def shown_block(block: Any, at: str, known: Sequence[str] = SHOWN) -> list[dict[str, Any]]:
    """The parts for one of Anthropic's blocks."""
    match one_of(block, known, at):
        case "text":
            return [text_part(a_text(block, "text", at))]
        case "image":
            return [{"type": "image_url", "image_url": {"url": _image(an_object(block, "source", at), f"{at}.source")}}]
        case "document":
            return _document(block, at)
    _check_uncited(block, at)
    head = [a_text(block, "title", at), a_text(block, "source", at)]
    texts = [part["text"] for part in shown(block.get("content"), f"{at}.content", ("text",))]
    return [text_part("\n".join([*head, *texts]))]


def _image(source: dict[str, Any], at: str) -> str:
    if one_of(source, ("base64", "url"), at) == "url":
        return a_text(source, "url", at)
    return _data(source, at)


def _data(source: dict[str, Any], at: str) -> str:
    return f"data:{a_text(source, 'media_type', at)};base64,{a_text(source, 'data', at)}"


def _document(block: dict[str, Any], at: str) -> list[dict[str, Any]]:
    """A document: its title and context, and then its text, its parts, or the file."""
    _check_uncited(block, at)
    source, where = an_object(block, "source", at), f"{at}.source"
    title, context = may_be_text(block, "title", at), may_be_text(block, "context", at)
    told = [text_part(text) for text in (title, context) if text]
    match one_of(source, ("base64", "text", "content"), where):
        case "base64":
            file = {"filename": title or "document.pdf", "file_data": _data(source, where)}
            return [*told, {"type": "file", "file": file}]
        case "text":
            return [*told, text_part(a_text(source, "data", where))]
    return [*told, *shown(source.get("content"), f"{where}.content", ("text", "image"))]


def _check_uncited(block: dict[str, Any], at: str) -> None:
    cited = block.get("citations")
    if isinstance(cited, dict) and cited.get("enabled"):
        raise bad(f"{at}.citations", "must not be enabled: a chat's model cites nothing")


def with_results_shown(turns: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Chat messages in which results of tools are texts alone, as the chat API has them.

    Images and files of a result follow in the user's message after the results, under the id of the call.
    """
    told: list[dict[str, Any]] = []
    moved: list[dict[str, Any]] = []
    for turn in turns:
        content = turn.get("content")
        if turn["role"] == "tool":
            if isinstance(content, list):
                texts = [part["text"] for part in content if part["type"] == "text"]
                others = [part for part in content if part["type"] != "text"]
                moved += [text_part(f"Of the result of {turn['tool_call_id']}:"), *others] if others else []
                turn = {**turn, "content": "\n".join(texts)}
        elif moved and turn["role"] == "user":
            turn = {**turn, "content": [*moved, *([text_part(content)] if isinstance(content, str) else content or ())]}
            moved = []
        elif moved:
            told.append({"role": "user", "content": moved})
            moved = []
        told.append(turn)
    return [*told, {"role": "user", "content": moved}] if moved else told
