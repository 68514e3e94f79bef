"""The exponential of the tile engine: one stated polynomial, the same bits here and in every kernel.

Its numbers stand in ``native/exponential.h`` only, which is read here.
"""

from __future__ import annotations

import re

import numpy as np

from .native_sources import FOLDER

_NUMBERS = {name: np.float32(float.fromhex(value) if "0x" in value else float(value)) for name, value in re.findall(
    r"constexpr float (k\w+) = ([^;]+?)f;", (FOLDER / "exponential.h").read_text(encoding="ascii"))}


def exponential(x: np.ndarray) -> np.ndarray:
    """Computes e to the power of x as the kernels do, within a relative error of ``1.02e-4 + 1e-7 * |x|``.

    Args:
        x: float32, any shape.

    Returns:
        float32; for x below -87.3 or above 87.3 the value there.
    """
    largest, one = _NUMBERS["kLargest"], np.float32(1)
    t = np.minimum(np.maximum(x * _NUMBERS["kLog2E"], -largest), largest)
    n = np.rint(t)
    f = t - n
    power = _NUMBERS["kC3"]
    for coefficient in (_NUMBERS["kC2"], _NUMBERS["kC1"], one):
        power = power * f + coefficient
    return np.asarray(np.ldexp(power, n.astype(np.int32)), np.float32)
