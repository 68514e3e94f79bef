"""Image sources behind one interface: a video file, a folder of images, or a rosbag2 bag."""

from __future__ import annotations

import os
import stat

from ..errors import UserError
from ..files.content import Family, check_content
from ..files.paths import check_utf8, display_path
from .bag import BagImages
from .bags.reader import is_bag
from .base import Source, silence_decoders
from .images import ImageFolder
from .live import refuse_live
from .pictures.reading import Reading
from .video import VideoFile

__all__ = ["BagImages", "ImageFolder", "Reading", "Source", "VideoFile", "open_source"]

SOURCES = (Family.VIDEO, Family.BAG)
MOVING_PICTURES = (".mjpg", ".mjpeg", ".gif")
"""Videos that look like a single image: JPEG images without anything between them, and GIF."""


def open_source(
    path: str, topic: str = "", preferred: str = "", only_compressed: bool = False,
    reading: Reading | None = None,
) -> Source:
    """Opens a video file, a folder of images, or a rosbag2 bag (mcap or db3).

    Mistakes are found here, before any frame is processed: a missing path, something that is neither a file nor a
    folder, a file that is empty, a text or a single image, a video or a folder without an image that can be decoded.
    Images that cannot are dropped.

    Args:
        path: The file or folder.
        topic: For bags: the image topic, for a bag that has several.
        preferred: For bags: a topic to choose if the bag has it and ``topic`` is empty.
        only_compressed: For bags: choose a camera's compressed images instead of its raw ones.
        reading: How images are read, and where dropped ones are counted; None: as by default.

    Returns:
        The open source; a context manager.

    Raises:
        UserError: The source cannot be used; the message says why.
    """
    silence_decoders()
    refuse_live(path)
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{display_path(path)}: no such file or folder") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{display_path(path)}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if is_bag(path):
        return BagImages(path, topic, preferred, only_compressed, reading)
    check_utf8(path)
    accepted = (*SOURCES, Family.PICTURE) if path.lower().endswith(MOVING_PICTURES) else SOURCES
    check_content(path, accepted, "a video, a bag or a folder of images")
    if topic or only_compressed:
        raise UserError(f"{display_path(path)}: has no topics, because it is not a bag (.mcap or .db3 files)")
    if stat.S_ISDIR(mode):
        return ImageFolder(path, reading)
    if stat.S_ISREG(mode):
        return VideoFile(path, reading)
    raise UserError(
        f"{display_path(path)}: neither a file nor a folder: give a video file, a folder of images or a bag")
