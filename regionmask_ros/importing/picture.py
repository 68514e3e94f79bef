"""A drawn street scene, for runs that only ask what a network's outputs are."""

from __future__ import annotations

import cv2
import numpy as np

from ..network.dense import Preprocessing

_SIDE = 640
_RED, _WHITE, _DARK, _SKIN, _YELLOW = (200, 20, 25), (245, 245, 245), (35, 35, 40), (225, 175, 145), (245, 200, 20)


def draw_scene(wh: tuple[int, int]) -> np.ndarray:
    """Draws objects whose colors tell: a stop sign, a traffic light, a person, a car, oranges, a banana.

    Args:
        wh: Width and height.

    Returns:
        uint8 [height, width, 3], RGB.
    """
    image = np.empty((_SIDE, _SIDE, 3), np.uint8)
    image[:] = np.linspace((110, 165, 230), (205, 225, 245), _SIDE)[:, None]
    image[360:] = (120, 120, 122)
    image[330:372] = (70, 120, 50)
    _draw_stop_sign(image)
    _draw_traffic_light(image)
    _draw_person(image)
    _draw_car(image)
    for x, y in ((70, 590), (118, 585), (95, 548)):
        cv2.circle(image, (x, y), 26, (245, 140, 20), -1, cv2.LINE_AA)
        cv2.circle(image, (x - 8, y - 9), 6, (255, 190, 90), -1, cv2.LINE_AA)
    cv2.ellipse(image, (240, 560), (70, 34), 20, 10, 170, _YELLOW, 22, cv2.LINE_AA)
    # A picture without any noise looks like none that a network was taught with.
    noise = np.random.default_rng(1).integers(-6, 7, image.shape)
    noisy = cv2.GaussianBlur(np.clip(image + noise, 0, 255).astype(np.uint8), (3, 3), 0)
    resized: np.ndarray = cv2.resize(noisy, wh, interpolation=cv2.INTER_AREA)
    return resized


def to_input(image: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """The network's input for a picture.

    Args:
        image: uint8 [height, width, 3], RGB.
        preprocessing: What the network expects.

    Returns:
        float32 [1, 3, height, width].
    """
    ordered = image[..., ::-1] if preprocessing.order == "bgr" else image
    values = (ordered.astype(np.float32) - np.array(preprocessing.mean, np.float32)) / np.array(
        preprocessing.deviation, np.float32)
    return np.ascontiguousarray(values.transpose(2, 0, 1)[None], np.float32)


def _draw_stop_sign(image: np.ndarray) -> None:
    cv2.rectangle(image, (134, 200), (146, 470), (150, 150, 150), -1)
    angles = np.pi / 8 + np.arange(8) * np.pi / 4
    for radius, color in ((92, _WHITE), (84, _RED)):
        corners = np.stack([140 + radius * np.cos(angles), 150 + radius * np.sin(angles)], axis=1).astype(np.int32)
        cv2.fillPoly(image, [corners], color, cv2.LINE_AA)
    cv2.putText(image, "STOP", (72, 170), cv2.FONT_HERSHEY_SIMPLEX, 1.65, _WHITE, 8, cv2.LINE_AA)


def _draw_traffic_light(image: np.ndarray) -> None:
    cv2.rectangle(image, (566, 190), (576, 470), (90, 90, 90), -1)
    cv2.rectangle(image, (540, 40), (602, 200), _DARK, -1)
    for y, color in ((68, (240, 30, 25)), (120, (80, 70, 20)), (172, (20, 70, 35))):
        cv2.circle(image, (571, y), 20, color, -1, cv2.LINE_AA)


def _draw_person(image: np.ndarray) -> None:
    for x0, x1 in ((288, 312), (318, 342)):
        cv2.rectangle(image, (x0, 390), (x1, 512), (40, 55, 110), -1)
        cv2.ellipse(image, ((x0 + x1) // 2 + 4, 516), (20, 9), 0, 0, 360, _DARK, -1, cv2.LINE_AA)
    cv2.rectangle(image, (284, 270), (346, 396), (190, 40, 45), -1)
    for start, end in (((288, 284), (262, 378)), ((342, 284), (368, 378))):
        cv2.line(image, start, end, (190, 40, 45), 20, cv2.LINE_AA)
        cv2.circle(image, (end[0], end[1] + 10), 11, _SKIN, -1, cv2.LINE_AA)
    cv2.rectangle(image, (306, 250), (324, 274), _SKIN, -1)
    cv2.ellipse(image, (315, 232), (24, 30), 0, 0, 360, _SKIN, -1, cv2.LINE_AA)
    cv2.ellipse(image, (315, 218), (27, 20), 0, 180, 360, (60, 35, 20), -1, cv2.LINE_AA)


def _draw_car(image: np.ndarray) -> None:
    cabin = np.array([[430, 420], [462, 372], [560, 372], [590, 420]], np.int32)
    cv2.fillPoly(image, [cabin], (150, 185, 205), cv2.LINE_AA)
    cv2.polylines(image, [cabin], True, (30, 80, 170), 9, cv2.LINE_AA)
    cv2.line(image, (512, 372), (512, 420), (30, 80, 170), 8)
    cv2.rectangle(image, (392, 418), (628, 478), (30, 80, 170), -1)
    cv2.rectangle(image, (392, 440), (404, 458), (245, 235, 190), -1)
    cv2.rectangle(image, (618, 436), (628, 456), (210, 30, 25), -1)
    for x in (444, 576):
        cv2.circle(image, (x, 480), 31, (25, 25, 25), -1, cv2.LINE_AA)
        cv2.circle(image, (x, 480), 15, (170, 170, 175), -1, cv2.LINE_AA)
