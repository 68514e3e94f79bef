"""Finds out whether a camera's images come raw or compressed, and says which argument helps where none come.

Names follow image_transport: the raw images of a camera are on a base topic, compressed ones on ``<base>/compressed``.
The topic ``image`` may have been remapped to either of the two.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from rclpy.node import Node
from rclpy.topic_endpoint_info import TopicEndpointInfo

from .publishers import LAZY

RAW, COMPRESSED, AUTO = "raw", "compressed", "auto"
TYPES = {RAW: "sensor_msgs/msg/Image", COMPRESSED: "sensor_msgs/msg/CompressedImage"}
"""The type's name by transport."""

DETECTIONS_TYPE = "vision_msgs/msg/Detection2DArray"
"""A node that publishes it is a detector."""

ENDING = f"/{COMPRESSED}"
_DEPTH_ENDING = "/compressedDepth"
_MAX_NAMED = 3

Publishers = Callable[[str], Collection[str]]
"""Returns the types that are published on a topic."""


@dataclass(frozen=True)
class Feed:
    """Where images come from.

    Attributes:
        transport: ``raw`` or ``compressed``.
        topic: Full name of the topic.
    """

    transport: str
    topic: str

    def is_published(self, publishers: Publishers) -> bool:
        """Whether there is a publisher of the right type."""
        return TYPES[self.transport] in publishers(self.topic)


def feeds_of(image: str) -> tuple[Feed, ...]:
    """Where the images of a camera may be, the preferred feed first.

    Args:
        image: Full name of the topic ``image``.

    Returns:
        Raw before compressed, because raw images need no decoding and have lost nothing.
    """
    base = image.removesuffix(ENDING)
    feeds = (Feed(RAW, image), Feed(COMPRESSED, image)) if base == image else (Feed(COMPRESSED, image), Feed(RAW, base))
    return (*feeds, *([Feed(COMPRESSED, f"{image}{ENDING}")] if base == image else []))


def expected_feed(image: str, wanted: str) -> Feed:
    """The feed that is subscribed to as long as nothing is known of publishers.

    Args:
        image: Full name of the topic ``image``.
        wanted: The parameter ``image_transport``.

    Returns:
        The feed.
    """
    if wanted == AUTO:
        return feeds_of(image)[0]
    return Feed(wanted, image if wanted == RAW else f"{image}{ENDING}")


class FeedChoice:
    """Chooses the feed of ``image_transport: auto``.

    A feed that has a publisher is kept. Compressed images are taken only if no raw ones have shown up by the next look,
    because a camera that sends both is discovered topic by topic.

    Args:
        image: Full name of the topic ``image``.
    """

    def __init__(self, image: str) -> None:
        self._image = image
        self._candidate: Feed | None = None

    def look(self, current: Feed, publishers: Publishers) -> Feed:
        """Chooses again.

        Args:
            current: The feed in use.
            publishers: What is published now.

        Returns:
            The feed to use.
        """
        found = current if current.is_published(publishers) else self._find(publishers)
        is_sure = found is None or found.transport == RAW or found in (current, self._candidate)
        self._candidate = found
        return found if found and is_sure else current

    def _find(self, publishers: Publishers) -> Feed | None:
        return next((feed for feed in feeds_of(self._image) if feed.is_published(publishers)), None)


def advise(image: str, wanted: str, current: Feed, publishers: Publishers, others: Callable[[], Mapping[str, str]]
           ) -> str:
    """Says what is published instead of the images that the node waits for, and the argument to give.

    Args:
        image: Full name of the topic ``image``.
        wanted: The parameter ``image_transport``.
        current: The feed in use.
        publishers: What is published.
        others: Returns the transport by topic, of all topics with images.

    Returns:
        A part of a line; empty if the feed has a publisher, or nothing is known.
    """
    if current.is_published(publishers):
        return ""
    base = image.removesuffix(ENDING)
    for found in dict.fromkeys((*feeds_of(image), *feeds_of(base))):
        if wanted != AUTO and found.is_published(publishers):
            return (f"{found.topic} has {TYPES[found.transport]}, and image_transport is {wanted}: start the node with "
                    f"{_argument(found, image)}")
    foreign = sorted(publishers(current.topic))
    if foreign:
        return f"{current.topic} has {foreign[0]}, which is no image that can be read: remap the topic image"
    return _name_others(wanted, others())


def _name_others(wanted: str, others: Mapping[str, str]) -> str:
    """Names topics with images, those that need no other transport first, and the argument for the first one."""
    found = sorted(others, key=lambda topic: (wanted not in (AUTO, others[topic]), topic))
    if not found:
        return ""
    named = ", ".join(f"{topic} ({TYPES[others[topic]]})" for topic in found[:_MAX_NAMED])
    more = f" and {len(found) - _MAX_NAMED} more" if len(found) > _MAX_NAMED else ""
    return f"images are on {named}{more}: start the node with {_argument_for(found[0], others[found[0]], wanted)}"


def _argument_for(topic: str, transport: str, wanted: str) -> str:
    """The ROS arguments with which a node that has that transport set finds images on any topic."""
    base = topic.removesuffix(ENDING)
    if wanted == transport == COMPRESSED and base != topic:
        return f"-r image:={base}"
    # With auto, a topic that is called compressed is taken for that.
    needed = RAW if transport == RAW and (wanted != AUTO or base != topic) else AUTO
    return f"{'' if needed == wanted else f'-p image_transport:={needed} '}-r image:={topic}"


def _argument(found: Feed, image: str) -> str:
    """The ROS arguments with which the node finds a feed."""
    if found.transport == RAW:
        remapping = "" if found.topic == image else f" -r image:={found.topic}"
        return f"-p image_transport:=raw{remapping}"
    base = found.topic.removesuffix(ENDING)
    if base == found.topic:
        return f"-p image_transport:=auto (images on {found.topic} itself, not on {found.topic}{ENDING})"
    return "-p image_transport:=compressed" + ("" if base == image else f" -r image:={base}")


def published_types(node: Node, topic: str) -> frozenset[str]:
    """The types that other programs publish on a topic."""
    return frozenset(found.topic_type for found in node.get_publishers_info_by_topic(topic))


def image_topics(node: Node) -> dict[str, str]:
    """Finds the topics on which there are images of cameras.

    Args:
        node: What it publishes itself is left out, and what other detectors publish.

    Returns:
        The transport by topic.
    """
    topics = dict(node.get_topic_names_and_types())
    results = tuple(f"/{name}" for name in LAZY)
    detectors = {_name_publisher(found) for topic, types in topics.items() if DETECTIONS_TYPE in types
                 for found in node.get_publishers_info_by_topic(topic)}

    def has_images(topic: str, kind: str) -> bool:
        publishers = {_name_publisher(found) for found in node.get_publishers_info_by_topic(topic)
                      if found.topic_type == kind}
        # A bag that is played may have images and detections: only the names of results are left out.
        return bool(publishers - {own} - (detectors if topic.endswith(results) else set()))

    own = (node.get_name(), node.get_namespace())
    return {topic: transport for topic, types in topics.items() for transport, kind in TYPES.items()
            if kind in types and not topic.endswith(_DEPTH_ENDING) and has_images(topic, kind)}


def _name_publisher(found: TopicEndpointInfo) -> tuple[str, str]:
    return found.node_name, found.node_namespace
