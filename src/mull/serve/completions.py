"""`/v1/completions`: a text goes on, where the model's own server does that; else it is asked as a question."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from typing import Any, ClassVar

from mull.serve.faults import ApiError, bad
from mull.serve.fields import CompletionFields, RequestFields
from mull.serve.forms import Translator
from mull.serve.shapes import DONE, event
from mull.wire.routes import COMPLETIONS

AS_QUESTION = "the prompt is asked as a question here"


class Completions:
    """The form of OpenAI's completions API."""

    fields: ClassVar[type[RequestFields]] = CompletionFields
    path: ClassVar[str] = COMPLETIONS
    names: ClassVar[Mapping[str, str]] = {"messages": "prompt", "top_logprobs": "logprobs"}

    def chat(self, body: Mapping[str, Any]) -> dict[str, Any]:
        own = {name: value for name, value in body.items() if name not in ("prompt", "logprobs", "echo", "suffix")}
        if body.get("best_of") == 1:
            own.pop("best_of")
        if body.get("logprobs") is not None:
            own |= {"logprobs": True, "top_logprobs": body["logprobs"]}
        (first, *_) = prompts(body)
        return {**own, "messages": [{"role": "user", "content": first if isinstance(first, str) else ""}]}

    def whole(self, reply: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
        choices = [
            {**choice, "text": choice["message"].get("content") or "", "logprobs": _logprobs(choice)}
            for choice in reply["choices"]
        ]
        for choice in choices:
            choice.pop("message")
        return {**reply, "id": _text_id(reply), "object": "text_completion", "choices": choices}

    def stream(self, body: Mapping[str, Any]) -> Translator:
        return _TextChunks()

    def error(self, error: ApiError) -> dict[str, Any]:
        return error.body


def prompts(body: Mapping[str, Any]) -> list[Any]:
    """The prompts of a request, each a text or token ids; every one of them has `n` replies."""
    told = body["prompt"]
    return told if isinstance(told, list) and not isinstance(told[0], int) else [told]


def check_question(body: Mapping[str, Any]) -> None:
    """Raises `ApiError` for what a server can complete, and nobody can answer as one question."""
    (first, *others) = prompts(body)
    if not isinstance(first, str):
        raise bad("prompt", f"must be a text, not token ids: {AS_QUESTION}")
    if others:
        raise bad("prompt", f"must be one text, not {len(others) + 1}: {AS_QUESTION}; send a request for each")
    if body.get("echo"):
        raise bad("echo", f"must be false: {AS_QUESTION}, and the reply has the answer alone")
    if body.get("suffix"):
        raise bad("suffix", f"must be left out: {AS_QUESTION}, and nothing comes after its answer")


def _text_id(reply: Mapping[str, Any]) -> str:
    return str(reply["id"]).replace("chatcmpl-", "cmpl-", 1)


def _logprobs(choice: Mapping[str, Any]) -> dict[str, Any] | None:
    """A chat's log-probabilities in this form: a list for each of their parts."""
    if not (rows := (choice.get("logprobs") or {}).get("content")):
        return None
    tokens = [row["token"] for row in rows]
    tops = [{top["token"]: top["logprob"] for top in row["top_logprobs"]} for row in rows]
    return {
        "tokens": tokens,
        "token_logprobs": [row["logprob"] for row in rows],
        "top_logprobs": tops if any(tops) else None,
        "text_offset": list(accumulate(map(len, tokens[:-1]), initial=0)),
    }


class _TextChunks:
    def feed(self, chunk: Mapping[str, Any]) -> bytes:
        choices, told = [], b""
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            if delta.get("content") or "role" in delta or choice.get("finish_reason"):
                own = {"index": choice["index"], "text": delta.get("content") or "", "logprobs": _logprobs(choice)}
                choices.append({**own, "finish_reason": choice.get("finish_reason")})
            elif progress := delta.get("reasoning_content"):  # a completion has no field for it
                told += f": {' '.join(progress.split())}\n\n".encode(errors="replace")
        if chunk.get("choices") and not choices:
            return told
        return told + event({**chunk, "id": _text_id(chunk), "object": "text_completion", "choices": choices})

    def end(self) -> bytes:
        return DONE

    def fail(self, error: ApiError, usage: Mapping[str, Any] | None) -> bytes:
        return event(error.body)
