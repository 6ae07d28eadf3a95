"""The ONNX graph that the embedded runtime reads beside a checkpoint: operators and names, without weights."""

from __future__ import annotations

from typing import Any

import onnx
from onnx import TensorProto, helper

CONTRIB = "com.microsoft"


class Graph:
    """Nodes in order, and weights declared by name and shape only."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(self, op: str, inputs: list[str], outputs: list[str], domain: str = "", **attributes: object) -> str:
        self.nodes.append(helper.make_node(op, inputs, outputs, domain=domain, **attributes))
        return outputs[0]

    def weight(self, name: str, *shape: int) -> str:
        tensor = TensorProto(name=name, dims=shape, data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value="model.safetensors")
        self.weights.append(tensor)
        return name


def decoder(config: dict[str, Any], block: int) -> onnx.ModelProto:
    """Token ids [rows, length], each row's last position, keys and values -> logits [rows, length, outputs].

    `config` is a Llama's `config.json`. A language model has an output for each token of the vocabulary, a reward
    model one.
    """
    width, head, hidden = config["hidden_size"], config["head_dim"], config["intermediate_size"]
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    vocabulary, context, eps = config["vocab_size"], config["max_position_embeddings"] + block, config["rms_norm_eps"]
    n_outputs = vocabulary if config["architectures"][0].endswith("ForCausalLM") else 1
    g = Graph()
    g.weight("cos", context, head // 2)
    g.weight("sin", context, head // 2)
    inputs = [
        helper.make_tensor_value_info("ids", TensorProto.INT32, ["rows", "length"]),
        helper.make_tensor_value_info("last", TensorProto.INT32, ["rows"]),
        helper.make_tensor_value_info("total", TensorProto.INT32, []),
    ]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", "length", n_outputs])]
    cache_shape = ["rows", kv_heads, "capacity", head]

    def add_and_norm(residual: str, x: str, weight: str) -> tuple[str, str]:
        """RMSNorm of the sum, and the sum."""
        names = [f"{weight}.normed", "", "", f"{weight}.sum"]
        g.add("SkipSimplifiedLayerNormalization", [residual, x, g.weight(weight, width)], names, CONTRIB, epsilon=eps)
        return names[0], names[3]

    residual = g.add("Gather", [g.weight("embed", vocabulary, width), "ids"], ["embedded"])
    x = ""
    for i in range(config["num_hidden_layers"]):
        if i == 0:
            weight = g.weight("attention_norm.0", width)
            normed = g.add(
                "SimplifiedLayerNormalization", [residual, weight], ["attention_norm.0.normed"], axis=-1, epsilon=eps
            )
        else:
            normed, residual = add_and_norm(residual, x, f"attention_norm.{i}")
        qkv = g.weight(f"qkv.{i}", width, (heads + 2 * kv_heads) * head)
        x = g.add("MatMul", [normed, qkv], [f"qkv.{i}.out"])
        for kind in ("key", "value"):
            inputs.append(helper.make_tensor_value_info(f"past_{kind}.{i}", TensorProto.FLOAT, cache_shape))
            outputs.append(helper.make_tensor_value_info(f"present_{kind}.{i}", TensorProto.FLOAT, cache_shape))
        x = g.add(
            "GroupQueryAttention",
            [x, "", "", f"past_key.{i}", f"past_value.{i}", "last", "total", "cos", "sin"],
            [f"attention.{i}", f"present_key.{i}", f"present_value.{i}"],
            CONTRIB,
            num_heads=heads,
            kv_num_heads=kv_heads,
            do_rotary=1,
        )
        x = g.add("MatMul", [x, g.weight(f"o.{i}", heads * head, width)], [f"o.{i}.out"])
        normed, residual = add_and_norm(residual, x, f"mlp_norm.{i}")
        # Two products: the result of one product of double width would have to be split again.
        for part in ("gate", "up"):
            g.add("MatMul", [normed, g.weight(f"{part}.{i}", width, hidden)], [f"{part}.{i}.out"])
        x = g.add("QuickGelu", [f"gate.{i}.out"], [f"silu.{i}"], CONTRIB, alpha=1.0)
        x = g.add("Mul", [x, f"up.{i}.out"], [f"gated.{i}"])
        x = g.add("MatMul", [x, g.weight(f"down.{i}", hidden, width)], [f"down.{i}.out"])
    normed, _ = add_and_norm(residual, x, "norm")
    g.add("MatMul", [normed, g.weight("head", width, n_outputs)], ["logits"])
    graph = helper.make_graph(g.nodes, "decoder", inputs, outputs, g.weights)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid(CONTRIB, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)
