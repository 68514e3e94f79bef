"""Where images come from: the files, folders, globs, lists and addresses of a command line, each source by itself."""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..errors import InvalidFile, UserError
from ..files.paths import display_path, natural_key
from ..files.safe_read import open_regular, read_limited
from ..sources.bags.files import has_storage_name
from ..sources.bags.reader import is_bag
from ..sources.images import NOT_READ, SUFFIXES
from .addresses import is_address, list_sources, match_address

LIST_SIGN = "@"
"""In front of the name of a list file."""

MAX_LIST_BYTES = 1 << 26
VIDEO_SUFFIXES = (".mp4", ".mkv", ".avi", ".mov", ".webm", ".m4v", ".ts", ".mts", ".mpg", ".mpeg", ".mjpg", ".mjpeg",
                  ".flv", ".wmv", ".y4m", ".h264", ".h265", ".hevc", ".ogv", ".3gp")
"""Files that are taken for videos where a folder is searched; a file that is named itself may have any name."""

_MAGIC = re.compile(r"[*?\[]")
_NAME_LENGTH = 100


@dataclass(frozen=True)
class Place:
    """A source.

    Attributes:
        path: Of a video, a folder of images or a bag; or its address.
        camera: Name of its camera, where a list gives it; otherwise empty.
        kind: Of a data set, as in ``KIND:PATH``; otherwise empty.
    """

    path: str
    camera: str = ""
    kind: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.path}" if self.kind else self.path


def is_many(words: Sequence[str]) -> bool:
    """Whether a command line names many sources: several, a list, a glob, an address, or a folder of sources."""
    if len(words) != 1:
        return True
    word = words[0]
    return (word.startswith(LIST_SIGN) or is_address(word)
            or (not os.path.lexists(word) and _MAGIC.search(word) is not None)
            or (os.path.isdir(word) and list(_search(word)) not in ([], [word])))


def expand(words: Iterable[str]) -> list[Place]:
    """Finds all sources, in the order of the words; those of a folder, glob or address in the order of their names.

    A bag and a folder of images are one source each. A folder that is neither, at any depth, is searched for videos,
    bags and folders of images. A source that is named twice is taken once.

    Args:
        words: Paths of files and folders, globs ("**" is any number of folders), addresses, and ``@FILE``: a list with
            one of these on each line. Behind a tab may stand the name of the camera. Lines that begin with # are
            comments.

    Returns:
        The sources, at least one.

    Raises:
        UserError: A list cannot be read, a glob or an address matches nothing, or there is no source at all.
    """
    found = {place.path: place for word in words for place in _expand_word(word)}
    if not found:
        raise UserError("the list of sources is empty")
    return list(found.values())


def is_many_datasets(specs: Sequence[str]) -> bool:
    """Whether one of the data sets of a command line is a list or a glob, or lies behind an address."""
    return any(spec.startswith(LIST_SIGN) or is_address(spec.partition(":")[2])
               or (_MAGIC.search(spec) is not None and not os.path.lexists(spec.partition(":")[2])) for spec in specs)


def expand_datasets(specs: Iterable[str]) -> list[Place]:
    """Finds all data sets, in the order of their specifications, and in a glob in that of their names.

    Args:
        specs: Each ``KIND:PATH``, whose path may be a glob or an address, or ``@FILE``: a list with one of these on
            each line.

    Returns:
        The data sets, at least one, each once.

    Raises:
        UserError: A list cannot be read, a specification has no kind, or a glob matches nothing.
    """
    lines = [line for spec in specs
             for line in (_read_list(spec.removeprefix(LIST_SIGN)) if spec.startswith(LIST_SIGN) else [spec])]
    found: dict[str, Place] = {}
    for line in (line.strip() for line in lines if line.strip() and not line.startswith("#")):
        kind, _, path = line.partition(":")
        if not path:
            raise UserError(f"data set {line!r}: write KIND:PATH")
        paths = [path]
        if _MAGIC.search(path) and not os.path.lexists(path):
            is_far = is_address(path)
            paths = match_address(path) if is_far else sorted(glob.glob(path, recursive=True), key=natural_key)
        if not paths:
            raise UserError(f"{display_path(line)}: nothing matches")
        found.update({f"{kind}:{one}": Place(one, "", kind) for one in paths})
    if not found:
        raise UserError("the list of data sets is empty")
    return list(found.values())


def _expand_word(word: str) -> Iterator[Place]:
    if not word.startswith(LIST_SIGN) or os.path.lexists(word):
        yield from map(Place, _expand_path(word))
        return
    for line in _read_list(word.removeprefix(LIST_SIGN)):
        path, _, camera = line.partition("\t")
        if path and not path.startswith("#"):
            yield from (Place(one, camera.strip()) for one in _expand_path(path))


def _read_list(path: str) -> list[str]:
    try:
        with open_regular(path) as file:
            return read_limited(file, MAX_LIST_BYTES).decode("utf-8", "surrogateescape").splitlines()
    except InvalidFile as refused:
        raise refused.about(display_path(path)) from refused


def _expand_path(path: str) -> list[str]:
    if is_address(path):
        return list_sources(path, _is_source_name)
    if os.path.isdir(path):
        # What holds nothing is given on, so that its opener says what is wrong with it.
        return list(_search(path)) or [path]
    if os.path.lexists(path) or not _MAGIC.search(path):
        return [path]
    matches = sorted(glob.glob(path, recursive=True), key=natural_key)
    found = [one for match in matches
             for one in (_search(match) if os.path.isdir(match) else [match] if _is_source_name(match) else [])]
    if not found:
        raise UserError(f"{display_path(path)}: no video, bag or folder of images matches")
    return found


def _search(folder: str) -> Iterator[str]:
    """The sources in a folder: itself, or what is in it at any depth."""
    if is_bag(folder):
        yield folder
        return
    try:
        names = sorted((name for name in os.listdir(folder) if not name.startswith(".")), key=natural_key)
    except OSError:
        return
    if any(name.lower().endswith((*SUFFIXES, *NOT_READ)) for name in names):
        yield folder
        return
    for path in (os.path.join(folder, name) for name in names):
        if os.path.isdir(path) and not os.path.islink(path):
            yield from _search(path)
        elif path.lower().endswith(VIDEO_SUFFIXES):
            yield path


def _is_source_name(name: str) -> bool:
    return name.lower().endswith(VIDEO_SUFFIXES) or has_storage_name(name)


def assign_names(paths: Sequence[str], known: Mapping[str, str]) -> dict[str, str]:
    """Gives each source a name of its own, for files: that of its file without the ending, where no other has it.

    Args:
        paths: Of the sources.
        known: Names that some of them, or others, have already, by path.

    Returns:
        Names by path. Of several sources with one name, each gets a part of the hash of its path behind it.
    """
    stems = {path: _stem(path) for path in paths}
    counts = Counter(stem.casefold() for stem in stems.values())
    taken = {name.casefold() for name in known.values()}
    names = {}
    for path, stem in stems.items():
        is_free = counts[stem.casefold()] == 1 and stem.casefold() not in taken
        names[path] = known.get(path) or (stem if is_free else f"{stem}-{_digest(path)}")
    return names


def _stem(path: str) -> str:
    base = os.path.basename(path.rstrip("/")) or "source"
    stem = os.path.splitext(base)[0] if not os.path.isdir(path) else base
    return re.sub(r"[^\w.\-]", "_", stem, flags=re.ASCII).strip(".-")[:_NAME_LENGTH] or "source"


def _digest(path: str) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:8]
