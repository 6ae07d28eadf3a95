"""What a strategy needs and its model's server cannot do is told at once: nothing is drawn for it."""

from collections.abc import Callable
from typing import Any

import pytest

from asking import ROUTES, asked, error_of, post
from fault_server import FaultServer

Make = Callable[..., Any]


class Few(FaultServer):
    """Tells the log-probabilities of at most `few` likeliest tokens, and refuses more if it `is_strict`."""

    few, is_strict = 0, False

    async def _answer(self, request: Any, body: dict[str, Any]) -> Any:
        if self.is_strict and body.get("top_logprobs", 0) > self.few:
            return self._error(400, f"top_logprobs must be at most {self.few}")
        return await super()._answer(request, {**body, "top_logprobs": min(self.few, body.get("top_logprobs", 0))})


@pytest.mark.parametrize("strategy", ["confidence-vote:n=2", "confidence-stop:n=2,warmup=2", "self-certainty:n=2"])
@pytest.mark.parametrize(
    ("server", "words"),
    [
        (lambda: FaultServer(has_logprobs=False), "its server returns no log-probabilities"),
        (Few, "of 0 likeliest tokens, and 20 were requested: ask for none (signal=chosen)"),
    ],
)
async def test_a_server_without_log_probabilities(gateway: Make, strategy: str, server: Any, words: str) -> None:
    async with server() as upstream:
        text = f'[models.words]\nbase_url = "{upstream.url}"\n[presets.sure]\nstrategy = "{strategy}"\n'
        async with gateway(text + '[presets.vote]\nstrategy = "majority:n=2"\n') as served:
            await served.ask("words@vote", "warm")
            n_asked = len(upstream.bodies)
            status, headers, told = await post(served.url, ROUTES[0], asked(ROUTES[0], "words@sure"))
            error = error_of(ROUTES[0], told)
            assert (status, headers["x-should-retry"], error["param"]) == (400, "false", "model")
            assert words in error["message"]
            assert len(upstream.bodies) == n_asked


async def test_as_many_likeliest_tokens_as_the_server_takes_are_enough(gateway: Make) -> None:
    async with Few() as upstream:
        upstream.few, upstream.is_strict = 5, True
        text = f'[models.words]\nbase_url = "{upstream.url}"\nstream = false\n'
        text += "".join(f'[presets.top{n}]\nstrategy = "confidence-vote:n=2,top={n}"\n' for n in (5, 6))
        async with gateway(text) as served:
            assert (await served.ask("words@top5")).choices[0].message.content
            status, _, told = await post(served.url, ROUTES[0], asked(ROUTES[0], "words@top6"))
            assert status == 400
            assert "ask for 5 (top=5)" in error_of(ROUTES[0], told)["message"]
