"""Trajectories of mini-swe-agent 1.x and 2.x, `*.traj.json`, with the report of SWE-bench as the verdict."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mull.errors import FileFormatError
from mull.files.logs import agents, base
from mull.files.logs.base import Log, LoggedProblem
from mull.files.recording import AgentRun, RecordedSample
from mull.types import Finish, Message

TOOL = "mini-swe-agent"
FORMATS = ("mini-swe-agent-1", "mini-swe-agent-1.1")
"""`trajectory_format` of releases 1.x and 2.x."""
PATTERN = "*.traj.json"
SUBMITTED = "Submitted"
LIMITS = ("LimitsExceeded", "TimeExceeded")
UNGRADED = (
    "no verdicts: put the report of SWE-bench's harness (MODEL.RUN.json, with `resolved_ids`) into the folder of the "
    "runs, or choose among them with `mull choose`"
)
_ACTION = re.compile(r"```(?:mswea_bash_command|bash|sh)\s*\n(.*?)\n```", re.DOTALL)
_VARIABLE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
MOST_REPORT = 8 << 20
"""Bytes of a JSON file that may be a report."""
RESOLVED, NOT_RESOLVED = ("resolved_ids",), ("unresolved_ids", "empty_patch_ids", "error_ids")


def read(path: Path, content: Any = None) -> Log:
    """One trajectory, or all below a folder: each is a draw of its task, right if a report says that it is resolved.

    Raises `FileFormatError` for another format, and for reports that contradict each other.
    """
    paths = agents.files_below(path, PATTERN) if path.is_dir() else [path]
    reports = _Reports(path if path.is_dir() else path.parent.parent)
    problems: dict[tuple[str, str], LoggedProblem] = {}
    counts: Counter[str] = Counter()
    for each in paths:
        told = content if content is not None and each == path else base.loaded(each)
        problem, run, sample = _run(each, path, told)
        counts[str(run.ended)] += 1
        sample = sample._replace(correct=reports.verdict(each, problem.id), run=run)
        problems.setdefault((problem.group, problem.id), problem).samples.append(sample)
    return replace(base.log_of(path, TOOL, problems.values(), _notes(counts), votes=False), ungraded=UNGRADED)


def refuse(path: Path, content: Any) -> Log:
    """Raises `FileFormatError` for a trajectory of SWE-agent."""
    what = f"a trajectory of SWE-agent, which is not read; {TOOL} writes {PATTERN}, which are"
    raise FileFormatError(path, None, what)


def _run(path: Path, given: Path, log: Any) -> tuple[LoggedProblem, AgentRun, RecordedSample]:
    """A run's task, the run, and its result as a draw."""
    info, turns = base.mapping(base.mapping(log).get("info")), base.mapping(log).get("messages")
    version = base.mapping(log).get("trajectory_format")
    if version not in FORMATS or not isinstance(turns, list):
        known = ", ".join(FORMATS)
        what = f"a trajectory of the format {version!r} is unknown; known of {TOOL}: {known}"
        raise FileFormatError(path, None, what)
    messages = [base.mapping(turn) for turn in turns]
    first = next((i for i, turn in enumerate(messages) if _is_reply(turn)), len(messages))
    asked = base.messages_of([turn for turn in messages[:first] if turn.get("role") in ("system", "user")])
    config = base.mapping(info.get("config"))
    template = base.mapping(config.get("agent")).get("instance_template")
    prompt = _task_in(base.last_user(asked), template if isinstance(template, str) else "")
    of_model = base.mapping(config.get("model"))
    id = agents.task_id(log.get("instance_id"), prompt)
    settings = base.settings_of(base.mapping(of_model.get("model_kwargs")))
    group = str(of_model.get("model_name") or "unknown model")
    problem = LoggedProblem(id, prompt, None, group, messages=asked, settings=settings)
    ended = info.get("exit_status")
    status = ended if isinstance(ended, str) and ended else None
    submission = info.get("submission")
    text = submission if status == SUBMITTED and isinstance(submission, str) else ""
    run = AgentRun(
        agents.run_name(path, given if given.is_dir() else path),
        f"{TOOL} {info.get('mini_version') or '(version unknown)'}",
        tuple(_turns(messages[first:])),
        status,
        base.number(base.mapping(info.get("model_stats")).get("instance_cost")) or None,
    )
    finish = Finish.STOP if status == SUBMITTED else Finish.LENGTH if status in LIMITS else Finish.ERROR
    used = agents.output_tokens([_usage(turn) for turn in messages if _is_reply(turn)])
    return problem, run, RecordedSample(text, output_tokens=used, finish=finish)


def _is_reply(turn: Mapping[str, Any]) -> bool:
    """Whether a turn is the model's: a reply of the chat API, or of the Responses API, which has no role."""
    return turn.get("role") == "assistant" or turn.get("object") == "response"


def _usage(turn: Mapping[str, Any]) -> Any:
    response = base.mapping(base.mapping(turn.get("extra")).get("response")) or turn
    usage = base.mapping(response.get("usage"))
    return usage.get("completion_tokens", usage.get("output_tokens"))


def _turns(messages: list[Mapping[str, Any]]) -> Iterator[Message]:
    """The turns after the question. The last of them, which only repeats the submission, is left out."""
    for turn in messages:
        extra = base.mapping(turn.get("extra"))
        if turn.get("role") == "exit":
            return
        if turn.get("object") == "response":
            told = [base.mapping(item) for item in base.items(turn.get("output"))]
            text = "\n".join(base.content_text(one.get("content")) for one in told if one.get("type") == "message")
            calls = [
                agents.call_of(one.get("call_id"), one.get("name"), one.get("arguments"))
                for one in told
                if one.get("type") == "function_call"
            ]
            yield Message("assistant", text, tuple(calls))
        elif turn.get("type") == "function_call_output":
            yield agents.result(turn.get("output"), turn.get("call_id"), extra.get("returncode"))
        elif turn.get("role") == "assistant":
            yield _reply(turn, extra)
        else:
            yield agents.result(turn.get("content"), turn.get("tool_call_id"), extra.get("returncode"))


def _reply(turn: Mapping[str, Any], extra: Mapping[str, Any]) -> Message:
    """A reply with its commands: tool calls, the actions that the tool read, or those in the text, as in 1.x."""
    content = agents.content_of(turn.get("content"))
    calls = []
    for call in map(base.mapping, base.items(turn.get("tool_calls"))):
        function = base.mapping(call.get("function"))
        calls.append(agents.call_of(call.get("id"), function.get("name"), function.get("arguments")))
    if not calls:
        actions = [base.mapping(action).get("command") for action in base.items(extra.get("actions"))]
        found = actions or (_ACTION.findall(content) if isinstance(content, str) else [])
        calls = [agents.call_of(None, "bash", {"command": command}) for command in found if isinstance(command, str)]
    return Message("assistant", content, tuple(calls))


def _task_in(asked: str, template: str) -> str:
    """The task in the first message, without the template around it; the whole message if it is not told apart."""
    before, mark, after = template.partition("{{task}}")
    before = _VARIABLE.split(before)[-1].lstrip() if before.strip() else ""
    after = _VARIABLE.split(after)[0].rstrip()
    start, end = asked.find(before), asked.rfind(after) if after else len(asked)
    if not mark or start < 0 or end < start + len(before):
        return asked
    return asked[start + len(before) : end].strip() or asked


class _Reports:
    """The reports of SWE-bench's harness in the folders of the runs; each folder is read once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[Path, list[tuple[str, Mapping[str, Any]]]] = {}

    def verdict(self, path: Path, id: str) -> bool | None:
        """Whether a task is resolved, by the reports nearest to a trajectory, no higher than the root.

        Raises `FileFormatError` if two of them contradict each other.
        """
        found: dict[bool, str] = {}
        for folder in path.parents:
            for name, report in self._in(folder):
                for is_right, lists in ((True, RESOLVED), (False, NOT_RESOLVED)):
                    if any(id in base.items(report.get(each)) for each in lists):
                        found[is_right] = name
            if found or folder == self._root:
                break
        if len(found) > 1:
            what = f"{found[True]} counts {id!r} as resolved and {found[False]} does not: keep one of the reports"
            raise FileFormatError(path, None, what)
        return next(iter(found), None)

    def _in(self, folder: Path) -> list[tuple[str, Mapping[str, Any]]]:
        if folder not in self._known:
            names = (path for path in sorted(folder.glob("*.json")) if not path.name.endswith(".traj.json"))
            files = [path for path in names if path.is_file() and path.stat().st_size < MOST_REPORT]
            told = [(path.name, base.loaded(path)) for path in files if b'"resolved_ids"' in path.read_bytes()]
            self._known[folder] = [(name, base.mapping(report)) for name, report in told]
        return self._known[folder]


def _notes(counts: Counter[str]) -> list[str]:
    told = {status: n for status, n in counts.items() if status != SUBMITTED}
    ends = ", ".join(f"{n} {status}" for status, n in sorted(told.items()))
    return [f"{sum(told.values())} runs ended without a submission ({ends})"] if told else []
