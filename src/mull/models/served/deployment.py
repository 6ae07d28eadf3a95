"""Where and how a model is served."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, Literal

from mull.cost import Price
from mull.errors import UsageError
from mull.models.served.capabilities import Capabilities
from mull.models.served.template import ChatTemplate
from mull.types import Cost, Params, Prompt, TextPart
from mull.wire.address import clean_url, read_key
from mull.wire.endpoints import Limits

MODEL_FILES = (".gguf", ".bin", ".safetensors", ".onnx")
TOOL_MESSAGES = 32
"""Template tokens allowed per tool, in units of one message: instructions for calling a tool are long."""


Api = Literal["chat", "completions", "anthropic", "responses"]


@dataclass(frozen=True)
class Deployment:
    """A model behind one or several endpoints (`urls`, which usually end in `/v1`).

    `api` is what is asked: OpenAI's `chat` completions, plain `completions` or `responses`, or Anthropic's Messages.
    `served` is the server's name for the model; if not `is_named`, a server with one model is asked for that. If
    `use_n` is set and the server supports it, up to `most_n` draws share a request: their prompt is paid for once.
    `stream=None` streams only if that lets a reply be stopped early, keeps finished draws of a shared request at a
    deadline, or shows the progress of a server with few slots. `extra` is a JSON object whose fields are added to every
    request, `effort` the reasoning effort of requests that name none. Draws are banked under `bank_as`, so that the
    server may move. The key is read from the environment variable `api_key_env` when needed. Unless `believes_longer`,
    counts of more tokens than a draw was allowed are unknown, as where nobody pays for more.
    """

    name: str
    urls: tuple[str, ...]
    served: str
    api: Api = "chat"
    api_key_env: str | None = None
    price: Price = field(default_factory=Price)
    limits: Limits = field(default_factory=Limits)
    use_n: bool = True
    most_n: int = 16
    stream: bool | None = None
    template: ChatTemplate | None = None
    extra: str = "{}"
    bank_as: str = ""
    is_named: bool = True
    effort: str | None = None
    believes_longer: bool = True

    def __post_init__(self) -> None:
        if not self.urls:
            raise UsageError(f"{self.name}: no base_url")
        object.__setattr__(self, "urls", tuple(map(clean_url, self.urls)))

    @cached_property
    def identity(self) -> str:
        """Key under which its draws are banked."""
        name = self.bank_as or f"{self.served}@{self.urls[0]}"
        odd: list[str] = [] if self.api == "chat" else [self.api]
        if self.effort is not None:
            odd.append(f"effort={self.effort}")
        if self.extra_body:
            odd.append(hashlib.blake2b(self.extra.encode(), digest_size=6).hexdigest())
        return "/".join([name, *odd])

    @cached_property
    def extra_body(self) -> Mapping[str, Any]:
        """The fields of `extra`."""
        body: Mapping[str, Any] = json.loads(self.extra)
        return body

    @property
    def is_openai_like(self) -> bool:
        """Whether requests have the fields of chats and completions, such as `n`, `seed` and `logit_bias`."""
        return self.api in ("chat", "completions")

    def key(self) -> str | None:
        """The API key. Raises `UsageError` if its variable is not set or its value cannot be sent."""
        return read_key(self.name, self.api_key_env)

    def quote(self, prompt: Prompt, params: Params, can: Capabilities | None) -> Cost:
        """The most that a draw can cost, including the tokens that the server was found to add to a prompt."""
        return self.price.cost(bound(prompt, can), params.max_tokens)


def bound(prompt: Prompt, can: Capabilities | None) -> int | None:
    """An upper bound on a prompt's tokens: one per byte, plus what chat templates add to each message.

    `None` if the prompt has images or files, whose token counts depend on the server.
    """
    if any(not isinstance(p, TextPart) for m in prompt.messages if not isinstance(m.content, str) for p in m.content):
        return None
    known = None if can is None else can.overhead
    texts = [prompt.prefix, *(message.text for message in prompt.messages)]
    for message in prompt.messages:
        texts += [f"{call.id}{call.name}{call.arguments}" for call in message.tool_calls]
    texts += [f"{tool.name}{tool.parameters}{tool.description}" for tool in prompt.tools]
    n_bytes = sum(len(text.encode(errors="replace")) for text in texts)
    n_added = len(prompt.messages) + TOOL_MESSAGES * len(prompt.tools) + sum(len(m.tool_calls) for m in prompt.messages)
    return n_bytes + (64 if known is None else known) + 16 * n_added


def short_name(name: str) -> str:
    """A server's name for a model as it is shown: the stem of a model file's path, any other name unchanged."""
    path = PurePosixPath(name.replace("\\", "/"))
    return path.stem if path.suffix in MODEL_FILES else name
