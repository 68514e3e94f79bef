"""Reads a torch checkpoint (zip format) as NumPy arrays, without torch and without pickle.

The weights may be the whole file, or a state dict in what a training has saved: under ``model_state_dict``,
``state_dict``, ``model`` or ``ema``, with names that begin with ``module.``, and with an optimizer's state beside it.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import UNSUPPORTED, InvalidFile
from ...files.content import HEAD_BYTES, Family, identify
from ...files.safe_read import ZIP_MAGIC, open_zip, read_member
from .pickle_index import StoragePlace, TensorPlace, parse_index

INDEX = "data.pkl"

STATE_DICTS = (
    "ema", "model_ema", "ema_state_dict", "model_state_dict", "state_dict", "model", "network", "net", "module")
"""Names of entries with weights, in the order in which they are chosen. Averaged weights (EMA) are those that trainings
themselves export."""

PREFIXES = ("module.", "_orig_mod.", "model.", "network.", "net.")
"""What wrappers (DataParallel, torch.compile, Lightning) put before all names."""

_DEEPEST = 3
_MAX_NAMED = 8


@dataclass(frozen=True)
class Weights:
    """Where the weights of a checkpoint are.

    Attributes:
        entries: Values by name, without ``prefix``; tensors in a state dict.
        path: The entries that lead to them, such as ("ema", "module"); empty: the whole file.
        prefix: What all names begin with in the file.
        beside: Names of the other entries of the file.
    """

    entries: Mapping[str, Any]
    path: tuple[str, ...]
    prefix: str
    beside: tuple[str, ...]

    def describe(self) -> str:
        """Where they were found, in words; empty if the whole file is a state dict with plain names."""
        parts = [f"from its entry {' > '.join(self.path)}"] if self.path else []
        parts += [f"without the prefix {self.prefix!r} of all names"] if self.prefix else []
        parts += [f"beside {_names(self.beside)}"] if self.beside else []
        return ", ".join(parts)


def read_tensors(data: bytes) -> dict[str, np.ndarray]:
    """Reads the weights of a checkpoint. Their values are not checked and may be NaN.

    Args:
        data: The file's content.

    Returns:
        float32 arrays by name, read-only views of the checkpoint's storages, which tensors may share.

    Raises:
        InvalidFile: The content is damaged, or has no weights that are plain float32 tensors.
    """
    with _open(data) as archive:
        weights, folder, members = _find_weights(archive, len(data))
        for name, place in weights.entries.items():
            _check_tensor(name, place)
        storages: dict[StoragePlace, np.ndarray] = {}
        for place in weights.entries.values():
            if place.storage not in storages:
                storages[place.storage] = _read_storage(archive, members, folder, place.storage)
        return {name: _view(storages[place.storage], place) for name, place in weights.entries.items()}


def find_weights(data: bytes) -> Weights:
    """Finds the weights of a checkpoint without reading them.

    Args:
        data: The file's content.

    Returns:
        Where they are.

    Raises:
        InvalidFile: The content is damaged, or has no weights.
    """
    with _open(data) as archive:
        return _find_weights(archive, len(data))[0]


def _open(data: bytes) -> zipfile.ZipFile:
    if not data.startswith(ZIP_MAGIC):
        found = identify(data[:HEAD_BYTES])
        if found is not None and found.family is Family.NETWORK:
            raise InvalidFile("a checkpoint of PyTorch before 1.6, or another Python pickle, which is not read because "
                              "that can run any program: load it in PyTorch and save it again", UNSUPPORTED)
        what = found.name if found else f"first bytes {data[:4].hex(' ')}"
        raise InvalidFile(f"not a torch zip checkpoint ({what})")
    return open_zip(io.BytesIO(data))


def _find_weights(archive: zipfile.ZipFile, size: int) -> tuple[Weights, str, dict[str, zipfile.ZipInfo]]:
    """The weights, the folder of the index, and the members of the archive by name."""
    folder = _folder(archive)
    members = _members(archive, size)
    if f"{folder}byteorder" in members:
        _check_byte_order(read_member(archive, members[f"{folder}byteorder"]))
    content = parse_index(read_member(archive, members[folder + INDEX]))
    found = _unwrap(content, ())
    if found is None and any(name.startswith(f"{folder}code/") for name in members):
        raise InvalidFile("TorchScript, which is a program with weights: export the network to ONNX", UNSUPPORTED)
    if found is None:
        raise InvalidFile(f"no weights in it: its entries are {_names(content) or 'none'}; expected tensors by name, "
                          f"or a dict of them as {', '.join(STATE_DICTS[3:6])} or {STATE_DICTS[0]}")
    path, entries = found
    named = {str(name): value for name, value in entries.items()}
    prefix = _common_prefix(named)
    beside = tuple(str(name) for name in content if path and name != path[0])
    return Weights({name[len(prefix):]: value for name, value in named.items()}, path, prefix, beside), folder, members


def _unwrap(content: Mapping[str | int, Any], path: tuple[str, ...]
            ) -> tuple[tuple[str, ...], Mapping[str | int, Any]] | None:
    """The first state dict in an entry of ``STATE_DICTS``, else ``content`` itself if it has tensors."""
    for name in STATE_DICTS if len(path) < _DEEPEST else ():
        inner = content.get(name)
        found = _unwrap(inner, (*path, name)) if type(inner) is dict else None
        if found is not None:
            return found
    return (path, content) if any(type(value) is TensorPlace for value in content.values()) else None


def _common_prefix(named: Mapping[str, Any]) -> str:
    prefix, is_longer = "", True
    while is_longer:
        longer = [prefix + more for more in PREFIXES if all(name.startswith(prefix + more) for name in named)]
        is_longer = bool(longer)
        prefix = longer[0] if longer else prefix
    return prefix


def _check_tensor(name: str, place: Any) -> None:
    if type(place) is not TensorPlace:
        raise InvalidFile(f"not a plain state dict, its entry {name} is not a tensor")
    if place.storage.dtype != "float32":
        raise InvalidFile(f"tensor {name} is {place.storage.dtype}; only float32 tensors are supported")


def _names(names: Mapping[Any, Any] | tuple[str, ...]) -> str:
    """The first names, and how many there are beside them."""
    first = ", ".join(str(name) for name, _ in zip(names, range(_MAX_NAMED)))
    return first + (f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else "")


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """All members by name. torch does not compress, so members larger than the file are an attack."""
    for info in archive.infolist():
        if info.compress_type != zipfile.ZIP_STORED:
            raise InvalidFile(f"not a torch zip checkpoint, {info.filename} in it is compressed")
    if sum(info.file_size for info in archive.infolist()) > size:
        raise InvalidFile("rejected, its members claim more bytes than the file has")
    return {info.filename: info for info in archive.infolist()}


def _folder(archive: zipfile.ZipFile) -> str:
    """The folder of the index, with its slash; torch names it after the file."""
    found = [name for name in archive.namelist() if name.count("/") == 1 and name.endswith(f"/{INDEX}")]
    if len(found) != 1:
        raise InvalidFile(f"not a torch zip checkpoint, a zip archive with {len(found) or 'no'} {INDEX}: if it "
                          "holds the network, unpack it")
    return found[0][: -len(INDEX)]


def _check_byte_order(order: bytes) -> None:
    if order != b"little":
        raise InvalidFile(f"its byte order is {order[:20]!r}; only little-endian checkpoints are supported")


def _read_storage(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], folder: str,
                  place: StoragePlace) -> np.ndarray:
    name = f"{folder}data/{place.key}"
    if name not in members:
        raise InvalidFile(f"damaged checkpoint, {name} is missing")
    if members[name].file_size != 4 * place.count:
        sizes = f"{members[name].file_size} bytes for {place.count} float32 values"
        raise InvalidFile(f"damaged checkpoint, {name} has {sizes}")
    return np.frombuffer(read_member(archive, members[name]), "<f4")


def _view(storage: np.ndarray, place: TensorPlace) -> np.ndarray:
    strides = [4 * step for step in place.stride]
    return np.lib.stride_tricks.as_strided(storage[place.offset :], place.size, strides, writeable=False)
