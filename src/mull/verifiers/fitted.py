"""Verifiers for specs that read their parameters from a file: combined and calibrated ones."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from mull.errors import FileFormatError, UsageError, cannot_read
from mull.types import A_FILE, Calls, Cost, Problem, Sample, Score, Verifier
from mull.verifiers.combine import Calibrated, Combined, Isotonic, LabelModel

Kind = Literal["combined", "calibrated"]
FORMAT, VERSION = "mull-verifier", 1


def identity_of(verifier: Verifier) -> str:
    """The identifier of a verifier in a file of fitted parameters."""
    return verifier.identity or verifier.name


def text_of(kind: Kind, verifiers: Sequence[Verifier], fitted: LabelModel | Isotonic) -> str:
    """The fitted parameters for these verifiers, as the text of a file."""
    names = [identity_of(verifier) for verifier in verifiers]
    about = {"format": FORMAT, "version": VERSION, "kind": kind, "verifiers": names}
    return json.dumps({**about, "fitted": asdict(fitted)}, indent=1).replace("NaN", "null") + "\n"


def _read(kind: Kind, file: str, verifiers: Sequence[Verifier], lengths: Mapping[str, int | None]) -> dict[str, Any]:
    """The fitted parameters in a file; `lengths` of its lists, `None` for any length but 0."""
    path = Path(file)
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise cannot_read(path, error) from error
    except (ValueError, RecursionError) as error:
        raise FileFormatError(file, None, f"not JSON: {error}") from error
    if not isinstance(told, dict) or told.get("format") != FORMAT or told.get("version") != VERSION:
        raise FileFormatError(file, None, f"not a file of `mull train combine` or `calibrate`, version {VERSION}")
    if told.get("kind") != kind:
        raise UsageError(f"{file} is for a {told.get('kind')} verifier, not for a {kind} one")
    names = [identity_of(verifier) for verifier in verifiers]
    if told.get("verifiers") != names:
        raise UsageError(f"{file} was fitted to {told.get('verifiers')}, but the verifiers are {names}: fit it to them")
    fitted = told.get("fitted")
    for name, length in lengths.items():
        values = fitted.get(name) if isinstance(fitted, dict) else None
        is_list = isinstance(values, list) and values and all(_is_number(v, name == "cuts") for v in values)
        if not is_list or (length is not None and len(values or ()) != length):
            raise FileFormatError(file, None, f"`{name}` must be a list of numbers, one for each verifier or step")
    assert isinstance(fitted, dict)
    return fitted


def _is_number(value: object, may_lack: bool) -> bool:
    return (value is None and may_lack) or (isinstance(value, int | float) and not isinstance(value, bool))


@dataclass(frozen=True)
class CombinedFile:
    """Combines three or more verifiers by a label model that `mull train combine` fitted without gold answers.

    The score is the probability of being correct (after Weaver, arXiv 2506.18203). `of` lists the verifiers that the
    file was fitted to, in the same order.
    """

    of: tuple[Verifier, ...]
    file: str = field(metadata=A_FILE)

    def __post_init__(self) -> None:
        self._combined  # noqa: B018 - a file of other verifiers raises an error before any draw

    @cached_property
    def _combined(self) -> Combined:
        m = len(self.of)
        names = ("cuts", "hits", "false_alarms", "weights")
        fitted = _read("combined", self.file, self.of, dict.fromkeys(names, m))
        prior = fitted.get("prior")
        if not isinstance(prior, float) or not 0 < prior < 1:
            raise FileFormatError(self.file, None, f"`prior` must be a share between 0 and 1, not {prior!r}")
        parts = [tuple(float("nan") if v is None else float(v) for v in fitted[name]) for name in names]
        if not all(0 < rate < 1 for rates in parts[1:3] for rate in rates):
            raise FileFormatError(self.file, None, "`hits` and `false_alarms` must be shares between 0 and 1")
        return Combined(self.of, LabelModel(parts[0], parts[1], parts[2], parts[3], prior))

    @property
    def name(self) -> str:
        return self._combined.name

    @property
    def identity(self) -> str | None:
        return self._combined.identity

    def lacks(self, problem: Problem) -> str:
        return self._combined.lacks(problem)

    def quote(self, problem: Problem, samples: Sequence[Sample]) -> Cost:
        return self._combined.quote(problem, samples)

    async def score(self, problem: Problem, samples: Sequence[Sample], calls: Calls) -> Sequence[Score]:
        return await self._combined.score(problem, samples, calls)


@dataclass(frozen=True)
class CalibratedFile:
    """Calibrates a verifier: maps its scores to probabilities by a curve that `mull train calibrate` fitted."""

    of: Verifier
    file: str = field(metadata=A_FILE)

    def __post_init__(self) -> None:
        self._calibrated  # noqa: B018 - a file of another verifier raises an error before any draw

    @cached_property
    def _calibrated(self) -> Calibrated:
        fitted = _read("calibrated", self.file, [self.of], {"starts": None, "values": None})
        starts, values = (tuple(map(float, fitted[name])) for name in ("starts", "values"))
        if len(starts) != len(values) or list(starts) != sorted(starts) or list(values) != sorted(values):
            raise FileFormatError(self.file, None, "`starts` and `values` must be equally many, and both ascending")
        return Calibrated(self.of, Isotonic(starts, values))

    @property
    def name(self) -> str:
        return self._calibrated.name

    @property
    def identity(self) -> str | None:
        return self._calibrated.identity

    def lacks(self, problem: Problem) -> str:
        return self._calibrated.lacks(problem)

    def quote(self, problem: Problem, samples: Sequence[Sample]) -> Cost:
        return self._calibrated.quote(problem, samples)

    async def score(self, problem: Problem, samples: Sequence[Sample], calls: Calls) -> Sequence[Score]:
        return await self._calibrated.score(problem, samples, calls)
