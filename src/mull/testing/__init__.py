"""Fakes that behave, and the laws that strategies must keep."""

from mull.testing.fakes import PROBLEM as PROBLEM
from mull.testing.fakes import FakeExecutor as FakeExecutor
from mull.testing.fakes import FakeJudge as FakeJudge
from mull.testing.fakes import FakeModel as FakeModel
from mull.testing.fakes import FakePurse as FakePurse
from mull.testing.fakes import FakeVerifier as FakeVerifier
from mull.testing.fakes import LineModel as LineModel
from mull.testing.fakes import StubVerifier as StubVerifier
from mull.testing.fakes import with_logprobs as with_logprobs
from mull.testing.strategies import BUDGETS as BUDGETS
from mull.testing.strategies import assert_within as assert_within
from mull.testing.strategies import check_ceiling as check_ceiling
from mull.testing.strategies import check_ceiling_of_five as check_ceiling_of_five
from mull.testing.strategies import check_deterministic as check_deterministic
from mull.testing.strategies import check_draws as check_draws
from mull.testing.strategies import check_needs as check_needs
from mull.testing.strategies import check_no_draw_twice as check_no_draw_twice
from mull.testing.strategies import check_replay as check_replay
from mull.testing.strategies import check_resume as check_resume
from mull.testing.strategies import check_selects as check_selects
from mull.testing.strategies import fake_run as fake_run
from mull.testing.strategies import like as like
from mull.testing.strategies import solve as solve
