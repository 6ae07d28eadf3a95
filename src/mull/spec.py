"""Specs: `name:option=value,...` on a command line becomes the frozen value that it names, and back.

The tables hold import paths, not classes, so that nothing is imported before it is used. A value in brackets
is a spec of its own, `outer:inner=(majority:n=4)`, and several are a list of them: `outer:all=((majority:n=4),single)`.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, Field, fields
from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from mull.errors import UnknownNameError, UsageError
from mull.run import Strategy
from mull.types import Judge, Model, Verifier

STRATEGIES = {
    "single": "mull.strategies.parallel:Single",
    "majority": "mull.strategies.parallel:Majority",
    "best": "mull.strategies.parallel:Best",
    "weighted": "mull.strategies.parallel:Weighted",
    "best-of-majority": "mull.strategies.parallel:BestOfMajority",
    "until-pass": "mull.strategies.parallel:UntilPass",
    "adaptive": "mull.strategies.adaptive:Adaptive",
    "tournament": "mull.strategies.tournament:Tournament",
    "league": "mull.strategies.tournament:League",
    "agree": "mull.strategies.execution:Agree",
    "cluster": "mull.strategies.execution:Cluster",
    "mbr": "mull.strategies.execution:Mbr",
    "distinguish": "mull.strategies.repair:Distinguish",
    "repair": "mull.strategies.repair:Repair",
    "beam": "mull.strategies.tree:Beam",
    "lookahead": "mull.strategies.tree:Lookahead",
    "dvts": "mull.strategies.tree:Dvts",
    "rebase": "mull.strategies.tree:Rebase",
    "step-bon": "mull.strategies.tree:StepBon",
    "mcts": "mull.strategies.mcts:Mcts",
    "ab-mcts": "mull.strategies.mcts:AbMcts",
    "particles": "mull.strategies.particles:Particles",
    "revise": "mull.strategies.revise:Revise",
    "probe-stop": "mull.strategies.probe:ProbeStop",
    "confidence-vote": "mull.strategies.confident:ConfidenceVote",
    "confidence-stop": "mull.strategies.confident:ConfidenceStop",
    "reject-early": "mull.strategies.reject:RejectEarly",
    "force": "mull.strategies.force:Force",
    "thinking-budget": "mull.strategies.thinking_budget:ThinkingBudget",
    "tip": "mull.strategies.force:Tip",
    "length-reject": "mull.strategies.length:LengthReject",
    "on": "mull.strategies.compose:On",
    "cascade": "mull.strategies.compose:Cascade",
    "ensemble": "mull.strategies.compose:Ensemble",
    "repeat": "mull.strategies.compose:Repeat",
    "auto": "mull.strategies.auto:Auto",
}
VERIFIERS = {
    "countdown": "mull.verifiers.countdown:CountdownChecker",
    "nano-prm": "mull.verifiers.trained:NanoPRM",
    "nano-orm": "mull.verifiers.trained:NanoORM",
    "trained": "mull.verifiers.trained:Trained",
    "tests": "mull.verifiers.execute:GivenTests",
    "prm": "mull.verifiers.reward:ProcessReward",
    "orm": "mull.verifiers.reward:OutcomeReward",
    "genrm": "mull.verifiers.judge:GenRM",
    "decisions": "mull.verifiers.decisions:Decisions",
    "coq": "mull.verifiers.coq:CoqProof",
    "lean": "mull.verifiers.lean:LeanProof",
    "sat": "mull.verifiers.sat:SatChecker",
    "smt": "mull.verifiers.smt:SmtChecker",
}
JUDGES = {
    "scores": "mull.verifiers.scores:ScoreJudge",
    "pairwise": "mull.verifiers.judge:Pairwise",
    "decisions": "mull.verifiers.decisions:PairDecisions",
}
EXECUTORS = {"python": "mull.programs.executor:PythonExecutor"}
MODELS = {
    "nano": "mull.models.embedded:Nano",
    "mini": "mull.models.embedded:Mini",
    "nano-think": "mull.models.embedded:NanoThink",
    "banked": "mull.models.banked:BankedModel",
    "recorded": "mull.models.recorded:RecordedModel",
}
TASKS = {
    "chain": "mull.tasks.synthetic:ChainTask",
    "countdown": "mull.tasks.synthetic:CountdownTask",
    "file": "mull.tasks.files:FileTask",
    "humaneval": "mull.tasks.code:HumanEvalTask",
    "mbpp": "mull.tasks.code:MbppTask",
    "stdio": "mull.tasks.code:StdioTask",
}

NEWLINE = r"\n"
"""How a separator of steps spells a line's end on a command line."""

Make = Callable[[str], Any]
"""Makes the value that a spec inside another names."""


def load(path: str) -> Any:
    """What an import path `module:name` points to."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def build(
    kind: str,
    table: dict[str, str],
    spec: str,
    *,
    models: Make | None = None,
    verifiers: Make | None = None,
    judges: Make | None = None,
    **defaults: Any,
) -> Any:
    """The value that a spec names; `defaults` are given to those of its fields that the spec leaves out.

    `models`, `verifiers` and `judges` make those that are named in it, however deep; without them those of the
    tables can be named. Raises `UnknownNameError` for a name or option that there is not, `UsageError` for a value of
    another type; what is wrong inside another spec is told with the option in which it stands.
    """

    def inner(kind: str, table: dict[str, str], **defaults: Any) -> Make:
        more = {"models": models, "verifiers": verifiers, "judges": judges, **defaults}
        return lambda text: build(kind, table, text, **more)

    makers = {
        Model: models or inner("model", MODELS),
        Verifier: verifiers or inner("verifier", VERIFIERS, **defaults),
        Judge: judges or inner("judge", JUDGES, **defaults),
        Strategy: inner("strategy", STRATEGIES),
    }
    name, _, rest = spec.strip().partition(":")
    if name not in table:
        raise UnknownNameError(kind, name, table)
    cls = load(table[name])
    hints = get_type_hints(cls)
    options = {f.name: f for f in fields(cls) if f.init}
    given: dict[str, Any] = {}
    first = next(iter(options.values()), None)
    for place, part in enumerate(_split(rest)):
        option, equals, text = part.partition("=")
        option = option.strip().replace("-", "_")
        if place == 0 and first is not None and _is_required(first) and option not in options:
            # A text may have an equals sign in it, and a nested spec has a colon before that.
            is_option = equals and option.isidentifier() and hints[first.name] is not str
            option, equals, text = (option, equals, text) if is_option else (first.name, "=", part)
        if not equals:
            raise UsageError(f"{kind} {name!r}: {part!r} is not of the form option=value")
        if option not in options:
            raise UnknownNameError(f"option of {name}", option, options)
        given[option] = _value(f"{name}:{option}", text, hints[option], makers)
    for option, value in defaults.items():
        if option in options:
            given.setdefault(option, value)
    missing = [f.name for f in options.values() if _is_required(f) and f.name not in given]
    if missing:
        raise UsageError(f"{kind} {name!r} needs {missing[0]}: {name}:{missing[0]}=...")
    return cls(**given)


def strategy(spec: str, **makers: Make) -> Any:
    """The strategy that a spec names; `makers` as in `build`."""
    return build("strategy", STRATEGIES, spec, **makers)


class Placeholder(NamedTuple):
    """A model, a verifier or a judge that is named in a spec, where it does not matter what it is."""

    name: str


@lru_cache(maxsize=256)
def named(text: str) -> Any:
    """The strategy of a spec, to read what it says of itself: models, verifiers and judges in it are placeholders.

    Where its options are not those of this version it is the strategy's class; `None`: no strategy has this name.
    """
    try:
        return strategy(text, models=Placeholder, verifiers=Placeholder, judges=Placeholder)
    except UsageError:
        name = text.strip().partition(":")[0]
        return load(STRATEGIES[name]) if name in STRATEGIES else None


def describe(table: dict[str, str], value: Any) -> str:
    """The spec of a value: its name in the table, its `n`, and the options that differ from their defaults.

    Building it gives the value again. Models that are in no table, such as those of `mull.toml`, are named.
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
    return next((name for name, where in table.items() if where == path), None)


def _text(value: Any) -> str:
    """A value as it stands behind an option's name."""
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


def _is_required(f: Field[Any]) -> bool:
    return f.default is MISSING and f.default_factory is MISSING


def _split(text: str) -> list[str]:
    """The parts between the commas that are not inside brackets; a backslash makes the next of these a letter."""
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
    """A spec without the brackets around it."""
    depth = 0
    pieces = re.findall(r"\\[(),]|.", text, re.DOTALL)
    for i, piece in enumerate(pieces):
        depth += {"(": 1, ")": -1}.get(piece, 0)
        if depth == 0:
            return text[1:-1] if pieces[0] == "(" and i == len(pieces) - 1 else text
    return text


@contextmanager
def _inside(place: str) -> Iterator[None]:
    """Tells where the spec stands in which something is wrong."""
    try:
        yield
    except UsageError as error:
        error.args = (f"{place}: {error}",)
        raise


def _value(option: str, text: str, hint: Any, makers: Mapping[Any, Make]) -> Any:
    """The text as a value of the option's type."""
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
    with _inside(option):
        return makers[hint](_bare(text))
