"""Whether the head stays near the dense evaluation however long a camera runs."""

from __future__ import annotations

from typing import Callable, Iterable

import numpy as np

from ..network.spec import Network
from .clip import Clip
from .dense import dense_head, encoded, rms
from .event_engine import EventContestant
from .settings import UNMASKED
from .streams import forth_and_back

LOOKED_AT = (24, 100, 300, 600)
"""Pictures of the first lap at which the distance is taken, beside the last picture at every visit."""


def drift_rows(network: Network, clip: Clip, frames: int, keep: np.ndarray,
               progress: Callable[[range], Iterable[int]]) -> list[dict]:
    """Plays the clip forth and back for ``frames`` frames, unmasked, and compares heads with the dense evaluation.

    keep: bool [rows, cols], all True. head_rms: root mean square of the difference over the head, in its raw units;
    output_rms: of the dense head itself.
    """
    engine, last = EventContestant(network, clip.input_wh, UNMASKED, keep), len(clip.images) - 1
    exact: dict[int, np.ndarray] = {}
    rows = []
    for played in progress(range(frames)):
        at = forth_and_back(played, last + 1)
        raw = engine.step(clip.images[at])
        if at != last and played not in LOOKED_AT:
            continue
        if at not in exact:
            exact[at] = dense_head(network, encoded(network, clip.images[at]))
        rows.append({
            "sequence": clip.path, "input_size": "{}x{}".format(*clip.input_wh), "path": engine.path,
            "played": played, "picture": at,
            "head_rms": round(rms(engine.real_head(raw), exact[at]), 4),
            "output_rms": round(rms(exact[at], np.zeros_like(exact[at])), 4),
        })
    return rows
