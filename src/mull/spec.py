"""Specs: `name:option=value,...` on a command line becomes the frozen value that it names, and back.

The tables hold import paths, not classes, so that nothing is imported before it is used. A value in brackets
is a spec of its own: `outer:inner=(majority:n=4)`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from mull.errors import UnknownNameError, UsageError
from mull.types import Model, Verifier

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
    "distinguish": "mull.strategies.execution:Distinguish",
    "beam": "mull.strategies.tree:Beam",
    "lookahead": "mull.strategies.tree:Lookahead",
    "dvts": "mull.strategies.tree:Dvts",
    "rebase": "mull.strategies.tree:Rebase",
    "step-bon": "mull.strategies.tree:StepBon",
    "mcts": "mull.strategies.mcts:Mcts",
    "ab-mcts": "mull.strategies.mcts:AbMcts",
    "particles": "mull.strategies.particles:Particles",
    "reject-early": "mull.strategies.reject:RejectEarly",
    "force": "mull.strategies.force:Force",
    "length-reject": "mull.strategies.length:LengthReject",
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
    "coq": "mull.verifiers.proof:CoqProof",
    "lean": "mull.verifiers.lean:LeanProof",
    "sat": "mull.verifiers.sat:SatChecker",
    "smt": "mull.verifiers.smt:SmtChecker",
}
JUDGES = {
    "scores": "mull.verifiers.scores:ScoreJudge",
    "pairwise": "mull.verifiers.judge:Pairwise",
    "decisions": "mull.verifiers.decisions:PairDecisions",
}
EXECUTORS = {"python": "mull.verifiers.execute:PythonExecutor"}
MODELS = {
    "nano": "mull.models.embedded:Nano",
    "mini": "mull.models.embedded:Mini",
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


def load(path: str) -> Any:
    """What an import path `module:name` points to."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def build(
    kind: str, table: dict[str, str], spec: str, *, models: Callable[[str], Any] | None = None, **defaults: Any
) -> Any:
    """The value that a spec names; `defaults` are given to those of its fields that the spec leaves out.

    `models` makes the models that are named in it; without it those of `MODELS` can be named.
    Raises `UnknownNameError` for a name or option that there is not, `UsageError` for a value of another type.
    """
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
        option = option.replace("-", "_")
        if place == 0 and option not in options and first is not None and _is_required(first):
            option, text = first.name, part
        elif not equals:
            raise UsageError(f"{kind} {name!r}: {part!r} is not of the form option=value")
        if option not in options:
            raise UnknownNameError(f"option of {name}", option, options)
        if hints[option] is Model:
            given[option] = (models or _model)(_bare(text))
        elif hints[option] is Verifier:
            given[option] = build("verifier", VERIFIERS, _bare(text), models=models, **defaults)
        else:
            given[option] = _value(f"{name}:{option}", text, hints[option])
    for option, value in defaults.items():
        if option in options:
            given.setdefault(option, value)
    missing = [f.name for f in options.values() if _is_required(f) and f.name not in given]
    if missing:
        raise UsageError(f"{kind} {name!r} needs {missing[0]}: {name}:{missing[0]}=...")
    return cls(**given)


def strategy(spec: str) -> Any:
    """The strategy that a spec names."""
    return build("strategy", STRATEGIES, spec)


def describe(table: dict[str, str], value: Any) -> str:
    """The spec of a value: its name in the table, its `n`, and the options that differ from their defaults."""
    path = f"{type(value).__module__}:{type(value).__qualname__}"
    name = next(name for name, where in table.items() if where == path)
    options = []
    for f in fields(value):
        chosen = getattr(value, f.name)
        if f.init and (chosen != f.default or f.name == "n"):
            options.append(f"{f.name}={str(chosen).replace(chr(10), NEWLINE)}")
    return name + (":" + ",".join(options) if options else "")


def _is_required(f: Field[Any]) -> bool:
    return f.default is MISSING and f.default_factory is MISSING


def _split(text: str) -> list[str]:
    """The parts between the commas that are not inside brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth < 0:
            raise UsageError(f"a bracket too many in {text!r}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    if depth:
        raise UsageError(f"a bracket is not closed in {text!r}")
    return [part.strip() for part in parts if part.strip()]


def _bare(text: str) -> str:
    """A spec without the brackets around it."""
    return text[1:-1] if text.startswith("(") and text.endswith(")") else text


def _model(text: str) -> Any:
    return build("model", MODELS, text)


def _value(option: str, text: str, hint: Any) -> Any:
    """The text as a value of the option's type."""
    if get_origin(hint) in (Union, UnionType):
        if text.lower() == "none" and NoneType in get_args(hint):
            return None
        hint = next(h for h in get_args(hint) if h is not NoneType)
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
        return text.replace(NEWLINE, "\n") if option.endswith(":separator") else text
    return strategy(_bare(text))
