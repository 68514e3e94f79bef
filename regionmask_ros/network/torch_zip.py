"""A torch checkpoint (zip form, plain float32 tensors) as NumPy arrays, without torch."""

from __future__ import annotations

import io
import zipfile

import numpy as np

from ..untrusted.archive import ZIP_MAGIC, open_zip, read_member
from ..untrusted.refused import Refused
from .state_dict import StoragePlace, TensorPlace, parse_state_dict

INDEX = "data.pkl"


def read_tensors(data: bytes) -> dict[str, np.ndarray]:
    """float32 arrays by name, read-only views of the checkpoint's storages (which tensors may share).

    Raises Refused for anything else than such a checkpoint. Values are not looked at: they may be NaN.
    """
    if not data.startswith(ZIP_MAGIC):
        raise Refused(f"not a torch zip checkpoint (first bytes {data[:4].hex(' ')})")
    with open_zip(io.BytesIO(data)) as archive:
        folder = _folder(archive)
        members = _members(archive, len(data))
        if f"{folder}byteorder" in members:
            _check_byte_order(read_member(archive, members[f"{folder}byteorder"]))
        places = parse_state_dict(read_member(archive, members[folder + INDEX]))
        storages: dict[StoragePlace, np.ndarray] = {}
        for place in places.values():
            if place.storage not in storages:
                storages[place.storage] = _read_storage(archive, members, folder, place.storage)
        return {name: _view(storages[place.storage], place) for name, place in places.items()}


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """torch stores without compression, so members that claim more than the file holds are a trap."""
    for info in archive.infolist():
        if info.compress_type != zipfile.ZIP_STORED:
            raise Refused(f"not a torch zip checkpoint, {info.filename} in it is compressed")
    if sum(info.file_size for info in archive.infolist()) > size:
        raise Refused("refused, its members claim more bytes than the file has")
    return {info.filename: info for info in archive.infolist()}


def _folder(archive: zipfile.ZipFile) -> str:
    """The folder that holds the index, with its slash; torch names it after the file."""
    found = [name for name in archive.namelist() if name.count("/") == 1 and name.endswith(f"/{INDEX}")]
    if len(found) != 1:
        raise Refused(f"not a torch zip checkpoint, a zip archive with {len(found) or 'no'} {INDEX}")
    return found[0][: -len(INDEX)]


def _check_byte_order(order: bytes) -> None:
    if order != b"little":
        raise Refused(f"its byte order is {order[:20]!r}; only little-endian checkpoints are read")


def _read_storage(
    archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], folder: str, place: StoragePlace
) -> np.ndarray:
    name = f"{folder}data/{place.key}"
    if name not in members:
        raise Refused(f"damaged checkpoint, it lacks {name}")
    if members[name].file_size != 4 * place.count:
        held = f"{members[name].file_size} bytes for {place.count} float32 values"
        raise Refused(f"damaged checkpoint, {name} has {held}")
    return np.frombuffer(read_member(archive, members[name]), "<f4")


def _view(storage: np.ndarray, place: TensorPlace) -> np.ndarray:
    strides = [4 * step for step in place.stride]
    return np.lib.stride_tricks.as_strided(storage[place.offset :], place.size, strides, writeable=False)
