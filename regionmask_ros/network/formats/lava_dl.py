"""Converts a checkpoint of YOLO-KP, trained by lava-dl, to integers.

The checkpoint has real numbers. lava-dl quantizes them when it exports a network, and this module gives exactly the
same integers. A normalized kernel is ``w = weight_v * weight_g / ||weight_v||`` (norm over one output channel's
kernel), and

    weight = clip(2 * rint(32 * w), -512, 510)        bias = -clip(2 * rint(32 * running_mean), -256, 254)

``rint`` rounds halves to even. Shapes, anchors and thresholds are those of the file. The file has no strides and
paddings; they are those of YOLO-KP.
"""

from __future__ import annotations

import hashlib

import numpy as np

from ...core.arithmetic import UNIT
from ...errors import InvalidFile
from ..chain import ConvSpec, Network, YoloHead
from .torch_checkpoint import read_tensors

COCO_LABELS: tuple[str, ...] = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow",
    "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee",
    "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard",
    "tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple",
    "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch",
    "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone",
    "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors", "teddy bear",
    "hair drier", "toothbrush",
)
"""Class names of the COCO detection task, in the order of the network's channels."""

NAME = "YOLO-KP"

# (name, stride, padding); the kernel is 2 * padding + 1. Blocks 0 to 8 of the checkpoint, then its head.
BLOCKS = (
    ("conv1", 2, 1), ("conv2", 2, 1), ("conv3", 2, 1), ("conv4", 2, 1), ("conv5", 1, 1), ("conv6", 2, 1),
    ("conv7", 1, 1), ("conv8", 1, 0), ("conv9", 1, 1),
)
HEAD = ("head", 1, 0)
INPUT_MEAN = (0.485, 0.456, 0.406)
INPUT_STD = (0.229, 0.224, 0.225)
CLAMP_MAX = 5.0
MAX_THRESHOLD = 1 << 15


def parse_yolo_kp(data: bytes, source_file: str) -> Network:
    """Converts a checkpoint.

    Args:
        data: The file's content.
        source_file: The file's name, for ``Network.source_file``.

    Returns:
        The network.

    Raises:
        InvalidFile: The content is damaged, or is not a checkpoint of YOLO-KP.
    """
    tensors = _Tensors(read_tensors(data))
    encoder_threshold = tensors.threshold("input_blocks.0.neuron.delta.threshold")
    layers = [_block(tensors, index, *row) for index, row in enumerate(BLOCKS)]
    name, stride, padding = HEAD
    weight = _quantize(tensors.kernel("heads.0.weight", padding).astype(np.float64), 512)
    layers.append(_layer(name, weight, None, stride, padding, 0))
    head = YoloHead(tensors.anchors("anchors"), len(COCO_LABELS), CLAMP_MAX)
    tensors.check_all_used("blocks.", "heads.", "input_blocks.")
    try:
        return Network(NAME, tuple(layers), head, COCO_LABELS, input_table(), encoder_threshold, source_file,
                       hashlib.sha256(data).hexdigest())
    except ValueError as error:
        raise InvalidFile(f"not a YOLO-KP checkpoint with COCO classes: {error}") from error


def input_table() -> np.ndarray:
    """The encoder's integers for 8-bit R, G and B values, normalized as for ImageNet in float32: int32 [256, 3]."""
    value = np.arange(256, dtype=np.float32)[:, None] / np.float32(255)
    normal = (value - np.array(INPUT_MEAN, np.float32)) / np.array(INPUT_STD, np.float32)
    return np.rint(normal * np.float32(UNIT)).astype(np.int32)


def find_real_weights(network: Network) -> list[np.ndarray]:
    """The weights of a network as real numbers, for an input with the usual normalization.

    Args:
        network: The network. Its encoder may have a unit of 2/64, see ``thresholds.with_thresholds``.

    Returns:
        float64 [out, in, ky, kx] of each layer.

    Raises:
        ValueError: The network has another normalization.
    """
    for step in (1, 2):
        if np.array_equal(network.input_table, input_table() // step):
            first, *others = (layer.real_weight for layer in network.layers)
            return [first / step, *others]
    raise ValueError("the input table of the network is not the usual normalization")


class _Tensors:
    """The checkpoint's tensors by name, checked when they are read."""

    def __init__(self, tensors: dict[str, np.ndarray]) -> None:
        self._tensors = tensors
        self._used: set[str] = set()

    def read(self, name: str) -> np.ndarray:
        if name not in self._tensors:
            raise InvalidFile(f"no tensor {name}: not a YOLO-KP checkpoint")
        self._used.add(name)
        tensor = self._tensors[name]
        if not np.isfinite(tensor).all():
            raise InvalidFile(f"tensor {name} holds NaN or infinite values")
        return tensor

    def kernel(self, name: str, padding: int) -> np.ndarray:
        """float32 [out, in, k, k]; in the file, a time axis of length 1 follows."""
        tensor, side = self.read(name), 2 * padding + 1
        if tensor.ndim != 5 or tensor.shape[2:] != (side, side, 1):
            raise InvalidFile(f"tensor {name} is {list(tensor.shape)}, expected [out, in, {side}, {side}, 1]")
        return tensor[..., 0]

    def per_channel(self, name: str, channels: int) -> np.ndarray:
        """float32 [channels]; axes of length 1 may follow."""
        tensor = self.read(name)
        if tensor.size != channels or tensor.shape[:1] != (channels,):
            raise InvalidFile(f"tensor {name} is {list(tensor.shape)}, expected {channels} values")
        return tensor.reshape(channels)

    def threshold(self, name: str) -> int:
        """At scale 2^6, rounded down as in lava-dl. The values in the file are multiples of 1/64 already."""
        value = float(self.per_channel(name, 1)[0])
        if not 1 <= value * UNIT < MAX_THRESHOLD:
            raise InvalidFile(f"tensor {name} is {value:g}, expected a threshold of at least 1/{UNIT}")
        return int(value * UNIT)

    def anchors(self, name: str) -> tuple[tuple[float, float], ...]:
        """In grid cells: the shortest decimals of the float32 values, such as 0.28, as in the training code."""
        tensor = self.read(name)
        if tensor.ndim != 3 or tensor.shape[::2] != (1, 2) or not (tensor > 0).all():
            raise InvalidFile(f"tensor {name} is {list(tensor.shape)}, expected [1, anchors, 2] positive numbers")
        return tuple((float(str(w)), float(str(h))) for w, h in tensor[0])

    def check_all_used(self, *prefixes: str) -> None:
        """Rejects other networks by their extra tensors. ``neuron.bias`` is allowed: lava-dl never uses it."""
        for name in self._tensors:
            if name not in self._used and name.startswith(prefixes) and not name.endswith(".neuron.bias"):
                raise InvalidFile(f"tensor {name} does not belong to YOLO-KP")


def _block(tensors: _Tensors, index: int, name: str, stride: int, padding: int) -> ConvSpec:
    direction = tensors.kernel(f"blocks.{index}.synapse.weight_v", padding).astype(np.float64)
    channels = len(direction)
    length = tensors.per_channel(f"blocks.{index}.synapse.weight_g", channels).astype(np.float64)
    norm = np.sqrt(np.square(direction).sum(axis=(1, 2, 3)))
    if not norm.all():
        raise InvalidFile(f"tensor blocks.{index}.synapse.weight_v has a channel of zeros, which cannot be normalized")
    direction *= (length / norm)[:, None, None, None]
    mean = tensors.per_channel(f"blocks.{index}.neuron.norm.running_mean", channels).astype(np.float64)
    threshold = tensors.threshold(f"blocks.{index}.neuron.delta.threshold")
    return _layer(name, _quantize(direction, 512), -_quantize(mean, 256), stride, padding, threshold)


def _layer(name: str, weight: np.ndarray, bias: np.ndarray | None, stride: int, padding: int,
           threshold: int) -> ConvSpec:
    try:
        return ConvSpec(name, weight, bias, stride, padding, threshold)
    except ValueError as error:
        raise InvalidFile(f"not a YOLO-KP checkpoint: {error}") from error


def _quantize(real: np.ndarray, limit: int) -> np.ndarray:
    """Real numbers, float64 (overwritten), to even int32 at scale 2^6, from -limit to limit - 2."""
    real *= UNIT // 2
    np.rint(real, out=real)
    real *= 2
    return np.clip(real, -limit, limit - 2, out=real).astype(np.int32)
