"""lm-evaluation-harness's `samples_TASK_TIME.jsonl`, with the `results_TIME.json` in the same folder."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mull.errors import FileFormatError
from mull.files.lines import read_jsonl
from mull.files.logs import base
from mull.files.logs.base import Log, LoggedProblem
from mull.files.recording import RecordedSample, Settings
from mull.types import Message

TOOL = "lm-evaluation-harness"
VERSIONS = ("0.4",)
"""Major and minor version; taken from the results file."""
DRAWN = "generate_until"
"""The only output type of the harness that samples replies; the others compare likelihoods."""
NOT_FOUND = "[invalid]"
"""The harness's filters write this if they find no answer."""
OLD_RESULTS = {"results", "configs", "n-shot", "git_hash"}
"""Fields that identify results of releases before 0.4.7, which do not record their version."""
LESS_IS_BETTER = ("wer", "cer", "ter", "mer", "perplexity", "brier_score", "mse", "mae")
"""Metrics that are errors, for results without `higher_is_better`."""
EXACT = "exact_match"
MEANS_SINCE = (0, 4, 8)
"""From this release on `exact_match` of repeats is their mean; before, it compared them with the target's letters."""
OWN = ("doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "doc_hash", "prompt_hash", "target_hash")
OWN_TOO = ("filter", "metrics")
"""The harness's own fields in a row; every other field is a metric."""
_QUOTED = re.compile(r"'[^'\\\\]*'|\"[^\"\\\\]*\"")
_LIST = re.compile(rf"\[((?:{_QUOTED.pattern})(?:, (?:{_QUOTED.pattern}))*)\]")
_TIME = re.compile(r"_(\d{4}-\d\d-\d\dT[\d\-.]+)$")


def read(path: Path, content: Any = None) -> Log:
    """The harness's samples: a question's repeats are its draws.

    If a filter kept every repeat, its answers vote; else answers are read from the replies. The log's own metric grades
    a single reply; of several it gives only the share that is correct, and a comparison with the target decides which.
    Raises `FileFormatError` for an unknown version, or a task that draws no samples.
    """
    results = _results(path)
    reader = _HarnessReader(path, results, _TIME.sub("", path.name.removesuffix(".gz").removesuffix(".jsonl")))
    kind = reader.config.get("output_type", DRAWN)
    if kind != DRAWN:
        raise FileFormatError(path, None, f"a {kind} task draws no samples; only {DRAWN} does")
    return reader.read()


def _results(path: Path) -> Mapping[str, Any]:
    time = _TIME.search(path.name.removesuffix(".gz").removesuffix(".jsonl"))
    beside = path.with_name(f"results_{time[1]}.json" if time else "results.json")
    try:
        results = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        what = f"{beside.name}, which holds the version and the model, cannot be read: {error}"
        raise FileFormatError(path, None, what) from error
    version = base.mapping(results).get("lm_eval_version")
    if version is None and set(base.mapping(results)) >= OLD_RESULTS:
        return {**results, "lm_eval_version": "0.4"}
    if not isinstance(version, str) or ".".join(version.split(".")[:2]) not in VERSIONS:
        known = ", ".join(VERSIONS)
        raise FileFormatError(
            beside, None, f"{TOOL} samples of version {version!r} is unknown; known: {known}; {base.CONVERT}"
        )
    return dict(results)


@dataclass
class _HarnessReader:
    path: Path
    results: Mapping[str, Any]
    task: str
    metric: str | None = None
    n_own: int = 0
    n_partial: int = 0
    n_exact: int = 0
    takes_first: bool = False
    firsts: dict[tuple[str, str], bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        configs = base.mapping(self.results.get("configs"))
        self.task = self.task.removeprefix("samples_")
        if self.task not in configs:  # before 0.4.3 the file name began with the model's
            self.task = max((name for name in configs if self.task.endswith(f"_{name}")), key=len, default=self.task)
        self.config = base.mapping(configs.get(self.task))
        self.metrics = base.items(self.config.get("metric_list"))
        self.is_own = "process_results" in self.config
        model = base.mapping(self.results.get("config")).get("model")
        self.group = str(self.results.get("model_name") or model or "unknown model")
        version = str(self.results.get("lm_eval_version"))
        self.version = tuple(int(part) for part in re.findall(r"\d+", version)[:3])

    def read(self) -> Log:
        rows = self._rows()
        first = next(iter(rows))
        self.takes_first = self._takes_first(first)
        chosen = rows[first]
        self.metric, note = self._verdicts([row for _, row in chosen])
        problems = [self._problem(line, row) for line, row in chosen]
        notes = []
        if len(rows) > 1:
            notes.append(f"answers as the filter {first} reads them; not used: {', '.join(list(rows)[1:])}")
        if self.metric is None:
            notes.append(note)
        elif not self.n_own:
            notes.append(f"the log's {self.metric} is one value for all replies of a question, not a verdict on each")
            if self.n_exact:
                notes[-1] += ": each was compared with its target as exact_match does"
        elif note != self.metric:
            notes.append(f"graded by the log's own {note}")
        notes += base.verdict_note(self.n_partial, str(self.metric))
        return replace(base.log_of(self.path, TOOL, problems, notes), firsts=self.firsts)

    def _rows(self) -> dict[str, list[tuple[int, Mapping[str, Any]]]]:
        """The rows by filter; before 0.4.7 rows do not name their filter and are ordered filter by filter."""
        rows: dict[str, list[tuple[int, Mapping[str, Any]]]] = {}
        seen: dict[tuple[str, str], int] = {}
        names = [str(base.mapping(one).get("name")) for one in base.items(self.config.get("filter_list"))] or ["none"]
        rounds: dict[str, int] = {}
        for line, row in read_jsonl(self.path):
            if "doc_id" not in row:
                raise FileFormatError(self.path, line, "no field 'doc_id'")
            id = str(row["doc_id"])
            if "filter" in row:
                name = str(row["filter"])
            else:
                place = rounds.get(id, 0)
                rounds[id] = place + 1
                name = names[place] if place < len(names) else names[-1]
            if (name, id) in seen:
                raise FileFormatError(self.path, line, f"doc_id {id} was already on line {seen[name, id]}")
            seen[name, id] = line
            rows.setdefault(name, []).append((line, row))
        if not rows:
            raise FileFormatError(self.path, None, "no samples in it")
        return rows

    def _takes_first(self, name: str) -> bool:
        """Whether a filter keeps the first of several replies, so that the metric judges that one."""
        known = map(base.mapping, base.items(self.config.get("filter_list")))
        steps = next((base.items(one.get("filter")) for one in known if one.get("name") == name), [])
        return not any("majority" in str(base.mapping(step).get("function")) for step in steps)

    def _verdicts(self, rows: Sequence[Mapping[str, Any]]) -> tuple[str | None, str]:
        """The metric used as verdict (the first that is a credit from 0 to 1 on every row), and a note on it."""
        named = [str(name) for name in base.items(rows[0].get("metrics"))]
        if "metrics" not in rows[0]:
            named = [name for name in rows[0] if name not in OWN + OWN_TOO]
        usable = []
        for name in named:
            if name.startswith("pass@") and name != "pass@1":
                continue  # about several draws: whether any passes
            values = [base.number(row.get(name)) for row in rows]
            if all(value is not None and value >= 0 and (value <= 1 or self._is_error(name)) for value in values):
                usable.append((not all(value in (0, 1) for value in values), name))
        if not usable:
            return None, f"none of its metrics is a verdict: {', '.join(named) or 'it has none'}"
        metric = min(usable, key=lambda one: one[0])[1]
        others = [name for name in named if name != metric]
        note = metric + (", of which 0 is right" if self._is_error(metric) else "")
        return metric, note + (f"; not used: {', '.join(others)}" if others else "")

    def _is_error(self, metric: str) -> bool:
        is_higher = base.mapping(base.mapping(self.results.get("higher_is_better")).get(self.task)).get(metric)
        return metric in LESS_IS_BETTER if is_higher is None else is_higher is False

    def _problem(self, line: int, row: Mapping[str, Any]) -> LoggedProblem:
        for name in ("target", "resps"):
            if name not in row:
                raise FileFormatError(self.path, line, f"no field {name!r}")
        targets, listed = _targets(row["target"])
        gold = targets[0] if len(targets) == 1 else base.as_text(row["target"])
        replies, filtered = _flat(row["resps"]), _flat(row.get("filtered_resps"))
        if not replies or not all(isinstance(reply, str) for reply in replies):
            raise FileFormatError(self.path, line, "no sampled replies")
        answers: list[str | None] = [None] * len(replies)
        if len(filtered) == len(replies) and all(isinstance(answer, str) for answer in filtered):
            # A filter that only passes replies on has read no answers.
            pairs = zip(replies, filtered, strict=True)
            answers = ["" if a == NOT_FOUND else None if a == r else a for r, a in pairs]
        value = None if self.metric is None else base.number(row.get(self.metric))
        right: list[bool | None] = [None] * len(replies)
        n_correct = None
        if len(replies) == 1 and value is not None and self.metric is not None:
            is_right = value == 0 if self._is_error(self.metric) else value >= 1
            self.n_own += 1
            self.n_partial += not is_right and value != self._is_error(self.metric)
            right = [is_right]
            if is_right and len(targets) == 1 and not self.metric.startswith("pass@"):  # whose target is a test
                answers = [
                    base.met(gold, answers[0])
                ]  # What its metric holds equal is one answer, however it was written.
        elif value is not None and not listed and self._is_mean(len(replies), len(filtered), value):
            n_correct = round(value * len(replies))
        if len(replies) > 1 == len(filtered) and self.takes_first and value is not None and self.metric is not None:
            self.firsts[self.group, str(row["doc_id"])] = value == 0 if self._is_error(self.metric) else value >= 1
        if len(replies) > 1 and len(filtered) == len(replies) and (listed or self.is_exact):
            right = [self._is_exact(str(said), targets) for said in filtered]
            self.n_exact += len(right)
            if len(targets) == 1:
                answers = [base.met(gold, a) if is_right else a for a, is_right in zip(answers, right, strict=True)]
        samples = [RecordedSample(r, a, c, None) for r, a, c in zip(replies, answers, right, strict=True)]
        arguments = list(base.mapping(row.get("arguments")).values()) or base.items(row.get("arguments"))
        if len({json.dumps(one, sort_keys=True) for one in arguments}) > 1:
            raise base.half(
                self.path,
                line,
                TOOL,
                "a row asks several questions: the log does not say which replies are draws of which",
            )
        asked, settings = _asked(arguments[0] if arguments else {})
        prompt = base.last_user(asked)
        return LoggedProblem(
            str(row["doc_id"]), prompt, gold, self.group, self.task, line, asked, settings, samples, n_correct
        )

    @property
    def is_exact(self) -> bool:
        """Whether the metric is the harness's own `exact_match`, not one of that name that the task computes."""
        return self.metric == EXACT and not self.is_own

    def _is_exact(self, said: str, targets: Sequence[str]) -> bool:
        """Whether the harness's `exact_match` holds these equal; a log's patterns of text to ignore are not run."""
        options = next((o for o in map(base.mapping, self.metrics) if o.get("metric") == EXACT), {})

        def plain(text: str) -> str:
            text = text.lower() if options.get("ignore_case") else text
            without = string.punctuation if options.get("ignore_punctuation") else ""
            without += string.digits if options.get("ignore_numbers") else ""
            return text.translate(str.maketrans("", "", without))

        return plain(said) in map(plain, targets)

    def _is_mean(self, n: int, n_filtered: int, value: float) -> bool:
        """Whether the value of the metric is the share of correct replies."""
        whole = abs(value * n - round(value * n)) < 1e-6 * n
        means = self.is_exact and self.version >= MEANS_SINCE
        return n == n_filtered and whole and (means or self.metric == "pass@1")


def _asked(arguments: Any) -> tuple[tuple[Message, ...], Settings]:
    """The messages and settings of a request: a text, or a chat as a list of JSON strings; then generation options."""
    parts = [arguments[name] for name in sorted(arguments)] if isinstance(arguments, dict) else base.items(arguments)
    asked = parts[0] if parts else ""
    chat = asked[0] if isinstance(asked, list) and asked else asked
    if isinstance(chat, str) and chat.lstrip().startswith('[{"role"'):
        try:
            turns = json.loads(chat)
        except (ValueError, RecursionError):
            turns = None
        if isinstance(turns, list):
            return base.messages_of(turns), base.settings_of(base.mapping(parts[1] if len(parts) > 1 else {}))
    options = base.settings_of(base.mapping(parts[1] if len(parts) > 1 else {}))
    return (Message("user", chat if isinstance(chat, str) else json.dumps(asked)),), options


def _targets(target: Any) -> tuple[list[str], bool]:
    """The correct answers, and whether they are a list, which the harness writes as the text of a Python list."""
    if isinstance(target, str) and (listed := _LIST.fullmatch(target)):
        return [quoted[1:-1] for quoted in _QUOTED.findall(listed[1])], True
    texts = map(base.as_text, target if isinstance(target, list) else [target])
    return [text for text in texts if text is not None], isinstance(target, list)


def _flat(nested: Any) -> list[Any]:
    """The replies without nesting: one list for each request, with one list of repeats in it."""
    return [leaf for part in nested for leaf in _flat(part)] if isinstance(nested, list) else [nested]
