"""Verifiers and judges on the command line: checked before they are trusted, named in mull.toml, honest when down."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from score_server import Fake, serving
from warm import Warm

Mull = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
def mull(warm: Warm) -> Mull:
    """Status, output and errors of a command, while this process serves what it asks."""

    async def call(environment: dict[str, str], *arguments: str) -> tuple[int, str, str]:
        done = await asyncio.to_thread(warm.mull, *arguments, env=environment)
        return done.returncode, done.stdout, done.stderr

    return call


def knows(told: list[str]) -> float:
    """A model that knows how much change Tom gets."""
    return 3.0 * told.count("8") - 3.0 * told.count("27")


async def test_a_reward_model_with_swapped_labels_is_refused(
    mull: Mull, environment: dict[str, str], tmp_path: Path
) -> None:
    """The same weights behind two servers, one of which gives the good class first: mull.toml names both."""
    straight, swapped = Fake(), Fake(n_labels=-2)
    straight.goodness = swapped.goodness = knows
    async with serving(straight) as one, serving(swapped) as two:
        toml = tmp_path / "mull.toml"
        spec = "prm:model=m,base_url={},preset=qwen-math-prm"
        toml.write_text(f'[verifiers]\nstraight = "{spec.format(one)}"\nswapped = "{spec.format(two)}"\n')
        config = ("--config", str(toml))
        status, out, _ = await mull(environment, "list", "verifiers", "--check", "--verifier", "straight", *config)
        assert status == 0
        assert "m: right (right solution " in out
        status, out, err = await mull(environment, "list", "verifiers", "--check", "--json", *config)
    assert status == 1
    found = json.loads(out)["verifiers"]
    assert ("countdown", True) in [(finding["name"], finding["is_right"]) for finding in found]
    assert [finding["is_right"] for finding in found if finding["name"] == "m"] == [True, False]
    assert "must not be used as it is: it ranks a right solution" in err
    assert err.count("\n") == 1


async def test_solve_says_what_has_no_score(mull: Mull, environment: dict[str, str]) -> None:
    async with serving(Fake()) as url:
        pass
    status, out, err = await mull(
        environment, "solve", "a:7;b:a*6;b?", "--strategy", "weighted:n=3", "--json",
        "--verifier", f"prm:model=m,base_url={url},preset=qwen-math-prm,patience=0.1",
    )  # fmt: skip
    solved = json.loads(out)
    assert status == 1
    assert solved["unscored"] == 3
    assert [sample["score"] for sample in solved["samples"]] == [None] * 3
    assert solved["answer"] is None
    assert f"3 of 3 draws have no score: {url}/pooling: it refused every request for 0.1 s: cannot connect" in err


async def test_samples_are_no_ceiling_on_a_judge(mull: Mull, environment: dict[str, str], tmp_path: Path) -> None:
    """`-n 3` means three draws; the judge's own calls come on top, and are counted."""
    fake = Fake()
    fake.say = lambda messages: [("Yes", -0.2), ("No", -1.8)]
    async with serving(fake) as url:
        toml = tmp_path / "mull.toml"
        toml.write_text(f'[models.judge]\nbase_url = "{url}/v1"\n[verifiers]\nyes = "genrm:judge"\n')
        status, out, err = await mull(
            environment, "solve", "a:7;b:a*6;b?", "-s", "best", "-n", "3", "--verifier", "yes", "--json",
            "--config", str(toml),
        )  # fmt: skip
    assert status == 0, err
    solved = json.loads(out)
    assert solved["unscored"] == 0
    n_replies = len({sample["text"] for sample in solved["samples"]})
    assert solved["cost"]["calls"] == 3 + n_replies
    assert solved["cost"]["verifier_tokens"] == n_replies
    assert all(sample["score"] == pytest.approx(0.832, abs=1e-3) for sample in solved["samples"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("list", "models", "--check"), "--check is for verifiers and judges"),
        (("list", "verifiers", "--check", "--verifier", "countdwon"), "did you mean 'countdown'"),
        (("list", "judges", "--check", "--judge", "pairwise"), "needs model"),
    ],
)
async def test_bad_input(mull: Mull, environment: dict[str, str], arguments: tuple[str, ...], says: str) -> None:
    status, _, err = await mull(environment, *arguments)
    assert status == 2
    assert says in err
    assert err.count("\n") == 1
