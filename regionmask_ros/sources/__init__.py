"""Where pictures come from: a video file, a folder of images or a bag, behind one interface."""

from __future__ import annotations

import os
import stat

from ..errors import UserError
from ..files.paths import check_utf8, display_path
from .bag import BagImages, is_bag
from .base import Source, silence_decoders
from .images import ImageFolder
from .video import VideoFile

__all__ = ["BagImages", "ImageFolder", "Source", "VideoFile", "open_source"]


def open_source(path: str, topic: str = "", preferred: str = "", only_compressed: bool = False) -> Source:
    """Opens a video file, a folder of images, or a rosbag2 folder (mcap or db3).

    Three are for bags. topic: the one with the pictures, for a bag that has several. preferred: taken if the bag has it
    and none is named. only_compressed: a camera's compressed pictures, not its raw ones.

    What can be wrong is looked for here, before any frame is processed: a missing path, something that is neither file
    nor folder, a file that is empty, text, a single picture or cut short, a video without a frame, a folder without a
    picture. What shows only while decoding is raised by ``frames()``. Both raise UserError.
    """
    silence_decoders()
    check_utf8(path)
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{display_path(path)}: no such file or folder") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{display_path(path)}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if is_bag(path):
        return BagImages(path, topic, preferred, only_compressed)
    if topic or only_compressed:
        raise UserError(f"{display_path(path)}: has no topics, as it is no bag (a folder with metadata.yaml)")
    if stat.S_ISDIR(mode):
        return ImageFolder(path)
    if stat.S_ISREG(mode):
        return VideoFile(path)
    raise UserError(f"{display_path(path)}: neither a file nor a folder: give a video file, a folder of images or a bag")
