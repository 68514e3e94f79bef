"""Settings that only one kind of backend has: a frozen dataclass each, one described field a setting.

Names, types, defaults, choices and texts are read from the fields, by the command line and by the node's parameters.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Union

from ..errors import UserError

Value = Union[bool, int, float, str]

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def option(
    default: Value, text: str, *, choices: tuple[str, ...] = (), low: float | None = None, high: float | None = None,
    parameter: str = "",
) -> Any:
    """A field of an options class. choices: of a text. low, high: both ends belong to the range of a number.

    parameter: what the node calls it; empty: BACKEND_FIELD. A name that backends share is one parameter for all.
    """
    facts = {"text": text, "choices": choices, "low": low, "high": high, "parameter": parameter}
    return dataclasses.field(default=default, metadata=facts)


def parameter_name(backend: str, field: dataclasses.Field) -> str:
    """What the node calls this setting."""
    return field.metadata["parameter"] or f"{backend}_{field.name}"


@dataclass(frozen=True)
class NoOptions:
    """For a backend without settings of its own."""


@dataclass(frozen=True)
class ProcessOptions:
    """For a backend in a process of its own."""

    python: str = option(
        "", "Interpreter that has lava-nc, for backends that need it. Empty: the one that 'make lava' made.",
        parameter="lava_python",
    )
    open_timeout: float = option(
        60.0, "Seconds within which a backend with a process of its own must be ready.", low=1.0, high=3600.0,
        parameter="backend_open_timeout",
    )
    step_timeout: float = option(
        30.0, "Seconds that such a backend's time step may take before it counts as hung.", low=0.1, high=3600.0,
        parameter="backend_step_timeout",
    )


def parse_pairs(pairs: Sequence[str]) -> dict[str, str]:
    """``NAME=VALUE`` texts as a mapping. Raises UserError for one without a name or given twice."""
    values: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals) or name in values:
            raise UserError(f"backend option {pair!r}: write NAME=VALUE, each name once")
        values[name] = value
    return values


def make_options(kind: type, given: Mapping[str, Value], backend: str) -> Any:
    """An options object from values by name; texts are read as the field's type.

    Raises UserError that names option and backend for an unknown name, a wrong type or a value that is not allowed.
    """
    fields = {field.name: field for field in dataclasses.fields(kind)}
    values = {}
    for name, value in given.items():
        if name not in fields:
            known = ", ".join(fields) or "none"
            raise UserError(f"backend option {name!r}: the {backend} backend does not have it; it has {known}")
        values[name] = _checked(fields[name], value, f"{backend} option {name}")
    return kind(**values)


def _checked(field: dataclasses.Field, value: Value, what: str) -> Value:
    value = _as_type(type(field.default), value, what)
    choices, low, high = (field.metadata[key] for key in ("choices", "low", "high"))
    if choices and value not in choices:
        raise UserError(f"{what} {value!r}: unknown; use {', '.join(choice or 'an empty text' for choice in choices)}")
    if low is not None and not low <= value <= high:
        raise UserError(f"{what} {value}: must lie between {low} and {high}")
    return value


def _as_type(kind: type, value: Value, what: str) -> Value:
    if kind is bool:
        text = str(value).lower()
        if text not in _TRUE + _FALSE:
            raise UserError(f"{what} {value!r}: write true or false")
        return text in _TRUE
    if kind is str:
        return str(value)
    try:
        number = kind(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if math.isnan(number):
        raise UserError(f"{what} {value!r}: write a {'whole ' if kind is int else ''}number")
    return number
