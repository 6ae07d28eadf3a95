"""What a draw costs in CPU beside the model: `Run` and a majority vote of 256 on a model that answers at once.

Prints microseconds a draw, the model's own share taken off: both sides in one process, the best of several.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence

from mull import AnswerKind, Cost, Draw, Finish, Params, Problem, Prompt, Run, Sample
from mull.strategies.parallel import Majority
from mull.testing import FakePurse
from mull.types import Purse

N = 256
N_PROBLEMS = 40
TARGET = 60.0


class Instant:
    """Answers at once."""

    name = identity = "instant"
    _cost = Cost(1, 10, 20, 0, 0, 1e6, 1e-6, 0.1)

    def refuses(self, prompt: Prompt, params: Params) -> str | None:
        return None

    def quote(self, prompt: Prompt, params: Params) -> Cost:
        return self._cost

    async def sample(
        self, prompt: Prompt, params: Params, draws: Sequence[Draw], purse: Purse
    ) -> AsyncGenerator[Sample, None]:
        for draw in draws:
            text = f"<think>one two three</think>\nanswer: {draw.seed % 7}"
            yield Sample(prompt, text, Finish.STOP, self._cost, draw.number, draw.seed)


async def with_run() -> None:
    strategy = Majority(N)
    for i in range(N_PROBLEMS):
        problem = Problem(str(i), Prompt.user(f"question {i}"), AnswerKind.NUMBER)
        await strategy(problem, Run(Instant()))


async def model_alone() -> None:
    for i in range(N_PROBLEMS):
        prompt = Prompt.user(f"question {i}")
        draws = [Draw(k, k) for k in range(N)]
        async for _ in Instant().sample(prompt, Params(), draws, FakePurse()):
            pass


def cpu_us(work: Callable[[], object], repeats: int = 5) -> float:
    """CPU microseconds a draw, the least of several repeats."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times) / (N * N_PROBLEMS) * 1e6


def main() -> None:
    alone = cpu_us(lambda: asyncio.run(model_alone()))
    whole = cpu_us(lambda: asyncio.run(with_run()))
    own = whole - alone
    print(f"majority:n={N}, {N_PROBLEMS} problems: {whole:.1f} us of CPU a draw, of which the fake model {alone:.1f}")
    print(f"Run, vote and answer reading: {own:.1f} us a draw, {own / TARGET:.2f} of the target of {TARGET:.0f}")


if __name__ == "__main__":
    main()
