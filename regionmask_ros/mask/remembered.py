"""Static masks that outlive their files: a file that vanishes or is damaged while it is in use changes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable

from ..errors import UserError
from ..sources.pictures.header import MAX_IMAGE_PIXELS
from .static import StaticMaskFile, read_static_mask

REMEMBERED = 2
"""Files whose content is kept: the one in use, and one that is tried."""


class RememberedMasks:
    """Reads static masks, and gives what a file held before where it can no longer be read.

    Args:
        read: Reads a file of at most so many pixels; raises UserError.
    """

    def __init__(self, read: Callable[[str, int], StaticMaskFile] = read_static_mask) -> None:
        self._read = read
        self._files: dict[str, StaticMaskFile] = {}
        self._checked: tuple[str, object] = ("", None)
        self._trouble: UserError | None = None
        self._max_pixels = 0

    def read(self, path: str, max_pixels: int = MAX_IMAGE_PIXELS) -> StaticMaskFile:
        """Reads a mask.

        Args:
            path: The file.
            max_pixels: Largest number of pixels of an image.

        Returns:
            Its content; what it held when it was read last, if it cannot be read now.

        Raises:
            UserError: It cannot be read, and was not read before.
        """
        state, self._max_pixels = _file_state(path), max_pixels
        try:
            found = self._read(path, max_pixels)
        except UserError as error:
            self._checked, self._trouble = (path, state), error
            if path not in self._files:
                raise
            return self._files[path]
        self._checked, self._trouble = (path, state), None
        self._files.pop(path, None)
        self._files[path] = found
        while len(self._files) > REMEMBERED:
            del self._files[next(iter(self._files))]
        return found

    def find_trouble(self, path: str) -> UserError | None:
        """Finds why a file in use could not be read now; None if it could. Reads it only if it has changed since."""
        checked = (path, _file_state(path))
        if path in self._files and checked != self._checked:
            try:
                self._read(path, self._max_pixels)
                self._trouble = None
            except UserError as error:
                self._trouble = error
            self._checked = checked
        return self._trouble if path in self._files else None


def _file_state(path: str) -> object:
    """What changes when the file does; the error for one that is not there."""
    try:
        found = os.stat(path)
    except (OSError, ValueError) as error:
        return str(error)
    return found.st_mtime_ns, found.st_size, found.st_ino
