"""Interprets the index of a torch checkpoint without pickle and without torch.

torch stores the index, ``data.pkl``, as a pickle: a program for a small stack machine. The module ``pickle`` would
execute it, and it could call any function. Here ``pickletools`` only splits it into opcodes, and the machine below
knows only those that dicts of tensors and the notes of a training beside them need. It makes dicts, lists, tuples,
texts, numbers and the records of this module. It imports and calls nothing that the file names: what a file would
call is kept as its name (``Inert``) if it is one of those that trainings store, and is ``InvalidFile`` otherwise.
"""

from __future__ import annotations

import math
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ...errors import InvalidFile

# That of YOLO-KP has 8 kB, and an optimizer's state has two tensors for each of its own. The limit bounds time and
# memory, which grow no faster than the index.
MAX_PICKLE_BYTES = 1 << 20
MAX_DIMS = 8


@dataclass(frozen=True)
class StoragePlace:
    """``count`` values of the type ``dtype``, stored in the archive under ``key``."""

    key: str
    count: int
    dtype: str = "float32"


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
class Inert:
    """An object that a file would make by calling ``name``. It is not made, and what it holds is dropped."""

    name: str


@dataclass(frozen=True)
class _Global:
    """A name in the file. It is only compared, never imported."""

    name: str


_ORDERED_DICT = _Global("collections.OrderedDict")
_REBUILD_TENSOR = _Global("torch._utils._rebuild_tensor_v2")
_REBUILD_PARAMETER = _Global("torch._utils._rebuild_parameter")
_DTYPES = MappingProxyType({
    "torch.FloatStorage": "float32", "torch.DoubleStorage": "float64", "torch.HalfStorage": "float16",
    "torch.BFloat16Storage": "bfloat16", "torch.LongStorage": "int64", "torch.IntStorage": "int32",
    "torch.ShortStorage": "int16", "torch.CharStorage": "int8", "torch.ByteStorage": "uint8",
    "torch.BoolStorage": "bool",
})
_INERT = frozenset((
    "argparse.Namespace", "collections.Counter", "collections.defaultdict", "torch.device", "torch.Size",
    "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.dtype", "_codecs.encode",
    "pathlib.PosixPath", "pathlib.WindowsPath", "datetime.datetime",
))
"""What trainings store beside the weights."""
_KNOWN_GLOBALS = {known.name: known for known in (
    _ORDERED_DICT, _REBUILD_TENSOR, _REBUILD_PARAMETER, *map(_Global, (*_DTYPES, *_INERT)))}


def parse_index(pickled: bytes) -> dict[str | int, Any]:
    """Interprets the index of a checkpoint.

    Args:
        pickled: The content of ``data.pkl``.

    Returns:
        What the file holds. Values are ``TensorPlace``, ``Inert``, dicts, lists, tuples, texts, bytes, numbers and
        None. A dict may contain itself.

    Raises:
        InvalidFile: The index is damaged, or is anything else than a dict of such values.
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
        raise InvalidFile(f"it is not a dict of tensors{_describe_root(machine.stack)}")
    content: dict[str | int, Any] = machine.stack[0]
    return content


def _describe_root(stack: list[Any]) -> str:
    return f", but {stack[0].name}" if len(stack) == 1 and type(stack[0]) is Inert else ""


class _Machine:
    """The stack machine. Keys must be texts or integers, because hashing a malicious tuple can take forever."""

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
            raise InvalidFile(f"rejected, it refers to {name}; only plain tensors are supported: save the network's "
                              "state_dict(), or export the network to ONNX")
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
        if len(keys) != len(values) or any(type(key) not in (str, int) for key in keys):
            raise InvalidFile("not a plain state dict, a key in it is neither a text nor an integer")
        if not self.is_inert():
            self.top(dict).update(zip(keys, values))

    def is_inert(self) -> bool:
        """Whether an object that is not made is on top of the stack."""
        return bool(self.stack) and type(self.stack[-1]) is Inert

    def append(self, _: None) -> None:
        self.take_short_tuple(1)
        self.extend([*self.pop(tuple)])

    def append_all(self, _: None) -> None:
        self.extend(self.pop_to_mark())

    def extend(self, values: list[Any]) -> None:
        if not self.is_inert():
            self.top(list).extend(values)

    def load_storage(self, _: None) -> None:
        place = self.pop(tuple)
        if len(place) != 5 or type(place[0]) is not str or place[0] != "storage" or type(place[1]) is not _Global \
                or place[1].name not in _DTYPES:
            raise InvalidFile("rejected, a reference in it is not a storage; only plain tensors are supported")
        _, kind, key, device, count = place
        if type(key) is not str or type(device) is not str or not _is_size(count):
            raise InvalidFile("its index is damaged, a storage has no valid name or size")
        self.stack.append(StoragePlace(key, count, _DTYPES[kind.name]))

    def call(self, _: None) -> None:
        arguments, function = self.pop(tuple), self.pop(_Global)
        if function is _ORDERED_DICT and arguments == ():
            self.stack.append({})
        elif function is _REBUILD_TENSOR:
            self.stack.append(_tensor(arguments))
        elif function is _REBUILD_PARAMETER and len(arguments) == 3 and type(arguments[0]) is TensorPlace:
            self.stack.append(arguments[0])
        elif function.name in _INERT:
            self.stack.append(Inert(function.name))
        else:
            raise InvalidFile(f"rejected, it calls {function.name} in an unusual way; only plain tensors are supported")

    def ignore_attributes(self, _: None) -> None:
        """Skips the versions (``_metadata``) that torch adds to the dict; they affect no tensor."""
        if len(self.stack) > 1 and type(self.stack[-2]) is Inert and type(self.stack[-1]) is not _Mark:
            self.stack.pop()
            return
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


_LITERALS = frozenset({"BINUNICODE", "SHORT_BINUNICODE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT",
                       "SHORT_BINBYTES", "BINBYTES"})
_IGNORED = frozenset({"PROTO", "FRAME", "STOP"})
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "MARK": _Mark, "EMPTY_DICT": dict, "EMPTY_TUPLE": tuple, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False,
    "NONE": lambda: None, "EMPTY_LIST": list}
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
    "APPEND": _Machine.append,
    "APPENDS": _Machine.append_all,
    "REDUCE": _Machine.call,
    "NEWOBJ": _Machine.call,
    "BUILD": _Machine.ignore_attributes,
}
