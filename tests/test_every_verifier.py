"""The laws that every verifier and every judge of the tables must keep: see `mull.testing`.

Those behind a server ask the local one of the tests, those that are a language model a fake one.
"""

import importlib.util
import math
import random
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from mull import Draw, Finish, Params, Problem, Prompt, Sample, spec, testing
from mull.runtime import WEIGHTS
from mull.types import Pair, Purse
from mull.verifiers.combine import Isotonic, LabelModel
from mull.verifiers.fitted import text_of
from mull.verifiers.trained import NanoORM, NanoPRM
from score_server import Fake, serving


@dataclass
class Judge(testing.FakeModel):
    """A language model that has an opinion of what it is shown, decided by the text and its seed; dead, it fails."""

    async def sample(
        self, prompt: Prompt, params: Params, draws: Sequence[Draw], purse: Purse
    ) -> AsyncGenerator[Sample, None]:
        first, second = ("A", "B") if "A/B" in prompt.question else ("Yes", "No")
        async for sample in super().sample(prompt, params, draws, purse):
            p = random.Random(f"{prompt}/{sample.seed}").random()
            text = f"Is it so ({first}/{second})? {first if p > 0.5 else second}"
            if "0 (worst)" in prompt.question:
                first, second = "8", "2"
                text = f"Rating (0-9): {first if p > 0.5 else second}"
            tops = (((first, math.log(p)), (second, math.log(1 - p))),)
            yield replace(sample, text=text, finish=Finish.STOP, alternatives=tops)


CHAIN = "a:7;b:a*6;c:b-10;d:c+5;d?"
SOLVED = "<think>\nd:c:b:a:7\nb:a*6=7*6=42\nc:b-10=42-10=32\nd:c+5=32+5=37\n</think>\nanswer: 37"
CHAINS = (CHAIN, {}, (SOLVED, SOLVED.replace("37", "38"), SOLVED[:30], "nothing of the kind"))
WORDS = "What is 2 + 3 * 4?"
SUMS = (
    WORDS, {},
    ("Multiply, right: 12.\n\nThen add, right: 14.", "wrong\n\nwrong: 20.", "14", "It is right.\n\nNo, it is wrong."),
)  # fmt: skip
REACH = ("reach 11 with 3 10 2", {}, ("answer: (10+3)-2", "answer: 10+3", "answer: 10+", "answer: 2+10-3+2"))
PROGRAMS = (
    "Add.", {"entry_point": "add", "tests": ["assert add(1, 2) == 3"]},
    ("def add(a, b):\n    return a + b", "```python\ndef add(a, b):\n    return a - b\n```", "I cannot."),
)  # fmt: skip
CLAIMS = ("s SATISFIABLE\nv 2 0", "s SATISFIABLE\nv 1 0", "s UNKNOWN", "s UNSATISFIABLE\n0")
FORMULA = "(declare-const x Int)\n(assert (> (* x x) 20))\n"
AT = "model=m,base_url=URL,patience=0,usd_per_mtok=1,active_params=1e9"

VERIFIERS: dict[str, tuple[str, tuple[str, dict[str, Any], Sequence[str]]]] = {
    "countdown": ("countdown", REACH),
    "nano-prm": ("nano-prm", CHAINS),
    "nano-orm": ("nano-orm", CHAINS),
    "trained": (f"trained:folder={WEIGHTS / 'nano-prm'},fold=min", CHAINS),
    "tests": ("tests", PROGRAMS),
    "prm": (f"prm:{AT},preset=qwen-math-prm", SUMS),
    "prm, turns": (f"prm:{AT},preset=rlhflow-prm", SUMS),
    "prm, sglang": (f"prm:{AT},preset=qwen-math-prm,server=sglang-score", SUMS),
    "orm": (f"orm:{AT},preset=qwen-math-rm", SUMS),
    "genrm": ("genrm:model=judge", SUMS),
    "genrm, rationales": ("genrm:model=judge,k=3,max_tokens=9", SUMS),
    "genprm": ("genprm:model=judge,max_tokens=9", SUMS),
    "genprm, one word": ("genprm:model=judge,k=0,fold=prod", SUMS),
    "rating": ("rating:model=judge", SUMS),
    "rating, rationales": ("rating:model=judge,k=2,max_tokens=9,criteria=(Is it right?,Is it clear?)", SUMS),
    "decisions": (f"decisions:{AT}", SUMS),
    "decisions, sglang": (f"decisions:{AT},server=sglang", SUMS),
    "coq": (
        "coq", ("Prove it.", {"theorem": "forall n : nat, n = n"}, ("reflexivity.", "intros n. discriminate.")),
    ),
    "combined": ("combined:of=((nano-orm),(nano-prm)),file=combined.json", CHAINS),
    "calibrated": ("calibrated:of=(nano-orm),file=calibrated.json", CHAINS),
    "lean": ("lean", ("Prove it.", {"theorem": "∀ n : Nat, n = n"}, ("by intro n; rfl", "by intro n; contradiction"))),
    "sat": ("sat", ("Is it?", {"cnf": "p cnf 2 2\n1 2 0\n-1 2 0\n"}, CLAIMS)),
    "smt": ("smt", ("Is it?", {"smtlib": FORMULA}, ("sat\n((x 5))", "sat\n((x 4))", "unsat", "I do not know"))),
}  # fmt: skip
JUDGES: dict[str, tuple[str, tuple[str, dict[str, Any], Sequence[str]]]] = {
    "scores": ("scores:verifier=countdown", REACH),
    "scores, of a reward model": ("scores:verifier=nano-orm", CHAINS),
    "scores, of a language model": ("scores:verifier=(genrm:model=judge,k=2,max_tokens=9)", SUMS),
    "scores, of ratings": ("scores:verifier=(rating:model=judge)", SUMS),
    "pairwise": ("pairwise:model=judge", SUMS),
    "pairwise, rationales": ("pairwise:model=judge,k=2,max_tokens=9", SUMS),
    "decisions": (f"decisions:{AT}", SUMS),
    "decisions, sglang": (f"decisions:{AT},server=sglang", SUMS),
}
MISSING = {
    "tests": shutil.which("bwrap") is None,
    "coq": None in (shutil.which("bwrap"), shutil.which("coqc")),
    "lean": None in (shutil.which("bwrap"), shutil.which("lean")),
    "smt": shutil.which("bwrap") is None or importlib.util.find_spec("z3") is None,
}
"""What is not on this machine."""
ROWS = [*(f"verifier {name}" for name in VERIFIERS), *(f"judge {name}" for name in JUDGES)]


def row_of(row: str) -> tuple[str, tuple[str, dict[str, Any], Sequence[str]]]:
    kind, _, name = row.partition(" ")
    return (VERIFIERS if kind == "verifier" else JUDGES)[name]


def asks(row: str) -> bool:
    """Whether it asks a server or a language model."""
    return "URL" in row_of(row)[0] or "model=judge" in row_of(row)[0]


@dataclass
class Case:
    """A verifier with samples, or a judge with pairs; `server` and `model` are what it asks."""

    judging: Any
    problem: Problem
    items: list[Any]
    server: Fake
    model: Judge

    async def fail(self) -> None:
        """Whatever it asks fails from now on."""
        self.server.trouble = lambda path, body: web.Response(status=400, text="it fell over")
        self.model.dies_after = 0


@pytest.fixture(autouse=True)
def fitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of the verifiers that are fitted."""
    monkeypatch.chdir(tmp_path)
    model = LabelModel((0.5, 0.4), (0.9, 0.8), (0.1, 0.3), (1.0, 0.5), 0.4)
    Path("combined.json").write_text(text_of("combined", (NanoORM(), NanoPRM()), model))
    Path("calibrated.json").write_text(text_of("calibrated", (NanoORM(),), Isotonic((0.0, 0.5), (0.1, 0.8))))


@pytest.fixture(params=ROWS)
async def case(request: pytest.FixtureRequest) -> AsyncIterator[Case]:
    async with made(request.param) as case:
        yield case


@pytest.fixture(params=[row for row in ROWS if asks(row)])
async def asking(request: pytest.FixtureRequest) -> AsyncIterator[Case]:
    """Those that ask a server or a language model, which can fail."""
    async with made(request.param) as case:
        yield case


@asynccontextmanager
async def made(row: str) -> AsyncIterator[Case]:
    """The verifier or judge of a row, with what it asks."""
    kind, _, name = row.partition(" ")
    if MISSING.get(name):
        pytest.skip(f"what {name} needs is not installed")
    table = spec.VERIFIERS if kind == "verifier" else spec.JUDGES
    text, (question, given, replies) = row_of(row)
    problem = Problem("p", Prompt.user(question), given=given)
    samples = [Sample(problem.prompt, reply, Finish.STOP, draw=i) for i, reply in enumerate(replies)]
    server, model = Fake(n_labels=1 if name == "orm" else 2), Judge()
    server.say = lambda messages: [("+", math.log(0.8)), ("-", math.log(0.2))]
    server.decide = lambda text, question: random.Random(text).random()
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serving(server)) if "URL" in text else ""
        judging = spec.build(kind, table, text.replace("URL", url), models=lambda name: model)
        items = samples if kind == "verifier" else [Pair(*both) for both in pairwise([*samples, samples[0]])]
        yield Case(judging, problem, items, server, model)


def test_every_verifier_and_judge_of_the_tables_is_here() -> None:
    assert {name.partition(",")[0] for name in VERIFIERS} == set(spec.VERIFIERS)
    assert {name.partition(",")[0] for name in JUDGES} == set(spec.JUDGES)


async def test_hostile_replies_raise_nothing_and_have_sane_verdicts(case: Case) -> None:
    await testing.check_hostile(case.judging, case.problem)


async def test_verdicts_are_in_order(case: Case) -> None:
    await testing.check_order(case.judging, case.problem, case.items)


async def test_what_is_banked_does_not_depend_on_what_else_was_asked(case: Case) -> None:
    await testing.check_alone(case.judging, case.problem, case.items)


async def test_equal_replies_are_scored_once(case: Case) -> None:
    if isinstance(case.items[0], Sample):
        await testing.check_twins(case.judging, case.problem, case.items)


async def test_a_quote_is_an_upper_bound(case: Case) -> None:
    await testing.check_bound(case.judging, case.problem, case.items)


async def test_no_ceiling_is_exceeded(case: Case) -> None:
    await testing.check_judging_ceilings(case.judging, case.problem, case.items)


async def test_no_ceiling_is_exceeded_where_what_it_asks_fails(asking: Case) -> None:
    await asking.fail()
    await testing.check_judging_ceilings(asking.judging, asking.problem, asking.items)


async def test_what_failed_is_unknown(asking: Case) -> None:
    await asking.fail()
    await testing.check_unknown(asking.judging, asking.problem, asking.items)


async def test_a_replay_costs_nothing(case: Case) -> None:
    await testing.check_judging_replay(case.judging, case.problem, case.items)


async def test_half_of_it_is_resumed(case: Case) -> None:
    await testing.check_judging_resume(case.judging, case.problem, case.items)
