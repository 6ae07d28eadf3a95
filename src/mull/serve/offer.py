"""What the gateway offers: models, and the presets of each, by the names that clients ask for."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from mull import spec
from mull.catalog import DEFAULT_MODEL, Plans, is_served, judge_of, model_of, verifier_of
from mull.config import settings
from mull.config.schema import Ceilings, PresetTable, ServeTable
from mull.config.settings import Config
from mull.cost import UNLIMITED
from mull.errors import MullError, UnknownNameError, UsageError
from mull.models.served.configured import check_priced
from mull.replies.kinds import ExactAnswer, JsonAnswer, PatternAnswer, ToolCallAnswer, WholeAnswer
from mull.run import Strategy
from mull.run.needs import check_given, lacking, needs_of
from mull.serve.confidence import ConfidenceCurve, MadeFor, read
from mull.serve.faults import ApiError, bad
from mull.serve.keys import Key
from mull.spec.grammar import is_required
from mull.types import AnswerKind, Budget, Executor, Judge, Kind, Model, Need, Problem, Prompt, Verifier

USUAL = {
    name: PresetTable.model_validate({"strategy": strategy})
    for name, strategy in (("auto", "auto"), ("majority-16", "majority:n=16"))
}
"""The presets of a configuration that has none."""
FURTHER: Mapping[str, Kind] = {
    "json": JsonAnswer(),
    "tool-calls": ToolCallAnswer(),
    "last-line": ExactAnswer(),
    "whole": WholeAnswer(),
}
"""Kinds of answers beside those of `AnswerKind`."""
REGEX = "regex:"
MOST_NAMED = 10
"""Models and presets named in a message."""


def kind_of(text: str, *, may_be_pattern: bool = True) -> AnswerKind | Kind:
    """The kind of answer of a name. Raises `UsageError`; a pattern, which may be slow, is for operators alone."""
    if text in set(AnswerKind):
        return AnswerKind(text)
    if text in FURTHER:
        return FURTHER[text]
    if text.startswith(REGEX):
        if not may_be_pattern:
            raise UsageError("a regular expression is for presets of the operator")
        return PatternAnswer(text.removeprefix(REGEX))
    raise UnknownNameError("kind of answer", text, [*map(str, AnswerKind), *FURTHER, "regex:PATTERN"])


def ceilings_of(table: Ceilings) -> Budget:
    """The ceilings on one request in a table."""
    return Budget(table.calls, table.tokens, table.usd, None, table.seconds)


@dataclass(frozen=True)
class Preset:
    """A way to answer: a strategy with what it needs, and what holds where a request says nothing."""

    name: str
    strategy: Strategy
    verifier: Verifier | None = None
    judge: Judge | None = None
    kind: AnswerKind | Kind | None = None
    budget: Budget = UNLIMITED
    temperature: float = 1.0
    max_tokens: int | None = None
    abstain: float | None = None
    calibration: ConfidenceCurve | None = None


@dataclass(frozen=True)
class Entry:
    """A name that clients ask for: a model alone, or with a preset."""

    name: str
    model: Any
    preset: Preset | None = None
    is_served: bool = False
    """Whether the model is behind a server."""


class Offer:
    """The models and presets of a configuration. Raises `UsageError` for what could never be answered."""

    def __init__(self, names: Sequence[str] = (), config: Path | None = None) -> None:
        self.config: Config = settings.read(config)
        self.serve = self.config.serve or ServeTable.model_validate({})
        self._path = config if config is not None else self.config.path
        self._plans = Plans(0, self._path, models=self._model, folder=self.config.folder)
        self._here = frozenset(names)
        """The models that the command names, from the working folder."""
        self._models: dict[str, Any] = {}
        self._made: dict[tuple[str, str], Any] = {}
        self._names_in: dict[tuple[str, str], list[str]] = {}
        self.plain: dict[tuple[str, Key | None], Any] = {}
        """The plans of models by their own names, by key: they are the same for every request that says no more."""
        chosen = list(names) or self.serve.models or list(self.config.models) or [DEFAULT_MODEL]
        self.models = {name: self._model(name) for name in dict.fromkeys(chosen)}
        self.entries: dict[str, Entry] = {
            name: Entry(name, model, None, is_served(model)) for name, model in self.models.items()
        }
        for name, table in (self.config.presets or USUAL).items():
            self._add(name, table)
        self._check()

    def _model(self, name: str) -> Model:
        """The model of a name, made once, also where a verifier, a judge or a strategy names it.

        It gives a server that refuses or fails less time than a sweep would, since a client waits, and passes on all
        requests at once that its configuration allows: a stream may take minutes, and another client should not wait
        for it. Its draws count as no more tokens than were held for them.
        """
        if name not in self._models:
            folder = None if name in self._here else self.config.folder
            self._models[name] = self._limited(model_of(name, 0, self._path, folder=folder))
        return self._models[name]  # type: ignore[no-any-return]

    def _limited(self, model: Any) -> Any:
        if not is_served(model):
            return model
        limits = model.deployment.limits
        patience = min(limits.patience, self.serve.patience)
        limits = replace(
            limits,
            patience=patience,
            retry_within=patience,
            longest_backoff=min(limits.longest_backoff, patience / 2),
            first=limits.concurrency,
        )
        return replace(model, deployment=replace(model.deployment, limits=limits, believes_longer=False))

    def _add(self, name: str, table: PresetTable) -> None:
        if not name or "@" in name:
            what = f"a preset's name has a letter and no @, unlike {name!r}: clients ask for MODEL@PRESET"
            raise self.config.refuse(what, "presets", name)
        try:
            strategy = self._plans.build(table.strategy)
            verifier, judge = self.verifier(table.verifier), self.judge(table.judge)
            kind = None if table.answer is None else kind_of(table.answer)
            executor = self.executor() if Need.EXECUTOR in needs_of(strategy) else None
            check_given(strategy, verifier, judge, executor)
            calibration = self._curve(table.calibration)
        except MullError as error:
            raise self.config.refuse(str(error), "presets", name) from error
        preset = Preset(
            name,
            strategy,
            verifier,
            judge,
            kind,
            ceilings_of(table),
            1.0 if table.temperature is None else table.temperature,
            table.max_tokens,
            table.abstain,
            calibration,
        )
        for model in list(self.models) if table.models is None else table.models:
            if model not in self.models:
                what = f"{model!r} is not among the models offered: {', '.join(self.models)}"
                raise self.config.refuse(what, "presets", name, "models")
            if calibration is not None and calibration.made_for != (asked := MadeFor.of(model, table)):
                what = f"{table.calibration} was fitted to {calibration.made_for}, and this is {asked}: fit it again"
                raise self.config.refuse(what, "presets", name, "calibration")
            full = f"{model}@{name}"
            if full in self.entries:
                raise self.config.refuse(f"there is a model of the name {full!r}", "presets", name)
            self.entries[full] = replace(self.entries[model], name=full, preset=preset)

    def _curve(self, told: str | None) -> ConfidenceCurve | None:
        """The curve in a file, whose path goes from the configuration's folder."""
        if told is None:
            return None
        assert self.config.folder is not None  # what has a preset with a curve was read from a file
        return read(self.config.folder / Path(told).expanduser())

    def _check(self) -> None:
        """Raises an error for settings that name nothing, and for ceilings in dollars on a model without a price."""
        for effort, name in self.serve.effort.items():
            if not any(entry.preset is not None and entry.preset.name == name for entry in self.entries.values()):
                raise self.config.refuse(f"there is no preset {name!r}", "serve", "effort", effort)
        owners: dict[str, str] = {}
        for key, table in self.serve.keys.items():
            if (other := owners.setdefault(table.sha256, key)) != key:
                what = f"it is the hash of {other!r} too, and a key has one budget: make another by --new-key"
                raise self.config.refuse(what, "serve", "keys", key, "sha256")
            for name in table.models or ():
                if name not in self.entries:
                    what = f"{name!r} is not offered: {', '.join(self.entries)}"
                    raise self.config.refuse(what, "serve", "keys", key, "models")
        tables = [self.serve, *self.serve.keys.values()]
        is_dollars = any(table.usd is not None for table in tables)
        is_dollars = is_dollars or any(table.usd_a_day is not None for table in self.serve.keys.values())
        for name, model in self.models.items():
            if is_dollars and is_served(model):
                check_priced(self.config, name, Budget(usd=1.0))

    def find(self, name: str, effort: str | None = None, key: Key | None = None) -> Entry:
        """What a client asks for, if its key may; an effort may stand for a preset. Raises `ApiError` (404)."""
        entry = self.entries.get(name) if key is None or key.may_use(name) else None
        if entry is None:
            known = [one for one in self.entries if key is None or key.may_use(one)]
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known[:MOST_NAMED])}"
            if not near and len(known) > MOST_NAMED:
                hint += f" and {len(known) - MOST_NAMED} more, told at /v1/models"
            raise ApiError(404, f"no model {name[:200]!r}: {hint}", param="model", code="model_not_found")
        if entry.preset is not None or effort not in self.serve.effort:
            return entry
        meant = self.entries.get(f"{name}@{self.serve.effort[effort]}", entry)
        if key is not None and not key.may_use(meant.name):
            raise bad("reasoning_effort", f"{effort!r} stands for a preset that this key may not use")
        return meant

    def verifier(self, text: str | None) -> Any:
        """The verifier of a spec or name, made once."""
        return self._once("verifier", text, verifier_of)

    def judge(self, text: str | None) -> Any:
        """The judge of a spec or name, made once."""
        return self._once("judge", text, judge_of)

    def _once(self, kind: str, text: str | None, make: Any) -> Any:
        if text is None:
            return None
        if (kind, text) not in self._made:
            self._made[kind, text] = make(text, 0, self._path, self._model, self.config.folder)
        return self._made[kind, text]

    def has(self, kind: str, name: str, key: Key | None = None) -> bool:
        """Whether a request may choose a verifier or judge: one of `mull.toml`, or of mull if it can score a chat.

        One that asks models is for keys that may ask for each of them.
        """
        named, table = self._names(kind)
        if name not in named:
            return name in table and _scores_chats(table[name])
        if key is None or key.table.models is None:
            return True
        asked = self._asked(kind, name)
        return asked is not None and all(map(key.may_use, asked))

    def known(self, kind: str, key: Key | None = None) -> list[str]:
        """The names for which `has` is true."""
        named, table = self._names(kind)
        return [name for name in {**named, **table} if self.has(kind, name, key)]

    def _asked(self, kind: str, name: str) -> list[str] | None:
        """The models that a verifier or judge of `mull.toml` names; `None` if it cannot be made."""
        if (kind, name) not in self._names_in:
            named, table = self._names(kind)
            found: list[str] = []

            def model(text: str) -> Model:
                found.append(text)
                return model_of(text, 0, self._path, folder=self.config.folder)  # type: ignore[no-any-return]

            try:
                spec.build(kind, dict(table), named[name], models=model, folder=self.config.folder)
            except MullError:
                return None
            self._names_in[kind, name] = found
        return self._names_in[kind, name]

    def _names(self, kind: str) -> tuple[Mapping[str, str], Mapping[str, str]]:
        is_verifier = kind == "verifier"
        return (self.config.verifiers, spec.VERIFIERS) if is_verifier else (self.config.judges, spec.JUDGES)

    def executor(self) -> Executor:
        """What runs the programs of a reply: Python in a sandbox."""
        from mull.catalog import executor_of

        executor: Executor = self._once("executor", "python", lambda text, *_: executor_of(text))
        return executor


@cache
def _scores_chats(path: str) -> bool:
    """Whether the class at an import path needs no options and scores problems that have nothing but a prompt."""
    cls = spec.load(path)
    if any(is_required(field) for field in fields(cls)):
        return False
    return not lacking(cls(), Problem("chat", Prompt.user("?")))
