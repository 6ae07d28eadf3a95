"""Renders a server's chat template, to continue a partial reply. The template is not trusted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from mull.errors import FileFormatError, UsageError
from mull.types import Prompt
from mull.wire.body import printable


@dataclass(frozen=True)
class ChatTemplate:
    """A Jinja template, and the special tokens that it may use."""

    text: str
    bos_token: str = ""
    eos_token: str = ""

    def render(self, prompt: Prompt) -> str:
        """The conversation up to the start of the reply, followed by the partial reply. Raises `UsageError`."""
        import jinja2

        def refuse(why: str) -> None:
            raise jinja2.TemplateRuntimeError(why)

        messages = [{"role": m.role, "content": m.text} for m in prompt.messages]
        try:
            begun = _compiled(self.text).render(
                messages=messages,
                add_generation_prompt=True,
                bos_token=self.bos_token,
                eos_token=self.eos_token,
                raise_exception=refuse,
                strftime_now=lambda form: datetime.now().strftime(form),
            )
        except (
            jinja2.TemplateError,
            ArithmeticError,
            AttributeError,
            LookupError,
            RecursionError,
            TypeError,
            ValueError,
        ) as error:
            raise UsageError(f"the chat template cannot be rendered: {printable(str(error))[:300]}") from error
        return str(begun) + prompt.prefix

    def without_bos(self, text: str) -> str:
        """A rendered prompt without its BOS token, for servers that add it themselves."""
        return text.removeprefix(self.bos_token) if self.bos_token else text


@cache
def _compiled(text: str) -> Any:
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.filters["tojson"] = lambda value, **options: json.dumps(value, ensure_ascii=False)
    return environment.from_string(text)


def read_template(path: Path) -> ChatTemplate:
    """Reads a template from `tokenizer_config.json` or a Jinja file. Raises `FileFormatError`.

    transformers keeps the template of a folder in `chat_template.jinja` beside the configuration, or in it.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix != ".json":
            return ChatTemplate(text)
        row, beside = json.loads(text), path.with_name("chat_template.jinja")
        if isinstance(row, dict) and beside.exists():
            row["chat_template"] = beside.read_text(encoding="utf-8")
        found = told(row)
    except (OSError, ValueError) as error:
        raise FileFormatError(path, None, f"no chat template can be read from it: {error}") from error
    if found is None:
        raise FileFormatError(path, None, "it has no `chat_template`, nor is there a chat_template.jinja beside it")
    return found


def told(row: Any) -> ChatTemplate | None:
    """The template in an object such as llama.cpp's `/props` or `tokenizer_config.json`; `None`: it has none."""
    if not isinstance(row, Mapping):
        return None
    text = row.get("chat_template")
    if isinstance(text, list):
        text = next((t.get("template") for t in text if isinstance(t, Mapping) and t.get("name") == "default"), None)
    if not isinstance(text, str) or not text:
        return None
    return ChatTemplate(text, _token(row.get("bos_token")), _token(row.get("eos_token")))


def _token(value: Any) -> str:
    if isinstance(value, Mapping):
        value = value.get("content")
    return value if isinstance(value, str) else ""
