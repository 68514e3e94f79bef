r"""Finds images by the names that labeling tools write into label files.

A name may be a path of another machine (``C:\job\7.jpg``, ``/mnt/ann/job/7.jpg``), a quoted URL
(``/data/local-files/?d=job%2F7.jpg``), or have what a tool has added (``1f3a9c0d-7.jpg`` of Label Studio,
``7_jpg.rf.9d03.jpg`` of Roboflow). Only files below the given folders are found, whatever the name says.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from itertools import product
from unicodedata import normalize
from urllib.parse import parse_qs, quote, unquote, urlsplit

from ..files.paths import NaturalKey, check_utf8, natural_key
from ..sources.images import SUFFIXES

LONGEST_NAME = 4000
"""Characters. Linux has no longer path."""

MAX_PARTS = 50
"""Only so many last parts of a name are used: each shorter path is looked for in each folder."""

SUBFOLDERS = ("", "images", "img", "data")
"""Where images are, relative to the folder of the label file, to the folder beside it, or to ``--images``."""

LABEL_FOLDERS = ("annotations", "annotation", "labels")
"""A label file in a folder of such a name has its images beside that folder."""

_URL = re.compile(r"(https?|file|s3|gs)://", re.IGNORECASE)
_DRIVE = re.compile(r"[A-Za-z]:/")
_LABEL_STUDIO = re.compile(r"[0-9a-f]{8}-(?=.)")
_ROBOFLOW = re.compile(r"(.+)[_.](jpe?g|png|bmp|webp|tiff?)\.rf\.[0-9A-Za-z]{16,64}\.[A-Za-z]{3,4}", re.IGNORECASE)


def name_key(name: str) -> NaturalKey:
    """Sort key of a name in a label file: natural, without what labeling tools add to names."""
    parts = _split(name)
    return natural_key("/".join([*parts[:-1], _strip_additions(parts[-1])]) if parts else name)


class ImagePlaces:
    """Finds the files of the images of one label file.

    Args:
        label_file: Path of the label file.
        root: Folder in which the images are; empty: the usual places near the label file.
    """

    def __init__(self, label_file: str, root: str = "") -> None:
        folder, file = os.path.split(os.path.abspath(label_file))
        roots = [os.path.abspath(root)] if root else [folder]
        parent, name = os.path.split(folder)
        if not root and name.lower() in LABEL_FOLDERS:
            roots.append(parent)
        subsets = ["", *_subsets(os.path.splitext(file)[0])]
        folders = [os.path.join(base, *filter(None, (subfolder, subset)))
                   for base, subset, subfolder in product(roots, subsets, SUBFOLDERS)]
        self.folders = tuple(one for one in dict.fromkeys(folders) if os.path.isdir(one))
        self._last = ""
        self._similar: dict[str, dict[str, str]] = {}

    def find(self, name: str) -> str | None:
        """Finds an image.

        Args:
            name: The image's name in the label file.

        Returns:
            The file's path; None if there is none.

        Raises:
            UserError: The folder's path is not valid UTF-8, which OpenCV cannot open.
        """
        # JSON can have halves of characters, which no name in UTF-8 has.
        if len(name) > LONGEST_NAME or "\0" in name or any("\ud800" <= letter <= "\udfff" for letter in name):
            return None
        # Images of one file are mostly in one folder: looking there first saves many calls of the system.
        folders = [folder for folder in self.folders if folder == self._last]
        folders += [folder for folder in self.folders if folder != self._last]
        for relative, folder in product(_relative_paths(name), folders):
            path = os.path.join(folder, relative)
            if os.path.isfile(path):
                check_utf8(path)
                self._last = folder
                return path
        return self._find_similar(name, folders)

    def _find_similar(self, name: str, folders: Sequence[str]) -> str | None:
        """A file that is called the same but for case, ending or how accents are written, if there is only one."""
        parts = _split(name)
        for key in _loose_keys(_strip_additions(parts[-1])) if parts else ():
            for folder in folders:
                if folder not in self._similar:
                    self._similar[folder] = _index_loosely(folder)
                found = self._similar[folder].get(key)
                if found:
                    path = os.path.join(folder, found)
                    check_utf8(path)
                    return path
        return None


def _loose_keys(name: str) -> tuple[str, str]:
    """What names of the same image have in common: all but case and accents, and that without the ending."""
    plain = normalize("NFC", name).casefold()
    return plain, os.path.splitext(plain)[0] if plain.endswith(SUFFIXES) else plain


def _index_loosely(folder: str) -> dict[str, str]:
    """The images of a folder by their loose keys; an empty name for several with one key."""
    index: dict[str, str] = {}
    for file in sorted(os.listdir(folder)):
        if file.lower().endswith(SUFFIXES):
            for key in set(_loose_keys(file)):
                index[key] = "" if key in index else file
    return index


def _subsets(stem: str) -> list[str]:
    """Folders that a file may be for: of instances_val_2017 these are val_2017 and 2017, and the whole name."""
    words = stem.split("_")
    return ["_".join(words[first:]) for first in range(len(words)) if any(words[first:])]


def _relative_paths(name: str) -> Iterator[str]:
    """The paths that a name may mean, the most exact first; none leads out of a folder."""
    spellings = [_split(name)[-MAX_PARTS:], _split(unquote(name))[-MAX_PARTS:]]
    for parts in _unique(spellings):
        for first in range(len(parts)):
            yield os.path.join(*parts[first:])
    for parts in _unique(spellings):
        last = parts[-1]
        for other in (_strip_additions(last), quote(last), quote(_strip_additions(last))):
            if other != last:
                yield from (os.path.join(*parts[first:-1], other) for first in range(len(parts)))


def _unique(spellings: Sequence[list[str]]) -> list[list[str]]:
    return [parts for place, parts in enumerate(spellings) if parts and parts not in spellings[:place]]


def _split(name: str) -> list[str]:
    """The parts of a name: of a URL those of its path or of its parameter ``d``; without drive, "." and ".."."""
    path = name.replace("\\", "/")
    if _URL.match(path) or "/?" in path:
        path = _path_of_url(path)
    path = _DRIVE.sub("/", path, count=1) if _DRIVE.match(path) else path
    return [part for part in path.split("/") if part not in ("", ".", "..")]


def _path_of_url(url: str) -> str:
    """The path in a URL; Label Studio's local files have it in the parameter ``d``."""
    try:
        parts = urlsplit(url)
        local = parse_qs(parts.query).get("d", [""])[0]
    except ValueError:
        return url
    return local.replace("\\", "/") or unquote(parts.path)


def _strip_additions(name: str) -> str:
    """The name of the file before Label Studio or Roboflow have changed it."""
    found = _ROBOFLOW.fullmatch(name)
    return f"{found[1]}.{found[2]}" if found else _LABEL_STUDIO.sub("", name, count=1) if _LABEL_STUDIO.match(name) \
        else name
