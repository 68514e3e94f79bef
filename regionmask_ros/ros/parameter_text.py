"""Parameters of a running node as text: values as YAML, and whole parameter files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from rclpy.parameter import Parameter

from ..errors import UserError, quote_outside
from .parameter_files import PARAMETERS_KEY

_EXPECTED = {
    Parameter.Type.BOOL: "true or false",
    Parameter.Type.INTEGER: "a whole number",
    Parameter.Type.DOUBLE: "a number",
    Parameter.Type.STRING_ARRAY: "a list of texts, such as [person, car]",
}


def parse_value(name: str, text: str, kind: Parameter.Type) -> Parameter:
    """Reads a value as YAML, as ``ros2 param set`` does, for a parameter whose type is known.

    Args:
        name: Name of the parameter.
        text: As the user wrote it. For a text, what YAML takes for something else stays as it is: ``1e5`` or ``no``.
        kind: Type of the parameter.

    Returns:
        Name and value.

    Raises:
        UserError: The text has no value of this type.
    """
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = text
    if kind is Parameter.Type.STRING and not isinstance(value, str):
        value = text
    if kind is Parameter.Type.DOUBLE:
        value = _read_number(value)
    if kind is Parameter.Type.STRING_ARRAY and isinstance(value, list):
        value = [str(item) for item in value]
    try:
        # For Python, true is the number 1.
        return Parameter(name, kind, None if kind is Parameter.Type.INTEGER and isinstance(value, bool) else value)
    except (ValueError, TypeError, OverflowError):
        raise UserError(f"{name} {quote_outside(text)}: must be {_EXPECTED.get(kind, kind.name.lower())}") from None


def _read_number(value: Any) -> Any:
    """A whole number, and what YAML takes for a text (``1e-3``), are numbers here."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return value
    try:
        return float(value)
    except (ValueError, OverflowError):
        return value


class _Quoted(str):
    """A text that is written in quotes: ROS's reader of parameter files takes ``1e5`` for a number, PyYAML does not."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        """ROS's reader knows no references to a value that comes twice."""
        return True


_Dumper.add_representer(_Quoted, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, '"'))


def format_value(value: Any) -> str:
    """Writes a value in one line of YAML, as `parse_value` reads it."""
    return _dump(value, flow=True).removesuffix("\n").removesuffix("\n...")


def format_file(node: str, values: Mapping[str, Any]) -> str:
    """Writes a parameter file, as ``--params-file`` reads it.

    Args:
        node: Full name of the node.
        values: Values by name. Dots in names separate levels.

    Returns:
        The file's content.
    """
    nested: dict[str, Any] = {}
    for name, value in values.items():
        *levels, last = name.split(".")
        place = nested
        for level in levels:
            place = place.setdefault(level, {})
        place[last] = _quote(value)
    return _dump({node: {PARAMETERS_KEY: nested}}, flow=False)


def _quote(value: Any) -> Any:
    if isinstance(value, str):
        return _Quoted(value)
    return [_quote(item) for item in value] if isinstance(value, list) else value


def _dump(value: Any, flow: bool) -> str:
    return str(yaml.dump(value, Dumper=_Dumper, default_flow_style=flow, sort_keys=False, width=2**20,
                         allow_unicode=False))
