"""inspect_ai's eval logs, `.eval` (a zip archive) and `.json`, in the format of releases since 0.3.41.

A sample's epochs are the draws of its question.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mull.errors import FileFormatError
from mull.files.logs import archive, base, inspect_runs
from mull.files.logs.base import Log, LoggedProblem
from mull.files.recording import RecordedSample, Settings
from mull.types import Finish, Message

TOOL = "inspect_ai"
VERSIONS = (2,)
"""The log's own `version`; 2 from 0.3.41 to at least 0.3.285."""
LETTERS: Mapping[str, float] = {
    "C": 1.0,
    "P": 0.5,
    "I": 0.0,
    "N": 0.0,
    "yes": 1.0,
    "true": 1.0,
    "no": 0.0,
    "false": 0.0,
}
"""inspect_ai's letters (correct, partly, incorrect, no answer) and words, with the credit that it gives for each."""
USUAL = ("correct", "accuracy", "acc", "score")
"""If a scorer gives several values, the one with one of these names is the verdict."""


def read(path: Path, log: Any = None) -> Log:
    """An inspect_ai log: each sample's epochs are its draws, graded by the first scorer.

    A draw is correct if it has full credit, as in inspect_ai's own `pass_at`; NaN means that it was not scored. Raises
    `FileFormatError` for a log of an unknown version, a broken member, or a score of unknown scale.
    """
    if path.suffix != ".eval":
        log = base.loaded(path) if log is None else log
        return _InspectReader(path, _header(path, log)).read(iter(base.items(log.get("samples"))))
    with archive.opened(path, "an inspect_ai log") as zipped:
        names = [name for name in zipped.names() if name.startswith("samples/") and name.endswith(".json")]
        if "header.json" not in zipped.names():
            raise FileFormatError(path, None, _cut_off(names))
        header = _header(path, base.parsed(path, zipped.read("header.json"), "header.json"))
        samples = (base.parsed(path, zipped.read(name), name) for name in names)
        reader = _InspectReader(path, header)
        reader.n_repeated = zipped.n_repeated
        return reader.read(samples)


def _cut_off(names: list[str]) -> str:
    if names:
        return f"no header.json beside its {len(names)} samples: the evaluation was cut off"
    return "no header.json in it: this is not an inspect_ai log"


def _header(path: Path, header: Any) -> Mapping[str, Any]:
    version = base.mapping(header).get("version")
    if version not in VERSIONS or not isinstance(header.get("eval"), dict):
        known = ", ".join(map(str, VERSIONS))
        raise FileFormatError(path, None, f"an inspect_ai log of version {version!r} is unknown; known: {known}")
    for name in ("model", "task"):
        if name not in header["eval"]:
            raise base.half(path, None, TOOL, f"`eval` has no `{name}`")
    return dict(header)


@dataclass(slots=True)
class _Kept:
    """The parts of a sample that are kept while the others are read."""

    row: Mapping[str, Any]
    draw: RecordedSample | None
    value: float | None = None
    is_whole: bool = False


@dataclass
class _InspectReader:
    path: Path
    header: Mapping[str, Any]
    n_repeated: int = 0
    scorer: str | None = None
    others: dict[str, None] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    part: str | int | None = None
    parts: dict[str, None] = field(default_factory=dict)
    error: str = ""

    def read(self, samples: Iterator[Any]) -> Log:
        model, task = str(self.header["eval"]["model"]), str(self.header["eval"]["task"])
        self.scorer = self._first_scorer()
        kept: dict[tuple[str, int], _Kept] = {}
        for place, sample in enumerate(samples):
            if not isinstance(sample, dict):
                raise FileFormatError(self.path, None, f"sample {place} is not an object")
            for name in ("id", "epoch", "input"):
                if name not in sample:
                    what = f"an inspect_ai log without the field {name!r} (sample {place})"
                    raise FileFormatError(self.path, None, what)
            key = str(sample["id"]), base.whole(sample["epoch"]) or 0
            self.n_repeated += key in kept
            kept[key] = self._kept(sample)
        settings = self._settings()
        problems: dict[str, LoggedProblem] = {}
        for (id, _), one in sorted(kept.items()):
            problem = problems.get(id)
            if problem is None:
                prompt = _prompt(one.row)
                problem = problems[id] = LoggedProblem(id, prompt, _gold(one.row), model, task, settings=settings)
                problem.messages = self._asked(one.row, prompt)
            if one.draw is not None:
                problem.samples.append(one.draw)
        if not kept and base.items(self.header.get("reductions")):
            raise base.half(self.path, None, TOOL, "it was saved without samples (log_samples=False)")
        return base.log_of(self.path, TOOL, problems.values(), self._notes(kept))

    def _first_scorer(self) -> str | None:
        """The scorer that the log lists first; releases before 0.3.53 list them only in the results."""
        names = [base.mapping(s).get("name") for s in base.items(self.header["eval"].get("scorers"))]
        results = base.items(base.mapping(self.header.get("results")).get("scores"))
        names += [base.mapping(s).get("scorer") or base.mapping(s).get("name") for s in results]
        return next((str(name) for name in names if name), None)

    def _kept(self, sample: Mapping[str, Any]) -> _Kept:
        light = {n: sample[n] for n in ("id", "epoch", "input", "target", "messages", "attachments") if n in sample}
        scores = base.mapping(sample.get("scores"))
        if not scores:
            failure = sample.get("error")
            draw = None if failure else self._draw(sample, {}, None)
            if draw is not None and draw.run is not None:
                return _Kept(light, draw)
            self.counts["failed" if failure else "not graded"] += 1
            if failure and not self.error:
                self.error = str(base.mapping(failure).get("message", failure))[:200]
            return _Kept(light, None)
        if self.scorer is None:
            self.scorer = next(iter(scores))
        self.others.update(dict.fromkeys(name for name in scores if name != self.scorer))
        if self.scorer not in scores:
            self.counts["not graded"] += 1
            return _Kept(light, None)
        score = base.mapping(scores[self.scorer])
        where = f"sample {sample['id']!r}, epoch {sample['epoch']}"
        value = self._credit(where, score.get("value"))
        if value is None:
            self.counts["not scored (NaN or null)"] += 1
            return _Kept(light, None)
        return _Kept(light, self._draw(sample, score, value >= 1), value)

    def _credit(self, where: str, value: Any) -> float | None:
        """The credit of a score, from 0 to 1; `None` if the scorer gave none."""
        if isinstance(value, dict):
            self.parts.update(dict.fromkeys(value))
            if self.part is None:
                usual = [name for name in USUAL if name in value]
                self.part = usual[0] if usual else next(iter(value), None)
            value = value.get(self.part) if isinstance(self.part, str) else None
        elif isinstance(value, list):
            self.parts.update(dict.fromkeys(map(str, range(len(value)))))
            self.part = "0"
            value = value[0] if value else None
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return None
        if isinstance(value, str):
            found = LETTERS.get(value, LETTERS.get(value.strip().lower()))
            if found is None:
                try:
                    found = float(value)
                except ValueError:
                    found = None
            credit = found
        else:
            credit = base.number(value)
        if credit is None or not 0 <= credit <= 1:
            raise FileFormatError(
                self.path,
                None,
                f"{where}: the score {value!r} of {self.scorer!r} is neither right nor wrong, nor a credit from 0 "
                f"to 1: which scores are right is not in the log; {base.CONVERT}",
            )
        return credit

    def _draw(self, sample: Mapping[str, Any], score: Mapping[str, Any], is_right: bool | None) -> RecordedSample:
        output = base.mapping(sample.get("output"))
        choice = base.mapping(next(iter(base.items(output.get("choices"))), None))
        content = base.mapping(choice.get("message")).get("content", "")
        completion = output.get("completion")
        text = _attached(sample, completion if isinstance(completion, str) else base.content_text(content))
        answer = base.as_text(score.get("answer"))
        answer = None if answer is None else _attached(sample, answer)
        if answer is not None and answer.strip().casefold() == text.strip().casefold():
            answer = None  # some scorers record the whole reply, which is not an answer
            self.counts["whole"] += 1
        if is_right:
            answer = _met(sample.get("target"), text, answer)
        tokens = base.whole(base.mapping(output.get("usage")).get("output_tokens"))
        finish = base.FINISHES.get(str(choice.get("stop_reason")))
        run = inspect_runs.run_of(sample, lambda text: _attached(sample, text))
        if run is not None:
            tokens = inspect_runs.tokens_of(sample, str(self.header["eval"]["model"]))
            finish = Finish.LENGTH if sample.get("limit") else Finish.STOP
        return RecordedSample(text, answer, is_right, None, tokens, None, finish, _reasoning(content), run)

    def _settings(self) -> Settings:
        of_model = base.mapping(self.header["eval"].get("model_generate_config"))
        of_task = base.mapping(base.mapping(self.header.get("plan")).get("config"))
        return base.settings_of({**of_model, **{name: value for name, value in of_task.items() if value is not None}})

    def _asked(self, sample: Mapping[str, Any], prompt: str) -> tuple[Message, ...]:
        """The conversation before the only reply; if there are several replies, just the question."""
        turns = base.messages_of(sample.get("messages"))
        turns = tuple(Message(turn.role, _attached(sample, turn.text)) for turn in turns)
        sources = [base.mapping(turn).get("source") for turn in base.items(sample.get("messages"))]
        replies = [i for i, source in enumerate(sources) if source == "generate" and turns[i].role == "assistant"]
        if len(replies) == 1 and all(turn.role in ("system", "user", "assistant") for turn in turns[: replies[0]]):
            asked = turns[: replies[0]]
        else:
            self.counts["several turns"] += len(replies) > 1
            asked = (Message("user", prompt),)
        system = base.mapping(base.mapping(self.header.get("plan")).get("config")).get("system_message")
        if isinstance(system, str) and not any(turn.role == "system" for turn in asked):
            asked = (Message("system", system), *asked)
        return asked

    def _notes(self, kept: Mapping[Any, _Kept]) -> list[str]:
        notes = []
        if n := self.counts["failed"]:
            notes.append(f"{n} samples failed and are left out; the first because: {self.error}")
        if n := self.counts["not graded"]:
            notes.append(f"{n} samples were not graded and are left out")
        if n := self.counts["not scored (NaN or null)"]:
            notes.append(f"{n} samples are not scored by {self.scorer} (NaN or null) and are left out")
        if self.n_repeated:
            notes.append(f"{self.n_repeated} samples are there twice; the last of each is used")
        if self.others:
            notes.append(f"graded by {self.scorer}; not used: {', '.join(sorted(self.others))}")
        if len(self.parts) > 1:
            others = ", ".join(name for name in self.parts if name != self.part)
            notes.append(f"of the values of {self.scorer}, {self.part!r} is the verdict; not used: {others}")
        credits = [one.value for one in kept.values() if one.draw is not None and one.value is not None]
        notes += base.verdict_note(sum(0 < credit < 1 for credit in credits), str(self.scorer), credits)
        if n := self.counts["whole"]:
            notes.append(
                f"{self.scorer} compares whole replies, in {n} of {len(kept)} samples: a right one has its target as "
                "answer, and a wrong one's answer is read from its text"
            )
        if n := self.counts["several turns"]:
            notes.append(f"{n} questions were answered over several turns; the last reply is used")
        return notes


def _met(target: Any, text: str, answer: str | None) -> str | None:
    """The answer of a correct reply: replies that the scorer holds equal have one answer, however they are written.

    That is the target if there is only one; else the answer that the scorer read, or the target that the reply
    contains.
    """
    found = map(base.as_text, target if isinstance(target, list) else [target])
    targets = [one for one in found if one is not None]
    if len(targets) == 1:
        return base.met(targets[0], answer)
    held = [one for one in targets if one.strip() and one.strip().casefold() in text.casefold()]
    return max(held, key=len, default=None) if answer is None else answer


def _gold(sample: Mapping[str, Any]) -> str | None:
    target = sample.get("target")
    texts = [t for t in map(base.as_text, target if isinstance(target, list) else [target]) if t is not None]
    return ", ".join(texts) or None


def _prompt(sample: Mapping[str, Any]) -> str:
    asked = sample["input"]
    text = asked if isinstance(asked, str) else base.last_user(base.messages_of(asked))
    return _attached(sample, text)


def _reasoning(content: Any) -> str | None:
    parts = [base.mapping(part) for part in base.items(content)]
    thoughts = [str(part.get("reasoning", "")) for part in parts if part.get("type") == "reasoning"]
    return "\n".join(thoughts) or None


def _attached(sample: Mapping[str, Any], text: str) -> str:
    """The text itself, if the log stores it separately under its digest."""
    aside = base.mapping(sample.get("attachments"))
    return re.sub(r"attachment://(\w+)", lambda m: str(aside.get(m[1], m[0])), text) if aside else text
