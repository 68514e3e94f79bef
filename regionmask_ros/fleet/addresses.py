"""Sources behind addresses such as s3://bucket/day/: fsspec lists them, and copies one at a time for a worker.

fsspec and its drivers (s3fs, gcsfs, ...) are optional, and imported when the first address is met.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from typing import Any

from ..errors import UNREADABLE, UserError, to_one_line
from ..files.paths import display_path, natural_key
from .scratch import scratch_folder

_ADDRESS = re.compile(r"([a-z][a-z0-9+.\-]*)://.", re.IGNORECASE)
_MAGIC = re.compile(r"[*?\[]")
_STREAMS = ("http", "https", "ftp", "rtsp", "rtsps", "rtmp", "rtmps", "udp", "rtp", "srt", "mms", "tcp", "ws", "wss")
"""Addresses that may be a camera's stream, which has no end: a copy of it would have none, either."""

_METADATA = "metadata.yaml"
MAKE_FLEET = "run 'make fleet', or: pip install fsspec"


def is_address(path: str) -> bool:
    """Whether a source is behind an address that fsspec may know; a name that exists is none, however it looks."""
    match = _ADDRESS.match(path)
    return match is not None and match[1].lower() not in _STREAMS and not os.path.lexists(path)


def list_sources(address: str, is_source_name: Callable[[str], bool]) -> list[str]:
    """Lists what is behind an address.

    Args:
        address: Of a file, a bag's folder, a folder that is searched at any depth, or a glob.
        is_source_name: Whether a file of this name may be a source.

    Returns:
        Addresses of files and of folders of bags, in natural order.

    Raises:
        UserError: fsspec or the driver is missing, the place cannot be read, or nothing is there.
    """
    with _told(address):
        system, path = _open_system(address)
        tops = sorted(map(str, system.glob(path)), key=natural_key) if _MAGIC.search(path) else [path]
        found = [one for top in tops for one in _search(system, top, is_source_name)]
    if not found:
        raise UserError(f"{display_path(address)}: no video or bag is there")
    return [str(system.unstrip_protocol(one)) for one in found]


def match_address(address: str) -> list[str]:
    """The files and folders that match a glob behind an address, in natural order. Raises UserError as above."""
    with _told(address):
        system, path = _open_system(address)
        return [str(system.unstrip_protocol(one)) for one in sorted(map(str, system.glob(path)), key=natural_key)]


def stamp_of(address: str) -> list[Any]:
    """What changes when the content behind an address does, in JSON's types: size, and time or version if known."""
    with _told(address):
        system, path = _open_system(address)
        facts = system.info(path)
    changed = next((facts[key] for key in ("ETag", "etag", "LastModified", "mtime", "created") if facts.get(key)), None)
    return [facts.get("size"), None if changed is None else str(changed)]


@contextlib.contextmanager
def fetched(path: str) -> Iterator[str]:
    """Copies a source to this machine for the block, if it is behind an address.

    Args:
        path: A path or an address.

    Yields:
        The path; of a copy in a temporary folder, which is removed, for an address.

    Raises:
        UserError: It cannot be read.
    """
    if not is_address(path):
        yield path
        return
    with scratch_folder() as folder:
        with _told(path):
            system, place = _open_system(path)
            target = str(folder / os.path.basename(place.rstrip("/")))
            system.get(place, target, recursive=bool(system.isdir(place)))
        yield target


def _open_system(address: str) -> tuple[Any, str]:
    try:
        import fsspec
    except ImportError:
        raise UserError(f"{display_path(address)}: reading from an address needs fsspec: {MAKE_FLEET}") from None
    system, path = fsspec.core.url_to_fs(address)
    return system, str(path)


def _search(system: Any, path: str, is_source_name: Callable[[str], bool]) -> list[str]:
    if not system.isdir(path):
        return [path] if system.exists(path) else []
    if system.exists(f"{path.rstrip('/')}/{_METADATA}"):
        return [path.rstrip("/")]
    found = []
    for entry in sorted(system.ls(path, detail=True), key=lambda one: natural_key(str(one["name"]))):
        name = str(entry["name"]).rstrip("/")
        if os.path.basename(name).startswith(".") or name == path.rstrip("/"):
            continue
        if entry["type"] == "directory":
            found += _search(system, name, is_source_name)
        elif is_source_name(name):
            found.append(name)
    return found


@contextlib.contextmanager
def _told(address: str) -> Iterator[None]:
    """Turns what drivers raise, each its own exceptions, into one line with the address."""
    try:
        yield
    except UserError:
        raise
    except ImportError as error:
        raise UserError(f"{display_path(address)}: {to_one_line(str(error), 200)}") from error
    except Exception as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UserError(f"{display_path(address)}: cannot be read: {to_one_line(why, 200)}", UNREADABLE) from error
