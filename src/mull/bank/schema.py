"""The tables of a bank, the same in SQLite and PostgreSQL, and conversion to and from their rows.

Every row carries a digest of its content, so that damaged rows can be detected.
"""

from __future__ import annotations

import hashlib
import json
import re
from array import array
from collections.abc import Mapping
from dataclasses import fields
from operator import attrgetter
from typing import Any

import sqlalchemy as sa

from mull.bank.keys import digest
from mull.types import Behaviour, Cost, Finish, Preference, Prompt, Sample, Score, ToolCall, Verdict

SCHEMA_VERSION = 3

metadata = sa.MetaData()
meta = sa.Table("meta", metadata, sa.Column("name", sa.Text, primary_key=True), sa.Column("value", sa.Text))
questions = sa.Table(
    "questions",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("asked", sa.Text, nullable=False),
)
draws = sa.Table(
    "draws",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("draw", sa.BigInteger, primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("finish", sa.Text, nullable=False),
    sa.Column("cost", sa.Text, nullable=False),
    sa.Column("seed", sa.BigInteger),
    sa.Column("logprobs", sa.LargeBinary),
    sa.Column("answer", sa.Text),
    sa.Column("reasoning", sa.Text),
    sa.Column("alternatives", sa.Text),  # JSON: likeliest tokens, or an object of all rare fields
    sa.Column("batch", sa.BigInteger),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
verdicts = sa.Table(
    "verdicts",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("judged_by", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("value", sa.Double),
    sa.Column("steps", sa.LargeBinary, nullable=False),
    sa.Column("cost", sa.Text, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
workers = sa.Table(
    "workers",
    metadata,
    sa.Column("worker", sa.Text, primary_key=True),
    sa.Column("expires", sa.Double, nullable=False),
)
leases = sa.Table(
    "leases",
    metadata,
    sa.Column("worker", sa.Text, primary_key=True),
    sa.Column("serial", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("key", sa.Text, nullable=False, index=True),
    sa.Column("first", sa.BigInteger, nullable=False),
    sa.Column("past", sa.BigInteger, nullable=False),
)
"""In each row, a worker is making draws `first` to `past - 1` of a question, unless that worker has expired."""

KEPT = {"questions": questions, "draws": draws, "verdicts": verdicts}
"""The tables that hold paid results; the others track workers."""

MOST = 2.0**60
"""A count, a time or an amount of money above this is no cost of anything."""
_names = attrgetter(*(f.name for f in fields(Cost)))
_TROUBLE = re.compile("[\x00\ud800-\udfff]")
_ESCAPED = "\x1a"


def _parts(cost: Cost) -> list[Any]:
    """The parts of a cost; a part that is negative, not finite or absurdly large is unknown.

    One such number would keep the database from summing up all others.
    """
    return [part if part is not None and 0 <= part <= MOST else None for part in _names(cost)]


def _whole(value: int | None, least: int = -(2**63)) -> int | None:
    """An integer that a database can hold. Raises `ValueError` for any other value."""
    if value is not None and (type(value) is not int or not least <= value < 2**63):
        raise ValueError(f"not an integer of at least {least} that fits in 64 bits: {str(value)[:40]}")
    return value


def packed(text: str) -> str:
    """The text in a form that every database accepts: escapes NUL and lone surrogates, which a model may write."""
    if _TROUBLE.search(text) is None and not text.startswith(_ESCAPED):
        return text
    return _ESCAPED + text.encode("unicode_escape").decode("ascii")


def unpacked(text: str) -> str:
    """The original of a `packed` text."""
    return text[1:].encode("ascii").decode("unicode_escape") if text.startswith(_ESCAPED) else text


def _packed(text: str | None) -> str | None:
    return None if text is None else packed(text)


def _unpacked(text: str | None) -> str | None:
    return None if text is None else unpacked(text)


def row_digest(row: Mapping[str, Any]) -> bytes:
    """A digest over the content of a row of `draws` or `verdicts`."""
    content = ascii([row[name] for name in sorted(row) if name != "digest"])
    return hashlib.blake2b(content.encode("ascii"), digest_size=8).digest()


def question_row(key: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """A question as a row; its key is the digest of its content."""
    return {
        "key": key,
        "model": packed(str(asked["model"])),
        "asked": packed(json.dumps(asked, ensure_ascii=False)),
    }


def asked_of(row: Any) -> dict[str, Any]:
    """The content of a question, from a row of `questions`."""
    return dict(json.loads(unpacked(row.asked)))


def draw_row(key: str, sample: Sample) -> dict[str, Any]:
    """A draw as a row."""
    row = {
        "key": key,
        "draw": _whole(sample.draw, 0),
        "text": packed(sample.text),
        "finish": sample.finish.value,
        "cost": json.dumps(_parts(sample.cost)),
        "seed": _whole(sample.seed),
        "logprobs": None if sample.logprobs is None else array("d", sample.logprobs).tobytes(),
        "answer": _packed(sample.answer),
        "reasoning": _packed(sample.reasoning),
        "alternatives": _rest(sample),
        "batch": _whole(sample.batch),
    }
    row["digest"] = row_digest(row)
    return row


def _rest(sample: Sample) -> str | None:
    """Rare fields of a draw as JSON: the likeliest tokens alone, or with tool calls and token ids."""
    rest: Any = sample.alternatives
    if sample.tool_calls or sample.tokens is not None:
        calls = [[call.id, call.name, call.arguments] for call in sample.tool_calls]
        rest = {"alternatives": sample.alternatives, "tool_calls": calls, "tokens": sample.tokens}
    return None if rest is None else packed(json.dumps(rest, ensure_ascii=False))


def sample_of(prompt: Prompt, row: Any) -> Sample:
    """The draw in a row."""
    rest: Any = None if row.alternatives is None else json.loads(unpacked(row.alternatives))
    more: dict[str, Any] = rest if isinstance(rest, dict) else {"alternatives": rest}
    tops, tokens = more["alternatives"], more.get("tokens")
    return Sample(
        prompt,
        unpacked(row.text),
        Finish(row.finish),
        Cost(*json.loads(row.cost)),
        row.draw,
        row.seed,
        None if row.logprobs is None else tuple(array("d", row.logprobs)),
        _unpacked(row.answer),
        reasoning=_unpacked(row.reasoning),
        alternatives=None if tops is None else _tuples(tops),
        batch=row.batch,
        tool_calls=tuple(ToolCall(*call) for call in more.get("tool_calls", ())),
        tokens=None if tokens is None else tuple(tokens),
    )


def _tuples(places: list[list[list[Any]]]) -> tuple[tuple[tuple[str, float], ...], ...]:
    return tuple(tuple((token, logprob) for token, logprob in place) for place in places)


FROM_DRAWS = b"drawn"
"""Marks the row of a preference that was made from draws or scores, which have rows of their own."""
ELSEWHERE = Cost(*[None] * len(fields(Cost)))
"""`drawn` of such a preference: unknown from its row alone."""


def verdict_row(key: str, judged_by: str, verdict: Verdict) -> dict[str, Any]:
    """A verdict as a row."""
    value: float | None
    if isinstance(verdict, Score):
        kind, value, steps = "score", verdict.value, array("d", verdict.steps).tobytes()
    elif isinstance(verdict, Behaviour):
        told = [verdict.passed, verdict.outputs, verdict.errors]
        kind, value, steps = "behaviour", None, json.dumps(told).encode()
    else:
        kind, value, steps = "preference", verdict.first, b"" if verdict.drawn == Cost() else FROM_DRAWS
    row = {
        "key": key,
        "judged_by": packed(judged_by),
        "kind": kind,
        "value": None if value is None else float(value) + 0.0,  # SQLite does not keep the sign of -0.0
        "steps": steps,
        "cost": json.dumps(_parts(verdict.cost)),
        "why": packed(verdict.why),
    }
    row["digest"] = row_digest(row)
    return row


def verdict_of(row: Any) -> Verdict:
    """The verdict in a row. One without a value is permanent, since temporary failures are not banked."""
    cost, why, is_lasting = Cost(*json.loads(row.cost)), unpacked(row.why), row.value is None
    if row.kind == "behaviour":
        passed, outputs, errors = map(tuple, json.loads(row.steps))
        return Behaviour(passed, outputs, errors, True, cost, why)
    if row.kind == "preference":
        return Preference(row.value, cost, why, is_lasting, ELSEWHERE if row.steps else Cost())
    return Score(row.value, tuple(array("d", row.steps)), cost, why, is_lasting)


def is_whole(table: str, row: Mapping[str, Any]) -> bool:
    """Whether a row is undamaged."""
    if table != "questions":
        return bool(row_digest(row) == row["digest"])
    if not isinstance(row["asked"], str):
        return False
    try:
        asked = json.loads(unpacked(row["asked"]))
    except ValueError:
        return False
    return isinstance(asked, dict) and digest(asked) == row["key"] and packed(str(asked.get("model"))) == row["model"]
