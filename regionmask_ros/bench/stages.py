"""What happens before the network: resize and colour, mask and encoder."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Iterable

import numpy as np

from ..encoder import Encoder
from ..frames import Frame, choose_input_size, make_view
from ..grid import RegionGrid
from ..mask.policy import MaskPolicy, MaskState, decide
from ..network.spec import Network
from .clip import Clip
from .first_result import PICTURE_WH
from .measure import spread
from .settings import UNMASKED

REPEATS, SKIPPED = 60, 10
RESIZE, ENCODE = "resize and colour", "mask and encoder"
LIMIT_MS = {RESIZE: 0.6, ENCODE: 0.3}


def resize_row() -> dict:
    """A camera's picture of 1280x720 to the network's input of the automatic size, in RGB."""
    width, height = PICTURE_WH
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
    frame, input_wh, ms = Frame(pixels, "bgr", 0, "camera"), choose_input_size(PICTURE_WH), []
    for _ in range(SKIPPED + REPEATS):
        start = time.process_time()
        make_view(frame, input_wh)
        ms.append((time.process_time() - start) * 1e3)
    return _row(RESIZE, "", "", PICTURE_WH, input_wh, ms[SKIPPED:])


def encode_row(network: Network, clip: Clip, setting: str, keep: np.ndarray, skipped: int,
               indices: Iterable[int]) -> dict:
    """The decision about each frame's mask and the encoder's step with it. keep: bool [rows, cols]."""
    grid = RegionGrid.of_input(clip.input_wh)
    policy = MaskPolicy(grid, clip.picture_wh, None if setting == UNMASKED else keep, None, 0)
    encoder, state, ms = Encoder(network.input_table, network.encoder_threshold, clip.input_wh), MaskState.initial(), []
    for index in indices:
        start = time.process_time()
        encoder.step(clip.images[index], decide(policy, state).keep)
        ms.append((time.process_time() - start) * 1e3)
        state = replace(state, frame=state.frame + 1)
    return _row(ENCODE, clip.path, setting, clip.picture_wh, clip.input_wh, ms[skipped:])


def _row(stage: str, sequence: str, setting: str, picture_wh: tuple[int, int], input_wh: tuple[int, int],
         ms: list[float]) -> dict:
    return {
        "stage": stage, "sequence": sequence or None, "setting": setting or None,
        "picture": "{}x{}".format(*picture_wh), "input_size": "{}x{}".format(*input_wh), "frames": len(ms),
        **spread(ms), "limit_ms": LIMIT_MS[stage],
    }
