"""What a parameter file says, read before any node does. Needs no ROS."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from ..core.frame import MAX_PIXELS, choose_input_size
from ..errors import UserError

PARAMETERS = "ros__parameters"
AUTO = "auto"


def input_size_for(params_file: str, image_wh: tuple[int, int]) -> str:
    """WxH that an automatic input size comes to for pictures of that size. A detector that knows it beforehand is ready
    before its first picture.

    "" where the file gives a size of its own, and where it cannot be read: the node itself tells what is wrong with it.
    """
    given: dict[str, Any] = {}
    try:
        with open(params_file, encoding="utf-8") as file:
            for block in _blocks(yaml.safe_load(file)):
                given.update(block)
        if given.get("input_size", AUTO) != AUTO:
            return ""
        width, height = choose_input_size(image_wh, given.get("max_pixels", MAX_PIXELS))
    except (OSError, ValueError, TypeError, yaml.YAMLError, UserError):
        return ""
    return f"{width}x{height}"


def _blocks(content: Any) -> Iterator[dict[str, Any]]:
    """The parameters of all nodes of a file, whatever namespaces they stand below."""
    for name, inner in content.items() if isinstance(content, dict) else ():
        if name == PARAMETERS and isinstance(inner, dict):
            yield inner
        else:
            yield from _blocks(inner)
