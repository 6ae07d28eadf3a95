"""Specs: from a command line to a value and back, and what is said about a wrong one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mull import Strategy, UsageError, spec
from mull.errors import UnknownNameError
from mull.models.embedded import Mini, Nano
from mull.strategies.adaptive import Adaptive
from mull.strategies.compose import Cascade, Ensemble, On, Repeat
from mull.strategies.parallel import BestOfMajority, Majority, Single
from mull.strategies.tree import Rebase
from mull.testing import FakeModel
from mull.verifiers.countdown import CountdownChecker
from mull.verifiers.scores import ScoreJudge
from mull.verifiers.trained import NanoPRM


def test_a_spec_names_a_frozen_value() -> None:
    assert spec.strategy("single") == Single()
    assert spec.strategy("majority:n=4") == Majority(4)
    assert spec.strategy(" adaptive:n=64, rule=eprocess ,delta=0.01") == Adaptive(64, "eprocess", delta=0.01)


@pytest.mark.parametrize(
    "text", ["single", "majority:n=4", "best-of-majority:n=16,alpha=0.2", "adaptive:n=32,rule=window,width=8"]
)
def test_there_and_back(text: str) -> None:
    assert spec.describe(spec.STRATEGIES, spec.strategy(text)) == text


def test_a_description_leaves_out_defaults_but_for_the_number_of_draws() -> None:
    assert spec.describe(spec.STRATEGIES, BestOfMajority(alpha=0.3)) == "best-of-majority:n=16,alpha=0.3"
    assert spec.describe(spec.STRATEGIES, Majority()) == "majority:n=16"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("majorty", "unknown strategy 'majorty': did you mean 'majority'?"),
        ("majority:m=3", "unknown option of majority 'm': known: n"),
        ("adaptive:wav=3", "did you mean 'wave'?"),
        ("adaptive:rule=betta", "did you mean 'beta'?"),
        ("majority:n=many", "majority:n must be a whole number, not 'many'"),
        ("majority:n=2.5", "must be a whole number"),
        ("best-of-majority:alpha=x", "must be a number"),
        ("majority:n=2,n=3", "majority:n is given twice"),
        ("majority:n=2, n=2", "majority:n is given twice"),
        ("force:at-most=5,at_most=6", "force:at_most is given twice"),
        ("repeat:single,of=single", "repeat:of is given twice"),
        ("ensemble:members=(single,(majority:n=2,n=4))", "ensemble:members[2]: majority:n is given twice"),
        ("majority:16", "not of the form option=value"),
        ("majority:n=(4", "a bracket is not closed"),
        ("majority:n=4)", "a bracket too many"),
        ("", "unknown strategy ''"),
        ("cascade:then=single", "'cascade' needs first: cascade:first=..."),
        ("cascade:frst=single,then=single", "unknown option of cascade 'frst': did you mean 'first'?"),
        (
            "cascade:first=(majorty:n=4),then=single",
            "cascade:first: unknown strategy 'majorty': did you mean 'majority'?",
        ),
        ("cascade:single,then=(majority:m=2)", "cascade:then: unknown option of majority 'm': known: n"),
        ("cascade:first=single,then=single,model=mni", "cascade:model: unknown model 'mni': did you mean 'mini'?"),
        ("repeat:of=(majority:n=0)", "repeat:of: n must be at least 1, not 0"),
        (
            "ensemble:members=(single,(cascade:first=single,then=(best:n=x)))",
            "ensemble:members[2]: cascade:then: best:n must be a whole number, not 'x'",
        ),
        ("ensemble:members=(beam:n=8,width=4)", "ensemble:members: 'width=4' names nothing: put what has options in"),
        ("ensemble:members=(single),weights=(1,x)", "ensemble:weights[2] must be a number, not 'x'"),
        ("on:of=single,verifier=nanoprm", "on:verifier: unknown verifier 'nanoprm': did you mean 'nano-prm'?"),
        ("on:of=single,judge=(scores:verifier=countdwn)", "on:judge: scores:verifier: unknown verifier 'countdwn'"),
    ],
)
def test_a_wrong_spec_says_what_would_be_right(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        spec.strategy(text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "cascade:first=(majority:n=4),then=(majority:n=8),model=mini,bar=0.6",
        "cascade:first=single,then=(cascade:first=(best:n=3),then=(adaptive:n=16)),model=mini",
        "ensemble:members=((majority:n=4),(beam:n=8),single)",
        "ensemble:members=(single,(on:of=(best:n=4),model=mini,verifier=nano-prm)),weights=(0.5,2.25)",
        "on:of=(tournament:n=4),judge=(pairwise:model=nano,k=2)",
        "on:of=single,verifier=(genrm:model=mini)",
        "repeat:of=(repeat:of=single,n=2),n=3,pick=best",
        r"beam:n=8,separator=\,\n\(",
        "beam:n=8,separator=( )",
    ],
)
def test_nested_specs_there_and_back(text: str) -> None:
    assert spec.describe(spec.STRATEGIES, spec.strategy(text)) == text


def test_brackets_may_be_left_out_where_nothing_is_lost_and_put_where_nothing_is_won() -> None:
    for text in ("ensemble:((single),(majority:n=4))", "ensemble:members=( single , majority:n=4 )"):
        assert spec.strategy(text).members == (Single(), Majority(4))
    assert spec.strategy("cascade:majority:n=4,then=(single)") == spec.strategy(
        "cascade:first=(majority:n=4),then=single"
    )


def test_models_that_are_in_no_table_are_named() -> None:
    """As those of `mull.toml`: whoever builds the spec again must know them."""
    makers = {"models": lambda name: FakeModel(label=name)}
    text = "cascade:first=single,then=(on:of=single,model=(a:7b)),model=b-2"
    built = spec.strategy(text, **makers)
    assert (built.model.label, built.then.model.label) == ("b-2", "a:7b")
    assert spec.describe(spec.STRATEGIES, built) == text


class Own(Single):
    """In no table."""


def test_what_is_in_no_table_has_no_spec() -> None:
    with pytest.raises(UsageError, match="Own is in no table"):
        spec.describe(spec.STRATEGIES, Own())


LEAVES = st.one_of(
    st.just(Single()),
    st.builds(Majority, st.integers(1, 99)),
    st.builds(BestOfMajority, st.integers(1, 9), st.floats(0, 1)),
    st.builds(Adaptive, st.integers(1, 99), st.sampled_from(["beta", "window"]), level=st.floats(0.51, 0.99)),
    st.builds(Rebase, st.integers(1, 9), separator=st.none() | st.text("ab(),= \n", min_size=1, max_size=4)),
)
MODEL = st.sampled_from([None, Nano(), Mini()])
JUDGE = st.builds(ScoreJudge, st.sampled_from([CountdownChecker(), NanoPRM("min"), NanoPRM()]))


def outer(inner: st.SearchStrategy[Strategy]) -> st.SearchStrategy[Strategy]:
    """Strategies made of such."""
    return st.one_of(
        st.builds(Cascade, inner, inner, MODEL, st.floats(0.01, 1)),
        st.builds(Ensemble, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        inner.map(lambda one: Ensemble((one, Single()), (0.25, 1e-7))),
        st.builds(Repeat, inner, st.integers(1, 9), st.sampled_from(["majority", "weighted", "best"])),
        st.builds(
            On, inner, st.sampled_from([Nano(), Mini()]), st.none() | st.just(NanoPRM("mean")), st.none() | JUDGE
        ),
    )


@given(st.recursive(LEAVES, outer, max_leaves=6))
def test_every_nested_strategy_is_built_again_from_its_description(strategy: Strategy) -> None:
    text = spec.describe(spec.STRATEGIES, strategy)
    built = spec.strategy(text)
    assert built == strategy
    assert spec.describe(spec.STRATEGIES, built) == text


def test_what_is_required_may_come_first_without_its_name(tmp_path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"prompt": "1+1", "answer": 2}\n')
    assert spec.build("task", spec.TASKS, f"file:{path}").path == str(path)
    assert spec.build("task", spec.TASKS, f"file:{path},kind=number").kind == "number"
    with pytest.raises(UsageError, match="'file' needs path"):
        spec.build("task", spec.TASKS, "file")


def test_defaults_fill_what_the_spec_leaves_out() -> None:
    assert spec.build("strategy", spec.STRATEGIES, "majority", n=3) == Majority(3)
    assert spec.build("strategy", spec.STRATEGIES, "majority:n=5", n=3) == Majority(5)
    assert spec.build("strategy", spec.STRATEGIES, "single", n=3) == Single()


def test_every_path_in_the_tables_leads_to_a_class_with_a_docstring() -> None:
    for table in (spec.STRATEGIES, spec.VERIFIERS, spec.MODELS, spec.TASKS):
        for path in table.values():
            assert spec.load(path).__doc__


def test_unknown_names_are_listed_where_none_is_near() -> None:
    with pytest.raises(UnknownNameError, match=r"known: 3sat, calendar, chain, countdown, file"):
        spec.build("task", spec.TASKS, "zzz")
