"""Finds the columns of a table, by common names or as configured."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mull.errors import UnknownNameError, UsageError
from mull.files.tables import at
from mull.types import AnswerKind

IDS = ("problem_id", "id", "unique_id", "task_id", "question_id", "qid", "uid", "uuid", "doc_id", "index", "idx")
PROMPTS = ("prompt", "question", "problem", "query", "instruction", "input", "messages")
BESIDE = {"question": ("body", "context", "passage"), "instruction": ("input",)}
"""Columns that complete a prompt of this name: a question's context before it, an instruction's input after it."""
REPLIES = tuple(
    ("text response completion generation reply model_output generated_text model_response raw_output output").split()
)
"""Columns with one reply in each row."""
SAMPLE_LISTS = (
    "samples",
    "generations",
    "responses",
    "completions",
    "outputs",
    "replies",
    "candidates",
    "predictions",
    "texts",
)
"""Columns with a list of all replies to a problem."""
SAMPLES = (*SAMPLE_LISTS, *REPLIES)
GOLDS = tuple(
    (
        "gold gold_answer golden_answer ground_truth groundtruth correct_answer reference_answer expected_answer "
        "expected gt_answer gt gts answer_key answerkey answer_letter correct_option correct_choice answer_idx "
        "answer_index cop target label reference reward_model.ground_truth"
    ).split()
)
SOLUTIONS = ("solution",)
TEXTS = tuple(("text response completion generation reply output content message generated_text model_output").split())
"""Fields with the text of a reply, in an object that is an entry of a list of samples."""
ANSWERS = (
    "final_answer",
    "extracted_answer",
    "predicted_answer",
    "parsed_answer",
    "model_answer",
    "extracted",
    "prediction",
    "pred",
)
CORRECTS = ("correct", "is_correct", "passed", "is_right", "right")
SCORES = ("score", "rm_score", "reward", "verifier_score", "prm_score")
TOKENS = ("output_tokens", "completion_tokens", "n_tokens", "num_tokens")
LOGPROBS = ("logprob", "mean_logprob", "avg_logprob")
MODELS = ("model", "model_name", "model_id")
NATIVE = set(
    (
        "problem_id id prompt question samples text answer final_answer correct score rm_score output_tokens logprob "
        "model"
    ).split()
)
"""Column names that mull itself writes, which are not reported in notes."""
EXPORTED = {"key", "asked", "draw", "text"}
"""Columns that identify mull's own Parquet export, in which `answer` is the answer of the draw."""


KINDS = tuple(kind.value for kind in AnswerKind if kind is not AnswerKind.CODE)
EXACT, INCLUDES, REGEX = "exact", "includes", "regex:"
"""Ways to match a reply with its gold answer, besides reading the answer as its kind."""


@dataclass(frozen=True, kw_only=True)
class Named:
    """Names of columns, and the range of scores; `None`: the usual names, and values unchanged.

    `samples` is a column with one reply in each row, or with a list of a problem's replies (texts or objects). A name
    may be a dotted path into objects. `score_range` is the range of the file's scores, `LOW,HIGH`: scores are mapped to
    [0, 1], and scores outside the range count as missing.
    """

    id: str | None = None
    prompt: str | None = None
    samples: str | None = None
    gold: str | None = None
    correct: str | None = None
    answer: str | None = None
    score: str | None = None
    score_range: str | None = None

    def __post_init__(self) -> None:
        self.range  # noqa: B018 - an invalid range is refused before any file is read

    @property
    def range(self) -> tuple[float, float] | None:
        """The lowest and highest valid score."""
        if self.score_range is None:
            return None
        try:
            low, high = map(float, self.score_range.split(","))
        except ValueError:
            low, high = math.nan, math.nan
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise UsageError(f"--score-range takes two numbers LOW,HIGH, the lower one first, not {self.score_range!r}")
        return low, high

    @property
    def named(self) -> Mapping[str, str]:
        """The configured columns, by the part of a sample that they hold."""
        parts = ("id", "prompt", "samples", "gold", "correct", "answer", "score")
        return {part: name for part in parts if (name := getattr(self, part)) is not None}


@dataclass(frozen=True, kw_only=True)
class Layout(Named):
    """Names of columns, and how answers are read and compared.

    `kind` is that of all answers; `None`: each row's is told from its gold. `match` is `exact` (the answer as it is
    written, in normal form, is the gold), `includes` (the gold is in the reply) or `regex:PATTERN` (the first group of
    the last match in a reply is its answer, or the whole match), which `answer_pattern` names too.
    """

    answer_pattern: str | None = None
    kind: str | None = None
    match: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind is not None and self.kind not in KINDS:
            raise UnknownNameError("kind", self.kind, KINDS)
        if self.match is not None and self.match not in (EXACT, INCLUDES) and not self.match.startswith(REGEX):
            raise UnknownNameError("match", self.match, (EXACT, INCLUDES, f"{REGEX}PATTERN"))
        if self.match == EXACT and self.kind is not None:
            raise UsageError("--match exact compares answers as they are written: it takes no --kind")
        if self.match is not None and self.answer_pattern is not None:
            raise UsageError("--answer-pattern P is --match regex:P: give one of them")
        if self.pattern is not None:
            try:
                re.compile(self.pattern)
            except re.error as error:
                raise UsageError(f"{self.pattern!r} is not a regular expression: {error}") from error

    @property
    def pattern(self) -> str | None:
        """The regular expression that finds a reply's answer."""
        is_regex = self.match is not None and self.match.startswith(REGEX)
        return self.match.removeprefix(REGEX) if is_regex and self.match is not None else self.answer_pattern


@dataclass(frozen=True, slots=True)
class Columns:
    """The name of each column of a row in the file; `None`: it has none. `is_long`: each row has one reply."""

    is_long: bool
    id: str | None
    prompt: str | None
    context: str | None
    samples: str | None
    gold: str | None
    correct: str | None
    answer: str | None
    score: str | None
    tokens: str | None
    logprob: str | None
    model: str | None

    def unusual(self) -> list[str]:
        """Notes on columns whose names are not mull's own."""
        said = {
            "id": self.id,
            "prompt": self.prompt,
            "context": self.context,
            "samples": self.samples,
            "gold answer": self.gold,
            "verdict": self.correct,
            "sample's answer": self.answer,
            "score": self.score,
            "tokens": self.tokens,
            "model": self.model,
        }
        return [f"`{name}` as the {what}" for what, name in said.items() if name is not None and name not in NATIVE]


def columns_of(row: Mapping[str, Any], layout: Named) -> Columns:
    """The columns of a row: the configured ones, else for each part the first of the usual names that has a value."""
    named = layout.named
    by_name = {plain(name): name for name in reversed(list(row)) if row[name] is not None}
    taken = set(named.values())

    def usual(*names: str) -> str | None:
        for name in names:
            found = by_name.get(name)
            if found is None and "." in name and at(row, name) is not None:
                found = name
            if found is not None and found not in taken:
                return found
        return None

    def role(part: str, names: Sequence[str]) -> str | None:
        if part in named:
            return named[part] if at(row, named[part]) is not None else None
        return usual(*names)

    def take(part: str, names: Sequence[str]) -> str | None:
        name = role(part, names)
        if name is not None:
            taken.add(name)
        return name

    is_export = set(row) >= EXPORTED
    samples = take("samples", SAMPLES) or _empty_reply(row, named)
    is_long = samples is not None and _is_one_reply(samples, at(row, samples))
    samples = samples or _choices(row, taken)
    # In a row with one reply, `answer` is that reply's if another column is unambiguously the gold answer.
    golds = () if is_export else (*GOLDS, "answer", *SOLUTIONS) if is_long else ("answer", *GOLDS, *SOLUTIONS)
    gold = take("gold", golds)
    prompt = take("prompt", PROMPTS)
    beside = BESIDE.get(plain(prompt), ()) if prompt is not None and "prompt" not in named else ()
    correct, answer = role("correct", CORRECTS), role("answer", (*ANSWERS, "answer") if is_long else ANSWERS)
    is_graded = correct is not None and not isinstance(at(row, correct), list)
    if samples is None and is_graded and answer is None and "gold" not in named and gold is not None:
        answer, gold = gold, None  # the graded answer is the sample's
    if samples is None and gold is None and correct is None and "answer" not in named:
        gold, answer = answer, None  # without samples, the answer is the problem's gold
    return Columns(
        is_long,
        role("id", (*IDS, "key") if is_export else IDS),
        prompt,
        usual(*beside),
        samples,
        gold,
        correct,
        answer,
        role("score", SCORES),
        usual(*TOKENS),
        usual(*LOGPROBS),
        usual(*MODELS),
    )


def _choices(row: Mapping[str, Any], taken: set[str]) -> str | None:
    """`choices` if it is the reply of a chat API, not the options of a question."""
    found = row.get("choices")
    is_reply = isinstance(found, list) and bool(found) and all(isinstance(c, dict) and "message" in c for c in found)
    return "choices" if is_reply and "choices" not in taken else None


def _is_one_reply(name: str, value: Any) -> bool:
    """Whether a value is one reply rather than a list of them: a conversation ending with the model's turn is one."""
    if not isinstance(value, list):
        return True
    if plain(name) not in REPLIES:
        return False
    turns = [turn.get("role") for turn in value if isinstance(turn, dict) and "content" in turn]
    is_conversation = bool(turns) and len(turns) == len(value) and turns.count("assistant") == 1
    return is_conversation and turns[-1] == "assistant"


def _empty_reply(row: Mapping[str, Any], named: Mapping[str, str]) -> str | None:
    """The column for one reply in each row, present but empty in this row."""
    if "samples" in named:
        return named["samples"] if named["samples"] in row else None
    taken = set(named.values())
    return next((name for name in row if plain(name) in REPLIES and name not in taken), None)


def plain(name: str) -> str:
    """A column's name in lower case, with underscores."""
    return re.sub(r"[\s\-]+", "_", name.strip().lower())
