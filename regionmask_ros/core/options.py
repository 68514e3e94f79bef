"""What an option is: one description from which the command line, the ROS parameter, YAML and documentation are made.

`option_table` holds the options themselves.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Union

from ..errors import UserError, quote_outside, suggest

Value = Union[bool, int, float, str, "tuple[str, ...]"]

_BOOLS = {**dict.fromkeys(("true", "yes", "on", "1"), True), **dict.fromkeys(("false", "no", "off", "0"), False)}
_EXPECTED = {bool: "true or false", int: "a whole number", float: "a number"}


class ChangePolicy(Enum):
    """When a parameter of the node can be set."""

    START = "when the node starts"
    UNCONFIGURED = "until the node is configured"
    RUNNING = "at any time"


class Group(Enum):
    """Sections of the help, the YAML file and the documentation, in their order: title, and an explanation."""

    NETWORK = "Network and backend", ""
    MASK = "Masks", ""
    DETECTION = "Detections", ""
    NODE = "ROS node", "The command `run` knows these, too, and refuses those that have no effect there."
    RUNTIME = "Networks in ONNX files", "For the backends openvino and onnxruntime, see docs/NETWORKS.md."
    PRESET = "For experts: values of a preset", "Each replaces a value of the preset in use; -1 keeps the preset's own."
    LAVA = "For experts: Lava and Loihi 2", "For the backends lava_sim and loihi2, see docs/LOIHI2.md."

    def __init__(self, title: str, note: str) -> None:
        self.title = title
        self.note = note


@dataclass(frozen=True)
class Range:
    """The allowed values of a number.

    Attributes:
        low: Lower end.
        high: Upper end.
        above: Whether the lower end itself is not allowed.
        below: Whether the upper end itself is not allowed.
    """

    low: float
    high: float
    above: bool = False
    below: bool = False

    def __contains__(self, number: float) -> bool:
        low, high = self.inclusive
        return low <= number <= high

    def __str__(self) -> str:
        low, high = (str(int(end)) if end == int(end) else repr(end) for end in (self.low, self.high))
        return f"{'above ' * self.above}{low} to {'below ' * self.below}{high}"

    @property
    def inclusive(self) -> tuple[float, float]:
        """The smallest and the largest allowed value."""
        low = math.nextafter(self.low, math.inf) if self.above else self.low
        return low, math.nextafter(self.high, -math.inf) if self.below else self.high


@dataclass(frozen=True)
class Option:
    """One option. Its type is the type of its default: bool, int, float, str, or a tuple for a list of texts.

    Attributes:
        name: Name of the ROS parameter. On the command line: the same, with dashes.
        default: Default value.
        group: Section in which it is shown.
        text: Description.
        limits: Allowed values; for numbers only, and for all numbers.
        choices: Allowed values of a text; empty: any.
        preset_value: A value outside of the range that stands for the preset's own value.
        changeable: When the node accepts a new value.
        metavar: What stands for the value in the help.
        short: Short form on the command line, with its dashes.
    """

    name: str
    default: Value
    group: Group
    text: str
    limits: Range | None = None
    choices: tuple[str, ...] = ()
    preset_value: int | None = None
    changeable: ChangePolicy = ChangePolicy.RUNNING
    metavar: str = ""
    short: str = ""

    @property
    def kind(self) -> type:
        """Type of the values."""
        return type(self.default)

    @property
    def flag(self) -> str:
        """Name on the command line."""
        return f"--{self.name.replace('_', '-')}"

    def describe_limits(self) -> str:
        """The allowed values in words, such as ``0 to 1``; empty where every value of the type is allowed."""
        if self.choices:
            return ", ".join(choice or "(empty)" for choice in self.choices)
        own = "" if self.preset_value is None else f"{self.preset_value}, or "
        return f"{own}{self.limits}" if self.limits else ""

    def check(self, value: Value) -> None:
        """Checks range and choices.

        Args:
            value: A value of the right type.

        Raises:
            UserError: The value is not allowed. The message names the option and what is allowed.
        """
        if self.choices and value not in self.choices:
            meant = suggest(str(value), self.choices)
            raise UserError(f"{self.name} {quote_outside(value)}: unknown{meant}; use one of {self.describe_limits()}")
        if self.limits and value != self.preset_value and not (
                isinstance(value, (int, float)) and value in self.limits):
            raise UserError(f"{self.name} {value}: must be {self.describe_limits()}")

    def parse(self, text: object) -> Value:
        """A checked value from a text, as the command line has it. Lists are separated by commas.

        Args:
            text: The text. A value that has the right type already is taken, too.

        Returns:
            The value.

        Raises:
            UserError: The text is not of the type, or the value is not allowed.
        """
        value = self._convert(text)
        if value is None:
            raise UserError(f"{self.name} {quote_outside(text)}: must be {_EXPECTED[self.kind]}")
        self.check(value)
        return value

    def _convert(self, text: object) -> Value | None:
        """None for a text that is not of the type."""
        if self.kind is bool:
            return _BOOLS.get(str(text).lower())
        if self.kind is tuple:
            parts = text if isinstance(text, (list, tuple)) else str(text).strip().strip("[]").split(",")
            return tuple(part.strip() for part in map(str, parts) if part.strip())
        convert: Callable[[Any], Value] = self.kind
        try:
            value = convert(text)
        except (TypeError, ValueError, OverflowError):
            return None
        return None if isinstance(value, float) and math.isnan(value) else value
