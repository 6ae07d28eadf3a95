"""Trials of Harbor (Terminal-Bench 2): `result.json` and a trajectory in ATIF, or such a trajectory alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mull.errors import FileFormatError
from mull.files.logs import agents, base
from mull.files.logs.base import Log, LoggedProblem
from mull.files.recording import AgentRun, RecordedSample
from mull.types import Finish, Message

TOOL = "Harbor"
VERSIONS = tuple(f"ATIF-v1.{minor}" for minor in range(9))
TRIAL = frozenset({"task_name", "trial_name", "agent_info"})
JOB = frozenset({"n_total_trials", "stats"})
RESULT, TRAJECTORY = "result.json", "trajectory.json"
MOST_PARTS = 100
"""Files that one trajectory is continued in, at most."""
LIMITS = ("AgentTimeoutError",)
UNGRADED = "no rewards: give the folder of the trials, where result.json has them, or choose with `mull choose`"


def read(path: Path, content: Any = None) -> Log:
    """The trials of a job's or a trial's folder, or of the `result.json` of either; each is a draw of its task.

    A reward of 1 is right. Trials without a valid reward have no verdict. Raises `FileFormatError` for trajectories of
    another version, and for rewards of which none is the verdict.
    """
    folder = path if path.is_dir() else path.parent
    reader = _Reader(path, folder)
    for each in agents.files_below(folder, RESULT) if path.is_dir() or set(content) >= JOB else [path]:
        told = content if each == path else base.loaded(each)
        if isinstance(told, dict) and set(told) >= TRIAL:
            reader.add_trial(each, told)
    return reader.log()


def read_trajectory(path: Path, content: Any) -> Log:
    """A trajectory alone, or the trial in whose folder it is. Raises `FileFormatError`."""
    beside = path.parent.parent / RESULT
    if path.parent.name == "agent" and beside.is_file():
        return read(beside, base.loaded(beside))
    reader = _Reader(path, path)
    reader.add_alone(path, content)
    return reader.log()


@dataclass
class _Reader:
    path: Path
    root: Path
    problems: dict[tuple[str, str], LoggedProblem] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)

    def add_trial(self, path: Path, result: Mapping[str, Any]) -> None:
        folder = path.parent
        steps = [base.mapping(step) for step in base.items(result.get("step_results"))]
        folders = [folder / "steps" / str(step.get("step_name")) for step in steps] or [folder]
        parts = [part for each in folders for part in _parts(each / "agent" / TRAJECTORY, folder)]
        self.counts["without a trajectory"] += not parts
        error = base.mapping(result.get("exception_info")).get("exception_type")
        ended = str(error) if error else "finished"
        self.failures[ended] += error is not None
        agent = base.mapping(result.get("agent_info"))
        model = base.mapping(agent.get("model_info")).get("name")
        tokens = base.whole(_sum(steps or [result], "n_output_tokens"))
        usd = _sum(steps or [result], "cost_usd")
        name = agents.run_name(folder, self.root) if folder != self.root else str(result["trial_name"])
        run = AgentRun(name, f"{agent.get('name')} {agent.get('version')}", (), ended, usd, is_whole=False)
        finish = Finish.STOP if not error else Finish.LENGTH if error in LIMITS else Finish.ERROR
        sample = RecordedSample("", None, self._verdict(path, result), None, tokens, None, finish)
        self._add(str(result["task_name"]), model, parts, run, sample)

    def add_alone(self, path: Path, content: Mapping[str, Any]) -> None:
        parts = [content, *_parts(path, path.parent)[1:]]
        _check(path, content)
        agent = base.mapping(content.get("agent"))
        metrics = base.mapping(content.get("final_metrics"))
        usd = base.number(metrics.get("total_cost_usd"))
        run = AgentRun(path.name, f"{agent.get('name')} {agent.get('version')}", (), None, usd, is_whole=False)
        tokens = base.whole(metrics.get("total_completion_tokens"))
        self._add(None, None, parts, run, RecordedSample("", output_tokens=tokens, finish=Finish.STOP))

    def _add(
        self, task: str | None, model: Any, parts: list[Mapping[str, Any]], run: AgentRun, sample: RecordedSample
    ) -> None:
        steps = [base.mapping(step) for part in parts for step in base.items(part.get("steps"))]
        steps = [step for step in steps if not step.get("is_copied_context")] or steps
        first = next((i for i, step in enumerate(steps) if step.get("source") == "agent"), len(steps))
        asked = tuple(
            Message(str(step["source"]), base.content_text(step.get("message")))
            for step in steps[:first]
            if step.get("source") in ("system", "user")
        )
        prompt = base.last_user(asked)
        turns = tuple(turn for step in steps[first:] for turn in _turns(step))
        replies = [turn.text for turn in turns if turn.role == "assistant" and turn.text.strip()]
        named = base.mapping(parts[0].get("agent")).get("model_name") if parts else None
        id, group = agents.task_id(task, prompt), str(model or named or "unknown model")
        one = self.problems.setdefault((group, id), LoggedProblem(id, prompt, None, group, messages=asked))
        if not one.prompt:
            one.prompt, one.messages = prompt, asked
        text = replies[-1] if replies and sample.finish is not Finish.ERROR else ""
        one.samples.append(sample._replace(text=text, run=run._replace(turns=turns)))

    def _verdict(self, path: Path, result: Mapping[str, Any]) -> bool | None:
        """Whether the verifier's reward is 1; `None` if there is none, or an error of the machinery made it void."""
        told = base.mapping(result.get("verifier_result"))
        rewards = told.get("rewards") if isinstance(told.get("rewards"), dict) else told
        if not rewards or result.get("reward_valid") is False:
            return None
        name = "reward" if "reward" in rewards else next(iter(rewards))
        if len(rewards) > 1 and name != "reward":
            what = f"has the rewards {', '.join(map(str, rewards))}, and none is called `reward`: which is the verdict?"
            raise FileFormatError(path, None, what)
        value = base.number(rewards[name])
        if value is None:
            return None
        if not 0 <= value <= 1:
            raise FileFormatError(path, None, f"the reward {value:g} is not between 0 and 1: what is right is not told")
        self.counts["partial"] += 0 < value < 1
        return value == 1

    def log(self) -> Log:
        notes = base.verdict_note(self.counts["partial"], "the verifier's reward")
        if n := sum(self.failures.values()):
            ends = ", ".join(f"{count} {name}" for name, count in sorted(self.failures.items()) if count)
            notes.append(f"{n} trials ended by an error ({ends})")
        if n := self.counts["without a trajectory"]:
            notes.append(f"{n} trials have no {TRAJECTORY} in ATIF")
        log = base.log_of(self.path, TOOL, self.problems.values(), notes, votes=False)
        return replace(log, ungraded=UNGRADED)


def _check(path: Path, content: Any) -> None:
    version = base.mapping(content).get("schema_version")
    if version not in VERSIONS:
        known = f"{VERSIONS[0]} to {VERSIONS[-1]}"
        raise FileFormatError(path, None, f"a trajectory of the version {version!r} is unknown; known: {known}")


def _parts(path: Path, root: Path) -> list[Mapping[str, Any]]:
    """A trajectory and the files beside it that continue it; empty if there is none, or a link leads elsewhere."""
    found: list[Mapping[str, Any]] = []
    seen = set[Path]()
    while path.is_file() and path not in seen and len(seen) < MOST_PARTS:
        if not path.resolve().is_relative_to(root.resolve()):
            break
        seen.add(path)
        content = base.loaded(path)
        _check(path, content)
        found.append(content)
        following = content.get("continued_trajectory_ref")
        if not isinstance(following, str) or Path(following).name != following:
            break
        path = path.with_name(following)
    return found


def _turns(step: Mapping[str, Any]) -> Iterator[Message]:
    """A step as turns: a reply and what its tools returned, or what a user said in between."""
    calls = [
        agents.call_of(call.get("tool_call_id"), call.get("function_name"), call.get("arguments"))
        for call in map(base.mapping, base.items(step.get("tool_calls")))
    ]
    role = "assistant" if step.get("source") == "agent" else str(step.get("source") or "user")
    yield Message(role, agents.content_of(step.get("message")), tuple(calls))
    for told in map(base.mapping, base.items(base.mapping(step.get("observation")).get("results"))):
        yield agents.result(told.get("content") or "", told.get("source_call_id"))


def _sum(results: list[Mapping[str, Any]], name: str) -> float | None:
    """A count over the parts of a trial; `None` if one does not tell."""
    values = [base.number(base.mapping(one.get("agent_result")).get(name)) for one in results]
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def has_trials(folder: Path) -> bool:
    """Whether a folder holds results of Harbor's trials."""
    found = (path.read_bytes() for path in agents.files_below(folder, RESULT))
    return any(all(f'"{name}"'.encode() in text for name in TRIAL) for text in found)
