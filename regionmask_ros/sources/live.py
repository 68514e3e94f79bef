"""Refuses live sources, with what to do instead.

A run needs every frame and repeats exactly; a camera's newest frame is the node's work. So nothing is opened over a
network, whatever a command or parameter names.
"""

from __future__ import annotations

import os
import re

from ..errors import UNSUPPORTED, UserError
from ..files.paths import display_path

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_CAMERA = re.compile(r"(?:/dev/video)?([0-9]{1,3})")
_DRIVERS = "or start a camera driver (v4l2_camera, usb_cam, gscam) and the node on its topic"


def refuse_live(path: str) -> None:
    """Refuses an address or a camera. The name of a file or folder that exists passes, whatever it looks like.

    Args:
        path: What the user gave as a source.

    Raises:
        UserError: It is a live source; the message says what to do.
    """
    address, camera = _ADDRESS.match(path), _CAMERA.fullmatch(path)
    shown = display_path(path)
    if camera and not os.path.isfile(path) and not os.path.isdir(path):
        raise UserError(
            f"{shown}: a camera is not read here: record it with: ffmpeg -f v4l2 -i /dev/video{camera[1]} -t 60 "
            f"clip.mkv; {_DRIVERS}", UNSUPPORTED)
    if not address or os.path.exists(path):
        return
    if address[1].lower() == "file":
        raise UserError(f"{shown}: no such file or folder: give its path without file://")
    if address[1].lower() in ("http", "https", "ftp", "s3", "gs"):
        raise UserError(
            f"{shown}: nothing is read over the network here: download the file; record a stream with: "
            f"ffmpeg -i ADDRESS -t 60 -c copy clip.mkv; {_DRIVERS}", UNSUPPORTED)
    raise UserError(
        f"{shown}: a live stream is not read here: record it with: ffmpeg -i ADDRESS -t 60 -c copy clip.mkv; "
        f"{_DRIVERS}", UNSUPPORTED)
