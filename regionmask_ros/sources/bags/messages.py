"""Makes messages out of stored bytes. Only types that are asked for are parsed, images never by the bag's own text."""

from __future__ import annotations

from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ...errors import InvalidFile
from .storage import ZSTD_MAGIC, Channel, decompress_zstd

if TYPE_CHECKING:
    from rosbags.typesys.store import Typestore

DEFINITIONS = MappingProxyType({
    "vision_msgs/msg/Detection2DArray": "std_msgs/Header header\nvision_msgs/Detection2D[] detections\n",
    "vision_msgs/msg/Detection2D": (
        "std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\nvision_msgs/BoundingBox2D bbox\n"
        "string id\n"),
    "vision_msgs/msg/BoundingBox2D": "vision_msgs/Pose2D center\nfloat64 size_x\nfloat64 size_y\n",
    "vision_msgs/msg/Pose2D": "vision_msgs/Point2D position\nfloat64 theta\n",
    "vision_msgs/msg/Point2D": "float64 x\nfloat64 y\n",
    "vision_msgs/msg/ObjectHypothesisWithPose": (
        "vision_msgs/ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose\n"),
    "vision_msgs/msg/ObjectHypothesis": "string class_id\nfloat64 score\n",
})
"""The .msg text of the vision_msgs 4 types that labels consist of, for bags without definitions of their messages."""

ENCODINGS = ("cdr", "ros1")

_IDL_SEPARATOR = "=" * 80 + "\n"
_FIXED_PACKAGES = ("sensor_msgs",)
"""Packages whose messages have never changed: what a bag says of them is not needed."""


class Deserializer:
    """Makes messages of one channel.

    Args:
        channel: The channel.

    Raises:
        InvalidFile: It is serialized in a way that is not supported.
    """

    def __init__(self, channel: Channel) -> None:
        if channel.encoding not in ENCODINGS:
            raise InvalidFile(f"{channel.topic} is serialized as {channel.encoding}, not as ROS does")
        self._channel = channel
        self._store = _known_types(channel.encoding)
        if channel.definition and not channel.msgtype.startswith(tuple(f"{name}/" for name in _FIXED_PACKAGES)):
            self._store = _stored_types(channel) or self._store

    def read(self, data: bytes) -> Any:
        """Makes a message.

        Args:
            data: As stored, maybe compressed.

        Returns:
            An object with the fields of the message.

        Raises:
            InvalidFile: The data are damaged.
        """
        # CDR begins with a zero.
        if self._channel.encoding == "cdr" and data.startswith(ZSTD_MAGIC):
            data = decompress_zstd(data)
        read = self._store.deserialize_cdr if self._channel.encoding == "cdr" else self._store.deserialize_ros1
        # For damaged data rosbags raises exceptions of many kinds.
        try:
            return read(data, self._channel.msgtype)
        except Exception as error:
            raise InvalidFile(f"not a message of {self._channel.msgtype} ({error or type(error).__name__})"
                              ) from error


@cache
def _known_types(encoding: str) -> Typestore:
    """Types that need no definitions in the bag."""
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    store = get_typestore(Stores.ROS1_NOETIC if encoding == "ros1" else Stores.LATEST)
    for name, text in DEFINITIONS.items():
        store.register(get_types_from_msg(text, name))
    return store


def _stored_types(channel: Channel) -> Typestore | None:
    """Types as the bag defines them; None if its text cannot be used."""
    from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore

    store = get_typestore(Stores.EMPTY)
    try:
        if channel.definition_format in ("ros2msg", "ros1msg"):
            store.register(get_types_from_msg(channel.definition, channel.msgtype))
        elif channel.definition_format in ("ros2idl", "omgidl"):
            texts = [channel.definition]
            if channel.definition.startswith(f"{_IDL_SEPARATOR}IDL: "):
                texts = [part.partition("\n")[2] for part in channel.definition.split(_IDL_SEPARATOR)[1:]]
            for text in texts:
                store.register(get_types_from_idl(text))
        return store if channel.msgtype in store.fielddefs else None
    # As above.
    except Exception:  # noqa: BLE001
        return None
