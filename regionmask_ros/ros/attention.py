"""Boxes that planners ask to keep, and how long they count."""

from __future__ import annotations

import math
import threading
from collections import deque
from dataclasses import dataclass

import numpy as np
from vision_msgs.msg import BoundingBox2D, BoundingBox2DArray

from ..errors import UserError
from ..mask.source import NO_BOXES

MAX_MESSAGES, MAX_BOXES = 64, 256
"""Limits: the oldest messages beyond the first are dropped, and so are boxes of one message beyond the second."""


@dataclass(frozen=True)
class _Request:
    frame_id: str
    boxes: np.ndarray
    put_ns: int


class AttentionRequests:
    """The current requests, for a thread that puts and one that reads, by the node's time: a paused bag stops it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: deque[_Request] = deque(maxlen=MAX_MESSAGES)

    def put(self, message: BoundingBox2DArray, now_ns: int) -> None:
        """Adds boxes; a message without boxes removes all.

        Args:
            message: Boxes in pixels; its frame id chooses the camera, empty for any.
            now_ns: The node's time.

        Raises:
            UserError: A box has no valid size or place.
        """
        boxes = request_boxes(message)
        with self._lock:
            if len(boxes):
                self._requests.append(_Request(message.header.frame_id, boxes, now_ns))
            else:
                self._requests.clear()

    def active_boxes(self, frame_id: str, now_ns: int, lifetime_ns: int) -> np.ndarray:
        """Returns the boxes that count now. Requests from the future are dropped: time has jumped back.

        Args:
            frame_id: Of the camera.
            now_ns: The node's time.
            lifetime_ns: How long a request counts.

        Returns:
            float [n, 4], x0 y0 x1 y1 in pixels: requests for that frame id or for none.
        """
        if not self._requests:
            return NO_BOXES
        with self._lock:
            alive = [request for request in self._requests if 0 <= now_ns - request.put_ns < lifetime_ns]
            self._requests = deque(alive, MAX_MESSAGES)
        return np.concatenate([NO_BOXES, *(request.boxes for request in alive if request.frame_id in ("", frame_id))])


def request_boxes(message: BoundingBox2DArray) -> np.ndarray:
    """Finds the upright box around each box of a message.

    Args:
        message: Boxes, which may be rotated.

    Returns:
        float [n, 4], x0 y0 x1 y1.

    Raises:
        UserError: A box has no valid size or place.
    """
    return np.array([_upright_box(box) for box in message.boxes[:MAX_BOXES]], np.float64).reshape(-1, 4)


def _upright_box(box: BoundingBox2D) -> tuple[float, float, float, float]:
    x, y, theta = box.center.position.x, box.center.position.y, box.center.theta
    if not (all(map(math.isfinite, (x, y, theta, box.size_x, box.size_y))) and box.size_x > 0 and box.size_y > 0):
        raise UserError(f"attention: a box of {box.size_x}x{box.size_y} pixels at ({x}, {y}) is not valid; ignored")
    cosine, sine = abs(math.cos(theta)), abs(math.sin(theta))
    width, height = box.size_x * cosine + box.size_y * sine, box.size_x * sine + box.size_y * cosine
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2
