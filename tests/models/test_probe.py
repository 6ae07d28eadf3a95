"""What a server can do is found out, once, by questions that do not depend on what its model knows."""

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from fault_server import WORDS, FaultServer, says
from mull import Budget, Params, Prompt, Run, UsageError
from mull.errors import ModelError
from mull.models.served import known
from mull.models.served.looking import cuts, goes_on
from mull.models.served.opened import opened
from mull.models.served.template import ChatTemplate
from mull.strategies.tree import Beam
from mull.testing import PROBLEM, StubVerifier

HELLO = Prompt.user("hello")
TEMPLATE = "{{ bos_token }}{% for m in messages %}[I]{{ m.content }}[/I]{% endfor %}"


@pytest.mark.parametrize("continues", ["flag", "trailing", "prefix"])
async def test_each_way_to_continue_is_found_and_used(served, continues: str) -> None:
    async with FaultServer(continues=continues, owned_by="someone") as server:
        model = served(server)
        run = Run(model)
        await run.prepare()
        # What only needs the last turn does not mind what else it is told.
        assert model.capabilities.continues == ("flag" if continues == "trailing" else continues)
        run.check_continues()
        (whole,) = await run.draw(HELLO, 1)
        server.has_seed = False
        prefix = says("hello", None)[:7]
        (rest,) = await run.draw(HELLO.extend(prefix), 1)
        assert server.bodies[-1]["messages"][-1]["content"] == prefix
    assert rest.reply == prefix + rest.text
    assert whole.text


async def test_a_template_is_rendered_where_there_is_no_other_way(served) -> None:
    """The server tells its template; only plain completions go on where a reply was cut."""
    async with FaultServer(continues=None, owned_by="llamacpp", template=TEMPLATE) as server:
        model = served(server)
        await model.prepare()
        assert model.capabilities.continues == "template"
        greedy = says("hello", 0)
        (rest,) = await Run(model, params=Params(temperature=0.0)).draw(HELLO.extend(greedy[:9]), 1)
        assert server.bodies[-1]["prompt"] == "<s>[I]hello[/I]" + greedy[:9]
    assert rest.reply == greedy


async def test_without_continuation_a_strategy_is_refused_before_anything_is_spent(served) -> None:
    async with FaultServer(continues=None, owned_by="someone") as server:
        model = served(server)
        run = Run(model)
        await run.prepare()
        n_before = len(server.bodies)
        words = r"words cannot continue a partial reply: the server starts a new reply .*; give chat_template"
        with pytest.raises(UsageError, match=words):
            run.check_continues()
        with pytest.raises(UsageError, match=words):
            await run.draw(HELLO.extend("so"), 3)
        assert len(server.bodies) == n_before
    assert model.refuses(HELLO.extend("so"), Params()) is not None


async def test_a_search_is_refused_before_it_draws(served) -> None:
    async with FaultServer(continues=None, owned_by="someone") as server:
        model = served(server)
        await model.prepare()
        n_before = len(server.bodies)
        run = Run(model, verifier=StubVerifier(lambda reply: 0.5))
        with pytest.raises(UsageError, match=r"words cannot continue a partial reply: .*; give chat_template"):
            await Beam(n=4)(PROBLEM, run)
        assert len(server.bodies) == n_before
        assert run.spent.calls == 0


async def test_a_search_goes_on_from_its_steps_on_a_server(served) -> None:
    """Its steps end before the words that the server knows as stop strings, and each goes on from the one before."""
    async with FaultServer() as server:
        run = Run(served(server), verifier=StubVerifier(lambda reply: 0.5, split=" answer"))
        outcome = await Beam(n=4)(PROBLEM, run)
        assert any(body.get("continue_final_message") for body in server.bodies[20:])
    assert outcome.best is not None
    assert outcome.answer is not None


async def test_before_anybody_looked_a_model_says_so(served) -> None:
    model = served(FaultServer(url="http://127.0.0.1:9/v1"))
    with pytest.raises(UsageError, match=r"it is not known yet .* mull list models --probe"):
        Run(model).check_continues()


@pytest.mark.parametrize(("n", "found"), [("yes", True), ("ignored", False), ("rejected", False), ("copies", False)])
async def test_whether_one_request_gives_several_replies(served, n: str, found: bool) -> None:
    async with FaultServer(n=n) as server:
        model = served(server)
        await model.prepare()
        draws = await Run(model).draw(HELLO, 12)
    assert model.capabilities.n is found
    assert len({draw.text for draw in draws}) > 6


@pytest.mark.parametrize("has_seed", [True, False])
async def test_whether_a_seed_is_kept(served, has_seed: bool) -> None:
    async with FaultServer(has_seed=has_seed, n="rejected") as server:
        model = served(server)
        await model.prepare()
        (draw,) = await Run(model).draw(HELLO, 1)
    assert model.capabilities.seed is has_seed
    assert (draw.seed is not None) is has_seed


@pytest.mark.parametrize("biases", ["ids", "texts"])
async def test_a_logit_bias_is_sent_as_the_server_takes_it(served, biases: str) -> None:
    python = {"owned_by": "someone", "title": "llama.cpp Python API"} if biases == "texts" else {}
    async with FaultServer(biases=biases, **python) as server:
        model = served(server)
        await model.prepare()
        assert model.capabilities.biases == biases
        assert model.refuses(HELLO, Params(logit_bias=(("a", 1.0),))) is None
        run = Run(model, params=Params(temperature=0.0))
        (free,) = await run.draw(HELLO, 1)
        word = free.text.split()[0]
        (held,) = await run.draw(HELLO, 1, Params(temperature=0.0, logit_bias=((word, -100.0),)))
        told = server.bodies[-1]["logit_bias"]
    assert told == {word if biases == "texts" else str(WORDS.index(word)): -100.0}
    assert held.text == free.text.replace(word, "instead")


async def test_a_server_that_falls_over_a_field_that_few_know_is_of_use_without_it(served) -> None:
    falls_over = frozenset({"logit_bias", "thinking_token_budget"})
    async with FaultServer(falls_over=falls_over, thinks_as="reasoning", thinks_for=40) as server:
        model = served(server)
        await model.prepare()
        assert (model.capabilities.biases, model.capabilities.limits) == (None, None)
        (draw,) = await Run(model).draw(HELLO, 1)
    assert draw.reasoning


class Busy(FaultServer):
    """Answers 429 to one question of the probe while it is busy."""

    busy = ""

    async def _answer(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return self._error(429, "busy") if self.busy in body else await super()._answer(request, body)

    async def _tokenize(self, request: web.Request) -> web.Response:
        return self._error(429, "busy") if self.busy == "tokenize" else await super()._tokenize(request)


@pytest.mark.parametrize("busy", ["logit_bias", "tokenize", "thinking_token_budget"])
async def test_what_a_busy_server_did_not_answer_stays_unknown(served, busy: str) -> None:
    is_thought = busy == "thinking_token_budget"
    thinks = {"thinks_as": "reasoning", "thinks_for": 40, "budget": busy} if is_thought else {}
    async with Busy(**thinks) as server:
        model, server.busy = served(server, patience=0.01), busy
        with pytest.raises(ModelError):
            await model.prepare()
        assert model.capabilities is None
        server.busy = ""
        await model.prepare()
        assert (model.capabilities.limits if is_thought else model.capabilities.biases) == (
            busy if is_thought else "ids"
        )


async def test_a_server_that_ignores_a_logit_bias_is_refused_before_anything_is_spent(served) -> None:
    async with FaultServer(biases=None) as server:
        model = served(server)
        await model.prepare()
        n_before = len(server.bodies)
        run = Run(model)
        with pytest.raises(UsageError, match="words does not support a logit bias: its server ignores logit_bias"):
            await run.draw(HELLO, 3, Params(logit_bias=(("so", -3.0),)))
        assert len(server.bodies) == n_before


async def test_fields_that_a_server_rejects_are_left_out(served) -> None:
    rejects = frozenset({"min_p", "repetition_penalty", "logprobs", "seed", "stream"})
    async with FaultServer(rejects=rejects) as server:
        model = served(server)
        await model.prepare()
        can = model.capabilities
        assert not {"min_p", "repetition_penalty"} - set(can.rejects)
        assert (can.seed, can.logprobs, can.stream) == (False, False, False)
        (draw,) = await Run(model).draw(HELLO, 1)
    assert draw.text
    assert draw.seed is None


async def test_max_completion_tokens_where_max_tokens_is_refused(served) -> None:
    async with FaultServer(rejects=frozenset({"max_tokens"})) as server:
        model = served(server)
        with pytest.raises(Exception, match="rejects a plain question"):
            await model.prepare()
    async with FaultServer(owned_by="openai") as server:
        model = served(server)
        await model.prepare()
        assert "max_completion_tokens" in server.bodies[0]


async def test_probing_is_spend_and_is_done_once(served) -> None:
    async with FaultServer() as server:
        model = served(server)
        run = Run(model)
        await run.prepare()
        n_probes = len(server.bodies)
        assert 8 <= n_probes <= 25
        assert run.spent == run.fresh == model.capabilities.cost
        assert run.spent.calls == n_probes
        assert run.spent.output_tokens == server.counts["words"]
        await run.draw(HELLO, 1)
        assert len(server.bodies) == n_probes + 1


async def test_probing_that_no_ceiling_leaves_room_for_is_not_done(served) -> None:
    async with FaultServer() as server:
        run = Run(served(server), budget=Budget(calls=2))
        draws = await run.draw(HELLO, 5)
        assert len(server.bodies) == 2
    assert len(draws) == 2
    assert run.spent.calls == 2


async def test_what_was_found_is_kept_on_disk_until_the_server_is_another(served, monkeypatch) -> None:
    async with FaultServer() as server:
        model = served(server)
        await model.prepare()
        (file,) = known.folder().glob("*.json")
        assert file == known.place(model.deployment)
        n_probes = len(server.bodies)
        monkeypatch.setattr(known, "_known", {})
        assert model.capabilities is not None
        assert model.refuses(HELLO.extend("so"), Params()) is None
        here = await opened(model.deployment)
        here.can = None
        await Run(model).draw(HELLO, 1)
        assert len(server.bodies) == n_probes + 1, "of the same version: known"
        server.version, here.can = "2", None
        await Run(model).draw(HELLO, 1)
        assert len(server.bodies) > n_probes + 5, "of another version: found out anew"
        assert model.capabilities.version == "2"


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"form": 1}', '{"form": 0}', "\xff"])
def test_a_damaged_file_is_as_if_it_were_not_there(served, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = served(FaultServer(url="http://127.0.0.1:9/v1"))
    monkeypatch.setattr(known, "_known", {})
    place: Path = known.place(model.deployment)
    place.parent.mkdir(parents=True)
    place.write_text(text, encoding="latin-1")
    assert model.capabilities is None


async def test_a_bank_that_has_all_needs_no_server(served) -> None:
    from mull import MemoryBank

    bank = MemoryBank()
    async with FaultServer() as server:
        model = served(server)
        first = Run(model, bank=bank)
        await first.prepare()
        draws = await first.draw(HELLO, 3)
    again = Run(model, bank=bank)
    await again.prepare()
    assert await again.draw(HELLO, 3) == draws


def test_a_greedy_reply_is_cut_where_going_on_differs_from_beginning_anew() -> None:
    assert cuts("one two three four five")[0] == 13
    assert cuts("1 1 1 1 1 1 1 1") == []
    assert cuts("no") == []
    assert goes_on(" four five six", "one two three four five", 13)
    assert not goes_on("one two three", "one two three four five", 13)
    assert not goes_on("", "one two three four five", 13)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "unsafe"),
        ("{{ messages.append(1) }}", "unsafe"),
        ("{% for i in range(10**9) %}x{% endfor %}", "Range too big"),
        ("{{ raise_exception('no system prompts') }}", "no system prompts"),
        ("{% if %}", "cannot be rendered"),
        ("{{ 1 / 0 }}", "cannot be rendered"),
    ],
)
def test_a_template_is_not_trusted(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        ChatTemplate(text).render(HELLO)


def test_a_template_renders_as_templates_do() -> None:
    template = ChatTemplate(TEMPLATE, bos_token="<s>")
    assert template.render(HELLO.extend("par")) == "<s>[I]hello[/I]par"
    assert template.without_bos("<s>[I]") == "[I]"
