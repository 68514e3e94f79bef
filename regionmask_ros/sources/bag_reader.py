"""A rosbag2 folder, mcap or db3, opened without ROS: its topics, and what damage is told in one line."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

from ..errors import UserError
from ..untrusted.refused import one_line
from .naming import shown
from .vision_messages import DEFINITIONS

if TYPE_CHECKING:
    from rosbags.highlevel import AnyReader
    from rosbags.interfaces import Connection
    from rosbags.typesys.store import Typestore

METADATA = "metadata.yaml"
FILE_MAGICS = (b"\x89MCAP0\r\n", b"SQLite format 3\0")
"""First bytes of the files that a bag's folder holds."""


def is_bag(path: str) -> bool:
    """A folder with a bag's metadata, or a file that such a folder holds."""
    if os.path.isdir(path):
        return os.path.isfile(os.path.join(path, METADATA))
    # Opening a pipe would wait for whoever writes to it.
    if not os.path.isfile(path):
        return False
    try:
        with open(path, "rb") as file:
            return file.read(16).startswith(FILE_MAGICS)
    except OSError:
        return False


def bag_folder(path: str) -> Path:
    """The bag's folder, also for a file inside it. Raises UserError for a file that is alone."""
    if not os.path.exists(path):
        raise UserError(f"{shown(path)}: no such file or folder")
    folder = Path(path) if os.path.isdir(path) else Path(os.path.abspath(path)).parent
    if not (folder / METADATA).is_file():
        cure = f"make it with: ros2 bag reindex {shown(folder)}"
        raise UserError(f"{shown(path)}: {METADATA} is missing beside it; {cure}")
    return folder


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[AnyReader]:
    """The bag for as long as the block lasts. Raises UserError when it cannot be read."""
    try:
        from rosbags.highlevel import AnyReader
    except ImportError:
        raise UserError("rosbags is missing, which reads bags: run 'make setup', or: pip install rosbags") from None
    reader = told(lambda: AnyReader([folder], default_typestore=_typestore()), str(folder))
    told(reader.open, str(folder))
    try:
        yield reader
    finally:
        reader.close()


def messages(reader: AnyReader, connections: Collection[Connection], path: str) -> Iterator[tuple[Any, int]]:
    """All messages of these connections and when each was recorded, in nanoseconds; in the order of recording.

    Raises UserError, after the last good one, when the bag is damaged.
    """
    raws = reader.messages(connections)
    while (entry := told(lambda: next(raws, None), path)) is not None:
        connection, log_ns, raw = entry
        yield told(lambda: reader.deserialize(raw, connection.msgtype), path), log_ns


def choose_topic(known: Collection[str], what: str, topic: str, path: str) -> str:
    """The topic of that name, or the only one there is. what: what the known topics have, such as "pictures".

    Raises UserError, naming the known ones, when there is none of that name, none at all, or several to choose from.
    """
    if not known:
        raise UserError(f"{shown(path)}: this bag has no topic with {what}")
    listed = ", ".join(sorted(known))
    if topic:
        full = full_name(topic)
        if full in known:
            return full
        raise UserError(f"{shown(path)}: no {what} on {shown(full)}; it has them on {listed}")
    if len(known) > 1:
        raise UserError(f"{shown(path)}: {what} on several topics, {listed}: name one of them")
    return next(iter(known))


def full_name(topic: str) -> str:
    """Bags hold full names."""
    return topic if topic.startswith("/") else f"/{topic}"


def told(call: Callable[[], Any], path: str) -> Any:
    """Whatever the library stumbles over in somebody's file, in one line."""
    try:
        return call()
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001  a damaged bag raises anything, from KeyError to sqlite3.DatabaseError
        cause = str(error) or type(error).__name__
        raise UserError(one_line(f"{shown(path)}: not a bag that can be read ({cause})")) from error


def _typestore() -> Typestore:
    """For bags without definitions of their messages, which Humble's db3 bags are."""
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.LATEST)
    for name, text in DEFINITIONS.items():
        store.register(get_types_from_msg(text, name))
    return store
