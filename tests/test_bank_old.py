"""A bank that version 0.1.0 wrote opens, is whole, and replays for nothing.

`tests/data/bank-0.1.0.sqlite` was written by that version's `mull solve`, four draws and two scores: the question below
with `--strategy majority:n=4` and with `--strategy best:n=3 --verifier nano-prm`, each with `--max-tokens 60`.
"""

import shutil
from pathlib import Path

import pytest

from mull import AnswerKind, Cost, Params, Problem, Prompt, Run, spec
from mull.bank import care, open_bank
from mull.models.embedded import Nano

OLD = Path(__file__).parent / "data" / "bank-0.1.0.sqlite"
PROBLEM = Problem("prompt", Prompt.user("a:7;b:a*6;c:b-5;c?"), AnswerKind.NUMBER)


@pytest.mark.parametrize(
    ("plan", "verifier", "confidence"), [("majority:n=4", None, 0.75), ("best:n=3", "nano-prm", 0.9648752887000684)]
)
async def test_a_bank_of_the_version_before_replays_for_nothing(
    tmp_path: Path, plan: str, verifier: str | None, confidence: float
) -> None:
    path = tmp_path / "bank.db"
    shutil.copy(OLD, path)
    scorer = None if verifier is None else spec.build("verifier", spec.VERIFIERS, verifier)
    with open_bank(str(path)) as bank:
        run = Run(Nano(), verifier=scorer, bank=bank, params=Params(max_tokens=60))
        outcome = await spec.strategy(plan)(PROBLEM, run)
    assert (outcome.answer, outcome.confidence) == ("37", confidence)
    assert run.fresh == Cost()
    assert run.spent.calls == len(outcome.candidates)


def test_its_rows_are_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "bank.db"
    shutil.copy(OLD, path)
    with open_bank(str(path)) as bank:
        assert not list(care.verify(bank))
