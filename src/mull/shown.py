"""Makes untrusted text visible and harmless: what models, servers and files say, on its way out of mull.

Every exit uses `shown`: the terminal, messages, logs, pages and figures. Files of draws hold the text itself.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

JOINERS = "\u200c\u200d"
"""Join letters in Persian and Hindi, and parts of emoji; they move nothing."""


def shown(text: str, *, lines: bool = False) -> str:
    r"""The text with each control, escape, bidirectional and line-break character as its escape, such as `\x1b`.

    The result is one line of valid Unicode. If `lines` is true, newlines and tabs stay as they are.
    """
    if text.isprintable():
        return text
    if lines:
        return "\n".join(map(_line, text.replace("\r\n", "\n").split("\n")))
    return "".join(map(_character, text))


def html_text(value: object) -> str:
    """A value as the text of an HTML page: no markup or control character in it is in force."""
    from html import escape

    return escape(shown(str(value), lines=True))


def html_table(head: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> str:
    """A table for a notebook. Notebooks set formulas between dollar signs, except in these classes."""
    top = "".join(f"<th>{html_text(cell)}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{html_text(cell)}</td>' for cell in row)}</tr>" for row in rows)
    about = f"<caption>{html_text(caption)}</caption>" if caption else ""
    return (
        f'<div class="tex2jax_ignore mathjax_ignore"><table>{about}<thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


class Inert:
    """An argument of a log message: a value whose text is made visible when, and only if, the message is written."""

    __slots__ = ("_value",)

    def __init__(self, value: object) -> None:
        self._value = value

    def __str__(self) -> str:
        return shown(str(self._value))


def _line(line: str) -> str:
    return "\t".join(map(shown, line.split("\t")))


def _character(c: str) -> str:
    if c.isprintable() or c in JOINERS or unicodedata.category(c) == "Zs":
        return c
    return c.encode("unicode_escape").decode("ascii")


def shown_json(value: Any) -> str:
    """The value as one line of JSON in which every such character is escaped as JSON does; it reads back the same."""
    text = json.dumps(value, ensure_ascii=False)
    if text.isprintable():
        return text
    return "".join(c if _character(c) == c else json.dumps(c)[1:-1] for c in text)


def shown_within(value: Any) -> Any:
    """A value of JSON with all its texts as `shown` makes them, their lines kept."""
    if isinstance(value, str):
        return shown(value, lines=True)
    if isinstance(value, dict):
        return {name: shown_within(one) for name, one in value.items()}
    return [shown_within(one) for one in value] if isinstance(value, list | tuple) else value
