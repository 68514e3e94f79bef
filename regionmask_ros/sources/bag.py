"""The images of bags, without ROS. ``bags`` reads the files."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ..core.frame import Frame
from ..errors import MISSING, InvalidFile, UserError
from ..files.paths import display_path
from .bags.reader import Bag, Topic, absolute_topic, choose_topic
from .base import Source
from .image_message import decode_compressed_image, decode_image, stamp_ns
from .images import DEFAULT_FPS
from .pictures.depth import BitDepth
from .pictures.reading import Reading

COMPRESSED = "sensor_msgs/msg/CompressedImage"
DECODERS: dict[str, Callable[..., Frame]] = {
    "sensor_msgs/msg/Image": decode_image, COMPRESSED: decode_compressed_image}
"""The image types, and what converts their messages."""

COMPRESSED_SUFFIX = "/compressed"
"""What image_transport appends to a camera's topic for its compressed images."""

DEPTH_SUFFIX = "/compressedDepth"
"""What it appends for compressed distances, whose messages have the same type as compressed images."""

_VIDEO_TYPE = re.compile(r".*(FFMPEGPacket|CompressedVideo|/Packet)")
_VIDEO_CURE = ("images that were coded as a video are not read: play the bag, turn them into images with 'ros2 run "
               "image_transport republish', and record those")

FPS_MESSAGES = 30
"""Number of images at the beginning of a bag from which the rate is computed."""


class BagImages(Source):
    """The images of one topic, with the stamps and camera frames of their headers.

    An image without a stamp has the time at which it was recorded. Images that the bag says it has and that are not
    found count as dropped, at the end.

    Args:
        path: The bag's folder, or a file in it.
        topic: The image topic. May be empty when the bag has one, or a camera's raw and compressed images: then the raw
            ones are chosen, or with ``only_compressed`` the compressed ones.
        preferred: A topic to choose if the bag has it and ``topic`` is empty.
        only_compressed: Whether only topics with compressed images are suitable.
        reading: See ``Source``.

    Attributes:
        topic: The chosen topic.
        compressed: Whether its images are compressed.

    Raises:
        UserError: The path is not a bag, there is no such topic, no image on it that can be used, or several topics
            are suitable.
    """

    def __init__(
        self, path: str, topic: str = "", preferred: str = "", only_compressed: bool = False,
        reading: Reading | None = None,
    ) -> None:
        super().__init__(reading)
        self._path, self._pass = path, 0
        self._found: int | None = None
        self._bag = bag = Bag(path)
        self.name = bag.name
        with contextlib.ExitStack() as stack:
            stack.callback(bag.close)
            self.topic = _choose_image_topic(bag, topic, preferred, only_compressed)
            self.compressed = any(one.name == self.topic and one.msgtype == COMPRESSED for one in bag.topics)
            _, self.frame_count = bag.compare(self.topic, DECODERS)
            self.size_wh, steps = self._probe()
            stack.pop_all()
        self._tell_notes()
        self.fps = float(1e9 / np.median(steps)) if len(steps) and np.median(steps) > 0 else DEFAULT_FPS

    def frames(self) -> Iterator[Frame]:
        """See ``Source``."""
        self._pass += 1
        this_pass, found, depth = self._pass, 0, self.reading.new_depth()
        for message, log_ns in self._messages():
            if self._pass != this_pass:
                return
            found += 1
            try:
                frame = self._frame(message, log_ns, depth)
            except UserError as error:
                self.drop(error, f"{self._path} {self.topic} {found}")
                continue
            self.note_size(frame.size_wh, f"{display_path(self._path)}: {self.topic} at {log_ns} ns")
            yield frame
        self._found = found
        self._tell_notes()
        expected, _, missing = self._account()
        if missing:
            place = f"{display_path(self._path)}: {self.topic}"
            self.drop(UserError(f"{place}: {missing} of {expected} images are missing", MISSING), place, missing)
        elif self._bag.has_gaps and self._bag.promise is None:
            place = f"{display_path(self._path)}: {self.topic}"
            self.drop(UserError(f"{place}: 1 or more images are missing", MISSING), place)

    def facts(self) -> Mapping[str, Any]:
        """See ``Source``."""
        promised, _ = self._bag.compare(self.topic, DECODERS)
        _, found, missing = self._account()
        return {"bag": {"topic": self.topic, "promised_messages": promised, "found_messages": found,
                        "missing_messages": missing, "notes": list(self._bag.notes)}}

    def stamps(self) -> list[int]:
        """Stamps of all frames in nanoseconds. No image is decoded, so that damaged images are not noticed."""
        return [log_ns if isinstance(message, InvalidFile) else stamp_ns(message.header.stamp) or log_ns
                for message, log_ns in self._messages()]

    def close(self) -> None:
        """See ``Source``."""
        self._pass += 1
        self._bag.close()

    def _account(self) -> tuple[int | None, int | None, int | None]:
        """Images that metadata.yaml promises or, without it, the files' own index; those found; and those missing."""
        promised, counted = self._bag.compare(self.topic, DECODERS)
        expected, found = counted if promised is None else promised, counted if self._found is None else self._found
        return expected, found, None if expected is None or found is None else max(0, expected - found)

    def _messages(self) -> Iterator[tuple[Any, int]]:
        return self._bag.messages(self.topic, DECODERS)

    def _tell_notes(self) -> None:
        for note in self._bag.notes:
            self.reading.tell(f"{display_path(self._path)}: {note}")

    def _probe(self) -> tuple[tuple[int, int], np.ndarray]:
        """Width and height of the first image that can be decoded, and the steps between the first times."""
        size, first = None, None
        times: list[int] = []
        for message, log_ns in self._messages():
            times.append(log_ns)
            if size is None:
                try:
                    size = self._frame(message, log_ns, BitDepth()).size_wh
                except UserError as error:
                    first = first or error
            if size is not None and len(times) >= FPS_MESSAGES:
                break
        if not times:
            notes = "".join(f"; {note}" for note in self._bag.notes)
            raise UserError(f"{display_path(self._path)}: no image on {self.topic}{notes}")
        if size is None:
            assert first is not None, "there is a message, and it could not be decoded"
            if len(times) == 1:
                raise first
            raise UserError(f"none of {len(times)} images can be used, the first: {first}", first.reason)
        return size, np.diff(times[:FPS_MESSAGES])

    def _frame(self, message: Any, log_ns: int, depth: BitDepth) -> Frame:
        place = f"{display_path(self._path)}: {self.topic} at {log_ns} ns"
        if isinstance(message, InvalidFile):
            raise UserError(f"{place}: {message}", message.reason)
        try:
            frame = DECODERS[message.__msgtype__](message, max_pixels=self.reading.max_pixels, depth=depth)
        except UserError as error:
            raise UserError(f"{place}: {error}", error.reason) from error
        return frame if frame.stamp_ns else Frame(frame.pixels, frame.order, log_ns, frame.frame_id)


def _choose_image_topic(bag: Bag, topic: str, preferred: str, only_compressed: bool) -> str:
    images = [one for one in bag.topics if _has_images(one)]
    known = {one.name for one in images}
    filled = {one.name for one in images if one.count != 0}
    compressed = {one.name for one in images if one.msgtype == COMPRESSED}
    # Named where nothing else is there, so that the refusal says what they are.
    has_other = any(not name.endswith(DEPTH_SUFFIX) for name in (compressed if only_compressed else known) & filled)

    def may_be_chosen(one: Topic) -> bool:
        return bool(topic) or not (one.name.endswith(DEPTH_SUFFIX) and has_other)

    if only_compressed:
        below = f"{absolute_topic(topic)}{COMPRESSED_SUFFIX}"
        if topic and absolute_topic(topic) not in compressed and below in compressed:
            topic = below
        return choose_topic(
            bag, lambda one: one.name in compressed and one.msgtype == COMPRESSED and may_be_chosen(one),
            "compressed images", topic)
    if not topic and preferred and absolute_topic(preferred) in known:
        return absolute_topic(preferred)

    def suits(one: Topic) -> bool:
        # A camera's raw and compressed topics show the same images: the raw one is enough, if it has any.
        is_second = one.name.endswith(COMPRESSED_SUFFIX) and one.name.removesuffix(COMPRESSED_SUFFIX) in filled
        return _has_images(one) and (bool(topic) or not is_second) and may_be_chosen(one)

    has_video = any(_VIDEO_TYPE.fullmatch(one.msgtype) for one in bag.topics)
    return choose_topic(bag, suits, "images", topic, _VIDEO_CURE if has_video else "")


def _has_images(topic: Topic) -> bool:
    return topic.msgtype in DECODERS and topic.is_readable
