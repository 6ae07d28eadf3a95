"""A strategy, a verifier, a model and a task of a package outside the project, by entry point and by import path."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Mull = Callable[..., Any]

EXTRAS = '''
"""Things for mull that no file of mull knows of."""

import itertools
from dataclasses import dataclass

from mull import AnswerKind, Cost, Finish, Grade, Outcome, Problem, Prompt, Sample
from mull.replies.answers import answer_of
from mull.types import NO_NEEDS, Need, Scaling, Score, Selection


@dataclass(frozen=True)
class Last:
    """The last of n draws that the verifier passes, or the last."""

    needs, draws, selects = frozenset({Need.VERIFIER}), Scaling.PARALLEL, Selection.SCORES

    n: int = 2

    async def __call__(self, problem, run):
        await run.check(self)
        samples = await run.draw(problem.prompt, self.n)
        scores = await run.score(problem, samples)
        if not samples:
            return Outcome(None, None, stopped=run.stopped)
        best = max(range(len(samples)), key=lambda i: ((scores[i].value or 0.0), i))
        return Outcome(samples[best], answer_of(problem, samples[best]), tuple(samples), tuple(scores))


@dataclass(frozen=True)
class Even:
    """Passes replies whose number is even."""

    name, identity = "even", None

    def quote(self, problem, samples):
        return Cost()

    async def score(self, problem, samples, calls):
        return [Score(float(int(sample.text.split()[-1]) % 2 == 0)) for sample in samples]


@dataclass(frozen=True)
class Counts:
    """Says the number of its draw, and more with a step."""

    step: int = 1
    seed: int = 0
    def refuses(self, prompt, params):
        return "it only counts" if prompt.prefix else None

    @property
    def name(self):
        return f"counts by {self.step}"

    identity = name

    def quote(self, prompt, params):
        return Cost(1, 1, 1, 0, 0, 0.0, 0.0, 0.0)

    async def sample(self, prompt, params, draws, lost):
        for draw in draws:
            text = f"answer: {draw.number * self.step}"
            yield Sample(prompt, text, Finish.STOP, self.quote(prompt, params), draw.number, draw.seed)


@dataclass(frozen=True)
class Twos:
    """Which number is it? It is two, over and over."""

    size, domain, date, step_truth = None, "arithmetic", None, False
    name = "twos"

    def problems(self):
        return (Problem(f"twos/{i}", Prompt.user("Which?"), AnswerKind.NUMBER) for i in itertools.count())

    async def grade(self, problem_id, sample):
        return Grade(answer_of(Problem(problem_id, sample.prompt, AnswerKind.NUMBER), sample) == "2")


@dataclass(frozen=True)
class Unsaid:
    """As twos, without a word of its size."""

    name = "unsaid"
    problems, grade = Twos.problems, Twos.grade


class Bare:
    """No dataclass."""

    async def __call__(self, problem, run): ...


@dataclass(frozen=True)
class Nothing:
    """No strategy."""
'''
POINTS = """
[mull.strategies]
last = extras.things:Last
gone = extras.nowhere:Gone
[mull.verifiers]
even = extras.things:Even
[mull.models]
counts = extras.things:Counts
[mull.tasks]
twos = extras.things:Twos
"""


@pytest.fixture
def outside(tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the package and what an installer writes beside it, as a folder of installed packages is."""
    site = tmp_path / "site"
    (site / "extras").mkdir(parents=True)
    (site / "extras" / "__init__.py").write_text("")
    (site / "extras" / "things.py").write_text(EXTRAS)
    told = site / "extras-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: extras\nVersion: 1.0\n")
    (told / "entry_points.txt").write_text(POINTS)
    monkeypatch.chdir(tmp_path)
    return site


def test_names_that_a_package_adds(outside: Path, environment: dict[str, str], mull: Mull, mull_json: Mull) -> None:
    environment["PYTHONPATH"] = str(outside)
    found = mull_json(
        "sweep", "twos", "-m", "counts:step=1", "--verifier", "even", "-s", "last:n=3", "-s", "single",
        "-s", "repeat:of=(last:n=3),n=2", "--problems", 4, "--bank", "none",
    )  # fmt: skip
    accuracy = {row["strategy"]: row["accuracy"] for row in found["rows"]}
    # Draws are 0, 1, 2: the last even one is 2; the repeat has 2 and, of 3, 4 and 5, 4.
    assert accuracy["last:n=3"] == 1
    assert accuracy["single"] == pytest.approx(1 / 6), "a single draw is as good as all six on average"
    assert "repeat:of=(last:n=3),n=2" in accuracy
    listed = {one["name"]: one for one in mull_json("list", "strategies")["strategies"]}
    assert listed["last"] == {
        "name": "last", "about": "The last of n draws that the verifier passes, or the last.", "options": {"n": 2},
        "needs": ["verifier"], "draws": "parallel", "selects": "scores",
    }  # fmt: skip
    assert "left out: strategy 'gone': there is no module 'extras.nowhere'" in mull("list", "strategies").stderr
    refused = mull("sweep", "twos", "-m", "counts", "-s", "last", "--problems", 1, "--bank", "none")
    assert (refused.returncode, "needs a verifier" in refused.stderr) == (2, True)
    refused = mull("sweep", "twos", "-m", "count", "-s", "lasst", "--problems", 1, "--bank", "none")
    assert "did you mean 'last'?" in refused.stderr


def test_import_paths(outside: Path, tmp_path: Path, mull: Mull, mull_json: Mull) -> None:
    """From the working folder, which is no place where Python looks for a command."""
    (tmp_path / "mine.py").write_text(EXTRAS)
    out = tmp_path / "rows.jsonl"
    found = mull_json(
        "sweep", "mine:Twos", "-m", "mine:Counts:step=2", "--verifier", "mine:Even", "-s", "mine:Last:n=2",
        "-s", "on:of=(mine:Last),model=(mine:Counts:step=1)", "-s", "mine:Last:n=3", "--problems", 3, "--bank", "none",
        "--out", out,
    )  # fmt: skip
    names = ["mine:Last:n=2", "on:of=(mine:Last:n=2),model=(mine:Counts)", "mine:Last:n=3"]
    assert [row["strategy"] for row in found["rows"]] == names
    assert [row["accuracy"] for row in found["rows"]] == [1, 0, 0], "the last even one of 0, 2; of 0, 1; of 0, 2, 4"
    told = json.loads(out.read_text().splitlines()[0])["sweep"]
    assert told["strategies"] == names
    # What reads the rows imports nothing that they name.
    (tmp_path / "mine.py").write_text("raise RuntimeError('imported')")
    done = mull("advise", out, "--n", "2")
    assert (done.returncode, "imported" in done.stderr) == (0, False)
    assert mull("report", out, "--out", tmp_path / "page.html").returncode == 0


@pytest.mark.parametrize("task", ["mine:Twos", "mine:Unsaid"])
def test_a_task_without_an_end_has_a_hundred_problems(
    outside: Path, tmp_path: Path, mull_json: Mull, task: str
) -> None:
    (tmp_path / "mine.py").write_text(EXTRAS)
    found = mull_json("sweep", task, "-m", "mine:Counts", "-s", "single", "--bank", "none")
    assert found["rows"][0]["problems"] == 100


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("mine:Gone", "strategy 'mine:Gone': mine has no class 'Gone'"),
        ("mine:Bare", "'mine:Bare' must be a frozen dataclass"),
        ("mine:Nothing", "'mine:Nothing' has no __call__, which a strategy must have"),
        ("os:system", "os has no class 'system'"),
        ("nowhere:Mine", "there is no module 'nowhere'"),
        ("broken:Mine", "cannot be imported: No module named 'surely_not_there'"),
        ("mine:Last:m=3", "unknown option of mine:Last 'm': known: n"),
        ("majorty:single", "unknown strategy 'majorty': did you mean 'majority'?"),
        ("faults:Mute", "Mute returned a NoneType, not an Outcome"),
    ],
)
def test_what_is_no_strategy_is_refused(outside: Path, tmp_path: Path, mull: Mull, spec: str, message: str) -> None:
    (tmp_path / "mine.py").write_text(EXTRAS)
    (tmp_path / "broken.py").write_text("import surely_not_there\n")
    (tmp_path / "faults.py").write_text(FAULTS)
    done = mull("sweep", "chain:ops=1", "-s", spec, "--problems", 1, "--bank", "none")
    assert (done.returncode, done.stdout) == (2, "")
    assert message in " ".join(done.stderr.split())


FAULTS = """
from dataclasses import dataclass

from mine import Counts, Even, Twos


@dataclass(frozen=True)
class Mute:
    '''A strategy without an outcome.'''

    async def __call__(self, problem, run):
        await run.draw(problem.prompt)


@dataclass(frozen=True)
class Raises(Even):
    '''A verifier with a fault in it.'''

    async def score(self, problem, samples, calls):
        return {}["no such key"]


@dataclass(frozen=True)
class Old(Even):
    '''A verifier that is not given `calls`.'''

    async def score(self, problem, samples):
        return []


@dataclass(frozen=True)
class Unable:
    '''A model that does not say what it refuses.'''

    name = identity = "unable"
    quote, sample = Counts.quote, Counts.sample


@dataclass(frozen=True)
class Empty(Twos):
    '''A task without problems.'''

    def problems(self):
        return []


@dataclass(frozen=True)
class Same(Twos):
    '''Two problems of one name.'''

    def problems(self):
        return [next(iter(Twos().problems()))] * 2


@dataclass(frozen=True)
class Plain(Twos):
    '''Grades that are none.'''

    async def grade(self, problem_id, sample):
        return True
"""


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("mine:Twos --verifier faults:Raises", "mull: KeyError in score, faults.py line 20: 'no such key'; the trace"),
        (
            "mine:Twos --verifier faults:Old",
            "Old(...).score takes (problem, samples), and is called with (problem, samples, calls)",
        ),
        ("mine:Twos -m faults:Unable", "model 'faults:Unable' has no refuses, which a model must have"),
        ("faults:Empty", "task twos has no problems"),
        ("faults:Same", "task twos: 2 problems have the id 'twos/0'; ids must differ"),
        ("faults:Plain", "task twos: grade returned a bool, not a Grade"),
    ],
)
def test_a_fault_of_a_class_is_told_as_its_own(
    outside: Path, tmp_path: Path, mull: Mull, command: str, message: str
) -> None:
    (tmp_path / "mine.py").write_text(EXTRAS)
    (tmp_path / "faults.py").write_text(FAULTS)
    words = command.split() if "-m" in command else [*command.split(), "-m", "mine:Counts"]
    done = mull("sweep", *words, "-s", "best:n=2" if "--verifier" in words else "single", "-p", 2, "--bank", "none")
    assert done.returncode in (1, 2)
    assert message in " ".join(done.stderr.split())
    assert "please report it" not in done.stderr
