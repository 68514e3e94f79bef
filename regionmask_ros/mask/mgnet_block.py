"""What mask networks of both shapes have in common: how they see values, and the arrays of a transformer block."""

from __future__ import annotations

MEAN, SCALE = 0.45, 4.0
"""A network sees (value / 255 - MEAN) * SCALE, of a colour as of the change; in training as in use."""


def block_shapes(width: int, hidden: int) -> dict[str, tuple[int, ...]]:
    """Arrays of the block by name, in a weights file's order."""
    square, row = (width, width), (width,)
    return {
        "norm1.scale": row, "norm1.shift": row,
        "query.weight": square, "query.bias": row, "key.weight": square, "key.bias": row,
        "value.weight": square, "value.bias": row, "join.weight": square, "join.bias": row,
        "norm2.scale": row, "norm2.shift": row,
        "up.weight": (width, hidden), "up.bias": (hidden,), "down.weight": (hidden, width), "down.bias": row,
    }
