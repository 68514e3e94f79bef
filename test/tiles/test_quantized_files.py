"""Quantized networks in files: what was written is read, and nothing else is."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_float_graph import PIXELS, pictures, small_graph

from regionmask_ros.errors import InvalidFile
from regionmask_ros.tiles.operators.activations import Activation, Kind
from regionmask_ros.tiles.operators.convolution import Convolution
from regionmask_ros.tiles.operators.elementwise import Activate, Add, Multiply
from regionmask_ros.tiles.operators.geometry import Window
from regionmask_ros.tiles.operators.pooling import AveragePool, MaxPool
from regionmask_ros.tiles.operators.resizing import Resize
from regionmask_ros.tiles.operators.routing import ChannelSelect, Concat, SpaceToDepth
from regionmask_ros.tiles.quantization import codec
from regionmask_ros.tiles.quantization.calibration import quantize_network
from regionmask_ros.tiles.quantization.codec import operator_from_plain, operator_to_plain
from regionmask_ros.tiles.quantization.files import StoredTiles, pack_tiles, unpack_tiles
from regionmask_ros.tiles.quantization.ranges import measure_statistics
from regionmask_ros.tiles.reference import TileReference
from regionmask_ros.tiles.tail import Step, Tail


def stored(seed: int = 0) -> StoredTiles:
    graph = small_graph(seed)
    statistics = measure_statistics(graph, [PIXELS.dequantize(image) for image in pictures(2, seed)])
    network = replace(quantize_network(graph, PIXELS, statistics), factors={"stem": 0.5, "down": 2.0},
                      levels=(4.0, 6.0, 8.0))
    tail = Tail(graph.outputs, (Step("Concat", ("cells8", "cells8"), ("out",), {"axis": 1}),),
                {"weights": np.arange(4, dtype=np.int64)}, ("out",))
    return StoredTiles(network, tail)


CONTENT = pack_tiles(stored())


def test_what_was_written_is_read():
    before, after = stored(), unpack_tiles(CONTENT)
    assert [(node.name, node.operator, node.inputs) for node in after.network.graph.nodes] == [
        (node.name, node.operator, node.inputs) for node in before.network.graph.nodes]
    for node, other in zip(before.network.graph.nodes, after.network.graph.nodes):
        assert node.parameters.keys() == other.parameters.keys()
        for name, array in node.parameters.items():
            np.testing.assert_array_equal(array, other.parameters[name])
            assert array.dtype == other.parameters[name].dtype
    for name, one in before.network.quantizations.items():
        for field in ("step", "zero", "shift"):
            np.testing.assert_array_equal(getattr(one, field), getattr(after.network.quantizations[name], field))
    assert (after.network.factors, after.network.levels) == (before.network.factors, before.network.levels)
    assert after.tail.to_plain() == before.tail.to_plain()
    np.testing.assert_array_equal(after.tail.arrays["weights"], before.tail.arrays["weights"])


def test_a_network_that_was_read_computes_the_same():
    (image,) = pictures(1, 9)
    first, second = (TileReference(one.network, (image.shape[1], image.shape[0])).step(image).heads
                     for one in (stored(), unpack_tiles(CONTENT)))
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name])


whole = st.integers(1, 64)
windows = st.builds(Window, st.tuples(whole, whole), whole, st.tuples(*[st.just(0)] * 4))
activations = st.builds(Activation, st.sampled_from(list(Kind)), st.floats(-9, 9), st.floats(-9, 9))
operators = st.one_of(
    st.builds(Convolution, windows, whole, activations, st.booleans()), st.builds(Add, activations),
    st.builds(Multiply, activations), st.builds(Activate, activations), st.builds(MaxPool, windows),
    st.builds(AveragePool, windows, st.booleans()), st.builds(Resize, whole, st.booleans()), st.builds(Concat),
    st.builds(ChannelSelect, st.lists(st.integers(0, 99), min_size=1).map(tuple)),
    st.builds(SpaceToDepth, st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1).map(tuple)))


@given(operators)
def test_any_operator_comes_back_from_json(operator):
    assert operator_from_plain(json.loads(json.dumps(operator_to_plain(operator)))) == operator


def test_the_codec_knows_every_operator():
    made = {type(node.operator).__name__ for node in small_graph().nodes}
    assert made == set(codec.OPERATORS)


@pytest.mark.parametrize("plain", [
    None, {}, {"kind": "Reshape"}, {"kind": "Concat", "axis": 1}, {"kind": "Resize", "factor": 2},
    {"kind": "Resize", "factor": 0, "is_linear": False}, {"kind": "Resize", "factor": 2.0, "is_linear": False},
    {"kind": "Resize", "factor": 2, "is_linear": 1}, {"kind": "ChannelSelect", "channels": []},
    {"kind": "ChannelSelect", "channels": [-1]}, {"kind": "ChannelSelect", "channels": [True]},
    {"kind": "ChannelSelect", "channels": [0] * 100_000}, {"kind": "SpaceToDepth", "order": [[0, 2]]},
    {"kind": "SpaceToDepth", "order": [[0, 0, 0]]}, {"kind": ["Add"]},
    {"kind": "Add", "activation": {"kind": "TANH", "alpha": 0.0, "beta": 0.0}},
    {"kind": "Add", "activation": {"kind": "RELU", "alpha": float("nan"), "beta": 0.0}},
    {"kind": "MaxPool", "window": {"kernel": [0, 1], "stride": 1, "pads": [0, 0, 0, 0]}},
    {"kind": "MaxPool", "window": {"kernel": [1, 1], "stride": 0, "pads": [0, 0, 0, 0]}},
])
def test_other_operators_are_refused(plain):
    with pytest.raises(ValueError):
        operator_from_plain(plain)


def changed(change) -> bytes:
    """The file with another description."""
    with zipfile.ZipFile(io.BytesIO(CONTENT)) as archive:
        members = {name: np.load(io.BytesIO(archive.read(name)), allow_pickle=False) for name in archive.namelist()}
    plain = json.loads(members["description.npy"].tobytes())
    change(plain)
    members["description.npy"] = np.frombuffer(json.dumps(plain).encode(), np.uint8)
    content = io.BytesIO()
    np.savez(content, **{name.removesuffix(".npy"): array for name, array in members.items()})
    return content.getvalue()


def put(*path_and_value):
    *path, last, value = path_and_value

    def change(plain):
        for name in path:
            plain = plain[name]
        plain[last] = value

    return change


@pytest.mark.parametrize("change", [
    put("format", 2), put("channels", 0), put("channels", True), put("channels", 4), put("outputs", ["stem"]),
    put("outputs", ["image"]), put("outputs", ["gone"]), put("nodes", {}), put("nodes", 3, "inputs", ["focus"]),
    put("nodes", 3, "inputs", ["cells4"]), put("nodes", 3, "inputs", ["stem", "depthwise"]),
    put("nodes", 3, "inputs", []), put("nodes", 3, "name", "stem"), put("nodes", 1, "arrays", "weight", 99_999),
    put("nodes", 1, "arrays", "weight", 2), put("nodes", 1, "arrays", {}), put("nodes", 1, "arrays", "more", 0),
    put("nodes", 2, "operator", "groups", 4), put("nodes", 2, "operator", "groups", 0),
    put("nodes", 1, "operator", "is_head", True), put("quantizations", {}), put("quantizations", "stem", [0, 1]),
    put("factors", {"gone": 1.0}), put("factors", {"stem": -1.0}), put("factors", {"stem": float("nan")}),
    put("levels", [1.0, 2.0]), put("levels", [1.0, 2.0, 1e9]), put("tail", {}), put("tail", "heads", ["gone"]),
    put("tail_arrays", "weights", -1), put("tail_arrays", "weights", "../../0"),
])
def test_a_file_with_impossible_content_is_refused(change):
    with pytest.raises(InvalidFile):
        unpack_tiles(changed(change))


def test_a_step_of_0_is_refused():
    network = stored().network
    broken = replace(network.quantizations["stem"], step=np.zeros(8, np.float32))
    other = replace(network, quantizations={**network.quantizations, "stem": broken})
    with pytest.raises(InvalidFile, match="a step that is not positive"):
        unpack_tiles(pack_tiles(StoredTiles(other, stored().tail)))


@settings(max_examples=60)
@given(st.integers(0, len(CONTENT) - 1), st.integers(1, 255), st.booleans())
def test_damaged_bytes_give_one_clear_error_or_the_same_network(place, flip, is_cut):
    damaged = bytearray(CONTENT)
    damaged[place] ^= flip
    try:
        unpack_tiles(bytes(damaged[:place] if is_cut else damaged))
    except InvalidFile as error:
        assert "\n" not in str(error.about("tiles.npz"))


def test_an_archive_that_claims_too_much_is_refused(monkeypatch):
    monkeypatch.setattr("regionmask_ros.tiles.quantization.files.MAX_BYTES", 1000)
    with pytest.raises(InvalidFile, match="claims to hold more"):
        unpack_tiles(CONTENT)
