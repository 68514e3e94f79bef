"""Operators as JSON can hold them, and back. Every field is checked against the type that the class gives it."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, get_args, get_origin, get_type_hints

from ..operators.convolution import Convolution
from ..operators.elementwise import Activate, Add, Multiply
from ..operators.geometry import Window
from ..operators.pooling import AveragePool, MaxPool
from ..operators.quantized import TileOperator
from ..operators.resizing import Resize
from ..operators.routing import ChannelSelect, Concat, SpaceToDepth

OPERATORS: dict[str, type[Any]] = {kind.__name__: kind for kind in (
    Convolution, Add, Multiply, Activate, MaxPool, AveragePool, Resize, Concat, ChannelSelect, SpaceToDepth)}
"""Classes by name. A new operator is entered here."""

MAX_WHOLE = 16_384
"""Of all whole numbers: channels, kernel sides, strides, padding."""
MAX_ITEMS = 16_384
_BLOCK = frozenset(((0, 0), (0, 1), (1, 0), (1, 1)))


def operator_to_plain(operator: Any) -> dict[str, Any]:
    """An operator by the name of its class, and its fields.

    >>> operator_to_plain(Resize(2))
    {'kind': 'Resize', 'factor': 2, 'is_linear': False}

    Args:
        operator: An instance of a class of ``OPERATORS``.

    Returns:
        What ``operator_from_plain`` reads.
    """
    return {"kind": type(operator).__name__, **_to_plain(operator)}


def operator_from_plain(plain: Any) -> TileOperator:
    """Reads what ``operator_to_plain`` has made.

    Args:
        plain: That, or anything.

    Returns:
        The operator.

    Raises:
        ValueError: It is damaged, or an operator that is not known.
    """
    if not isinstance(plain, dict) or str(plain.get("kind")) not in OPERATORS:
        raise ValueError("an unknown operator")
    given = {name: value for name, value in plain.items() if name != "kind"}
    operator: TileOperator = _from_plain(given, OPERATORS[str(plain["kind"])])
    _check(operator)
    return operator


def _to_plain(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: _to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, tuple):
        return [_to_plain(item) for item in value]
    return value


def _from_plain(plain: Any, kind: Any) -> Any:
    """A value of a type: a class with fields, a tuple, an enumeration, or a number."""
    if get_origin(kind) is tuple:
        return _tuple_from_plain(plain, get_args(kind))
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        names = [field.name for field in fields(kind)]
        if not isinstance(plain, dict) or set(plain) != set(names):
            raise ValueError(f"damaged fields of {getattr(kind, '__name__', kind)}")
        made = {name: _from_plain(plain[name], hints[name]) for name in names}
        return kind(**made)  # type: ignore[operator]
    if isinstance(kind, type) and issubclass(kind, Enum):
        if not isinstance(plain, str) or plain not in kind.__members__:
            raise ValueError(f"an unknown {kind.__name__}")
        return kind[plain]
    if kind is float:
        if type(plain) not in (int, float) or not math.isfinite(plain) or abs(plain) > 1e6:
            raise ValueError("a number is needed")
        return float(plain)
    if type(plain) is not kind or (kind is int and not 0 <= plain <= MAX_WHOLE):
        raise ValueError(f"{getattr(kind, '__name__', kind)} is needed")
    return plain


def _tuple_from_plain(plain: Any, kinds: tuple[Any, ...]) -> tuple[Any, ...]:
    if not isinstance(plain, list) or len(plain) > MAX_ITEMS:
        raise ValueError("a list is needed")
    items = kinds[:1] * len(plain) if kinds[-1] is Ellipsis else kinds
    if len(items) != len(plain):
        raise ValueError(f"a list of {len(items)} is needed")
    return tuple(_from_plain(item, kind) for item, kind in zip(plain, items))


def _check(operator: Any) -> None:
    """What the types of fields cannot say."""
    window: Window | None = getattr(operator, "window", None)
    if window is not None and min(*window.kernel, window.stride) < 1:
        raise ValueError("a window without pixels")
    if isinstance(operator, Convolution) and operator.groups < 1:
        raise ValueError("a convolution without groups")
    if isinstance(operator, Resize) and not 1 <= operator.factor <= 64:
        raise ValueError(f"a resize by {operator.factor}")
    if isinstance(operator, ChannelSelect) and not operator.channels:
        raise ValueError("a selection of nothing")
    if isinstance(operator, SpaceToDepth) and not (operator.order and {*operator.order} <= _BLOCK):
        raise ValueError("pixels that a block of 2x2 does not have")
