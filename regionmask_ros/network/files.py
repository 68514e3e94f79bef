"""Where the network's file is looked for, and what kinds of file hold it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ..errors import InvalidFile, UserError, to_one_line
from ..files.outputs import write_whole
from ..files.safe_read import looks_like_zip, open_regular, open_zip, read_limited, read_member
from .formats.lava_dl import parse_yolo_kp
from .formats.lava_net import looks_like_net, parse_net
from .graph import Network

ENVIRONMENT_KEY = "REGIONMASK_NETWORK"
FILE_NAME = "yolo_kp.pt"
LAVA_DL_MEMBER = "lava/lib/dl/slayer/object_detection/models/Trained_yolo_kp/network.pt"
HINT = "run 'make setup', or 'python -m regionmask_ros model import lava_dl-0.6.0-py3-none-any.whl'"
_PACKAGE = "regionmask_ros"


def find_network(explicit: str = "") -> Path:
    """The network file to use: ``explicit`` if given, else the first that exists of

    the file that the environment variable REGIONMASK_NETWORK names, share/regionmask_ros/yolo_kp.pt below this Python's
    prefix, the same below the user's data folder, and the file of a lava-dl installed in this Python. Nothing is
    imported. Raises UserError when there is none. Whether the file can be read, ``load_network`` tells.
    """
    if explicit:
        return Path(os.path.expanduser(explicit))
    named = os.environ.get(ENVIRONMENT_KEY, "")
    if named:
        path = Path(os.path.expanduser(named))
        if not os.path.exists(path):
            raise UserError(to_one_line(f"{path}: no such file; the environment variable {ENVIRONMENT_KEY} names it"))
        return path
    usual = [prefix_file(), user_file()]
    installed = [Path(entry) / LAVA_DL_MEMBER for entry in sys.path if os.path.isabs(entry)]
    for path in [*usual, *installed]:
        if path is not None and os.path.isfile(path):
            return path
    places = ", ".join([*(str(path) for path in usual if path is not None), "an installed lava-dl"])
    raise UserError(to_one_line(f"no network file found ({places}); {HINT}"))


def prefix_file() -> Path:
    """Where ``make setup`` puts the network: it belongs to this Python environment."""
    return Path(sys.prefix) / "share" / _PACKAGE / FILE_NAME


def user_file() -> Path | None:
    """Where ``model import`` puts the network. None for a user without a home."""
    folder = os.environ.get("XDG_DATA_HOME", "")
    if not os.path.isabs(folder):
        folder = os.path.expanduser("~/.local/share")
    return Path(folder) / _PACKAGE / FILE_NAME if os.path.isabs(folder) else None


def load_network(path: str | os.PathLike) -> Network:
    """The network in a lava-dl checkpoint (.pt), an export of lava-dl (.net), or the lava-dl wheel that brings one.

    Raises UserError, one line that names file and cause, for anything else.
    """
    try:
        return _parse(read_checkpoint_bytes(path), os.fspath(path))
    except InvalidFile as refused:
        raise refused.about(path) from refused


def read_checkpoint_bytes(path: str | os.PathLike) -> bytes:
    """The file itself or, when it is a wheel, the checkpoint inside it. Raises Refused."""
    with open_regular(path) as file:
        if looks_like_zip(file):
            with open_zip(file) as archive:
                if LAVA_DL_MEMBER in archive.namelist():
                    return read_member(archive, archive.getinfo(LAVA_DL_MEMBER))
        return read_limited(file)


def install_network(source: str | os.PathLike, target: Path) -> Network:
    """Copies the network in ``source`` (.pt, .net or wheel) to ``target``, a file or folder, once it proved readable.

    A file that was there is replaced in one step. Raises UserError; then ``target`` is as it was.
    """
    if os.path.isdir(target):
        target = target / FILE_NAME
    try:
        checkpoint = read_checkpoint_bytes(source)
        network = _parse(checkpoint, str(target))
    except InvalidFile as refused:
        raise refused.about(source) from refused
    write_whole(target, checkpoint)
    return network


def _parse(data: bytes, source_file: str) -> Network:
    return parse_net(data, source_file) if looks_like_net(data) else parse_yolo_kp(data, source_file)
