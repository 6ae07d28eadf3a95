"""A server that fails, or counts more than it was asked for, takes neither time nor budget beyond their bounds."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asking import ROUTES, asked, error_of, post
from fault_server import FaultServer
from mull.serve.offer import Offer

Make = Callable[..., Any]
VOTE = '[presets.vote]\nstrategy = "majority:n=2"\nmax_tokens = 20\n'


@pytest.mark.parametrize("fault", ["500", "html", "no-choices", "reset"])
async def test_a_server_that_fails_is_asked_again_for_no_longer_than_patience(gateway: Make, fault: str) -> None:
    """With no patience that is once for each draw, whatever the retries of the model are."""
    async with FaultServer(n="rejected") as upstream:
        text = f'[serve]\npatience = 0\n[models.words]\nbase_url = "{upstream.url}"\nretries = 50\n{VOTE}'
        async with gateway(text) as served:
            await served.ask("words@vote")
            upstream._script = itertools.repeat(fault)
            for model, n_asked in (("words", 1), ("words@vote", 2)):
                n_before = len(upstream.bodies)
                status, headers, told = await post(served.url, ROUTES[0], asked(ROUTES[0], model))
                assert (status, error_of(ROUTES[0], told)["is"]) == (502, "upstream_failed")
                assert headers["x-should-retry"] == "false"
                assert len(upstream.bodies) - n_before == n_asked


@pytest.mark.parametrize("n", [20 * 2 + 1, 30_000, 1 << 40])
async def test_a_preset_counts_no_more_tokens_than_its_draws_were_asked_for(gateway: Make, n: int) -> None:
    async with FaultServer() as upstream, gateway(f'[models.words]\nbase_url = "{upstream.url}"\n{VOTE}') as served:
        await served.ask("words@vote")
        for told, is_bound in ((40, False), (n, True)):
            upstream.usage = {"completion_tokens": told}
            reply = await served.ask("words@vote", f"another {told}", extra_body={"mull": {"budget": {"tokens": 45}}})
            assert reply.usage.completion_tokens == 40
            assert reply.usage.mull["is_bound"] is is_bound
            assert reply.mull["left"]["tokens"] == 5


def test_what_a_judge_or_a_strategy_draws_from_is_bounded_alike(tmp_path: Path) -> None:
    models = "".join(f'[models.{name}]\nbase_url = "http://127.0.0.1:9/{name}"\n' for name in ("words", "other"))
    path = tmp_path / "mull.toml"
    path.write_text(
        f'{models}[judges]\nj = "pairwise:model=other"\n[serve]\nmodels = ["words"]\npatience = 3\n'
        '[presets.judged]\nstrategy = "tournament:n=2"\njudge = "j"\n'
        '[presets.fused]\nstrategy = "fuse:n=2,writer=words"\n'
    )
    offer = Offer((), path)
    judged, fused = (offer.entries[f"words@{name}"].preset for name in ("judged", "fused"))
    assert fused.strategy.writer is offer.models["words"]
    for model in (judged.judge.model, offer.models["words"]):
        assert (model.deployment.limits.patience, model.deployment.limits.retry_within) == (3, 3)
        assert not model.deployment.believes_longer
