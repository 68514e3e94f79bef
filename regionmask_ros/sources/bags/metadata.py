"""What metadata.yaml says of a bag: its files, topics and times, in versions 1 to 9, and others as far as they fit.

Nothing in it is needed to read a bag: the files say what they are. Values are read as texts, whatever their tags say.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from ...errors import InvalidFile
from ...files.safe_read import open_regular
from .storage import normalize_type

METADATA, ROOT_KEY = "metadata.yaml", "rosbag2_bagfile_information"
_LOOKED_AT_BYTES = 1 << 16
MAX_METADATA_BYTES = 4 << 20
MAX_DEPTH = 100
"""Brackets inside of each other, and lists, in a bag's metadata."""

_NESTED_ITEMS = re.compile(rb"(?:[-?:][ \t]+){%d}" % MAX_DEPTH)


@dataclass(frozen=True)
class Promise:
    """What metadata.yaml promises.

    Attributes:
        files: Names of the files, without folders, in their order.
        counts: Number of messages by topic and type.
        end_ns: Time of the last message; 0 where it is not known.
        file_ends_ns: The same by file.
    """

    files: tuple[str, ...] = ()
    counts: Mapping[tuple[str, str], int] = field(default_factory=dict)
    end_ns: int = 0
    file_ends_ns: Mapping[str, int] = field(default_factory=dict)


def read_metadata(path: str) -> Promise:
    """Reads a metadata.yaml.

    Args:
        path: The file.

    Returns:
        What it promises. What it does not say, or says in an unknown way, is left out.

    Raises:
        InvalidFile: It cannot be read, or is not the metadata of a bag.
    """
    with open_regular(path) as file:
        try:
            text = file.read(MAX_METADATA_BYTES + 1)
        except OSError as error:
            raise InvalidFile(str(error.strerror or error)) from error
    _check(text)
    information = _parse(text)
    counts: Counter[tuple[str, str]] = Counter()
    for entry in _dicts(information.get("topics_with_message_count")):
        topic = entry.get("topic_metadata")
        if isinstance(topic, dict) and isinstance(name := topic.get("name"), str):
            counts[name, normalize_type(str(topic.get("type")))] += _number(entry.get("message_count"))
    ends = {base_name(entry["path"]): _end_ns(entry) for entry in _dicts(information.get("files"))
            if isinstance(entry.get("path"), str)}
    paths = information.get("relative_file_paths")
    names = [base_name(one) for one in (paths if isinstance(paths, list) else []) if isinstance(one, str)]
    return Promise(tuple(dict.fromkeys(filter(None, names))), counts, _end_ns(information), ends)


def is_metadata(path: str) -> bool:
    """Whether a file looks like the metadata of a bag; other programs have files of this name, too."""
    try:
        with open_regular(path) as file:
            return ROOT_KEY.encode() in file.read(_LOOKED_AT_BYTES)
    except (InvalidFile, OSError):
        return False


def base_name(path: str) -> str:
    """The last part of a path that another computer may have written."""
    return os.path.basename(path.replace("\\", "/").rstrip("/"))


def _check(text: bytes) -> None:
    """Rejects a text that would keep the YAML parser busy: its time grows with the square of the depth."""
    if len(text) > MAX_METADATA_BYTES:
        raise InvalidFile(f"larger than {MAX_METADATA_BYTES >> 20} MB")
    depths = accumulate(1 if bracket in b"[{" else -1 for bracket in re.findall(rb"[\[\]{}]", text))
    if max(depths, default=0) > MAX_DEPTH or _NESTED_ITEMS.search(text):
        raise InvalidFile("nested too deeply")


def _parse(text: bytes) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.load(text, getattr(yaml, "CBaseLoader", yaml.BaseLoader))
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise InvalidFile(f"not YAML: {str(error).splitlines()[0] if str(error) else type(error).__name__}") from error
    information = content.get(ROOT_KEY) if isinstance(content, dict) else None
    if not isinstance(information, dict):
        raise InvalidFile("not the metadata of a bag")
    return information


def _dicts(value: object) -> Iterator[dict[str, Any]]:
    return (entry for entry in (value if isinstance(value, list) else ()) if isinstance(entry, dict))


def _number(value: object) -> int:
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,19}", value) else 0


def _end_ns(entry: Mapping[str, Any]) -> int:
    """Time of the last message, from the start and the duration; 0 without them."""
    start, duration = entry.get("starting_time"), entry.get("duration")
    if not (isinstance(start, dict) and isinstance(duration, dict)):
        return 0
    start_ns = _number(start.get("nanoseconds_since_epoch"))
    return start_ns + _number(duration.get("nanoseconds")) if start_ns else 0
