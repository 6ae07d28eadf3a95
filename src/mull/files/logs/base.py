"""Shared code of the readers of other tools' logs: the parts of a log, JSON access, and errors."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mull.errors import FileFormatError
from mull.files.lines import json_error, json_fault
from mull.files.opening import whole_text
from mull.files.recording import RecordedSample, Recording, Settings
from mull.types import Finish, Message

CONVERT = (
    'convert it to lines of {"problem_id", "prompt", "answer", "samples": [{"text", "correct", "output_tokens"}]}, '
    "one line for each problem"
)
"""Advice for a log that cannot be read."""

FINISHES: Mapping[str, Finish] = {
    "stop": Finish.STOP,
    "eos": Finish.STOP,
    "endoftext": Finish.STOP,
    "length": Finish.LENGTH,
    "max_tokens": Finish.LENGTH,
    "model_length": Finish.LENGTH,
}
"""Names that servers and tools use for why a reply ended; any other name is unknown."""


@dataclass(frozen=True, slots=True)
class Log:
    """A tool's log: its problems with their draws, and notes on what was left out or chosen.

    The answer of a sample without one is read from its text; an empty answer means that the tool found none. `votes` is
    `False` if replies have no answers to compare, as with programs. `firsts` is, by group and problem, whether the
    first of several replies is correct, if the tool judged only that one. `ungraded` is what to do about a log that
    has neither verdicts nor right answers.
    """

    tool: str
    recordings: list[Recording]
    notes: list[str] = field(default_factory=list)
    votes: bool = True
    firsts: Mapping[tuple[str, str], bool] = field(default_factory=dict)
    ungraded: str = "import its samples with `mull bank import`, and grade them with `mull curves BANK.db --task TASK`"


@dataclass(slots=True)
class LoggedProblem:
    """A problem of a log while its draws are collected."""

    id: str
    prompt: str
    gold: str | None = None
    group: str = "unknown model"
    task: str | None = None
    line: int | None = None
    messages: tuple[Message, ...] = ()
    settings: Settings = field(default_factory=Settings)
    samples: list[RecordedSample] = field(default_factory=list)
    n_correct: int | None = None

    def recording(self) -> Recording:
        """The problem with its draws, in the form that all files of recorded samples share."""
        sweep = {} if self.task is None else {"task": self.task}
        return Recording(
            self.id,
            self.prompt,
            self.gold,
            tuple(self.samples),
            group=self.group,
            line=self.line,
            sweep=sweep,
            messages=self.messages,
            settings=self.settings,
            n_right=self.n_correct,
        )


def log_of(
    path: Path, tool: str, problems: Iterable[LoggedProblem], notes: Sequence[str] = (), *, votes: bool = True
) -> Log:
    """A log of the problems that have draws. Raises `FileFormatError` if none has."""
    recordings = [problem.recording() for problem in problems if problem.samples]
    if not recordings:
        raise FileFormatError(path, None, f"no samples in this {tool} log" + "".join(f"; {note}" for note in notes))
    return Log(tool, recordings, [f"{path.name}: {note}" for note in notes], votes)


def half(path: Path, line: int | None, tool: str, missing: str) -> FileFormatError:
    """The error for an incomplete log: names what is missing and how to convert the log."""
    return FileFormatError(path, line, f"looks like a log of {tool}, but {missing}; {CONVERT}")


def parsed(path: Path, text: str | bytes, what: str) -> Any:
    """Parses JSON. Raises `FileFormatError`, with `what` as the name of the text, if it is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        line = f"line {error.lineno}, " if isinstance(error, json.JSONDecodeError) else ""
        raise FileFormatError(path, None, f"{what} is not JSON: {line}{json_fault(error)}") from error


def loaded(path: Path) -> Any:
    """A file's JSON. Raises `FileFormatError`."""
    text = whole_text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise json_error(path, error, None) from error


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def whole(value: Any) -> int | None:
    """A count; `None` if the value is not one."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        return None
    return int(value)


def number(value: Any) -> float | None:
    """A finite number, or `None` for anything else; `true` and `false` are 1 and 0."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def as_text(value: Any) -> str | None:
    """An answer as text: whole numbers without a decimal point, lists and objects as JSON."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, ensure_ascii=False)


def met(gold: str | None, read: str | None) -> str | None:
    """The answer of a correct reply: the gold answer, since the tool holds them equal however the reply wrote it.

    If the gold answer is a whole solution, it is the answer that the tool read from the reply.
    """
    is_answer = gold is not None and "\n" not in gold and "####" not in gold and "\\boxed" not in gold
    return gold if is_answer else read


def content_text(content: Any) -> str:
    """The text of a message: its content, or the text parts of its content."""
    if isinstance(content, str):
        return content
    parts = []
    for part in items(content):
        kind = mapping(part).get("type")
        if isinstance(part, str):
            parts.append(part)
        elif isinstance(text := mapping(part).get("text"), str):
            parts.append(text)
        elif kind not in ("reasoning", "thinking"):
            parts.append(f"[{kind}]")
    return "\n".join(parts)


def messages_of(turns: Any) -> tuple[Message, ...]:
    """A conversation in the form of the chat APIs; a `developer` message is a system message."""
    found = []
    for turn in items(turns):
        role = str(mapping(turn).get("role", ""))
        found.append(Message("system" if role == "developer" else role, content_text(mapping(turn).get("content"))))
    return tuple(found)


def last_user(messages: Sequence[Message]) -> str:
    """The question: the last user message."""
    return next((m.text for m in reversed(messages) if m.role == "user"), "")


def settings_of(options: Mapping[str, Any]) -> Settings:
    """The sampling settings of a request, under the names of the OpenAI API and of most tools."""
    stop = options.get("stop", options.get("stop_seqs", options.get("stop_sequences", options.get("until"))))
    stops = (stop,) if isinstance(stop, str) else tuple(s for s in items(stop) if isinstance(s, str))
    most = next((options[name] for name in MOST_TOKENS if options.get(name) is not None), None)
    temperature = number(options.get("temperature"))
    if options.get("do_sample") is False:
        temperature = 0.0
    return Settings(temperature, whole(most), number(options.get("top_p")), whole(options.get("top_k")), stops or None)


MOST_TOKENS = ("max_tokens", "max_completion_tokens", "max_new_tokens", "max_gen_toks", "tokens_to_generate")


def verdict_note(n_partial: int, name: str, credits: Sequence[float] = ()) -> list[str]:
    """A note on draws with partial credit, and on the mean of all `credits` if they are known."""
    if not n_partial:
        return []
    mean = f"; the mean credit of all draws is {sum(credits) / len(credits):.3f}" if credits else ""
    return [f"{n_partial} draws have partial credit by {name} and count as wrong: only full credit is right{mean}"]
