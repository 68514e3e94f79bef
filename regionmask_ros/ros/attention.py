"""Boxes that planners want looked at, and how long they count."""

from __future__ import annotations

import math
import threading
from collections import deque
from dataclasses import dataclass

import numpy as np
from vision_msgs.msg import BoundingBox2D, BoundingBox2DArray

from ..errors import UserError
from ..mask.source import NO_BOXES

MOST_MESSAGES, MOST_BOXES = 64, 256
"""More messages are forgotten, the oldest first; more boxes of one are passed over. A flood costs no time or room."""


@dataclass(frozen=True)
class _Request:
    frame_id: str
    boxes: np.ndarray
    put_ns: int


class AttentionRequests:
    """For one thread that puts and one that asks. Times are the node's, so that they stand still with a paused bag."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: deque[_Request] = deque(maxlen=MOST_MESSAGES)

    def put(self, message: BoundingBox2DArray, now_ns: int) -> None:
        """Adds boxes; a message without boxes takes all back. Raises UserError for a box that makes no sense."""
        boxes = request_boxes(message)
        with self._lock:
            if len(boxes):
                self._requests.append(_Request(message.header.frame_id, boxes, now_ns))
            else:
                self._requests.clear()

    def active_boxes(self, frame_id: str, now_ns: int, lifetime_ns: int) -> np.ndarray:
        """float [n, 4], x0 y0 x1 y1 in pixels: those for that camera frame, or for none, whose time is not over.

        Those from the future are forgotten: time has jumped back.
        """
        if not self._requests:
            return NO_BOXES
        with self._lock:
            alive = [request for request in self._requests if 0 <= now_ns - request.put_ns < lifetime_ns]
            self._requests = deque(alive, MOST_MESSAGES)
        return np.concatenate([NO_BOXES, *(request.boxes for request in alive if request.frame_id in ("", frame_id))])


def request_boxes(message: BoundingBox2DArray) -> np.ndarray:
    """float [n, 4], x0 y0 x1 y1: the upright box around each. Raises UserError for a size or place that is none."""
    return np.array([_upright(box) for box in message.boxes[:MOST_BOXES]], np.float64).reshape(-1, 4)


def _upright(box: BoundingBox2D) -> tuple[float, float, float, float]:
    x, y, theta = box.center.position.x, box.center.position.y, box.center.theta
    if not (all(map(math.isfinite, (x, y, theta, box.size_x, box.size_y))) and box.size_x > 0 and box.size_y > 0):
        raise UserError(f"attention: a box of {box.size_x}x{box.size_y} pixels at ({x}, {y}) is no box; ignored")
    cosine, sine = abs(math.cos(theta)), abs(math.sin(theta))
    width, height = box.size_x * cosine + box.size_y * sine, box.size_x * sine + box.size_y * cosine
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2
