"""Write MiniLM's ONNX graph from its safetensors: six BERT layers, mean pooling, normalisation.

A text's vector must be the same to the last bit whatever else is in the call, or a resumed run would not end with the
rows of an unbroken one. Two choices serve that:

- The texts of a batch have *equal* token length. Nothing is padded and nothing is masked.
- Activations are quantised row by row, so that every row of a product depends on its own token alone. ONNX Runtime's
  `quantize_dynamic` takes one scale for the whole batch, and its `MatMulNBits` adds up in an order that depends on
  the number of rows.

Weights get 7 bits, not 8: the products of ONNX Runtime on processors without VNNI add pairs in 16 bits, which 8-bit
weights overflow silently. Measured over ESCO (4,000 aliases looked up among 13,412 names) this costs 0.2 points of
R@10 against float32, and is more than twice as fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelmill.errors import MissingExtraError

GRAPH_VERSION = 1
"""Counts up whenever the graph gives other vectors; part of the embedder's fingerprint."""

DIMENSIONS = 384
LAYERS = 6
HEADS = 12
MAX_TOKENS = 256

_LAYER_NORM_EPSILON = 1e-12
_ACTIVATION_STEPS = 127  # of a signed byte, stored around 128 in an unsigned one
_WEIGHT_STEPS = 63  # 7 bits

Weights = Mapping[str, NDArray[np.float32]]


def write_graph(weights: Weights, *, quantised: bool = True, pooled: bool = True) -> bytes:
    """Write the graph as a serialised ONNX model.

    Its input `ids` holds token ids, int64, shape (texts, tokens). Its output is `vectors`, float32, shape (texts, 384),
    rows of length 1; or, before the pooling, `tokens`, float32, shape (texts, tokens, 384), of any length.

    Args:
        weights: The tensors of `model.safetensors`, by their name.
        quantised: Whether the products run on integers; else they run on float32, twice as slow.
        pooled: Whether the output is one vector a text, or one for each of its tokens.

    Raises:
        MissingExtraError: The package onnx is not installed.
    """
    graph = _Graph(weights, quantised=quantised)
    hidden = _embeddings(graph)
    for layer in range(LAYERS):
        hidden = _layer(graph, hidden, f"encoder.layer.{layer}")
    if pooled:
        _pool(graph, hidden)
        return graph.serialise("vectors", ["texts", DIMENSIONS])
    graph.node("Identity", hidden, output="tokens")
    return graph.serialise("tokens", ["texts", "tokens", DIMENSIONS])


class _Graph:
    """A graph under construction: its nodes and constants; values are known by their names."""

    def __init__(self, weights: Weights, *, quantised: bool) -> None:
        try:
            import onnx
        except ImportError as error:
            raise MissingExtraError("the embedder 'minilm'", "local") from error
        self._onnx = onnx
        self.float32: int = onnx.TensorProto.FLOAT
        self.weights = weights
        self.quantised = quantised
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}

    def constant(self, name: str, value: Any, dtype: Any = np.float32) -> str:
        """Add a constant under a name, once, and give the name back."""
        if name not in self._constants:
            array = np.ascontiguousarray(value, dtype=dtype).reshape(np.shape(value))
            self._constants[name] = self._onnx.numpy_helper.from_array(array, name)
        return name

    def weight(self, name: str) -> str:
        """Add a tensor of the model as it is."""
        return self.constant(name, self.weights[name])

    def node(self, kind: str, *inputs: str, output: str = "", domain: str = "", **attributes: Any) -> str:
        """Add a node with one output, and name that output."""
        output = output or f"{kind}.{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(kind, list(inputs), [output], domain=domain, **attributes))
        return output

    def serialise(self, output: str, shape: list[str | int]) -> bytes:
        """Put the parts together, with one output."""
        make, types = self._onnx.helper, self._onnx.TensorProto
        ids = make.make_tensor_value_info("ids", types.INT64, ["texts", "tokens"])
        value = make.make_tensor_value_info(output, types.FLOAT, shape)
        graph = make.make_graph(self._nodes, "minilm", [ids], [value], list(self._constants.values()))
        opsets = [make.make_opsetid("", 18), make.make_opsetid("com.microsoft", 1)]
        model = make.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="labelmill")
        serialised: bytes = model.SerializeToString()
        return serialised


def _embeddings(graph: _Graph) -> str:
    """Sum the embeddings of words, positions and the one token type."""
    words = graph.node("Gather", graph.weight("embeddings.word_embeddings.weight"), "ids")
    positions = graph.weights["embeddings.position_embeddings.weight"][:MAX_TOKENS]
    first_type = graph.weights["embeddings.token_type_embeddings.weight"][0]
    table = graph.constant("positions", positions + first_type)
    zero = graph.constant("zero", [0], np.int64)
    used = graph.node("Slice", table, zero, graph.node("Shape", "ids", start=1, end=2), zero)
    return _layer_norm(graph, graph.node("Add", words, used), "embeddings.LayerNorm")


def _layer(graph: _Graph, hidden: str, name: str) -> str:
    """One BERT layer: attention and feed-forward, each with its residual and its norm after it (post-norm)."""
    attended = _attention(graph, hidden, f"{name}.attention")
    hidden = _layer_norm(graph, graph.node("Add", hidden, attended), f"{name}.attention.output.LayerNorm")
    wide = _dense(graph, hidden, [f"{name}.intermediate.dense"])
    wide = graph.node("Gelu", wide, domain="com.microsoft")  # the exact one, with erf
    narrow = _dense(graph, wide, [f"{name}.output.dense"])
    return _layer_norm(graph, graph.node("Add", hidden, narrow), f"{name}.output.LayerNorm")


def _attention(graph: _Graph, hidden: str, name: str) -> str:
    """Self-attention; queries, keys and values come out of one product."""
    merged = _dense(graph, hidden, [f"{name}.self.{part}" for part in ("query", "key", "value")])
    parts = [
        graph.node(
            "Slice",
            merged,
            graph.constant(f"from.{part}", [part * DIMENSIONS], np.int64),
            graph.constant(f"to.{part}", [(part + 1) * DIMENSIONS], np.int64),
            graph.constant("features", [2], np.int64),
        )
        for part in range(3)
    ]
    mixed = graph.node("MultiHeadAttention", *parts, domain="com.microsoft", num_heads=HEADS)
    return _dense(graph, mixed, [f"{name}.output.dense"])


def _layer_norm(graph: _Graph, values: str, name: str) -> str:
    gain, bias = graph.weight(f"{name}.weight"), graph.weight(f"{name}.bias")
    return graph.node("LayerNormalization", values, gain, bias, axis=-1, epsilon=_LAYER_NORM_EPSILON)


def _dense(graph: _Graph, values: str, names: list[str]) -> str:
    """Multiply by the matrices of some dense layers side by side, and add their biases."""
    matrix = np.concatenate([graph.weights[f"{name}.weight"].T for name in names], axis=1)
    bias = graph.constant(f"{names[0]}.bias", np.concatenate([graph.weights[f"{name}.bias"] for name in names]))
    product = _integer_product if graph.quantised else _float_product
    return graph.node("Add", product(graph, values, matrix, names[0]), bias)


def _float_product(graph: _Graph, values: str, matrix: NDArray[np.float32], name: str) -> str:
    return graph.node("MatMul", values, graph.constant(f"{name}.weight", matrix))


def _integer_product(graph: _Graph, values: str, matrix: NDArray[np.float32], name: str) -> str:
    """Multiply in integers: a scale per row of the activations, a scale per column of the weights."""
    scales = np.maximum(np.abs(matrix).max(axis=0), np.finfo(np.float32).tiny) / _WEIGHT_STEPS
    weights = graph.constant(f"{name}.weight", np.rint(matrix / scales), np.int8)
    quantised, row_scale = _quantise_rows(graph, values)
    product = graph.node("MatMulInteger", quantised, weights, "middle")
    product = graph.node("Cast", product, to=graph.float32)
    product = graph.node("Mul", product, graph.constant(f"{name}.scales", scales))
    return graph.node("Mul", product, row_scale)


def _quantise_rows(graph: _Graph, values: str) -> tuple[str, str]:
    """Turn each row into unsigned bytes around 128, by a scale of its own; name the bytes and the scales."""
    last = graph.constant("last", [-1], np.int64)
    peak = graph.node("ReduceMax", graph.node("Abs", values), last, keepdims=1)
    scale = graph.node("Mul", peak, graph.constant("step", 1 / _ACTIVATION_STEPS))
    scale = graph.node("Max", scale, graph.constant("least", 1e-12))  # a row of zeros
    middle = graph.constant("middle", 128, np.uint8)
    quantised = graph.node("QuantizeLinear", graph.node("Div", values, scale), graph.constant("one", 1.0), middle)
    return quantised, scale


def _pool(graph: _Graph, hidden: str) -> None:
    """Average over the tokens and scale to length 1.

    The sum does for the average, since the length is fixed afterwards. It is a product with a row of ones, because
    ONNX Runtime's reductions add in another order when the batch is a single text.
    """
    tokens = graph.node("Shape", "ids", start=1, end=2)
    shape = graph.node("Concat", graph.constant("one.long", [1], np.int64), tokens, axis=0)
    ones = graph.node("Expand", graph.constant("one", 1.0), shape)
    total = graph.node("Squeeze", graph.node("MatMul", ones, hidden), graph.constant("one.long", [1], np.int64))
    graph.node("LpNormalization", total, output="vectors", axis=-1, p=2)
