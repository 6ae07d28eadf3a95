"""What is read out of replies as models write them; the replies of `data/replies.jsonl` are of our own."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from mull import AnswerKind
from mull.replies.answers import canonical, extract

HERE = Path(__file__).parents[1]
PAGE = HERE.parent / "docs" / "answers.md"
CASES = HERE.parents[1] / "shared" / "cases" / "answers.jsonl"
ROWS = [json.loads(line) for line in (HERE / "data" / "replies.jsonl").read_text(encoding="utf-8").splitlines()]
TABLE = re.findall(r"^\| (\w+) \| `(.+)` \| (?:`(.+)`|-) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def wrong(rows: list[dict[str, Any]], kind: AnswerKind) -> list[tuple[str, str | None, str | None]]:
    """The replies that are not read as they should be: with what was read, and what is right."""
    found = []
    for row in rows:
        if row["kind"] == kind:
            read = extract(row["reply"], kind)
            right = None if row["answer"] is None else canonical(row["answer"], kind)
            assert row["answer"] is None or right is not None, row
            if read != right:
                found.append((row["reply"], read, right))
    return found


@pytest.mark.parametrize("kind", ["number", "choice", "math", "text", "expression"])
def test_our_own_replies(kind: str) -> None:
    assert wrong(ROWS, AnswerKind(kind)) == []
    assert sum(row["kind"] == kind for row in ROWS) >= 2


@pytest.mark.skipif(not CASES.exists(), reason="../shared/cases is not here")
@pytest.mark.parametrize("kind", ["number", "choice", "math", "text"])
def test_the_shared_cases(kind: str) -> None:
    assert wrong([json.loads(line) for line in CASES.read_text(encoding="utf-8").splitlines()], AnswerKind(kind)) == []


@pytest.mark.parametrize(("kind", "reply", "answer"), TABLE)
def test_the_table_of_the_page(kind: str, reply: str, answer: str) -> None:
    read = extract(re.sub(r"\\n(?![a-z])", "\n", reply), AnswerKind(kind))
    assert read == (canonical(answer, AnswerKind(kind)) if answer else None)
    assert len(TABLE) >= 30
