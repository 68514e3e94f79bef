"""The table of parameters as ROS sees it: declaring, reading, and telling a refusal in plain words."""

from __future__ import annotations

from typing import Iterable

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, ParameterType
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from ..errors import UserError
from .parameters import BY_NAME, PARAMETERS, Changeable, ParameterSpec, Value

_TYPES = {
    bool: ParameterType.PARAMETER_BOOL,
    int: ParameterType.PARAMETER_INTEGER,
    float: ParameterType.PARAMETER_DOUBLE,
    str: ParameterType.PARAMETER_STRING,
    tuple: ParameterType.PARAMETER_STRING_ARRAY,
}

_WANTED = {
    bool: "true or false", int: "a whole number", float: "a number with a point (0.0, not 0)", str: "text",
    tuple: "a list of texts, such as [person, car]",
}


def descriptor(spec: ParameterSpec) -> ParameterDescriptor:
    """Type, range, choices and description, for tools that ask the node."""
    described = ParameterDescriptor(name=spec.name, type=_TYPES[type(spec.default)], description=spec.description)
    notes = [f"can be set {spec.changeable.value}"]
    if spec.choices:
        notes.append("one of: " + ", ".join(choice or '""' for choice in spec.choices))
    described.additional_constraints = "; ".join(notes)
    # rclpy checks a range of floats only if both ends are floats, and steps other than 0 forbid what lies between.
    if type(spec.default) is float:
        described.floating_point_range = [FloatingPointRange(from_value=float(spec.low), to_value=float(spec.high))]
    elif spec.low is not None:
        described.integer_range = [IntegerRange(from_value=int(spec.low), to_value=int(spec.high))]
    return described


def declare_all(node: Node) -> None:
    """Declares every parameter of the table.

    Raises UserError for a value from a file or the command line that has the wrong type or is out of range.
    """
    for spec in PARAMETERS:
        try:
            default = list(spec.default) if isinstance(spec.default, tuple) else spec.default
            node.declare_parameter(spec.name, default, descriptor(spec))
        except InvalidParameterTypeException:
            raise UserError(f"parameter {spec.name}: write {_WANTED[type(spec.default)]}") from None
        except InvalidParameterValueException:
            raise UserError(f"parameter {spec.name}: must lie between {spec.low} and {spec.high}") from None


def read_all(node: Node) -> dict[str, Value]:
    """All values of the table, by name."""
    return {spec.name: _value(node.get_parameter(spec.name)) for spec in PARAMETERS}


def _value(parameter: Parameter) -> Value | None:
    return tuple(parameter.value) if isinstance(parameter.value, (list, tuple)) else parameter.value


def changes_in(parameters: Iterable[Parameter], current: dict[str, Value], configured: bool) -> dict[str, Value]:
    """Those of our parameters that a request would change. Raises UserError when one cannot change now."""
    asked = {p.name: _value(p) for p in parameters if p.name in BY_NAME}
    changes = {name: value for name, value in asked.items() if value != current[name]}
    for name, value in changes.items():
        when = BY_NAME[name].changeable
        if value is None:
            raise UserError(f"{name} cannot be removed")
        if when is Changeable.START:
            raise UserError(f"{name} is read only when the node starts: set it in the parameter file and restart")
        if when is Changeable.UNCONFIGURED and configured:
            raise UserError(f"{name} is fixed while the detector is configured: clean it up first, or restart the node")
    return changes
