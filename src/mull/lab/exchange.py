"""Import into a bank and export from it: recorded samples, logs of other tools, the bank's own export, Parquet."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from mull.bank import care
from mull.bank.keys import digest, question
from mull.bank.schema import (
    ELSEWHERE,
    FROM_DRAWS,
    asked_of,
    draw_row,
    meta,
    question_row,
    sample_of,
    unpacked,
    verdict_of,
    verdict_row,
)
from mull.bank.sql import SqlBank
from mull.errors import FileFormatError, MissingExtraError, UsageError, cannot_read
from mull.files.columns import EXPORTED, Layout
from mull.files.logs import formats
from mull.files.output import write_lines, written
from mull.files.recording import RecordedSample, Recording, Settings
from mull.files.records import PLAIN, read
from mull.files.tables import is_export, read_rows
from mull.models.banked import BankedModel
from mull.types import Behaviour, Cost, Finish, Message, Model, Params, Preference, Prompt, Sample, Score, Verdict

Tick = Callable[[], None]
Check = Callable[[Path, Sequence[Recording]], None]
N_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Filing:
    """The model and parameters under which imported samples are stored.

    If `model` is `None`, each sample belongs to the model that its file names. `params` apply where a file does not say
    how its samples were drawn; those named in `given` apply even where it does.
    """

    model: Model | None = None
    params: Params = field(default_factory=lambda: Params(max_tokens=400))
    seed: int = 0
    given: frozenset[str] = frozenset()
    layout: Layout = PLAIN

    def params_of(self, told: Settings) -> Params:
        """The parameters under which samples drawn with these settings are stored."""
        known = {name: value for name, value in asdict(told).items() if value is not None and name not in self.given}
        return replace(self.params, **known)


def take_in(
    bank: SqlBank,
    path: Path,
    filing: Filing,
    tick: Tick = lambda: None,
    say: Callable[[str], None] = lambda _: None,
    check: Check = lambda path, recordings: None,
) -> care.Taken:
    """Imports a file: an export of a bank, recorded samples or another tool's log.

    An export, JSONL or Parquet, is merged as a bank is (`care.merge`). In other files each sample becomes the next draw
    of its question, with the prompt and parameters that the file states; importing the same file again under the same
    parameters adds nothing. `say` is called with what was left out and the parameters used, `check` with what was read,
    before anything is written. Raises `FileFormatError`.
    """
    if not path.exists():
        raise cannot_read(path, FileNotFoundError())
    if is_export(path):
        return _exported(bank, path, tick)
    recordings, is_log = _recordings(path, filing.layout, say)
    check(path, recordings)
    rows = list(_filed(path, recordings, filing))
    if note := _left_out(path, recordings):
        say(note)
    model = None if filing.model is None else filing.model.identity
    under: dict[str, Any] = {"model": model, "params": asdict(filing.params), "seed": filing.seed}
    if is_log:
        say(f"{path.name}: filed under {_told(recordings, filing)}")
        under |= {"questions": [key for key, _, _ in rows]}
    name = f"import/{_content(path)}/{digest(under)}"

    def work(connection: sa.Connection) -> care.Taken:
        n = sum(len(samples) for _, _, samples in rows)
        if connection.execute(sa.select(meta.c.value).where(meta.c.name == name)).scalar() is not None:
            return care.Taken(already=n)
        for key, asked, samples in rows:
            first = care.next_number(connection, key)
            numbered = [draw_row(key, replace(sample, draw=first + i)) for i, sample in enumerate(samples)]
            bank.insert(connection, {"questions": [question_row(key, asked)], "draws": numbered})
            tick()
        connection.execute(bank.database.insert(meta).values(name=name, value=path.name))
        return care.Taken(draws=n)

    return bank.write(work)


def _left_out(path: Path, recordings: Sequence[Recording]) -> str:
    """A note on the verdicts and scores of a file, which are no part of a draw; empty if it has none."""
    samples = [sample for one in recordings for sample in one.samples]
    n = {"verdicts": sum(x.correct is not None for x in samples), "scores": sum(x.score is not None for x in samples)}
    told = " and ".join(f"{count:,} {what}" for what, count in n.items() if count)
    return told and f"{path.name}: {told} are not imported: a task grades the draws anew, and a verifier scores them"


def _content(path: Path) -> str:
    """A digest of a file, or of all files of a folder."""
    if path.is_dir():
        parts = (part for part in path.rglob("*") if part.is_file())
        return digest({part.relative_to(path).as_posix(): _content(part) for part in parts})
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()[:40]


def _recordings(path: Path, layout: Layout, say: Callable[[str], None]) -> tuple[Sequence[Recording], bool]:
    """All recordings of a file, and whether it is another tool's log."""
    log = None if layout.named else formats.read(path)
    if log is None:
        found = read(path, None, layout)
        for note in found.notes:
            say(note)
        return found.recordings, False
    for note in log.notes:
        say(note)
    return log.recordings, True


def _filed(
    path: Path, recordings: Iterable[Recording], filing: Filing
) -> Iterator[tuple[str, dict[str, Any], list[Sample]]]:
    """The samples of a file by question. The whole file is read before anything is written."""
    for recording in recordings:
        group = recording.group or path.name
        prompt = Prompt(recording.messages) if recording.messages else Prompt.user(recording.prompt or "")
        if not any(message.text.strip() for message in prompt.messages):
            raise FileFormatError(path, None, f"a question of {group} has no prompt, so its samples cannot be stored")
        params = filing.params_of(recording.settings)
        asked = question(filing.model or BankedModel(group), prompt, params, filing.seed)
        yield digest(asked), asked, [_sample(prompt, sample) for sample in recording.samples]


TOLD = ("temperature", "max_tokens", "top_p", "top_k", "stop")
"""The parameters that logs may state; the first two are always reported, since many logs omit them."""


def _told(recordings: Sequence[Recording], filing: Filing) -> str:
    """The parameters under which samples are stored, each with its origin."""
    parts = []
    for name in TOLD:
        of = "the log" if any(getattr(one.settings, name) is not None for one in recordings) else "default"
        of = "given" if name in filing.given else of
        values = dict.fromkeys(repr(getattr(filing.params_of(one.settings), name)) for one in recordings)
        if of != "default" or name in TOLD[:2]:
            parts.append(f"{name} {' or '.join(values)} ({of})")
    systems = {m.text for one in recordings for m in one.messages if m.role == "system"}
    return ", ".join([*parts, *(["the log's system message"] if systems else [])])


def _sample(prompt: Prompt, sample: RecordedSample) -> Sample:
    cost = Cost(1, None, sample.output_tokens, 0, None, None, None, None)
    finish = sample.finish or Finish.STOP
    calls = sample.run.tool_calls if sample.run else ()
    return Sample(prompt, sample.text, finish, cost, answer=sample.answer, reasoning=sample.reasoning, tool_calls=calls)


def _exported(bank: SqlBank, path: Path, tick: Tick) -> care.Taken:
    taken = care.Taken()
    asked: list[dict[str, Any]] = []
    drawn: list[dict[str, Any]] = []
    judged: list[dict[str, Any]] = []

    def put() -> None:
        care.add(bank, asked, drawn, taken)
        care.add_verdicts(bank, judged, taken)
        for rows in (asked, drawn, judged):
            rows.clear()
        tick()

    for line, row in read_rows(path):
        try:
            if "verdict" in row:
                judged.append(verdict_row(row["verdict"], row["judged_by"], _verdict(row)))
            else:
                row = _unflat(row) if set(row) >= EXPORTED else row
                key = digest(row["asked"])
                asked.append(question_row(key, row["asked"]))
                drawn += [draw_row(key, _drawn(row["asked"], sample)) for sample in row["samples"]]
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise FileFormatError(path, line, f"not as `mull bank export` writes it: {error!r}") from error
        if len(asked) + len(judged) >= N_AT_ONCE:
            put()
    put()
    return taken


def _unflat(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the Parquet export in the form of a line of the JSONL export, with one draw."""
    alternatives = None if row["alternatives"] is None else json.loads(row["alternatives"])
    cost = {name: row[name] for name in Cost.__annotations__}
    sample = {**row, "final_answer": row["answer"], "cost": cost, "alternatives": alternatives}
    return {"asked": json.loads(row["asked"]), "samples": [sample]}


def _drawn(asked: Mapping[str, Any], row: Mapping[str, Any]) -> Sample:
    logprobs, alternatives = row["logprobs"], row["alternatives"]
    return Sample(
        _prompt(asked),
        row["text"],
        Finish(row["finish"]),
        Cost(**row["cost"]),
        row["draw"],
        row["seed"],
        None if logprobs is None else tuple(logprobs),
        row["final_answer"],
        reasoning=row["reasoning"],
        alternatives=None if alternatives is None else tuple(tuple((t, p) for t, p in place) for place in alternatives),
        batch=row["batch"],
    )


def _steps(verdict: Verdict) -> list[Any]:
    """The list of a verdict's line: step scores, or which tests a program passed, its outputs and its errors."""
    if isinstance(verdict, Behaviour):
        return [verdict.passed, verdict.outputs, verdict.errors]
    if isinstance(verdict, Score):
        return list(verdict.steps)
    return [] if verdict.drawn == Cost() else [FROM_DRAWS.decode()]


def _verdict(row: Mapping[str, Any]) -> Verdict:
    cost, is_lasting = Cost(**row["cost"]), row["value"] is None
    if row["kind"] == "behaviour":
        passed, outputs, errors = map(tuple, row["steps"])
        return Behaviour(passed, outputs, errors, True, cost, row["why"])
    if row["kind"] == "preference":
        return Preference(row["value"], cost, row["why"], is_lasting, ELSEWHERE if row["steps"] else Cost())
    return Score(row["value"], tuple(row["steps"]), cost, row["why"], is_lasting)


def _prompt(asked: Mapping[str, Any]) -> Prompt:
    return Prompt(tuple(Message(role, content) for role, content in asked["messages"]), asked.get("prefix", ""))


def write_draws(bank: SqlBank, path: Path, model: str | None = None, tick: Tick = lambda: None) -> int:
    """Writes the draws of a bank, or of one model in it, as Parquet (a row per draw) or JSONL (a line per question).

    Each line is a recording that `recorded:FILE`, `mull bank import` and others read. Returns the number of draws.
    """
    if path.suffix == ".parquet":
        return _write_parquet(bank, path, model, tick)
    if path.suffix != ".jsonl":
        raise UsageError(f"an export is written as .jsonl or .parquet, not as {path.name}")
    n = 0

    def lines() -> Iterator[dict[str, Any]]:
        nonlocal n
        for questions in care.all_draws(bank, model):
            for row, drawn in questions:
                asked = asked_of(row)
                samples = [_sample_line(sample_of(_prompt(asked), each)) for each in drawn]
                n += len(samples)
                prompt = asked["messages"][-1][1]
                yield {
                    "problem_id": row.key,
                    "prompt": prompt,
                    "model": asked["model"],
                    "asked": asked,
                    "samples": samples,
                }
            tick()

    write_lines(path, lines())
    return n


def write_verdicts(bank: SqlBank, path: Path, tick: Tick = lambda: None) -> int:
    """Writes the scores and preferences of a bank as JSONL, one per line. Returns their number."""
    n = 0

    def lines() -> Iterator[dict[str, Any]]:
        nonlocal n
        for rows in care.all_verdicts(bank):
            for row in rows:
                verdict = verdict_of(row)
                n += 1
                yield {
                    "verdict": row.key,
                    "judged_by": unpacked(row.judged_by),
                    "kind": row.kind,
                    "value": row.value,
                    "steps": _steps(verdict),
                    "cost": asdict(verdict.cost),
                    "why": verdict.why,
                }
            tick()

    write_lines(path, lines())
    return n


def _sample_line(sample: Sample) -> dict[str, Any]:
    return {
        "draw": sample.draw,
        "text": sample.text,
        "final_answer": sample.answer,
        "output_tokens": sample.cost.output_tokens,
        "finish": sample.finish.value,
        "cost": asdict(sample.cost),
        "seed": sample.seed,
        "logprobs": sample.logprobs,
        "reasoning": sample.reasoning,
        "alternatives": sample.alternatives,
        "batch": sample.batch,
    }


def _write_parquet(bank: SqlBank, path: Path, model: str | None, tick: Tick) -> int:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtraError("Parquet", "pyarrow", "lab") from None
    text, whole = pa.string(), pa.int64()
    costs = {name: whole if kind == "int | None" else pa.float64() for name, kind in Cost.__annotations__.items()}
    columns = {
        "key": text,
        "model": text,
        "prompt": text,
        "asked": text,
        "draw": whole,
        "text": text,
        "answer": text,
        "finish": text,
        **costs,
        "seed": whole,
        "logprobs": pa.list_(pa.float64()),
        "reasoning": text,
        "alternatives": text,
        "batch": whole,
    }
    schema = pa.schema(columns)
    n = 0
    with written(path) as part, pq.ParquetWriter(part, schema) as writer:
        for questions in care.all_draws(bank, model):
            rows = [_flat(row.key, asked_of(row), each) for row, drawn in questions for each in drawn]
            n += len(rows)
            writer.write_table(pa.Table.from_pylist(rows, schema))
            tick()
    return n


def _flat(key: str, asked: Mapping[str, Any], row: Any) -> dict[str, Any]:
    sample = sample_of(_prompt(asked), row)
    flat = {
        "key": key,
        "model": str(asked["model"]),
        "prompt": asked["messages"][-1][1],
        "asked": json.dumps(asked),
        "draw": sample.draw,
        "text": sample.text,
        "answer": sample.answer,
        "finish": sample.finish.value,
        **asdict(sample.cost),
        "seed": sample.seed,
        "logprobs": sample.logprobs,
        "reasoning": sample.reasoning,
        "alternatives": None if sample.alternatives is None else json.dumps(sample.alternatives),
        "batch": sample.batch,
    }
    # Parquet text is UTF-8, which cannot encode lone surrogates: they are written as \udXXX.
    return {n: v.encode("utf-8", "backslashreplace").decode() if isinstance(v, str) else v for n, v in flat.items()}
