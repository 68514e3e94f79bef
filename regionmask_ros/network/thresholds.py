"""Other firing thresholds for a trained network, and the file that holds some that were tuned.

The file is JSON, made to be read by people before it is used::

    {"network": "7f98a6...",                        digest of the network with its trained thresholds
     "arithmetic": "snap",                          the rule that they are for
     "input_step": 2,                               what a unit of the encoder's messages is worth, in 1/64
     "thresholds": {"encoder": 3, "conv1": 3, ...}, in 1/64, one for the encoder and for every layer but the head
     "made": {...}}                                 from what, how, and with which figures
"""

from __future__ import annotations

import json
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from ..core.arithmetic import ARITHMETICS
from ..errors import InvalidFile, UserError
from ..files.safe_read import open_regular, read_limited
from .graph import Network

TRAINED, TUNED = "trained", "tuned"
ENCODER = "encoder"
SHIPPED = Path(__file__).with_name("yolo_kp_tuned.json")
INPUT_STEPS = (1, 2)
"""With 1 the encoder is Lava's: a message has 8 bits, and a change from dark to bright takes two frames to arrive. With
2 nearly every change arrives at once, for values known to 2/64, about two of 256 grey levels."""

LARGEST = 31
"""In 1/64. Up to here the difference that a neuron keeps to itself fits 16 bits, and kernels are the usual ones."""

_TUNED: weakref.WeakKeyDictionary[Network, Network] = weakref.WeakKeyDictionary()
"""Cameras that run the same network share its weights, so they must get the same object."""


@dataclass(frozen=True)
class TunedThresholds:
    """network: digest of the network that they belong to. arithmetic: the rule that they are for.

    input_step: of ``INPUT_STEPS``. thresholds: in 1/64, 1 to ``LARGEST``, by layer name, ``encoder`` included. made:
    how, for people.
    """

    network: str
    arithmetic: str
    input_step: int
    thresholds: Mapping[str, int]
    made: Mapping[str, Any]

    def to_json(self) -> str:
        content = {"network": self.network, "arithmetic": self.arithmetic, "input_step": self.input_step,
                   "thresholds": dict(self.thresholds), "made": dict(self.made)}
        return json.dumps(content, indent=1, allow_nan=False) + "\n"


def get_thresholds(network: Network) -> dict[str, int]:
    """The encoder's and each layer's but the head's, by name."""
    return {ENCODER: network.encoder_threshold, **{spec.name: spec.threshold for spec in network.layers[:-1]}}


def with_thresholds(network: Network, thresholds: Mapping[str, int], input_step: int = 1) -> Network:
    """The same network with other thresholds. thresholds: as ``get_thresholds`` gives them.

    input_step: the encoder counts in so many 64ths, and the first layer's weights make up for it; its threshold is
    rounded up to whole steps. Raises ValueError unless exactly the encoder and the layers but the head are named.
    """
    if set(thresholds) != set(get_thresholds(network)):
        there = ", ".join(get_thresholds(network))
        raise ValueError(f"thresholds for {', '.join(thresholds)}; {network.name} has {there}")
    *others, head = network.layers
    first, *rest = (*(replace(spec, threshold=thresholds[spec.name]) for spec in others), head)
    return replace(
        network, layers=(replace(first, weight=first.weight * input_step), *rest),
        input_table=network.input_table // input_step,
        encoder_threshold=round_up_encoder(thresholds, input_step)[ENCODER] // input_step)


def round_up_encoder(thresholds: Mapping[str, int], input_step: int) -> dict[str, int]:
    """The same, with the encoder's rounded up to whole steps: those between cannot be told apart."""
    return {**thresholds, ENCODER: -(-thresholds[ENCODER] // input_step) * input_step}


def read_tuned(path: Path) -> TunedThresholds:
    """Raises UserError, one line with file and cause, for anything but such a file."""
    try:
        with open_regular(path) as file:
            return _checked(json.loads(read_limited(file)))
    except InvalidFile as refused:
        raise refused.about(path) from refused
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: no file of thresholds, it cannot be read as JSON") from error


def _checked(content: Any) -> TunedThresholds:
    kinds = {"network": str, "arithmetic": str, "input_step": int, "thresholds": dict, "made": dict}
    if not isinstance(content, dict) or any(type(content.get(key)) is not kind for key, kind in kinds.items()):
        raise InvalidFile("no file of thresholds: it needs network, arithmetic, input_step, thresholds and made")
    if content["arithmetic"] not in ARITHMETICS:
        raise InvalidFile(f"arithmetic {content['arithmetic']!r} is unknown; there are {', '.join(ARITHMETICS)}")
    if content["input_step"] not in INPUT_STEPS:
        raise InvalidFile(f"input_step {content['input_step']!r}: it must be one of {', '.join(map(str, INPUT_STEPS))}")
    for name, value in content["thresholds"].items():
        if type(value) is not int or not 1 <= value <= LARGEST:
            raise InvalidFile(f"threshold of {name} is {value!r}: it must be a whole number from 1 to {LARGEST}")
    if content["thresholds"].get(ENCODER, 0) % content["input_step"]:
        raise InvalidFile(f"threshold of {ENCODER} is {content['thresholds'][ENCODER]}: no multiple of input_step")
    return TunedThresholds(*(content[key] for key in kinds))


@cache
def bundled_thresholds() -> TunedThresholds:
    """Those that come with the package."""
    return read_tuned(SHIPPED)


def tuned_network(network: Network) -> Network | None:
    """The network with the thresholds that come with the package; None when these belong to another network."""
    known = _TUNED.get(network)
    if known is None and network.digest == bundled_thresholds().network:
        known = _TUNED[network] = with_thresholds(network, bundled_thresholds().thresholds, bundled_thresholds().input_step)
    return known
