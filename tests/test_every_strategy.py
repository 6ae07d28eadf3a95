"""The laws that every strategy in the table must keep, on fakes: see `mull.testing`."""

from pathlib import Path

import pytest

from mull import Budget, Strategy, spec, testing
from mull.bank import open_bank

POLICY = Path(__file__).parent / "data" / "policy.toml"
SPECS = [
    "single",
    "majority:n=16",
    "best:n=16",
    "weighted:n=16",
    "best-of-majority:n=16,alpha=0.1",
    "majority-of-bests:n=16",
    "majority-of-bests:n=9,m=2",
    "shortest:n=12,k=5",
    "self-certainty:n=12,p=1.2,top=5",
    "until-pass:n=16",
    "until-pass:n=16,wave=3,bar=2",
    "adaptive:n=16,rule=curtail",
    "adaptive:n=16,rule=beta",
    "adaptive:n=16,rule=window,wave=3",
    "adaptive:n=16,rule=eprocess,classes=3",
    "adaptive:n=16,rule=guarantee",
    "adaptive:n=16,rule=learned",
    "sure-vote:n=16,sure=0.6,hopeless=0.3",
    "best-stop:n=16",
    "best-stop:n=9,price=0.05,warmup=2,wave=2",
    "tournament:n=16",
    "tournament:n=7,k=3",
    "league:n=9,opponents=3,k=1",
    "pivot:n=16",
    "pivot:n=9,pivots=4,k=2",
    "swiss:n=9,opponents=2,rounds=2",
    "genselect:n=9,shown=3,k=2",
    "fuse:n=3",
    "fuse:n=2,models=(other,third),writer=other",
    "pdr:n=3,rounds=2,notes=9",
    "diverse:n=5,ideas=2",
    "diverse:n=4,pick=best",
    "semantic:n=6",
    "semantic:n=6,by=text",
    "text-mbr:n=6",
    "rsa:n=4,k=2,rounds=2",
    "agree:n=16,tests=4",
    "agree:n=16,tests=4,count=samples",
    "cluster:n=16,tests=4",
    "mbr:n=16,tests=4,loss=soft",
    "distinguish:n=16,tests=4",
    "repair:n=6,rounds=2,tests=2",
    "repair:n=4,rounds=3,pick=tests",
    "repair:n=4,pick=cluster",
    "beam:n=16,width=4",
    "beam:n=6,width=3,pick=best,depth=2",
    "lookahead:n=8,width=4,k=2",
    "dvts:n=16,width=4,pick=majority",
    "rebase:n=16",
    "step-bon:n=4",
    "mcts:n=24,width=3,value=score",
    "mcts:n=16,width=2,value=rollout,batch=3",
    "ab-mcts:n=24,value=score",
    "ab-mcts:n=20,batch=4",
    "particles:n=8",
    "particles:n=8,pick=weighted,temper=2",
    "reject-early:n=12,chunk=3",
    "revise:n=12,chain=3",
    "revise:n=4,chain=2,feedback=critique,show=text",
    "revise:n=6,chain=3,context=1,feedback=score,show=thought",
    "revise:n=6,chain=3,feedback=tests",
    "probe-stop:k=2,chunk=3,probe=6,n_answer=4",
    "probe-stop:k=1,chunk=2,probe=4,n_answer=4,watch=both,hedges=so",
    "confidence-vote:n=12,eta=50,measure=tail,window=4",
    "confidence-stop:n=12,warmup=4,eta=50,tau=none,window=4,chunk=3,top=5",
    "confidence-stop:n=10,warmup=3,window=3,wave=2,signal=chosen",
    "force:wait=2",
    "delethink:chunk=4,carry=2,head=1,n_answer=4",
    "power:alpha=3,steps=3,chunk=4,top=5",
    "tip:beta=4,n_answer=4",
    "thinking-budget:tokens=4",
    "length-reject:tokens=12,n=16",
    "length-reject:tokens=12,n=16,wave=3",
    "force:at_most=6,at_least=4,n_answer=4",
    "force:wait=3,string=,think=<a>...</a>,cue=so:",
    "on:of=(majority:n=4),model=other",
    "on:of=(beam:n=4,width=2),verifier=second",
    "cascade:first=(majority:n=4),then=(majority:n=12),bar=1",
    "cascade:first=(majority:n=4),then=(best:n=8),model=other,bar=0.6",
    "cascade:first=single,then=(cascade:first=(best:n=3),then=(adaptive:n=16),bar=0.9),model=other",
    "cascade:first=(beam:n=4,width=2),then=(distinguish:n=8,tests=2),bar=1",
    "ensemble:members=((majority:n=4),(beam:n=8,width=4),(on:of=(best:n=4),model=other))",
    "ensemble:members=((cascade:first=(majority:n=3),then=(majority:n=6),bar=1),(weighted:n=4)),weights=(1.5,0.5)",
    "ensemble:members=((tournament:n=4),(agree:n=4,tests=2),single)",
    "repeat:of=(cascade:first=(majority:n=2),then=single,model=other,bar=1),n=3",
    "repeat:of=(adaptive:n=6),n=3,pick=weighted",
    "repeat:of=(mcts:n=8,width=2),n=2,pick=best",
    "repeat:of=(force:wait=1),n=3,pick=weighted",
    "cascade:first=(auto:n=4),then=(ensemble:members=((force:at_most=6),(repair:n=3,tests=1,pick=cluster))),bar=1",
    "auto:n=16",
    f"auto:policy={POLICY}",
    f"auto:policy={POLICY},budget=60",
]


def fake(label: str) -> testing.FakeModel:
    """The model that a spec names inside: a fake of that name."""
    return testing.FakeModel(label=label)


def built(text: str) -> Strategy:
    strategy: Strategy = spec.strategy(text, models=fake, verifiers=lambda name: testing.FakeVerifier(usd=2e-7))
    return strategy


def test_every_strategy_of_the_table_is_here() -> None:
    assert {text.partition(":")[0] for text in SPECS} == set(spec.STRATEGIES)


@pytest.fixture(params=SPECS)
def strategy(request: pytest.FixtureRequest) -> Strategy:
    return built(request.param)


def test_the_same_seed_gives_the_same_outcome(strategy: Strategy) -> None:
    testing.check_deterministic(strategy)


@pytest.mark.parametrize("budget", testing.BUDGETS, ids=str)
def test_no_ceiling_is_exceeded(strategy: Strategy, budget: Budget) -> None:
    testing.check_ceiling(strategy, budget)


@pytest.mark.parametrize("budget", testing.BUDGETS, ids=str)
def test_no_ceiling_is_exceeded_by_five_at_once(strategy: Strategy, budget: Budget) -> None:
    testing.check_ceiling_of_five(strategy, budget)


def test_no_draw_is_made_twice(strategy: Strategy) -> None:
    testing.check_no_draw_twice(strategy)


def test_a_replay_costs_nothing(strategy: Strategy) -> None:
    testing.check_replay(strategy)


def test_a_replay_from_a_file_costs_nothing(strategy: Strategy, tmp_path: Path) -> None:
    with open_bank(str(tmp_path / "bank.db")) as bank:
        testing.check_replay(strategy, bank)


def test_a_killed_run_resumes(strategy: Strategy) -> None:
    testing.check_resume(strategy)


def test_a_killed_run_resumes_from_a_file(strategy: Strategy, tmp_path: Path) -> None:
    with open_bank(str(tmp_path / "bank.db")) as bank:
        testing.check_resume(strategy, bank)


def test_it_runs_with_what_it_says_it_needs_and_on_nothing_less(strategy: Strategy) -> None:
    testing.check_needs(strategy)


def test_it_draws_as_it_says(strategy: Strategy) -> None:
    testing.check_draws(strategy)


def test_it_selects_as_it_says(strategy: Strategy) -> None:
    testing.check_selects(strategy)
