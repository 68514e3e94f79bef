"""The lines of a parameter file that make the node use a static mask."""

from __future__ import annotations

import json
import os


def print_mask_yaml(path: str) -> None:
    """Prints the lines, for people to paste.

    Args:
        path: The mask's file.
    """
    # A string of JSON is one of YAML, too.
    quoted = json.dumps(os.path.abspath(path), ensure_ascii=False)
    print("for the parameter file of the node, below ros__parameters:")
    print(f'    mask_mode: "static"\n    static_mask: {quoted}')
