"""Cases of networks: weights, checkpoints, exports of lava-dl, ONNX files, cards, class names, quantized networks."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import random
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from regionmask_ros.errors import InvalidFile
from regionmask_ros.files.hdf5 import Hdf5Group, read_hdf5
from regionmask_ros.files.safe_read import open_regular, read_limited
from regionmask_ros.importing.detector import Wishes, import_detector
from regionmask_ros.mask.mgnet.weights import SHIPPED, load_weights
from regionmask_ros.network.cards import read_card
from regionmask_ros.network.chain import ConvSpec, Network, YoloHead
from regionmask_ros.network.files import load_network
from regionmask_ros.network.formats import lava_net
from regionmask_ros.network.formats.branched_file import pack_branched
from regionmask_ros.network.formats.chain_file import pack_chain
from regionmask_ros.network.labels import read_labels
from regionmask_ros.network.onnx.free_size import free_size
from regionmask_ros.network.onnx.growth import NotFree
from regionmask_ros.network.onnx.interface import unify_interface
from regionmask_ros.network.onnx.reading import read_onnx
from regionmask_ros.report.network_facts import describe_layers, layers_as_text
from regionmask_ros.tiles.quantization.calibration import quantize_network
from regionmask_ros.tiles.quantization.files import StoredTiles, pack_tiles, unpack_tiles
from regionmask_ros.tiles.quantization.ranges import measure_statistics
from regionmask_ros.tiles.tail import Step, Tail

from .kind import Files, Kind, use_test_helpers
from .mutations import INTEGERS, TEXTS, damage_bytes, damage_text, damage_tree, damage_zip, pack_zip, unpack_zip


@cache
def _weights() -> dict[str, bytes]:
    return unpack_zip(SHIPPED.read_bytes())


def _make_weights(rng: random.Random) -> Files:
    return {"weights.npz": damage_zip(rng, _weights())}


def _read_weights(_: Files, folder: Path) -> None:
    load_weights(str(folder / "weights.npz"))


@cache
def _checkpoint() -> dict[str, bytes]:
    use_test_helpers()
    from checkpoint_writer import checkpoint, small_yolo_kp

    return unpack_zip(checkpoint(small_yolo_kp()))


def _make_checkpoint(rng: random.Random) -> Files:
    members = dict(_checkpoint())
    if rng.random() < 0.6:
        members["net/data.pkl"] = _damage_index(rng, members["net/data.pkl"])
        return {"net.pt": pack_zip(members)}
    return {"net.pt": damage_zip(rng, members, stored_only=True)}


_OPERATIONS = (
    b"cos\nsystem\n", b"c\n\n", b"I99999999999999999999999999\n", b"L1L\n", b"I" + b"9" * 6000 + b"\n", b"V\\ud800\n",
    b"S'\\x'\n", b"F1e400\n", b"\x8a\xff" + b"\x7f" * 255, b"X\xff\xff\xff\x7f",
    b"S'\n", b"Sabc\n", b"c\xff\xfe\n\xff\n",
)


def _damage_index(rng: random.Random, index: bytes) -> bytes:
    """Opcodes that are exchanged, and numbers and names that are others."""
    opcodes = b"(.0122FIJKLMNPQRSTUVXabcdeghijlopqrstu}]BC" + bytes(range(0x80, 0x99))
    damaged = bytearray(index)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(damaged))
        action = rng.randrange(5)
        if action == 0:
            damaged[at] = rng.choice(opcodes)
        elif action == 1:
            damaged[at:at] = bytes((rng.choice(opcodes),)) * rng.choice((1, 2, 500))
        elif action == 2:
            start = damaged.find(b"J", at)
            if start >= 0:
                damaged[start + 1:start + 5] = (rng.choice(INTEGERS) & 0xFFFFFFFF).to_bytes(4, "little")
        elif action == 3:
            damaged[at:at] = rng.choice(_OPERATIONS)
        else:
            return damage_bytes(rng, bytes(damaged), 3)
    return bytes(damaged)


def _read_file(name: str) -> Callable[[Any, Path], None]:
    """As ``model inspect`` does."""
    def read(_: Any, folder: Path) -> None:
        layers_as_text(describe_layers(load_network(folder / name)))

    return read


@cache
def _net() -> bytes:
    use_test_helpers()
    import h5py
    from net_writer import write_net

    rng = np.random.default_rng(5)
    weight = [rng.integers(-9, 9, (outputs, inputs, 3, 3)).astype(np.int32) for inputs, outputs in ((3, 4), (4, 5))]
    layers = (ConvSpec("conv1", weight[0], np.zeros(4, np.int32), 2, 1, 6), ConvSpec("head", weight[1], None, 1, 1, 0))
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        write_net(file, Network("net", layers, None, (), lava_net._plain_table(3), 6))
    return content.getvalue()


def _make_net(rng: random.Random) -> Files:
    return {"net.net": damage_bytes(rng, _net())}


@cache
def _net_content() -> tuple[dict[str, Any], np.ndarray]:
    root = read_hdf5(_net())
    return dict(root._entries), root._values


def _make_net_content(rng: random.Random) -> tuple[dict[str, Any], np.ndarray]:
    """What the child process may answer for a readable file: other types, shapes and numbers."""
    entries, values = _net_content()
    entries, values = {path: dict(entry) for path, entry in entries.items()}, values.copy()
    for _ in range(rng.randint(1, 3)):
        path = rng.choice(list(entries))
        entry, action = entries[path], rng.randrange(6)
        if action == 0:
            del entries[path]
        elif action == 1:
            entries[rng.choice(("layer/7", "layer/x", path + "/y", path.replace("1", "0")))] = entry
        elif action == 2:
            entries[path] = {"kind": "text", "text": rng.choice((*TEXTS[:20], "conv", "dense", "input"))}
        elif action == 3 and entry["kind"] == "numbers":
            values[entry["offset"]:entry["offset"] + 1] = rng.choice((0, -1, 1, 2, 9, 2**15, 2**31 - 1, -2**31))
        elif entry["kind"] == "numbers" and entry["shape"]:
            shape = list(entry["shape"])
            shape[rng.randrange(len(shape))] = rng.choice((0, 1, 2))
            entry["shape"] = shape
        else:
            entries[path] = {"kind": rng.choice(("group", "rejected")), "why": "is odd"}
    return entries, values


def _read_net_content(case: tuple[dict[str, Any], np.ndarray], _: Path) -> None:
    try:
        with mock.patch.object(lava_net, "read_hdf5", lambda data: Hdf5Group(*case)):
            network = lava_net.parse_net(b"", "net.net")
    except InvalidFile as error:
        raise error.about("net.net") from error
    layers_as_text(describe_layers(network))


@cache
def _onnx() -> tuple[bytes, ...]:
    use_test_helpers()
    from detector_graphs import detector_model

    variants: tuple[dict[str, bool], ...] = ({}, {"shuffles": True, "resizes": True}, {"decoded": True, "fixed": False})
    return tuple(detector_model(**given).SerializeToString() for given in variants)


def _make_onnx(rng: random.Random) -> Files:
    data = rng.choice(_onnx())
    return {"net.onnx": damage_bytes(rng, data) if rng.random() < 0.3 else _damage_graph(rng, data)}


_OPERATORS = ("Reshape", "Resize", "Slice", "Concat", "Split", "Gather", "Conv", "Add", "If", "X", "")


def _damage_graph(rng: random.Random, data: bytes) -> bytes:
    import onnx

    model = onnx.ModelProto.FromString(data)
    for _ in range(rng.randint(1, 3)):
        node, tensor = rng.choice(model.graph.node), rng.choice(model.graph.initializer)
        number = rng.choice((0, 1, 2, 3, -1, -2, 5, 1000, 2**31, 2**63 - 1, -2**63))
        action = rng.randrange(10)
        if action == 0 and node.input:
            node.input[rng.randrange(len(node.input))] = rng.choice(("", "images", tensor.name, node.output[0]))
        elif action == 1 and node.output:
            other = rng.choice(model.graph.node).output[0]
            node.output[rng.randrange(len(node.output))] = rng.choice(("", "images", other))
        elif action == 2 and node.attribute:
            attribute = rng.choice(node.attribute)
            if attribute.ints:
                attribute.ints[rng.randrange(len(attribute.ints))] = number
            else:
                attribute.i = number
        elif action == 3 and tensor.dims:
            tensor.dims[rng.randrange(len(tensor.dims))] = number
        elif action == 4 and len(tensor.raw_data) >= 8:
            at = rng.randrange(len(tensor.raw_data) // 8) * 8
            data = number.to_bytes(8, "little", signed=True)
            tensor.raw_data = tensor.raw_data[:at] + data + tensor.raw_data[at + 8:]
        elif action == 5:
            tensor.data_type = rng.choice((0, 1, 2, 6, 7, 8, 9, 10, 16, 20, 99))
        elif action == 6:
            node.op_type = rng.choice(_OPERATORS)
        elif action == 7:
            del node.input[rng.randrange(len(node.input) + 1):]
        elif action == 8:
            model.graph.input[0].type.tensor_type.shape.dim[rng.randrange(4)].dim_value = number
        else:
            entry = model.metadata_props.add()
            entry.key = rng.choice(("names", "stride", "imgsz"))
            entry.value = rng.choice((*TEXTS, "[640, 640]", "{0: 'a'}"))
    return model.SerializeToString()


class _Reached(Exception):
    """The file has been read, and would now be run."""


def _read_onnx(_: Files, folder: Path) -> None:
    """All of ``import_detector`` but the runs: those are in a process of their own, with limits of their own."""
    def stop(model: bytes, name: str, pixels: np.ndarray) -> dict[str, np.ndarray]:
        raise _Reached

    file = read_onnx(folder / "net.onnx")
    with contextlib.suppress(InvalidFile, NotFree):
        free_size(file.model, unify_interface(file.model).input_name, (96, 64))
    with contextlib.suppress(_Reached):
        import_detector(folder / "net.onnx", Wishes(preprocess="rgb,0..1"), stop)


_CARD: dict[str, Any] = {
    "format": 1, "name": "net", "model": "model-0123456789ab.onnx", "model_sha256": "0" * 64, "source": "net.onnx",
    "source_sha256": "0" * 64, "precision": "fp32",
    "input": {"name": "images", "fixed_wh": [96, 64], "alignment": 32},
    "preprocessing": {"order": "rgb", "mean": [0.0, 0.0, 0.0], "deviation": [1.0, 1.0, 1.0]},
    "head": {"family": "yolox", "num_classes": 3, "outputs": ["out"], "strides": [8, 16, 32],
             "numbers": {"scale": 1.0}},
    "labels": ["a", "b", "c"],
}


def _make_card(rng: random.Random) -> Files:
    return {"card.json": damage_tree(rng, _CARD)}


def _read_card(_: Files, folder: Path) -> None:
    read_card(folder / "card.json")


def _make_names(rng: random.Random) -> Files:
    return {"names.txt": damage_text(rng, "person\nbicycle\ncar\ntraffic light\n", " ")}


def _read_names(_: Files, folder: Path) -> None:
    read_labels(folder / "names.txt")


@cache
def _tiles() -> dict[str, bytes]:
    use_test_helpers()
    from small_float_graph import PIXELS, pictures, small_graph

    graph = small_graph()
    measured = measure_statistics(graph, map(PIXELS.dequantize, pictures(1)))
    tail = Tail(graph.outputs, (Step("Concat", ("cells8", "cells8"), ("out",), {"axis": 1}),),
                {"two": np.ones(2, np.float32)}, ("out",))
    network = replace(quantize_network(graph, PIXELS, measured), factors={"stem": 0.5}, levels=(4.0, 6.0, 8.0))
    return unpack_zip(pack_tiles(StoredTiles(network, tail)))


def _make_tiles(rng: random.Random) -> Files:
    return {"tiles.npz": _damage_described(rng, _tiles())}


def _damage_described(rng: random.Random, intact: dict[str, bytes]) -> bytes:
    """Damages an archive of arrays, or what its description says."""
    members = dict(intact)
    if rng.random() < 0.3:
        return damage_zip(rng, members)
    header, text = _split_array(members["description.npy"])
    damaged = damage_tree(rng, json.loads(text))
    members["description.npy"] = header.replace(f"({len(text)},)".encode(), f"({len(damaged)},)".encode()) + damaged
    return pack_zip(members)


def _split_array(data: bytes) -> tuple[bytes, bytes]:
    """The header of an array in NumPy's format, and what is behind it."""
    end = data.index(b"\n") + 1
    return data[:end], data[end:]


def _read_tiles(_: Files, folder: Path) -> None:
    try:
        with open_regular(folder / "tiles.npz") as file:
            unpack_tiles(read_limited(file))
    except InvalidFile as error:
        raise error.about("tiles.npz") from error


@cache
def _branched() -> dict[str, bytes]:
    use_test_helpers()
    from branched_networks import small_branched

    return unpack_zip(pack_branched(small_branched()))


@cache
def _chain() -> dict[str, bytes]:
    rng = np.random.default_rng(5)
    weight = [rng.integers(-9, 9, shape).astype(np.int32) for shape in ((4, 3, 3, 3), (6, 2, 3, 3))]
    layers = (ConvSpec("conv1", weight[0], np.zeros(4, np.int32), 2, 1, 6),
              ConvSpec("head", weight[1], None, 1, 1, 0, groups=2))
    head, table = YoloHead(((0.3, 0.6),), 1, 0.0), np.zeros((256, 3), np.int32)
    return unpack_zip(pack_chain(Network("chain", layers, head, ("person",), table, 6)))


def _make_integers(rng: random.Random) -> Files:
    return {"net.npz": _damage_described(rng, _chain() if rng.random() < 0.3 else _branched())}


KINDS = (
    Kind("MGNet weights", 1, _make_weights, _read_weights),
    Kind("checkpoints (.pt)", 2, _make_checkpoint, _read_file("net.pt")),
    # Each starts a process that reads the file, as always.
    Kind("exports (.net)", 0.05, _make_net, _read_file("net.net")),
    Kind("content of .net", 2, _make_net_content, _read_net_content),
    *([Kind("ONNX files", 0.5, _make_onnx, _read_onnx)] if importlib.util.find_spec("onnx") else []),
    Kind("sigma-delta networks (.npz)", 2, _make_integers, _read_file("net.npz")),
    Kind("cards", 2, _make_card, _read_card),
    Kind("class names", 2, _make_names, _read_names),
    Kind("quantized networks", 1, _make_tiles, _read_tiles),
)
