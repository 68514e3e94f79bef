"""Writes bags for tests, without ROS."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from regionmask_ros.sources.bags.messages import DEFINITIONS

STORE = get_typestore(Stores.ROS2_HUMBLE)
for _name, _text in DEFINITIONS.items():
    STORE.register(get_types_from_msg(_text, _name))
_TYPES = STORE.types

START_NS = 1_700_000_000_000_000_000
STEP_NS = 50_000_000


def header(stamp_ns: int, frame_id: str = "front_optical"):
    stamp = _TYPES["builtin_interfaces/msg/Time"](*divmod(stamp_ns, 10**9))
    return _TYPES["std_msgs/msg/Header"](stamp, frame_id)


def image(pixels: np.ndarray, stamp_ns: int, encoding: str = "bgr8"):
    height, width = pixels.shape[:2]
    step = pixels.nbytes // height
    kind = _TYPES["sensor_msgs/msg/Image"]
    return kind(header(stamp_ns), height, width, encoding, 0, step, np.ascontiguousarray(pixels).reshape(-1))


def png(pixels: np.ndarray, stamp_ns: int, format_text: str = "bgr8; png compressed bgr8"):
    data = cv2.imencode(".png", pixels)[1].reshape(-1)
    return _TYPES["sensor_msgs/msg/CompressedImage"](header(stamp_ns), format_text, data)


def detections(stamp_ns: int, *objects: tuple):
    """A Detection2DArray of (id, class, score, x, y, w, h, radians); a class may be a dict of scores by name."""
    return _vision("Detection2DArray")(header(stamp_ns), [_detection(stamp_ns, *one) for one in objects])


def _detection(stamp_ns: int, track: str, name: str | dict, score: float, x: float, y: float, w: float, h: float,
               theta: float = 0.0):
    scores = name if isinstance(name, dict) else {name: score}
    nowhere = _TYPES["geometry_msgs/msg/Pose"](
        _TYPES["geometry_msgs/msg/Point"](0.0, 0.0, 0.0), _TYPES["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0))
    pose = _TYPES["geometry_msgs/msg/PoseWithCovariance"](nowhere, np.zeros(36))
    results = [
        _vision("ObjectHypothesisWithPose")(_vision("ObjectHypothesis")(one, sure), pose)
        for one, sure in scores.items()
    ]
    center = _vision("Pose2D")(_vision("Point2D")(x + w / 2, y + h / 2), theta)
    return _vision("Detection2D")(header(stamp_ns), results, _vision("BoundingBox2D")(center, w, h), track)


def _vision(name: str) -> type:
    return _TYPES[f"vision_msgs/msg/{name}"]


def without_definitions(folder: str) -> None:
    """Removes the message definitions from a db3 bag; bags of Humble have none."""
    (file,) = Path(folder).glob("*.db3")
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("DROP TABLE message_definitions")
        database.execute("DROP TABLE schema")
        database.commit()


def write_bag(folder: Path, topics: dict[str, list], storage: str = "mcap") -> str:
    """Writes the messages of each topic, one every STEP_NS, and returns the folder's path."""
    with Writer(folder, version=8, storage_plugin=StoragePlugin[storage.upper()]) as writer:
        for topic, messages in topics.items():
            connection = None
            for index, message in enumerate(messages):
                if connection is None:
                    connection = writer.add_connection(topic, message.__msgtype__, typestore=STORE)
                raw = STORE.serialize_cdr(message, message.__msgtype__)
                writer.write(connection, START_NS + index * STEP_NS + 3_000_000, raw)
    return str(folder)
