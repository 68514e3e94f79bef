"""The journal beside the output: what is done. It is a folder with one file a unit, each written whole or not at all.

So an interrupted run loses only the units that were going on, a unit costs the same however many there are, and later
sources can be added to what is there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..files.outputs import write_whole
from ..files.paths import display_path
from .addresses import is_address, stamp_of
from .calls import UnitResult
from .units import Unit

FOLDER = "journal"
_QUESTION = ".question.json"
"""No source has a name that begins with a dot, and neither has an entry."""

_ENTRY_KEYS = {"source", "stamp", "name", "facts", "files", "cpu_s", "wall_s"}


class Journal:
    """The results of units that are done, in a folder of the output.

    Args:
        folder: The output folder; it need not exist.
        question: Everything that results depend on besides the sources.
        resume: Whether an earlier journal is continued. Otherwise there must be none.

    Raises:
        UserError: There is one, or one with another question, or it cannot be read.
    """

    def __init__(self, folder: str, question: Mapping[str, Any], resume: bool) -> None:
        self._folder = Path(folder, FOLDER)
        self._question = json.loads(json.dumps(question))
        self._entries: dict[str, dict[str, Any]] = {}
        self._is_new = not (self._folder / _QUESTION).exists()
        if self._is_new:
            return
        if not resume:
            raise UserError(f"{display_path(folder)}: an earlier run has begun there: give --resume to go on with it, "
                            "or another --output")
        before = _read_json(self._folder / _QUESTION)
        if before != self._question:
            keys = {*before, *self._question} if isinstance(before, dict) else set()
            changed = sorted(key for key in keys if before.get(key) != self._question.get(key))
            raise UserError(f"{display_path(folder)}: --resume: the earlier run differs in "
                            f"{', '.join(changed) or 'its question'}: give the same, or another --output")
        for path in self._folder.glob("*.json"):
            if not path.name.startswith("."):
                entry = _read_json(path)
                if not (isinstance(entry, dict) and entry.keys() >= _ENTRY_KEYS):
                    raise UserError(f"{display_path(path)}: no entry of a journal: delete the file, and its unit is "
                                    "done again")
                self._entries[path.stem] = entry

    @property
    def names(self) -> dict[str, str]:
        """Names of the sources that are known, by path."""
        return {entry["source"]: entry["name"] for entry in self._entries.values()}

    def begin(self) -> None:
        """Writes the question, before the first unit is done."""
        if self._is_new:
            write_whole(self._folder / _QUESTION, _as_bytes(self._question))

    def has(self, unit: Unit) -> bool:
        """Whether a unit is done, its source is as it was, and its files are there."""
        entry = self._entries.get(unit.key)
        return (entry is not None and entry["source"] == str(unit.place) and entry["stamp"] == _stamp(unit.place.path)
                and all(_size(self.file(unit, ending)) == size for ending, size in entry["files"].items()))

    def add(self, unit: Unit, result: UnitResult) -> None:
        """Writes the files of a unit, and then that it is done.

        Args:
            unit: The unit.
            result: Its result.

        Raises:
            UserError: They cannot be written.
        """
        for ending, content in result.files.items():
            write_whole(self.file(unit, ending), content)
        entry = {"source": str(unit.place), "name": unit.name, "stamp": _stamp(unit.place.path),
                 "facts": dict(result.facts), "files": {end: len(content) for end, content in result.files.items()},
                 "cpu_s": round(result.cpu_s, 3), "wall_s": round(result.wall_s, 3)}
        write_whole(self._folder / f"{unit.key}.json", _as_bytes(entry))
        self._entries[unit.key] = json.loads(_as_bytes(entry))

    def result(self, unit: Unit) -> UnitResult:
        """The result of a unit that is done; its files are read from the disk."""
        entry = self._entries[unit.key]
        files = {ending: self.file(unit, ending).read_bytes() for ending in entry["files"]}
        return UnitResult(entry["facts"], files, entry["cpu_s"], entry["wall_s"])

    def facts(self, unit: Unit) -> UnitResult:
        """As ``result``, without the files."""
        entry = self._entries[unit.key]
        return UnitResult(entry["facts"], {}, entry["cpu_s"], entry["wall_s"])

    def file(self, unit: Unit, ending: str) -> Path:
        """The file of a unit with that ending."""
        return self._folder / f"{unit.key}.{ending}"


def _stamp(path: str) -> list[Any]:
    """What changes when a source does; of a folder only that of the files directly in it."""
    if is_address(path):
        return stamp_of(path)
    try:
        if not os.path.isdir(path):
            status = os.stat(path)
            return [status.st_size, status.st_mtime_ns]
        with os.scandir(path) as entries:
            states = [(entry.name, entry.stat().st_size, entry.stat().st_mtime_ns) for entry in entries]
        return [sum(size for _, size, _ in states), max((time for _, _, time in states), default=0), len(states)]
    except OSError:
        return []


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{display_path(path)}: cannot be read as part of a journal: delete the journal to start "
                        "again") from error


def _as_bytes(content: Any) -> bytes:
    return (json.dumps(content) + "\n").encode()
