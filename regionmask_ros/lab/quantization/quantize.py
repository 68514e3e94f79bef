"""Makes the int8 version of a dense network, and decides whether it is good enough to be kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...backends.runtimes import find_runtime
from ...core.detections import Detections
from ...core.frame import choose_input_size, resize_frame
from ...datasets.labels import LabelledSequence
from ...errors import UserError
from ...files.paths import display_path
from ...metrics.agreement import measure_agreement
from ...network.dense import AnyNetwork, DenseNetwork, HeadSpec
from ...sources import Reading, open_source
from ...sources.spread import spread_indices
from ...tiles.onnx_model import find_model
from .detecting import Detector, NumberedFrame, measure_map
from .graph import ChannelRanges, find_convolutions, find_sums, list_sources, prepare_model, quantize_model, show_ranges

ALLOWED_POINTS = 1.0
"""A version that loses more is not kept."""

CALIBRATION_PICTURES, HELD_OUT_PICTURES = 64, 100
FEWEST_PICTURES = 6

Follow = Callable[[Iterable[Any], "int | None", str], Iterable[Any]]
"""Shows progress: called with what is iterated, its length if that is known, and what is done."""


@dataclass(frozen=True)
class LabelledAccuracy:
    """mAP at 0.5 on a labeled sequence.

    Attributes:
        name: The sequence.
        before: Of the network in fp32, 0 to 100.
        after: Of its int8 version.
    """

    name: str
    before: float
    after: float


@dataclass(frozen=True)
class Quota:
    """How many pictures of a source are read.

    Attributes:
        calibration: To measure ranges on.
        held_out: Others, to compare on.
    """

    calibration: int = CALIBRATION_PICTURES
    held_out: int = HELD_OUT_PICTURES


WHOLE = Quota()


@dataclass(frozen=True)
class Pictures:
    """Inputs of a network.

    Attributes:
        calibration: To measure ranges on, uint8 [height, width, 3] each, RGB, of one size.
        held_out: Others, to compare on.
        calibration_wh: Of each, the size of the picture that it was resized from.
        held_out_wh: The same.
        source: What they come from, for people.
    """

    calibration: Sequence[np.ndarray]
    held_out: Sequence[np.ndarray]
    calibration_wh: Sequence[tuple[int, int]]
    held_out_wh: Sequence[tuple[int, int]]
    source: str


@dataclass(frozen=True)
class Quantized:
    """An int8 version and how good it is.

    Attributes:
        network: The int8 version.
        convolutions: Number of convolutions in int8.
        calibrated_on: Number of pictures that ranges were measured on.
        compared_on: Number of other pictures that the agreement was measured on.
        agreement: Average precision of its detections with those of the fp32 network as objects, 0 to 100; nan if the
            fp32 network finds nothing.
        labelled: Accuracy where labels were given.
    """

    network: DenseNetwork
    convolutions: int
    calibrated_on: int
    compared_on: int
    agreement: float
    labelled: tuple[LabelledAccuracy, ...]

    @property
    def lost(self) -> float:
        """Points that the version loses: mean of the mAP where labels were given, otherwise what agreement lacks."""
        if self.labelled:
            return float(np.mean([one.before - one.after for one in self.labelled]))
        return 100.0 - self.agreement

    @property
    def is_good(self) -> bool:
        """Whether it loses no more than `ALLOWED_POINTS`. Not, if that could not be measured."""
        return self.lost <= ALLOWED_POINTS


def quantize(network: AnyNetwork, name: str, source: str, sequences: Sequence[LabelledSequence], max_pixels: int,
             follow: Follow, reading: Reading | None = None) -> Quantized:
    """Quantizes a network and compares it with its fp32 version.

    Ranges are measured on pictures of the first two thirds of the source, agreement on the last third.

    Args:
        network: The network.
        name: Name of the int8 version.
        source: A video, a folder of images or a bag, with scenes as those that the network is for.
        sequences: Labeled sequences to measure mAP on.
        max_pixels: Largest number of pixels of the input, if its size is free.
        follow: Shows progress.
        reading: How the pictures of the source are read; None: as by default.

    Returns:
        The int8 version, which is not stored.

    Raises:
        UserError: The network or the source cannot be used for it.
        BackendError: No dense runtime is installed, or it cannot run the network.
    """
    def measure(base: DenseNetwork, best: DenseNetwork) -> Iterable[LabelledAccuracy]:
        return (measure_labelled(base, best, sequence, max_pixels, follow) for sequence in sequences)

    return quantize_on(network, name, lambda base: read_pictures(base, source, max_pixels, follow, reading), measure,
                       follow)


def quantize_on(network: AnyNetwork, name: str, read: Callable[[DenseNetwork], Pictures],
                measure: Callable[[DenseNetwork, DenseNetwork], Iterable[LabelledAccuracy]], follow: Follow
                ) -> Quantized:
    """As ``quantize``, with pictures and labeled accuracies from anywhere.

    Args:
        network: The network.
        name: Name of the int8 version.
        read: Reads the pictures for the network.
        measure: Measures the mAP of the network and of its int8 version on labeled sequences.
        follow: Shows progress.

    Returns:
        The int8 version, which is not stored.

    Raises:
        UserError: The network or the pictures cannot be used for it.
        BackendError: No dense runtime is installed, or it cannot run the network.
    """
    base = _check(network)
    backend = find_runtime()
    model = prepare_model(find_model(base), base.name)
    convolutions = find_convolutions(model)
    if not convolutions:
        raise UserError(f"{base.name}: it has no convolutions with fp32 weights to quantize")
    pictures = read(base)
    calibration, held_out = pictures.calibration, pictures.held_out
    input_wh = calibration[0].shape[1], calibration[0].shape[0]
    sums = find_sums(model)
    sources = list_sources(convolutions, sums)
    ranges = _measure_ranges(base, model, sources, calibration, backend, follow)
    versions = [replace(
        base, name=name, model=quantize_model(model, convolutions, sums, ranges, widest), precision="int8",
        tiles=b"", tiles_reason="", tiles_agreement=None,  # it is made for dense runtimes
        source_file=f"{base.name} in int8, calibrated on {pictures.source}")
        for widest in (False, True)]

    def detect(one: DenseNetwork, images: Sequence[np.ndarray], what: str) -> list[Detections]:
        sizes = pictures.calibration_wh if images is calibration else pictures.held_out_wh
        detector = Detector(one, input_wh, backend)
        try:
            return [detector.detect(image, image_wh) for image, image_wh in follow(
                zip(images, sizes), len(images), what)]
        finally:
            detector.close()

    expected = detect(base, calibration, "fp32")
    scores = [measure_agreement(expected, detect(version, calibration, "int8")) for version in versions]
    best = versions[int(np.nan_to_num(scores[1]) > np.nan_to_num(scores[0]))]
    agreement = measure_agreement(detect(base, held_out, "fp32, other frames"),
                                  detect(best, held_out, "int8, other frames"))
    labelled = tuple(measure(base, best))
    return Quantized(best, len(convolutions), len(calibration), len(held_out), agreement, labelled)


def choose_size(network: DenseNetwork, image_wh: tuple[int, int], max_pixels: int) -> tuple[int, int]:
    """The size of the network's input for pictures of a size."""
    return network.fixed_wh or choose_input_size(image_wh, max_pixels, network.alignment)


def _check(network: AnyNetwork) -> DenseNetwork:
    if not isinstance(network, DenseNetwork):
        raise UserError(f"{network.name}: it computes with integers already; networks from ONNX files can be quantized")
    # A network of the package has no model of its own: the one that is made of it is in fp32.
    if network.model and network.precision != "fp32":
        raise UserError(f"{network.name}: it is in {network.precision}; give the network in fp32")
    return network


def read_pictures(network: DenseNetwork, path: str, max_pixels: int, follow: Follow, reading: Reading | None,
                  quota: Quota = WHOLE, input_wh: tuple[int, int] | None = None) -> Pictures:
    """Reads pictures of one source.

    Args:
        network: The network that they are for.
        path: A video, a folder of images or a bag.
        max_pixels: Largest number of pixels of the input, if its size is free.
        follow: Shows progress.
        reading: How pictures are read; None: as by default.
        quota: How many are read.
        input_wh: Width and height of the input; None: as the network and the pictures want it.

    Returns:
        The pictures.

    Raises:
        UserError: The source cannot be used, or has too few pictures.
    """
    with open_source(path, reading=reading) as source:
        count = source.count_frames()
        if count < FEWEST_PICTURES:
            raise UserError(f"{display_path(path)}: {count} pictures, at least {FEWEST_PICTURES} are needed")
        size, border = input_wh or choose_size(network, source.size_wh, max_pixels), count * 2 // 3
        calibration = spread_indices(border, quota.calibration)
        others = [border + index for index in spread_indices(count - border, quota.held_out)]
        wanted = {*calibration, *others}
        frames: Iterable[NumberedFrame] = follow(source.numbered(), count, "reading")
        pictures = {index: resize_frame(frame, size) for index, frame in frames
                    if index in wanted}
        found = [[pictures[index] for index in part if index in pictures] for part in (calibration, others)]
        if not all(found):
            raise UserError(f"{display_path(path)}: it ends before its {count} announced pictures")
        return Pictures(found[0], found[1], [source.size_wh] * len(found[0]), [source.size_wh] * len(found[1]),
                        display_path(os.path.basename(os.path.normpath(path))))


def _measure_ranges(network: DenseNetwork, model: Any, sources: Sequence[str],
                    images: Sequence[np.ndarray], backend: str, follow: Follow) -> dict[str, ChannelRanges]:
    shown, outputs = show_ranges(model, sources)
    measured = replace(network, model=shown, head=HeadSpec("none", 1, outputs))
    input_wh = images[0].shape[1], images[0].shape[0]
    detector = Detector(measured, input_wh, backend)
    try:
        runs = [detector.run(image, input_wh)[0].outputs for image in follow(images, len(images), "calibrating")]
    finally:
        detector.close()
    return {source: ChannelRanges(np.stack([run[2 * place] for run in runs]),
                                  np.stack([run[2 * place + 1] for run in runs]))
            for place, source in enumerate(sources)}


def measure_labelled(base: DenseNetwork, version: DenseNetwork, sequence: LabelledSequence, max_pixels: int,
                     follow: Follow) -> LabelledAccuracy:
    """Measures the mAP of a network and of its int8 version on a labeled sequence."""
    backend = find_runtime()
    with sequence.open() as source:
        input_wh = choose_size(base, source.size_wh, max_pixels)

    def measure(network: DenseNetwork) -> float:
        def show(frames: Iterable[NumberedFrame], count: int | None) -> Iterable[NumberedFrame]:
            return follow(frames, count, f"{sequence.name}, {network.precision}")

        return measure_map(network, sequence, input_wh, backend, show)

    return LabelledAccuracy(sequence.name, measure(base), measure(version))
