"""The learned dynamic mask: a small network looks at the frame, and the boxes of the last result are added to it.

The boxes stay outside the network, which would copy them and look no further. What it adds is newcomers: objects that
no box tells of yet.
"""

from __future__ import annotations

import cv2
import numpy as np

from ..budget import TOP, QuantileThreshold
from ..source import DYNAMIC, MaskContext, StatelessSource
from .light import LightNetwork
from .paper import PaperNetwork
from .weights import MaskWeights

MGNET = "mgnet"

BOX_SCORE, RING_SCORE = 0.6, 0.3
"""What a region inside a box of the last result gets on top of the network's score, and one beside such a region."""

CHANGE_WEIGHT, STILL = 1.5, 0.2
"""A region's change, in mean changes of the frame, adds so much to its logit: where a camera stands still, change is
the best sign of a newcomer; where it moves, all regions change alike, and this tells little. ``STILL`` is added to the
mean change, so that a frame in which next to nothing changes does not make much of it."""

LEVEL_SHARE = 0.6
"""So much of a frame's mean logit is taken away. A place unlike those of the training gets scores that are too high or
too low as a whole; taking all of the mean away would mask the same share of every frame, full or empty."""

LASTING_LOGITS, LASTING_CHANGE = 0.4, 0.6
"""So much of what was seen a frame ago is still believed: an object is there for longer than a frame, and between two
steps a walker's feet rest."""

CLOSED, SMOOTHED = 3, 3
"""Regions, across: holes and gaps narrower than the first are filled, as inside of a large object whose outline alone
is told from the ground; then scores are means over the second."""

NEWS = 0.2
"""The network looks again once this much more of a masked region has changed than when it looked last."""

SHORTEST_REUSE, LONGEST_REUSE = 3, 7
"""Frames that its last logits serve at least, and at most, after the one that they were made for. A newcomer is there
for longer than a frame, and the change, which is looked at in every frame, tells of it meanwhile."""


class MgnetMask(StatelessSource):
    """One camera's mask. Starts afresh with frame 0.

    runs: how often the network has looked. frames: how many it was asked about. last_scores: float32 [rows, cols], what
    it said last.
    """

    name = DYNAMIC

    def __init__(self, weights: MaskWeights, masked_share: float | None = None, static: np.ndarray | None = None,
                 every_frame: bool = False) -> None:
        """masked_share: of the regions, to be held in the mean over time; None: the weights' own threshold.

        static: bool [rows, cols], regions that are attended anyway; they count when the share is held.
        every_frame: look at every frame, rather than where something is new.
        """
        self._static = static
        self._weights, self._every_frame = weights, every_frame
        self._holder = None if masked_share is None else QuantileThreshold(masked_share)
        self._network: LightNetwork | PaperNetwork | None = None
        self.last_scores = self._logits = self._change = self._seen = self._keep = None
        self._reused = self.runs = self.frames = 0

    def propose(self, cues: MaskContext) -> np.ndarray:
        """bool [rows, cols], True = attended. The cues need a glance."""
        scores = add_box_scores(self.network_scores(cues), cues)
        if self._static is not None:
            scores = np.where(self._static, np.float32(TOP), scores)
        threshold = self._weights.threshold if self._holder is None else self._holder.threshold(scores)
        self._keep = scores > threshold
        return self._keep

    def reset(self) -> None:
        """Starts afresh with the next frame."""
        self._network = None

    def network_scores(self, cues: MaskContext) -> np.ndarray:
        """float32 [rows, cols], 0 to 1: what the network says of this frame, or said of a recent one, and what
        changes.
        """
        if cues.frame == 0 or self._network is None:
            self._start(cues)
        if self._must_run_network(cues):
            self._look(cues)
        else:
            self._reused += 1
        self.frames += 1
        # All of the first frame is new, which tells nothing about the second.
        self._change = _running_mean(self._change if cues.frame > 1 else None, cues.frame_view.change, LASTING_CHANGE)
        self.last_scores = region_scores(self._logits, self._change)
        return self.last_scores

    @property
    def macs(self) -> int:
        """Multiplications of one run; 0 before the first frame."""
        return self._network.macs if self._network else 0

    def _start(self, cues: MaskContext) -> None:
        make = {"light": LightNetwork, "paper": PaperNetwork}[self._weights.architecture]
        self._network = make(self._weights.arrays, (cues.grid.cols, cues.grid.rows))
        self.last_scores = self._logits = self._change = self._seen = self._keep = None
        if self._holder is not None:
            self._holder.reset()

    def _must_run_network(self, cues: MaskContext) -> bool:
        if self._every_frame or self._keep is None or self._reused >= LONGEST_REUSE:
            return True
        if self._reused < SHORTEST_REUSE:
            return False
        return bool(((cues.frame_view.change - self._seen > NEWS) & ~self._keep).any())

    def _look(self, cues: MaskContext) -> None:
        frame_view, (rows, cols) = cues.frame_view, cues.grid.shape
        logits = self._network.run(frame_view.image, frame_view.change)
        if logits.shape != (rows, cols):
            logits = cv2.resize(logits, (cols, rows), interpolation=cv2.INTER_LINEAR)
        self._logits = _running_mean(self._logits, logits, LASTING_LOGITS ** (self._reused + 1))
        self._seen = frame_view.change
        self._reused = 0
        self.runs += 1


def region_scores(logits: np.ndarray, change: np.ndarray) -> np.ndarray:
    """float32 [rows, cols], 0 to 1: what the network says and what changes, without a part of the frame's level, and
    without holes.

    logits: float32 [rows, cols], of the network. change: float32 [rows, cols], 0 to 1.
    """
    moved = logits + np.float32(CHANGE_WEIGHT) / (change.mean() + np.float32(STILL)) * change
    scores = 1.0 / (1.0 + np.exp(np.float32(LEVEL_SHARE) * moved.mean() - moved))
    closed = cv2.morphologyEx(scores, cv2.MORPH_CLOSE, np.ones((CLOSED, CLOSED), np.uint8))
    return cv2.blur(closed, (SMOOTHED, SMOOTHED), borderType=cv2.BORDER_REPLICATE)


def _running_mean(before: np.ndarray | None, now: np.ndarray, share: float) -> np.ndarray:
    """A mean of both, ``share`` of it from before; a new array."""
    return now.copy() if before is None else now + np.float32(share) * (before - now)


def add_box_scores(scores: np.ndarray, cues: MaskContext) -> np.ndarray:
    """Scores of the regions, and on top what the boxes of the last result say."""
    low, high, visible = cues.grid.spans(cues.last.boxes, cues.image_wh)
    extra, low, high = np.zeros(scores.shape, np.float32), low[visible].tolist(), high[visible].tolist()
    for (c0, r0), (c1, r1) in zip(low, high):
        extra[max(r0 - 1, 0):r1 + 1, max(c0 - 1, 0):c1 + 1] = RING_SCORE
    # After all rings, which may lie on other boxes.
    for (c0, r0), (c1, r1) in zip(low, high):
        extra[r0:r1, c0:c1] = BOX_SCORE
    return scores + extra
