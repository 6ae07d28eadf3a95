"""Short summaries of agents' runs, made from their steps: what was run, what came back, and the run's own tests."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

from mull.files.recording import AgentRun, RecordedSample
from mull.types import Message, ToolCall

LEAST, MOST = 500, 6000
"""Characters of a summary: the fewest that can be asked for, and the most by default."""
MOST_COMMAND, MOST_OUTPUT = 20_000, 4000
"""Characters of a command, and of the end of what it printed, that are searched for tests."""
_HERE = re.compile(r"<<-?\s*(['\"]?)(\w+)\1[^\n]*\n.*?^\s*\2\s*$", re.DOTALL | re.MULTILINE)
_NEXT = re.compile(r"&&|\|\||[;\n|]")
_TESTS = re.compile(
    r"\s*(?:\w+=\S*\s+)*(?:(?:sudo|time|timeout\s+\S+|uv run|poetry run|pipenv run)\s+)*"
    r"(?:\S*python[\d.]*\s+(?:-\w\s+)*?(?:-m\s+)?)?(?:[\w./-]*/)?"
    r"(?:pytest|py\.test|unittest|doctest|tox|nox|runtests\.py|manage\.py\s+test|(?:npm|yarn|pnpm)\s+(?:run\s+)?test"
    r"|(?:npx\s+)?(?:jest|vitest|mocha)|go\s+test|cargo\s+(?:test|nextest)|mvn\s[^\n]*test|gradlew?\s[^\n]*test"
    r"|make\s+(?:test|check)|ctest|rspec|phpunit)\b"
)
_FAILED = re.compile(
    r"^.*\b[1-9]\d* (?:failed|errors?)\b.* in [\d.:]+ ?s|^FAILED \(.*\)\s*$|^--- FAIL|^FAIL\b|test result: FAILED"
    r"|^\s*Tests:?\s+.*\b[1-9]\d* failed|^\s*[1-9]\d* failing\b|BUILD FAILURE|\b[1-9]\d* failures?\b",
    re.MULTILINE,
)
_PASSED = re.compile(
    r"^.*\b[1-9]\d* passed\b.* in [\d.:]+ ?s|^OK(?: \(.*\))?\s*$|^ok\s+\S+|test result: ok"
    r"|^\s*Tests:?\s+.*\b[1-9]\d* passed|^\s*[1-9]\d* passing\b|BUILD SUCCESS|\b[1-9]\d* examples?, 0 failures",
    re.MULTILINE,
)
_CODE = re.compile(r"<returncode>(-?\d+)</returncode>")


class RunStep(NamedTuple):
    """A tool call of a run and what came back: `reply` is the text of its turn, at the first of its calls only."""

    reply: str
    name: str
    command: str
    output: str | None

    @property
    def code(self) -> int | None:
        """The exit status that the output states."""
        found = _CODE.search(self.output or "")
        return None if found is None else int(found[1])


class OwnTests(NamedTuple):
    """The verdict of the tests that the agent ran last: at which step, by which command, and the line that says it."""

    passed: bool
    step: int
    command: str
    line: str


def cut(text: str, most: int) -> str:
    """A text of at most `most` characters (at least 80): the middle of a longer one is left out, and says so."""
    if len(text) <= most:
        return text
    mark = f"\n[... {len(text):,} characters, cut here to {most:,} ...]\n"
    head = (most - len(mark)) * 2 // 3
    tail = most - len(mark) - head
    return text[:head] + mark + text[len(text) - tail :]


def steps_of(run: AgentRun) -> list[RunStep]:
    """The tool calls of a run in order, each with what came back; a reply without calls is a step of its own.

    Calls that share what came back, as commands typed into one terminal, are one step.
    """
    return list(_steps(run.turns))


def _steps(turns: tuple[Message, ...]) -> Iterator[RunStep]:
    for place, turn in enumerate(turns):
        if turn.role != "assistant":
            continue
        results = []
        for later in turns[place + 1 :]:
            if later.role == "assistant":
                break
            results.append(later)
        named = {one.tool_call_id: one.text for one in results if one.tool_call_id}
        others = [one.text for one in results if not one.tool_call_id]
        if not turn.tool_calls or (len(turn.tool_calls) > 1 and not named and len(others) < len(turn.tool_calls)):
            names = dict.fromkeys(call.name for call in turn.tool_calls)
            commands = "\n".join(map(command_of, turn.tool_calls))
            yield RunStep(turn.text, ", ".join(names), commands, "\n".join(others) if others else None)
            continue
        coming, reply = iter(others), turn.text
        for call in turn.tool_calls:
            yield RunStep(reply, call.name, command_of(call), named.get(call.id) or next(coming, None))
            reply = ""


def command_of(call: ToolCall) -> str:
    """The command of a call of a shell, else its arguments as they were written."""
    try:
        told = json.loads(call.arguments)
    except (ValueError, RecursionError):
        return call.arguments
    if not isinstance(told, dict):
        return call.arguments
    found = next((told[name] for name in ("command", "cmd", "keystrokes", "code") if name in told), None)
    if isinstance(found, list):
        found = found[-1] if found else None
    return found if isinstance(found, str) else call.arguments


def own_tests(run: AgentRun) -> OwnTests | None:
    """The verdict of the last tests that the agent ran itself; `None` if it ran none whose verdict can be told.

    It is read from how common test runners end their output, and else from the exit status, unless that is of a pipe.
    The agent wrote or chose these tests, and its output can say anything: it is a claim of the run.
    """
    found = None
    for number, step in enumerate(steps_of(run), 1):
        bare = _HERE.sub("\n", step.command[:MOST_COMMAND])
        command = next((part for part in _NEXT.split(bare) if _TESTS.match(part)), None)
        if command is None or step.output is None:
            continue
        end = step.output[-MOST_OUTPUT:]
        failed, passed = _FAILED.search(end), _PASSED.search(end)
        if failed or passed:
            line = (failed or passed)[0].strip()  # type: ignore[index]
            found = OwnTests(not failed, number, command.strip(), line)
        elif step.code is not None and "|" not in bare.replace("||", ""):
            found = OwnTests(step.code == 0, number, command.strip(), f"exit status {step.code}")
    return found


def summary(sample: RecordedSample, most: int = MOST, told: str | None = None) -> str:
    """What a judge reads of a run, in at most `most` characters: the facts, the steps, and the result.

    `told` is a summary that a model wrote, in place of the steps. The verdict of the log is no part of it.
    """
    run = sample.run or AgentRun("", "")
    steps = steps_of(run)
    calls = sum(bool(step.name) for step in steps)
    facts = [f"{run.agent}: {len(steps)} steps, {calls} tool calls; ended: {run.ended or 'unknown'}."]
    tests = own_tests(run)
    if tests is None:
        facts.append("Its own tests: none whose verdict is known.")
    else:
        verdict = "passed" if tests.passed else "failed"
        told_by = f"{_line(tests.command, 80)}: {_line(tests.line, 80)}"
        facts.append(f"Its own tests: {verdict} at step {tests.step} of {len(steps)} ({told_by}).")
    head = "\n".join(facts)
    result = "Result:\n" + (sample.text.strip("\n") or "none")
    body = (
        "Summary:\n" + told
        if told is not None
        else "Steps:\n" + "\n".join(map(_shown, range(1, 1 + len(steps)), steps))
    )
    room = most - len(head) - 2
    result = cut(result, max(room // 2, room - len(body)))
    return "\n".join([head, cut(body, room - len(result)), result])


def _line(text: str, most: int) -> str:
    """A text in one line; the end of a longer one is left out, and says so."""
    flat = " ".join(text.split())
    return flat if len(flat) <= most else f"{flat[:most]} [...]"


def _shown(number: int, step: RunStep) -> str:
    """A step in a line: what was said and called, the exit status, and the end of what came back."""
    parts = [_line(step.reply, 160)] if step.reply.strip() else []
    if step.name:
        parts.append(f"{step.name}: {_line(step.command, 240)}")
    output = re.sub(r"</?(?:output|returncode)>", "", _CODE.sub("", step.output or "")).strip()
    status = "" if step.code is None else f"exit status {step.code}"
    last = f"ends in: {_line(output[-160:], 160)}" if output else "no output" if step.output is not None else ""
    back = ", ".join(filter(None, [status, last]))
    return f"{number}. " + " | ".join(parts) + (f" -> {back}" if back else "")
