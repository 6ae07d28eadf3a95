"""What somebody meant by a spec that names nothing, or that is written in another way."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from mull.errors import UnknownNameError, UsageError

ALSO_CALLED = {
    "strategy": {
        "best-of-n": "best",
        "best-of-k": "best",
        "bon": "best",
        "rerank": "best",
        "self-consistency": "majority",
        "sc": "majority",
        "cot-sc": "majority",
        "maj": "majority",
        "maj-n": "majority",
        "vote": "majority",
        "voting": "majority",
        "majority-vote": "majority",
        "majority-voting": "majority",
        "greedy": "single",
        "sample": "single",
        "one": "single",
        "pass-1": "single",
        "weighted-majority": "weighted",
        "weighted-vote": "weighted",
        "weighted-bon": "weighted",
        "beam-search": "beam",
        "adaptive-consistency": "adaptive",
        "early-stopping": "adaptive",
        "budget-forcing": "force",
        "tree-search": "mcts",
    },
}
"""Names that papers and other tools have for what mull has under another."""
OPTION_CALLED = ("n", "k", "samples", "num_samples", "n_samples", "num", "count", "draws", "n_draws", "times")
"""Names of the number of draws."""


def unknown(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """The error for a name that is not known: a known one with another separator, by another name, or the nearest."""
    known = sorted(known)
    for one in sorted(known, key=len, reverse=True):
        rest = name[len(one) :]
        if name.lower().startswith(one) and rest and not re.match(r"[\w\-]", rest):
            return _other_separator(kind, name, one, rest, known)
    plain = re.sub(r"[\s_@]+", "-", name.strip().lower())
    other = ALSO_CALLED.get(kind, {}).get(plain, plain)
    if other in known and other != name:
        return UnknownNameError(kind, name, known, meant=other)
    return UnknownNameError(kind, name, known)


def _other_separator(kind: str, name: str, one: str, rest: str, known: Collection[str]) -> UsageError:
    after = rest.strip(" ,;+|()")
    if re.split(r"[\W]", after)[0] in known or after.split(":")[0] in known:
        return UsageError(f"unknown {kind} {name!r}: name one {kind} at a time, as in -s {one} -s {after}")
    return UsageError(f"unknown {kind} {name!r}: options follow a colon, {one}:{written(rest) or 'option=value'}")


def written(text: str) -> str:
    """The options in a text with other separators, as a spec has them; empty if there are none to be seen."""
    told = re.findall(r"(\w+)\s*[=:\s]\s*([\w.\-/]+)", text)
    if told:
        return ",".join(f"{name}={value}" for name, value in told)
    number = re.search(r"\d+", text)
    return f"n={number[0]}" if number else ""


def no_value(kind: str, name: str, part: str, options: Collection[str]) -> UsageError:
    """The error for an option without an equals sign."""
    first = next(iter(options), "option")
    meant = written(part)
    if part in options:
        meant = f"{part}=..."
    elif re.fullmatch(r"[\w.\-/]+", part):
        meant = f"{first}={part}"
    what = f"{kind} {name!r}: {part!r} is not of the form option=value"
    return UsageError(f"{what}: write {name}:{meant}" if meant else f"{what}; its options: {', '.join(options)}")


def unknown_option(name: str, option: str, options: Collection[str]) -> UsageError:
    """The error for an option that is not known; names all that there are."""
    meant = "n" if option.lower() in OPTION_CALLED and "n" in options else None
    return UnknownNameError(f"option of {name}", option, options, meant=meant)
