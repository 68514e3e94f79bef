"""What the page of ``view`` asks for: figures, pictures, and the main parameters of a running detector."""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic
from typing import Any

from rclpy.node import Node

from ..core.option_table import OPTIONS
from ..errors import UserError
from ..web.server import Answer, Request, Route, Routes, page_routes
from .client import RemoteDetector
from .node_info import list_figures
from .parameter_text import format_value
from .pictures import PictureFeed
from .publishers import MASK_PNG, OVERLAY_JPEG
from .status_watch import NodeStatus, StatusWatch
from .transport import ENDING, TYPES

PICTURE_WAIT_S = 2.0
OLD_REPORT_S = 3.0
"""A report that is older is marked: the node makes one a second."""

SLIDERS = {"score_threshold": (0.0, 1.0, 0.01), "refresh_period": (0, 100, 1), "target_masked": (0.0, 0.99, 0.01)}
"""Ends and step on the page. ``param set`` sets larger values."""

MAIN = ("mask_mode", "preset", "score_threshold", "refresh_period", "target_masked", "stale_detections")
"""The parameters on the page; no other can be set there, and none that names a file."""

BUTTONS = ("refresh", "reset")

CAMERA, OVERLAY, MASK = "camera", "overlay", "mask"
PICTURES = {OVERLAY: "camera, mask and boxes", CAMERA: "camera alone", MASK: "mask alone"}


class LiveView:
    """Answers the page, for one detector.

    Args:
        node: Gets subscriptions; its session spins.
        detector: The detector.
    """

    def __init__(self, node: Node, detector: RemoteDetector) -> None:
        self._detector = detector
        self._watch, self.pictures = StatusWatch(node), PictureFeed(node)
        self._topics: dict[str, tuple[str, str]] = {}

    def make_routes(self) -> Routes:
        """The page and all that it asks for."""
        return {
            **page_routes("view.html", "common.css", "view.css", "view.js"),
            ("GET", "options"): Route(lambda request: Answer.of_json(list_options(self._detector.name))),
            ("GET", "state"): Route(lambda request: Answer.of_json(self.read_state())),
            ("GET", "picture"): Route(self._answer_picture),
            ("POST", "parameters"): Route(lambda request: Answer.of_json(self.set_parameters(request.read_json()))),
            ("POST", "call"): Route(lambda request: Answer.of_json(self.call(request.read_json()))),
        }

    def read_state(self) -> dict[str, Any]:
        """State, parameters and figures now.

        Returns:
            Values for JSON.

        Raises:
            UserError: The node does not answer.
        """
        status = self._watch.last(self._detector.name)
        return {"state": self._detector.read_state(), "parameters": self._detector.read_parameters(MAIN),
                "level": status.level if status else "", "message": status.message if status else "no report yet",
                "is_old": status is None or monotonic() - status.received_s > OLD_REPORT_S,
                "figures": _make_figures(status.values) if status else [], "details": _list_details(status)}

    def set_parameters(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Sets parameters of ``MAIN`` as a whole; returns them as they are then. Raises UserError for a refusal."""
        for name, value in values.items():
            if name not in MAIN or not isinstance(value, str | int | float):
                raise UserError(f"{name}: cannot be set here")
        if values:
            self._detector.set_texts({name: _to_text(value) for name, value in values.items()})
        return {"parameters": self._detector.read_parameters(MAIN)}

    def call(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Calls a service of ``BUTTONS``; returns what the node says. Raises UserError for a refusal."""
        service = asked.get("service")
        if service not in BUTTONS:
            raise UserError("the page has no such button")
        return {"message": self._detector.trigger(str(service))}

    def _answer_picture(self, request: Request) -> Answer:
        after = request.query.get("after", "0")
        name = request.query.get("kind", OVERLAY)
        if name not in self._topics:
            self._topics[name] = self._find_topic(name)
        topic, kind = self._topics[name]
        number = int(after) if after.isdecimal() and len(after) < 12 else 0
        picture = self.pictures.wait(topic, kind, number, PICTURE_WAIT_S)
        if picture is None:
            # The camera may be on another topic now.
            self._topics.pop(name, None)
            return Answer(status=204)
        return Answer(picture.content, picture.kind, {"X-Picture": str(picture.number)})

    def _find_topic(self, picture: str) -> tuple[str, str]:
        """Topic and type. Raises UserError if the node does not have it."""
        if picture not in PICTURES:
            raise UserError("there is no such picture")
        if picture == CAMERA:
            status = self._watch.last(self._detector.name)
            values = status.values if status else {}
            kind = TYPES.get(values.get("image transport", ""))
            if kind is None:
                raise UserError("it is not known yet where the camera's images are")
            return values["image topic"], kind
        wanted = f"/{OVERLAY_JPEG if picture == OVERLAY else MASK_PNG}"
        for one in self._detector.list_topics():
            if one.is_output and one.topic.endswith(wanted):
                return one.topic, one.kind
        raise UserError(f"{self._detector.name} publishes no {wanted.removesuffix(ENDING)}: it is "
                        f"{self._detector.read_state()}")


def _to_text(value: str | float) -> str:
    return value if isinstance(value, str) else format_value(value)


def list_options(name: str) -> dict[str, Any]:
    """What the page is made of.

    Args:
        name: Full name of the node.

    Returns:
        Values for JSON.
    """
    options = []
    for parameter in MAIN:
        option = OPTIONS[parameter]
        low, high, step = SLIDERS.get(parameter, (0, 0, 0))
        options.append({"name": parameter, "text": option.text, "choices": list(option.choices),
                        "low": low, "high": high, "step": step})
    return {"node": name, "options": options, "buttons": list(BUTTONS), "pictures": PICTURES}


def _make_figures(values: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """The figures that matter: name, value, and a note."""
    def at(key: str, unit: str = "", factor: float = 1.0, digits: int = 1) -> str:
        text = values.get(key, "")
        return f"{factor * float(text):.{digits}f}{unit}" if text else "–"

    lost = values.get("frames lost before the node (reported)", "")
    dropped = sum(int(values.get(f"frames dropped ({why})", "0")) for why in ("overwritten", "broken"))
    return [
        ("latency", at("latency in node p50 [ms]", " ms"), f"95th percentile {at('latency in node p95 [ms]', ' ms')}"),
        ("masked", at("masked share", " %", 100.0, 0), "of the regions"),
        ("rate", at("fps", " /s"), f"camera {at('rate of the camera (estimated) [fps]', ' /s')}"),
        ("lost", str(dropped), f"of {values.get('frames received', '0')}; before the node: {lost}"),
    ]


def _list_details(status: NodeStatus | None) -> list[tuple[str, str]]:
    return [] if status is None else list_figures(status)
