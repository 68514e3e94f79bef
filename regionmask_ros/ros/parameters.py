"""The one table of parameters: descriptors, checks, config/detector.yaml and the table in the README come from it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import Enum
from typing import Mapping, Union

from ..backends import BACKENDS
from ..backends.options import parameter_name
from ..engine.arithmetic import ARITHMETICS
from ..errors import UserError
from ..frames import ALIGNMENT, MAX_PIXELS, MOST_PIXELS, parse_input_size
from ..mask.dynamic import DYNAMIC_MASKS
from ..mask.policy import MODES
from ..mask.presets import PRESETS
from ..pipeline import PipelineSettings

Value = Union[bool, int, float, str, "tuple[str, ...]"]

TRANSPORTS = ("raw", "compressed")
RELIABILITIES = ("best_effort", "reliable")
STALE = ("keep", "drop")

INTEGER_LIMIT = 2**31 - 1


class Changeable(Enum):
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
    changeable: Changeable
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
            parameter, field.default, field.metadata["text"], Changeable.UNCONFIGURED, field.metadata["low"],
            field.metadata["high"], field.metadata["choices"],
        )
        for parameter, _, field in _backend_fields()
    }
    return tuple(rows.values())


_DEFAULTS = PipelineSettings()

PARAMETERS: tuple[ParameterSpec, ...] = (
    ParameterSpec(
        "autostart", True,
        "The node configures and activates itself. false: a lifecycle manager does.",
        Changeable.START,
    ),
    ParameterSpec(
        "image_transport", "raw",
        "How pictures come. raw: sensor_msgs/Image on image. compressed: sensor_msgs/CompressedImage, JPEG or PNG, on "
        "image/compressed.",
        Changeable.UNCONFIGURED, choices=TRANSPORTS,
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
        "Where the network runs. cpu: on this computer, work follows events. lava_sim: in Lava's simulator, the same "
        "integers as on the chip, some frames a second, results 11 frames late. loihi2: on the chip, see "
        "docs/LOIHI2.md; not yet run on hardware.",
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
        "How the dynamic mask is made. tracking: the boxes of the last result, widened by a region. mgnet: these boxes "
        "and what a small network sees in the picture, so that newcomers are found sooner.",
        Changeable.RUNNING, choices=DYNAMIC_MASKS,
    ),
    ParameterSpec(
        "mgnet_weights", _DEFAULTS.mgnet_weights,
        "File with the mask network of dynamic_mask mgnet, written by train_mgnet. Empty: the package's.",
        Changeable.RUNNING,
    ),
    ParameterSpec(
        "target_masked", _DEFAULTS.target_masked,
        "Share of the regions that dynamic_mask mgnet masks in the mean over time; it moves its threshold for that. "
        "0: the threshold that comes with the network.",
        Changeable.RUNNING, low=0.0, high=0.99,
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
        "restart_period", _DEFAULTS.restart_period,
        "Every so many frames the detector starts afresh, which ends the drift of the lava arithmetic. On lava_sim it "
        "takes a second or two. 0: never.",
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
    ParameterSpec(
        "classes", ("",),
        "Names of the classes that are reported, and followed by the dynamic mask, such as [person, bicycle]. One "
        "empty text: all.",
        Changeable.RUNNING,
    ),
    ParameterSpec(
        "class_thresholds", ("",),
        "Lowest score of classes that have one of their own, each written name:score, such as [person:0.5, "
        "traffic light:0.3]. The others keep score_threshold.",
        Changeable.RUNNING,
    ),
    ParameterSpec(
        "max_detections", _DEFAULTS.max_detections,
        "So many objects of a frame are reported at most, those with the best scores. 0: all.",
        Changeable.RUNNING, low=0, high=10_000,
    ),
    ParameterSpec(
        "stale_detections", "keep",
        "What becomes of a box none of whose regions was sent in this frame, so that it may be a ghost. keep: it is "
        "reported, and mask/age tells which it is. drop: it is not reported.",
        Changeable.RUNNING, choices=STALE,
    ),
    ParameterSpec(
        "attention_lifetime", 1.0,
        "Seconds for which the regions of a box from the topic attention are attended. Longer suits planners that "
        "speak seldom.",
        Changeable.RUNNING, low=0.01, high=3600.0,
    ),
    ParameterSpec(
        "static_mask_output", "static_mask.npz",
        "File that the service save_static_mask writes, an .npz. A relative name is below the folder that the node was "
        "started in.",
        Changeable.RUNNING,
    ),
    *_backend_rows(),
)

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
    return PipelineSettings(
        input_size=parse_input_size(values["input_size"]),
        max_pixels=values["max_pixels"],
        mask="none" if values["preset"] else values["mask_mode"],
        static_mask=values["static_mask"],
        dynamic=values["dynamic_mask"],
        mgnet_weights=values["mgnet_weights"],
        target_masked=values["target_masked"],
        preset=values["preset"],
        refresh_period=values["refresh_period"],
        restart_period=values["restart_period"],
        score_threshold=values["score_threshold"],
        nms_iou=values["nms_iou"],
        classes=_texts(values["classes"]),
        class_thresholds=tuple(_class_threshold(text) for text in _texts(values["class_thresholds"])),
        max_detections=values["max_detections"],
        backend=values["backend"],
        arithmetic=values["arithmetic"],
        backend_options={
            field.name: values[parameter] for parameter, backend, field in _backend_fields()
            if backend == values["backend"]
        },
    )


@dataclass(frozen=True)
class AnswerSettings:
    """What the node, not the pipeline, does with pictures and answers while it runs.

    drop_stale: boxes in regions that were not sent are not reported. attention_ns: life time of boxes of a planner.
    """

    drop_stale: bool
    attention_ns: int


def answer_settings_from(values: Mapping[str, Value]) -> AnswerSettings:
    """For a full set of values that ``settings_from`` has checked."""
    return AnswerSettings(values["stale_detections"] == "drop", round(values["attention_lifetime"] * 1e9))


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
