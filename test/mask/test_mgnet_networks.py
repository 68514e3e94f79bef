"""The mask networks without torch: they equal the same networks in torch, on any processor and any grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mgnet_examples import example, random_weights
from python_process import run_python

from regionmask_ros.mask.mgnet.kernels import LOWEST, ZERO, attend, convolve, linear, pool_pairs
from regionmask_ros.mask.mgnet.light import TOKENS, LightNetwork, token_grid
from regionmask_ros.mask.mgnet.paper import PaperNetwork

VECTORS = Path(__file__).with_name("mgnet_vectors.npz")
TOLERANCE = 1e-4


@pytest.mark.parametrize("kind", ["light", "paper"])
def test_networks_equal_vectors_that_torch_computed(kind):
    _, values, network = example(kind)
    with np.load(VECTORS) as vectors:
        np.testing.assert_allclose(network.of_input(values), vectors[kind], atol=TOLERANCE)


@pytest.mark.parametrize("kind, shape", [("light", (640, 480)), ("light", (1224, 370)), ("light", (96, 2000)),
                                         ("paper", (2, 3)), ("paper", (28, 28)), ("paper", (9, 31))])
def test_networks_equal_torch(kind, shape):
    torch = pytest.importorskip("torch", reason="torch is not installed: run 'make train-setup'")
    from regionmask_ros.lab.training.model import RECIPES

    model, weights = RECIPES[kind].model(0), random_weights(kind, 3)
    model.set_weights(weights)
    if kind == "light":
        network, (rows, cols) = LightNetwork(weights, shape), token_grid(shape)
        values = np.random.default_rng(1).standard_normal((8 * rows, 8 * cols, 4), np.float32)
    else:
        network = PaperNetwork(weights, shape)
        values = np.random.default_rng(1).standard_normal((16 * shape[1], 16 * shape[0], 3), np.float32)
    with torch.no_grad():
        wanted = model(torch.from_numpy(values).permute(2, 0, 1)[None])[0].numpy()
    assert wanted.shape == network.shape and wanted.std() > 0.1
    np.testing.assert_allclose(network.of_input(values), wanted, atol=TOLERANCE)


def test_a_run_does_not_depend_on_the_run_before():
    _, values, network = example("light")
    first = network.of_input(values).copy()
    other = network.of_input(values[::-1]).copy()
    assert np.abs(first - other).max() > 0.1
    np.testing.assert_array_equal(network.of_input(values), first)


@given(st.integers(32, 4096), st.integers(32, 4096))
def test_every_image_shape_gets_a_grid_within_the_budget(width, height):
    rows, cols = token_grid((width, height))
    assert rows % 2 == cols % 2 == 0 and 2 <= min(rows, cols) and rows * cols <= TOKENS
    assert LightNetwork(random_weights("light"), (width, height)).macs <= 10.5e6
    if 0.25 < width / height < 4.0:
        assert rows * cols >= 0.6 * TOKENS and abs(np.log(cols / rows * height / width)) < 0.25


@settings(deadline=None)
@given(st.integers(1, 20), st.integers(1, 40), st.sampled_from([8, 16, 24, 32]), st.booleans(), st.integers(0, 99))
def test_linear_equals_numpy(m, k, n, rectify, seed):
    rng = np.random.default_rng(seed)
    a, b, bias = (rng.standard_normal(shape, np.float32) for shape in ((m, k), (k, n), (n,)))
    result = np.full((m, n), np.nan, np.float32)
    linear(a, b, bias, result, ZERO if rectify else LOWEST)
    wanted = a @ b + bias
    np.testing.assert_allclose(result, np.maximum(wanted, 0.0) if rectify else wanted, atol=1e-4)


@settings(deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 5), st.sampled_from([1, 2]), st.integers(0, 99))
def test_convolve_equals_numpy(rows, cols, channels, stride, seed):
    rng = np.random.default_rng(seed)
    source = np.zeros((stride * rows + 2, stride * cols + 2, channels), np.float32)
    source[1:-1, 1:-1] = rng.standard_normal((stride * rows, stride * cols, channels), np.float32)
    weight, bias = rng.standard_normal((9 * channels, 8), np.float32), rng.standard_normal(8, np.float32)
    result = np.zeros((rows + 2, cols + 2, 8), np.float32)
    convolve(source, weight, bias, stride, result)
    for y in range(rows):
        for x in range(cols):
            window = source[stride * y:stride * y + 3, stride * x:stride * x + 3].reshape(-1)
            np.testing.assert_allclose(result[y + 1, x + 1], np.maximum(window @ weight + bias, 0.0), atol=1e-4)
    assert not result[[0, -1]].any() and not result[:, [0, -1]].any(), "the border stays zero"


@settings(deadline=None)
@given(st.integers(1, 9), st.integers(1, 30), st.sampled_from([1, 2, 3]), st.floats(0.1, 30.0), st.integers(0, 99))
def test_attend_equals_numpy(m, s, heads, spread, seed):
    rng, size = np.random.default_rng(seed), 8
    query, key, value = (rng.standard_normal((count, heads * size), np.float32) for count in (m, s, s))
    query *= np.float32(spread)
    room = -(-s // 8) * 8
    result = np.empty_like(query)
    attend(query, key, value, heads, np.zeros((size, room), np.float32), np.empty((m, room), np.float32),
           np.zeros(max(room, size), np.float32), result)
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        fit = (query[:, part] @ key[:, part].T).astype(np.float64) / np.sqrt(size)
        share = np.exp(fit - fit.max(axis=1, keepdims=True))
        share /= share.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(result[:, part], share @ value[:, part], atol=2e-4)


def test_pool_pairs_equals_numpy():
    tokens = np.arange(4 * 6 * 8, dtype=np.float32).reshape(24, 8)
    result = np.empty((6, 8), np.float32)
    pool_pairs(tokens, 6, result)
    np.testing.assert_allclose(result, tokens.reshape(2, 2, 3, 2, 8).mean(axis=(1, 3)).reshape(6, 8))


def test_networks_are_equal_when_numba_compiles_nothing():
    code = ("import numpy as np, sys; sys.path.insert(0, sys.argv[1]); from mgnet_examples import example\n"
            "_, values, network = example('paper')\n"
            "print(np.abs(network.of_input(values) - np.load(sys.argv[2])['paper']).max())")
    done = run_python("-c", code, str(VECTORS.parent), str(VECTORS), NUMBA_DISABLE_JIT="1")
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < TOLERANCE
