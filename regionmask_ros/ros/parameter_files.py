"""Reads ROS parameter files before a node does. Needs no ROS."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from ..core.frame import MAX_PIXELS, choose_input_size
from ..errors import UserError

PARAMETERS_KEY = "ros__parameters"
AUTO = "auto"


def input_size_for(params_file: str, image_wh: tuple[int, int]) -> str:
    """The size of an automatic input for images of a known size: with it, a detector is ready before its first image.

    Args:
        params_file: The parameter file.
        image_wh: Width and height of the images.

    Returns:
        ``WxH``. Empty if the file sets a size, and if it cannot be read: the node itself reports what is wrong with it.
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
    """The parameters of all nodes in a file, in any namespace."""
    for name, inner in content.items() if isinstance(content, dict) else ():
        if name == PARAMETERS_KEY and isinstance(inner, dict):
            yield inner
        else:
            yield from _blocks(inner)
