"""The embedded runtime against an independent forward pass, and what it promises about draws, batches and costs."""

import asyncio
import itertools
import json
import math
import random
import shutil
from collections import Counter
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mull import Cost, Draw, Finish, Message, Params, Prompt, Run, Sample, UsageError
from mull.cost.flops import read_config
from mull.models.embedded import EmbeddedModel, Mini, Nano, NanoR1, NanoThink
from mull.runtime import WEIGHTS
from mull.runtime.session import read_safetensors
from mull.tasks.synthetic import ChainTask, CountdownTask
from mull.testing import FakePurse

NANO = Nano()
PROMPT = Prompt.user("b:a+45;a:9;c:b-30;c?")
Floats = NDArray[np.float64]


def draw(
    prompt: Prompt = PROMPT, seeds: tuple[int, ...] = (1,), params: Params | None = None, model: EmbeddedModel = NANO
) -> list[Sample]:
    return asyncio.run(draw_async(prompt, seeds, params, model))


async def draw_async(
    prompt: Prompt, seeds: tuple[int, ...], params: Params | None = None, model: EmbeddedModel = NANO
) -> list[Sample]:
    draws = [Draw(i, seed) for i, seed in enumerate(seeds)]
    samples = [s async for s in model.sample(prompt, params or Params(max_tokens=60), draws, FakePurse())]
    return sorted(samples, key=lambda s: s.draw)


def plain(samples: list[Sample]) -> list[tuple[str, tuple[float, ...] | None, Finish]]:
    """What must be the same bit by bit."""
    return [(s.text, s.logprobs, s.finish) for s in samples]


class Reference:
    """A Llama forward pass in float64, written from its definition, sharing nothing with the runtime."""

    def __init__(self, folder: Path) -> None:
        self.config = json.loads((folder / "config.json").read_text())
        self.w = {name: t.astype(np.float64) for name, t in read_safetensors(folder / "model.safetensors").items()}

    def norm(self, x: Floats, name: str) -> Floats:
        scale = np.sqrt((x**2).mean(-1, keepdims=True) + self.config["rms_norm_eps"])
        return x / scale * self.w[f"{name}.weight"]

    def rotate(self, x: Floats) -> Floats:
        length, _, head = x.shape
        angles = np.arange(length)[:, None] * 10000.0 ** (-np.arange(0, head, 2) / head)[None]
        cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
        a, b = x[..., : head // 2], x[..., head // 2 :]
        return np.concatenate((a * cos - b * sin, b * cos + a * sin), -1)

    def logprobs(self, ids: list[int]) -> Floats:
        """[length, vocabulary] natural log-probabilities of the next token after each token."""
        c, w = self.config, self.w
        heads, kv_heads, head, length = c["num_attention_heads"], c["num_key_value_heads"], c["head_dim"], len(ids)
        x = w["model.embed_tokens.weight"][ids]
        mask = np.triu(np.full((length, length), -np.inf), 1)
        for i in range(c["num_hidden_layers"]):
            p = f"model.layers.{i}"
            h = self.norm(x, f"{p}.input_layernorm")
            q = self.rotate((h @ w[f"{p}.self_attn.q_proj.weight"].T).reshape(length, heads, head))
            k = self.rotate((h @ w[f"{p}.self_attn.k_proj.weight"].T).reshape(length, kv_heads, head))
            v = (h @ w[f"{p}.self_attn.v_proj.weight"].T).reshape(length, kv_heads, head)
            mixed = np.zeros((length, heads, head))
            for j in range(heads):
                g = j // (heads // kv_heads)
                scores = q[:, j] @ k[:, g].T / math.sqrt(head) + mask
                weights = np.exp(scores - scores.max(-1, keepdims=True))
                mixed[:, j] = weights / weights.sum(-1, keepdims=True) @ v[:, g]
            x = x + mixed.reshape(length, -1) @ w[f"{p}.self_attn.o_proj.weight"].T
            h = self.norm(x, f"{p}.post_attention_layernorm")
            gate = h @ w[f"{p}.mlp.gate_proj.weight"].T
            x = (
                x
                + (gate / (1 + np.exp(-gate)) * (h @ w[f"{p}.mlp.up_proj.weight"].T)) @ w[f"{p}.mlp.down_proj.weight"].T
            )
        logits = self.norm(x, "model.norm") @ w["model.embed_tokens.weight"].T
        return (
            logits
            - np.log(np.exp(logits - logits.max(-1, keepdims=True)).sum(-1, keepdims=True))
            - logits.max(-1, keepdims=True)
        )


def ids_of(model: EmbeddedModel, prompt: Prompt, text: str) -> tuple[list[int], list[int]]:
    return model._ids(prompt), model._model.tokens.encode(text)


@pytest.mark.parametrize("model", [Nano(), Mini(), NanoR1(), NanoThink()], ids=lambda model: model.name)
def test_greedy_text_and_log_probabilities_are_the_models_own(model: EmbeddedModel) -> None:
    reference = Reference(Path(model.folder))
    for prompt in (PROMPT, Prompt.user("reach 21 with 3 7 2")):
        (sample,) = draw(prompt, (1,), Params(temperature=0.0, max_tokens=40), model)
        asked, told = ids_of(model, prompt, sample.text)
        expected = reference.logprobs(asked + told)[len(asked) - 1 :]
        assert sample.logprobs is not None
        assert [int(row.argmax()) for row in expected[: len(told)]] == told
        got = sample.logprobs[: len(told)]
        assert got == pytest.approx([row[token] for row, token in zip(expected, told, strict=False)], abs=1e-4)


def test_sampled_log_probabilities_are_the_models_own_at_any_temperature() -> None:
    reference = Reference(Path(NANO.folder))
    for sample in draw(seeds=(3, 4), params=Params(temperature=1.7, max_tokens=30, top_p=0.99)):
        asked, told = ids_of(NANO, PROMPT, sample.text)
        expected = reference.logprobs(asked + told)[len(asked) - 1 :]
        assert sample.logprobs is not None
        for row, token, got in zip(expected, told, sample.logprobs, strict=False):
            assert got == pytest.approx(row[token], abs=1e-4)


def test_a_logit_bias_shifts_the_odds_and_leaves_the_log_probabilities() -> None:
    """Six thousand second tokens of a countdown: the odds of `7` against the rest fall by the factor e^-1.5 that the
    bias says. The log odds have a standard error below .04; false alarm below 1e-4 at 4 of them.
    """
    prompt = Prompt.user("reach 21 with 3 7 2").extend("<think>\n")
    chances = np.exp(Reference(Path(NANO.folder)).logprobs(NANO._ids(prompt))[-1])
    seven = NANO._model.tokens.encode("7")[0]
    samples = draw(prompt, tuple(range(6000)), Params(max_tokens=1, logit_bias=(("7", -1.5),)))
    share = sum(s.text == "7" for s in samples) / len(samples)
    expected = math.log(chances[seven] / (1 - chances[seven])) - 1.5
    assert abs(math.log(share / (1 - share)) - expected) < 0.16
    (sample,) = [s for s in samples if s.text == "7"][:1]
    assert sample.logprobs is not None
    assert sample.logprobs[0] == pytest.approx(math.log(chances[seven]), abs=1e-4)


def test_a_greedy_reply_under_a_logit_bias_avoids_the_token() -> None:
    params = Params(temperature=0.0, max_tokens=30)
    (free,) = draw(PROMPT, (1,), params)
    (held,) = draw(PROMPT, (1,), Params(0.0, 30, logit_bias=(("c:", -100.0),)))
    assert free.text.startswith("<think>\nc:")
    assert "c:" not in held.text.split("\n")[1]
    with pytest.raises(UsageError, match="cannot read 'H'"):
        asyncio.run(Run(NANO).draw(PROMPT, 1, Params(logit_bias=(("Hmm", -3.0),))))
    with pytest.raises(UsageError, match="a logit bias is a text and a number"):
        asyncio.run(Run(NANO).draw(PROMPT, 1, Params(logit_bias=(("", -3.0),))))


def test_the_likeliest_tokens_are_told_where_they_are_asked_for() -> None:
    reference, names = Reference(Path(NANO.folder)), NANO._model.tokens.token_of
    (plainly,) = draw(seeds=(3,))
    for sample in draw(seeds=(3, 4), params=Params(max_tokens=60, logprobs=5)):
        asked, told = ids_of(NANO, PROMPT, sample.text)
        expected = reference.logprobs(asked + told)[len(asked) - 1 :]
        assert sample.alternatives is not None
        assert sample.logprobs is not None
        assert len(sample.alternatives) == len(sample.logprobs)
        for row, place in zip(expected, sample.alternatives, strict=False):
            best = np.argsort(-row)[:5]
            assert [name for name, _ in place] == [names[i] for i in best]
            assert [p for _, p in place] == pytest.approx(row[best], abs=1e-3)
        assert plainly.draw != sample.draw or (sample.text, sample.logprobs) == (plainly.text, plainly.logprobs)
    assert plainly.alternatives is None


def test_tokens_are_drawn_with_the_models_probabilities() -> None:
    """The second token of a countdown, 4,000 draws: a chi-square whose false-alarm rate is 0.001."""
    prompt = Prompt.user("reach 21 with 3 7 2").extend("<think>\n")
    samples = draw(prompt, tuple(range(4000)), Params(max_tokens=1))
    expected = np.exp(Reference(Path(NANO.folder)).logprobs(NANO._ids(prompt))[-1])
    counts = Counter(NANO._model.tokens.encode(s.text)[0] if s.text else 2 for s in samples)
    common = [i for i in range(len(expected)) if 4000 * expected[i] >= 5]
    rest = 1 - sum(expected[i] for i in common)
    observed = [counts[i] for i in common] + [4000 - sum(counts[i] for i in common)]
    means = [4000 * expected[i] for i in common] + [max(4000 * rest, 1.0)]
    statistic = sum((o - m) ** 2 / m for o, m in zip(observed, means, strict=True))
    freedom = len(observed) - 1
    # Wilson-Hilferty: the 0.999 quantile of chi-square.
    limit = freedom * (1 - 2 / (9 * freedom) + 3.0902 * math.sqrt(2 / (9 * freedom))) ** 3
    assert len(common) >= 3
    assert statistic < limit


prompts = st.sampled_from(
    [p.prompt for p in itertools.islice(ChainTask(3).problems(), 3)]
    + [p.prompt for p in itertools.islice(CountdownTask(3).problems(), 2)]
)


@settings(max_examples=15)
@given(
    st.lists(st.tuples(prompts, st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=9)), min_size=1, max_size=5)
)
def test_a_draw_does_not_depend_on_what_runs_beside_it(asks: list[tuple[Prompt, list[int]]]) -> None:
    async def together() -> list[list[Sample]]:
        return await asyncio.gather(*(draw_async(prompt, tuple(seeds)) for prompt, seeds in asks))

    for (prompt, seeds), samples in zip(asks, asyncio.run(together()), strict=True):
        assert plain(samples) == [row for seed in seeds for row in plain(draw(prompt, (seed,)))]


def test_many_draws_of_one_prompt_are_the_same_as_one_by_one() -> None:
    seeds = tuple(range(150))
    whole = draw(seeds=seeds)
    assert plain(whole)[::29] == [row for seed in seeds[::29] for row in plain(draw(seeds=(seed,)))]
    assert len({s.text for s in whole}) > 1


def continued(prompts: list[Prompt], seeds: tuple[int, ...] = (9, 10)) -> list[list[Sample]]:
    return [draw(prompt, seeds) for prompt in prompts]


def test_a_prefix_is_computed_once_and_changes_nothing() -> None:
    """Prompts that extend one another, in any order, known or forgotten: the same bits; what was known is cached."""
    engine = NANO._model.engine
    (whole,) = draw(seeds=(5,), params=Params(max_tokens=70))
    steps = [PROMPT.extend(whole.text[:i]) for i in (0, 10, 25, len(whole.text) // 2, len(whole.text))]
    warm = continued(steps)
    n_prompt = len(NANO._ids(steps[-1]))
    assert [samples[0].cost.cached_tokens for samples in warm[1:]] == [len(NANO._ids(step)) - 1 for step in steps[1:]]
    assert warm[-1][1].cost.cached_tokens == n_prompt
    engine.forget()
    backwards = continued(steps[::-1])[::-1]
    cold = []
    for step in steps:
        engine.forget()
        cold += continued([step])
    assert cold[-1][0].cost.cached_tokens == 0
    assert [plain(s) for s in warm] == [plain(s) for s in backwards] == [plain(s) for s in cold]


def test_what_was_written_and_what_was_told_are_not_taken_for_each_other() -> None:
    """The same tokens as a beginning of a reply and inside an earlier turn are computed in different ways."""
    talk = Prompt((*PROMPT.messages, Message("assistant", "answer: 24"), Message("user", "a:7;a?")))
    engine = NANO._model.engine
    engine.forget()
    alone = draw(talk, (1, 2))
    engine.forget()
    draw(PROMPT.extend("answer: 24"), (1, 2))
    assert plain(draw(talk, (1, 2))) == plain(alone)


def test_many_beginnings_at_once_are_the_same_as_one_by_one() -> None:
    """More requests than rows of a block, of all lengths, some of them equal, with draws beside them."""
    (whole,) = draw(seeds=(5,), params=Params(max_tokens=70))
    ends = [0, *(i + 1 for i, character in enumerate(whole.text) if character in "=:\n")]
    prompts = [PROMPT.extend(whole.text[: ends[7 * i % len(ends)]]) for i in range(24)]
    NANO._model.engine.forget()
    one_by_one = continued(prompts)

    async def at_once() -> list[list[Sample]]:
        return await asyncio.gather(*(draw_async(prompt, (9, 10)) for prompt in prompts))

    for _ in range(2):
        NANO._model.engine.forget()
        assert list(map(plain, asyncio.run(at_once()))) == list(map(plain, one_by_one))


def test_greedy_goes_on_from_a_prefix_as_if_it_had_never_stopped() -> None:
    """Text and log-probabilities, bit by bit."""
    greedy = Params(temperature=0.0, max_tokens=60)
    (whole,) = draw(params=greedy)
    ends = [i + 1 for i, character in enumerate(whole.text) if character == "\n"]
    for end in ends:
        NANO._model.engine.forget()
        (rest,) = draw(PROMPT.extend(whole.text[:end]), params=greedy)
        assert rest.reply[: len(whole.text)] == whole.text
        n = len(NANO._model.tokens.encode(whole.text[:end]))
        assert (whole.logprobs or ())[n:] == (rest.logprobs or ())[: len(whole.logprobs or ()) - n]


def test_stop_strings_end_a_draw_and_are_cut_off() -> None:
    (whole,) = draw(seeds=(5,))
    assert "think" in whole.text
    (stopped,) = draw(seeds=(5,), params=Params(max_tokens=60, stop=("zzz", whole.text[9:12])))
    assert stopped.finish is Finish.STOP_STRING
    assert stopped.text == whole.text[: whole.text.find(whole.text[9:12])]
    assert stopped.cost.output_tokens < whole.cost.output_tokens  # type: ignore[operator]
    (spanning,) = draw(seeds=(5,), params=Params(max_tokens=60, stop=("think>\n",)))
    assert spanning.text == whole.text[: whole.text.index("think>\n")]


def test_max_tokens_cuts_and_says_so() -> None:
    (sample,) = draw(params=Params(max_tokens=7))
    assert sample.finish is Finish.LENGTH
    assert sample.cost.output_tokens == 7
    assert len(sample.logprobs or ()) == 7


def test_an_end_token_is_counted_but_not_told() -> None:
    done = [s for s in draw(seeds=tuple(range(20)), params=Params(max_tokens=400)) if s.finish is Finish.STOP]
    assert done
    for sample in done:
        assert "<eos>" not in sample.text
        assert sample.cost.output_tokens == len(NANO._model.tokens.encode(sample.text)) + 1


def test_top_k_and_top_p_keep_the_likely_tokens() -> None:
    (greedy,) = draw(params=Params(temperature=0.0, max_tokens=30))
    assert draw(seeds=(1, 2), params=Params(max_tokens=30, top_k=1))[1].text == greedy.text
    assert draw(seeds=(1, 2), params=Params(max_tokens=30, top_p=1e-9))[1].text == greedy.text
    hot = draw(seeds=tuple(range(30)), params=Params(temperature=3.0, max_tokens=20, top_k=2))
    reference = Reference(Path(NANO.folder))
    for sample in hot[:3]:
        asked, told = ids_of(NANO, PROMPT, sample.text)
        rows = reference.logprobs(asked + told)[len(asked) - 1 :]
        assert all(int((row > row[token]).sum()) < 2 for row, token in zip(rows, told, strict=False))


def test_the_prompt_is_counted_as_computed_once() -> None:
    samples = draw(seeds=(1, 2, 3))
    n = len(NANO._ids(PROMPT))
    assert [s.cost.prompt_tokens for s in samples] == [n, n, n]
    assert [s.cost.cached_tokens for s in samples] == [0, n, n]
    architecture = read_config(Path(NANO.folder, "config.json"))
    for sample, cached in zip(samples, (0, n, n), strict=True):
        assert sample.cost.flops == architecture.draw(n, sample.cost.output_tokens or 0, cached)
        assert sample.cost.usd == 0.0


def test_a_quote_is_never_exceeded() -> None:
    params = Params(max_tokens=50)
    quote = NANO.quote(PROMPT, params)
    for sample in draw(seeds=tuple(range(20)), params=params):
        assert sample.cost.output_tokens <= quote.output_tokens  # type: ignore[operator]
        assert sample.cost.flops <= quote.flops  # type: ignore[operator]


def test_draws_that_finished_together_with_the_last_one_taken_are_told_as_lost() -> None:
    purse = FakePurse()

    async def first() -> None:
        draws = [Draw(i, i) for i in range(20)]
        async with aclosing(NANO.sample(PROMPT, Params(max_tokens=1), draws, purse)) as stream:
            await anext(stream)

    asyncio.run(first())
    # A worker begins with its share, half of them, and all of a share end after their one token.
    assert len(purse.losses) >= 9


def test_leaving_early_frees_the_rows_and_tells_what_was_lost() -> None:
    purse = FakePurse()
    draws = [Draw(i, i) for i in range(300)]

    async def leave() -> int:
        stream = NANO.sample(PROMPT, Params(max_tokens=400), draws, purse)
        async for _ in stream:
            break
        await stream.aclose()
        return 1

    asyncio.run(leave())
    assert 0 < len(purse.losses) < 300
    assert all(cost.calls == 1 and cost.output_tokens is not None for cost in purse.losses)
    engine = NANO._model.engine
    assert not engine._waiting
    assert len(draw(seeds=(1,))) == 1
    assert sum(engine._active.values()) == 0


def test_a_run_that_is_left_gives_its_budget_back() -> None:
    run = Run(NANO, params=Params(max_tokens=400))

    async def leave() -> None:
        async with run.sample(PROMPT, 100) as draws:
            async for _ in draws:
                break

    asyncio.run(leave())
    assert run.held == Cost()
    assert run.spent.calls is not None
    assert 1 <= run.spent.calls <= 100


def test_several_event_loops_may_share_the_engine() -> None:
    first = draw(seeds=(1, 2))
    assert plain(draw(seeds=(1, 2))) == plain(first)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        (Prompt.user("Hello, world"), r"cannot read 'H'"),
        (Prompt.user("a:7;a?\x00"), r"cannot read '\\x00'"),
        (Prompt.user("a:7;" * 200), r"the prompt has \d+ tokens, and nano reads at most 511"),
        (Prompt((Message("system", "a"),)), r"the roles user and assistant, not 'system'"),
    ],
)
def test_prompts_that_it_cannot_take_are_refused_before_anything_runs(prompt: Prompt, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        NANO.quote(prompt, Params())
    with pytest.raises(UsageError, match=message):
        draw(prompt)


def test_what_a_user_writes_is_never_a_special_token() -> None:
    special = {NANO._model.tokens.id_of[token] for token in ("<bos>", "<eos>", "<user>", "<assistant>", "<pad>")}
    assert not special & set(NANO._model.tokens.encode("<eos><bos>a:7;a?<assistant>"))


def test_a_conversation_is_rendered_turn_by_turn() -> None:
    talk = Prompt((Message("user", "a:7;a?"), Message("assistant", "answer: 7"), Message("user", "b:8;b?")))
    ids = NANO._ids(talk)
    of = NANO._model.tokens.id_of
    assert ids.count(of["<bos>"]) == 2
    assert ids.count(of["<eos>"]) == 1
    assert ids[-1] == of["<assistant>"]


@pytest.mark.parametrize("name", ["nano", "mini", "nano-r1", "nano-think"])
def test_the_shipped_files_are_complete_and_small(name: str) -> None:
    folder = WEIGHTS / name
    assert {file.name for file in folder.iterdir()} - {"README.md"} == {
        "config.json", "decoder.onnx", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip
    assert (folder / "decoder.onnx").stat().st_size < 20_000
    assert sum(file.stat().st_size for file in WEIGHTS.rglob("*")) < 15_000_000


def test_mini_has_fourteen_times_the_parameters() -> None:
    sizes = {m.name: m._model.engine.session.n_parameters for m in (Nano(), Mini())}
    assert sizes["mini"] / sizes["nano"] == pytest.approx(14, abs=0.5)


def test_the_identity_is_that_of_the_weights(tmp_path: Path) -> None:
    copy = tmp_path / "nano"
    shutil.copytree(NANO.folder, copy)
    assert EmbeddedModel(str(copy)).identity == NANO.identity
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    assert EmbeddedModel(str(copy)).identity != NANO.identity


def test_weights_that_are_replaced_are_read_anew(tmp_path: Path) -> None:
    """As in a training loop: a model made afterwards draws with the new weights, one made before with the old ones."""

    async def drawn(model: EmbeddedModel) -> list[str]:
        draws = [Draw(i, 1000 + i) for i in range(4)]
        return sorted([s.text async for s in model.sample(PROMPT, Params(max_tokens=40), draws, FakePurse())])

    folder = tmp_path / "copy"
    shutil.copytree(NANO.folder, folder)
    old, late = EmbeddedModel(str(folder)), EmbeddedModel(str(folder))
    assert old.identity == late.identity
    before = asyncio.run(drawn(old))
    assert before == asyncio.run(drawn(NANO))
    shutil.copytree(Mini().folder, folder, dirs_exist_ok=True)
    new = EmbeddedModel(str(folder))
    after = asyncio.run(drawn(new))
    assert after == asyncio.run(drawn(Mini())) != before
    assert asyncio.run(drawn(old)) == before
    with pytest.raises(UsageError, match="were replaced after this model was made"):
        asyncio.run(drawn(late))
    assert asyncio.run(drawn(EmbeddedModel(str(folder)))) == after


@settings(max_examples=20)
@given(
    st.lists(
        st.sampled_from(["a:7;", "b:a*3;", "Wait", "<think>", "\n", "reach 12 with 3 4", "left", "x?"]), max_size=8
    )
)
def test_text_survives_the_tokenizer(parts: list[str]) -> None:
    text = "".join(parts)
    assert NANO._model.tokens.decode(NANO._model.tokens.encode(text)) == text


def test_an_engine_that_breaks_tells_everybody_who_waits() -> None:
    from mull.errors import ModelError

    model = EmbeddedModel(NANO.folder)
    engine = model._model.engine
    rng = random.Random(0)
    broken = Params(max_tokens=20, temperature=float("nan"), top_k=rng.randint(1, 3))
    bad_draws = [Draw(0, -1)]

    async def ask() -> None:
        async for _ in model.sample(PROMPT, broken, bad_draws, FakePurse()):
            pass

    with pytest.raises(ModelError, match="nano failed"):
        asyncio.run(ask())
    assert sum(engine._active.values()) == 0
    assert len(draw(seeds=(1,))) == 1
