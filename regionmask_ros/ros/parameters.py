"""The one table of parameters. Descriptors, config/detector.yaml and checks are made from it."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from enum import Enum
from typing import Mapping, Union

from ..backends import BACKENDS
from ..engine.arithmetic import ARITHMETICS
from ..errors import UserError
from ..frames import ALIGNMENT, MAX_PIXELS, MOST_PIXELS, parse_input_size
from ..mask.dynamic import DYNAMIC_MASKS
from ..mask.policy import MODES
from ..mask.presets import PRESETS
from ..pipeline import PipelineSettings

Value = Union[bool, int, float, str]

RELIABILITIES = ("best_effort", "reliable")

INTEGER_LIMIT = 2**31 - 1


class Changeable(Enum):
    """When a parameter can be set."""

    START = "when the node starts"
    UNCONFIGURED = "until the node is configured"
    RUNNING = "at any time"


@dataclass(frozen=True)
class ParameterSpec:
    """One parameter. Its type is the type of its default: bool, int, float or str.

    low, high: both ends belong to the range; for numbers only. choices: all legal values, for text only; empty: any.
    """

    name: str
    default: Value
    description: str
    changeable: Changeable
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()


_DEFAULTS = PipelineSettings()

PARAMETERS: tuple[ParameterSpec, ...] = (
    ParameterSpec(
        "autostart", True,
        "The node configures and activates itself. false: a lifecycle manager does.",
        Changeable.START,
    ),
    ParameterSpec(
        "image_reliability", "best_effort",
        "How pictures are subscribed to. best_effort hears every camera and never waits for a lost picture. "
        "reliable asks again for lost pictures, but hears nothing from a camera that publishes best effort.",
        Changeable.UNCONFIGURED, choices=RELIABILITIES,
    ),
    ParameterSpec(
        "network_file", "",
        "File of the trained network. Empty: the one that the set-up installed.",
        Changeable.UNCONFIGURED,
    ),
    ParameterSpec(
        "backend", _DEFAULTS.backend,
        "Where the network runs. cpu: on this computer, work follows events.",
        Changeable.UNCONFIGURED, choices=tuple(BACKENDS),
    ),
    ParameterSpec(
        "arithmetic", "",
        "Rule of the neurons. carry: nothing drifts. lava: integer for integer as Lava computes, which drifts. "
        "snap: as carry, and silent neurons take back what they still claim. "
        "Empty: the backend's default.",
        Changeable.UNCONFIGURED, choices=("", *ARITHMETICS),
    ),
    ParameterSpec(
        "input_size", "auto",
        "Size of the network's input. auto: the camera's shape within max_pixels. WxH such as 448x448: that size, both "
        "multiples of 32. Larger finds smaller objects and costs more.",
        Changeable.UNCONFIGURED,
    ),
    ParameterSpec(
        "max_pixels", MAX_PIXELS,
        "Most pixels that an automatic input size may have.",
        Changeable.UNCONFIGURED, low=ALIGNMENT * ALIGNMENT, high=MOST_PIXELS,
    ),
    ParameterSpec(
        "mask_mode", "dynamic",
        "Which masks decide what is sent. none: everything is. static: what the mask file attends. dynamic: what "
        "dynamic_mask attends. static+dynamic: what either attends.",
        Changeable.RUNNING, choices=MODES,
    ),
    ParameterSpec(
        "static_mask", "",
        "File of the static mask: a .png, bright where attended, in picture size or one pixel a region, or an .npz "
        "from our tools. Used by static and static+dynamic only.",
        Changeable.RUNNING,
    ),
    ParameterSpec(
        "dynamic_mask", _DEFAULTS.dynamic,
        "How the dynamic mask is made. tracking: the boxes of the last result, widened by a region.",
        Changeable.RUNNING, choices=tuple(DYNAMIC_MASKS),
    ),
    ParameterSpec(
        "preset", _DEFAULTS.preset,
        "A schedule decides what is sent, instead of mask_mode and refresh_period: careful, balanced or fast. It "
        "follows objects, and moves their boxes on while their regions rest. Empty: mask_mode decides.",
        Changeable.RUNNING, choices=("", *PRESETS),
    ),
    ParameterSpec(
        "refresh_period", _DEFAULTS.refresh_period,
        "Every so many frames everything is sent, so that new objects are found and nothing goes stale. Smaller finds "
        "new objects sooner and costs more. 0: the first frame only.",
        Changeable.RUNNING, low=0, high=INTEGER_LIMIT,
    ),
    ParameterSpec(
        "score_threshold", _DEFAULTS.score_threshold,
        "Lowest score that is reported. Lower finds more objects and more that are none.",
        Changeable.RUNNING, low=0.0, high=1.0,
    ),
    ParameterSpec(
        "nms_iou", _DEFAULTS.nms_iou,
        "Overlap (intersection over union) above which the weaker of two boxes of a class goes. Larger keeps more "
        "boxes on one object.",
        Changeable.RUNNING, low=0.0, high=1.0,
    ),
)

BY_NAME: Mapping[str, ParameterSpec] = {spec.name: spec for spec in PARAMETERS}


def check(values: Mapping[str, Value]) -> None:
    """Raises UserError for a text that is none of its choices. ROS itself checks types and ranges."""
    for spec in PARAMETERS:
        if spec.choices and values[spec.name] not in spec.choices:
            known = ", ".join(choice or '""' for choice in spec.choices)
            raise UserError(f"{spec.name} {values[spec.name]!r}: unknown; use {known}")


def settings_from(values: Mapping[str, Value]) -> PipelineSettings:
    """The pipeline's settings for a full set of values. Raises UserError for one that makes no sense."""
    check(values)
    return PipelineSettings(
        input_size=parse_input_size(values["input_size"]),
        max_pixels=values["max_pixels"],
        mask="none" if values["preset"] else values["mask_mode"],
        static_mask=values["static_mask"],
        dynamic=values["dynamic_mask"],
        preset=values["preset"],
        refresh_period=values["refresh_period"],
        score_threshold=values["score_threshold"],
        nms_iou=values["nms_iou"],
        backend=values["backend"],
        arithmetic=values["arithmetic"],
    )


def yaml_text() -> str:
    """config/detector.yaml: every parameter with its default, and a comment that explains it."""
    lines = [
        "# All parameters of the detector node, with their defaults. Copy it, change what you need, and pass it:",
        "#   ros2 launch regionmask_ros detector.launch.py params_file:=/path/to/my.yaml",
        "# Made from the table in regionmask_ros/ros/parameters.py; a test keeps the two equal.",
        "/**:",
        "  ros__parameters:",
    ]
    for spec in PARAMETERS:
        for note in (spec.description, f"{_limits(spec)}Can be set {spec.changeable.value}."):
            lines += textwrap.wrap(note, 110, initial_indent="    # ", subsequent_indent="    # ")
        lines += [f"    {spec.name}: {_yaml_value(spec.default)}", ""]
    return "\n".join(lines)


def _limits(spec: ParameterSpec) -> str:
    if spec.low is not None:
        return f"From {spec.low} to {spec.high}. "
    return f"Values: {', '.join(choice or 'empty' for choice in spec.choices)}. " if spec.choices else ""


def _yaml_value(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else repr(value)


if __name__ == "__main__":
    print(yaml_text(), end="")
