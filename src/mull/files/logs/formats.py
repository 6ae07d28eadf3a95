"""The table of other tools' log formats, and the functions that read any of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mull.errors import FileFormatError
from mull.files.columns import Named
from mull.files.lines import ONE_LIST, read_jsonl
from mull.files.logs import (
    base,
    batches,
    evalplus,
    harbor,
    harness,
    helm,
    inspect_ai,
    lighteval,
    mini_swe_agent,
    nemo_skills,
    promptfoo,
    tables,
    trl,
    verifiers,
)
from mull.files.logs.base import CONVERT, Log
from mull.files.opening import opened
from mull.files.recording import Recording
from mull.files.records import PLAIN, read_recordings
from mull.files.tables import form_of, has_rows, is_lines, read_rows


@dataclass(frozen=True, slots=True)
class Format:
    """A tool's log format: its files, how its parts map to draws, and the fields that identify it.

    `fields` are required in a JSON object, in the first line or among a table's columns; so is one of `one_of`, unless
    that is empty.
    """

    tool: str
    files: str
    taken: str
    reader: Callable[[Path, Any], Log]
    suffixes: tuple[str, ...]
    fields: frozenset[str]
    one_of: frozenset[str] = frozenset()

    def read(self, path: Path, content: Any) -> Log:
        """The log in a file. Raises `FileFormatError`, also where a row lacks a field that the first one has."""
        try:
            return self.reader(path, content)
        except KeyError as error:
            raise FileFormatError(path, None, f"this log of {self.tool} has a row without the field {error}") from error

    def is_marked(self, names: frozenset[str]) -> bool:
        """Whether these fields (at the top level, in the first line, or as columns) identify a log of this tool."""
        return self.fields <= names and (not self.one_of or bool(self.one_of & names))


LINES = (".jsonl", ".gz")
FORMATS = (
    Format(
        "inspect_ai",
        "*.eval, *.json (since 0.3.41)",
        "epochs are draws, of agents too; the first scorer's values are verdicts and its answers vote; tokens",
        inspect_ai.read,
        (".eval", ".json"),
        frozenset({"version", "eval"}),
    ),
    Format(
        "lm-evaluation-harness",
        "samples_*.jsonl beside results_*.json (0.4)",
        "repeats are draws; the first filter's answers vote; the metric is the verdict on one, the target on several",
        harness.read,
        LINES,
        frozenset({"doc_id", "resps"}),
    ),
    Format(
        "evalplus",
        "*_eval_results.json (0.3)",
        "a task's programs are draws; base and extra tests are the verdict; no votes, no prompts",
        evalplus.read,
        (".json",),
        frozenset({"eval", "hash", "date"}),
    ),
    Format(
        "lighteval",
        "details_*.parquet (since 0.11)",
        "texts are draws; the metric is the verdict on one text, the gold on several; output_tokens are counted",
        lighteval.read,
        (".parquet",),
        frozenset({"doc", "metric", "model_response"}),
    ),
    Format(
        "lighteval",
        "details_*.parquet (before 0.11)",
        "refused: run it again with a release since 0.11",
        lighteval.read_old,
        (".parquet",),
        frozenset({"predictions", "metrics", "full_prompt"}),
    ),
    Format(
        "verifiers",
        "results.jsonl beside metadata.json (to 0.3)",
        "rollouts of an example are draws; a reward of at least pass_threshold is right; tokens from token_usage",
        verifiers.read,
        LINES,
        frozenset({"prompt", "completion", "reward"}),
        frozenset({"example_id", "task", "metrics"}),
    ),
    Format(
        "verifiers",
        "traces.jsonl (since 0.4)",
        "episodes of a task are draws; the weighted sum of rewards, 0 or 1, is the verdict",
        verifiers.read_traces,
        LINES,
        frozenset({"env", "task", "traces"}),
    ),
    Format(
        "TRL",
        "completions_*.parquet (log_completions=True)",
        "completions of a prompt in a step are draws; the reward for correctness is the verdict",
        trl.read,
        (".parquet",),
        frozenset({"step", "prompt", "completion"}),
    ),
    Format(
        "HELM",
        "scenario_state.json beside per_instance_stats.json (0.5)",
        "completions are draws; the run's metric is the verdict on one, the correct references on several",
        helm.read,
        (".json",),
        frozenset({"adapter_spec", "request_states"}),
    ),
    Format(
        "NeMo-Skills",
        "output.jsonl, output-rs*.jsonl, or their folder",
        "generations of a problem are draws; predicted_answer votes; symbolic_correct or the judgement is the verdict",
        nemo_skills.read,
        LINES,
        frozenset({"generation"}),
        frozenset({"expected_answer", "predicted_answer", "symbolic_correct", "is_correct"}),
    ),
    Format(
        "promptfoo",
        "results as .json or .jsonl (since 0.100)",
        "repeats of a test are draws; the assertions are the verdict; tokens from tokenUsage",
        promptfoo.read,
        (".json",),
        frozenset({"evalId", "results"}),
    ),
    Format(
        "promptfoo",
        "results as .jsonl",
        "as above; the log does not hold the sampling settings",
        promptfoo.read,
        LINES,
        frozenset({"testIdx", "promptIdx", "success"}),
    ),
    Format(
        "OpenAI or vLLM batches",
        "a batch's output.jsonl beside its input.jsonl",
        "the choices of a request are draws; no verdicts: for mull bank import and recorded:",
        batches.read,
        LINES,
        frozenset({"custom_id", "response"}),
    ),
    Format(
        "mini-swe-agent",
        "*.traj.json, or a folder of them (1.x and 2.x)",
        "runs of a task are draws; SWE-bench's report in the folder is the verdict; no votes",
        mini_swe_agent.read,
        (".json",),
        frozenset({"info", "messages", "trajectory_format"}),
    ),
    Format(
        "Harbor",
        "result.json of a trial or a job, or their folder (Terminal-Bench 2)",
        "trials of a task are draws; a reward of 1 is right; tokens of the agent; no votes",
        harbor.read,
        (".json",),
        harbor.TRIAL,
    ),
    Format(
        "Harbor",
        "result.json of a job",
        "as above",
        harbor.read,
        (".json",),
        harbor.JOB,
    ),
    Format(
        "Harbor",
        "trajectory.json in ATIF (v1.0 to v1.8)",
        "as above inside a trial's folder; alone it has no verdict: for mull choose",
        harbor.read_trajectory,
        (".json",),
        frozenset({"schema_version", "agent", "steps"}),
    ),
    Format(
        "SWE-agent",
        "*.traj",
        "refused: only trajectories of mini-swe-agent are read",
        mini_swe_agent.refuse,
        (".traj", ".json"),
        frozenset({"trajectory", "info"}),
    ),
)
"""In the order in which they are tried."""


def read(path: Path) -> Log | None:
    """Reads a file or folder as a tool's log; `None` if it is not one. Raises `FileFormatError`."""
    if path.is_dir():
        return _folder(path)
    if path.suffix == ".eval" and not _is_json(path):
        return inspect_ai.read(path)
    if path.suffix in (".json", ".traj"):
        if is_lines(path):
            return None
        content = base.loaded(path)
        if not isinstance(content, dict):
            return None
        found = _marked(path, frozenset(content))
        if found is None and not has_rows(content):
            raise FileFormatError(path, None, _unknown(content))
        if found is None:
            return None
        return found.read(path, content)
    if path.suffix == ".parquet":
        found = _marked(path, tables.columns(path))
        return None if found is None else found.read(path, None)
    if path.suffix == ".jsonl" or path.name.endswith(".jsonl.gz"):
        form = form_of(path)
        if form == "json" and (row := next(read_rows(path), None)) and _marked(path, frozenset(row[1])):
            raise FileFormatError(path, None, ONE_LIST)
        first = next(read_jsonl(path), None) if form == "lines" else None
        found = None if first is None else _marked(path, frozenset(first[1]))
        return None if found is None else found.read(path, None)
    return None


def _folder(path: Path) -> Log | None:
    """The log in a folder. Raises `FileFormatError` if two tools have logs there."""
    readers = {
        nemo_skills.TOOL: (any(path.glob(nemo_skills.PARTS)), nemo_skills.read),
        mini_swe_agent.TOOL: (any(path.rglob(mini_swe_agent.PATTERN)), mini_swe_agent.read),
        harbor.TOOL: (harbor.has_trials(path), harbor.read),
    }
    found = {tool: reader for tool, (is_there, reader) in readers.items() if is_there}
    if len(found) > 1:
        raise FileFormatError(path, None, f"holds logs of {' and '.join(found)}: name the folder of one of them")
    return next((reader(path) for reader in found.values()), None)


def _is_json(path: Path) -> bool:
    with opened(path) as file:
        return file.read(100).lstrip()[:1] in (b"[", b"{")


def recordings(path: Path, group: str | None = None, layout: Named = PLAIN) -> Sequence[Recording]:
    """The problems of a file of recorded samples or of another tool's log, restricted to one `group` if it is named.

    Raises `FileFormatError` as `read` and `read_recordings` do.
    """
    log = None if layout.named else read(path)
    if log is None:
        return read_recordings(path, group, layout)
    if not all(one.prompt for one in log.recordings):
        raise FileFormatError(path, None, f"this log of {log.tool} does not hold the questions that were asked")
    found = [one for one in log.recordings if group is None or one.group == group]
    if not found:
        groups = sorted({str(one.group) for one in log.recordings})
        raise FileFormatError(path, None, f"no samples of the model {group!r}; it has {', '.join(groups)}")
    return found


def _marked(path: Path, names: frozenset[str]) -> Format | None:
    return next((f for f in FORMATS if path.suffix in f.suffixes and f.is_marked(names)), None)


def _unknown(content: Mapping[str, Any]) -> str:
    has = ", ".join(list(content)[:8]) or "nothing"
    tools = ", ".join(dict.fromkeys(f.tool for f in FORMATS if ".json" in f.suffixes))
    return f"is not a known log (it has {has}; known as JSON: {tools}); see `mull list formats`, or {CONVERT}"
