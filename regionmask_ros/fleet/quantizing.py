"""The work of ``model quantize`` with many sources: the pictures of one source, and the accuracy on one data set.

All sources together give as many pictures as one source alone, so that what follows costs the same.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..datasets import open_dataset
from ..lab.quantization.quantize import (
    CALIBRATION_PICTURES,
    HELD_OUT_PICTURES,
    LabelledAccuracy,
    Pictures,
    Quota,
    choose_size,
    measure_labelled,
    read_pictures,
)
from ..network.dense import DenseNetwork
from ..sources.spread import spread_indices
from .addresses import fetched
from .calls import UnitResult
from .opening import opened
from .units import ImageLimits, Unit

PICTURES = "npz"


@dataclass(frozen=True)
class Picturing:
    """What all sources of pictures share.

    Attributes:
        network: The network that they are for.
        quota: How many pictures of each source are read.
        max_input_pixels: Largest number of pixels of the input, if its size is free.
        limits: Of the pictures.
    """

    network: DenseNetwork
    quota: Quota
    max_input_pixels: int
    limits: ImageLimits


@dataclass(frozen=True)
class PictureSource(Unit):
    """A source of pictures.

    Attributes:
        input_wh: Width and height of the network's input.
    """

    input_wh: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Comparing:
    """What all data sets share on which two networks are compared.

    Attributes:
        base: The network in fp32.
        version: Its int8 version.
        images: Folder of the images that COCO files name.
        max_input_pixels: Largest number of pixels of the input, if its size is free.
        limits: Of the pictures.
    """

    base: DenseNetwork
    version: DenseNetwork
    images: str
    max_input_pixels: int
    limits: ImageLimits


def share_pictures(sources: int) -> tuple[list[int], Quota]:
    """Chooses sources and how many pictures each of them gives.

    Args:
        sources: Number of sources.

    Returns:
        Numbers of the sources that are read: with more of them than pictures to calibrate with, evenly spread ones; and
        the pictures of each.
    """
    chosen = spread_indices(sources, CALIBRATION_PICTURES)
    return chosen, Quota(-(-CALIBRATION_PICTURES // len(chosen)), -(-HELD_OUT_PICTURES // len(chosen)))


def find_input(job: Picturing, unit: Unit) -> UnitResult:
    """Finds the size of the network's input for a source."""
    with opened(unit, "", job.limits.new_reading()) as source:
        return UnitResult({"input_wh": list(choose_size(job.network, source.size_wh, job.max_input_pixels))})


def take_pictures(job: Picturing, unit: PictureSource) -> UnitResult:
    """Reads the pictures of a source."""
    reading = job.limits.new_reading()
    with fetched(unit.place.path) as local:
        found = read_pictures(job.network, local, job.max_input_pixels, _ignore, reading, job.quota, unit.input_wh)
    out = io.BytesIO()
    np.savez(out, calibration=np.stack(found.calibration), held_out=np.stack(found.held_out),
             image_wh=np.array(found.calibration_wh[0]))
    return UnitResult({"frames": len(found.calibration) + len(found.held_out), "about": found.source,
                       **reading.dropped.as_json()},
                      {PICTURES: out.getvalue()})


def join_pictures(contents: Sequence[bytes], about: str) -> Pictures:
    """Joins the pictures of sources.

    Args:
        contents: The files of ``take_pictures``, in the order of the sources.
        about: What they come from, for people.

    Returns:
        All pictures.
    """
    calibration: list[np.ndarray] = []
    held_out: list[np.ndarray] = []
    sizes: tuple[list[tuple[int, int]], list[tuple[int, int]]] = [], []
    for content in contents:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            width, height = arrays["image_wh"].tolist()
            for images, image_sizes, name in (
                    (calibration, sizes[0], "calibration"), (held_out, sizes[1], "held_out")):
                images.extend(arrays[name])
                image_sizes.extend([(width, height)] * len(arrays[name]))
    return Pictures(calibration, held_out, *sizes, about)


def compare_on(job: Comparing, unit: Unit) -> UnitResult:
    """Measures both networks on a data set."""
    reading = job.limits.new_reading()
    with fetched(unit.place.path) as local:
        measured = [measure_labelled(job.base, job.version, sequence, job.max_input_pixels, _ignore)
                    for sequence in open_dataset(f"{unit.place.kind}:{local}", images=job.images, reading=reading)]
    return UnitResult({"labelled": [[one.name, one.before, one.after] for one in measured],
                       **reading.dropped.as_json()})


def read_accuracies(results: Iterable[UnitResult]) -> list[LabelledAccuracy]:
    """The accuracies of ``compare_on``."""
    return [LabelledAccuracy(*row) for result in results for row in result.facts["labelled"]]


def _ignore(items: Iterable[Any], count: int | None, what: str) -> Iterable[Any]:
    """Shows no progress: workers have no terminal."""
    return items
