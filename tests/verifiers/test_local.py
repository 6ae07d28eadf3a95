"""Reward models in this process: transformers reads the same numbers as an independent forward pass.

`nano`'s weights are a Llama checkpoint that transformers loads; beside it, classifiers with random weights are made on
the spot. Needs torch and transformers, which `make test-torch` installs.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest

import mull
from mull import spec
from mull.errors import UsageError
from mull.run.calls import MeteredCalls
from mull.runtime.session import Binding, Session
from mull.types import Finish, Problem, Prompt, Sample
from mull.verifiers.reading import Reading, RewardInput, Rows, sigmoid, softmax
from mull.verifiers.reward import Inside, RewardModel

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from mull.verifiers.local import Local  # noqa: E402

NANO = Path(mull.__file__).parent / "weights" / "nano"
PROBLEM = Problem("p", Prompt.user("a:7;b:a*6;b?"))
REPLY = "b:a\nb:a*6=7*6=42\nanswer: 42"


def sample(text: str = REPLY) -> Sample:
    return Sample(PROBLEM.prompt, text, Finish.STOP)


class Embedded:
    """A causal model on the embedded runtime as a reward model: a Backend of a dozen lines, and no torch."""

    model = "nano"

    def __init__(self) -> None:
        from tokenizers import Tokenizer

        self.tokenizer = Tokenizer.from_file(str(NANO / "tokenizer.json"))
        self.session = Session(NANO)

    async def rows(self, asked: RewardInput, reading: Reading) -> Rows:
        ids = self.tokenizer.encode(f"{asked.head}{asked.body}", add_special_tokens=False).ids
        binding = Binding(self.session, self.session.cache(1, 512), 1, len(ids))
        binding.ids[0] = ids
        binding.last[0] = len(ids) - 1
        binding.run()
        logits = binding.logits[0]
        tag, *pair = (self.tokenizer.token_to_id(token) for token in (reading.tag, *reading.pair))
        ends = [i for i, token in enumerate(ids) if token == tag]
        return Rows([[float(logits[end, token]) for token in pair] for end in ends], False, len(ids))


PLAIN = Reading(
    "plain", "pair", "softmax", split="\n", start="{question}\n", tag=";", joint="\n", pair=("+", "-"), at="tag"
)


async def test_nano_read_by_transformers_and_by_the_embedded_runtime_agrees() -> None:
    """The tag `;` stands in the question too, so both refuse it there."""
    problem = Problem("p", Prompt.user("a:7,b:a*6,b?"))
    local = RewardModel(str(NANO), PLAIN, Inside(Local(str(NANO))), "min")
    embedded = RewardModel("nano", PLAIN, Inside(Embedded()), "min")
    (one,) = await local.score(problem, [sample()], MeteredCalls())
    (two,) = await embedded.score(problem, [sample()], MeteredCalls())
    assert len(one.steps) == 3
    assert one.steps == pytest.approx(two.steps, abs=1e-5)
    assert one.value == min(one.steps)
    assert one.cost.verifier_tokens == two.cost.verifier_tokens
    (refused,) = await local.score(PROBLEM, [sample()], MeteredCalls())
    assert refused.value is None
    assert "the question contains ';'" in refused.why


async def test_turns_are_read_before_each_answer() -> None:
    reading = Reading("turns", "pair", "softmax", split="\n", start="{question}\n", pair=("+", "-"))
    (one,) = await RewardModel(str(NANO), reading, Inside(Local(str(NANO)))).score(PROBLEM, [sample()], MeteredCalls())
    model = transformers.AutoModelForCausalLM.from_pretrained(NANO, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(NANO)
    steps = ["a:7;b:a*6;b?\nb:a", "b:a*6=7*6=42", "answer: 42"]
    text, expected = "", []
    for step in steps:
        text += f"<bos><user>{step}<assistant>"
        ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
        logits = model(ids).logits[0, -1].detach()
        expected.append(softmax([float(logits[tokenizer.convert_tokens_to_ids(t)]) for t in "+-"])[0])
        text += "+<eos>"
    assert one.steps == pytest.approx(expected, abs=1e-5)


@pytest.fixture(scope="module")
def classifiers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Random Llama classifiers of nano's size and tokenizer."""
    torch.manual_seed(5)
    folders = {}
    for kind, n_labels in (("SequenceClassification", 1), ("TokenClassification", 2)):
        config = transformers.AutoConfig.from_pretrained(NANO, num_labels=n_labels)
        config.pad_token_id = 0
        folders[kind] = tmp_path_factory.mktemp(kind)
        getattr(transformers, f"AutoModelFor{kind}").from_config(config).save_pretrained(folders[kind])
        transformers.AutoTokenizer.from_pretrained(NANO).save_pretrained(folders[kind])
    return folders


async def test_a_sequence_classifier_is_an_outcome_model(classifiers: dict[str, Path]) -> None:
    folder = classifiers["SequenceClassification"]
    option = f"orm:model={folder},preset=bradley-terry,server=transformers"
    scores = await spec.build("verifier", spec.VERIFIERS, option).score(
        PROBLEM, [sample(), sample("b:a")], MeteredCalls()
    )
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    for one, reply in zip(scores, (REPLY, "b:a"), strict=True):
        text = f"<bos><user>a:7;b:a*6;b?<assistant>{reply}<eos>"
        ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
        assert one.value == pytest.approx(sigmoid(float(model(ids).logits[0, 0].detach())), abs=1e-6)
    assert scores[0].value != scores[1].value


async def test_a_token_classifier_is_a_process_model(classifiers: dict[str, Path]) -> None:
    folder = classifiers["TokenClassification"]
    reading = Reading("chat", "class", "softmax", split="\n", tag="<", index=1, at="tag", fold="prod")
    (one,) = await RewardModel("m", reading, Inside(Local(str(folder)))).score(PROBLEM, [sample()], MeteredCalls())
    model = transformers.AutoModelForTokenClassification.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    text = "<bos><user>a:7;b:a*6;b?<assistant>b:a<b:a*6=7*6=42<answer: 42<<eos>"
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
    at = [i for i, token in enumerate(ids[0].tolist()) if token == tokenizer.convert_tokens_to_ids("<")]
    chances = torch.softmax(model(ids).logits[0, at].detach().double(), -1)[:, 1]
    assert one.steps == pytest.approx(chances.tolist(), abs=1e-6)
    assert one.value == pytest.approx(np.prod(chances.numpy()))


async def test_pieces_are_tokenized_one_by_one(classifiers: dict[str, Path]) -> None:
    folder = classifiers["TokenClassification"]
    reading = Reading(
        "plain", "class", "softmax", split="\n", start="{question}\n", tag="\n", index=1, at="piece", fold="mean"
    )
    (one,) = await RewardModel("m", reading, Inside(Local(str(folder)))).score(PROBLEM, [sample()], MeteredCalls())
    model = transformers.AutoModelForTokenClassification.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    ids = tokenizer("a:7;b:a*6;b?\n" + REPLY + "\n", add_special_tokens=False, return_tensors="pt")["input_ids"]
    at = [i for i, token in enumerate(ids[0].tolist()) if token == tokenizer.convert_tokens_to_ids("\n")][1:]
    chances = torch.softmax(model(ids).logits[0, at].detach().double(), -1)[:, 1]
    assert one.steps == pytest.approx(chances.tolist(), abs=1e-6)


async def test_a_head_that_was_never_trained_is_refused() -> None:
    """transformers makes up the weights that a checkpoint lacks, and only warns: such a model would score at random."""
    verifier = spec.build("verifier", spec.VERIFIERS, f"orm:model={NANO},preset=bradley-terry,server=transformers")
    with pytest.raises(UsageError, match=r"it has no score\.weight"):
        await verifier.score(PROBLEM, [sample()], MeteredCalls())


async def test_a_model_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    verifier = spec.build("verifier", spec.VERIFIERS, f"orm:model={tmp_path},preset=bradley-terry,server=transformers")
    with pytest.raises(UsageError, match="transformers cannot load"):
        await verifier.score(PROBLEM, [sample()], MeteredCalls())


async def test_weights_put_in_a_folder_later_are_those_that_score(classifiers: dict[str, Path], tmp_path: Path) -> None:
    """A verifier made before the weights were replaced does not score with others under its name."""
    folder, reading = tmp_path / "model", Reading("chat", "value", "sigmoid")
    shutil.copytree(classifiers["SequenceClassification"], folder)
    first = RewardModel("m", reading, Inside(Local(str(folder))))
    (old,) = await first.score(PROBLEM, [sample()], MeteredCalls())
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        model.score.weight.mul_(-1)
    model.save_pretrained(folder)
    (new,) = await RewardModel("m", reading, Inside(Local(str(folder)))).score(PROBLEM, [sample()], MeteredCalls())
    assert new.value == pytest.approx(1 - old.value, abs=1e-6)
    with pytest.raises(UsageError, match="were replaced after this model was made"):
        await first.score(PROBLEM, [sample()], MeteredCalls())
