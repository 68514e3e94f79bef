"""Bags for tests, written without ROS."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

STORE = get_typestore(Stores.ROS2_HUMBLE)
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


def write_bag(folder: Path, topics: dict[str, list], storage: str = "mcap") -> str:
    """Writes messages by topic, one every STEP_NS in all. Returns the folder as text."""
    with Writer(folder, version=8, storage_plugin=StoragePlugin[storage.upper()]) as writer:
        for topic, messages in topics.items():
            connection = None
            for index, message in enumerate(messages):
                if connection is None:
                    connection = writer.add_connection(topic, message.__msgtype__, typestore=STORE)
                raw = STORE.serialize_cdr(message, message.__msgtype__)
                writer.write(connection, START_NS + index * STEP_NS + 3_000_000, raw)
    return str(folder)
