"""Changes of an ONNX graph: activations that events can compute, and trained weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import UserError
from ...network.onnx.reading import load_onnx_package

_SMOOTH = ("Sigmoid", "HardSigmoid")
_DIRECT = ("HardSwish", "LeakyRelu")


def make_event_friendly(model: Any) -> tuple[Any, int]:
    """Replaces SiLU, HardSwish and LeakyReLU by ReLU, which is 0 for half of all values.

    Args:
        model: An ONNX ModelProto, which is left as it is.

    Returns:
        The new graph, in which a rectifier's result has the name that the old activation's had, and how many
        activations were replaced.

    Raises:
        UserError: The graph has no such activation.
    """
    onnx = load_onnx_package()
    changed = type(model)()
    changed.CopyFrom(model)
    gates = {node.output[0]: node for node in model.graph.node if node.op_type in _SMOOTH}
    nodes, gone, replaced = [], set(), 0
    for node in model.graph.node:
        source = (find_gated(node, gates) if node.op_type == "Mul"
                  else node.input[0] if node.op_type in _DIRECT else None)
        if source is None:
            nodes.append(node)
            continue
        nodes.append(onnx.helper.make_node("Relu", [source], [node.output[0]], name=node.name))
        gone.update(set(node.input) - {source})
        replaced += 1
    if not replaced:
        raise UserError("it has no SiLU, HardSwish or LeakyReLU to replace by ReLU")
    still_read = {name for node in nodes for name in node.input} | {output.name for output in model.graph.output}
    del changed.graph.node[:]
    changed.graph.node.extend(node for node in nodes if node.output[0] not in gone - still_read)
    return changed, replaced


def find_gated(node: Any, gates: Mapping[str, Any]) -> str | None:
    """The value that a product takes times its own gate, such as a sigmoid; None for another product."""
    for name, other in (tuple(node.input), tuple(node.input)[::-1]):
        if name in gates and gates[name].input[0] == other:
            return str(other)
    return None


def set_weights(model: Any, weights: Mapping[str, tuple[np.ndarray, np.ndarray | None]]) -> Any:
    """A graph with other weights.

    Args:
        model: An ONNX ModelProto, which is left as it is.
        weights: Weight and bias of convolutions, by the name of their outputs.

    Returns:
        The new graph.
    """
    onnx = load_onnx_package()
    changed = type(model)()
    changed.CopyFrom(model)
    replaced = {node.input[place] for node in changed.graph.node if node.output[0] in weights
                for place in range(1, len(node.input))}
    kept = [tensor for tensor in changed.graph.initializer if tensor.name not in replaced]
    del changed.graph.initializer[:]
    changed.graph.initializer.extend(kept)
    for number, node in enumerate(changed.graph.node):
        if node.output[0] not in weights:
            continue
        del node.input[1:]
        for part, value in zip(("weight", "bias"), weights[node.output[0]]):
            if value is not None:
                node.input.append(f"trained{number}.{part}")
                changed.graph.initializer.append(
                    onnx.numpy_helper.from_array(np.ascontiguousarray(value, np.float32), node.input[-1]))
    return changed
