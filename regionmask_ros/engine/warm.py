"""Compiles the kernels and keeps them on disk: ``python -m regionmask_ros.engine.warm``."""

from __future__ import annotations

import time

import numpy as np

from . import kernels
from .event_engine import EventEngine, PackedNetwork


class _Conv:
    """A small convolution of ones, enough to give the kernels their types."""

    def __init__(self, name: str, bias: np.ndarray | None) -> None:
        self.name, self.bias = name, bias
        self.weight = np.ones((3, 3, 1, 1), np.int32)
        self.stride, self.padding, self.threshold = 1, 0, 6


class _TwoLayers:
    layers = (_Conv("first", np.zeros(3, np.int32)), _Conv("head", None))


def compile_kernels() -> None:
    """Runs every kernel once on a tiny network, with the types that real networks use."""
    side = 16
    index, message = np.zeros((2, side * side * 3), np.int32)
    reference = np.zeros((side, side, 3), np.int16)
    image, table = np.zeros((side, side, 3), np.uint8), np.full((256, 3), 9, np.int16)
    events = kernels.encode(image, table, np.ones((1, 1), np.bool_), side, 6, reference, index, message)
    EventEngine(PackedNetwork(_TwoLayers()), (side, side)).step(index[:events], message[:events])


def main() -> None:
    start = time.perf_counter()
    print("compiling kernels ...", flush=True)
    compile_kernels()
    print(f"kernels ready after {time.perf_counter() - start:.1f} s", flush=True)


if __name__ == "__main__":
    main()
