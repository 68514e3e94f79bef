"""Fixtures that tests of several commands share."""

from __future__ import annotations

import cv2
import numpy as np
import pytest


@pytest.fixture(scope="session")
def clip(make_clip) -> str:
    """A video of 12 frames, 160x96."""
    return make_clip(12, 8)


@pytest.fixture
def half(tmp_path) -> str:
    """A static mask as PNG, for the 6x10 regions of a 160x96 input: the left half is kept."""
    cv2.imwrite(str(tmp_path / "half.png"), np.repeat([[255] * 5 + [0] * 5], 6, axis=0).astype(np.uint8))
    return str(tmp_path / "half.png")
