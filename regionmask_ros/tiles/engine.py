"""The tile engine of one camera: compiled where there is a library, else the reference in NumPy."""

from __future__ import annotations

import ctypes
import functools
import logging
import os
from collections.abc import Sequence
from weakref import WeakKeyDictionary

import numpy as np

from ..errors import UserError
from .compiled import list_kernel_sets, open_library
from .frame import COUNTS, StepOutput, dense_pixels, thresholds_of
from .network import TileNetwork
from .plan import Plan
from .reference import TileReference
from .state import State
from .structures import STRUCTURES, FrameRecord

KERNELS_KEY = "REGIONMASK_TILE_KERNELS"
"""Environment variable that names the kernel set."""

_plans: WeakKeyDictionary[TileNetwork, dict[tuple[str, int, int], Plan]] = WeakKeyDictionary()


class TileEngine:
    """The engine of one camera.

    Args:
        network: The quantized network.
        input_wh: Width and height of the images.
        kernel_set: Name of a set of kernels, see ``compiled.list_kernel_sets``, or "reference"; empty: that which the
            environment variable REGIONMASK_TILE_KERNELS names, else the fastest.

    Attributes:
        kernel_set: Name of the set that computes.

    Raises:
        ValueError: The images do not fit the network.
        UserError: There is no such kernel set.
    """

    def __init__(self, network: TileNetwork, input_wh: tuple[int, int], kernel_set: str = "") -> None:
        self.kernel_set = choose_kernel_set(kernel_set)
        self._camera: TileReference | CompiledCamera
        if self.kernel_set == TileReference.kernel_set:
            self._camera = TileReference(network, input_wh)
        else:
            self._camera = CompiledCamera(network, input_wh, self.kernel_set)

    @property
    def memory_bytes(self) -> int:
        """Bytes of this camera; weights, which all cameras of a network share, are not among them."""
        return self._camera.memory_bytes

    def reset(self) -> None:
        """Forgets all frames: the next one is computed as a whole."""
        self._camera.reset()

    def held(self, name: str) -> np.ndarray:
        """What is held of a tensor, [rows, cols, channels]: a view; writing to it needs ``touch``."""
        return self._camera.held(name)

    def touch(self, name: str) -> None:
        """Tells the next frame that all of a tensor was replaced by the caller."""
        self._camera.touch(name)

    def step(self, image: np.ndarray | None, attended: np.ndarray | None = None, level: float | Sequence[float] = 0.0,
             input_threshold: float = 0.0, *, is_dense: bool = False) -> StepOutput:
        """Computes a frame.

        Args:
            image: uint8 RGB [rows, cols, 3]; None to go on from what is held.
            attended: bool [region rows, region cols], regions of 16x16 pixels; None: all.
            level: Multiplies the network's threshold factors; or the threshold of every node in order, RMS in steps.
            input_threshold: Least change of an image tile, RMS of 255.
            is_dense: Compute and replace everything, whatever changed, as after a reset.

        Returns:
            The heads, and what was computed.
        """
        return self._camera.step(image, attended, level, input_threshold, is_dense=is_dense)


class CompiledCamera:
    """The state of one camera and its compiled run loop; see ``TileEngine``."""

    def __init__(self, network: TileNetwork, input_wh: tuple[int, int], kernel_set: str) -> None:
        self._library = bind_library()
        self._network = network
        self._plan = _find_plan(self._library, network, input_wh, kernel_set)
        self._state = State(self._plan)
        self._size = (input_wh[1], input_wh[0], network.graph.channels)
        self._attended = np.ones(self._plan.regions, bool)
        self._change, self._squares = np.zeros(self._plan.regions, np.int64), np.zeros(self._plan.regions)
        self._counts = np.zeros((1 + len(network.graph.nodes), len(COUNTS)), np.int64)
        self._heads = {name: self._state.held(name) for name in network.graph.outputs}
        rows = self._plan.layout.rows
        self._rows = None if rows is None else rows.view(self._state.memory)[:, 0]
        self._level: float | None = None
        self._thresholds = np.zeros(len(network.graph.nodes))
        self._frame = FrameRecord(
            attended=self._attended.ctypes.data, thresholds=self._thresholds.ctypes.data,
            dense_pixels=dense_pixels(input_wh[0] * input_wh[1]), change=self._change.ctypes.data,
            counts=self._counts.ctypes.data, squares=self._squares.ctypes.data)
        self._call = (ctypes.byref(self._plan.record), ctypes.byref(self._frame), self._state.address)
        self._is_new = True

    @property
    def memory_bytes(self) -> int:
        """See ``TileEngine``."""
        return self._state.memory.nbytes

    def reset(self) -> None:
        """See ``TileEngine``."""
        self._state.clear()
        self._is_new = True

    def held(self, name: str) -> np.ndarray:
        """See ``TileEngine``."""
        return self._state.held(name)

    def touch(self, name: str) -> None:
        """See ``TileEngine``."""
        self._state.touch(name)

    def step(self, image: np.ndarray | None, attended: np.ndarray | None, level: float | Sequence[float],
             input_threshold: float, *, is_dense: bool) -> StepOutput:
        """See ``TileEngine``."""
        # What the last frame has computed has emptied the caches: a NumPy call takes 10 us here, some of them 50.
        frame = self._frame
        frame.image = None
        if image is not None:
            if image.shape != self._size or image.dtype != np.uint8:
                raise ValueError(f"an image of {image.dtype} {image.shape}, not of uint8 {self._size}")
            if image.strides[1:] != (self._size[2], 1):
                image = np.ascontiguousarray(image)
            frame.image, frame.image_pitch = _address_of(image), image.strides[0]
        if attended is not None and attended.shape != self._plan.regions:
            raise ValueError(f"a mask of {attended.shape} regions, not of {self._plan.regions}")
        self._attended[...] = True if attended is None else attended
        if not isinstance(level, (int, float)) or level != self._level:
            self._thresholds[:] = thresholds_of(self._network, level)
            self._level = level if isinstance(level, (int, float)) else None
        frame.input_threshold, frame.is_dense = input_threshold, is_dense or self._is_new
        self._library.rm_tiles_run(*self._call)
        self._is_new = False
        return StepOutput(self._heads, self._change, self._counts, self._rows, frame.quiet_square,
                          frame.replaced_heads > 0)


def _address_of(pixels: np.ndarray) -> int:
    """Where an array begins. ``ndarray.ctypes`` also makes a Python object, which takes long where caches are empty."""
    try:
        return ctypes.addressof(ctypes.c_uint8.from_buffer(pixels.data))
    except (TypeError, ValueError):
        # Read-only, or with gaps between the rows.
        return pixels.ctypes.data


def choose_kernel_set(name: str = "") -> str:
    """Chooses what computes.

    Args:
        name: See ``TileEngine``.

    Returns:
        The name of a kernel set, or "reference".

    Raises:
        UserError: There is no such kernel set here.
    """
    available = [*list_kernel_sets(), TileReference.kernel_set]
    name = name or os.environ.get(KERNELS_KEY, "")
    if name and name not in available:
        raise UserError(f"the tile engine has no kernels named {name} here: choose one of {', '.join(available)}")
    if not name and len(available) == 1:
        _tell_absence()
    return name or available[0]


@functools.cache
def _tell_absence() -> None:
    logging.getLogger(__name__).warning("%s; until then, networks run slowly in NumPy", open_library().absence)


def _find_plan(library: ctypes.CDLL, network: TileNetwork, input_wh: tuple[int, int], kernel_set: str) -> Plan:
    plans = _plans.setdefault(network, {})
    key = (kernel_set, *input_wh)
    if key not in plans:
        names = list_kernel_sets()
        found = (library.rm_tiles_kernel_set(number) for number in range(names.index(kernel_set), len(names)))
        kernel_sets = [ctypes.cast(kernels, ctypes.c_void_p).value or 0 for kernels in found]
        plans[key] = Plan(library, kernel_sets, network, input_wh)
    return plans[key]


@functools.cache
def bind_library() -> ctypes.CDLL:
    """Declares the functions of the library, once; there must be one.

    Returns:
        The library.
    """
    library = open_library().handle
    assert library is not None
    address, number = ctypes.c_void_p, ctypes.c_int32
    library.rm_tiles_supports.argtypes = [address, number, number, number, number]
    library.rm_tiles_packed_bytes.argtypes, library.rm_tiles_packed_bytes.restype = (
        [address, number, number, number], ctypes.c_int64)
    library.rm_tiles_pack.argtypes, library.rm_tiles_pack.restype = (
        [address, address, address, number, number, number, address], None)
    library.rm_tiles_panel_pixels.argtypes = [address, number]
    library.rm_tiles_panel_bytes.argtypes, library.rm_tiles_panel_bytes.restype = (
        [address, number, number], ctypes.c_int64)
    library.rm_tiles_run.argtypes, library.rm_tiles_run.restype = [address, address, address], None
    library.rm_tiles_structure_bytes.restype = ctypes.c_int64
    for place, structure in enumerate(STRUCTURES):
        assert library.rm_tiles_structure_bytes(place) == ctypes.sizeof(structure), structure.__name__
    return library
