"""Compares the matrix product with Lava's own convolution on random layers. Runs in the interpreter that has Lava."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np

CASES = 30


def main(models_file: str, shim_file: str) -> None:
    load("shim", shim_file).import_var_model()
    conv = load("conv_models", models_file)
    from lava.proc.conv import utils

    rng, seen = np.random.default_rng(4), set()
    for case in range(CASES):
        kernel, stride = int(rng.integers(1, 5)), tuple(int(s) for s in rng.integers(1, 4, 2))
        padding = tuple(int(p) for p in rng.integers(0, kernel, 2))
        groups, per_group, reached = int(rng.choice([1, 2, 5])), int(rng.integers(1, 6)), int(rng.integers(1, 7))
        shape = (*(int(side) for side in rng.integers(kernel, 14, 2)), groups * per_group)
        weight = (2 * rng.integers(-256, 256, (groups * reached, kernel, kernel, per_group))).astype(np.int32)
        largest = int(rng.choice([1, 200, 30_000, 2**24]))
        messages = rng.integers(-largest, largest + 1, shape) * (rng.random(shape) < rng.choice([0.0, 0.05, 0.5, 1.0]))
        expected = utils.signed_clamp(
            utils.conv(messages.astype(np.int32), weight, (kernel, kernel), stride, padding, (1, 1), groups), bits=24
        )
        product = conv.WindowProduct(weight, shape, stride, padding, groups)
        for _ in range(2):  # buffers are reused
            found = product(messages.astype(np.int32))
            assert found.dtype == expected.dtype and found.shape == expected.shape
            assert (found == expected).all(), (case, kernel, stride, padding, shape, largest)
        reach = np.abs(messages).max() * np.abs(weight).sum(axis=(1, 2, 3)).max()
        seen.add("double" if reach >= 2**24 else "single")
        exact = product(messages.astype(np.int32)).astype(np.int64)
        if reach >= 2**23 and np.abs(exact).max() > 2**21:
            seen.add("wrapped")
        check_counts(conv, shape, kernel, stride, padding)
    assert seen == {"single", "double", "wrapped"}, seen
    print(f"{CASES} layers equal")


def check_counts(conv, shape, kernel, stride, padding) -> None:
    """Compares the number of outputs that each input position reaches with counting them one by one."""
    for length, step, zeros in zip(shape, stride, padding):
        slow = np.zeros(length, int)
        for out in range((length + 2 * zeros - kernel) // step + 1):
            for tap in range(kernel):
                if 0 <= out * step - zeros + tap < length:
                    slow[out * step - zeros + tap] += 1
        assert (conv.count_reached_outputs(length, kernel, step, zeros) == slow).all()


def load(name: str, file: str):
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main(*sys.argv[1:])
