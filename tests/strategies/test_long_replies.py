"""Strategies read long replies outside the event loop, so that a model in a loop does not stop all other draws."""

import ast
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

import mull
from mull import Params, Problem, Prompt, Run, Sample, spec
from mull.replies.aside import MAX_IN_LOOP
from mull.testing import FakeJudge, FakeModel, FakeVerifier, solve
from mull.types import Draw

READERS = ("answer_of", "program_of", "extract", "classes_now")
LOOP = "Wait, let me check that again. "


@dataclass
class Repeats(FakeModel):
    """A model that repeats itself before each of its answers."""

    times: int = 1

    def _draw(self, prompt: Prompt, params: Params, draw: Draw) -> Sample:
        drawn = super()._draw(prompt, params, draw)
        return replace(drawn, text=LOOP * self.times + drawn.text)


@dataclass
class Letter:
    """What comes last, and in which thread it was read."""

    threads: set[int] = field(default_factory=set)
    value = "letter"

    def read(self, sample: Sample) -> str | None:
        self.threads.add(threading.get_ident())
        return sample.reply[-1:] or None

    def canonical(self, text: str) -> str | None:
        return text


@pytest.mark.parametrize(
    "text",
    [
        "single",
        "majority:n=4",
        "best:n=4",
        "best-of-majority:n=4,alpha=0.1",
        "until-pass:n=4",
        "adaptive:n=4,rule=beta",
        "tournament:n=4",
        "beam:n=4,width=2,pick=best",
        "step-bon:n=2",
        "force:wait=1",
        "probe-stop:k=2,chunk=3,probe=6,n_answer=4",
        "thinking-budget:tokens=4",
        "revise:n=4,chain=2",
    ],
)
@pytest.mark.parametrize("length", [200_000, 0])
def test_a_long_reply_is_read_outside_the_loop_and_a_short_one_in_it(text: str, length: int) -> None:
    kind = Letter()
    problem = Problem("loop", Prompt.user("Which letter?"), kind)
    model = Repeats(times=length // len(LOOP))
    run = Run(model, verifier=FakeVerifier(), judge=FakeJudge(), params=Params(max_tokens=64))
    solve(spec.strategy(text), run, problem)
    here = threading.get_ident()
    assert kind.threads if length else kind.threads == {here}
    assert not length or here not in kind.threads


def test_no_coroutine_reads_an_answer_or_a_program_itself() -> None:
    """`answers_of` and `programs_of` decide what leaves the loop; the functions that they call are for elsewhere."""
    assert MAX_IN_LOOP <= 10_000
    inside = []
    for path in Path(mull.__file__).parent.rglob("*.py"):
        text = path.read_text()
        if not any(f"{name}(" in text for name in READERS):
            continue
        for outer in ast.walk(ast.parse(text)):
            if isinstance(outer, ast.AsyncFunctionDef):
                inside += [f"{path.name}:{call.lineno}" for call in _calls(outer)]
    assert inside == []


def _calls(node: ast.AST) -> list[ast.Call]:
    """The calls of readers of one sample in a function, but for those in functions that it hands on."""
    found = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Lambda | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(child, ast.Call) and isinstance(child.func, ast.Name):
            found += [child] if child.func.id in READERS else []
        found += _calls(child)
    return found
