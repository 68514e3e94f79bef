"""How much a graph computes."""

from __future__ import annotations

import math
from collections import Counter

from .inference import ShapeInference
from .reading import load_onnx_package

_SMALLEST_RANK = 2


def count_cost(data: bytes, input_name: str, wh: tuple[int, int]) -> tuple[dict[str, int], int, int | None]:
    """Counts operators, weights, and multiplications of convolutions and matrix products.

    Args:
        data: A checked model.
        input_name: Its image.
        wh: Width and height of the input.

    Returns:
        Number of nodes by operator, number of weights, and multiplications; None if a shape is not known.

    Raises:
        UserError: The package onnx is missing.
    """
    model = load_onnx_package().ModelProto.FromString(data)
    inference = ShapeInference(model, input_name, wh)
    for node in model.graph.node:
        inference.follow(node)
    shapes = inference.shapes
    weights = sum(math.prod(tensor.dims) for tensor in model.graph.initializer if len(tensor.dims) >= _SMALLEST_RANK)
    total = 0
    for node in model.graph.node:
        if node.op_type not in ("Conv", "QLinearConv", "ConvTranspose", "MatMul", "Gemm"):
            continue
        kernel = shapes.get(node.input[3 if node.op_type == "QLinearConv" else 1])
        before, after = shapes.get(node.input[0]), shapes.get(node.output[0])
        if not kernel or not before or not after or None in (*kernel, *before, *after):
            return dict(Counter(node.op_type for node in model.graph.node)), weights, None
        # A convolution's kernel is [outputs, inputs of the group, rows, columns]; of matrices the inner axis counts.
        each = math.prod(kernel[1:]) if "Conv" in node.op_type else before[-1]  # type: ignore[arg-type]
        outputs = before if node.op_type == "ConvTranspose" else after
        total += each * math.prod(outputs)  # type: ignore[operator,arg-type]
    return dict(Counter(node.op_type for node in model.graph.node)), weights, total
