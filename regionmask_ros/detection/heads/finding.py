"""Which family of heads a network's outputs belong to."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from ...errors import UserError, to_one_line
from ...network.dense import GraphFacts, HeadSpec
from .base import Head
from .boxes import BoxesHead
from .detr import DetrHead
from .fastestdet import FastestDetHead
from .generalized_focal import GeneralizedFocalHead
from .ssd import SsdHead
from .yolov5 import Yolov5Head
from .yolov8 import Yolov8Head
from .yolox import YoloxHead

HEADS: Mapping[str, Head] = MappingProxyType({
    "yolov8": Yolov8Head(),
    "yolox": YoloxHead(),
    "yolov5": Yolov5Head(),
    "generalized_focal": GeneralizedFocalHead(),
    "fastestdet": FastestDetHead(),
    "boxes": BoxesHead(),
    "detr": DetrHead(),
    "ssd": SsdHead(),
})
"""All heads by family, in the order in which ``find_head`` tries them: first those whose number of rows must fit the
input; boxes and scores in two outputs are none of the first two. YOLOv8 [1, channels, cells] and YOLOX [1, cells,
channels] are told apart by the order of axes or the number of names; whole numbers in the column of the class tell
boxes from a small DETR; centers and sizes in shares of the input, without default boxes, tell DETR from SSD."""

AUTO = "auto"


def check_head(spec: HeadSpec) -> None:
    """Checks a head that was stored, perhaps by another version, or changed by hand.

    Args:
        spec: The head.

    Raises:
        UserError: The family is unknown, or a number that it needs is missing.
    """
    if spec.family not in HEADS:
        raise UserError(to_one_line(f"head {spec.family!r}: unknown to this version"))
    missing = [name for name in HEADS[spec.family].numbers if name not in spec.numbers]
    if missing:
        raise UserError(f"head {spec.family}: without {', '.join(missing)}")


def find_head(outputs: Mapping[str, np.ndarray], facts: GraphFacts, wanted: str = AUTO) -> HeadSpec:
    """Finds the family of the outputs.

    Args:
        outputs: Arrays of all outputs by name, from a run on a picture.
        facts: What the file says.
        wanted: A family of ``HEADS``, or "auto": the first one in their order that fits.

    Returns:
        What the outputs mean.

    Raises:
        UserError: The family is unknown, or none fits.
    """
    if wanted not in (AUTO, *HEADS):
        raise UserError(f"head {wanted!r}: unknown; choose from {', '.join((AUTO, *HEADS))}")
    for family in HEADS if wanted == AUTO else (wanted,):
        found = HEADS[family].find(outputs, facts, wanted == family)
        if found is not None:
            return found
    shapes = ", ".join(f"{name} {list(output.shape)}" for name, output in outputs.items())
    size = f"{facts.input_wh[0]}x{facts.input_wh[1]}"
    if wanted != AUTO:
        raise UserError(to_one_line(
            f"the outputs ({shapes}, at an input of {size}) are not of a {wanted} head; try --head auto"))
    if all(np.squeeze(output).ndim <= 1 for output in outputs.values()):
        raise UserError(to_one_line(
            f"no boxes: the outputs ({shapes}, at an input of {size}) are one value per class, as of a classifier"))
    raise UserError(to_one_line(
        f"the outputs ({shapes}, at an input of {size}) fit no known head ({', '.join(HEADS)}); export the detector "
        "as docs/NETWORKS.md shows, without further outputs"))
