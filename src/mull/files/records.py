"""Converts rows of tables to recordings, and recordings to rows."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mull.errors import FileFormatError
from mull.files.columns import (
    ANSWERS,
    CORRECTS,
    LOGPROBS,
    PROMPTS,
    SAMPLE_LISTS,
    SCORES,
    TEXTS,
    TOKENS,
    Columns,
    Layout,
    Named,
    columns_of,
    plain,
)
from mull.files.gathering import Gathered
from mull.files.lines import ROW
from mull.files.opening import CutOffError
from mull.files.options import options_of, with_options
from mull.files.recording import RecordedSample, Recording
from mull.files.sound import sound
from mull.files.tables import Row, at, read_rows, suffix_of
from mull.files.values import about_of, counts_of, prompt_of, result_of, sample_of, samples_alike, text_of

PLAIN = Layout()
Check = Callable[[Recording], None]
"""What is called with the first problem of a table, before the others are read."""
PRINTED = re.compile(r"\[\s*['\"{].*['\"}]\s*\]\s*\Z", re.DOTALL)
"""Matches a list printed by Python, which is not JSON, in a cell of text."""


@dataclass(slots=True)
class Read:
    """The contents of a table, and notes on how it was read."""

    recordings: Sequence[Recording]
    notes: list[str] = field(default_factory=list)


def read_recordings(path: Path, group: str | None = None, layout: Named = PLAIN) -> Sequence[Recording]:
    """The problems of a table, for callers that ignore scores: invalid scores become `None`."""
    return read(path, group, layout, needs_scores=False).recordings


def read(
    path: Path,
    group: str | None = None,
    layout: Named = PLAIN,
    *,
    needs_scores: bool = True,
    check: Check = lambda _: None,
) -> Read:
    """The problems of a table, restricted to one `group` (the rows' `model`) if it is named.

    A row is a problem with a list of samples, one of a problem's samples, or a problem alone. It needs a prompt or an
    id. The whole file is read before anything is returned, so that a malformed line stops all work before any of it is
    paid for. A row that holds only `sweep` is not a problem: it describes the sweep that wrote the rows below it.
    Choices in columns of their own are appended to the prompt as lettered lines, and the gold answer becomes a letter.
    Raises `FileFormatError` naming the line.
    """
    return read_table(path, read_rows(path), group, layout, needs_scores=needs_scores, check=check)


def read_table(
    path: Path,
    rows: Iterable[Row],
    group: str | None = None,
    layout: Named = PLAIN,
    *,
    is_text: bool | None = None,
    needs_scores: bool = True,
    check: Check = lambda _: None,
) -> Read:
    """What `read` makes of the rows of a table, which messages call `path`.

    `is_text`: lists may be written as text in cells; by default that is so in CSV and TSV files.
    """
    table = _Table(path, layout, suffix_of(path) in (".csv", ".tsv") if is_text is None else is_text)
    is_checked = False
    try:
        for line, row in rows:
            table.add(line, row)
            if not is_checked and len(table.gathered):
                is_checked = True
                check(table.gathered.first())
    except CutOffError as error:
        if not len(table.gathered):
            raise
        table.notes.append(f"{error}: the {len(table.gathered):,} problems before it are read")
    return table.done(group, needs_scores=needs_scores)


class _Table:
    """A table while its rows are being combined."""

    def __init__(self, path: Path, layout: Named, is_text: bool) -> None:
        self.path, self.layout, self.is_text = path, layout, is_text
        self.lists = set(layout.named.values())
        self.sweep: dict[str, Any] = {}
        self.gathered = Gathered(path)
        self.first_lines: dict[tuple[str, str | None], int] = {}
        self.said: dict[str, None] = {}
        self.has: dict[str, None] = {}
        self.parts: dict[tuple[tuple[str, bool], ...], list[tuple[str, str]]] = {}
        self.columns: dict[tuple[tuple[str, bool], ...], Columns] = {}
        self.missing = dict(layout.named)
        self.notes: list[str] = []

    def add(self, line: int, row: dict[str, Any]) -> None:
        if set(row) == {"sweep"}:
            if not isinstance(row["sweep"], dict):
                raise FileFormatError(self.path, line, "`sweep` must be an object")
            self.sweep = row["sweep"]
            return
        if self.is_text:
            row = {name: self._unpacked(name, value) for name, value in row.items()}
        self.has.update(dict.fromkeys(row))
        for part, name in list(self.missing.items()):
            if at(row, name) is not None or _is_in_a_sample(row, name):
                del self.missing[part]
        columns = self._columns(row)
        self.said.update(dict.fromkeys(columns.unusual()))
        samples = None if columns.samples is None else at(row, columns.samples)
        is_long = columns.is_long or (columns.samples is None and self._is_answer_alone(row, columns))
        if samples is not None and columns.samples in SAMPLE_LISTS and not isinstance(samples, list | str):
            raise FileFormatError(self.path, line, f"`{columns.samples}` must be a list")
        if columns.samples in SAMPLE_LISTS and isinstance(samples, str) and PRINTED.match(samples):
            what = f"`{columns.samples}` is a list as Python prints it: write it as JSON, or one sample in each row"
            raise FileFormatError(self.path, line, what)
        recording = self._problem(line, row, columns, is_long=is_long)
        if is_long:
            parts = {part: at(row, name) for part in SAMPLE_PARTS if (name := getattr(columns, part)) is not None}
            self.gathered.add_sample(line, recording, sample_of(self.path, line, "", {**parts, "text": samples}))
            return
        if isinstance(samples, list):
            recording = replace(recording, samples=self._listed(line, row, columns, samples))
        elif (answers := self._beside("answer", row, columns)) is not None:
            recording = replace(recording, samples=self._listed(line, row, columns, [None] * len(at(row, answers))))
        self.gathered.add(line, recording)

    def _unpacked(self, name: str, value: Any) -> Any:
        """Decodes a text cell with a list or object if its column holds such values; a reply may only look like one."""
        holds_lists = name in self.lists or plain(name) in LISTS
        if not holds_lists or not isinstance(value, str) or not value.lstrip().startswith(("[", "{")):
            return value
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value

    def _columns(self, row: Mapping[str, Any]) -> Columns:
        """The columns of a row, determined once for rows with the same names and types."""
        if any(isinstance(value, list | dict) for value in row.values()):
            return columns_of(row, self.layout)
        kind = tuple((name, value is None) for name, value in row.items())
        if kind not in self.columns:
            self.columns[kind] = columns_of(row, self.layout)
        return self.columns[kind]

    @staticmethod
    def _is_answer_alone(row: Mapping[str, Any], columns: Columns) -> bool:
        """Whether a row has a sample's answer but not its text."""
        return columns.answer is not None and not isinstance(at(row, columns.answer), list)

    def _problem(self, line: int, row: dict[str, Any], columns: Columns, *, is_long: bool) -> Recording:
        prompt = None if columns.prompt is None else prompt_of(at(row, columns.prompt))
        if prompt is not None and columns.context is not None and isinstance(row[columns.context], str):
            about = row[columns.context]
            prompt = f"{prompt}\n{about}" if columns.context.lower() == "input" else f"{about}\n{prompt}"
        id = None if columns.id is None else text_of(at(row, columns.id))
        counts = counts_of(self.path, line, row)
        prompt = prompt if prompt is not None and prompt.strip() else id
        if prompt is None and counts is None:
            raise FileFormatError(self.path, line, _no_prompt(row, is_text=self.is_text))
        group = None if columns.model is None else text_of(at(row, columns.model))
        if id is None:
            id = f"line {self.first_lines.setdefault((prompt or '', group), line) if is_long else line}"
        options = [] if prompt is None else options_of(self.path, line, row, _taken(columns))
        if options and prompt is not None:
            prompt = with_options(prompt, options)
            self.gathered.options[id, group] = options
        outcomes = row.get("outcomes", {})
        if not isinstance(outcomes, dict):
            raise FileFormatError(self.path, line, "`outcomes` must be an object with one entry for each strategy")
        return Recording(
            id,
            prompt,
            self._gold(line, row, columns),
            results={name: result_of(self.path, line, name, outcome) for name, outcome in outcomes.items()},
            counts=counts,
            group=group,
            strategy=text_of(row.get("strategy")),
            line=line,
            about=about_of(self.path, line, row, self.sweep),
            sweep=self.sweep,
        )

    def _gold(self, line: int, row: Mapping[str, Any], columns: Columns) -> str | None:
        gold = None if columns.gold is None else at(row, columns.gold)
        if isinstance(gold, list):
            if len(gold) > 1:
                raise FileFormatError(self.path, line, f"`{columns.gold}` has {len(gold)} gold answers: give one")
            gold = gold[0] if gold else None
        return text_of(gold)

    @staticmethod
    def _beside(part: str, row: Mapping[str, Any], columns: Columns) -> str | None:
        """The list column that holds this part for each of a problem's samples."""
        names = (getattr(columns, part), *PLURALS.get(part, ()))
        others = (columns.gold, columns.samples, None)
        return next((name for name in names if name not in others and isinstance(at(row, name), list)), None)

    def _listed(
        self, line: int, row: Mapping[str, Any], columns: Columns, samples: Sequence[Any]
    ) -> Sequence[RecordedSample]:
        """The samples of a list: objects, or texts with other parts in list columns of the same length."""
        beside: dict[str, list[Any]] = {}
        for part in SAMPLE_PARTS:
            name = self._beside(part, row, columns)
            if name is not None:
                beside[part] = at(row, name)
                if len(beside[part]) != len(samples):
                    what = f"`{name}` has {len(beside[part])} entries for {len(samples)} samples"
                    raise FileFormatError(self.path, line, what)
        if not beside and (alike := samples_alike(samples, self._parts)) is not None:
            return alike
        found = []
        for place, sample in enumerate(samples):
            parts = {part: values[place] for part, values in beside.items()}
            if isinstance(sample, dict):
                parts |= self._inside(sample)
                if "text" not in parts and "answer" not in parts:
                    raise FileFormatError(self.path, line, f"sample {place} has neither `text` nor `final_answer`")
            else:
                if sample is None and columns.samples is not None and parts.get("correct", parts.get("answer")) is None:
                    what = f"sample {place} is null, which is neither right nor wrong: leave it out, or give its text"
                    raise FileFormatError(self.path, line, what)
                parts["text"] = sample
            found.append(sample_of(self.path, line, f"sample {place}: ", parts))
        return tuple(found)

    def _inside(self, sample: Mapping[str, Any]) -> dict[str, Any]:
        """The parts of a sample given as an object, by name."""
        kind = tuple((name, value is None) for name, value in sample.items())
        if kind not in self.parts:
            self.parts[kind] = self._parts(sample)
        return {part: at(sample, name) for part, name in self.parts[kind]}

    def _parts(self, sample: Mapping[str, Any]) -> list[tuple[str, str]]:
        """The field names of the sample's parts in an object: those with a value, or else the first that is present."""
        named = self.layout.named
        found = []
        for part, names in INSIDE.items():
            wanted = (named[part],) if part in named else names
            chosen = next((name for name in wanted if at(sample, name) is not None or "." in name), None)
            chosen = chosen or next((name for name in wanted if name in sample), None)
            if chosen is not None:
                found.append((part, chosen))
        return found

    def done(self, group: str | None, *, needs_scores: bool) -> Read:
        if "id" not in self.layout.named and self.gathered.put_together():
            self.said["rows of one prompt as samples of one problem"] = None
        recordings, counted = self.gathered.done(group)
        if not recordings:
            raise FileFormatError(self.path, None, f"no problems in it: write one a line, like {ROW}")
        for part, name in self.missing.items():
            near = difflib.get_close_matches(name, list(self.has), n=1, cutoff=0.7)
            hint = f"did you mean {near[0]!r}? It" if near else "it"
            if part == "samples" and name.isdigit():
                hint = f"a number of draws is an option of a strategy, as in -s majority:n={name}; the file"
            raise FileFormatError(self.path, None, f"no column {name!r} for --{part}: {hint} has {', '.join(self.has)}")
        notes = [*self.notes, *([f"{self.path.name}: read {', '.join(self.said)}"] if self.said else [])]
        recordings, faults = sound(self.path, recordings, self.layout, needs_scores=needs_scores)
        return Read(recordings, notes + counted + faults)


def _taken(columns: Columns) -> set[str | None]:
    """The columns that hold something else than choices."""
    return {columns.id, columns.prompt, columns.context, columns.samples, columns.gold, columns.answer, columns.model}


COUNTED = "n_samples and n_correct, beside the problem_id"
"""The columns of a table of counts, for messages."""


def _no_prompt(row: Mapping[str, Any], *, is_text: bool) -> str:
    """The message for a row without a prompt: the empty cell, or the columns and the one with the longest text."""
    if empty := [name for name in row if plain(name) in PROMPTS]:
        return f"no prompt: `{empty[0]}` is empty: fill it in, or leave the row out"
    has = ", ".join(map(str, row)) or "nothing"
    if is_text and any(re.search(r"\?\s*\Z|\A\s*[\d.]+\s*\Z", name) for name in row):
        return (
            f"no prompt: line 1 is the header, and it is {has}: write the names of the columns above, question,answer"
        )
    words = [str(value) for value in row.values()]
    if sum(word.isdigit() for word in words) > 1 and not any(" " in word for word in words):
        return f"no prompt and no counts: it has {has}; counts are in the columns {COUNTED}"
    texts = {name: len(value) for name, value in row.items() if isinstance(value, str)}
    likely = max(texts, key=lambda name: texts[name], default=None)
    told = "" if likely is None else f", as in --prompt {likely}, whose text is the longest"
    return f"no prompt: it has {has}; name the prompt's column{told} (and the gold's with --gold)"


SAMPLE_PARTS = ("answer", "correct", "score", "tokens", "logprob")
PLURALS = {
    "answer": ("final_answers", "extracted_answers", "predicted_answers", "answers", "predictions", "preds"),
    "correct": ("corrects", "is_corrects", "correctness"),
    "score": ("scores", "rm_scores", "rewards"),
}
"""List columns that accompany a list of samples."""
LISTS = {*SAMPLE_LISTS, "messages", "outcomes", *(name for names in PLURALS.values() for name in names)}
INSIDE = {
    "text": TEXTS,
    "answer": ANSWERS,
    "correct": CORRECTS,
    "score": SCORES,
    "tokens": TOKENS,
    "logprob": LOGPROBS,
}


def _is_in_a_sample(row: Mapping[str, Any], name: str) -> bool:
    lists = (value for value in row.values() if isinstance(value, list))
    return any(isinstance(entry, dict) and at(entry, name) is not None for entries in lists for entry in entries)


def row_of(recording: Recording) -> dict[str, Any]:
    """A graded recording as a row that `read` can read."""
    return {
        "problem_id": recording.id,
        "prompt": recording.prompt,
        "model": recording.group,
        "strategy": recording.strategy,
        **({} if recording.gold is None else {"answer": recording.gold}),
        "samples": [
            {
                "text": sample.text,
                "final_answer": answer,
                "correct": sample.correct,
                "score": sample.score,
                "output_tokens": sample.output_tokens,
                "logprob": None if sample.logprob is None else round(sample.logprob, 5),
            }
            for sample, answer in zip(recording.samples, recording.answers, strict=True)
        ],
        "outcomes": {name: asdict(result) for name, result in recording.results.items()},
    }
