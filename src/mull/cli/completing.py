"""Answers a shell that completes a command: from an index of all words, and without importing what commands need.

`mull completion SHELL` prints the script that asks. Each line of the answer is a word, with a tab and what it means
where the shell shows that; an empty line asks the shell for the names of files.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mull import __version__

FILES = ""
"""The line that asks the shell for the names of files."""
OPENS = (":", "=", ",", "(", "/")
"""The ends of words that go on: a shell adds no blank."""
Words = dict[str, str]
"""Words and what they mean."""


def answer() -> None:
    """Prints the words that may stand at the end of the line in `MULL_LINE`, for the shell in `MULL_COMPLETE`."""
    line, shell = os.environ.get("MULL_LINE", ""), os.environ["MULL_COMPLETE"]
    words, last, is_quoted = parted(line)
    found = completed(index(), words[1:], last)
    start = 0
    if shell == "bash" and not is_quoted:  # bash replaces what stands behind the last of its own marks
        start = max((last.rfind(mark) for mark in os.environ.get("MULL_BREAKS", "")), default=-1) + 1
    lines = []
    for word, about in found.items():
        told = word[start:]
        lines.append(f"{told}\t{about}" if about and shell != "bash" else told)
    sys.stdout.write("".join(f"{one}\n" for one in lines if one.replace("\t", " ").isprintable()))


def parted(line: str) -> tuple[list[str], str, bool]:
    """The words of a command line before its last one, the last one so far, and whether it is in an open quotation."""
    words, word, quote, is_begun = list[str](), "", "", False
    signs = iter(line)
    for sign in signs:
        if quote:
            if sign == quote:
                quote = ""
            else:
                word += next(signs, "") if sign == "\\" and quote == '"' else sign
        elif sign in "'\"":
            quote, is_begun = sign, True
        elif sign == "\\":
            word += next(signs, "")
        elif sign in " \t\n":
            if word or is_begun:
                words.append(word)
            word, is_begun = "", False
        else:
            word += sign
    return words, word, bool(quote)


def completed(known: Mapping[str, Any], words: Sequence[str], last: str) -> Words:
    """The words that may stand in the place of `last` after the words of a command."""
    node, value, place, only_arguments = known["root"], None, 0, False
    for word in words:
        if value is not None:
            value = None
        elif word == "--":
            only_arguments = True
        elif word.startswith("-") and word != "-" and not only_arguments:
            option = node["options"].get(word.partition("=")[0])
            value = None if option is None or "=" in word else option["takes"]
        elif word in node["verbs"]:
            node, place = node["verbs"][word], 0
        else:
            place += 1
    if value is not None:
        return _values(known, value, last, words)
    if last.startswith("-") and not only_arguments:
        name, equals, text = last.partition("=")
        if equals:
            option = node["options"].get(name)
            found = {} if option is None or not option["takes"] else _values(known, option["takes"], text, words)
            return {f"{name}={word}": about for word, about in found.items() if word}
        return {name: one["about"] for name, one in node["options"].items() if name.startswith(last)}
    if node["verbs"]:
        if place:
            return {}
        return {name: one["about"] for name, one in node["verbs"].items() if name.startswith(last)}
    takes = node["arguments"]
    if not takes:
        return {}
    return _values(known, takes[min(place, len(takes) - 1)], last, words) if place < len(takes) or node["many"] else {}


def _values(known: Mapping[str, Any], takes: Any, text: str, words: Sequence[str]) -> Words:
    """The values that begin with `text`: one of a list, a spec of a kind, or the name of a file."""
    if isinstance(takes, list):
        return {one: "" for one in takes if one.startswith(text)}
    if takes == "file":
        return {FILES: ""}
    if takes not in known["specs"]:
        return {}
    found = specs(known, takes, text, words)
    return {FILES: ""} if takes == "task" and not found and ":" not in text else found


def specs(known: Mapping[str, Any], kind: str, text: str, words: Sequence[str] = ()) -> Words:
    """The specs of a kind that begin with `text`, as far as its next option, value, or nested spec."""
    name, colon, options = text.partition(":")
    table = known["specs"][kind]
    if not colon:
        found = {one: entry["about"] for one, entry in table.items() if one.startswith(text)}
        if len(found) == 1:
            (only,) = found
            found |= {f"{only}:": "with options"} if table[only]["options"] else {}
        return found | ({one: "" for one in configured(kind, words) if one.startswith(text)})
    if name not in table:
        return {one: "" for one in configured(kind, words) if one.startswith(text)}
    takes: dict[str, Any] = table[name]["options"]
    *before, last = _split(options)
    option, equals, value = last.partition("=")
    head = text[: len(text) - len(last)]
    if not equals:
        given = {part.partition("=")[0] for part in before}
        found = {f"{head}{one}=": "" for one in takes if one.startswith(last) and one not in given}
        first = table[name]["first"]
        if not before and first is not None:
            found |= {head + one: "" for one in _option(known, takes[first], last, words)}
        return found
    if option not in takes:
        return {}
    return {f"{head}{option}={one}": "" for one in _option(known, takes[option], value, words)}


def _option(known: Mapping[str, Any], takes: Any, text: str, words: Sequence[str]) -> Iterator[str]:
    """The values of an option that begin with `text`."""
    if isinstance(takes, dict):  # several values in brackets
        if not text.startswith("("):
            yield "("
            return
        *_, last = _split(text[1:])
        head = text[: len(text) - len(last)]
        yield from (head + one for one in _option(known, takes["of"], last, words))
    elif isinstance(takes, list):
        yield from (one for one in takes if one.startswith(text))
    elif takes == "file":
        yield from _paths(text)
    elif takes in known["specs"]:
        bare = text.removeprefix("(")
        head = text[: len(text) - len(bare)]
        yield from (head + one for one in specs(known, takes, bare, words))


def _split(text: str) -> list[str]:
    """Splits at commas outside brackets; the last part may be in brackets that are still open."""
    parts, depth = [""], 0
    for sign in text:
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if sign == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += sign
    return parts


def _paths(text: str) -> Iterator[str]:
    """The paths that begin with `text`; those of folders end with a slash."""
    folder, slash, name = text.rpartition("/")
    try:
        with os.scandir(os.path.expanduser(folder + slash) or ".") as entries:  # noqa: PTH111 - pathlib loads slowly
            for entry in sorted(entries, key=lambda one: one.name):
                if entry.name.startswith(name) and (name or not entry.name.startswith(".")):
                    yield folder + slash + entry.name + ("/" if entry.is_dir() else "")
    except OSError:
        return


def configured(kind: str, words: Sequence[str]) -> list[str]:
    """The names of a kind in `mull.toml`, or in the file that `--config` names; none if it cannot be read."""
    table = {"model": "models", "verifier": "verifiers", "judge": "judges"}.get(kind)
    if table is None:
        return []
    import tomllib
    from pathlib import Path

    from mull.config.settings import find
    from mull.errors import FileFormatError

    named = next((words[i + 1] for i, word in enumerate(words[:-1]) if word == "--config"), None)
    try:
        path = find(None if named is None else Path(named))
        told = {} if path is None else tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileFormatError, OSError, ValueError, RecursionError):
        return []
    names = told.get(table)
    return list(names) if isinstance(names, dict) else []


def index() -> dict[str, Any]:
    """The words of all commands, from the user's cache; makes it anew where mull or the installed packages changed."""
    stamp = _stamp()
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111
    path = f"{home}/mull/completion.json"
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            kept = json.load(file)
        if kept["stamp"] == stamp:
            found: dict[str, Any] = kept["index"]
            return found
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    from mull.cli.completion import words

    found = words()
    part = f"{path}.{os.getpid()}"
    try:
        os.makedirs(f"{home}/mull", exist_ok=True)  # noqa: PTH103
        with open(part, "w", encoding="utf-8") as file:  # noqa: PTH123
            json.dump({"stamp": stamp, "index": found}, file)
        os.replace(part, path)  # noqa: PTH105
    except OSError:
        pass  # it is made again next time
    return found


def _stamp() -> list[Any]:
    """What changes when mull or an installed package does."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
    folders = [os.path.join(here, name) for name in ("cli", "spec", "strategies", "verifiers", "models", "tasks")]  # noqa: PTH118
    newest = 0
    for folder in folders:
        with os.scandir(folder) as entries:
            newest = max(newest, *(entry.stat().st_mtime_ns for entry in entries if entry.name.endswith(".py")))
    places = [os.stat(place).st_mtime_ns for place in sys.path if os.path.isdir(place)]  # noqa: PTH112, PTH116
    return [__version__, here, newest, places]
