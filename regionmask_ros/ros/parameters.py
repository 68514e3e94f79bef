"""The one table of parameters: descriptors, checks, config/detector.yaml and docs/PARAMETERS.md come from it.

The table of parameters as ROS sees it: declaring, reading, and telling a refusal in plain words.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Union

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, ParameterType
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from ..backends import BACKENDS
from ..core.arithmetic import ARITHMETICS
from ..core.frame import ALIGNMENT, MAX_IMAGE_PIXELS, MAX_PIXELS, parse_input_size
from ..core.options import parameter_name
from ..errors import UserError
from ..mask.adaptive import Adaptive
from ..mask.dynamic import DYNAMIC_MASKS
from ..mask.policy import MODES
from ..mask.scheduling import BALANCED, PRESETS, USE_PRESET, PresetOverrides
from ..network.thresholds import TRAINED
from ..pipeline.settings import PipelineSettings

Value = Union[bool, int, float, str, "tuple[str, ...]"]

TRANSPORTS = ("raw", "compressed")
RELIABILITIES = ("best_effort", "reliable")
STALE = ("keep", "drop")
FALLBACKS = ("cpu", "none")

INTEGER_LIMIT = 2**31 - 1


class ChangePolicy(Enum):
    """When a parameter can be set."""

    START = "when the node starts"
    UNCONFIGURED = "until the node is configured"
    RUNNING = "at any time"


@dataclass(frozen=True)
class ParameterSpec:
    """One parameter. Its type is the type of its default: bool, int, float, str, or a tuple for a list of texts.

    low, high: both ends belong to the range; for numbers only. choices: all legal values, for text only; empty: any.
    A list is never empty, because ROS takes an empty one for a list of bytes: empty texts in it count for nothing.
    """

    name: str
    default: Value
    description: str
    changeable: ChangePolicy
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()


def _backend_fields() -> list[tuple[str, str, dataclasses.Field]]:
    """(parameter, backend, field) of every setting that only some backends have."""
    return [
        (parameter_name(name, field), name, field)
        for name, kind in BACKENDS.items() for field in dataclasses.fields(kind.options_class)
    ]


def _backend_rows() -> tuple[ParameterSpec, ...]:
    """A row for each of them; backends may share one."""
    rows = {
        parameter: ParameterSpec(
            parameter, field.default, field.metadata["text"], ChangePolicy.RUNNING, field.metadata["low"],
            field.metadata["high"], field.metadata["choices"],
        )
        for parameter, _, field in _backend_fields()
    }
    return tuple(rows.values())


def _override_rows() -> tuple[ParameterSpec, ...]:
    """A row for each value of a preset that can be turned."""
    return tuple(
        ParameterSpec(
            f"preset_{field.name}", field.default,
            f"Of a preset. {field.metadata['text']} {USE_PRESET}: the preset's own.",
            ChangePolicy.RUNNING, low=USE_PRESET, high=field.metadata["high"],
        )
        for field in dataclasses.fields(PresetOverrides)
    )


_DEFAULTS = PipelineSettings()

PRESET = "preset"
"""The mask mode in which a preset decides."""

PARAMETERS: tuple[ParameterSpec, ...] = (
    ParameterSpec(
        "autostart", True,
        "The node configures and activates itself. false: a lifecycle manager does.",
        ChangePolicy.START,
    ),
    ParameterSpec(
        "image_transport", "raw",
        "How pictures come. raw: sensor_msgs/Image on image. compressed: sensor_msgs/CompressedImage, JPEG or PNG, on "
        "image/compressed.",
        ChangePolicy.UNCONFIGURED, choices=TRANSPORTS,
    ),
    ParameterSpec(
        "image_reliability", "best_effort",
        "How pictures are subscribed to. best_effort hears every camera and never waits for a lost picture. "
        "reliable asks again for lost pictures, but hears nothing from a camera that publishes best effort.",
        ChangePolicy.UNCONFIGURED, choices=RELIABILITIES,
    ),
    ParameterSpec(
        "network_file", "",
        "File of the trained network. Empty: the one that the set-up installed.",
        ChangePolicy.UNCONFIGURED,
    ),
    ParameterSpec(
        "backend", _DEFAULTS.backend,
        "Where the network runs. cpu: on this computer, work follows events. lava_sim: in Lava's simulator, the same "
        "integers as on the chip, some frames a second, results 11 frames late. loihi2: on the chip, see "
        "docs/LOIHI2.md; not yet run on hardware. While running, the new one opens beside the old one and takes over "
        "when it is ready; if it cannot be opened the old one stays and this parameter goes back.",
        ChangePolicy.RUNNING, choices=tuple(BACKENDS),
    ),
    ParameterSpec(
        "fallback", "cpu",
        "What happens when a backend has failed or hung, was started once more and failed again. cpu: that backend "
        "goes on, and the parameter backend says so. none: pictures are refused until another backend is set, reset is "
        "called, or ten minutes are over.",
        ChangePolicy.RUNNING, choices=FALLBACKS,
    ),
    ParameterSpec(
        "arithmetic", "",
        "Rule of the neurons. carry: nothing drifts. lava: integer for integer as Lava computes, which drifts. "
        "snap: as carry, and silent neurons take back what they still claim. "
        "Empty: the backend's default, or what tuned thresholds are for.",
        ChangePolicy.RUNNING, choices=("", *ARITHMETICS),
    ),
    ParameterSpec(
        "thresholds", "",
        "What a neuron's change must reach before it is sent. trained: as the network was trained. Empty: tuned ones, "
        "which save work, for a preset on the cpu backend unless an arithmetic is set; trained ones for all else.",
        ChangePolicy.RUNNING, choices=("", TRAINED),
    ),
    ParameterSpec(
        "input_size", "auto",
        "Size of the network's input. auto: the camera's shape within max_pixels. WxH such as 448x448: that size, both "
        "multiples of 32. Larger finds smaller objects and costs more.",
        ChangePolicy.RUNNING,
    ),
    ParameterSpec(
        "max_pixels", MAX_PIXELS,
        "Most pixels that an automatic input size may have.",
        ChangePolicy.RUNNING, low=ALIGNMENT * ALIGNMENT, high=MAX_IMAGE_PIXELS,
    ),
    ParameterSpec(
        "mask_mode", PRESET,
        "What decides what is sent. preset: a schedule, see there. none: everything is sent. static: what the mask "
        "file attends. dynamic: what dynamic_mask attends. adaptive: a static mask that is learned while the node "
        "runs. static+dynamic, adaptive+dynamic: what either attends.",
        ChangePolicy.RUNNING, choices=(PRESET, *MODES),
    ),
    ParameterSpec(
        "static_mask", "",
        "File of the static mask: a .png, bright where attended, in picture size or one pixel a region, or an .npz "
        "from our tools. static and static+dynamic need it; adaptive and adaptive+dynamic start from it, if it is set.",
        ChangePolicy.RUNNING,
    ),
    ParameterSpec(
        "dynamic_mask", _DEFAULTS.dynamic,
        "How the dynamic mask is made. tracking: the boxes of the last result, widened by a region. mgnet: these boxes "
        "and what a small network sees in the picture, so that newcomers are found sooner.",
        ChangePolicy.RUNNING, choices=DYNAMIC_MASKS,
    ),
    ParameterSpec(
        "mgnet_weights", _DEFAULTS.mgnet_weights,
        "File with the mask network of dynamic_mask mgnet, written by train_mgnet. Empty: the package's.",
        ChangePolicy.RUNNING,
    ),
    ParameterSpec(
        "adaptive_half_life", _DEFAULTS.adaptive.half_life,
        "Refresh frames after which an adaptive mask counts what it saw half. Smaller follows a moved camera sooner, "
        "larger remembers rare objects longer.",
        ChangePolicy.RUNNING, low=0.1, high=1e6,
    ),
    ParameterSpec(
        "adaptive_cover", _DEFAULTS.adaptive.cover,
        "Share of what it saw that an adaptive mask attends, with the fewest regions. Smaller masks more.",
        ChangePolicy.RUNNING, low=0.01, high=1.0,
    ),
    ParameterSpec(
        "adaptive_ring", _DEFAULTS.adaptive.ring,
        "Regions that a box is widened by before an adaptive mask counts it: room to move in between two refreshes.",
        ChangePolicy.RUNNING, low=0, high=100,
    ),
    ParameterSpec(
        "target_masked", _DEFAULTS.target_masked,
        "Share of the regions to be masked, over all frames, refreshes included. Masks are cut down or grown to it: "
        "regions that follow objects come first, then the hottest of a static or adaptive mask, then those around "
        "objects. A preset masks at least so much. 0: as it comes.",
        ChangePolicy.RUNNING, low=0.0, high=0.99,
    ),
    ParameterSpec(
        "preset", BALANCED,
        "Which schedule decides in mask_mode preset: careful, balanced or fast. It follows objects, moves their boxes "
        "on while their regions rest, and has a refresh period of its own. The preset_ parameters turn its values.",
        ChangePolicy.RUNNING, choices=tuple(PRESETS),
    ),
    *_override_rows(),
    ParameterSpec(
        "refresh_period", _DEFAULTS.refresh_period,
        "Every so many frames everything is sent, so that new objects are found and nothing goes stale. Smaller finds "
        "new objects sooner and costs more. 0: the first frame only. A preset has its own, preset_refresh_period.",
        ChangePolicy.RUNNING, low=0, high=INTEGER_LIMIT,
    ),
    ParameterSpec(
        "restart_period", _DEFAULTS.restart_period,
        "Every so many frames the detector starts afresh, which ends the drift of the lava arithmetic. On lava_sim it "
        "takes a second or two. 0: never.",
        ChangePolicy.RUNNING, low=0, high=INTEGER_LIMIT,
    ),
    ParameterSpec(
        "score_threshold", _DEFAULTS.score_threshold,
        "Lowest score that is reported. Lower finds more objects and more that are none.",
        ChangePolicy.RUNNING, low=0.0, high=1.0,
    ),
    ParameterSpec(
        "nms_iou", _DEFAULTS.nms_iou,
        "Overlap (intersection over union) above which the weaker of two boxes of a class goes. Larger keeps more "
        "boxes on one object.",
        ChangePolicy.RUNNING, low=0.0, high=1.0,
    ),
    ParameterSpec(
        "classes", ("",),
        "Names of the classes that are reported, and followed by the dynamic mask, such as [person, bicycle]. One "
        "empty text: all.",
        ChangePolicy.RUNNING,
    ),
    ParameterSpec(
        "class_thresholds", ("",),
        "Lowest score of classes that have one of their own, each written name:score, such as [person:0.5, "
        "traffic light:0.3]. The others keep score_threshold.",
        ChangePolicy.RUNNING,
    ),
    ParameterSpec(
        "max_detections", _DEFAULTS.max_detections,
        "So many objects of a frame are reported at most, those with the best scores. 0: all.",
        ChangePolicy.RUNNING, low=0, high=10_000,
    ),
    ParameterSpec(
        "stale_detections", "keep",
        "What becomes of a box none of whose regions was sent in this frame, so that it may be a ghost. keep: it is "
        "reported, and mask/age tells which it is. drop: it is not reported.",
        ChangePolicy.RUNNING, choices=STALE,
    ),
    ParameterSpec(
        "attention_lifetime", 1.0,
        "Seconds for which the regions of a box from the topic attention are attended. Longer suits planners that "
        "speak seldom.",
        ChangePolicy.RUNNING, low=0.01, high=3600.0,
    ),
    ParameterSpec(
        "static_mask_output", "static_mask.npz",
        "File that the service save_static_mask writes, an .npz. A relative name is below the folder that the node was "
        "started in.",
        ChangePolicy.RUNNING,
    ),
    *_backend_rows(),
)

BACKEND_PARAMETERS = (
    "backend", "arithmetic", "thresholds", "input_size", "max_pixels", *(spec.name for spec in _backend_rows()))
"""Those that decide which backend runs, how, and on which input. They change in the background."""

BY_NAME: Mapping[str, ParameterSpec] = {spec.name: spec for spec in PARAMETERS}


def check(values: Mapping[str, Value]) -> None:
    """Raises UserError for a text that is none of its choices. ROS itself checks types and ranges of numbers."""
    for spec in PARAMETERS:
        if spec.choices and values[spec.name] not in spec.choices:
            known = ", ".join(choice or '""' for choice in spec.choices)
            raise UserError(f"{spec.name} {values[spec.name]!r}: unknown; use {known}")


def settings_from(values: Mapping[str, Value]) -> PipelineSettings:
    """The pipeline's settings for a full set of values. Raises UserError for one that makes no sense."""
    check(values)
    scheduled = values["mask_mode"] == PRESET
    return PipelineSettings(
        input_size=parse_input_size(values["input_size"]),
        max_pixels=values["max_pixels"],
        mask="none" if scheduled else values["mask_mode"],
        static_mask=values["static_mask"],
        dynamic=values["dynamic_mask"],
        adaptive=Adaptive(values["adaptive_half_life"], values["adaptive_cover"], values["adaptive_ring"]),
        mgnet_weights=values["mgnet_weights"],
        target_masked=values["target_masked"],
        preset=values["preset"] if scheduled else "",
        knobs=PresetOverrides(**{
            field.name: values[f"preset_{field.name}"] for field in dataclasses.fields(PresetOverrides) if scheduled
        }),
        refresh_period=values["refresh_period"],
        restart_period=values["restart_period"],
        score_threshold=values["score_threshold"],
        nms_iou=values["nms_iou"],
        classes=_texts(values["classes"]),
        class_thresholds=tuple(_class_threshold(text) for text in _texts(values["class_thresholds"])),
        max_detections=values["max_detections"],
        backend=values["backend"],
        arithmetic=values["arithmetic"],
        thresholds=values["thresholds"],
        backend_options={
            field.name: values[parameter] for parameter, backend, field in _backend_fields()
            if backend == values["backend"]
        },
    )


@dataclass(frozen=True)
class ResponseSettings:
    """What the node, not the pipeline, does with pictures and answers while it runs.

    drop_stale: boxes in regions that were not sent are not reported. attention_ns: life time of boxes of a planner.
    fallback: the settings to go on with when the backend is given up; None: no others.
    """

    drop_stale: bool
    attention_ns: int
    fallback: PipelineSettings | None


def response_settings_from(values: Mapping[str, Value]) -> ResponseSettings:
    """For a full set of values that ``settings_from`` has checked."""
    name = values["fallback"]
    fallback = None if name == "none" else settings_from({**values, "backend": name})
    return ResponseSettings(values["stale_detections"] == "drop", round(values["attention_lifetime"] * 1e9), fallback)


def _texts(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(text.strip() for text in values if text.strip())


def _class_threshold(text: str) -> tuple[str, float]:
    name, colon, score = text.rpartition(":")
    try:
        if colon and name.strip():
            return name.strip(), float(score)
    except ValueError:
        pass
    raise UserError(f"class_thresholds {text!r}: write a class, a colon and a score, such as person:0.5")


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
        if when is ChangePolicy.START:
            raise UserError(f"{name} is read only when the node starts: set it in the parameter file and restart")
        if when is ChangePolicy.UNCONFIGURED and configured:
            raise UserError(f"{name} is fixed while the detector is configured: clean it up first, or restart the node")
    return changes
