"""Fixed input sizes are freed: a freed graph computes what the same graph computes that was written for that size."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is missing: `make runtimes` brings it")
pytest.importorskip("onnxruntime", reason="onnxruntime is missing: `make runtimes` brings it")

import onnx
from detector_graphs import GraphMaker, detector_model
from hypothesis import given, settings
from hypothesis import strategies as st

from regionmask_ros.backends.runtimes import run_once
from regionmask_ros.network.onnx.free_size import free_size
from regionmask_ros.network.onnx.growth import NotFree
from regionmask_ros.network.onnx.interface import unify_interface

WH = (96, 64)


def picture(wh, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).random((1, 3, wh[1], wh[0]), np.float32)


def free(model: onnx.ModelProto) -> bytes:
    interface = unify_interface(model)
    free_size(model, interface.input_name, interface.declared_wh)
    return model.SerializeToString()


def run(model: bytes, wh) -> np.ndarray:
    (output,) = run_once(model, "images", picture(wh)).values()
    return output


@pytest.mark.parametrize("traits", [
    {}, {"fixed": False}, {"shuffles": True}, {"resizes": True}, {"decoded": True}, {"decoded": True, "grids": True},
    {"shuffles": True, "resizes": True, "decoded": True},
], ids=lambda traits: "-".join(traits) or "plain")
@pytest.mark.parametrize("wh", [(64, 64), (96, 64), (64, 160)])
def test_a_freed_graph_computes_what_the_graph_for_that_size_computes(traits, wh):
    freed = free(detector_model(wh, **traits))
    for other in (wh, (128, 96), (96, 192), (32, 64)):
        wanted = run(detector_model(other, **traits).SerializeToString(), other)
        np.testing.assert_allclose(run(freed, other), wanted, rtol=1e-5, atol=1e-5)


@settings(max_examples=15)
@given(st.tuples(st.integers(1, 6), st.integers(1, 6)), st.tuples(st.integers(1, 6), st.integers(1, 6)),
       st.booleans(), st.booleans(), st.booleans(), st.integers(0, 9))
def test_it_holds_for_all_sizes(before, after, shuffles, resizes, decoded, seed):
    wh, other = (tuple(32 * side for side in sides) for sides in (before, after))
    traits = {"shuffles": shuffles, "resizes": resizes, "decoded": decoded, "seed": seed}
    try:
        freed = free(detector_model(wh, **traits))
    except NotFree:
        return  # Such as one whose level is a single cell, where nothing tells rows from columns.
    wanted = run(detector_model(other, **traits).SerializeToString(), other)
    np.testing.assert_allclose(run(freed, other), wanted, rtol=1e-5, atol=1e-4)


def test_sizes_that_the_graph_computes_are_followed():
    """As older exporters write it: the target of a Reshape is computed from a shape, and a constant follows."""
    def make(wh):
        maker = GraphMaker(wh)
        level = maker.conv("images", 3, 8, 8, 8)
        batch = maker.node("Gather", maker.node("Shape", level), maker.weight(np.array(0, np.int64)), axis=0)
        target = maker.node("Concat", maker.node("Unsqueeze", batch, maker.integers(0)), maker.integers(2, 4),
                            maker.integers(wh[1] // 8, wh[0] // 8), axis=0)
        boxes = maker.node("Transpose", maker.node("Reshape", level, target), perm=[0, 1, 3, 4, 2])
        columns, rows = wh[0] // 8, wh[1] // 8
        grid = np.zeros((1, 2, rows, columns, 4), np.float32)
        grid[..., 0], grid[..., 1] = np.arange(columns), np.arange(rows)[:, None]
        return maker.model([maker.node("Add", boxes, maker.weight(grid))])

    freed = free(make(WH))
    for wh in (WH, (128, 96), (32, 64)):
        np.testing.assert_allclose(run(freed, wh), run(make(wh).SerializeToString(), wh), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape, reason", [
    ((1, 1, 64), "belongs to the input size 96x64"),
    ((1, 96, 1), "belongs to the input size 96x64"),
])
def test_constants_that_follow_no_rule_keep_the_size(shape, reason):
    maker = GraphMaker(WH)
    level = maker.node("Reshape", maker.conv("images", 3, 64, 8, 8), maker.integers(1, 64, 96))
    turned = maker.node("Transpose", level, perm=[0, 2, 1])
    random = np.random.default_rng(0).random((1, 96, shape[2]), np.float32)
    with pytest.raises(NotFree, match=reason):
        free(maker.model([maker.node("Add", turned, maker.weight(random))]))


def test_a_window_partition_is_named_and_keeps_the_size():
    maker = GraphMaker(WH)
    level = maker.conv("images", 3, 8, 8, 8)
    windows = maker.node("Reshape", level, maker.integers(1, 8, 4, 2, 4, 3))
    with pytest.raises(NotFree, match=r"node 'Reshape_1' \(Reshape\): it is not clear which axis"):
        free(maker.model([windows]))
