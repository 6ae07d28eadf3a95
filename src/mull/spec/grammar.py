"""Specs: converts `name:option=value,...` on a command line to the frozen value that it names, and back.

A value in parentheses is a nested spec, `outer:inner=(majority:n=4)`, or a list of them:
`outer:all=((majority:n=4),single)`. A name is in a table, added by an installed package, or `module:Class`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, Field, fields
from functools import lru_cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from mull.errors import UnknownNameError, UsageError
from mull.spec.mistakes import no_value, unknown_option
from mull.spec.tables import JUDGES, MODELS, STRATEGIES, VERIFIERS, found, load, named_as, parted
from mull.types import A_FILE, Judge, Model, Verifier

NEWLINE = r"\n"
"""How a step separator writes a newline on the command line."""

Make = Callable[[str], Any]
"""Makes the value of a nested spec."""


def build(
    kind: str,
    table: dict[str, str],
    spec: str,
    *,
    models: Make | None = None,
    verifiers: Make | None = None,
    judges: Make | None = None,
    may_import: bool = True,
    folder: Path | None = None,
    **defaults: Any,
) -> Any:
    """The value that a spec names; `defaults` apply to fields that the spec leaves out.

    Options that name files (`A_FILE`) go from `folder`; by default from the working folder.

    `models`, `verifiers` and `judges` make the ones named in it, at any depth; by default the tables are used. If
    `may_import` is false, names `module:Class` are unknown: for names read from a file, which must not decide what is
    imported. Raises `UnknownNameError` for an unknown name or option, and `UsageError` for a value of the wrong type or
    an option given twice; errors in a nested spec name the option that contains it.
    """

    def inner(kind: str, table: dict[str, str], **defaults: Any) -> Make:
        more: dict[str, Any] = {"models": models, "verifiers": verifiers, "judges": judges, **defaults}
        return lambda text: build(kind, table, text, may_import=may_import, folder=folder, **more)

    name, rest = parted(kind, table, spec)
    cls = found(kind, table, name, may_import=may_import)
    from mull.run import Strategy  # not before the name is known: a misspelt one is told of at once

    makers = {
        Model: models or inner("model", MODELS),
        Verifier: verifiers or inner("verifier", VERIFIERS, **defaults),
        Judge: judges or inner("judge", JUDGES, **defaults),
        Strategy: inner("strategy", STRATEGIES),
    }
    hints = hints_of(name, cls)
    options = {f.name: f for f in fields(cls) if f.init}
    given: dict[str, Any] = {}
    first = next(filter(is_required, options.values()), None)
    for place, part in enumerate(_split(rest)):
        option, equals, text = part.partition("=")
        option = option.strip().replace("-", "_")
        if place == 0 and first is not None and option not in options:
            # A text may contain an equals sign; a nested spec has a colon before it.
            is_option = equals and option.isidentifier() and hints[first.name] is not str
            option, equals, text = (option, equals, text) if is_option else (first.name, "=", part)
        if not equals:
            raise no_value(kind, name, part, options)
        if option not in options:
            raise unknown_option(name, option, options)
        if option in given:
            raise UsageError(f"{name}:{option} is given twice")
        given[option] = _value(f"{name}:{option}", text, hints[option], makers)
        if folder is not None and A_FILE.items() <= options[option].metadata.items():
            given[option] = str(folder / Path(given[option]).expanduser())
    for option, value in defaults.items():
        if option in options:
            given.setdefault(option, value)
    missing = [f.name for f in options.values() if is_required(f) and f.name not in given]
    if missing:
        raise UsageError(f"{kind} {name!r} needs {missing[0]}: {name}:{missing[0]}=...")
    return cls(**given)


def strategy(spec: str, *, may_import: bool = True, **makers: Make) -> Any:
    """The strategy that a spec names; `may_import` and `makers` as in `build`."""
    return build("strategy", STRATEGIES, spec, may_import=may_import, folder=None, **makers)


def hints_of(name: str, cls: type) -> dict[str, Any]:
    """The types of a class's options. Raises `UsageError` if they cannot be resolved."""
    try:
        return get_type_hints(cls)
    except NameError as error:
        raise UsageError(f"{name}: {error}: the types of its options must be imported where it runs") from error


class Placeholder(NamedTuple):
    """Stands for a model, verifier or judge named in a spec when only the strategy matters."""

    name: str


@lru_cache(maxsize=256)
def named(text: str) -> Any:
    """The strategy of a spec, to read its declarations: models, verifiers and judges in it are placeholders.

    The text may come from a file, so only modules named by the tables and installed packages are imported. Returns the
    strategy's class if its options are not those of this version, and `None` if no strategy has this name.
    """
    try:
        return strategy(text, models=Placeholder, verifiers=Placeholder, judges=Placeholder, may_import=False)
    except UsageError:
        name = text.strip().partition(":")[0]
        return load(STRATEGIES[name]) if name in STRATEGIES else None


def head(text: str) -> str:
    """The name in a strategy's spec, without its options."""
    return parted("strategy", STRATEGIES, text)[0]


def describe(table: dict[str, str], value: Any) -> str:
    """The spec of a value: its name in the table, its `n`, and the options that differ from their defaults.

    `build` converts it back to the value. Models that are in no table, such as those of `mull.toml`, appear by name.
    """
    name = _name_in(table, value)
    if name is None:
        raise UsageError(f"{type(value).__qualname__} is in no table, and so has no spec")
    options = []
    for f in fields(value):
        chosen = getattr(value, f.name)
        default = f.default if f.default_factory is MISSING else f.default_factory()
        if f.init and (chosen != default or f.name == "n"):
            options.append(f"{f.name}={_text(chosen)}")
    return name + (":" + ",".join(options) if options else "")


def _name_in(table: Mapping[str, str], value: Any) -> str | None:
    path = f"{type(value).__module__}:{type(value).__qualname__}"
    return next((name for name, where in table.items() if where == path), named_as(type(value)))


def _text(value: Any) -> str:
    """A value as the text after an option's name."""
    if isinstance(value, str):
        escaped = re.sub(r"([(),])", r"\\\1", value).replace("\n", NEWLINE)
        return escaped if escaped == escaped.strip() else f"({escaped})"
    if isinstance(value, tuple):
        return f"({','.join(map(_text, value))})"
    if value is None or isinstance(value, bool | int | float):
        return str(value)
    for table in (STRATEGIES, VERIFIERS, JUDGES, MODELS):
        if _name_in(table, value) is not None:
            text = describe(table, value)
            break
    else:
        text = str(value.name)
    return f"({text})" if re.search(r"[:,()]", text) else text


def is_required(f: Field[Any]) -> bool:
    return f.default is MISSING and f.default_factory is MISSING


def _split(text: str) -> list[str]:
    """Splits at commas outside parentheses; a backslash escapes a comma, a parenthesis or a backslash."""
    parts, depth = [""], 0
    for piece in re.findall(r"\\[(),]|.", text, re.DOTALL):
        depth += {"(": 1, ")": -1}.get(piece, 0)
        if depth < 0:
            raise UsageError(f"a bracket too many in {text!r}")
        if piece == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += piece
    if depth:
        raise UsageError(f"a bracket is not closed in {text!r}")
    return [part.strip() for part in parts if part.strip()]


def _bare(text: str) -> str:
    """A spec without its enclosing parentheses."""
    depth = 0
    pieces = re.findall(r"\\[(),]|.", text, re.DOTALL)
    for i, piece in enumerate(pieces):
        depth += {"(": 1, ")": -1}.get(piece, 0)
        if depth == 0:
            return text[1:-1] if pieces[0] == "(" and i == len(pieces) - 1 else text
    return text


@contextmanager
def _inside(place: str) -> Iterator[None]:
    """Prefixes errors inside the block with the place of the spec."""
    try:
        yield
    except UsageError as error:
        error.args = (f"{place}: {error}",)
        raise


def _value(option: str, text: str, hint: Any, makers: Mapping[Any, Make]) -> Any:
    """Converts a text to a value of the option's type."""
    if get_origin(hint) in (Union, UnionType):
        if text.lower() == "none" and NoneType in get_args(hint):
            return None
        hint = next(h for h in get_args(hint) if h is not NoneType)
    if get_origin(hint) is tuple:
        items = _split(_bare(text))
        for item in items if get_args(hint)[0] in makers else ():
            if item.partition("=")[0].isidentifier() and "=" in item:
                raise UsageError(f"{option}: {item!r} names nothing: put what has options in brackets, ((a:b=1,c=2),d)")
        return tuple(_value(f"{option}[{i}]", item, get_args(hint)[0], makers) for i, item in enumerate(items, 1))
    if get_origin(hint) is Literal:
        if text not in get_args(hint):
            raise UnknownNameError(f"value of {option}", text, get_args(hint))
        return text
    if hint is bool:
        if text.lower() not in ("true", "false"):
            raise UsageError(f"{option} must be true or false, not {text!r}")
        return text.lower() == "true"
    if hint in (int, float):
        try:
            return hint(text)
        except ValueError:
            what = "a whole number" if hint is int else "a number"
            raise UsageError(f"{option} must be {what}, not {text!r}") from None
    if hint is str:
        plain = re.sub(r"\\([(),])", r"\1", _bare(text))
        return plain.replace(NEWLINE, "\n") if option.endswith(":separator") else plain
    if hint not in makers:
        raise UsageError(f"{option} has a type that a spec cannot express: {hint}")
    with _inside(option):
        return makers[hint](_bare(text))
