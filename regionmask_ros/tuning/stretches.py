"""The footage: short stretches of consecutive frames, drawn from clips and never across a cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Sequence

import numpy as np

from ..errors import UserError
from ..frames import Frame, choose_input_size, make_view
from ..sources import open_source


@dataclass(frozen=True)
class Clip:
    """path: a video. cuts: numbers of the first frames of new shots, rising."""

    path: str
    cuts: tuple[int, ...] = ()


@dataclass(frozen=True)
class Stretch:
    """Consecutive frames of a clip, already as large as the network's input. name: of the clip."""

    name: str
    first: int
    frames: tuple[Frame, ...]


def read_stretches(clip: Clip, length: int, count: int, max_pixels: int, rng: np.random.Generator,
                   tick: Callable[[], None] = lambda: None) -> list[Stretch]:
    """``count`` stretches of ``length`` frames, or as many as the clip has; drawn at random, in the clip's order.

    tick: called for every frame that is decoded. Raises UserError when no shot is that long.
    """
    with open_source(clip.path) as source:
        input_wh = choose_input_size(source.size_wh, max_pixels)
        pictures = []
        for frame in source.frames():
            # A third of the memory, and a resize less in every trial.
            pictures.append(Frame(make_view(frame, input_wh).image, "rgb", frame.stamp_ns, frame.frame_id))
            tick()
        name = source.name
    starts = windows(len(pictures), clip.cuts, length)
    if not starts:
        raise UserError(f"{clip.path}: no shot of {length} frames; give shorter stretches")
    drawn = np.sort(rng.choice(len(starts), min(count, len(starts)), replace=False))
    return [Stretch(name, starts[i], tuple(pictures[starts[i]:starts[i] + length])) for i in drawn]


def windows(frames: int, cuts: Sequence[int], length: int) -> list[int]:
    """First frames of the stretches that each shot can be cut into, one behind the other."""
    borders = [0, *(cut for cut in cuts if 0 < cut < frames), frames]
    return [start for low, high in zip(borders, borders[1:]) for start in range(low, high - length + 1, length)]
