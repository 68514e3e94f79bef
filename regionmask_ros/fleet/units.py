"""Units of work: whole sources, or slices of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ..core.frame import Frame
from ..errors import UserError
from ..sources import Reading, Source
from ..sources.bag import BagImages
from .calls import UnitResult
from .places import Place

_IMAGE_NAMES = ("compressed", "image_raw", "image_color", "image_rect", "image_mono", "image")
"""Last parts of a topic that say nothing about the camera."""


@dataclass(frozen=True)
class Span:
    """A slice of a source.

    Attributes:
        number: Of the slice, from 0.
        start_s: Its first second after the first frame.
        end_s: The second behind it; infinite for the last one, so that nothing is lost.
    """

    number: int
    start_s: float
    end_s: float

    def holds(self, stamp_ns: int, first_ns: int) -> bool:
        """Whether a frame of this time is in the slice, when the source's first frame is of that one."""
        return self.start_s <= (stamp_ns - first_ns) * 1e-9 < self.end_s


@dataclass(frozen=True)
class Unit:
    """What one worker does at a time.

    Attributes:
        name: Of the source, for files; no other source has it.
        place: The source.
        span: The slice; None: the whole source.
    """

    name: str
    place: Place
    span: Span | None = None

    @property
    def key(self) -> str:
        """A name for the unit, also for a file: no other unit has it."""
        return self.name if self.span is None else f"{self.name}@{self.span.number:04d}"

    @property
    def title(self) -> str:
        """The unit for people."""
        where = str(self.place)
        return where if self.span is None else f"{where} from {self.span.start_s:g} s on"


def make_units(places: Sequence[Place], names: Mapping[str, str]) -> list[Unit]:
    """A unit for each source."""
    return [Unit(names[str(place)], place) for place in places]


def cut(units: Sequence[Unit], lengths_s: Mapping[str, float], slice_s: float) -> list[Unit]:
    """Cuts long sources into slices.

    Args:
        units: Whole sources.
        lengths_s: Lengths in seconds by name of the unit. One without a length stays whole.
        slice_s: Length of a slice. The last one of a source is up to half a slice longer or shorter.

    Returns:
        The units in the same order, slices in the order of time.
    """
    found: list[Unit] = []
    for unit in units:
        count = max(1, round(lengths_s.get(unit.name, 0.0) / slice_s))
        ends = [*(slice_s * (number + 1) for number in range(count - 1)), math.inf]
        found += [unit] if count == 1 else [
            replace(unit, span=Span(number, slice_s * number, end)) for number, end in enumerate(ends)]
    return found


def within(unit: Unit, numbered: Iterable[tuple[int, Frame]]) -> Iterator[tuple[int, Frame]]:
    """Those of a source's frames that are in a unit's slice; all of a whole source. The others are decoded, too."""
    first_ns = None
    for number, frame in numbered:
        first_ns = frame.stamp_ns if first_ns is None else first_ns
        if unit.span is None or unit.span.holds(frame.stamp_ns, first_ns):
            yield number, frame
        elif (frame.stamp_ns - first_ns) * 1e-9 >= unit.span.end_s:
            return


def frames_of(unit: Unit, source: Source) -> Iterator[tuple[int, Frame]]:
    """The frames of a unit with their numbers among the source's usable ones."""
    return within(unit, enumerate(source.frames()))


class SlicedSource(Source):
    """The frames of a source that are in a unit's slice, with their numbers in the source.

    Args:
        unit: The unit.
        inner: The whole source. It is closed with this one.
    """

    def __init__(self, unit: Unit, inner: Source) -> None:
        super().__init__(inner.reading)
        self._unit, self._inner = unit, inner
        self.name, self.size_wh, self.fps, self.frame_count = inner.name, inner.size_wh, inner.fps, inner.frame_count

    def frames(self) -> Iterator[Frame]:
        """See ``Source``."""
        return (frame for _, frame in self.numbered())

    def numbered(self) -> Iterator[tuple[int, Frame]]:
        """See ``Source``."""
        return within(self._unit, self._inner.numbered())

    def close(self) -> None:
        """See ``Source``."""
        self._inner.close()


def name_camera(unit: Unit, source: Source) -> str:
    """The name of the camera that took a unit's images.

    Args:
        unit: The unit.
        source: Its source.

    Returns:
        What the list of sources says; otherwise, of a bag the topic without what every image topic is called, and of
        other sources the name of the folder in which they lie.
    """
    if unit.place.camera:
        return unit.place.camera
    if isinstance(source, BagImages):
        parts = [part for part in source.topic.split("/") if part]
        while len(parts) > 1 and parts[-1] in _IMAGE_NAMES:
            parts.pop()
        return "/".join(parts)
    parts = [part for part in unit.place.path.rstrip("/").split("/") if part not in ("", ".", "..")]
    return parts[-2] if len(parts) > 1 else "camera"


@dataclass(frozen=True)
class ImageLimits:
    """How the pictures of all sources of a job are read.

    Attributes:
        max_pixels: Largest number of pixels of a picture.
        bit_depth: See ``Reading``.
    """

    max_pixels: int
    bit_depth: str

    def new_reading(self) -> Reading:
        """Makes what reads the pictures of one unit, with an account of its own."""
        return Reading(self.max_pixels, self.bit_depth)


class Opens(Protocol):
    """A job that says how sources are opened."""

    @property
    def topic(self) -> str:
        """Image topic of a bag."""

    @property
    def limits(self) -> ImageLimits:
        """Of the pictures."""


def measure_length(job: Opens, unit: Unit) -> UnitResult:
    """How long a source is, as far as it tells: the work of a unit before sources are cut."""
    # Not above: what opens units knows them.
    from .opening import opened

    with opened(unit, job.topic, job.limits.new_reading()) as source:
        if source.frame_count is None:
            return UnitResult({"length_s": 0.0})
        return UnitResult({"length_s": source.frame_count / source.fps})


def check_slice(seconds: float | None) -> None:
    """Raises UserError for a slice that is too short to be worth its start."""
    if seconds is not None and not (math.isfinite(seconds) and seconds >= 1.0):
        raise UserError(f"--slice {seconds:g}: must be 1 second or more")


def facts_of(unit: Unit) -> dict[str, Any]:
    """What a summary says about a unit."""
    span = unit.span
    end_s = None if span is None or math.isinf(span.end_s) else span.end_s
    return {"name": unit.name, "source": str(unit.place),
            **({} if span is None else {"slice": span.number, "start_s": span.start_s, "end_s": end_s})}
