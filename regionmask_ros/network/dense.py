"""A dense detector: an ONNX model, and all that is known of its input and its outputs.

A dense network computes its whole input in every run, on a runtime such as OpenVINO. It has no state and sends no
events.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from types import MappingProxyType

from .chain import Network


@dataclass(frozen=True)
class Preprocessing:
    """From a picture's 8-bit values to the values of the network's input: (value - mean) / deviation, per channel.

    Attributes:
        order: Order of the channels that the network expects, "rgb" or "bgr".
        mean: Of the channels in that order, 0 to 255.
        deviation: Of the channels in that order; 255 for an input of 0 to 1, 1 for one of 0 to 255.
    """

    order: str = "rgb"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    deviation: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        if self.order not in ("rgb", "bgr"):
            raise ValueError(f"order {self.order!r}: rgb or bgr")
        if not all(value > 0.0 for value in self.deviation):
            raise ValueError(f"deviation {self.deviation}: must be positive")


@dataclass(frozen=True)
class HeadSpec:
    """What the outputs mean.

    Attributes:
        family: Name of the head in ``detection.heads.HEADS``.
        num_classes: At least 1.
        outputs: Names of the outputs that are decoded, in the order in which the head wants them.
        strides: Input pixels between neighboring cells, one for each level; empty where the boxes are decoded.
        numbers: Further facts, by names that the family's module explains.
    """

    family: str
    num_classes: int
    outputs: tuple[str, ...]
    strides: tuple[int, ...] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "numbers", MappingProxyType(dict(self.numbers)))


@dataclass(frozen=True)
class GraphFacts:
    """What a file says about its outputs, for finding the head.

    Attributes:
        metadata: Texts in the file, such as those of Ultralytics.
        producers: For each output, the operators that it was computed with, nearest first, at most 32.
        input_wh: Width and height of the input of the run that gave the outputs.
    """

    metadata: Mapping[str, str]
    producers: Mapping[str, tuple[str, ...]]
    input_wh: tuple[int, int]


@dataclass(frozen=True, eq=False)
class DenseNetwork:
    """A dense detector. Instances are compared by identity.

    Attributes:
        name: For reports, and for ``model remove``.
        model: An ONNX model, checked, without external data. Its input is float [1, 3, height, width], with free
            height and width unless ``fixed_wh`` is given. Empty for a network of the package, which has ``tiles`` only:
            ``tiles.onnx_model.find_model`` makes one.
        head: What the outputs mean.
        labels: Class names by index.
        preprocessing: What the input expects.
        input_name: Name of the input.
        fixed_wh: The only possible width and height of the input; None: any multiple of ``alignment``.
        alignment: Width and height of the input are multiples of this.
        source_file: The file that the network was read from.
        sha256: Digest of that file.
        precision: "fp32", "fp16" or "int8": of the weights in the file.
        tiles: The quantized network for the tile engine, see ``tiles.quantization.files``; empty: none.
        tiles_reason: Why there is none; empty: this was not tried.
        tiles_agreement: Of the quantized network's detections with those of this one, 0 to 100, on pictures of the
            calibration; None: not measured.
    """

    name: str
    model: bytes = field(repr=False)
    head: HeadSpec
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    input_name: str
    fixed_wh: tuple[int, int] | None = None
    alignment: int = 32
    source_file: str = ""
    sha256: str = ""
    precision: str = "fp32"
    tiles: bytes = field(default=b"", repr=False)
    tiles_reason: str = ""
    tiles_agreement: float | None = None

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that affects the output."""
        head = {entry.name: getattr(self.head, entry.name) for entry in fields(self.head)}
        facts = {**head, "numbers": dict(self.head.numbers), "preprocessing": asdict(self.preprocessing)}
        return hashlib.sha256(self.model + json.dumps(facts, sort_keys=True).encode() + self.tiles).hexdigest()


AnyNetwork = Network | DenseNetwork
