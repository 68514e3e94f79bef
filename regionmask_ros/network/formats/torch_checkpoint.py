"""Reads a torch checkpoint (zip format, plain float32 tensors) as NumPy arrays, without torch and without pickle.

torch stores the index of a state dict, ``data.pkl``, as a pickle: a program for a small stack machine. The module
``pickle`` would execute it, and it could call any function. Here ``pickletools`` only splits it into opcodes, and the
machine below knows only those that a flat dict of float32 tensors needs. It makes dicts, tuples, strings, integers and
the two records of this module. It imports and calls nothing that the file names. Everything else is ``InvalidFile``.
"""

from __future__ import annotations

import io
import math
import pickletools
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import InvalidFile
from ...files.safe_read import ZIP_MAGIC, open_zip, read_member

INDEX = "data.pkl"


def read_tensors(data: bytes) -> dict[str, np.ndarray]:
    """Reads all tensors of a checkpoint. Their values are not checked and may be NaN.

    Args:
        data: The file's content.

    Returns:
        float32 arrays by name, read-only views of the checkpoint's storages, which tensors may share.

    Raises:
        InvalidFile: The content is damaged, or is anything else than such a checkpoint.
    """
    if not data.startswith(ZIP_MAGIC):
        raise InvalidFile(f"not a torch zip checkpoint (first bytes {data[:4].hex(' ')})")
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
        raise InvalidFile(f"not a torch zip checkpoint, a zip archive with {len(found) or 'no'} {INDEX}")
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


# A real index has 8 kB. The limit bounds time and memory, which grow no faster than its length.
MAX_PICKLE_BYTES = 1 << 18
MAX_DIMS = 8


@dataclass(frozen=True)
class StoragePlace:
    """``count`` float32 values, stored in the archive under ``key``."""

    key: str
    count: int


@dataclass(frozen=True)
class TensorPlace:
    """A view that lies within its storage; ``offset`` and ``stride`` count values."""

    storage: StoragePlace
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class _Mark:
    """The beginning of a group of values on the stack."""


@dataclass(frozen=True)
class _Global:
    """A name in the file. It is only compared, never imported."""

    name: str


_ORDERED_DICT = _Global("collections.OrderedDict")
_REBUILD_TENSOR = _Global("torch._utils._rebuild_tensor_v2")
_REBUILD_PARAMETER = _Global("torch._utils._rebuild_parameter")
_FLOAT_STORAGE = _Global("torch.FloatStorage")
_KNOWN_GLOBALS = {known.name: known for known in (_ORDERED_DICT, _REBUILD_TENSOR, _REBUILD_PARAMETER, _FLOAT_STORAGE)}


def parse_state_dict(pickled: bytes) -> dict[str, TensorPlace]:
    """Interprets the index of a checkpoint.

    Args:
        pickled: The content of ``data.pkl``.

    Returns:
        The places of the tensors by name, in the file's order.

    Raises:
        InvalidFile: The index is damaged, or is anything else than a flat dict of float32 tensors.
    """
    if len(pickled) > MAX_PICKLE_BYTES:
        raise InvalidFile(f"its index is larger than {MAX_PICKLE_BYTES >> 10} kB")
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(pickled):
            machine.step(opcode.name, argument)
    # Invalid escapes in a name give a DeprecationWarning, which is raised where warnings are errors.
    except (ValueError, DeprecationWarning) as error:
        raise InvalidFile("its index is damaged") from error
    if len(machine.stack) != 1 or type(machine.stack[0]) is not dict:
        raise InvalidFile("it is not a dict of tensors")
    tensors = machine.stack[0]
    for name, value in tensors.items():
        if type(value) is not TensorPlace:
            raise InvalidFile(f"not a plain state dict, its entry {name} is not a tensor")
    return tensors


class _Machine:
    """The stack machine. Keys must be strings, because hashing a malicious tuple can take forever."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        if name in _LITERALS:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        elif name in _ACTIONS:
            _ACTIONS[name](self, argument)
        elif name not in _IGNORED:
            raise InvalidFile(f"rejected, it uses the pickle opcode {name}; only plain tensors are supported")

    def pop(self, kind: type) -> Any:
        if not self.stack or type(self.stack[-1]) is not kind:
            raise InvalidFile(f"its index is damaged, a {kind.__name__.lower().strip('_')} is missing")
        return self.stack.pop()

    def top(self, kind: type) -> Any:
        value = self.pop(kind)
        self.stack.append(value)
        return value

    def pop_to_mark(self) -> list[Any]:
        values = []
        while self.stack and type(self.stack[-1]) is not _Mark:
            values.append(self.stack.pop())
        self.pop(_Mark)
        return values[::-1]

    def name_global(self, argument: str) -> None:
        self.push_global(argument.replace(" ", "."))

    def name_stack_global(self, _: None) -> None:
        name, module = self.pop(str), self.pop(str)
        self.push_global(f"{module}.{name}")

    def push_global(self, name: str) -> None:
        if name not in _KNOWN_GLOBALS:
            if name.startswith("torch.") and name.endswith("Storage"):
                raise InvalidFile(f"rejected, it has a {name}; only float32 tensors (torch.FloatStorage) are supported")
            raise InvalidFile(f"rejected, it refers to {name}; only plain tensors are supported")
        self.stack.append(_KNOWN_GLOBALS[name])

    def remember(self, slot: int) -> None:
        if not self.stack:
            raise InvalidFile("its index is damaged, a value is missing")
        self.memo[slot] = self.stack[-1]

    def remember_next(self, _: None) -> None:
        self.remember(len(self.memo))

    def recall(self, slot: int) -> None:
        if slot not in self.memo:
            raise InvalidFile("its index is damaged, it reads a memo slot that was never written")
        self.stack.append(self.memo[slot])

    def take_tuple(self, _: None) -> None:
        self.stack.append(tuple(self.pop_to_mark()))

    def take_short_tuple(self, length: int) -> None:
        if len(self.stack) < length or any(type(value) is _Mark for value in self.stack[-length:]):
            raise InvalidFile("its index is damaged, a value is missing")
        values = tuple(self.stack[-length:])
        del self.stack[-length:]
        self.stack.append(values)

    def set_item(self, _: None) -> None:
        self.take_short_tuple(2)
        self.fill([*self.pop(tuple)])

    def set_items(self, _: None) -> None:
        self.fill(self.pop_to_mark())

    def fill(self, flat: list[Any]) -> None:
        keys, values = flat[::2], flat[1::2]
        if len(keys) != len(values) or any(type(key) is not str for key in keys):
            raise InvalidFile("not a plain state dict, a key in it is not a text")
        self.top(dict).update(zip(keys, values))

    def load_storage(self, _: None) -> None:
        place = self.pop(tuple)
        if len(place) != 5 or place[0] != "storage" or place[1] is not _FLOAT_STORAGE:
            raise InvalidFile("rejected, a reference in it is not a storage; only plain tensors are supported")
        _, _, key, device, count = place
        if type(key) is not str or type(device) is not str or not _is_size(count):
            raise InvalidFile("its index is damaged, a storage has no valid name or size")
        self.stack.append(StoragePlace(key, count))

    def call(self, _: None) -> None:
        arguments, function = self.pop(tuple), self.pop(_Global)
        if function is _ORDERED_DICT and arguments == ():
            self.stack.append({})
        elif function is _REBUILD_TENSOR:
            self.stack.append(_tensor(arguments))
        elif function is _REBUILD_PARAMETER and len(arguments) == 3 and type(arguments[0]) is TensorPlace:
            self.stack.append(arguments[0])
        else:
            raise InvalidFile(f"rejected, it calls {function.name} in an unusual way; only plain tensors are supported")

    def ignore_attributes(self, _: None) -> None:
        """Skips the versions (``_metadata``) that torch adds to the dict; they affect no tensor."""
        self.pop(dict)
        self.top(dict)


def _is_size(value: Any) -> bool:
    return type(value) is int and value >= 0


def _tensor(arguments: tuple[Any, ...]) -> TensorPlace:
    if not 6 <= len(arguments) <= 7 or type(arguments[0]) is not StoragePlace:
        raise InvalidFile("its index is damaged, a tensor has no storage")
    storage, offset, size, stride = arguments[:4]
    if type(size) is not tuple or type(stride) is not tuple or len(size) != len(stride) or len(size) > MAX_DIMS:
        raise InvalidFile("its index is damaged, a tensor has no valid shape")
    if not all(map(_is_size, (offset, *size, *stride))) or 0 in size:
        raise InvalidFile("rejected, a tensor has an impossible size, stride or offset")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride))
    # The second condition prevents a huge array of one value by a stride of 0.
    if last >= storage.count or math.prod(size) > storage.count:
        raise InvalidFile(f"rejected, a tensor reaches beyond its storage of {storage.count} values")
    return TensorPlace(storage, offset, size, stride)


_LITERALS = frozenset({"BINUNICODE", "SHORT_BINUNICODE", "BININT", "BININT1", "BININT2"})
_IGNORED = frozenset({"PROTO", "FRAME", "STOP"})
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "MARK": _Mark, "EMPTY_DICT": dict, "EMPTY_TUPLE": tuple, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False}
_ACTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "GLOBAL": _Machine.name_global,
    "STACK_GLOBAL": _Machine.name_stack_global,
    "BINPUT": _Machine.remember,
    "LONG_BINPUT": _Machine.remember,
    "MEMOIZE": _Machine.remember_next,
    "BINGET": _Machine.recall,
    "LONG_BINGET": _Machine.recall,
    "TUPLE": _Machine.take_tuple,
    "TUPLE1": lambda machine, _: machine.take_short_tuple(1),
    "TUPLE2": lambda machine, _: machine.take_short_tuple(2),
    "TUPLE3": lambda machine, _: machine.take_short_tuple(3),
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "BINPERSID": _Machine.load_storage,
    "REDUCE": _Machine.call,
    "BUILD": _Machine.ignore_attributes,
}
