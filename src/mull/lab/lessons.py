"""Reads the sweeps from which a policy is learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mull.allocate.policy import Origin
from mull.errors import FileFormatError, UsageError
from mull.files.recording import Recording
from mull.lab.recorded import read_recorded

REMEDY = "sweep with `mull sweep ... --out FILE` of this version"


def read_lessons(paths: Sequence[Path], model: str | None = None) -> tuple[list[Recording], Origin]:
    """The problems of sweeps of one model with one verifier, with the results of the strategies that all sweeps share.

    Problems with an ungraded result are left out. Raises `FileFormatError` for a file that is not a sweep, and
    `UsageError` if two sweeps have different models or verifiers, naming both.
    """
    found: list[tuple[Path, Mapping[str, Any]]] = []
    names: list[str] | None = None
    recordings: list[Recording] = []
    for path in paths:
        source = read_recorded(path)
        if model is None and len(source.groups) > 1:
            raise UsageError(f"{path} has several models: name one of {', '.join(source.groups)} with --model")
        if model is not None and model not in source.groups:
            raise UsageError(f"{path} has no draws of the model {model!r}; it has {', '.join(source.groups)}")
        group = source.groups[model] if model is not None else next(iter(source.groups.values()))
        if not source.sweeps or "identities" not in source.sweeps[0]:
            raise FileFormatError(path, None, f"it does not say which model and verifier made it: {REMEDY}")
        found += [(path, about) for about in source.sweeps]
        recordings += group.recordings
        here = list(group.recordings[0].results)
        names = here if names is None else [name for name in names if name in here]
        model = group.name
    assert model is not None  # there is a path
    origin = _origin(found, model)
    if not names:
        raise UsageError(
            "the sweeps have no strategy in common: a policy chooses among strategies that were run on all problems"
        )
    lessons = [one for one in recordings if _is_graded(one, names)]
    drawn = sum(one.n for one in recordings)
    return lessons, Origin(*origin, len(lessons), drawn, datetime.now(UTC).date().isoformat())


def _origin(
    found: Sequence[tuple[Path, Mapping[str, Any]]], model: str
) -> tuple[str, str | None, tuple[str, ...], tuple[str, ...], float]:
    """Model, verifier, tasks, kinds and temperature: the sweeps must agree on all but the tasks and kinds."""
    told = []
    for path, about in found:
        try:
            identity, verifier = about["identities"][model], about["verifier_identity"]
            told.append((identity, verifier, float(about["params"]["temperature"])))
        except (KeyError, TypeError) as error:
            raise FileFormatError(path, None, f"it does not say {error}: {REMEDY}") from error
    for (path, _), (identity, verifier, temperature) in zip(found, told, strict=True):
        for what, one, first in zip(
            ("model", "verifier", "temperature"), (identity, verifier, temperature), told[0], strict=True
        ):
            if one != first:
                raise UsageError(f"{found[0][0]} and {path} differ in their {what}: {first} and {one}")
    tasks = tuple(dict.fromkeys(str(about["task"]) for _, about in found))
    kinds = tuple(dict.fromkeys(kind for _, about in found for kind in about.get("kinds", ())))
    return told[0][0], told[0][1], tasks, kinds, told[0][2]


def _is_graded(recording: Recording, names: Sequence[str]) -> bool:
    """Whether each of these strategies has a graded result on the problem."""
    return all(name in recording.results and recording.results[name].correct is not None for name in names)
