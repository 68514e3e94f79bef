"""Reads sigma-delta convolutional networks that lava-dl has exported (``.net``, HDF5).

lava-dl writes the quantized values, integers stored as floats. ``layer/0`` is the input with the encoder's threshold,
the layers after it are convolutions, and the last one outputs its sigma. Anything else (dense layers, delays, groups,
other neurons) is rejected with the layer's number.

An exported network does not describe its output. A network with the channels of YOLO-KP gets the anchors, labels and
input normalization of YOLO-KP. Any other has no boxes, and its input is ``rint(64 * v / 255)``.
"""

from __future__ import annotations

import hashlib

import numpy as np

from ...core.arithmetic import UNIT
from ...errors import InvalidFile
from ...files.hdf5 import Hdf5Group, read_hdf5
from ..chain import ConvSpec, Network, YoloHead
from .lava_dl import CLAMP_MAX, COCO_LABELS, MAX_THRESHOLD, input_table

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
YOLO_KP_HEAD = YoloHead(((0.28, 0.22), (0.38, 0.48), (0.9, 0.78)), len(COCO_LABELS), CLAMP_MAX)
MAX_LAYERS = 100


def looks_like_net(data: bytes) -> bool:
    """Whether a file's content begins as an HDF5 file does."""
    return data.startswith(HDF5_MAGIC)


def parse_net(data: bytes, source_file: str) -> Network:
    """Reads an exported network.

    Args:
        data: The file's content.
        source_file: The file's name, for ``Network.source_file``.

    Returns:
        The network.

    Raises:
        InvalidFile: The content is damaged, or is a network that is not supported.
    """
    blocks = _blocks(read_hdf5(data).group("layer"))
    encoder_threshold = _encoder_threshold(blocks[0])
    last = len(blocks) - 1
    layers = tuple(_conv(block, number, number == last) for number, block in enumerate(blocks) if number)
    digest = hashlib.sha256(data).hexdigest()
    channels = layers[-1].out_channels
    try:
        if channels == YOLO_KP_HEAD.channels and layers[0].in_channels == 3:
            return Network("YOLO-KP", layers, YOLO_KP_HEAD, COCO_LABELS, input_table(), encoder_threshold,
                           source_file, digest)
        return Network("lava-dl export", layers, None, (), _plain_table(layers[0].in_channels), encoder_threshold,
                       source_file, digest)
    except ValueError as error:
        raise InvalidFile(f"not a network that can be run: {error}") from error


def _blocks(layers: Hdf5Group) -> list[Hdf5Group]:
    count = len(layers.names)
    if not 3 <= count <= MAX_LAYERS or sorted(layers.names) != sorted(map(str, range(count))):
        raise InvalidFile(f"its layers are {', '.join(sorted(layers.names)[:5]) or 'none'}; expected 0, 1, 2 and so on")
    return [layers.group(str(number)) for number in range(count)]


def _encoder_threshold(block: Hdf5Group) -> int:
    if block.text("type") != "input":
        raise InvalidFile(f"layer 0 is of type {block.text('type')}, expected input")
    if "weight" in block.names or "bias" in block.names:
        raise InvalidFile("layer 0 transforms its input, which is not supported")
    return _threshold(block, 0)


def _conv(block: Hdf5Group, number: int, is_last: bool) -> ConvSpec:
    if block.text("type") != "conv":
        raise InvalidFile(f"layer {number} is of type {block.text('type')}; only convolutions are supported")
    if "delay" in block.names:
        raise InvalidFile(f"layer {number} has delays, which are not supported")
    outputs_sigma = "sigma_output" in block.group("neuron").names
    if outputs_sigma != is_last:
        problem = "is the last and does not output its sigma" if is_last else "outputs its sigma and is not the last"
        raise InvalidFile(f"layer {number} {problem}, which is not supported")
    if _both_sides(block, "dilation", number) != 1:
        raise InvalidFile(f"layer {number} has dilation, which is not supported")
    weight = block.integers("weight", (4, 5))
    if weight.ndim == 5:
        if weight.shape[4] != 1:
            raise InvalidFile(f"layer {number} has a kernel over time, which is not supported")
        weight = weight[..., 0]
    bias = None
    if not is_last:
        bias = block.integers("bias", 1) if "bias" in block.names else np.zeros(len(weight), np.int32)
    elif "bias" in block.names:
        raise InvalidFile(f"layer {number} is the last and has a bias, which is not supported")
    name = "head" if is_last else f"conv{number}"
    try:
        return ConvSpec(name, weight, bias, _both_sides(block, "stride", number), _both_sides(block, "padding", number),
                        0 if is_last else _threshold(block, number), groups=int(block.integers("groups", 0)))
    except ValueError as error:
        raise InvalidFile(f"layer {number}: {error}") from error


def _threshold(block: Hdf5Group, number: int) -> int:
    neuron = block.group("neuron")
    if neuron.text("type") != "SDNN":
        raise InvalidFile(f"layer {number} has neurons of type {neuron.text('type')}, expected SDNN (sigma-delta)")
    threshold = int(neuron.integers("vThMant", 0))
    if not 1 <= threshold < MAX_THRESHOLD:
        raise InvalidFile(f"layer {number} has the threshold {threshold}/{UNIT}, expected at least 1/{UNIT}")
    return threshold


def _both_sides(block: Hdf5Group, key: str, number: int) -> int:
    """A value for rows and columns: one number, or two equal ones."""
    values = np.atleast_1d(block.integers(key, (0, 1)))
    if len(values) not in (1, 2) or (values != values[0]).any():
        raise InvalidFile(f"layer {number} has the {key} {values.tolist()}, expected the same for rows and columns")
    return int(values[0])


def _plain_table(channels: int) -> np.ndarray:
    """int32 [256, channels]: values from 0 to 1 at scale 2^6."""
    value = np.rint(np.arange(256, dtype=np.float64) / 255 * UNIT).astype(np.int32)
    return np.repeat(value[:, None], channels, axis=1)
