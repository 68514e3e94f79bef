"""Options that were given, but cannot take effect with the others: each is refused, so that nobody relies on it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from ..backends import BACKENDS, find_options_class
from ..core.option_table import OPTIONS, options_of
from ..core.options import Group
from ..errors import UserError
from ..mask.dense_schedule import DENSE_OVERRIDES
from ..mask.schedule import PresetOverrides
from ..mask.tile_schedule import TILE_OVERRIDES
from ..pipeline.settings import PRESET, PipelineSettings, check_tuned

Values = Mapping[str, Any]

_NEEDS: Mapping[str, tuple[str, Callable[[Values], bool]]] = {
    "preset": ("a mask with preset in it", lambda values: _has(values, PRESET)),
    "schedule": ("a mask with preset in it", lambda values: _has(values, PRESET)),
    "tiles": ("a mask with preset in it", lambda values: _has(values, PRESET)),
    "static_mask": ("a mask with static or adaptive in it", lambda values: _has(values, "static", "adaptive")),
    "dynamic_mask": ("a mask with dynamic in it", lambda values: _has(values, "dynamic")),
    "mgnet_weights": ("a mask with dynamic in it, and --dynamic mgnet",
                      lambda values: _has(values, "dynamic") and values["dynamic_mask"] == "mgnet"),
    "refresh_period": ("a mask without preset; --preset-refresh-period is for those with one",
                       lambda values: not _has(values, PRESET, "none")),
    **dict.fromkeys(("adaptive_half_life", "adaptive_cover", "adaptive_ring"),
                    ("a mask with adaptive in it", lambda values: _has(values, "adaptive"))),
}
"""By the name of an option: what it needs in words, and whether the values of all options have it."""


def _has(values: Values, *parts: str) -> bool:
    return not set(parts).isdisjoint(values["mask_mode"].split("+"))


def check_masks(given: Collection[str], values: Values) -> None:
    """Checks the options of masks and of the node.

    Args:
        given: Names of the options that the user gave.
        values: The values of all options by name.

    Raises:
        UserError: One of them has no effect.
    """
    for name, option in OPTIONS.items():
        if name not in given or values[name] == "":
            continue
        if name in _NEEDS and not _NEEDS[name][1](values):
            _refuse(name, values, f"not used with --mask {values['mask_mode']}; it needs {_NEEDS[name][0]}")
        if option.group is Group.PRESET and not _has(values, PRESET):
            _refuse(name, values, f"not used with --mask {values['mask_mode']}; leave out one of them")
        if name == "max_pixels" and values["input_size"] != "auto":
            _refuse(name, values, f"not used with --input-size {values['input_size']}; leave out one of them")
        if option.group is Group.NODE and name != "image_transport":
            _refuse(name, values, "has an effect in the ROS node only; leave it out")


def check_network(given: Collection[str], values: Values, settings: PipelineSettings) -> None:
    """Checks the options of backends and presets, once the network has decided about the backend.

    Args:
        given: Names of the options that the user gave.
        values: The values of all options by name.
        settings: The settings, with the backend that runs the network.

    Raises:
        UserError: One of them has no effect.
    """
    check_backends(given, values, (settings.backend,))
    check_tuned(values, settings)
    schedule = {option.name for option in options_of(PresetOverrides).values()}
    fields = TILE_OVERRIDES if settings.runs_tiles else DENSE_OVERRIDES
    used = {options_of(PresetOverrides)[field].name for field in fields} if settings.is_dense else schedule
    for name in sorted(given):
        if name in schedule - used or (settings.is_dense and name in ("arithmetic", "thresholds") and values[name]):
            _refuse(name, values, "not for ONNX networks; leave it out")
        if settings.runs_tiles and name in ("schedule", "tiles"):
            _refuse(name, values, "for the backends openvino and onnxruntime; leave it out")


def check_backends(given: Collection[str], values: Values, backends: Collection[str]) -> None:
    """Checks the options of backends.

    Args:
        given: Names of the options that the user gave.
        values: The values of all options by name.
        backends: Names of the backends that will run.

    Raises:
        UserError: One is for another backend.
    """
    users = {
        backend: {option.name for option in options_of(find_options_class(backend)).values()} for backend in BACKENDS}
    for name in sorted(given):
        able = [backend for backend in BACKENDS if name in users[backend]]
        if able and not set(able) & set(backends):
            _refuse(name, values, f"for the backend {' and '.join(able)}; this run uses {' and '.join(backends)}")


def _refuse(name: str, values: Values, why: str) -> None:
    raise UserError(f"{OPTIONS[name].flag} {values[name]}: {why}")
