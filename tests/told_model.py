"""A model of tests: what it says is told by the question and the number or seed of the draw."""

from collections.abc import AsyncGenerator, Sequence

from mull import Cost, Draw, Finish, Params, Prompt, Sample
from mull.types import Purse


class ToldModel:
    """Each draw says what `says` returns and costs `each`."""

    each = Cost(1)
    name = "told"

    @property
    def identity(self) -> str:
        return self.name

    def says(self, prompt: Prompt, params: Params, draw: Draw) -> str:
        raise NotImplementedError

    def refuses(self, prompt: Prompt, params: Params) -> str | None:
        return None

    def quote(self, prompt: Prompt, params: Params) -> Cost:
        return self.each

    async def sample(
        self, prompt: Prompt, params: Params, draws: Sequence[Draw], purse: Purse
    ) -> AsyncGenerator[Sample, None]:
        for draw in draws:
            text = self.says(prompt, params, draw)
            yield Sample(prompt, text, Finish.STOP, self.each, draw.number, draw.seed)
