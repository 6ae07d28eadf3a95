"""The conventions of published reward models, by name."""

from __future__ import annotations

from mull.errors import UnknownNameError, UsageError
from mull.verifiers.reading import Reading

_QWEN = ("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<extra_0>")
_LLAMA = ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
_MATH = "Please reason step by step, and put your final answer within \\boxed{}."

PRESETS = {
    "qwen-math-prm": Reading(
        "chat",
        "class",
        "softmax",
        split="\n\n",
        system=_MATH,
        template="chatml",
        tag="<extra_0>",
        tag_id=151651,
        index=1,
        at="tag",
        fold="prod",
        reserved=_QWEN,
    ),
    "qwen-math-rm": Reading(
        "chat", "value", "sigmoid", system=_MATH, template="chatml", reserved=_QWEN, server="classify"
    ),
    "math-shepherd": Reading(
        "plain",
        "pair",
        "softmax",
        split="\n",
        start="{question} ",
        label="Step {i}: ",
        tag=" ки",
        tag_id=12902,
        joint="\n",
        pair=("+", "-"),
        pair_ids=(648, 387),
        at="tag",
        fold="min",
        reserved=("<s>", "</s>"),
    ),
    "skywork-prm": Reading(
        "plain", "value", "sigmoid", split="\n", start="{question}\n", tag="\n", at="piece", reserved=_QWEN
    ),
    "skywork-reward": Reading(
        "chat", "value", "sigmoid", reserved=(*_QWEN, *_LLAMA, "<start_of_turn>", "<end_of_turn>"), server="classify"
    ),
    "rlhflow-prm": Reading(
        "turns",
        "pair",
        "softmax",
        split="\n\n",
        start="{question} ",
        template="llama3",
        pair=("+", "-"),
        pair_ids=(10, 12),
        reserved=_LLAMA,
        server="chat",
    ),
    "rlhflow-orm": Reading(
        "turns",
        "pair",
        "softmax",
        start="{question} ",
        template="llama3",
        pair=("+", "-"),
        pair_ids=(10, 12),
        reserved=_LLAMA,
        server="chat",
    ),
    "bradley-terry": Reading("chat", "value", "sigmoid", server="classify"),
    "cross-encoder": Reading("plain", "value", "sigmoid", start="{question}", server="score"),
}
"""Reward models by name. The fold is the one published with the model: product for Qwen2.5-Math-PRM, minimum for
Math-Shepherd; the last step if none is named."""


def preset(name: str, *, is_process: bool) -> Reading:
    """The conventions of a known reward model; raises `UsageError` for a preset of the other kind."""
    known = {key: reading for key, reading in PRESETS.items() if reading.is_process == is_process}
    if name in PRESETS and name not in known:
        kinds = ("orm", "prm") if is_process else ("prm", "orm")
        raise UsageError(f"{name} is not a preset of {kinds[1]}: write {kinds[0]}:preset={name},...")
    if name not in known:
        raise UnknownNameError("preset of a reward model", name, known)
    return known[name]
