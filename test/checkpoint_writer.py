"""Writes torch-like checkpoints, valid and hostile ones, without torch: opcodes and zip members by hand."""

from __future__ import annotations

import io
import struct
import zipfile

import numpy as np

CALL, TUPLE, END = b"R", b"t", b"."
ORDERED_DICT = b"ccollections\nOrderedDict\n)R"
FLOAT_STORAGE = b"ctorch\nFloatStorage\n"
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"


def text(value: str) -> bytes:
    encoded = value.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def numbers(values) -> bytes:
    return b"(" + b"".join(map(number, values)) + TUPLE


def storage(key: str, count: int, kind: bytes = FLOAT_STORAGE) -> bytes:
    return b"(" + text("storage") + kind + text(key) + text("cpu") + number(count) + TUPLE + b"Q"


def tensor(place: bytes, offset: int, size, stride) -> bytes:
    view = place + number(offset) + numbers(size) + numbers(stride)
    return REBUILD + b"(" + view + b"\x89" + ORDERED_DICT + TUPLE + CALL


def index(entries: dict[str, bytes]) -> bytes:
    """The index of a state dict: a value's opcodes by name."""
    items = b"".join(text(name) + value for name, value in entries.items())
    return b"\x80\x02" + ORDERED_DICT + b"(" + items + b"u" + END


def strides(shape) -> list[int]:
    return [int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))]


def tensors_of(tensors: dict[str, np.ndarray]) -> dict[str, bytes]:
    """The opcodes of each tensor, by name."""
    return {name: tensor(storage(str(key), array.size), 0, array.shape, strides(array.shape))
            for key, (name, array) in enumerate(tensors.items())}


def index_of(tensors: dict[str, np.ndarray]) -> bytes:
    return index(tensors_of(tensors))


def pack(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return file.getvalue()


def members_of(tensors: dict[str, np.ndarray], pickled: bytes | None = None) -> dict[str, bytes]:
    members = {"net/data.pkl": index_of(tensors) if pickled is None else pickled}
    for key, array in enumerate(tensors.values()):
        members[f"net/data/{key}"] = np.ascontiguousarray(array, "<f4").tobytes()
    members["net/version"] = b"3\n"
    return members


def checkpoint(tensors: dict[str, np.ndarray], pickled: bytes | None = None) -> bytes:
    """A checkpoint of float32 tensors; ``pickled`` replaces the index that fits them."""
    return pack(members_of(tensors, pickled))


def small_yolo_kp(widths=(2, 2, 3, 2, 2, 2, 3, 2, 2), seed: int = 3) -> dict[str, np.ndarray]:
    """YOLO-KP's tensors with few channels and made-up values."""
    rng = np.random.default_rng(seed)
    tensors = {"anchors": np.array([[[0.28, 0.22], [0.38, 0.48], [0.90, 0.78]]], np.float32)}
    tensors["input_blocks.0.neuron.bias"] = np.zeros(1, np.float32)
    tensors["input_blocks.0.neuron.delta.threshold"] = np.array([6 / 64], np.float32)
    channels = 3
    for block, width in enumerate(widths):
        side = 1 if block == 7 else 3
        tensors.update({
            f"blocks.{block}.neuron.bias": np.zeros(1, np.float32),
            f"blocks.{block}.neuron.norm.running_mean": rng.normal(0, 1, width).astype(np.float32),
            f"blocks.{block}.neuron.delta.threshold": np.array([6 / 64], np.float32),
            f"blocks.{block}.synapse.weight_g": rng.uniform(0.5, 2, (width, 1, 1, 1, 1)).astype(np.float32),
            f"blocks.{block}.synapse.weight_v": rng.normal(0, 1, (width, channels, side, side, 1)).astype(np.float32),
        })
        channels = width
    tensors["heads.0.weight"] = rng.normal(0, 0.3, (255, channels, 1, 1, 1)).astype(np.float32)
    return tensors
