"""Finds, loads and installs the network's file."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ..errors import InvalidFile, UserError, to_one_line
from ..files.content import HEAD_BYTES, Family, check_head, identify
from ..files.outputs import write_whole
from ..files.safe_read import looks_like_zip, open_regular, open_zip, read_limited, read_member
from ..installed import installed_file
from ..user_folders import data_folder
from .cards import find_stored
from .chain import Network
from .formats.chain_file import parse_chain
from .formats.lava_dl import parse_yolo_kp
from .formats.lava_net import YOLO_KP_HEAD, looks_like_net, parse_net
from .names import INSTALLED

ENVIRONMENT_KEY = "REGIONMASK_NETWORK"
FILE_NAME = "yolo_kp.pt"
LAVA_DL_MEMBER = "lava/lib/dl/slayer/object_detection/models/Trained_yolo_kp/network.pt"
HINT = "run 'make setup', or 'python -m regionmask_ros model import lava_dl-0.6.0-py3-none-any.whl'"


def find_network(explicit: str = "") -> Path:
    """Finds the network file to use. It is not read, and nothing is imported.

    YOLO-KP is searched in this order: share/regionmask_ros/yolo_kp.pt below the prefix of this Python, the same below
    the user's data folder, and the file of a lava-dl installed in this Python.

    Args:
        explicit: The user's choice: ``yolo_kp``, the name of a network of the package or of an imported one, or a file;
            empty: what the environment variable REGIONMASK_NETWORK names, else YOLO-KP.

    Returns:
        The file's path; of an imported dense network the card's.

    Raises:
        UserError: No file is found.
    """
    if explicit and explicit != INSTALLED:
        return find_stored(explicit) or Path(os.path.expanduser(explicit))
    from_environment = os.environ.get(ENVIRONMENT_KEY, "")
    if from_environment not in ("", INSTALLED) and not explicit:
        stored = find_stored(from_environment)
        if stored is not None:
            return stored
        path = Path(os.path.expanduser(from_environment))
        if not os.path.exists(path):
            raise UserError(to_one_line(f"{path}: no such file; correct the environment variable {ENVIRONMENT_KEY}"))
        return path
    usual = [file for file in (prefix_file(), user_file()) if file is not None]
    installed = [Path(entry) / LAVA_DL_MEMBER for entry in sys.path if os.path.isabs(entry)]
    for path in [*usual, *installed]:
        if os.path.isfile(path):
            return path
    places = ", ".join([*map(str, usual), "an installed lava-dl"])
    raise UserError(to_one_line(f"no network file found ({places}); {HINT}"))


def prefix_file() -> Path:
    """Where ``make setup`` installs the network, for this Python environment."""
    return installed_file(FILE_NAME)


def user_file() -> Path | None:
    """Where ``model import`` installs the network; None for a user without a home folder."""
    folder = data_folder()
    return folder / FILE_NAME if folder else None


def load_network(path: str | os.PathLike[str]) -> Network:
    """Loads a network that sends events; ``importing.opening.open_network`` opens all kinds.

    Args:
        path: A checkpoint of lava-dl (.pt), an exported network of lava-dl (.net), the lava-dl wheel, or a network that
            ``distill`` has made (.npz).

    Returns:
        The network.

    Raises:
        UserError: The file cannot be used; the message is one line with file and reason.
    """
    try:
        return _parse(_read_network_file(path), os.fspath(path))
    except InvalidFile as error:
        raise error.about(path) from error


def _read_network_file(path: str | os.PathLike[str]) -> bytes:
    """The content of the file or, when it is a wheel, of the checkpoint in it. Raises InvalidFile."""
    with open_regular(path) as file:
        check_head(read_limited(file, HEAD_BYTES), (Family.NETWORK, Family.ARCHIVE, Family.ARRAYS), "a network")
        if looks_like_zip(file):
            with open_zip(file) as archive:
                if LAVA_DL_MEMBER in archive.namelist():
                    return read_member(archive, archive.getinfo(LAVA_DL_MEMBER))
        return read_limited(file)


def install_network(source: str | os.PathLike[str], target: Path) -> Network:
    """Copies a network after loading it as a check.

    Args:
        source: A checkpoint (.pt), an exported network (.net) or the lava-dl wheel.
        target: The new file, or its folder. An older file is replaced in one step.

    Returns:
        The network, with ``target`` as its file.

    Raises:
        UserError: The source cannot be used, or the target cannot be written. Then the target is unchanged.
    """
    if os.path.isdir(target):
        target = target / FILE_NAME
    try:
        content = _read_network_file(source)
        if _is_chain(content):
            raise UserError(f"{os.fspath(source)}: a network that distill has made needs no import: give the file to "
                            "--network")
        network = _parse(content, str(target))
        _check_boxes(network)
    except InvalidFile as error:
        raise error.about(source) from error
    write_whole(target, content)
    return network


def _check_boxes(network: Network) -> None:
    """Raises InvalidFile for a network without boxes."""
    if network.head is None:
        kp = YOLO_KP_HEAD
        raise InvalidFile(f"a network without boxes, which no command could use: it has {network.in_channels} input "
                          f"and {network.layers[-1].out_channels} output channels; a detector must have those of "
                          f"YOLO-KP, 3 and {kp.channels} ({len(kp.anchors)} anchors x (5 + {kp.num_classes} classes))")


def _parse(data: bytes, source_file: str) -> Network:
    if looks_like_net(data):
        return parse_net(data, source_file)
    return (parse_chain if _is_chain(data) else parse_yolo_kp)(data, source_file)


def _is_chain(data: bytes) -> bool:
    found = identify(data[:HEAD_BYTES])
    return found is not None and found.family is Family.ARRAYS
