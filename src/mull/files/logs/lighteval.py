"""lighteval's `details_*.parquet`, in the format of releases since 0.11."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mull.files.logs import base, tables
from mull.files.logs.base import Log, LoggedProblem
from mull.files.recording import RecordedSample, Settings
from mull.types import Message

TOOL = "lighteval"
SHARES = re.compile(r"(?:pass@k:k=1&n=\d+|avg@n:n=\d+|avg@k:k=\d+)")
"""Metrics that are the share of correct replies to a question."""


def read_old(path: Path, content: Any = None) -> Log:
    """Raises `FileFormatError`: details from before 0.11 do not hold sampled texts in the present form."""
    raise base.half(path, None, TOOL, "its columns are those of releases before 0.11")


def read(path: Path, content: Any = None) -> Log:
    """lighteval's details: a question's sampled texts are its draws.

    Of a single text, a metric that is a credit from 0 to 1 is the verdict; of several, the log gives the number that
    are correct, and the gold answer decides which. Raises `FileFormatError` for tasks that sample no text.
    """
    rows = tables.rows(path)
    metrics = [base.mapping(row["metric"]) for row in rows]
    names = [name for name in (metrics[0] if metrics else ()) if all(_is_credit(m.get(name)) for m in metrics)]
    model, settings = _about(path)
    problems = []
    n_partial = 0
    for row, metric in zip(rows, metrics, strict=True):
        doc, response = base.mapping(row["doc"]), base.mapping(row["model_response"])
        texts = base.items(response.get("text"))
        if not texts:
            raise base.half(
                path, None, TOOL, f"{doc.get('id')!r} has no sampled `text`: this task compares likelihoods"
            )
        choices, index = base.items(doc.get("choices")), doc.get("gold_index")
        places = index if isinstance(index, list) else [index]
        golds = [choices[i] for i in places if isinstance(i, int) and 0 <= i < len(choices)]
        gold = base.as_text(golds[0]) if len(golds) == 1 else None
        tokens = base.items(response.get("output_tokens"))
        counts = [len(one) for one in tokens] if len(tokens) == len(texts) else [None] * len(texts)
        asked = response.get("input")
        query = str(doc.get("query") or "")
        messages = base.messages_of(asked) if isinstance(asked, list) else (Message("user", str(asked or query)),)
        problem = LoggedProblem(
            str(doc.get("id")), query, gold, model, str(doc.get("task_name")), messages=messages, settings=settings
        )
        credit = metric[names[0]] if names and len(texts) == 1 else None
        if credit is not None:
            n_partial += 0 < credit < 1
            answer = base.met(gold, None) if credit == 1 else None
            problem.samples = [RecordedSample(texts[0], answer, credit == 1, None, counts[0])]
        else:
            problem.n_correct = _share(metric, len(texts))
            if gold is None and problem.n_correct is None:
                raise base.half(
                    path, None, TOOL, f"{doc.get('id')!r} has several golds or none, and no share that is right"
                )
            pairs = zip(texts, counts, strict=True)
            problem.samples = [RecordedSample(text, None, None, None, n) for text, n in pairs]
        problems.append(problem)
    notes = []
    if names and all(len(problem.samples) == 1 for problem in problems):
        others = [name for name in (metrics[0] if metrics else ()) if name != names[0]]
        notes = [f"graded by {names[0]}" + (f"; not used: {', '.join(others)}" if others else "")]
        notes += base.verdict_note(n_partial, names[0])
    return base.log_of(path, TOOL, problems, notes)


def _is_credit(value: Any) -> bool:
    credit = base.number(value)
    return credit is not None and 0 <= credit <= 1


def _share(metric: Any, n: int) -> int | None:
    """The number of correct texts among n, if a metric gives their share."""
    for name, value in metric.items():
        share = base.number(value)
        if SHARES.fullmatch(name) and share is not None and abs(share * n - round(share * n)) < 1e-6 * n:
            return round(share * n)
    return None


def _about(path: Path) -> tuple[str, Settings]:
    """The model and its settings: from the results file, or the model from the folder name `details/MODEL/TIME`."""
    found = re.search(r"_(\d{4}-\d\d-\d\dT[\d\-.]+)\.parquet$", path.name)
    beside = path.with_name(f"results_{found[1]}.json") if found else None
    if beside is not None and beside.is_file():
        config = base.mapping(base.mapping(base.loaded(beside)).get("config_general"))
        of_model = base.mapping(config.get("model_config"))
        name = str(config.get("model_name") or of_model.get("model_name") or "unknown model")
        return name, base.settings_of(base.mapping(of_model.get("generation_parameters")))
    parents = [parent.name for parent in path.parents]
    place = parents.index("details") if "details" in parents else 0
    return "/".join(reversed(parents[1:place])) if place > 1 else "unknown model", Settings()
