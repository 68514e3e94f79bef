"""Two drawn persons who walk past a house, with boxes known to the pixel."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

from regionmask_ros.datasets.labels import LabelRow

SIZE_WH = (384, 256)
FRAMES = 20
SKIN, HAIR, SHOES = (140, 170, 215), (30, 40, 60), (25, 25, 25)
UNITS = 10
"""Height of a person, in the units of all lengths below; a head is 1.7 high."""


def frames(seed: int = 0) -> tuple[list[np.ndarray], list[LabelRow]]:
    """(images, uint8 [256, 384, 3] BGR; labels of all of them)."""
    rng = np.random.default_rng(seed)
    still, images, labels = _draw_place(rng), [], []
    for t in range(FRAMES):
        image = np.clip(still + rng.normal(0.0, 2.0, still.shape), 0, 255).astype(np.uint8)
        boxes = [_draw_person(image, 60 + 6 * t, 225, 130, 0.5 * t, ((60, 50, 170), (110, 60, 40))),
                 _draw_person(image, 330 - 4 * t, 190, 90, 0.6 * t + 1, ((70, 110, 60), (60, 60, 60)))]
        labels += [LabelRow(t, "person", *box, track=track) for track, box in enumerate(boxes)]
        images.append(cv2.GaussianBlur(image, (3, 3), 0))
    return images, labels


def _draw_place(rng: np.random.Generator) -> np.ndarray:
    width, height = SIZE_WH
    ground = np.where(np.arange(height)[:, None, None] < 110, (225.0, 200.0, 170.0), (110.0, 108.0, 105.0))
    place = np.broadcast_to(ground, (height, width, 3)).copy()
    cv2.rectangle(place, (0, 30), (130, 118), (120, 140, 160), -1)
    for x in range(10, 120, 28):
        cv2.rectangle(place, (x, 45), (x + 16, 75), (90, 80, 70), -1)
    found: np.ndarray = cv2.GaussianBlur(place + rng.normal(0.0, 6.0, place.shape), (3, 3), 0)
    return found


def _draw_person(image: np.ndarray, x: float, feet: float, height: float, phase: float,
                 clothes: tuple[tuple[int, int, int], tuple[int, int, int]]) -> tuple[float, float, float, float]:
    """Draws a person whose feet are at a point; returns x, y, width, height of the box."""
    shirt, trousers = clothes
    unit, swing = height / UNITS, float(np.sin(phase))
    hip, shoulder = feet - 4.6 * unit, feet - 8.2 * unit

    def limb(points: list[tuple[float, float]], color: tuple[int, ...], thickness: float) -> None:
        for ends in pairwise(points):
            cv2.line(image, *(tuple(map(int, end)) for end in ends), color, max(2, int(thickness * unit)), cv2.LINE_AA)

    def rectangle(left: float, top: float, right: float, bottom: float, color: tuple[int, ...]) -> None:
        cv2.rectangle(image, (int(left), int(top)), (int(right), int(bottom)), color, -1)

    for side, light in ((swing, 0.8), (-swing, 1.0)):
        foot = x + 1.7 * side * unit
        limb([(x, hip), (x + 0.9 * side * unit, hip + 2.3 * unit), (foot, feet - 0.2 * unit)],
             tuple(int(light * value) for value in trousers), 1.15)
        axes = int(0.75 * unit), max(1, int(0.3 * unit))
        cv2.ellipse(image, (int(foot + 0.3 * unit), int(feet - 0.2 * unit)), axes, 0, 0, 360, SHOES, -1, cv2.LINE_AA)
    rectangle(x - 1.05 * unit, shoulder, x + 1.05 * unit, hip + 0.4 * unit, shirt)
    for side in (-1, 1):
        elbow = x + side * (0.9 + 0.3 * swing) * unit
        limb([(x + side * unit, shoulder + 0.3 * unit), (elbow, shoulder + 1.9 * unit),
              (elbow + 0.9 * side * swing * unit, shoulder + 3.6 * unit)], tuple(int(0.85 * v) for v in shirt), 0.75)
    rectangle(x - 0.35 * unit, shoulder - 0.4 * unit, x + 0.35 * unit, shoulder, SKIN)
    for center, size, first, color in ((9.15, (0.68, 0.85), 0, SKIN), (9.45, (0.75, 0.6), 180, HAIR)):
        cv2.ellipse(image, (int(x), int(feet - center * unit)), tuple(max(2, int(side * unit)) for side in size), 0,
                    first, 360, color, -1, cv2.LINE_AA)
    return x - 1.9 * unit, feet - UNITS * unit, 3.8 * unit, UNITS * unit
