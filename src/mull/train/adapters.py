"""Low-rank adapters (LoRA, Hu et al. 2021, arXiv 2106.09685) on a language model, by PEFT, and what they add up to.

An adapter of rank `r` adds `2 B A` to the weight [out, in] of a linear layer, with `A` [r, in] and `B` [out, r], which
alone are trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mull.errors import MissingExtraError

if TYPE_CHECKING:
    from torch import Tensor


def lora_of(rank: int) -> Any:
    """PEFT's options of adapters on all linear layers but the output's; `None` for rank 0: all weights are trained.

    Raises `MissingExtraError` without PEFT.
    """
    if not rank:
        return None
    try:
        from peft import LoraConfig
    except ModuleNotFoundError as error:
        raise MissingExtraError("training with adapters", "peft", "train") from error
    return LoraConfig(task_type="CAUSAL_LM", r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules="all-linear")


def adapters_on(model: Any, rank: int) -> Any:
    """The model with new adapters, which change nothing until they are trained. Raises `MissingExtraError`."""
    options = lora_of(rank)
    from peft import get_peft_model

    return get_peft_model(model, options)


def has_adapters(model: Any) -> bool:
    """Whether a model of transformers has adapters of PEFT."""
    return hasattr(model, "get_base_model")


def weights_of(model: Any) -> dict[str, Tensor]:
    """The weights of a model by the names of its base, what adapters add included; the model is left as it is."""
    plain = model.get_base_model() if has_adapters(model) else model
    found = {
        name.replace(".base_layer.", "."): tensor.detach()
        for name, tensor in plain.state_dict().items()
        if ".lora_" not in name
    }
    for name, layer in plain.named_modules():
        if hasattr(layer, "get_delta_weight"):
            for adapter in layer.active_adapters:
                found[f"{name}.weight"] = found[f"{name}.weight"] + layer.get_delta_weight(adapter).detach()
    return found


def trained_of(model: Any) -> dict[str, Tensor]:
    """Copies of the parameters that are trained, by the names of the model."""
    return {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}


def put_back(model: Any, trained: Mapping[str, Tensor]) -> None:
    """Sets parameters to what `trained_of` copied."""
    model.load_state_dict(trained, strict=False)
