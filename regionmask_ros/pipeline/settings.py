"""Everything about the pipeline that a user can choose, checked as a set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from ..backends import AUTO, BACKENDS, CPU, choose_backend, find_options_class, parse_options, resolve_arithmetic
from ..core.frame import ALIGNMENT, check_input_size, choose_input_size, parse_input_size
from ..core.grid import RegionGrid
from ..core.option_table import OPTIONS, check_options, option_field, options_of
from ..core.options import Value
from ..errors import UserError, quote_outside
from ..mask.adaptive import Adaptive
from ..mask.budget import attended_regions
from ..mask.dense_schedule import parse_tiles
from ..mask.mgnet.source import MGNET
from ..mask.schedule import PresetOverrides, Schedule, preset
from ..mask.source import ADAPTIVE, DYNAMIC, STATIC
from ..mask.tile_schedule import TileSchedule, tile_schedule
from ..network.chain import Network
from ..network.dense import AnyNetwork, DenseNetwork
from ..network.thresholds import TRAINED, TUNED, bundled_thresholds, tuned_network

FINEST = 0
"""Index of the tile engine's smallest thresholds, those of any mask without a preset."""

TUNED_BACKEND = CPU
"""The other backends compute as Lava does; the thresholds were not tuned for that."""

PRESET = "preset"
"""In a mask mode: a preset selects regions."""

MODES = tuple(mode for mode in OPTIONS["mask_mode"].choices if PRESET not in mode.split("+"))
"""Which masks are united. A preset can be combined with the first three."""


@dataclass(frozen=True)
class PipelineSettings:
    """Everything that a user can choose about the pipeline. `core.option_table` describes the options.

    Unlike the options `mask_mode` and `preset`, the fields `mask` and `preset` are empty by default: a pipeline without
    settings masks nothing. `make_settings` makes settings from a full set of options.

    Attributes:
        input_size: ``auto``, or (width, height), multiples of 32.
        max_pixels: Largest number of pixels of an automatic input size.
        max_image_pixels: Largest number of pixels of a camera image or a mask.
        image_bit_depth: Bits that 16-bit samples of camera images hold: ``auto``, or a number as text.
        mask: One of `MODES`. With a preset: ``none``, or ``static`` or ``adaptive`` for the regions of either.
        static_mask: File of the static mask; an adaptive one starts from it.
        dynamic: Kind of the dynamic mask.
        adaptive: How an adaptive mask learns.
        mgnet_weights: File of the mask network; empty: the one of the package.
        target_masked: Share of the regions to be masked over all frames, see `mask.budget`; 0: no target. The dynamic
            mask mgnet moves its threshold for it, unless it is combined with an adaptive mask.
        preset: Name of a schedule; empty: none. It replaces `refresh_period` by its own.
        overrides: Values that replace those of the preset.
        refresh_period: Frames from one refresh frame to the next; 0: the first frame only.
        restart_period: Frames after which everything is reset; 0: never.
        score_threshold: Lowest score of a reported detection.
        nms_iou: Intersection over union above which the weaker of two boxes of a class is removed.
        classes: Names of the reported classes; empty: all.
        class_thresholds: (class, lowest score) of classes with a threshold of their own.
        max_detections: Largest number of reported detections per frame; 0: all.
        schedule_form: Form of the preset for a dense network: ``auto``, ``burst`` or ``rolling``.
        tiles: Its tiles: ``auto``, or columns and rows such as ``3x2``.
        backend: Name of the backend. ``auto`` is replaced by `for_network`.
        arithmetic: Rule of the neurons, see `core.arithmetic`; never empty once the backend is known, but for a dense
            one.
        thresholds: ``trained`` or ``tuned``; likewise.
        backend_options: Options of this backend by the names of their fields.
        runs_tiles: Whether the backend ``cpu`` runs an ONNX network, on the tile engine. `for_network` sets it.

    Raises:
        UserError: A value is not allowed, or values contradict each other. The message names them.
    """

    input_size: str | tuple[int, int] = option_field("input_size")
    max_pixels: int = option_field("max_pixels")
    max_image_pixels: int = option_field("max_image_pixels")
    image_bit_depth: str = option_field("image_bit_depth")
    mask: str = "none"
    static_mask: str = option_field("static_mask")
    dynamic: str = option_field("dynamic_mask")
    adaptive: Adaptive = Adaptive()  # noqa: RUF009  frozen
    mgnet_weights: str = option_field("mgnet_weights")
    target_masked: float = option_field("target_masked")
    preset: str = ""
    overrides: PresetOverrides = PresetOverrides()  # noqa: RUF009  frozen
    refresh_period: int = option_field("refresh_period")
    restart_period: int = option_field("restart_period")
    score_threshold: float = option_field("score_threshold")
    nms_iou: float = option_field("nms_iou")
    classes: tuple[str, ...] = option_field("classes")
    class_thresholds: tuple[tuple[str, float], ...] = option_field("class_thresholds")
    max_detections: int = option_field("max_detections")
    schedule_form: str = option_field("schedule")
    tiles: str = option_field("tiles")
    backend: str = option_field("backend")
    arithmetic: str = option_field("arithmetic")
    thresholds: str = option_field("thresholds")
    backend_options: Mapping[str, Value] = field(default_factory=dict)
    runs_tiles: bool = False

    def __post_init__(self) -> None:
        check_options(self)
        if not isinstance(self.input_size, str):
            check_input_size(self.input_size)
        if self.mask not in MODES:
            raise UserError(f"mask {self.mask!r}: unknown; use {', '.join(MODES)}")
        if self.uses_static and not self.static_mask:
            raise UserError(f"mask {self.deciding}: needs a static mask file (a .png or .npz)")
        if self.overrides != PresetOverrides() and not self.preset:
            raise UserError("a value of a preset is replaced, but there is no preset: set one, or leave the value out")
        if self.dynamic != MGNET and self.mgnet_weights:
            raise UserError(f"dynamic_mask {self.dynamic}: has no weights; mgnet has")
        if preset(self.preset) and self.uses_dynamic:
            raise UserError(f"preset {self.preset} tracks objects itself: leave out mask {self.mask}; static and "
                            "adaptive can be combined with it")
        if self.tiles != AUTO:
            parse_tiles(self.tiles)
        self._check_target()
        for name, threshold in self.class_thresholds:
            if not 0.0 <= threshold <= 1.0:
                raise UserError(f"score threshold {threshold} of {name}: must be 0 to 1")
        self._resolve_thresholds()
        parse_options(self.backend, self.backend_options)
        object.__setattr__(self, "backend_options", MappingProxyType(dict(self.backend_options)))

    def _check_target(self) -> None:
        target = self.target_masked
        if target and self.deciding == "none":
            raise UserError(f"target_masked {target}: needs a mask or a preset that selects regions")
        if target and self.backend != AUTO and not (self.is_dense and self.preset):
            attended_regions(RegionGrid(1, 1), target, self.effective_refresh_period)

    def _resolve_thresholds(self) -> None:
        if self.backend == AUTO:
            return
        if self.is_dense:
            for name in ("arithmetic", "thresholds"):
                if getattr(self, name):
                    raise UserError(f"{name} {getattr(self, name)}: not for ONNX networks, which have no neurons that "
                                    "fire; leave it out, or make a network that has them with 'model events'")
            return
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
    def target_moves_threshold(self) -> bool:
        """Whether the dynamic mask reaches the target by itself."""
        return self.dynamic == MGNET and self.uses_dynamic and not self.uses_adaptive

    @property
    def is_dense(self) -> bool:
        """Whether the backend runs dense networks. False while it is ``auto``."""
        return self.runs_tiles or (self.backend != AUTO and BACKENDS[self.backend].is_dense)

    def network(self, trained: Network) -> Network:
        """The network with the thresholds that are in use; the trained ones where no tuned ones belong to it."""
        return (tuned_network(trained) or trained) if self.thresholds == TUNED else trained

    def for_network(self, trained: AnyNetwork) -> PipelineSettings:
        """These settings with the backend of a network, and trained thresholds where the tuned ones are another's.

        Args:
            trained: The network.

        Returns:
            The settings; their backend is never ``auto``.

        Raises:
            UserError: The backend cannot run the network, or a setting makes no sense for it.
        """
        backend, settings = choose_backend(self.backend, trained), self
        if backend != self.backend:
            known = options_of(find_options_class(backend))
            options = {name: value for name, value in self.backend_options.items() if name in known}
            settings = replace(self, backend=backend, backend_options=options)
        if isinstance(trained, DenseNetwork):
            # Until now, cpu meant the engine of sigma-delta networks, with its defaults.
            runs_tiles = backend == CPU
            return replace(settings, runs_tiles=runs_tiles, arithmetic="", thresholds="") if (
                runs_tiles or settings.runs_tiles) else settings
        if settings.preset and (settings.schedule_form != AUTO or settings.tiles != AUTO):
            raise UserError(f"schedule {settings.schedule_form}, tiles {settings.tiles}: for ONNX networks only; "
                            f"{trained.name} is a sigma-delta network")
        if settings.thresholds == TUNED and tuned_network(trained) is None:
            return replace(settings, thresholds=TRAINED, arithmetic="")
        return settings

    def input_wh(self, image_wh: tuple[int, int], network: AnyNetwork | None = None) -> tuple[int, int]:
        """Width and height of the network's input.

        Args:
            image_wh: Width and height of the camera's image.
            network: The network, which may have an input of its own; None: YOLO-KP.

        Returns:
            Width and height.

        Raises:
            UserError: The input size that was asked for is not one of the network's.
        """
        fixed = network.fixed_wh if isinstance(network, DenseNetwork) else None
        alignment = network.alignment if isinstance(network, DenseNetwork) else ALIGNMENT
        if isinstance(self.input_size, str):
            return fixed or choose_input_size(image_wh, self.max_pixels, alignment)
        width, height = self.input_size
        if fixed and self.input_size != fixed:
            raise UserError(f"input size {width}x{height}: this network's file allows {fixed[0]}x{fixed[1]} only")
        if width % alignment or height % alignment:
            raise UserError(f"input size {width}x{height}: this network needs multiples of {alignment}")
        return self.input_size

    def fix_input(self, image_wh: tuple[int, int], network: AnyNetwork) -> PipelineSettings:
        """These settings with the input size of the first image, so that images of other sizes do not change it."""
        if isinstance(network, DenseNetwork) and network.fixed_wh:
            return self
        return replace(self, input_size=self.input_wh(image_wh, network))

    @property
    def fixed_input_wh(self) -> tuple[int, int] | None:
        """Width and height of the network's input; None when it follows the camera."""
        return None if isinstance(self.input_size, str) else self.input_size

    @property
    def deciding(self) -> str:
        """Name of what selects the regions: the preset, the masks, or both."""
        return "+".join(filter(None, (self.preset, self.mask if self.mask != "none" else ""))) or "none"

    @property
    def mask_name(self) -> str:
        """As `deciding`, with the kind of the dynamic mask in place of ``dynamic``."""
        return self.deciding.replace("dynamic", self.dynamic)

    @property
    def active_sources(self) -> list[str]:
        """Names of the masks and of the preset that select regions; none where all regions are observed."""
        named = [STATIC] * self.uses_static + [ADAPTIVE] * self.uses_adaptive
        return named + [self.dynamic] * self.uses_dynamic + [self.preset] * bool(self.preset)

    @property
    def effective_refresh_period(self) -> int:
        """The period that is in use: a preset has its own."""
        if self.tile_schedule:
            # Its refresh rolls over the image.
            return 0
        schedule = self.schedule
        return schedule.refresh_period if schedule else self.refresh_period

    def keep_backend(self, other: PipelineSettings) -> PipelineSettings:
        """These settings with the backend of others: its arithmetic, thresholds, options and input size, too."""
        return replace(self, **{name: getattr(other, name) for name in BACKEND_SETTINGS})

    @property
    def schedule(self) -> Schedule | None:
        """The preset's schedule, with the values that are replaced; None without a preset, or for a dense backend."""
        schedule = None if self.is_dense else preset(self.preset)
        return self.overrides.apply(schedule) if schedule else None

    @property
    def level(self) -> int | None:
        """Index of the tile engine's thresholds: without a preset the finest; None without a mask: thresholds of 0."""
        if self.tile_schedule:
            return self.tile_schedule.level
        return FINEST if self.active_sources else None

    @property
    def tile_schedule(self) -> TileSchedule | None:
        """The preset's schedule for the tile engine, with the values that are replaced; None without either."""
        return tile_schedule(self.preset, self.overrides) if self.runs_tiles and self.preset else None

    @property
    def uses_static(self) -> bool:
        """Whether a static mask selects regions."""
        return STATIC in self.mask.split("+")

    @property
    def uses_adaptive(self) -> bool:
        """Whether an adaptive mask selects regions."""
        return ADAPTIVE in self.mask.split("+")

    @property
    def reads_static_mask(self) -> bool:
        """Whether the static mask's file is needed."""
        return self.uses_static or (self.uses_adaptive and bool(self.static_mask))

    @property
    def uses_dynamic(self) -> bool:
        """Whether a dynamic mask selects regions."""
        return DYNAMIC in self.mask.split("+")


RECONFIGURABLE = (
    "mask", "static_mask", "dynamic", "mgnet_weights", "adaptive", "target_masked", "preset", "overrides",
    "schedule_form", "tiles", "refresh_period", "restart_period", "score_threshold", "nms_iou", "classes",
    "class_thresholds", "max_detections", "max_image_pixels", "image_bit_depth",
)
"""Settings that ``Pipeline.reconfigure`` can change while a camera runs."""

BACKEND_SETTINGS = ("backend", "runs_tiles", "arithmetic", "thresholds", "backend_options", "input_size", "max_pixels")
"""Settings that ``Pipeline.take_over`` can change while a camera runs."""


def make_settings(values: Mapping[str, Value]) -> PipelineSettings:
    """Settings from options, as the node and the command line have them.

    Args:
        values: A value for every option, by its name.

    Returns:
        The settings.

    Raises:
        UserError: A value is not allowed, or values contradict each other.
    """
    for name, option in OPTIONS.items():
        option.check(values[name])
    found: dict[str, Any] = dict(values)
    modes = found["mask_mode"].split("+")
    scheduled = PRESET in modes
    return PipelineSettings(
        **{field: found[option.name] for field, option in options_of(PipelineSettings).items()}
        | {"input_size": parse_input_size(found["input_size"]),
           "class_thresholds": tuple(map(_parse_class_threshold, found["class_thresholds"]))},
        mask="+".join(mode for mode in modes if mode != PRESET) or "none",
        adaptive=Adaptive(**_values_of(Adaptive, found)),
        preset=found["preset"] if scheduled else "",
        overrides=PresetOverrides(**_values_of(PresetOverrides, found)) if scheduled else PresetOverrides(),
        backend_options=_backend_options(found),
    )


def check_tuned(values: Mapping[str, Value], settings: PipelineSettings) -> None:
    """Checks that the network has tuned thresholds if the user wants them.

    Args:
        values: A value for every option, by its name.
        settings: Made from them, for the network.

    Raises:
        UserError: It has none.
    """
    if values["thresholds"] == TUNED and settings.thresholds == TRAINED:
        raise UserError(f"thresholds {TUNED}: this network has none, only yolo_kp does; leave it out")


def _backend_options(values: Mapping[str, Any]) -> dict[str, Any]:
    """Options of the backend; those that the user has set where the backend is not known yet."""
    kind = find_options_class(values["backend"])
    options = _values_of(kind, values)
    if values["backend"] != AUTO:
        return options
    return {field: value for field, value in options.items() if value != options_of(kind)[field].default}


def _values_of(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of a dataclass's options, by the names of its fields."""
    return {field: values[option.name] for field, option in options_of(kind).items()}


def _parse_class_threshold(text: str) -> tuple[str, float]:
    name, colon, score = text.rpartition(":")
    try:
        if colon and name.strip():
            return name.strip(), float(score)
    except ValueError:
        pass
    raise UserError(f"class_thresholds {quote_outside(text)}: write class:score, such as person:0.5")
