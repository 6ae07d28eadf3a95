"""Reads and writes a policy as a human-readable TOML file: writes atomically, raises an error for a malformed file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from mull.allocate.difficulty import FEATURES, QUESTION, Calibration, Difficulty
from mull.allocate.policy import UNITS, Bin, BinOption, BinPlan, Evidence, Origin, Policy
from mull.allocate.toml import toml_text
from mull.errors import FileFormatError, cannot_read
from mull.files.output import write_text

FORMAT, VERSION = "mull-policy", 1


def write(path: Path, policy: Policy) -> None:
    """Writes a policy file."""
    head = {"format": FORMAT, "version": VERSION, "unit": policy.unit, "pilot": policy.pilot, "edges": policy.edges}
    parts = ["# The strategy for each problem: made by `mull train policy`, used by `--strategy auto:policy=FILE`."]
    parts += [_lines(head), _block("[from]", asdict(policy.origin)), _block("[difficulty]", asdict(policy.difficulty))]
    if policy.calibration is not None:
        parts.append(_block("[calibration]", asdict(policy.calibration)))
    for number, bin in enumerate(policy.bins, 1):
        title = f"# bin {number} of {len(policy.bins)}, {'the easiest' if number == 1 else 'harder'}\n[[bins]]"
        parts.append(_block(title, {"problems": bin.problems, "pass_at_1": bin.pass_at_1}))
        parts.append(_block("[bins.look]", bin.look))
        parts += [
            _block("[[bins.options]]", {"strategy": o.strategy, "accuracy": o.accuracy, **o.cost}) for o in bin.options
        ]
    parts += [_block("[[plans]]", asdict(plan)) for plan in policy.plans]
    parts += [_block("[[evidence]]", asdict(row)) for row in policy.evidence]
    write_text(path, "\n\n".join(parts) + "\n")


def _block(title: str, values: Mapping[str, Any]) -> str:
    return f"{title}\n{_lines(values)}"


def _lines(values: Mapping[str, Any]) -> str:
    """TOML lines of these values; omits `None`, which TOML cannot express."""
    return "\n".join(f"{name} = {_value(value)}" for name, value in values.items() if value is not None)


def _value(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, str):
        return toml_text(value)
    return repr(float(f"{value:.6g}")) if isinstance(value, float) else str(value)


def read(path: str | Path) -> Policy:
    """Reads a policy from a file. Raises `FileFormatError` with the reason if it is malformed."""
    path = Path(path)
    try:
        return _read(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise cannot_read(path, error) from error


@lru_cache(64)
def _read(path: Path, _changed: int) -> Policy:
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise FileFormatError(path, None, f"not TOML: {error}") from error
    if raw.get("format") != FORMAT:
        raise FileFormatError(path, None, "not a policy: `mull train policy SWEEP --out FILE` makes one")
    if raw.get("version") != VERSION:
        raise FileFormatError(path, None, f"a policy of version {raw.get('version')}, and this mull reads {VERSION}")
    try:
        policy = _policy(raw)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise FileFormatError(path, None, f"not as `mull train policy` writes it: {error!r}") from error
    _check(path, policy)
    return policy


def _policy(raw: Mapping[str, Any]) -> Policy:
    come = raw["from"]
    origin = Origin(
        come["model"],
        come.get("verifier"),
        tuple(come["tasks"]),
        tuple(come["kinds"]),
        float(come["temperature"]),
        int(come["problems"]),
        int(come["draws"]),
        str(come["date"]),
    )
    d = raw["difficulty"]
    difficulty = Difficulty(
        tuple(d["names"]), _floats(d["means"]), _floats(d["scales"]), _floats(d["weights"]), float(d["offset"])
    )
    bins = [
        Bin(int(b["problems"]), float(b["pass_at_1"]), _costs(b["look"]), tuple(map(_option, b["options"])))
        for b in raw["bins"]
    ]
    plans = [BinPlan(float(p["cost"]), float(p["accuracy"]), tuple(p["strategies"])) for p in raw["plans"]]
    calibrated = Calibration(**raw["calibration"]) if "calibration" in raw else None
    evidence = tuple(Evidence(**row) for row in raw.get("evidence", ()))
    return Policy(
        origin,
        raw["unit"],
        int(raw["pilot"]),
        difficulty,
        _floats(raw["edges"]),
        tuple(bins),
        tuple(plans),
        calibrated,
        evidence,
    )


def _floats(values: Sequence[Any]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _costs(row: Mapping[str, Any]) -> dict[str, float | None]:
    return {unit: float(row[unit]) if unit in row else None for unit in UNITS}


def _option(row: Mapping[str, Any]) -> BinOption:
    return BinOption(str(row["strategy"]), float(row["accuracy"]), _costs(row))


def _check(path: Path, policy: Policy) -> None:
    """Raises `FileFormatError` for a well-formed but inconsistent policy."""
    d = policy.difficulty
    strange = [name for name in d.names if name not in (QUESTION, *FEATURES)]
    named = [{option.strategy for option in bin.options} for bin in policy.bins]
    wrong = (
        f"unknown feature {strange[0]!r}; known: {', '.join((QUESTION, *FEATURES))}"
        if strange
        else "difficulty needs as many means, scales and weights as names, and no scale of 0"
        if not len(d.names) == len(d.means) == len(d.scales) == len(d.weights) or 0 in d.scales
        else f"unit must be one of {', '.join(UNITS)}, not {policy.unit!r}"
        if policy.unit not in UNITS
        else "pilot cannot be negative"
        if policy.pilot < 0
        else f"{len(policy.bins)} bins need {len(policy.bins) - 1} edges, not {len(policy.edges)}"
        if len(policy.edges) != len(policy.bins) - 1
        else "edges must be descending"
        if list(policy.edges) != sorted(policy.edges, reverse=True)
        else "no plans"
        if not policy.plans
        else "every plan needs one strategy for each bin, which is an option of that bin"
        if any(
            len(p.strategies) != len(named) or any(s not in n for s, n in zip(p.strategies, named, strict=True))
            for p in policy.plans
        )
        else ""
    )
    if wrong:
        raise FileFormatError(path, None, wrong)
