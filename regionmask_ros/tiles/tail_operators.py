"""Operators of ONNX in NumPy: those that detectors have behind their last convolutions, and around shapes.

All floating-point numbers are float32, unless the caller gives float64 only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np

from .operators.activations import Activation, Kind

MAX_ELEMENTS = 1 << 24
"""Of one result."""
LAYOUT = frozenset(("Reshape", "Transpose", "Concat", "Split", "Slice", "Squeeze", "Unsqueeze", "Flatten", "Gather",
                    "Identity", "Dropout", "Cast"))
"""Operators that only move values, apart from the conversion of Cast."""

Attributes = Mapping[str, Any]
_Inputs = Sequence[Any]
_Function = Callable[[_Inputs, Attributes], Any]
_FLOATS, _OTHERS = (1, 10, 11, 16), {2: np.uint8, 3: np.int8, 6: np.int32, 7: np.int64, 9: np.bool_}


def compute(operator: str, inputs: Sequence[np.ndarray | None], attributes: Attributes) -> list[np.ndarray]:
    """Computes an operator.

    Args:
        operator: A key of ``OPERATORS``.
        inputs: None: left out.
        attributes: As ONNX has them, texts as str.

    Returns:
        The outputs, possibly views of inputs.

    Raises:
        ValueError: The inputs do not fit the operator, or the result is larger than ``MAX_ELEMENTS``.
    """
    try:
        with np.errstate(all="ignore"):
            result = OPERATORS[operator](inputs, attributes)
    except (TypeError, IndexError, KeyError, AttributeError, OverflowError, MemoryError) as error:
        raise ValueError(f"{operator}: its inputs do not fit ({error})") from error
    return [np.asarray(part) for part in result] if isinstance(result, list) else [np.asarray(result)]


def _limit(count: int) -> None:
    if count > MAX_ELEMENTS:
        raise ValueError(f"a result of more than {MAX_ELEMENTS:,} numbers")


def _broadcast(function: Callable[..., Any]) -> _Function:
    """An operator element by element, of any number of arrays."""
    def run(inputs: _Inputs, _: Attributes) -> Any:
        if len(inputs) > 1:
            _limit(math.prod(np.broadcast_shapes(*(part.shape for part in inputs))))
        return function(*inputs)

    return run


def _divide(first: np.ndarray, second: np.ndarray) -> Any:
    if first.dtype.kind not in "iu":
        return np.divide(first, second)
    # Integers are divided toward zero.
    return np.trunc(first / np.where(second == 0, 1, second)).astype(first.dtype)


def _reshape(inputs: _Inputs, attributes: Attributes) -> Any:
    data, target = inputs
    keeps_zero = attributes.get("allowzero", 0)
    return data.reshape([data.shape[place] if size == 0 and not keeps_zero else size
                         for place, size in enumerate(np.ravel(target).tolist())])


def _axes(inputs: _Inputs, attributes: Attributes) -> tuple[int, ...] | None:
    """The axes of Squeeze, Unsqueeze and reductions: an attribute, or an input since opset 13 or 18."""
    axes: Any = inputs[1] if len(inputs) > 1 and inputs[1] is not None else attributes.get("axes")
    found = () if axes is None else tuple(np.asarray(axes).ravel().tolist())
    return found or None


def _slice(inputs: _Inputs, attributes: Attributes) -> Any:
    data = inputs[0]
    given: list[Any] = ([*inputs[1:], None, None][:4] if len(inputs) > 1
                        else [attributes.get(name) for name in ("starts", "ends", "axes", "steps")])
    starts, ends, axes, steps = given
    starts, ends = (np.ravel(values).tolist() for values in (starts, ends))
    axes = range(len(starts)) if axes is None else np.ravel(axes).tolist()
    steps = [1] * len(starts) if steps is None else np.ravel(steps).tolist()
    where = [slice(None)] * data.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps):
        # A start before the first element means the first one; Python's slices would wrap an end of -1.
        last = None if step < 0 and end < -data.shape[axis] else end
        where[axis] = slice(start, last, step)
    return data[tuple(where)]


def _split(inputs: _Inputs, attributes: Attributes) -> Any:
    data, axis = inputs[0], attributes.get("axis", 0)
    sizes = inputs[1] if len(inputs) > 1 and inputs[1] is not None else attributes.get("split")
    if sizes is None:
        length = -(-data.shape[axis] // attributes["count"])
        sizes = [length] * attributes["count"]
    return np.split(data, np.cumsum(sizes)[:-1].tolist(), axis)


def _concat(inputs: _Inputs, attributes: Attributes) -> Any:
    _limit(sum(part.size for part in inputs))
    return np.concatenate(inputs, attributes["axis"])


def _gather(inputs: _Inputs, attributes: Attributes) -> Any:
    data, places = inputs
    axis = attributes.get("axis", 0)
    _limit(data.size // max(data.shape[axis], 1) * places.size)
    if places.ndim == 0:
        return np.moveaxis(data, axis, 0)[int(places)]
    return np.take(data, places, axis)


def _expand(inputs: _Inputs, _: Attributes) -> Any:
    shape = np.broadcast_shapes(inputs[0].shape, tuple(np.ravel(inputs[1]).tolist()))
    _limit(math.prod(shape))
    return np.broadcast_to(inputs[0], shape)


def _tile(inputs: _Inputs, _: Attributes) -> Any:
    repeats = np.ravel(inputs[1]).tolist()
    _limit(inputs[0].size * math.prod(repeats))
    return np.tile(inputs[0], repeats)


def _range(inputs: _Inputs, _: Attributes) -> Any:
    start, end, step = (np.ravel(part)[0] for part in inputs)
    _limit(math.ceil((float(end) - float(start)) / float(step)) if step else MAX_ELEMENTS + 1)
    return np.arange(start, end, step, dtype=inputs[0].dtype)


def _constant_of_shape(inputs: _Inputs, attributes: Attributes) -> Any:
    shape = np.ravel(inputs[0]).tolist()
    _limit(math.prod(shape))
    value = attributes.get("value", 0.0)
    return np.full(shape, value, np.int64 if isinstance(value, int) else np.float32)


def _cast(inputs: _Inputs, attributes: Attributes) -> Any:
    kind = attributes["to"]
    if kind in _FLOATS:
        return inputs[0] if inputs[0].dtype.kind == "f" else inputs[0].astype(np.float32)
    return inputs[0].astype(_OTHERS[kind])


def _softmax(inputs: _Inputs, attributes: Attributes) -> Any:
    data, axis = inputs[0], attributes.get("axis", -1)
    if attributes.get("flat"):  # Before opset 13: over all axes from this one on.
        axis += data.ndim if axis < 0 else 0
        flat = data.reshape(math.prod(data.shape[:axis]), -1)
        return _softmax([flat], {}).reshape(data.shape)
    powers = np.exp(data - data.max(axis, keepdims=True))
    powers /= powers.sum(axis, keepdims=True)
    return powers


def _reduce(function: Callable[..., Any]) -> _Function:
    def run(inputs: _Inputs, attributes: Attributes) -> Any:
        return function(inputs[0], axis=_axes(inputs, attributes), keepdims=bool(attributes.get("keepdims", 1)))

    return run


def _arg_max(inputs: _Inputs, attributes: Attributes) -> Any:
    axis = attributes.get("axis", 0)
    found = np.argmax(inputs[0], axis)
    return np.expand_dims(found, axis) if attributes.get("keepdims", 1) else found


def _clip(inputs: _Inputs, attributes: Attributes) -> Any:
    low, high = ([*inputs[1:], None, None][:2] if len(inputs) > 1 else
                 (attributes.get("min"), attributes.get("max")))
    data = inputs[0]
    if low is not None:
        data = np.maximum(data, np.asarray(low, data.dtype))
    return data if high is None else np.minimum(data, np.asarray(high, data.dtype))


def _mat_mul(inputs: _Inputs, _: Attributes) -> Any:
    _limit(inputs[0].size * inputs[1].shape[-1])
    return np.matmul(inputs[0], inputs[1])


def _point_convolution(inputs: _Inputs, _: Attributes) -> Any:
    """A convolution with a kernel of 1x1 and one output channel, which is a weighted sum of channels."""
    data, weight = inputs[:2]
    summed = np.tensordot(data, weight.reshape(-1), (1, 0))[:, None]
    return summed if len(inputs) < 3 or inputs[2] is None else summed + inputs[2].reshape(1, 1, 1, 1)


def _activate(inputs: _Inputs, attributes: Attributes) -> Any:
    data, factor, addend = inputs
    activation = Activation(Kind(attributes["kind"]), attributes["alpha"], attributes["beta"])
    return activation.evaluate(data * factor + addend)


def _flatten(inputs: _Inputs, attributes: Attributes) -> Any:
    shape, axis = inputs[0].shape, attributes.get("axis", 1)
    return inputs[0].reshape(math.prod(shape[:axis] if axis else ()), -1)


def _leaky(inputs: _Inputs, attributes: Attributes) -> Any:
    data = inputs[0]
    return np.where(data > 0, data, data * data.dtype.type(attributes.get("alpha", 0.01)))


def _hard_sigmoid(inputs: _Inputs, attributes: Attributes) -> Any:
    data = inputs[0]
    number = data.dtype.type
    return np.clip(data * number(attributes.get("alpha", 0.2)) + number(attributes.get("beta", 0.5)), 0, 1)


OPERATORS: Mapping[str, _Function] = {
    "Reshape": _reshape,
    "Transpose": lambda i, a: np.transpose(i[0], a.get("perm")),
    "Concat": _concat,
    "Split": _split,
    "Slice": _slice,
    "Squeeze": lambda i, a: np.squeeze(i[0], _axes(i, a)),
    "Unsqueeze": lambda i, a: np.expand_dims(i[0], _axes(i, a) or ()),
    "Flatten": _flatten,
    "Gather": _gather,
    "Identity": lambda i, _: i[0],
    "Dropout": lambda i, _: i[0],
    "Cast": _cast,
    "Expand": _expand,
    "Tile": _tile,
    "Range": _range,
    "ConstantOfShape": _constant_of_shape,
    "Shape": lambda i, a: np.array(i[0].shape[a.get("start", 0):a.get("end")], np.int64),
    "Size": lambda i, _: np.array(i[0].size, np.int64),
    "Add": _broadcast(np.add),
    "Sub": _broadcast(np.subtract),
    "Mul": _broadcast(np.multiply),
    "Div": _broadcast(_divide),
    "Pow": _broadcast(lambda base, power: np.power(base, power.astype(base.dtype))),
    "Mod": _broadcast(np.mod),
    "Min": _broadcast(lambda *parts: reduce(np.minimum, parts)),
    "Max": _broadcast(lambda *parts: reduce(np.maximum, parts)),
    "Sum": _broadcast(lambda *parts: reduce(np.add, parts)),
    "Equal": _broadcast(np.equal),
    "Greater": _broadcast(np.greater),
    "Less": _broadcast(np.less),
    "GreaterOrEqual": _broadcast(np.greater_equal),
    "LessOrEqual": _broadcast(np.less_equal),
    "And": _broadcast(np.logical_and),
    "Or": _broadcast(np.logical_or),
    "Not": lambda i, _: np.logical_not(i[0]),
    "Where": _broadcast(np.where),
    "Neg": lambda i, _: np.negative(i[0]),
    "Abs": lambda i, _: np.abs(i[0]),
    "Exp": lambda i, _: np.exp(i[0]),
    "Log": lambda i, _: np.log(i[0]),
    "Sqrt": lambda i, _: np.sqrt(i[0]),
    "Reciprocal": lambda i, _: 1 / i[0],
    "Floor": lambda i, _: np.floor(i[0]),
    "Ceil": lambda i, _: np.ceil(i[0]),
    "Round": lambda i, _: np.rint(i[0]),
    "Tanh": lambda i, _: np.tanh(i[0]),
    "Softplus": lambda i, _: np.logaddexp(i[0], i[0].dtype.type(0)),
    "Relu": lambda i, _: np.maximum(i[0], 0),
    "LeakyRelu": _leaky,
    "Sigmoid": lambda i, _: 1 / (1 + np.exp(-i[0])),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": lambda i, _: i[0] * _hard_sigmoid(i, {"alpha": 1 / 6}),
    "Swish": lambda i, a: i[0] / (1 + np.exp(-i[0] * i[0].dtype.type(a.get("alpha", 1.0)))),
    "Clip": _clip,
    "Softmax": _softmax,
    "ReduceSum": _reduce(np.sum),
    "ReduceMean": _reduce(np.mean),
    "ReduceMax": _reduce(np.max),
    "ReduceMin": _reduce(np.min),
    "ReduceProd": _reduce(np.prod),
    "ArgMax": _arg_max,
    "MatMul": _mat_mul,
    "PointConvolution": _point_convolution,
    "Activate": _activate,
}
"""By name; the last two are no operators of ONNX."""
