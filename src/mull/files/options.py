"""The choices of multiple-choice questions in tables: lists, objects or columns of their own, as lettered lines."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import Any, NamedTuple

from mull.errors import FileFormatError

LISTS = ("choices", "options", "answer_choices", "answer_options", "endings")
_COLUMN = re.compile(r"(?:option|choice|opt|op|answer_option)s?[ _-]?([a-jA-J]|\d{1,2})|([A-J])")
_PRINTED = re.compile(r"\s*(?:\[\s*['\"]|\{\s*'|array\()")
_LETTERED = re.compile(r"(?:^|\s)[(\[]?A[)\].:].+(?:^|\s)[(\[]?B[)\].:]", re.DOTALL)


class AnswerChoice(NamedTuple):
    """A choice: the label that the file gives it, if any, and its text."""

    label: str | None
    text: str


def options_of(path: Path, line: int, row: Mapping[str, Any], taken: set[str | None]) -> list[AnswerChoice]:
    """The choices of a row, in order; empty without any. `taken` are columns that hold something else.

    Raises `FileFormatError` for a list as Python prints it.
    """
    for name in row:
        if name.strip().lower() in LISTS and name not in taken and row[name] is not None:
            return _listed(path, line, name, row[name])
    columns: dict[str, AnswerChoice] = {}
    for name, value in row.items():
        match = _COLUMN.fullmatch(name.strip().lower() if len(name.strip()) > 1 else name.strip())
        if match is not None and name not in taken and value is not None:
            columns[(match[1] or match[2]).upper()] = AnswerChoice(None, _text(value))
    for labels in (ascii_uppercase, [str(i) for i in range(1, 27)], [str(i) for i in range(26)]):
        n = next(i for i, label in enumerate(labels) if label not in columns)
        if n > 1 and n == len(columns):
            return [columns[label] for label in labels[:n]]
    return []


def _listed(path: Path, line: int, name: str, value: Any) -> list[AnswerChoice]:
    if isinstance(value, str):
        is_printed = _PRINTED.match(value) is not None
        if not is_printed and not value.lstrip().startswith(("[", "{")):
            return []
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            what = "a list as Python prints it: write it as JSON" if is_printed else f"not JSON: {error}"
            raise FileFormatError(path, line, f"`{name}` is {what}") from error
    if isinstance(value, dict) and isinstance(value.get("text"), list):
        labels = value.get("label", value.get("labels"))
        texts = value["text"]
        if not isinstance(labels, list) or len(labels) != len(texts):
            labels = [None] * len(texts)
        return [
            AnswerChoice(None if label is None else str(label), _text(text))
            for label, text in zip(labels, texts, strict=True)
        ]
    if isinstance(value, dict):
        return [AnswerChoice(str(label), _text(text)) for label, text in value.items() if text is not None]
    if not isinstance(value, list):
        raise FileFormatError(path, line, f"`{name}` must be a list of choices, not {type(value).__name__}")
    if any(isinstance(entry, dict) and "message" in entry for entry in value):
        return []  # the replies of a chat API
    return [_entry(entry) for entry in value]


def _entry(entry: Any) -> AnswerChoice:
    if not isinstance(entry, dict):
        return AnswerChoice(None, _text(entry))
    text = next((entry[name] for name in ("text", "content", "value", "option", "choice") if name in entry), entry)
    label = next((entry[name] for name in ("label", "key", "letter", "id") if name in entry), None)
    return AnswerChoice(None if label is None else str(label), _text(text))


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    return (
        str(int(value))
        if isinstance(value, float) and value.is_integer()
        else json.dumps(value, ensure_ascii=False, default=str)
    )


def with_options(prompt: str, options: Sequence[AnswerChoice]) -> str:
    """The prompt with its choices as lettered lines, unless it has them already."""
    if _LETTERED.search(prompt) and all(option.text.casefold() in prompt.casefold() for option in options):
        return prompt
    lines = [f"{letter}) {option.text}" for letter, option in zip(ascii_uppercase, options, strict=False)]
    return "\n".join([prompt.rstrip(), *lines])


class Chosen(NamedTuple):
    """A gold answer among choices, before it is known how the file counts them."""

    line: int | None
    gold: str
    options: Sequence[AnswerChoice]

    @property
    def letter(self) -> str | None:
        """The letter of the gold answer, if it is a label, a text or a letter; `None`: an index, or nothing."""
        gold = self.gold.strip()
        bare = gold.strip("()[]. ")
        for place, option in enumerate(self.options):
            if option.label is not None and option.label.casefold() == bare.casefold():
                return ascii_uppercase[place]
        texts = [option.text.casefold() for option in self.options]
        if texts.count(gold.casefold()) == 1:
            return ascii_uppercase[texts.index(gold.casefold())]
        if len(bare) == 1 and bare.upper() in ascii_uppercase[: len(texts)]:
            return bare.upper()
        led = re.fullmatch(r"[(\[]?([A-Za-z])[)\].:]\s*(.+)", gold, re.DOTALL)
        if led is not None and led[1].upper() in ascii_uppercase[: len(texts)]:
            place = ascii_uppercase.index(led[1].upper())
            return led[1].upper() if led[2].strip().casefold() == texts[place] else None
        return None

    @property
    def number(self) -> int | None:
        """The gold answer as a number, if it is one and nothing else."""
        return int(self.gold) if re.fullmatch(r"\s*\d{1,2}\s*", self.gold) else None


def letters(path: Path, chosen: Sequence[Chosen]) -> tuple[list[str], list[str]]:
    """The letter of each gold answer, and notes on how they were read.

    Golds may be letters, the choices' own labels or texts, or numbers, which count from 0 if one of them is 0, and from
    1 if one is the number of its choices. Raises `FileFormatError` for what is none of the choices, and where nothing
    tells from what the numbers count.
    """
    told = [one.letter for one in chosen]
    counted = [(one, one.number) for one, letter in zip(chosen, told, strict=True) if letter is None]
    for one, index in counted:
        if index is None or index > len(one.options):
            shown = ", ".join(f"{letter}) {o.text}" for letter, o in zip(ascii_uppercase, one.options, strict=False))
            what = f"the answer {one.gold!r} is none of the choices {shown}: write its letter or its text"
            raise FileFormatError(path, one.line, what)
    if not counted:
        return [letter for letter in told if letter is not None], []
    zero = next((one for one, index in counted if index == 0), None)
    last = next((one for one, index in counted if index == len(one.options)), None)
    if (zero is None) is (last is None):
        if zero is not None and last is not None:
            what = f"the answer 0 counts choices from 0, and {last.gold} on line {last.line} counts them from 1"
            raise FileFormatError(path, zero.line, f"{what}: write letters")
        what = "answers are numbers of choices, and none tells whether they count from 0 or from 1: write letters"
        raise FileFormatError(path, counted[0][0].line, what)
    first = 0 if zero is not None else 1
    found = [
        letter if letter is not None else ascii_uppercase[(one.number or 0) - first]
        for one, letter in zip(chosen, told, strict=True)
    ]
    return found, [f"{path.name}: {len(counted)} answers are numbers of choices, counted from {first}"]
