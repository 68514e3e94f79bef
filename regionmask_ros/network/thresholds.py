"""Replaces the firing thresholds of a trained network, and reads files of tuned thresholds.

The file is JSON, so that people can read it::

    {"network": "7f98a6...",                        digest of the network with its trained thresholds
     "arithmetic": "snap",                          the arithmetic for which they were tuned
     "input_step": 2,                               value of one unit of the encoder's messages, in 1/64
     "thresholds": {"encoder": 3, "conv1": 3, ...}, in 1/64, for the encoder and every layer except the head
     "made": {...}}                                 from which data, how, and with which results
"""

from __future__ import annotations

import json
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from ..core.arithmetic import RULES
from ..errors import InvalidFile, UserError
from ..files.safe_read import open_regular, read_limited
from .chain import Network

TRAINED, TUNED = "trained", "tuned"
ENCODER = "encoder"
SHIPPED = Path(__file__).with_name("yolo_kp_tuned.json")
INPUT_STEPS = (1, 2)
"""Units of the encoder in 1/64. With 1 the encoder equals Lava's: messages have 8 bits, and a change from dark
to bright needs two frames. With 2 nearly every change is sent in one frame, with a resolution of 2/64, about two of
256 gray levels."""

LARGEST = 31
"""Largest threshold, in 1/64. Up to it a neuron's residual fits 16 bits, and the usual kernels are used."""

_TUNED: weakref.WeakKeyDictionary[Network, Network] = weakref.WeakKeyDictionary()
"""Cameras with the same network share its weights. Therefore they must get the same object."""


@dataclass(frozen=True)
class TunedThresholds:
    """The content of a file of tuned thresholds.

    Attributes:
        network: Digest of the network for which they were tuned.
        arithmetic: Name of the arithmetic for which they were tuned.
        input_step: One of ``INPUT_STEPS``.
        thresholds: In 1/64, 1 to ``LARGEST``, by layer name; the encoder's under ``ENCODER``.
        made: How they were tuned, for people.
    """

    network: str
    arithmetic: str
    input_step: int
    thresholds: Mapping[str, int]
    made: Mapping[str, Any]

    def to_json(self) -> str:
        """The text of the file."""
        content = {"network": self.network, "arithmetic": self.arithmetic, "input_step": self.input_step,
                   "thresholds": dict(self.thresholds), "made": dict(self.made)}
        return json.dumps(content, indent=1, allow_nan=False) + "\n"


def get_thresholds(network: Network) -> dict[str, int]:
    """Thresholds of the encoder and of all layers except the head, by name."""
    return {ENCODER: network.encoder_threshold, **{spec.name: spec.threshold for spec in network.layers[:-1]}}


def with_thresholds(network: Network, thresholds: Mapping[str, int], input_step: int = 1) -> Network:
    """Makes the same network with other thresholds.

    Args:
        network: Any network.
        thresholds: Thresholds in 1/64, with the names of ``get_thresholds``.
        input_step: Unit of the encoder in 1/64. The encoder's threshold is rounded up to this unit, and the weights of
            the first layer are multiplied by it.

    Returns:
        The new network.

    Raises:
        ValueError: The names are not exactly those of ``get_thresholds``.
    """
    if set(thresholds) != set(get_thresholds(network)):
        expected = ", ".join(get_thresholds(network))
        raise ValueError(f"thresholds for {', '.join(thresholds)}; {network.name} needs {expected}")
    *others, head = network.layers
    first, *rest = (*(replace(spec, threshold=thresholds[spec.name]) for spec in others), head)
    return replace(
        network, layers=(replace(first, weight=first.weight * input_step), *rest),
        input_table=network.input_table // input_step,
        encoder_threshold=round_up_encoder(thresholds, input_step)[ENCODER] // input_step)


def round_up_encoder(thresholds: Mapping[str, int], input_step: int) -> dict[str, int]:
    """The same thresholds with the encoder's rounded up to a multiple of ``input_step``, its unit."""
    return {**thresholds, ENCODER: -(-thresholds[ENCODER] // input_step) * input_step}


def read_tuned(path: Path) -> TunedThresholds:
    """Reads a file of tuned thresholds.

    Args:
        path: The file.

    Returns:
        Its checked content.

    Raises:
        UserError: The file cannot be used; the message is one line with file and reason.
    """
    try:
        with open_regular(path) as file:
            return _check_content(json.loads(read_limited(file)))
    except InvalidFile as error:
        raise error.about(path) from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not a file of thresholds: it is not JSON") from error


def _check_content(content: Any) -> TunedThresholds:
    kinds = {"network": str, "arithmetic": str, "input_step": int, "thresholds": dict, "made": dict}
    if not isinstance(content, dict) or any(type(content.get(key)) is not kind for key, kind in kinds.items()):
        raise InvalidFile("not a file of thresholds: it needs network, arithmetic, input_step, thresholds and made")
    if content["arithmetic"] not in RULES:
        raise InvalidFile(f"arithmetic {content['arithmetic']!r} is unknown; use one of {', '.join(RULES)}")
    if content["input_step"] not in INPUT_STEPS:
        raise InvalidFile(f"input_step {content['input_step']!r}: it must be one of {', '.join(map(str, INPUT_STEPS))}")
    for name, value in content["thresholds"].items():
        if type(value) is not int or not 1 <= value <= LARGEST:
            raise InvalidFile(f"threshold of {name} is {value!r}: it must be an integer from 1 to {LARGEST}")
    encoder = content["thresholds"].get(ENCODER, 0)
    if encoder % content["input_step"]:
        raise InvalidFile(f"threshold of {ENCODER} is {encoder}: it must be a multiple of input_step")
    return TunedThresholds(*(content[key] for key in kinds))


@cache
def bundled_thresholds() -> TunedThresholds:
    """The thresholds that are part of the package."""
    return read_tuned(SHIPPED)


def tuned_network(network: Network) -> Network | None:
    """The network with the thresholds that are part of the package; None when these are for another network."""
    tuned, bundled = _TUNED.get(network), bundled_thresholds()
    if tuned is None and network.digest == bundled.network:
        tuned = _TUNED[network] = with_thresholds(network, bundled.thresholds, bundled.input_step)
    return tuned
