"""Preprocessing: as text, and which one the well-known detectors expect."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ..errors import UserError, to_one_line
from .dense import HeadSpec, Preprocessing

EXAMPLE = "rgb,0..1 or bgr,0..255 or rgb,mean=123.675:116.28:103.53,std=58.395:57.12:57.375"
_IMAGENET_MEAN, _IMAGENET_DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
_RANGES = {"0..1": 255.0, "0..255": 1.0}

RGB_ONE = Preprocessing("rgb", deviation=(255.0, 255.0, 255.0))
RGB_BYTES = Preprocessing("rgb")
IMAGENET_RGB = Preprocessing("rgb", _IMAGENET_MEAN, _IMAGENET_DEVIATION)
IMAGENET_BGR = Preprocessing("bgr", _IMAGENET_MEAN[::-1], _IMAGENET_DEVIATION[::-1])
_GENERALIZED_FOCAL, _PADDLE = "generalized_focal", "paddle"
_BY_FAMILY: Mapping[str, Preprocessing] = {
    # yolox/data/data_augment.py: no normalization since version 0.1.1, pictures as OpenCV reads them.
    "yolox": Preprocessing("bgr"),
    # utils/dataloaders.py and ultralytics/engine/predictor.py: to RGB, divided by 255.
    "yolov5": RGB_ONE,
    "yolov8": RGB_ONE,
    # test.py of FastestDet: as OpenCV reads them, divided by 255.
    "fastestdet": Preprocessing("bgr", deviation=(255.0, 255.0, 255.0)),
}


def usual_preprocessing(head: HeadSpec, producer: str) -> Preprocessing | None:
    """What the networks of a family expect.

    Args:
        head: The head.
        producer: The program that wrote the file, as the file names it.

    Returns:
        The preprocessing; None if it differs within the family.
    """
    if head.family == _GENERALIZED_FOCAL:
        # PicoDet, configs/picodet/_base_/picodet_320_reader.yml: RGB. NanoDet, config/nanodet-m.yml: the same on BGR.
        # Both PicoDet and NanoDet-Plus can have four levels, but only PicoDet has outputs of their own for each.
        is_picodet = _PADDLE in producer.lower() or (len(head.strides) > 3 and len(head.outputs) > len(head.strides))
        return IMAGENET_RGB if is_picodet else IMAGENET_BGR
    return _BY_FAMILY.get(head.family)


def parse_preprocessing(text: str) -> Preprocessing:
    """Parses the option ``--preprocess``.

    Args:
        text: Parts between commas: "rgb" or "bgr"; then "0..1" or "0..255", or "mean=a:b:c" and "std=a:b:c" in units
            of 0 to 255 and in that order of channels.

    Returns:
        The preprocessing.

    Raises:
        UserError: The text is not understood.
    """
    order, mean, deviation, scale = "", (0.0, 0.0, 0.0), None, None
    for part in filter(None, (part.strip().lower() for part in text.split(","))):
        key, equals, numbers = part.partition("=")
        if part in ("rgb", "bgr") and not order:
            order = part
        elif part in _RANGES and scale is None:
            scale = _RANGES[part]
        elif equals and key == "mean":
            mean = _parse_three(text, numbers)
        elif equals and key == "std":
            deviation = _parse_three(text, numbers)
        else:
            raise UserError(_wrong(text, f"{part!r} is not understood"))
    if not order:
        raise UserError(_wrong(text, "rgb or bgr is missing"))
    if (scale is None) == (deviation is None):
        raise UserError(_wrong(text, "give either 0..1, 0..255 or std"))
    if scale is not None and mean != (0.0, 0.0, 0.0):
        raise UserError(_wrong(text, "mean belongs to std, both in units of 0 to 255"))
    if deviation is not None and min(deviation) <= 0.0:
        raise UserError(_wrong(text, "std must be positive"))
    return Preprocessing(order, mean, deviation or (scale or 1.0,) * 3)


def describe_preprocessing(preprocessing: Preprocessing) -> str:
    """The text that ``parse_preprocessing`` takes."""
    if preprocessing.mean == (0.0, 0.0, 0.0):
        for text, scale in _RANGES.items():
            if preprocessing.deviation == (scale,) * 3:
                return f"{preprocessing.order},{text}"
    mean, deviation = (":".join(f"{value:g}" for value in values)
                       for values in (preprocessing.mean, preprocessing.deviation))
    return f"{preprocessing.order},mean={mean},std={deviation}"


def _parse_three(text: str, numbers: str) -> tuple[float, float, float]:
    try:
        first, second, third = (float(number) for number in numbers.split(":"))
    except ValueError:
        raise UserError(_wrong(text, "three numbers with : between them are needed")) from None
    if not all(math.isfinite(value) for value in (first, second, third)):
        raise UserError(_wrong(text, "the numbers must be finite"))
    return first, second, third


def _wrong(text: str, reason: str) -> str:
    return to_one_line(f"--preprocess {text!r}: {reason}; for example {EXAMPLE}")
