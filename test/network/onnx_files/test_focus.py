"""A Focus is merged with its convolution: the same numbers from one node, and nothing else is touched."""

from __future__ import annotations

import numpy as np
import pytest

for package in ("onnx", "onnxruntime"):
    pytest.importorskip(package, reason=f"no {package}: `make runtimes` brings it")

import onnx  # noqa: E402
from dense_networks import INPUT, make_model  # noqa: E402
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from onnx import helper, numpy_helper  # noqa: E402

from regionmask_ros.backends.runtimes import run_once  # noqa: E402
from regionmask_ros.network.onnx.focus import merge_focus  # noqa: E402

STARTS = [(0, 0), (1, 0), (0, 1), (1, 1)]


def focus(starts=STARTS, size=3, two_steps=True, step=2, end=2**63 - 1, also_read=False, **changes):
    weights = np.random.default_rng(1).normal(0, 1, (5, 12, size, size)).astype(np.float32)
    constants, nodes, parts = {"weights": weights}, [], []
    for place, (row, col) in enumerate(starts):
        cuts = [(2, row), (3, col)] if two_steps else [((2, 3), (row, col))]
        last = INPUT
        for axis, start in cuts:
            name = f"part{place}.{axis}"
            for word, value in (("start", start), ("axis", axis)):
                constants[f"{name}.{word}"] = np.atleast_1d(np.array(value, np.int64))
            count = np.size(axis)
            constants[f"{name}.end"] = np.full(count, end, np.int64)
            constants[f"{name}.step"] = np.full(count, step, np.int64)
            nodes.append(helper.make_node(
                "Slice", [last, *(f"{name}.{word}" for word in ("start", "end", "axis", "step"))], [name]))
            last = name
        parts.append(last)
    attributes = {"kernel_shape": [size] * 2, "pads": [size // 2] * 4, **changes}
    nodes += [helper.make_node("Concat", parts, ["joined"], axis=1),
              helper.make_node("Conv", ["joined", "weights"], ["out"], **attributes)]
    if also_read:
        nodes.append(helper.make_node("Relu", ["joined"], ["other"]))
    return onnx.load_from_string(make_model(
        nodes, ["out", "other"] if also_read else ["out"],
        [numpy_helper.from_array(value, name) for name, value in constants.items()]))


@settings(max_examples=12)
@given(st.permutations(STARTS), st.sampled_from([1, 3, 5]), st.booleans(), st.integers(1, 5), st.integers(1, 5))
def test_the_merged_convolution_gives_the_same_numbers(starts, size, two_steps, rows, cols):
    model = focus(starts, size, two_steps)
    image = np.random.default_rng(2).normal(0, 1, (1, 3, 4 * rows, 4 * cols)).astype(np.float32)
    before = run_once(model.SerializeToString(), INPUT, image)["out"]
    assert merge_focus(model)
    assert [node.op_type for node in model.graph.node] == ["Conv"]
    np.testing.assert_allclose(run_once(model.SerializeToString(), INPUT, image)["out"], before, atol=1e-4)


@pytest.mark.parametrize("changes", [
    {"starts": [(0, 0), (1, 0), (0, 1), (0, 1)]}, {"starts": [(0, 0), (1, 0), (0, 1), (1, 2)]}, {"step": 1},
    {"end": 30}, {"strides": [2, 2]}, {"pads": [0, 0, 0, 0]}, {"dilations": [2, 2]}, {"also_read": True},
    {"auto_pad": "SAME_UPPER", "pads": [1, 1, 1, 1]},
])
def test_what_is_no_focus_stays_as_it_is(changes):
    model = focus(**changes)
    before = model.SerializeToString()
    assert not merge_focus(model) and model.SerializeToString() == before
