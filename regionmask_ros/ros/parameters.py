"""The options as ROS parameters: declaring, reading, and refusing what cannot change now.

ROS does not know the type of an empty list. So an empty list of texts is one empty text here, empty texts in a list are
ignored, and an empty list of any type, in a parameter file or from ``ros2 param set``, is an empty list of texts.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, ParameterType
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from ..backends import BACKENDS, choose_backend, choose_fallback
from ..core.option_table import OPTIONS, options_of
from ..core.options import ChangePolicy, Option, Value
from ..errors import UserError
from ..files.output_folder import split_output_name
from ..network.dense import AnyNetwork, DenseNetwork
from ..pipeline.settings import BACKEND_SETTINGS, PipelineSettings, make_settings

_BACKEND_OPTIONS = {option for kind in BACKENDS.values() for option in options_of(kind.options_class).values()}

BACKEND_PARAMETERS = tuple(
    name for name, option in OPTIONS.items() if name in BACKEND_SETTINGS or option in _BACKEND_OPTIONS)
"""Those that select the backend, its options and its input. They change in the background."""



def backend_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns those of the values that are named in ``BACKEND_PARAMETERS``."""
    return {name: values[name] for name in BACKEND_PARAMETERS}


MASK_OUTPUT = "static_mask_output"
USUAL_MASK_OUTPUT, USUAL_NODE_NAME = "static_mask.npz", "detector"


@dataclass(frozen=True)
class ResponseSettings:
    """What the node, not the pipeline, does with images and results while it runs.

    Attributes:
        drop_stale: Detections in regions that were not observed in this frame are not reported.
        attention_ns: Lifetime of a planner's boxes in nanoseconds.
        fallback: Settings to continue with when the backend has failed twice; None: no others.
    """

    drop_stale: bool
    attention_ns: int
    fallback: PipelineSettings | None


def make_response_settings(values: Mapping[str, Value], network: AnyNetwork) -> ResponseSettings:
    """The node's own settings.

    Args:
        values: A value for every option, which `make_settings` has accepted.
        network: The network, which decides about the fallback.

    Returns:
        The settings.

    Raises:
        UserError: The values do not go together with the fallback backend.
    """
    found: dict[str, Any] = dict(values)
    name = choose_fallback(found["fallback"], choose_backend(found["backend"], network), network)
    own = {**found, "backend": name}
    if isinstance(network, DenseNetwork):
        # The other runtime may not have this device, or the device itself has failed: the processor is always there.
        own |= {"device": "CPU", "precision": "auto"}
    fallback = make_settings(own).for_network(network) if name else None
    return ResponseSettings(found["stale_detections"] == "drop", round(found["attention_lifetime"] * 1e9), fallback)


_TYPES = {
    bool: ParameterType.PARAMETER_BOOL,
    int: ParameterType.PARAMETER_INTEGER,
    float: ParameterType.PARAMETER_DOUBLE,
    str: ParameterType.PARAMETER_STRING,
    tuple: ParameterType.PARAMETER_STRING_ARRAY,
}

_EXPECTED = {
    bool: "true or false", int: "a whole number", float: "a number with a point (0.0, not 0)",
    str: "text; a number in quotes, such as '12'", tuple: "a list of texts, such as [person, car]",
}


def make_descriptor(option: Option) -> ParameterDescriptor:
    """Type, range, choices and description, for tools that ask the node.

    Args:
        option: The option.

    Returns:
        The descriptor.
    """
    descriptor = ParameterDescriptor(
        name=option.name, type=_TYPES[option.kind], description=option.text,
        read_only=option.changeable is ChangePolicy.START)
    notes = [f"can be set {option.changeable.value}"]
    if option.describe_limits():
        notes.append(f"values: {option.describe_limits()}")
    descriptor.additional_constraints = "; ".join(notes)
    if option.limits:
        low, high = option.limits.inclusive
        low = low if option.preset_value is None else option.preset_value
        # rclpy checks a range of floats only if both ends are floats, and steps other than 0 forbid what lies between.
        if option.kind is float:
            descriptor.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high))]
        else:
            descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high))]
    return descriptor


def declare_all(node: Node) -> None:
    """Declares every option as a parameter.

    Args:
        node: The node.

    Raises:
        UserError: A value from a file or the command line has the wrong type or is not allowed.
    """
    for option in OPTIONS.values():
        try:
            default = list(option.default) or [""] if isinstance(option.default, tuple) else option.default
            option.check(_read_value(node.declare_parameter(
                option.name, default, make_descriptor(option), ignore_override=_is_empty_list(node, option))))
        except InvalidParameterTypeException:
            raise UserError(f"parameter {option.name}: must be {_EXPECTED[option.kind]}") from None
        except InvalidParameterValueException:
            raise UserError(f"parameter {option.name}: must be {option.describe_limits()}") from None
    split_mask_output(node.get_parameter(MASK_OUTPUT).value, node.get_fully_qualified_name())
    # Humble does not have it: there, an empty list that is set later is refused for its type.
    if hasattr(node, "add_pre_set_parameters_callback"):
        node.add_pre_set_parameters_callback(lambda parameters: list(map(_type_empty_list, parameters)))


def _is_empty_list(node: Node, option: Option) -> bool:
    """Whether a parameter file has an empty list for an option that is a list, and empty by default."""
    given = getattr(node, "_parameter_overrides", {}).get(option.name)
    return option.default == () and given is not None and not given.value


def _type_empty_list(parameter: Parameter) -> Parameter:
    option = OPTIONS.get(parameter.name)
    if option is None or option.kind is not tuple or not isinstance(parameter.value, (list, tuple, bytes, array)) \
            or len(parameter.value):
        return parameter
    return Parameter(parameter.name, Parameter.Type.STRING_ARRAY, [""])


def split_mask_output(value: str, node_name: str) -> tuple[str, ...]:
    """Finds the file of ``static_mask_output``.

    Args:
        value: The parameter.
        node_name: Full name of the node, from which the default is made.

    Returns:
        The parts of its path.

    Raises:
        UserError: The name could lead out of the output directory.
    """
    if not value:
        names = [name for name in node_name.split("/") if name]
        # Names in ROS have no dots, so that two nodes never share a file.
        value = ".".join([*(names if names != [USUAL_NODE_NAME] else []), USUAL_MASK_OUTPUT])
    return split_output_name(MASK_OUTPUT, value, ".npz")


def read_all(node: Node) -> dict[str, Value]:
    """All options of a node.

    Args:
        node: A node that has declared them.

    Returns:
        Values by name.
    """
    return {name: _read_value(node.get_parameter(name)) for name in OPTIONS}


def _read_value(parameter: Parameter) -> Any:
    value = parameter.value
    return tuple(filter(None, map(str.strip, value))) if isinstance(value, (list, tuple)) else value


def find_changes(parameters: Iterable[Parameter], current: Mapping[str, Value], configured: bool) -> dict[str, Value]:
    """The options that a request would change.

    Args:
        parameters: What the request sets; other parameters than ours are ignored.
        current: Values by name.
        configured: Whether the node is configured.

    Returns:
        New values by name.

    Raises:
        UserError: An option cannot change now, or is to be removed.
    """
    asked = {p.name: _read_value(p) for p in parameters if p.name in OPTIONS}
    changes = {name: value for name, value in asked.items() if value != current[name]}
    for name, value in changes.items():
        if value is None:
            raise UserError(f"{name} cannot be removed")
        if OPTIONS[name].changeable is ChangePolicy.UNCONFIGURED and configured:
            raise UserError(f"{name} is fixed while the detector is configured: clean it up first, or restart the node")
    if MASK_OUTPUT in changes:
        split_mask_output(str(changes[MASK_OUTPUT]), "")
    return changes
