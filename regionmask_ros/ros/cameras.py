"""Names and masks of several cameras, and the network that their nodes share in a process."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError
from ..mask.source import DYNAMIC, STATIC
from ..network.cards import find_stored
from ..network.dense import AnyNetwork

_NAME = re.compile(r"/?[A-Za-z][A-Za-z0-9_]*(/[A-Za-z][A-Za-z0-9_]*)*")

MASK_SUFFIXES = (".npz", ".png")


@dataclass(frozen=True)
class Camera:
    """A camera with a node of its own.

    Attributes:
        name: Namespace of its node, with or without the first slash.
        static_mask: File of its static mask; empty for none of its own.
    """

    name: str
    static_mask: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise UserError(f"camera {self.name!r}: a name is letters, digits and _, such as front or robot/front")

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters that this camera's node gets besides the common ones."""
        own = {"static_mask": self.static_mask, "mask_mode": f"{STATIC}+{DYNAMIC}"}
        return own if self.static_mask else {}

    def __str__(self) -> str:
        return f"{self.name}={self.static_mask}" if self.static_mask else self.name


def parse_camera(text: str) -> Camera:
    """Reads ``name`` or ``name=file of the static mask``. Raises UserError for an invalid name."""
    name, _, mask = text.partition("=")
    return Camera(name.strip(), mask.strip())


def parse_cameras(text: str) -> tuple[Camera, ...]:
    """Reads a list of cameras.

    Args:
        text: As a launch argument has it: ``[front,left]``, brackets optional, each as in ``parse_camera``.

    Returns:
        The cameras.

    Raises:
        UserError: The list is empty, a name is invalid or comes twice.
    """
    cameras = tuple(parse_camera(part.strip().strip("'\"")) for part in text.strip().strip("[]").split(","))
    return require_distinct(cameras)


def require_distinct(cameras: Sequence[Camera]) -> tuple[Camera, ...]:
    """Checks that no name comes twice.

    Args:
        cameras: All cameras.

    Returns:
        The same cameras.

    Raises:
        UserError: A name comes twice.
    """
    names = [camera.name.strip("/") for camera in cameras]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"camera {twice}: named twice")
    return tuple(cameras)


def find_masks(cameras: Sequence[Camera], folder: str) -> tuple[Camera, ...]:
    """Finds the cameras' masks in a folder: front.npz or front.png for front, robot/front.npz for robot/front.

    Args:
        cameras: All cameras.
        folder: The folder; empty for none.

    Returns:
        Each camera with the mask that the folder has for it, if any.

    Raises:
        UserError: No camera has a mask: the folder is probably the wrong one.
    """
    if not folder:
        return tuple(cameras)
    found = []
    for camera in cameras:
        files = [Path(folder, f"{camera.name.strip('/')}{suffix}") for suffix in MASK_SUFFIXES]
        file = next((str(path) for path in files if path.is_file()), camera.static_mask)
        found.append(Camera(camera.name, file))
    if not any(camera.static_mask for camera in found):
        raise UserError(f"{folder}: no mask in it, such as {found[0].name.strip('/')}{MASK_SUFFIXES[0]}")
    return tuple(found)


def cache_loads(load: Callable[[str], AnyNetwork]) -> Callable[[str], AnyNetwork]:
    """Makes a function give the same network again for a file that has not changed since.

    Backends share the weights of one network between all cameras of a process.

    Args:
        load: From a file's name to a network.

    Returns:
        A function that calls ``load`` only when it must.
    """
    loaded: dict[str, tuple[tuple[int, int], AnyNetwork]] = {}

    def load_cached(file: str) -> AnyNetwork:
        state = _file_state(file)
        # Not all versions of a file: they would fill the memory of a node that gets new networks.
        if file not in loaded or loaded[file][0] != state:
            loaded[file] = state, load(file)
        return loaded[file][1]

    return load_cached


def _file_state(file: str) -> tuple[int, int]:
    """Returns the file's time and size; zeros for the installed network, whose name is empty, and a missing file."""
    try:
        found = os.stat(find_stored(file) or os.path.expanduser(file)) if file else None
    except OSError:
        found = None
    return (found.st_mtime_ns, found.st_size) if found else (0, 0)
