"""A drawn street, with boxes known to the pixel: what the trained network finds in drawings is signs and clocks.

Seen from a fixed camera: a traffic light that stands, and a clock and a stop sign that are carried past.
"""

from __future__ import annotations

import cv2
import numpy as np

from regionmask_ros.datasets.labels import LabelRow

SIZE_WH = (384, 256)
FRAMES = 20
WHITE, BLACK = (255, 255, 255), (20, 20, 20)


def frames(seed: int = 0) -> tuple[list[np.ndarray], list[LabelRow]]:
    """(images, uint8 [256, 384, 3] BGR; labels of all of them)."""
    rng = np.random.default_rng(seed)
    width, height = SIZE_WH
    ground = np.where(np.arange(height)[:, None, None] < 110, (225.0, 200.0, 170.0), (110.0, 108.0, 105.0))
    still = np.broadcast_to(ground, (height, width, 3)) + rng.normal(0.0, 6.0, (height, width, 3))
    images, labels = [], []
    for t in range(FRAMES):
        image = np.clip(still + rng.normal(0.0, 2.0, still.shape), 0, 255).astype(np.uint8)
        shown = [
            ("traffic light", _traffic_light(image, 20, 40, 100)),
            ("clock", _clock(image, 120 + 4 * t, 70, 34)),
            ("stop sign", draw_stop_sign(image, 290 - 4 * t, 190, 44)),
        ]
        for track, (name, (x, y, w, h)) in enumerate(shown):
            labels.append(LabelRow(t, name, x, y, w, h, track=track))
        images.append(image)
    return images, labels


def _traffic_light(image: np.ndarray, x: int, y: int, height: int) -> tuple[int, int, int, int]:
    width = int(0.4 * height)
    cv2.rectangle(image, (x, y), (x + width, y + height), (25, 25, 25), -1)
    for place, color in ((0.18, (40, 40, 255)), (0.5, (0, 150, 180)), (0.82, (40, 200, 40))):
        cv2.circle(image, (x + width // 2, y + int(place * height)), int(0.12 * height), color, -1, cv2.LINE_AA)
    return x, y, width, height


def _clock(image: np.ndarray, x: int, y: int, radius: int) -> tuple[int, int, int, int]:
    cv2.circle(image, (x, y), radius, BLACK, -1, cv2.LINE_AA)
    cv2.circle(image, (x, y), int(0.9 * radius), (245, 245, 245), -1, cv2.LINE_AA)
    for hour in range(12):
        way = np.array([np.cos(hour * np.pi / 6), np.sin(hour * np.pi / 6)])
        ends = (np.array([x, y]) + np.outer((0.72, 0.85), radius * way)).round().astype(int)
        cv2.line(image, tuple(map(int, ends[0])), tuple(map(int, ends[1])), BLACK, 2, cv2.LINE_AA)
    cv2.line(image, (x, y), (x, y - int(0.65 * radius)), BLACK, 2, cv2.LINE_AA)
    cv2.line(image, (x, y), (x + int(0.4 * radius), y + int(0.2 * radius)), BLACK, 3, cv2.LINE_AA)
    return x - radius, y - radius, 2 * radius, 2 * radius


def draw_stop_sign(image: np.ndarray, x: int, y: int, radius: int) -> tuple[int, int, int, int]:
    corner = np.pi / 8 + np.arange(8) * np.pi / 4
    for size, color in ((radius, WHITE), (0.92 * radius, (30, 30, 190))):
        edge = np.stack([x + size * np.cos(corner), y + size * np.sin(corner)], axis=1)
        cv2.fillPoly(image, [edge.round().astype(np.int32)], color, cv2.LINE_AA)
    scale = radius / 48
    cv2.putText(image, "STOP", (int(x - 34 * scale), int(y + 12 * scale)), cv2.FONT_HERSHEY_SIMPLEX, 0.9 * scale,
                WHITE, 3, cv2.LINE_AA)
    half = round(radius * np.cos(np.pi / 8))
    return x - half, y - half, 2 * half, 2 * half
