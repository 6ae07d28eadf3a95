"""Resolution of names: mull's tables, names added by installed packages, and classes by import path.

The tables hold import paths, not classes, so that nothing is imported before it is used.
"""

from __future__ import annotations

import difflib
import importlib
import re
import sys
import traceback
from collections.abc import Mapping
from dataclasses import is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

from mull.errors import UsageError
from mull.run.fits import HOW, lacking
from mull.spec.mistakes import unknown

STRATEGIES = {
    "single": "mull.strategies.parallel:Single",
    "majority": "mull.strategies.parallel:Majority",
    "best": "mull.strategies.parallel:Best",
    "weighted": "mull.strategies.parallel:Weighted",
    "best-of-majority": "mull.strategies.parallel:BestOfMajority",
    "majority-of-bests": "mull.strategies.parallel:MajorityOfBests",
    "until-pass": "mull.strategies.parallel:UntilPass",
    "adaptive": "mull.strategies.adaptive:Adaptive",
    "sure-vote": "mull.strategies.sure:SureVote",
    "best-stop": "mull.strategies.box:BestStop",
    "tournament": "mull.strategies.tournament:Tournament",
    "league": "mull.strategies.tournament:League",
    "pivot": "mull.strategies.pivot:Pivot",
    "swiss": "mull.strategies.pivot:Swiss",
    "genselect": "mull.strategies.synthesis:GenSelect",
    "fuse": "mull.strategies.synthesis:Fuse",
    "pdr": "mull.strategies.synthesis:Pdr",
    "diverse": "mull.strategies.diverse:Diverse",
    "semantic": "mull.strategies.semantic:Semantic",
    "text-mbr": "mull.strategies.semantic:TextMbr",
    "rsa": "mull.strategies.population:Rsa",
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
    "delethink": "mull.strategies.delethink:Delethink",
    "thinking-budget": "mull.strategies.thinking_budget:ThinkingBudget",
    "power": "mull.strategies.power:PowerSampling",
    "tip": "mull.strategies.force:Tip",
    "shortest": "mull.strategies.length:Shortest",
    "self-certainty": "mull.strategies.certainty:SelfCertainty",
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
    "combined": "mull.verifiers.fitted:CombinedFile",
    "calibrated": "mull.verifiers.fitted:CalibratedFile",
    "genrm": "mull.verifiers.judge:GenRM",
    "rating": "mull.verifiers.rating:Rating",
    "genprm": "mull.verifiers.genprm:GenPRM",
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
    "nano-r1": "mull.models.embedded:NanoR1",
    "nano-think": "mull.models.embedded:NanoThink",
    "trained": "mull.models.live:Checkpoint",
    "gguf": "mull.models.gguf:Gguf",
    "hf": "mull.models.hf:Hf",
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
    "3sat": "mull.tasks.sat:SatTask",
    "tsp": "mull.tasks.tsp:TspTask",
    "calendar": "mull.tasks.calendar:CalendarTask",
    "maze": "mull.tasks.maze:MazeTask",
    "spatial": "mull.tasks.spatial:SpatialTask",
}

GROUPS = {
    "strategy": "mull.strategies",
    "verifier": "mull.verifiers",
    "judge": "mull.judges",
    "executor": "mull.executors",
    "model": "mull.models",
    "task": "mull.tasks",
}
"""The entry point groups through which an installed package adds names."""
PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(?=:|$)")
"""Matches `module:Class` at the beginning of a spec."""

_names: dict[type, str] = {}
"""The names under which classes outside the tables were found."""


def load(path: str) -> Any:
    """The object at an import path `module:name`."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


@cache
def installed(kind: str) -> Mapping[str, str]:
    """The import paths that installed packages add for a kind, by name; the first wins if two add the same name."""
    from importlib.metadata import entry_points

    names: dict[str, str] = {}
    for point in entry_points(group=GROUPS[kind]):
        names.setdefault(point.name, f"{point.module}:{point.attr}")
    return names


def parted(kind: str, table: Mapping[str, str], text: str) -> tuple[str, str]:
    """Splits a spec into name and options; names of the table and of packages take precedence over `module:Class`."""
    text = text.strip()
    name, _, options = text.partition(":")
    path = PATH.match(text)
    if path is None or name in table or name in installed(kind):
        return name, options
    return path.group(), text[path.end() + 1 :]


def is_named(kind: str, table: Mapping[str, str], text: str) -> bool:
    """Whether a spec's name is in the table, added by an installed package, or of the form `module:Class`."""
    name, _ = parted(kind, table, text)
    return name in table or ":" in name or name in installed(kind)


def found(kind: str, table: Mapping[str, str], name: str, *, may_import: bool = True) -> Any:
    """The class that a name stands for. Raises `UnknownNameError`, or `UsageError` if the class is not of this kind.

    Modules are also looked up in the working folder.
    """
    if name in table:
        return load(table[name])
    added = installed(kind) if ":" not in name else {}
    if name not in added and not (":" in name and may_import):
        raise unknown(kind, name, [*table, *added])
    path = added.get(name, name)
    module, _, attribute = path.partition(":")
    try:
        cls = getattr(_imported(module), attribute, None)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise UsageError(f"{kind} {name!r} cannot be imported: {error}") from error
        if attribute[0].islower() and name not in added:
            raise unknown(kind, module, [*table, *installed(kind)]) from None  # a misspelt name, not a class
        if attribute and module.endswith(".py"):
            raise UsageError(f"{kind} {name!r}: name the module without its .py, {module[:-3]}:{attribute}") from None
        what = f"there is no module {error.name!r} in this folder or among the installed packages"
        raise UsageError(f"{kind} {name!r}: {what}") from None
    except Exception as error:
        line = error.lineno if isinstance(error, SyntaxError) else traceback.extract_tb(error.__traceback__)[-1].lineno
        what = f"line {line}: {type(error).__name__}: {getattr(error, 'msg', error)}"
        raise UsageError(f"{kind} {name!r} cannot be imported: {module}, {what}") from error
    if not isinstance(cls, type):
        classes = [one for one, value in vars(_imported(module)).items() if isinstance(value, type)]
        near = difflib.get_close_matches(attribute, classes, n=1, cutoff=0.5)
        hint = f": did you mean {module}:{near[0]}?" if near else ""
        raise UsageError(f"{kind} {name!r}: {module} has no class {attribute!r}{hint}")
    if not is_dataclass(cls):
        what = "must be a frozen dataclass, whose fields are its options: write @dataclass(frozen=True) above it"
        raise UsageError(f"{kind} {name!r} {what}")
    if missing := lacking(cls, kind):
        raise UsageError(f"{kind} {name!r} has no {missing[0]}, which a {kind} must have{HOW.get(missing[0], '')}")
    _names.setdefault(cls, name)
    return cls


def _imported(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0] or str(Path.cwd()) in sys.path:
            raise
    sys.path.append(str(Path.cwd()))  # at the end, so that it does not shadow installed packages
    importlib.invalidate_caches()
    return importlib.import_module(module)


def added() -> dict[type, str]:
    """The classes outside the tables that were found in this process, and their names."""
    return dict(_names)


def named_as(cls: type) -> str | None:
    """The name under which a class outside the tables was found in this process; `None`: it was not."""
    return _names.get(cls)
