"""Where pictures come from: a video file or a folder of images, behind one interface."""

from __future__ import annotations

import os
import stat

from ..errors import UserError
from .images import ImageFolder
from .naming import must_be_utf8, shown
from .quiet import quiet_decoders
from .source import Source
from .video import VideoFile

__all__ = ["ImageFolder", "Source", "VideoFile", "open_source"]


def open_source(path: str) -> Source:
    """Opens a video file or a folder of images.

    What can be wrong is looked for here, before any frame is processed: a missing path, something that is neither file
    nor folder, a file that is empty, text, a single picture or cut short, a video without a frame, a folder without a
    picture. What shows only while decoding is raised by ``frames()``. Both raise UserError.
    """
    quiet_decoders()
    must_be_utf8(path)
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{shown(path)}: no such file or folder") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{shown(path)}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if stat.S_ISDIR(mode):
        return ImageFolder(path)
    if stat.S_ISREG(mode):
        return VideoFile(path)
    raise UserError(f"{shown(path)}: neither a file nor a folder: give a video file or a folder of images")
