"""The kernel sets of the compiled library, for tests: each C function is called on NumPy arrays."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from emulated_library import build_emulated, open_emulated

from regionmask_ros.tiles import engine, native_sources
from regionmask_ros.tiles.compiled import list_kernel_sets, open_library

needs_library = pytest.mark.skipif(not list_kernel_sets(), reason=open_library().absence or "no kernel set")

_P, _I, _L = ctypes.c_void_p, ctypes.c_int32, ctypes.c_int64
SLACK, PAD = 64, 16


class Epilogue(ctypes.Structure):
    _fields_ = [*((name, _P) for name in ("multiplier", "bias", "scale", "zero")), ("activation", _I),
                ("alpha", ctypes.c_float), ("beta", ctypes.c_float), ("ahead", _P)]


def _function(result, *arguments):
    return ctypes.CFUNCTYPE(result, *arguments)


class Window(ctypes.Structure):
    """`tiles::Window` of native/kernels.h."""

    _fields_ = [("first", _P), ("rows", _I), ("cols", _I)]


class Tiles(ctypes.Structure):
    """`tiles::Tiles` of native/kernels.h."""

    _fields_ = [("computed", _P), ("computed_row", _L), ("computed_pixel", _L), ("held", _P), ("held_row", _L),
                ("held_pixel", _L), ("tiles", _I), ("rows", _I), ("cols", _I), ("bytes", _I),
                ("limit", ctypes.c_uint64), ("replaced", _P), ("weak", _P)]


class Pixels(ctypes.Structure):
    """`tiles::Pixels`."""

    _fields_ = [("first", _P), ("row_pitch", _L), ("pixel_pitch", _L)]


_X = ctypes.POINTER(Pixels)


class Replaced(ctypes.Structure):
    """`tiles::Replaced`."""

    _fields_ = [("replaced", _I), ("weak", _I)]


class KernelSet(ctypes.Structure):
    """`tiles::KernelSet` of native/kernels.h."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("supports", _function(ctypes.c_bool, _L, _I, _I, _I)),
        ("panel_pixels", _function(_I, _I)),
        ("panel_bytes", _function(_L, _I, _I)),
        ("gather", _function(None, _P, _I, _P, _I, _I, _P)),
        ("packed_weight_bytes", _function(_L, _I, _I)),
        ("pack_weights", _function(None, _P, _P, _I, _I, _P)),
        ("multiply", _function(None, _P, _I, _I, _P, _I, _P, _P, _L)),
        ("multiply_float", _function(None, _P, _I, _I, _P, _I, _P, _P, _L)),
        ("packed_depthwise_bytes", _function(_L, _I, _I, _I)),
        ("pack_depthwise", _function(None, _P, _P, _I, _I, _I, _P)),
        ("depthwise", _function(None, _P, _I, _L, _L, _I, _I, _I, _I, _P, _P, _P, _L)),
        ("max_pool", _function(None, _P, _L, _L, _I, _I, _I, _I, _I, _I, _I, _P, _L)),
        ("average_pool", _function(None, _P, _L, _L, _I, _I, _I, _I, _P, _I, _P)),
        ("add", _function(None, _X, _X, _I, _I, _I, _P, _P, _P, _X)),
        ("multiply_elements", _function(None, _X, _X, _I, _I, _I, _P, _P, _P, _P, _P, _X)),
        ("activate", _function(None, _X, _I, _I, _I, _P, _X)),
        ("add_squares", _function(None, _P, _P, _I, _P)),
        ("replace", _function(Replaced, ctypes.POINTER(Tiles))),
        ("copy", _function(None, _P, _L, _P, _L, _I, _I)),
        ("enlarge", _function(None, _X, _I, _I, _I, _I, _I, _I, _X)),
    ]


AMX = "amx_int8"
EMULATED_AMX = "amx_int8 emulated"


def kernel_sets() -> list[str]:
    """Those of this processor, and that for AMX, emulated, where the processor has none."""
    found = list_kernel_sets() or ["none"]
    return found if AMX in found or platform.machine() != "x86_64" else [*found, EMULATED_AMX]


def find_set(name: str) -> KernelSet:
    is_emulated = name == EMULATED_AMX
    return find_in(open_emulated() if is_emulated else open_library().handle, AMX if is_emulated else name)


@contextmanager
def library_with(name: str) -> Iterator[str]:
    """Lets the engine use the library that has a kernel set; yields the set's name there."""
    if name != EMULATED_AMX:
        yield name
        return

    def forget() -> None:
        open_library.cache_clear(), engine.bind_library.cache_clear()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native_sources, "LIBRARY", build_emulated()[0])
        forget()
        yield AMX
    forget()


def find_in(handle: ctypes.CDLL | None, name: str) -> KernelSet:
    assert handle is not None
    find = handle.rm_tiles_kernel_set
    find.restype, find.argtypes = ctypes.POINTER(KernelSet), [_I]
    number = 0
    while found := find(number):
        if found.contents.name.decode() == name:
            return found.contents
        number += 1
    raise LookupError(name)


def address(array: np.ndarray) -> int:
    return array.ctypes.data


def aligned(size: int, kind=np.uint8, fill: int = 0) -> np.ndarray:
    """Bytes at a cache line, with `fill` in them."""
    whole = np.full(size + 64, fill, np.uint8)
    first = -whole.ctypes.data % 64
    return whole[first:first + size].view(kind)


def padded(values, kind=np.float32) -> np.ndarray:
    """The values, and as many more as make a multiple of PAD."""
    return np.concatenate([np.asarray(values, kind), np.full(-len(values) % PAD, 7, kind)])


class Parameters:
    """An epilogue over channels, and the arrays that it points to."""

    def __init__(self, multiplier, bias, scale, zero, activation=0, alpha=0.0, beta=0.0):
        self.multiplier, self.bias, self.scale, self.zero = (
            np.asarray(values, np.float32) for values in (multiplier, bias, scale, zero))
        self.activation, self.alpha, self.beta = activation, np.float32(alpha), np.float32(beta)
        self._kept = [padded(values) for values in (self.multiplier, self.bias, self.scale, self.zero)]
        self.c = Epilogue(*map(address, self._kept), activation, float(alpha), float(beta))

    @property
    def at(self) -> int:
        return ctypes.addressof(self.c)
