"""Lowers convolutions, pools and padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...tiles.operators.activations import Kind
from ...tiles.operators.convolution import Convolution
from ...tiles.operators.elementwise import Activate
from ...tiles.operators.geometry import Window
from ...tiles.operators.pooling import AveragePool, MaxPool
from .body import Body, fixed_numbers
from .values import CannotLower, Padded, Pointwise, Tensor, Value

_LARGEST_KERNEL = 64
_NOT_NEGATIVE = (Kind.RELU, Kind.RELU6, Kind.SIGMOID, Kind.HARD_SIGMOID)


def lower_convolution(body: Body, node: Any, values: Sequence[Value | None], attributes: dict[str, Any]) -> Tensor:
    """Lowers a Conv."""
    base, extra = _unpad(body, node, values[0])
    weight = fixed_numbers(values[1])
    bias = fixed_numbers(values[2]) if len(values) > 2 and values[2] is not None else None
    if weight is None or weight.dtype.kind != "f" or (len(values) > 2 and values[2] is not None and bias is None):
        raise CannotLower(node, "its weights are no constants")
    if weight.ndim != 4:
        raise CannotLower(node, f"a kernel with {weight.ndim - 2} axes")
    groups = attributes.get("group", 1)
    if len(weight) % groups or weight.shape[1] * groups != body.channels(base):
        raise CannotLower(node, f"weights of shape {list(weight.shape)} do not fit {body.channels(base)} channels")
    if bias is not None and bias.shape != (len(weight),):
        raise CannotLower(node, f"{bias.size} biases for {len(weight)} channels")
    dilated = _dilate(node, weight, attributes.get("dilations", [1, 1]))
    window = _window(body, node, base, dilated.shape[2:], attributes, extra)
    parameters = {"weight": np.ascontiguousarray(dilated.transpose(0, 2, 3, 1), np.float32),
                  "bias": np.zeros(len(weight), np.float32) if bias is None else bias.astype(np.float32)}
    return body.emit(node, node.output[0], Convolution(window, groups), [base], parameters)


def lower_max_pool(body: Body, node: Any, values: Sequence[Value | None], attributes: dict[str, Any]) -> Tensor:
    """Lowers a MaxPool."""
    base, extra = _unpad(body, node, values[0])
    if any(extra) and not _is_not_negative(body, base):
        raise CannotLower(node, "zeros around values that can be negative")
    if len(node.output) > 1 or set(attributes.get("dilations", [1])) != {1}:
        raise CannotLower(node, "indices or dilations")
    return body.emit(node, node.output[0], MaxPool(_window(body, node, base, None, attributes, extra)), [base])


def lower_average_pool(body: Body, node: Any, values: Sequence[Value | None], attributes: dict[str, Any]) -> Tensor:
    """Lowers an AveragePool."""
    base, extra = _unpad(body, node, values[0])
    counts = bool(attributes.get("count_include_pad", 0))
    if set(attributes.get("dilations", [1])) != {1}:
        raise CannotLower(node, "dilations")
    window = _window(body, node, base, None, attributes, extra)
    own = _window(body, node, base, None, attributes, (0, 0, 0, 0), is_checked=False)
    if any(extra) and any(own.pads) and not counts:
        raise CannotLower(node, "padding that counts and padding that does not")
    if counts and attributes.get("ceil_mode"):
        raise CannotLower(node, "padding that counts, with ceil_mode")
    return body.emit(node, node.output[0], AveragePool(window, counts or any(extra)), [base])


def lower_pad(body: Body, node: Any, values: Sequence[Value | None], attributes: dict[str, Any]) -> Padded | None:
    """Lowers a Pad with zeros at the sides of the picture; None for any other."""
    pads = fixed_numbers(values[1]) if len(values) > 1 else np.array(attributes.get("pads", []))
    filled = fixed_numbers(values[2]) if len(values) > 2 and values[2] is not None else attributes.get("value", 0.0)
    axes = fixed_numbers(values[3]) if len(values) > 3 and values[3] is not None else np.arange(4)
    if pads is None or filled is None or axes is None or len(pads) != 2 * len(axes):
        return None
    if attributes.get("mode", "constant") != "constant" or np.any(filled):
        return None
    before, after = ([0] * 4 for _ in range(2))
    for place, axis in enumerate(axes.tolist()):
        before[axis], after[axis] = int(pads[place]), int(pads[place + len(axes)])
    if min(*before, *after) < 0 or any((*before[:2], *after[:2])) or max(*before, *after) > _LARGEST_KERNEL:
        return None
    if not isinstance(values[0], (Tensor, Pointwise, Padded)):
        return None
    base, extra = _unpad(body, node, values[0])
    first, second, third, fourth = (old + new for old, new in zip(extra, (*before[2:], *after[2:])))
    return Padded(base, (first, second, third, fourth), node)


def _unpad(body: Body, node: Any, value: Value | None) -> tuple[str, tuple[int, int, int, int]]:
    """A tensor, and the zeros around it."""
    if isinstance(value, Padded):
        return value.base, value.pads
    return body.need(value, node).name, (0, 0, 0, 0)


def _is_not_negative(body: Body, name: str) -> bool:
    operator = next((node.operator for node in reversed(body.nodes) if node.name == name), None)
    return isinstance(operator, Activate) and operator.activation.kind in _NOT_NEGATIVE


def _dilate(node: Any, weight: np.ndarray, dilations: list[int]) -> np.ndarray:
    """The kernel with zeros between its weights."""
    rows, cols = ((size - 1) * step + 1 for size, step in zip(weight.shape[2:], dilations))
    if max(rows, cols) > _LARGEST_KERNEL:
        raise CannotLower(node, f"a kernel of {rows}x{cols}")
    if (rows, cols) == weight.shape[2:]:
        return weight
    dilated = np.zeros((*weight.shape[:2], rows, cols), weight.dtype)
    dilated[:, :, ::dilations[0], ::dilations[1]] = weight
    return dilated


def _window(body: Body, node: Any, base: str, kernel: Sequence[int] | None, attributes: dict[str, Any],
            extra: tuple[int, int, int, int], is_checked: bool = True) -> Window:
    """The window of a convolution or pool; the same at all sizes."""
    kernel = list(kernel or attributes.get("kernel_shape", ()))
    strides = attributes.get("strides", [1] * len(kernel))
    if len(kernel) != 2 or len(strides) != 2 or max(kernel) > _LARGEST_KERNEL:
        raise CannotLower(node, f"a kernel of {'x'.join(map(str, kernel))}")
    if strides[0] != strides[1]:
        raise CannotLower(node, f"different strides of rows and columns ({strides[0]} and {strides[1]})")
    found = {_pads(node, shape, kernel, strides[0], attributes, extra) for shape in body.shapes[base]}
    if len(found) != 1:
        raise CannotLower(node, "padding that depends on the size of the picture")
    pads = found.pop()
    if is_checked and max(pads) >= _LARGEST_KERNEL:
        raise CannotLower(node, f"padding of {max(pads)}")
    return Window((kernel[0], kernel[1]), strides[0], pads)


def _pads(node: Any, shape: tuple[int, int, int], kernel: list[int], stride: int, attributes: dict[str, Any],
          extra: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """Padding above, left, below and right for one size."""
    kind = attributes.get("auto_pad", "NOTSET")
    given = list(attributes.get("pads", [0] * 4))
    if len(given) != 4 or min(given) < 0:
        raise CannotLower(node, f"pads {given}")
    if kind == "VALID":
        given = [0] * 4
    sides = [length + extra[axis] + extra[axis + 2] for axis, length in enumerate(shape[:2])]
    for axis, length in enumerate(sides):
        if kind in ("SAME_UPPER", "SAME_LOWER"):
            total = max((-(-length // stride) - 1) * stride + kernel[axis] - length, 0)
            given[axis] = total // 2 if kind == "SAME_UPPER" else -(-total // 2)
            given[axis + 2] = total - given[axis]
        elif attributes.get("ceil_mode"):
            room = length + given[axis] + given[axis + 2] - kernel[axis]
            windows = -(-room // stride) + 1
            # A window that would begin in the padding behind the picture is left out.
            windows -= (windows - 1) * stride >= length + given[axis]
            given[axis + 2] += max((windows - 1) * stride - room, 0)
    first, second, third, fourth = (own + more for own, more in zip(given, extra))
    return first, second, third, fourth
