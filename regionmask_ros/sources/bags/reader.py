"""A bag: its files one after the other, what metadata.yaml promises of them, and what was found."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

from ...errors import InvalidFile, UserError, to_one_line
from ...files.paths import display_path
from .files import (
    COMPRESSED_SUFFIX,
    Scratch,
    StorageFile,
    describe_other,
    find_promised,
    has_storage_name,
    list_storage_names,
    parts_beside,
    recognize,
)
from .messages import ENCODINGS, Deserializer
from .metadata import METADATA, Promise, is_metadata, read_metadata
from .storage import Channel, Storage

NANOSECONDS = 1_000_000_000


@dataclass(frozen=True)
class Topic:
    """A topic of a bag, with one type.

    Attributes:
        name: Its name.
        msgtype: The type of its messages.
        encoding: How they are serialized.
        count: Number of messages in the files; None where it is not known before they are read.
    """

    name: str
    msgtype: str
    encoding: str
    count: int | None

    @property
    def is_readable(self) -> bool:
        """Whether its messages are serialized as ROS does."""
        return self.encoding in ENCODINGS

    def __str__(self) -> str:
        serialized = "" if self.is_readable else f", {self.encoding}"
        return f"{self.name} ({self.msgtype}{serialized}{'' if self.count is None else f', {self.count}'})"


def is_bag(path: str) -> bool:
    """Whether a path is a bag: a folder with metadata or storage files, or a file that is or is named like one."""
    if os.path.isdir(path):
        return bool(list_storage_names(path)) or is_metadata(os.path.join(path, METADATA))
    # Opening a pipe would block until another program writes to it.
    return os.path.isfile(path) and (has_storage_name(path) or recognize(path) is not None)


class Bag:
    """A recording of ROS 2 or ROS 1: a folder, or one file.

    A topic is known by its name and type alone; two of one name are told apart by their types. What cannot be read is
    left out and noted: a file, a chunk.

    Args:
        path: The folder or file.

    Attributes:
        path: As given.
        name: The name of the recording, in printable characters.
        topics: What is in it.
        has_gaps: Whether messages are missing that nobody can count: the end of a file, or damaged pages.
        promise: What metadata.yaml promises of all files that are read; None without it, or for a part of a bag.
        notes: Sentences about what is missing, damaged or different from what metadata.yaml promises.

    Raises:
        UserError: It is not a bag, or nothing of it can be read.
    """

    def __init__(self, path: str) -> None:
        if not os.path.exists(path):
            raise UserError(f"{display_path(path)}: no such file or folder")
        try:
            import rosbags  # noqa: F401
        except ImportError:
            raise UserError("reading a bag needs rosbags: run 'make setup', or: pip install rosbags") from None
        self.path = path
        self.notes: list[str] = []
        self.promise: Promise | None = None
        self.has_gaps = False
        self._scratch = Scratch()
        whole = os.path.abspath(path)
        is_folder = os.path.isdir(path)
        self._is_file = not is_folder
        self._folder = whole if is_folder else os.path.dirname(whole)
        self._metadata = self._read_metadata()
        names = self._folder_files() if is_folder else self._single_file(os.path.basename(whole))
        is_part = not is_folder and self.promise is None
        self.name = _printable_name(_without_suffixes(whole) if is_part else self._folder)
        self._files = self._recognized(names)
        self._channels: dict[StorageFile, list[Channel]] = {}
        self._indexes: dict[StorageFile, Any] = {}
        try:
            self._survey()
        except UserError:
            self.close()
            raise
        self.topics = self._merge_topics()

    def close(self) -> None:
        """Removes what was copied into the temporary folder."""
        self._scratch.close()

    def __enter__(self) -> Bag:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def note(self, sentence: str) -> None:
        """Adds a note, once."""
        line = to_one_line(sentence)
        if line not in self.notes:
            self.notes.append(line)

    def compare(self, topic: str, types: Collection[str]) -> tuple[int | None, int | None]:
        """Compares what metadata.yaml promises with what is in the files, and notes a difference.

        Args:
            topic: The topic.
            types: The types that are wanted, if there are several on the topic.

        Returns:
            Number of promised messages, and of those that the files say they have; None for what is not known.
        """
        counts = [one.count for one in self.topics if one.name == topic and one.msgtype in types]
        found = None if None in counts else sum(filter(None, counts))
        promised = None
        if self.promise is not None and self.promise.counts:
            others = {one.msgtype for one in self.topics if one.name == topic} - set(types)
            promised = sum(count for (name, msgtype), count in self.promise.counts.items()
                           if name == topic and msgtype not in others)
            if found is not None and found != promised:
                self.note(f"{METADATA} promises {promised} messages on {topic}, but {found} are there")
        return promised, found

    def messages(self, topic: str, types: Collection[str]) -> Iterator[tuple[Any, int]]:
        """Reads all messages of a topic, in the order in which they were recorded.

        Args:
            topic: The topic.
            types: The types that are wanted, if there are several on the topic.

        Yields:
            Each message, and the time at which it was recorded, in nanoseconds. Instead of a message that is damaged
            there is an InvalidFile, which says why.
        """
        for file in self._files:
            wanted = [c for c in self._channels.get(file, ()) if c.topic == topic and c.msgtype in types]
            if file in self._channels and not wanted:
                continue
            with self._opened(file) as storage:
                if storage is not None:
                    yield from self._read(file, storage, topic, types)

    def _read(self, file: StorageFile, storage: Storage, topic: str, types: Collection[str],
              ) -> Iterator[tuple[Any, int]]:
        channels = [c for c in storage.channels if c.topic == topic and c.msgtype in types]
        readers: dict[int, Deserializer] = {}
        for channel in channels:
            try:
                readers[channel.key] = Deserializer(channel)
            except InvalidFile as error:
                self._note_on(file.name, str(error))
        for log_ns, channel, data in storage.messages(readers):
            try:
                message = readers[channel.key].read(data)
            except InvalidFile as error:
                message = error
            yield message, log_ns
        self._take_notes(file, storage)

    @contextlib.contextmanager
    def _opened(self, file: StorageFile) -> Iterator[Storage | None]:
        """Opens a file; None, with a note, if it cannot be read."""
        try:
            storage = self._scratch.open(file, self._indexes.get(file))
            self._indexes[file] = storage.index
        except (InvalidFile, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            self._note_on(file.name, f"cannot be read: {reason}")
            yield None
            return
        try:
            yield storage
        finally:
            storage.close()

    def _read_metadata(self) -> Promise | None:
        path = os.path.join(self._folder, METADATA)
        if not os.path.isfile(path):
            return None
        try:
            return read_metadata(path)
        except InvalidFile as error:
            self.note(f"{METADATA} cannot be used ({error}): read without it")
            return None

    def _folder_files(self) -> list[str]:
        """Names of the files of a folder, and notes on those that are missing or too many."""
        there = list_storage_names(self._folder)
        self.promise = self._metadata
        if self._metadata is None:
            if not self.notes:
                self.note(f"{METADATA} is missing: read without it (ros2 bag reindex makes it)")
            if there and len(parts_beside(there[0], there)) < len(there):
                self.note(f"{_list(there)} are read one after the other, though their names are not those of one bag: "
                          "give the path of one to read it alone")
            return there
        found, missing = [], []
        for name in self._metadata.files:
            real = find_promised(self._folder, name)
            if real is None:
                missing.append(name)
            else:
                found.append(real)
        others = [name for name in there if name not in found]
        if missing:
            self.note(f"{METADATA} names {_list(missing)}, which {'is' if len(missing) == 1 else 'are'} not there")
            found += others
        elif others and found:
            self.note(f"{METADATA} does not name {_list(others)}: not read")
        return found or there

    def _single_file(self, name: str) -> list[str]:
        """The file itself, with a note if it is a part of a bag."""
        parts = parts_beside(name, list_storage_names(self._folder))
        if self._metadata is not None:
            promised = [find_promised(self._folder, one) or one for one in self._metadata.files]
            if promised == [name]:
                self.promise = self._metadata
            parts = promised if name in promised else parts
        if len(parts) > 1:
            self.note(f"one of {len(parts)} files of this bag: the others are not read")
        return [name]

    def _recognized(self, names: Collection[str]) -> list[StorageFile]:
        files = []
        for name in names:
            file = recognize(os.path.join(self._folder, name))
            if file is None:
                self._note_on(name, describe_other(os.path.join(self._folder, name)))
            else:
                files.append(file)
        if not files:
            if not names:
                self.note("there is no file with messages")
            raise UserError(f"{display_path(self.path)}: not a bag that can be read: {'; '.join(self.notes)}")
        return files

    def _survey(self) -> None:
        """Opens the files to see what is in them. Large copies are made only for the first one, if metadata suffice."""
        usable = 0
        for file in self._files:
            if usable and file.is_compressed and self.promise is not None and self.promise.counts:
                continue
            with self._opened(file) as storage:
                if storage is None:
                    continue
                usable += 1
                self._channels[file] = list(storage.channels)
                self._take_notes(file, storage)
        if not usable:
            raise UserError(f"{display_path(self.path)}: not a bag that can be read: {'; '.join(self.notes)}")

    def _take_notes(self, file: StorageFile, storage: Storage) -> None:
        for sentence in storage.notes:
            self._note_on(file.name, sentence)
        self.has_gaps = self.has_gaps or storage.has_gaps or storage.is_truncated
        if storage.is_truncated:
            self._note_on(file.name, self._describe_cut(file, storage))

    def _note_on(self, name: str, sentence: str) -> None:
        """Adds a note on a file, which is named if it is not the only one that was given."""
        self.note(sentence if self._is_file else f"{display_path(name)}: {sentence}")

    def _describe_cut(self, file: StorageFile, storage: Storage) -> str:
        """How much is missing at the end of a file, and how to repair it."""
        cure = {"mcap": f": mcap recover {display_path(file.name)}", "bag": ": rosbag fix"}.get(file.kind, "")
        end_ns = 0
        if self._metadata is not None:
            end_ns = self._metadata.file_ends_ns.get(file.name.removesuffix(COMPRESSED_SUFFIX), 0) or (
                self._metadata.end_ns if len(self._metadata.files) == 1 else 0)
        if storage.end_ns and end_ns > storage.end_ns:
            return f"truncated, the last {(end_ns - storage.end_ns) / NANOSECONDS:.1f} s are missing{cure}"
        after = f" after {(storage.end_ns - storage.start_ns) / NANOSECONDS:.1f} s" if storage.end_ns else ""
        return f"truncated, the end is missing{after}{cure}"

    def _merge_topics(self) -> list[Topic]:
        """The topics of all files; of files that were not opened, as metadata.yaml counts them."""
        merged: dict[tuple[str, str, str], Topic] = {}
        for channels in self._channels.values():
            for channel in channels:
                key = channel.topic, channel.msgtype, channel.encoding
                before = merged.get(key, Topic(*key, 0))
                counts = before.count, channel.count
                total = None if counts[0] is None or counts[1] is None else counts[0] + counts[1]
                merged[key] = replace(before, count=total)
        if self.promise is not None and len(self._channels) < len(self._files):
            known = {(topic.name, topic.msgtype) for topic in merged.values()}
            merged = {key: replace(topic, count=None) for key, topic in merged.items()}
            for name, msgtype in self.promise.counts:
                if (name, msgtype) not in known:
                    merged[name, msgtype, "cdr"] = Topic(name, msgtype, "cdr", None)
        return sorted(merged.values(), key=lambda topic: (topic.name, topic.msgtype))


def choose_topic(bag: Bag, suits: Callable[[Topic], bool], what: str, wanted: str, cure: str = "") -> str:
    """Chooses a topic by its name, or the only one that there is.

    Args:
        bag: The bag.
        suits: Whether a topic has the right type.
        what: What these topics have, for messages, such as "images".
        wanted: The wanted name; empty for the only one with messages.
        cure: What to do if none is suitable, for the message.

    Returns:
        The topic's absolute name.

    Raises:
        UserError: There is no suitable topic, none of this name, or several and no name is given.
    """
    suitable = [topic for topic in bag.topics if suits(topic)]
    others = [topic for topic in bag.topics if not suits(topic)]
    place = display_path(bag.path)
    everything = "; ".join([", ".join(map(str, [*suitable, *others])) or "no topic", *bag.notes])
    if wanted:
        absolute = absolute_topic(wanted)
        if any(topic.name == absolute for topic in suitable):
            return absolute
        raise UserError(f"{place}: no {what} on {display_path(absolute)}; the bag has {everything}")
    if not suitable:
        raise UserError(f"{place}: this bag has no topic with {what}; it has {everything}{cure and f': {cure}'}")
    names = sorted({topic.name for topic in suitable})
    # Recorders list topics on which nothing came.
    names = sorted({topic.name for topic in suitable if topic.count != 0}) or names
    if len(names) > 1:
        raise UserError(f"{place}: {what} on several topics, {', '.join(names)}: name one of them")
    return names[0]


def absolute_topic(topic: str) -> str:
    """The topic's name with a slash in front, as in bags."""
    return topic if topic.startswith("/") else f"/{topic}"


def _printable_name(path: str) -> str:
    """The last part of a path as one line of characters that can be written in UTF-8."""
    return to_one_line(os.fsencode(os.path.basename(path)).decode("utf-8", "backslashreplace"))


def _without_suffixes(path: str) -> str:
    return os.path.splitext(path.removesuffix(COMPRESSED_SUFFIX))[0]


def _list(names: Collection[str]) -> str:
    """The first three of some names, and how many more there are."""
    shown = [display_path(name) for name in list(names)[:3]]
    return ", ".join(shown) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
