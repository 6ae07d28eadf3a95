"""Logs that others write: inspect_ai's eval logs and lm-evaluation-harness's samples, as recordings.

A question's epochs (inspect_ai) or repeats (lm-evaluation-harness) are its draws. What was not sampled, or was never
graded, is left out and counted in `Source.notes`.
"""

from __future__ import annotations

import io
import json
import re
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mull.errors import FileFormatError
from mull.files.lines import read_jsonl
from mull.files.recording import RecordedSample, Recording
from mull.lab.recorded import Group, Source
from mull.replies.answers import canonical, extract

INSPECT_VERSIONS = (2,)
"""Of the log's own `version`, as inspect_ai 0.3.285 writes it."""
HARNESS_VERSIONS = ("0.4",)
"""Of lm-evaluation-harness, to the second number; read from the results file beside the samples."""
INSPECT_VERDICTS: Mapping[Any, bool] = {"C": True, "I": False, "N": False, True: True, False: False}
"""inspect_ai's letters (correct, incorrect, no answer) and 1 and 0; a partial score is neither right nor wrong."""
DRAWN = "generate_until"
"""The only kind of the harness's tasks that samples replies; the others compare likelihoods."""
NOT_FOUND = "[invalid]"
"""What the harness's filters put where they find no answer."""
ZSTD = 93
LOCAL_HEADER = struct.Struct("<26xHH")
"""Of a zip member's own header: the lengths of its name and its extra field, after which its bytes begin."""


def reader(path: Path) -> Callable[[Path], Source] | None:
    """What reads this file, or `None` where it is not one of these logs."""
    if path.suffix in (".eval", ".json"):
        return read_inspect
    if path.suffix == ".jsonl" and path.is_file():
        first = next(read_jsonl(path), None)
        if first is not None and {"doc_id", "resps", "target"} <= set(first[1]):
            return read_harness
    return None


def read_inspect(path: Path) -> Source:
    """An inspect_ai log, `.eval` or `.json`: one group, each question's epochs its draws, graded by its first scorer.

    Raises `FileFormatError` for a log of an unknown version, or a score that is neither right nor wrong.
    """
    try:
        header, samples = _unzipped(path) if path.suffix == ".eval" else _plain(path)
    except (OSError, zipfile.BadZipFile, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise FileFormatError(path, None, f"cannot be read as an inspect_ai log: {error}") from error
    version = header.get("version") if isinstance(header, dict) else None
    if version not in INSPECT_VERSIONS or "eval" not in header:
        raise FileFormatError(path, None, _unknown("an inspect_ai log", version, INSPECT_VERSIONS))
    try:
        return _inspect_source(path, header, samples)
    except KeyError as error:
        raise FileFormatError(path, None, f"an inspect_ai log without the field {error}") from error


def _inspect_source(path: Path, header: Mapping[str, Any], samples: list[Any]) -> Source:
    by_id: dict[str, list[Mapping[str, Any]]] = {}
    scorers: set[str] = set()
    n_left_out = 0
    for sample in sorted(samples, key=lambda s: (str(s["id"]), s["epoch"])):
        scores = sample.get("scores") or {}
        scorers.update(scores)
        if scores:
            by_id.setdefault(str(sample["id"]), []).append(sample)
        else:
            n_left_out += 1
    if not by_id:
        raise FileFormatError(path, None, f"no graded samples in it (its status is {header.get('status')!r})")
    told = [str(s.get("name")) for s in header["eval"].get("scorers") or []]
    scorer = next((name for name in told if name in scorers), min(scorers))
    cases = [_inspect_case(path, id, scorer, samples) for id, samples in by_id.items()]
    name, task = str(header["eval"]["model"]), str(header["eval"]["task"])
    notes = [f"{path.name}: {n_left_out} samples were not graded (they failed) and are left out"] if n_left_out else []
    if len(scorers) > 1:
        notes.append(f"{path.name}: graded by {scorer}; not used: {', '.join(sorted(scorers - {scorer}))}")
    return Source(path, {name: Group(name, cases, task)}, notes=notes)


def _plain(path: Path) -> tuple[Any, list[Any]]:
    log = json.loads(path.read_text(encoding="utf-8"))
    return log, (log.get("samples") or []) if isinstance(log, dict) else []


def _unzipped(path: Path) -> tuple[Any, list[Any]]:
    with zipfile.ZipFile(path) as archive:
        infos = {info.filename: info for info in archive.infolist()}
        if "header.json" not in infos:
            raise FileFormatError(path, None, "no header.json in it: the evaluation was cut off, or this is no log")
        samples = [info for name, info in infos.items() if name.startswith("samples/")]
        return _member(archive, infos["header.json"]), [_member(archive, info) for info in samples]


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Any:
    """A member's JSON. inspect_ai packs by Zstandard, which zipfile reads from Python 3.14 on, and pyarrow before."""
    try:
        return json.loads(archive.read(info))
    except NotImplementedError:
        if info.compress_type != ZSTD:
            raise FileFormatError(archive.filename, None, f"compression {info.compress_type} is unknown") from None
    try:
        import pyarrow as pa
    except ImportError:
        raise FileFormatError(archive.filename, None, "Zstandard needs pyarrow: pip install 'mull[lab]'") from None
    assert archive.fp is not None
    archive.fp.seek(info.header_offset)
    n_name, n_extra = LOCAL_HEADER.unpack(archive.fp.read(LOCAL_HEADER.size))
    archive.fp.seek(n_name + n_extra, io.SEEK_CUR)
    packed = archive.fp.read(info.compress_size)
    return json.loads(pa.CompressedInputStream(pa.BufferReader(packed), "zstd").read())


def _inspect_case(path: Path, id: str, scorer: str, samples: list[Mapping[str, Any]]) -> Recording:
    first = samples[0]
    target = first.get("target")
    draws = [_inspect_draw(path, id, scorer, sample) for sample in samples if scorer in sample["scores"]]
    if not draws:
        raise FileFormatError(path, None, f"sample {id!r} has no score by {scorer!r}")
    gold = ", ".join(map(str, target)) if isinstance(target, list) else None if target is None else str(target)
    return _drawn(id, _inspect_prompt(first), gold, draws)


def _inspect_draw(path: Path, id: str, scorer: str, sample: Mapping[str, Any]) -> RecordedSample:
    score, output = sample["scores"][scorer], sample.get("output") or {}
    value = score.get("value")
    if not isinstance(value, (str, int, float)) or value not in INSPECT_VERDICTS:
        where = f"sample {id!r}, epoch {sample['epoch']}"
        raise FileFormatError(path, None, f"{where}: the score {value!r} of {scorer!r} is neither right nor wrong")
    text = _attached(sample, str(output.get("completion") or ""))
    told = score.get("answer")
    told = None if told is None else _attached(sample, str(told))
    # Some scorers record the whole reply as the answer: a vote needs what it answers.
    answer = extract(text) if told is None or told.strip() == text.strip() else canonical(told)
    tokens = (output.get("usage") or {}).get("output_tokens")
    return RecordedSample(text, answer, INSPECT_VERDICTS[value], None, tokens)


def _inspect_prompt(sample: Mapping[str, Any]) -> str:
    asked = sample["input"]
    if isinstance(asked, str):
        return _attached(sample, asked)
    content = next((m["content"] for m in reversed(asked) if m.get("role") == "user"), "")
    if not isinstance(content, str):
        content = "\n".join(part.get("text", f"[{part.get('type')}]") for part in content)
    return _attached(sample, content)


def _attached(sample: Mapping[str, Any], text: str) -> str:
    """The text itself where the log keeps it aside, under its digest."""
    attachments = sample.get("attachments") or {}
    return re.sub(r"attachment://(\w+)", lambda m: str(attachments.get(m[1], m[0])), text) if attachments else text


def read_harness(path: Path) -> Source:
    """lm-evaluation-harness's `samples_TASK_TIME.jsonl`, with its `results_TIME.json` beside it.

    Where a filter kept every repeat, its answers vote; else answers are read from the replies. One reply a question
    is graded by the log's own metric; of several it holds no verdicts, so each is compared with the target.
    Raises `FileFormatError` for an unknown version, or a task that draws no samples.
    """
    results = _harness_results(path)
    model = str((results.get("config") or {}).get("model") or "unknown model")
    name = str(results.get("model_name") or model)
    task = re.sub(r"^samples_|_\d{4}-\d\d-\d\dT[\d\-.]+$", "", path.stem)
    output_type = ((results.get("configs") or {}).get(task) or {}).get("output_type", DRAWN)
    if output_type != DRAWN:
        raise FileFormatError(path, None, f"a {output_type} task draws no samples; only {DRAWN} does")
    cases: dict[str, Recording] = {}
    filters: dict[str, None] = {}
    for line, row in read_jsonl(path):
        chosen = str(row.get("filter", "none"))
        filters[chosen] = None
        if chosen == next(iter(filters)):
            try:
                case = _harness_case(path, line, row)
            except KeyError as error:
                raise FileFormatError(path, line, f"no field {error}") from error
            if case.id in cases:
                raise FileFormatError(path, line, f"doc_id {case.id} was already on line {cases[case.id].line}")
            cases[case.id] = case
    first, *others = filters
    notes = [f"{path.name}: answers as the filter {first} reads them; not used: {', '.join(others)}"] if others else []
    if any(case.n > 1 for case in cases.values()):
        notes.append(f"{path.name}: the log has one verdict a question, so each reply was compared with its target")
    return Source(path, {name: Group(name, list(cases.values()), task)}, notes=notes)


def _harness_results(path: Path) -> Mapping[str, Any]:
    time = re.search(r"_(\d{4}-\d\d-\d\dT[\d\-.]+)$", path.stem)
    beside = path.with_name(f"results_{time[1]}.json" if time else "results.json")
    try:
        results = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        what = f"{beside.name}, which tells the version and the model, cannot be read beside it: {error}"
        raise FileFormatError(path, None, what) from error
    version = results.get("lm_eval_version") if isinstance(results, dict) else None
    if not isinstance(version, str) or ".".join(version.split(".")[:2]) not in HARNESS_VERSIONS:
        raise FileFormatError(beside, None, _unknown("lm-evaluation-harness samples", version, HARNESS_VERSIONS))
    return dict(results)


def _harness_case(path: Path, line: int, row: Mapping[str, Any]) -> Recording:
    target = row["target"]
    target = str(target[0] if isinstance(target, list) and len(target) == 1 else target)
    replies, filtered = _flat(row["resps"]), _flat(row.get("filtered_resps"))
    if not replies or not all(isinstance(reply, str) for reply in replies):
        raise FileFormatError(path, line, "no sampled replies")
    if len(filtered) == len(replies) and all(isinstance(answer, str) for answer in filtered):
        # A filter that only passes replies on has read no answers.
        pairs = zip(replies, filtered, strict=True)
        answers = [None if a == NOT_FOUND else extract(r) if a == r else canonical(a) for r, a in pairs]
    else:
        answers = [extract(reply) for reply in replies]
    verdicts = [answer == canonical(target) for answer in answers]
    metrics = row.get("metrics") or []
    if len(replies) == 1 and metrics and row.get(metrics[0]) in (0, 1):
        verdicts = [row[metrics[0]] == 1]
    draws = [
        RecordedSample(reply, answer, verdict, None)
        for reply, answer, verdict in zip(replies, answers, verdicts, strict=True)
    ]
    arguments = row.get("arguments") or {}
    prompt = next((str(a["arg_0"]) for a in arguments.values() if "arg_0" in a), "") if arguments else ""
    id = str(row["doc_id"])
    return _drawn(id, prompt, target, draws, line)


def _drawn(id: str, prompt: str, gold: str | None, draws: list[RecordedSample], line: int | None = None) -> Recording:
    """A problem with its graded draws, whose answers are taken as they are."""
    return Recording(id, prompt, gold, tuple(draws), tuple(one.answer for one in draws), line=line)


def _flat(nested: Any) -> list[Any]:
    """Replies out of their lists: one list a request, and one of repeats in it."""
    return [leaf for part in nested for leaf in _flat(part)] if isinstance(nested, list) else [nested]


def _unknown(what: str, version: object, known: tuple[object, ...]) -> str:
    return f"{what} of version {version!r} is unknown; known: {', '.join(map(str, known))}"
