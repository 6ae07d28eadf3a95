"""What a verifier says it cannot score, found before anything is paid, also inside verifiers that hold others."""

import pytest

from mull import spec
from mull.catalog import parts_of, verifier_of
from mull.errors import UsageError
from mull.run.needs import check_scorable, lacking
from mull.testing import FakeVerifier
from mull.types import Problem, Prompt, Verifier
from mull.verifiers.combine import Calibrated, Combined, Isotonic, LabelModel

PLAIN = Problem("a", Prompt.user("1 + 1?"))
GAME = Problem("b", Prompt.user("reach 11"), given={"numbers": [3, 8], "target": 11})


def combined(*verifiers: Verifier) -> Combined:
    m = len(verifiers)
    return Combined(verifiers, LabelModel((0.5,) * m, (0.8,) * m, (0.2,) * m, (1.0,) * m, 0.5))


def test_a_verifier_that_can_score_nothing_is_refused() -> None:
    countdown = verifier_of("countdown")
    assert "numbers and target" in lacking(countdown, PLAIN)
    assert lacking(countdown, GAME) == ""
    check_scorable(countdown, [PLAIN, GAME])
    check_scorable(countdown, [])
    with pytest.raises(UsageError, match=r"countdown can score no draw: .*numbers and target"):
        check_scorable(countdown, [PLAIN, PLAIN])


def test_what_holds_such_verifiers_lacks_what_they_lack() -> None:
    countdown, other = verifier_of("countdown"), FakeVerifier()
    assert lacking(other, PLAIN) == "", "a verifier that tells nothing may score anything"
    assert lacking(Calibrated(countdown, Isotonic((0.0,), (0.5,))), PLAIN) == lacking(countdown, PLAIN)
    assert lacking(combined(countdown, countdown, countdown), PLAIN) == lacking(countdown, PLAIN)
    assert lacking(combined(countdown, countdown, other), PLAIN) == "", "one of them can score it"
    assert lacking(combined(countdown, countdown, countdown), GAME) == ""


def test_the_parts_of_a_judge_are_its_verifier_and_its_model() -> None:
    judge = spec.build("judge", spec.JUDGES, "scores:verifier=countdown")
    assert verifier_of("countdown") in list(parts_of(judge))
    assert list(parts_of(())) == [()]
