"""The mask source ``mgnet``: a small network scores the frame, and the boxes of the last result are added to it.

The boxes are no input of the network, which would only copy them. What the network adds is newcomers: new objects that
no box covers yet.
"""

from __future__ import annotations

import cv2
import numpy as np

from ..budget import TOP, QuantileThreshold
from ..source import DYNAMIC, FrameView, MaskContext, StatelessSource
from .light import LightNetwork
from .paper import PaperNetwork
from .weights import MaskWeights

MGNET = "mgnet"

BOX_SCORE, RING_SCORE = 0.6, 0.3
"""Added to the network's score of a region inside a box of the last result, and of one beside such a region."""

CHANGE_WEIGHT, STILL = 1.5, 0.2
"""A region's logit grows by ``CHANGE_WEIGHT`` times its change relative to the mean change of the frame: where a camera
stands still, change is the best sign of a newcomer; where it moves, all regions change alike. ``STILL`` is added to the
mean, so that a frame in which hardly anything changes does not exaggerate it."""

LEVEL_SHARE = 0.6
"""Share of a frame's mean logit that is subtracted. In a scene unlike those of the training, all scores are too high or
too low together; subtracting the whole mean would mask the same share of every frame, full or empty."""

LASTING_LOGITS, LASTING_CHANGE = 0.4, 0.6
"""Weights of the previous frame in running means: objects stay for longer than a frame, and a pedestrian's feet are
still between two steps."""

CLOSED, SMOOTHED = 3, 3
"""Sides in regions. Holes and gaps narrower than the first are filled, such as those inside a large object of which
only the outline is found; then scores are averaged over the second."""

NEWS = 0.2
"""The network runs again once the change of a masked region has grown by more than this since the last run."""

SHORTEST_REUSE, LONGEST_REUSE = 3, 7
"""Frames after a run that use its logits, at least and at most. A newcomer stays for longer than a frame, and the
change, which is used in every frame, shows it meanwhile."""


class MgnetMask(StatelessSource):
    """The learned mask of one camera. It resets itself with frame 0.

    Args:
        weights: The network.
        masked_share: Share of regions to mask in the mean over time, 0 to 1. None: by the threshold of the weights.
        static: bool [rows, cols], regions that a static mask observes. They count for the masked share.
        every_frame: Whether to run the network on every frame, and not only when something changes.

    Attributes:
        last_scores: The network's scores of the last frame, float32 [rows, cols]. None before the first frame.
        runs: Number of runs of the network.
        frames: Number of frames that were scored.
    """

    name = DYNAMIC
    last_scores: np.ndarray | None
    _logits: np.ndarray | None
    _change: np.ndarray | None
    _change_at_run: np.ndarray | None
    _keep: np.ndarray | None

    def __init__(self, weights: MaskWeights, masked_share: float | None = None, static: np.ndarray | None = None,
                 every_frame: bool = False) -> None:
        self._static = static
        self._weights, self._every_frame = weights, every_frame
        self._quantile = None if masked_share is None else QuantileThreshold(masked_share)
        self._network: LightNetwork | PaperNetwork | None = None
        self._reused = self.runs = self.frames = 0
        self._forget()

    def propose(self, context: MaskContext) -> np.ndarray:
        """Scores the frame and observes the regions above a threshold.

        Args:
            context: What is known before the frame is encoded. It needs a frame view.

        Returns:
            bool [rows, cols], True = observed.
        """
        scores = add_box_scores(self.network_scores(context), context)
        if self._static is not None:
            scores = np.where(self._static, np.float32(TOP), scores)
        threshold = self._weights.threshold if self._quantile is None else self._quantile.threshold(scores)
        self._keep = scores > threshold
        return self._keep

    def reset(self) -> None:
        """Makes the next frame the first one."""
        self._network = None

    def network_scores(self, context: MaskContext) -> np.ndarray:
        """Scores of the frame from the last run of the network, which may be an earlier frame's, and from the change.

        Args:
            context: What is known before the frame is encoded. It needs a frame view.

        Returns:
            float32 [rows, cols], 0 to 1, without the scores of boxes.
        """
        view = context.frame_view
        assert view is not None, "this source needs the frame itself"
        network = self._network
        if context.frame == 0 or network is None:
            network = self._start(context)
        logits = self._logits
        if logits is None or self._must_run_network(view):
            logits = self._logits = self._run_network(network, view, context.grid.shape)
        else:
            self._reused += 1
        self.frames += 1
        # All of the first frame is new, which says nothing about the second.
        self._change = _running_mean(self._change if context.frame > 1 else None, view.change, LASTING_CHANGE)
        self.last_scores = region_scores(logits, self._change)
        return self.last_scores

    @property
    def macs(self) -> int:
        """Multiplications of one run; 0 before the first frame."""
        return self._network.macs if self._network else 0

    def _start(self, context: MaskContext) -> LightNetwork | PaperNetwork:
        network_class = LightNetwork if self._weights.architecture == "light" else PaperNetwork
        network = self._network = network_class(self._weights.arrays, (context.grid.cols, context.grid.rows))
        self._forget()
        if self._quantile is not None:
            self._quantile.reset()
        return network

    def _forget(self) -> None:
        """Forgets all that earlier frames left, but for the counts."""
        self.last_scores = self._logits = self._change = self._change_at_run = self._keep = None

    def _must_run_network(self, view: FrameView) -> bool:
        if self._every_frame or self._keep is None or self._reused >= LONGEST_REUSE:
            return True
        if self._reused < SHORTEST_REUSE:
            return False
        return bool(((view.change - self._change_at_run > NEWS) & ~self._keep).any())

    def _run_network(self, network: LightNetwork | PaperNetwork, view: FrameView, shape: tuple[int, int]) -> np.ndarray:
        """Logits of the regions, float32 of that shape, averaged with those of earlier runs."""
        logits = network.run(view.image, view.change)
        if logits.shape != shape:
            logits = cv2.resize(logits, shape[::-1], interpolation=cv2.INTER_LINEAR)
        logits = _running_mean(self._logits, logits, LASTING_LOGITS ** (self._reused + 1))
        self._change_at_run = view.change
        self._reused = 0
        self.runs += 1
        return logits


def region_scores(logits: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Turns logits and change into scores that are relative to the frame's level and have no holes.

    Args:
        logits: float32 [rows, cols], of the network.
        change: float32 [rows, cols], 0 to 1.

    Returns:
        float32 [rows, cols], 0 to 1.
    """
    moved = logits + np.float32(CHANGE_WEIGHT) / (change.mean() + np.float32(STILL)) * change
    scores = 1.0 / (1.0 + np.exp(np.float32(LEVEL_SHARE) * moved.mean() - moved))
    closed = cv2.morphologyEx(scores, cv2.MORPH_CLOSE, np.ones((CLOSED, CLOSED), np.uint8))
    return cv2.blur(closed, (SMOOTHED, SMOOTHED), borderType=cv2.BORDER_REPLICATE)


def _running_mean(before: np.ndarray | None, now: np.ndarray, weight: float) -> np.ndarray:
    """A new array: the mean of both, with the given weight of ``before``."""
    return now.copy() if before is None else now + np.float32(weight) * (before - now)


def add_box_scores(scores: np.ndarray, context: MaskContext) -> np.ndarray:
    """Adds ``BOX_SCORE`` where boxes of the last result are, and ``RING_SCORE`` around them.

    Args:
        scores: float32 [rows, cols].
        context: Holds the last result and the grid.

    Returns:
        float32 [rows, cols], a new array.
    """
    low, high, visible = context.grid.spans(context.last.boxes, context.image_wh)
    extra = np.zeros(scores.shape, np.float32)
    spans = list(zip(low[visible].tolist(), high[visible].tolist()))
    for (c0, r0), (c1, r1) in spans:
        extra[max(r0 - 1, 0):r1 + 1, max(c0 - 1, 0):c1 + 1] = RING_SCORE
    # After all rings, which may lie on other boxes.
    for (c0, r0), (c1, r1) in spans:
        extra[r0:r1, c0:c1] = BOX_SCORE
    return scores + extra
