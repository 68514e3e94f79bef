"""How cost grows with the picture: small inputs to large ones, on the same sequence."""

from __future__ import annotations

from typing import Callable, Iterable, Sequence

from ..grid import RegionGrid
from ..network.spec import Network
from .clip import Clip
from .contestant import Contestant
from .event_engine import EVENT, EventContestant
from .measure import count, row_of, take_turns
from .peers.choice import ORT_INT8, PeerModels, open_peers
from .settings import UNMASKED

SIZES = ((320, 192), (480, 288), (640, 384), (960, 544), (1280, 736), (1600, 896), (1920, 1088))
FRAMES, SKIPPED = 16, 4
CALIBRATION_FRAMES = 4


def scale_rows(network: Network, clip: Clip, engines: Sequence[str], threads: int, tell: Callable[[str], None],
               indices: Iterable[int]) -> list[dict]:
    """Rows of our engine, nothing masked, and of ONNX Runtime int8, at the clip's size. indices: of the clip's frames.

    ``pixels`` is added to what other rows have; heads are not compared.
    """
    contestants: list[Contestant] = []
    if EVENT in engines:
        everything = RegionGrid.of_input(clip.input_wh).full(True)
        contestants.append(EventContestant(network, clip.input_wh, UNMASKED, everything))
    peers = [engine for engine in engines if engine == ORT_INT8]
    contestants += open_peers(peers, PeerModels(network, clip, threads, CALIBRATION_FRAMES), tell)
    skipped = min(SKIPPED, len(clip.images) // 2)
    records, _ = take_turns(contestants, clip, skipped, indices) if contestants else ([], [])
    for record, contestant in zip(records, contestants):
        count(record, contestant, clip, skipped)
    width, height = clip.input_wh
    return [{**row_of(clip, *pair), "pixels": width * height} for pair in zip(contestants, records)]
