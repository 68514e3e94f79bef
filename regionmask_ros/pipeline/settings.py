"""Everything about the pipeline that a user can choose, checked as a set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from ..backends import parse_options, resolve_arithmetic
from ..core.frame import MAX_PIXELS, check_input_size, choose_input_size
from ..core.grid import RegionGrid
from ..core.options import Value
from ..errors import UserError
from ..mask.adaptive import Adaptive
from ..mask.budget import attended_regions
from ..mask.dynamic import MGNET, DynamicChoice
from ..mask.policy import ADAPTIVE, DYNAMIC, MODES, STATIC
from ..mask.scheduling import PresetOverrides, Schedule, preset
from ..network.graph import Network
from ..network.thresholds import TRAINED, TUNED, bundled_thresholds, tuned_network

TUNED_BACKEND = "cpu"
"""The others compute as Lava does, for which the thresholds were not tuned."""


@dataclass(frozen=True)
class PipelineSettings:
    """Everything a user can choose. Raises UserError for a value that makes no sense, naming it.

    input_size: ``auto`` (the camera's shape within ``max_pixels``) or (width, height), multiples of 32.
    mask: one of ``policy.MODES``, such as ``static+dynamic``. static_mask: file, for the static ones; for the adaptive
    ones it is what they start from, and may be left out. adaptive: how those learn.
    target_masked: share of the regions that is to be masked, over all frames, 0 to below 1; 0: as it comes. The masks
    are cut down, or grown, to the regions that come first (see ``mask.budget``); mgnet moves its threshold
    instead, unless beside an adaptive mask; a preset masks at least so much.
    dynamic, mgnet_weights: see ``mask.dynamic.DynamicChoice``.
    preset: "", or ``careful``, ``balanced`` or ``fast``: a schedule that decides what is sent, refresh included,
    instead of ``mask`` and ``refresh_period`` (see ``mask.schedule_regions``). Boxes move on while their regions rest.
    knobs: what is turned in the preset.
    refresh_period: every so many frames everything is attended; 0: the first frame only.
    restart_period: every so many frames all starts afresh, against an arithmetic that drifts; 0: never.
    score_threshold: lowest score reported. nms_iou: overlap above which the weaker box of a class goes.
    classes: names of those that are reported; none: all. class_thresholds: (name, lowest score) for classes that have
    one of their own. max_detections: the best ones of a frame are reported; 0: all.
    arithmetic: ``carry``, ``lava``, ``snap`` (see ``core.arithmetic``) or "" for what the thresholds are for.
    thresholds: ``trained``; ``tuned``, those that come with the package, on the cpu backend; "": tuned for a preset on
    that backend unless an arithmetic is asked for, else trained.
    backend_options: settings that only this backend has, by name, see its options class.
    """

    input_size: str | tuple[int, int] = "auto"
    max_pixels: int = MAX_PIXELS
    mask: str = "none"
    static_mask: str = ""
    dynamic: str = "tracking"
    adaptive: Adaptive = Adaptive()
    mgnet_weights: str = ""
    target_masked: float = 0.0
    preset: str = ""
    knobs: PresetOverrides = PresetOverrides()
    refresh_period: int = 8
    restart_period: int = 0
    score_threshold: float = 0.4
    nms_iou: float = 0.45
    classes: tuple[str, ...] = ()
    class_thresholds: tuple[tuple[str, float], ...] = ()
    max_detections: int = 0
    backend: str = "cpu"
    arithmetic: str = ""
    thresholds: str = ""
    backend_options: Mapping[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.input_size == "auto":
            choose_input_size((32, 32), self.max_pixels)
        else:
            check_input_size(self.input_size)
        if self.mask not in MODES:
            raise UserError(f"mask {self.mask!r}: unknown; use {', '.join(MODES)}")
        if self.uses_static and not self.static_mask:
            raise UserError(f"mask {self.mask}: needs a static mask file (a .png or .npz)")
        if self.knobs != PresetOverrides() and not self.preset:
            raise UserError("a preset's knob is turned, but there is no preset: name one, or leave the knob out")
        self.dynamic_choice  # noqa: B018  made to be checked
        if preset(self.preset) and self.mask != "none":
            raise UserError(f"preset {self.preset} decides the mask itself: leave out mask {self.mask}")
        if self.refresh_period < 0:
            raise UserError(f"refresh period {self.refresh_period}: must be 0 (first frame only) or more")
        if self.restart_period < 0:
            raise UserError(f"restart period {self.restart_period}: must be 0 (never) or more")
        self._check_target()
        own = [(f"score threshold of {name}", threshold) for name, threshold in self.class_thresholds]
        for name, value in (("score threshold", self.score_threshold), ("NMS IoU", self.nms_iou), *own):
            if not 0.0 <= value <= 1.0:
                raise UserError(f"{name} {value}: must lie between 0 and 1")
        if self.max_detections < 0:
            raise UserError(f"max detections {self.max_detections}: must be 0 (all) or more")
        self._resolve_thresholds()
        parse_options(self.backend, self.backend_options)
        object.__setattr__(self, "backend_options", MappingProxyType(dict(self.backend_options)))

    def _check_target(self) -> None:
        target = self.target_masked
        if not 0.0 <= target < 1.0:
            raise UserError(f"target masked {target}: must be 0 (as it comes), or below 1")
        if target and self.deciding == "none":
            raise UserError(f"target masked {target}: needs a mask or a preset that chooses the regions")
        if target:
            attended_regions(RegionGrid(1, 1), target, self.effective_refresh_period)

    def _resolve_thresholds(self) -> None:
        if self.thresholds not in ("", TRAINED, TUNED):
            raise UserError(f"thresholds {self.thresholds!r}: unknown; use {TRAINED} or {TUNED}")
        arithmetic, usable = resolve_arithmetic(self.backend, self.arithmetic), self.backend == TUNED_BACKEND
        if self.thresholds == TUNED and not usable:
            raise UserError(f"thresholds {TUNED}: only the {TUNED_BACKEND} backend uses them")
        implied = bool(self.preset) and usable and not (self.thresholds or self.arithmetic)
        tuned = self.thresholds == TUNED or implied
        if tuned:
            arithmetic = bundled_thresholds().arithmetic
            if self.arithmetic not in ("", arithmetic):
                raise UserError(f"arithmetic {self.arithmetic}: the tuned thresholds are for {arithmetic}")
        object.__setattr__(self, "thresholds", TUNED if tuned else TRAINED)
        object.__setattr__(self, "arithmetic", arithmetic)

    @property
    def dynamic_choice(self) -> DynamicChoice:
        """Which dynamic mask."""
        return DynamicChoice(
            self.dynamic, self.mgnet_weights, self.target_masked if self.target_moves_threshold else 0.0)

    @property
    def target_moves_threshold(self) -> bool:
        """Whether a dynamic mask holds the target by itself."""
        return self.dynamic == MGNET and self.uses_dynamic and not self.uses_adaptive

    def network(self, trained: Network) -> Network:
        """The network with the thresholds in force. Settings that do not fit it get the trained ones."""
        return (tuned_network(trained) or trained) if self.thresholds == TUNED else trained

    def for_network(self, trained: Network) -> PipelineSettings:
        """The same, with trained thresholds where the tuned ones belong to another network."""
        if self.thresholds == TUNED and tuned_network(trained) is None:
            return replace(self, thresholds=TRAINED, arithmetic="")
        return self

    def input_wh(self, image_wh: tuple[int, int]) -> tuple[int, int]:
        """Width and height of the network's input for pictures of that size."""
        return choose_input_size(image_wh, self.max_pixels) if self.input_size == "auto" else self.input_size

    @property
    def deciding(self) -> str:
        """The name of what decides: of the preset, or else of the masks."""
        return self.preset or self.mask

    @property
    def active_sources(self) -> list[str]:
        """Names of the masks, or of the preset, that decide; none where everything is sent."""
        named = [STATIC] * self.uses_static + [ADAPTIVE] * self.uses_adaptive
        return named + [self.dynamic] * self.uses_dynamic + [self.preset] * bool(self.preset)

    @property
    def effective_refresh_period(self) -> int:
        """The one that is in force: a preset has its own."""
        schedule = self.schedule
        return schedule.refresh_period if schedule else self.refresh_period

    def keep_backend(self, other: PipelineSettings) -> PipelineSettings:
        """The same, on the other's backend with its arithmetic, thresholds, options and input size."""
        return replace(self, **{name: getattr(other, name) for name in BACKEND_SETTINGS})

    @property
    def schedule(self) -> Schedule | None:
        """The preset's, with the knobs as they are turned; None without a preset."""
        schedule = preset(self.preset)
        return self.knobs.applied(schedule) if schedule else None

    @property
    def uses_static(self) -> bool:
        return STATIC in self.mask.split("+")

    @property
    def uses_adaptive(self) -> bool:
        return ADAPTIVE in self.mask.split("+")

    @property
    def reads_static_mask(self) -> bool:
        """Whether the static mask's file is needed."""
        return self.uses_static or (self.uses_adaptive and bool(self.static_mask))

    @property
    def uses_dynamic(self) -> bool:
        return DYNAMIC in self.mask.split("+")


RECONFIGURABLE = (
    "mask", "static_mask", "dynamic", "mgnet_weights", "adaptive", "target_masked", "preset", "knobs", "refresh_period",
    "restart_period", "score_threshold", "nms_iou", "classes", "class_thresholds", "max_detections",
)
"""Settings that ``Pipeline.reconfigure`` can change while a camera runs."""

BACKEND_SETTINGS = ("backend", "arithmetic", "thresholds", "backend_options", "input_size", "max_pixels")
"""Settings that ``Pipeline.take_over`` can change while a camera runs."""
