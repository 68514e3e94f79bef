"""The student ``chain``: YOLO-KP's layers with a head for other classes, for the event engine, Lava and Loihi 2.

Convolutions with rectifiers, one after the other, and nothing else. It begins with YOLO-KP's weights; the head takes
those of the classes that YOLO-KP knows. Its output is YOLO-KP's: for each cell and anchor x, y, w, h, objectness, and
the classes, of which exactly one is meant.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...core.arithmetic import LARGEST_EXP, UNIT, USUAL_EXP
from ...errors import UserError
from ...network.chain import LARGEST_BIAS, ConvSpec, Network, YoloHead
from ...network.formats.lava_dl import BLOCKS, CLAMP_MAX, HEAD, input_table
from ...network.formats.lava_net import YOLO_KP_HEAD
from ...network.thresholds import LARGEST
from .graph_builder import StudentBuilder, take_layer
from .grids import LAVA64, LAVA_POW2, POW2, as_integers, find_steps

STRIDE = 32
NUMBERS_PER_BOX = 5
ANCHORS = YOLO_KP_HEAD.anchors

CHANNELS = (3, 16, 32, 64, 128, 256, 256, 512, 256, 512)
"""Inputs of YOLO-KP's layers, the head last."""

SHARES = {"conv1.sum": 0.0, "conv2.sum": 0.0, "conv3.sum": 0.0, "conv4.sum": 0.35, "conv5.sum": 0.35, "conv6.sum": 0.35}
"""Rates of layers relative to those of the last four, as ``street`` has them; three rest."""

FIRST_OBJECTNESS = 0.01
GRIDS = {LAVA64: LAVA64, POW2: LAVA_POW2}
"""Of the grids that a user can name, those that the event engine computes."""

INPUT_STEP = 2
"""Unit of the encoder in 1/64: with it, nearly every change arrives in one frame."""

ENCODER_THRESHOLD = 2
"""In units of the encoder: about four of 256 gray levels, the tuned one of YOLO-KP."""

USUAL_SIZE, SMALLEST_SIZE = 0.5, 1e-3
"""Root mean square of a layer's values to which they are scaled."""

MOST_GAIN = 2
"""Largest power of two for it: the head takes it back with its exponent."""


def build_chain(classes: Sequence[str], base: Network | None, seed: int) -> Any:
    """Builds the untrained student.

    Args:
        classes: Their names.
        base: YOLO-KP; None: all weights are random.
        seed: Of random weights.

    Returns:
        An ONNX ModelProto. Input: ``images``, float [1, 3, height, width], multiples of 32. Output: ``output``,
        [1, cells, anchors * (5 + classes)], as the head has them.
    """
    make, source = StudentBuilder(seed), "images"
    for number, (name, stride, padding) in enumerate(BLOCKS):
        shape = CHANNELS[number], CHANNELS[number + 1], 2 * padding + 1
        source = make.conv(source, name, shape, stride, take_layer(base, number, shape, stride))
    count = len(ANCHORS) * (NUMBERS_PER_BOX + len(classes))
    shape = CHANNELS[-1], count, 1
    source = make.conv(source, HEAD[0], shape, 1, _first_head(make.rng, classes, base), rectified=False)
    cells = make.add("Reshape", [source, make.constant("cells.shape", np.array([1, count, -1], np.int64))], "cells")
    make.add("Transpose", [cells], "output", perm=[0, 2, 1])
    return make.finish("chain", "images", ["output"], count)


def _first_head(rng: np.random.Generator, classes: Sequence[str], base: Network | None
                ) -> tuple[np.ndarray, np.ndarray]:
    """Weight and bias of the untrained head: rows of YOLO-KP where it has them, others random."""
    weight = rng.normal(0.0, 1 / np.sqrt(CHANNELS[-1]), (len(ANCHORS), NUMBERS_PER_BOX + len(classes), CHANNELS[-1]))
    bias = np.zeros(weight.shape[:2])
    if base is None or base.head is None:
        bias[:, 4] = -np.log(1 / FIRST_OBJECTNESS - 1)
    else:
        rows = base.layers[-1].real_weight[..., 0, 0].reshape(len(ANCHORS), -1, CHANNELS[-1])
        weight[:, :NUMBERS_PER_BOX] = rows[:, :NUMBERS_PER_BOX]
        for number, name in enumerate(classes):
            if name in base.labels:
                weight[:, NUMBERS_PER_BOX + number] = rows[:, NUMBERS_PER_BOX + base.labels.index(name)]
    return weight.reshape(-1, CHANNELS[-1], 1, 1), bias.reshape(-1)


def chain_head(classes: Sequence[str], bias: Sequence[int] = (), exponent: int = USUAL_EXP) -> YoloHead:
    """What the student's output means."""
    return YoloHead(ANCHORS, len(classes), CLAMP_MAX, tuple(bias), exponent)


def make_chain(name: str, classes: Sequence[str], weights: Mapping[str, tuple[np.ndarray, np.ndarray | None]],
               grid: str, sizes: Mapping[str, float], share: float) -> Network:
    """Makes the network in integers.

    Args:
        name: Its name.
        classes: Their names.
        weights: Weight and bias of each convolution, by the name of its output in ``build_chain``.
        grid: One of ``GRIDS``' values.
        sizes: Root mean square of each layer's values, by its name. A power of two brings it near ``USUAL_SIZE``, which
            rectifiers allow: so 1/64 is fine enough for thresholds and biases, and no state is too large for 24 bits.
        share: Thresholds relative to the size of a layer's values.

    Returns:
        The network. Its weights are even, as the chip's synapses want them.

    Raises:
        UserError: The weights of a layer need an exponent that the event engine does not have.
    """
    layers, gain = [], 0
    for number, (layer, stride, padding) in enumerate((*BLOCKS, HEAD)):
        is_head = layer == HEAD[0]
        weight, bias = weights[layer if is_head else f"{layer}.sum"]
        step = float(find_steps(weight, grid)[0])
        whole = 2 * as_integers(weight, np.array(step, np.float32)).astype(np.int32)
        # One of the encoder's units is worth ``INPUT_STEP`` of the others'.
        exponent = 1 - round(math.log2(step)) - (0 if number else INPUT_STEP.bit_length() - 1) + gain
        size = max(sizes.get(layer, USUAL_SIZE), SMALLEST_SIZE)
        # The values of a head are what they are; elsewhere, what cannot be had because of the exponent's limit waits.
        gain = 0 if is_head else min(max(min(round(math.log2(USUAL_SIZE / size)), MOST_GAIN), exponent - LARGEST_EXP),
                                     exponent)
        exponent -= gain
        if not 0 <= exponent <= LARGEST_EXP:
            raise UserError(f"layer {layer}: its weights need the exponent {exponent}, and the event engine has 0 to "
                            f"{LARGEST_EXP}: train longer, or with another --seed or --grid")
        offset = np.zeros(len(weight), np.int32) if bias is None else _round_bias(bias * 2.0 ** gain)
        threshold = 0 if is_head else int(np.clip(round(share * size * 2.0 ** gain * UNIT), 1, LARGEST))
        layers.append(ConvSpec(layer, whole, None if is_head else offset, stride, padding, threshold, exponent))
    return Network(name, tuple(layers), chain_head(classes, offset.tolist(), exponent), tuple(classes),
                   input_table() // INPUT_STEP, ENCODER_THRESHOLD)


def _round_bias(bias: np.ndarray) -> np.ndarray:
    rounded: np.ndarray = np.clip(np.rint(bias * UNIT), -LARGEST_BIAS, LARGEST_BIAS).astype(np.int32)
    return rounded
