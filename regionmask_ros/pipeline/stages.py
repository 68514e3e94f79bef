"""The stages of the pipeline before the backend: view, compose the mask, encode.

The stage behind the backend is ``interpreter.Interpreter``.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..core.events import Events
from ..core.frame import Frame
from ..core.look import LookImage, MaskedImage
from ..core.result import RegionMask
from ..encoder.encoder import FrameView as EncoderView
from ..mask.region_age import update_age
from ..mask.source import NO_BOXES, FrameView
from ..tracking.motion import downsample
from .camera_state import CameraState
from .dense_stages import DenseFrameView, crop_looks, mask_image, plan_looks


@dataclass(frozen=True)
class PreparedFrame:
    """A frame on its way to the backend.

    Attributes:
        number: Of the frame since the last reset.
        frame: The camera's image.
        sent: What is sent: events, valid until the next frame; the images of a dense runtime's looks; or that of the
            tile engine, none in an idle frame.
        mask: The observed regions.
        age: uint16 [rows, cols], frames since a region was last sent.
        small: The image, downsampled, for the tracker; None where it is not needed.
        ms: Wall time of each stage so far.
    """

    number: int
    frame: Frame
    sent: Events | Sequence[LookImage | MaskedImage]
    mask: RegionMask
    age: np.ndarray
    small: np.ndarray | None
    ms: dict[str, float]


def view_frame(camera: CameraState, frame: Frame) -> EncoderView:
    """Stage 1: the frame as the network sees it. It is resized when a mask source or the encoder first needs it."""
    camera.take(frame)
    assert camera.encoder is not None, "a sigma-delta network"
    return EncoderView(frame, camera.input_wh, camera.encoder)


def compose_mask(camera: CameraState, view: FrameView, attention: np.ndarray = NO_BOXES) -> RegionMask:
    """Stage 2: decides which regions are observed.

    Args:
        camera: The camera's state; ages and counts advance by one frame.
        view: From ``view_frame``.
        attention: Boxes that a planner asks for, float [n, 4], x0 y0 x1 y1 in image pixels.

    Returns:
        The mask of this frame.
    """
    camera.start_period()
    mask = camera.composer.compose(camera.context(view, attention))
    camera.age = update_age(camera.age, mask.keep)
    camera.frame += 1
    return mask


def encode_image(camera: CameraState, image: np.ndarray, mask: RegionMask) -> Events:
    """Stage 3: sends what has changed in the regions of the mask.

    Args:
        camera: The camera's state.
        image: The network's input, uint8 [height, width, 3], RGB.
        mask: From ``compose_mask``.

    Returns:
        The events, valid until the next call.
    """
    assert camera.encoder is not None, "a sigma-delta network"
    return camera.encoder.step(image, mask.keep)


def prepare_frame(camera: CameraState, frame: Frame, attention: np.ndarray = NO_BOXES, want_small: bool = False
                  ) -> PreparedFrame:
    """Runs the stages before the backend.

    Args:
        camera: The camera's state.
        frame: The camera's image.
        attention: As for ``compose_mask``.
        want_small: Whether the image is downsampled for the tracker, too.

    Returns:
        What the backend and the interpreter need.
    """
    if camera.encoder is None:
        return _prepare_dense(camera, frame, attention, want_small)
    start = time.perf_counter()
    number, view = camera.frame, view_frame(camera, frame)
    mask = compose_mask(camera, view, attention)
    # Where nothing is observed, nothing reads the image.
    image = view.image if mask.keep.any() else camera.blank_input
    # Now, while some of the image that the resize has read is still in the processor's caches.
    small = downsample(frame.pixels) if want_small else None
    resized = time.perf_counter()
    events = encode_image(camera, image, mask)
    ms = {"resize": view.resize_s * 1e3, "mask": (resized - start - view.resize_s) * 1e3,
          "encode": (time.perf_counter() - resized) * 1e3}
    return PreparedFrame(number, frame, events, mask, camera.age, small, ms)


def _prepare_dense(camera: CameraState, frame: Frame, attention: np.ndarray, want_small: bool) -> PreparedFrame:
    """As ``prepare_frame``, for an ONNX network."""
    start = time.perf_counter()
    camera.take(frame)
    number, small = camera.frame, downsample(frame.pixels) if want_small else None
    view = DenseFrameView(frame, camera.input_wh, camera.grid, small, camera.small)
    camera.small = small
    mask = compose_mask(camera, view, attention)
    looks = () if camera.tiling is None else plan_looks(camera.tiling, camera.composer, mask)
    planned, resized_s = time.perf_counter(), view.resize_s
    images: Sequence[LookImage | MaskedImage] = crop_looks(frame, looks)
    if camera.tiling is None:
        images = mask_image(view, mask, camera.level, camera.partial_resize)
    ms = {"resize": (time.perf_counter() - planned + resized_s) * 1e3,
          "mask": (planned - start - resized_s) * 1e3, "encode": 0.0}
    return PreparedFrame(number, frame, images, mask, camera.age, small, ms)
