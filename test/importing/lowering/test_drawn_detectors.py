"""Detectors with the structure of well-known ones, and those that other tests draw, are lowered."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is missing: `make runtimes` brings it")
pytest.importorskip("onnxruntime", reason="onnxruntime is missing: `make runtimes` brings it")

from dense_networks import dense_network  # noqa: E402
from detector_graphs import GraphMaker, detector_model  # noqa: E402
from lowered_networks import assert_lowered_equals_dense  # noqa: E402
from onnx_blocks import convolve  # noqa: E402

from regionmask_ros.network.dense import Preprocessing  # noqa: E402
from regionmask_ros.network.onnx.free_size import free_size  # noqa: E402
from regionmask_ros.tiles.operators.activations import Kind  # noqa: E402

WIDTH, HEIGHT, STRIDES, BINS, CLASSES = 160, 96, (8, 16, 32), 16, 7
UNIT = Preprocessing(deviation=(255.0,) * 3)


class Yolo8Maker(GraphMaker):
    """The blocks of YOLOv8, with few channels."""

    def swish(self, data: str, before: int, after: int, kernel: int = 1, stride: int = 1) -> str:
        data = convolve(self, data, before, after, (kernel, kernel), strides=[stride] * 2, pads=[kernel // 2] * 4)
        return self.node("Mul", data, self.node("Sigmoid", data))

    def c2f(self, data: str, before: int, after: int, adds: bool) -> str:
        half = after // 2
        parts = self.node("Split", self.swish(data, before, after), self.integers(half, half), axis=1, outputs=2)
        inner = self.swish(self.swish(parts[1], half, half, 3), half, half, 3)
        inner = self.node("Add", parts[1], inner) if adds else inner
        return self.swish(self.node("Concat", *parts, inner, axis=1), 3 * half, after)

    def pyramid_pool(self, data: str, channels: int) -> str:
        parts = [self.swish(data, channels, channels // 2)]
        for _ in range(3):
            parts.append(self.node("MaxPool", parts[-1], kernel_shape=[5, 5], pads=[2] * 4))
        return self.swish(self.node("Concat", *parts, axis=1), 2 * channels, channels)

    def join(self, first: str, second: str) -> str:
        return self.node("Concat", first, second, axis=1)

    def enlarge(self, data: str) -> str:
        scales = self.weight(np.array([1, 1, 2, 2], np.float32))
        return self.node("Resize", data, "", scales, mode="nearest", coordinate_transformation_mode="asymmetric",
                         nearest_mode="floor")

    def levels(self) -> list[tuple[str, int]]:
        data = self.swish(self.swish("images", 3, 8, 3, 2), 8, 16, 3, 2)
        third = self.c2f(self.swish(self.c2f(data, 16, 16, True), 16, 32, 3, 2), 32, 32, True)
        fourth = self.c2f(self.swish(third, 32, 64, 3, 2), 64, 64, True)
        fifth = self.pyramid_pool(self.c2f(self.swish(fourth, 64, 64, 3, 2), 64, 64, True), 64)
        up = self.c2f(self.join(self.enlarge(fifth), fourth), 128, 64, False)
        small = self.c2f(self.join(self.enlarge(up), third), 96, 32, False)
        middle = self.c2f(self.join(self.swish(small, 32, 32, 3, 2), up), 96, 64, False)
        large = self.c2f(self.join(self.swish(middle, 64, 64, 3, 2), fifth), 128, 64, False)
        return [(small, 32), (middle, 64), (large, 64)]

    def head(self, data: str, channels: int) -> str:
        parts = [convolve(self, self.swish(self.swish(data, channels, 16, 3), 16, 16, 3), 16, count, (1, 1))
                 for count in (4 * BINS, CLASSES)]
        return self.node("Reshape", self.join(*parts), self.integers(1, 4 * BINS + CLASSES, -1))

    def output(self) -> str:
        """Boxes by a softmax over bins, as centers and sizes in pixels, and scores."""
        sides = [(WIDTH // stride, HEIGHT // stride) for stride in STRIDES]
        count = sum(columns * rows for columns, rows in sides)
        joined = self.node("Concat", *(self.head(*level) for level in self.levels()), axis=2)
        boxes, scores = self.node("Split", joined, self.integers(4 * BINS, CLASSES), axis=1, outputs=2)
        bins = self.node("Transpose", self.node("Reshape", boxes, self.integers(1, 4, BINS, count)), perm=[0, 2, 1, 3])
        numbers = self.weight(np.arange(BINS, dtype=np.float32).reshape(1, BINS, 1, 1))
        summed = self.node("Conv", self.node("Softmax", bins, axis=1), numbers, kernel_shape=[1, 1])
        distances = self.node("Reshape", summed, self.integers(1, 4, count))
        before, after = (self.node("Slice", distances, self.integers(first), self.integers(first + 2), self.integers(1))
                         for first in (0, 2))
        grids = [np.stack(np.meshgrid(np.arange(columns) + 0.5, np.arange(rows) + 0.5)).reshape(2, -1)
                 for columns, rows in sides]
        centers = self.weight(np.concatenate(grids, axis=1)[None].astype(np.float32))
        steps = self.weight(np.repeat(STRIDES, [columns * rows for columns, rows in sides])[None].astype(np.float32))
        low, high = self.node("Sub", centers, before), self.node("Add", centers, after)
        middle = self.node("Div", self.node("Add", low, high), self.weight(np.float32(2)))
        decoded = self.node("Mul", self.join(middle, self.node("Sub", high, low)), steps)
        return self.join(decoded, self.node("Sigmoid", scores))


@pytest.mark.parametrize("is_free", [False, True])
def test_a_detector_as_yolo8_has_scores_and_bins_as_heads(is_free):
    make = Yolo8Maker((WIDTH, HEIGHT))
    output = make.output()
    model, facts, sizes = make.model([output]), {"fixed_wh": (WIDTH, HEIGHT)}, [(WIDTH, HEIGHT)]
    if is_free:
        free_size(model, "images", (WIDTH, HEIGHT))
        facts, sizes = {}, [(WIDTH, HEIGHT), (96, 128)]
    lowered = assert_lowered_equals_dense(dense_network(model.SerializeToString(), (output,), UNIT, **facts), *sizes)
    assert [lowered.graph.node(name).operator.activation.kind for name in lowered.tail.heads] == [
        Kind.NONE, Kind.SIGMOID] * 3


@pytest.mark.parametrize(("facts", "is_view"), [
    ({}, True), ({"fixed": False}, True), ({"shuffles": True}, True), ({"resizes": True}, True),
    ({"decoded": True}, False), ({"decoded": True, "grids": True}, False)])
def test_drawn_detectors_are_lowered(facts, is_view):
    model = detector_model((96, 64), **facts)
    outputs = (model.graph.output[0].name,)
    network = dense_network(model.SerializeToString(), outputs, Preprocessing("bgr"), fixed_wh=(96, 64))
    lowered = assert_lowered_equals_dense(network, (96, 64))
    assert list(lowered.tail.rows) == (list(outputs) if is_view else [])
