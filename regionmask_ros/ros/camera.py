"""The subscription to the camera: raw or compressed images, their stamps, and what was lost on the way.

cv_bridge reads raw images where it is installed and right. Its compiled part fits one NumPy only, and some versions
misread padded rows or big-endian samples. So each combination of encoding and byte order is tried on a small image
first, and what cv_bridge gets wrong is read by ``sources.image_message``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from sensor_msgs.msg import CompressedImage, Image

from ..core.frame import Frame
from ..pipeline.settings import PipelineSettings
from ..sources.image_message import (
    ENCODINGS,
    Encoding,
    decode_compressed_image,
    decode_image,
    read_samples,
    stamp_ns,
)
from ..sources.pictures.depth import BitDepth
from ..sources.pictures.jpeg_decoders import MISSING, jpeg_decoder
from .callback_guard import shorten
from .camera_watch import FrameIdWatch, RateWatch
from .frame_stats import FrameStats
from .qos import subscribe
from .transport import AUTO, COMPRESSED, RAW, Feed, FeedChoice, advise, expected_feed, image_topics, published_types

ImageMessage: TypeAlias = Image | CompressedImage

LOG_PERIOD_S = 5.0

DEPTH = 5
"""Only the newest image is of use; the slot behind the callback keeps it and counts what it replaces. A queue of one
would lose images uncounted whenever this process gets no processor for the time of a frame.
"""

MESSAGES = {RAW: Image, COMPRESSED: CompressedImage}
"""The message type by transport."""

LOOK_S = 0.25
"""How often ``image_transport: auto`` looks for publishers."""

TRIAL_WH = (4, 2)


class BridgeReader:
    """Reads samples by a CvBridge where it is right, else by ``read_samples``.

    Args:
        bridge: A ``cv_bridge.CvBridge``.

    Attributes:
        trusted: Pairs of encoding and ``is_bigendian`` that the bridge reads right.
    """

    def __init__(self, bridge: Any) -> None:
        self._bridge = bridge
        self.trusted = frozenset(
            (name, order) for name in ENCODINGS for order in (0, 1) if _reads_correctly(bridge, name, order))

    def __call__(self, message: Image, encoding: Encoding) -> np.ndarray:
        """Returns samples [rows, width, channels], as ``read_samples``."""
        # cv_bridge has no shape for a row that is padded by part of a pixel.
        is_whole = message.step % (encoding.channels * encoding.sample_bytes) == 0
        if is_whole and (message.encoding, message.is_bigendian) in self.trusted:
            return _read_by_bridge(self._bridge, message, encoding)
        return read_samples(message, encoding)


def choose_reading() -> tuple[Callable[..., Frame], str]:
    """Returns what makes frames of raw images, and its name for diagnostics: ``cv_bridge`` or ``numpy``."""
    try:
        from cv_bridge import CvBridge

        reader = BridgeReader(CvBridge())
    except Exception:  # noqa: BLE001  built for another NumPy, it fails in several ways
        return decode_image, "numpy"
    return (partial(decode_image, samples=reader), "cv_bridge") if reader.trusted else (decode_image, "numpy")


class ImageReader:
    """Makes frames of image messages, raw or compressed, whatever comes.

    Args:
        transport: ``raw``, ``compressed`` or ``auto``.
        settings: Returns the settings now, for the limit of the pixels and the bits of 16-bit samples.
        warn: Called with a line if damaged images cannot be told from good ones, and for each change of the bits.

    Attributes:
        name: What reads the images, for diagnostics.
    """

    def __init__(self, transport: str, settings: Callable[[], PipelineSettings], warn: Callable[[str], object]
                 ) -> None:
        self._settings, self._warn = settings, warn
        self._depth = BitDepth(settings().image_bit_depth, warn)
        self._readings: dict[str, tuple[Callable[..., Frame], str]] = {}
        # Trying cv_bridge takes time, which the first image should not wait for.
        self.name = self._choose(RAW if transport == AUTO else transport)[1]

    def __call__(self, message: ImageMessage) -> Frame:
        """The frame of a message. Raises UserError for one that cannot be read."""
        decode, self.name = self._choose(RAW if isinstance(message, Image) else COMPRESSED)
        settings = self._settings()
        self._depth.use(settings.image_bit_depth)
        return decode(message, max_pixels=settings.max_image_pixels, depth=self._depth)

    def _choose(self, transport: str) -> tuple[Callable[..., Frame], str]:
        if transport not in self._readings:
            self._readings[transport] = choose_reading() if transport == RAW else self._choose_decoder()
        return self._readings[transport]

    def _choose_decoder(self) -> tuple[Callable[..., Frame], str]:
        decoder = jpeg_decoder()
        if not decoder.sees_damage:
            self._warn(MISSING)
        return decode_compressed_image, decoder.name


def _read_by_bridge(bridge: Any, message: Image, encoding: Encoding) -> np.ndarray:
    samples = np.asarray(bridge.imgmsg_to_cv2(message, desired_encoding="passthrough"))
    return samples.reshape(encoding.rows(message.height), message.width, encoding.channels)


def _reads_correctly(bridge: Any, name: str, bigendian: int) -> bool:
    """Tries an image whose samples all differ and whose rows are padded by one pixel."""
    encoding, (width, height) = ENCODINGS[name], TRIAL_WH
    step = (width + 1) * encoding.channels * encoding.sample_bytes
    message = Image(encoding=name, width=width, height=height, step=step, is_bigendian=bigendian)
    message.data.frombytes(bytes(range(1, 1 + step * encoding.rows(height))))
    try:
        samples = _read_by_bridge(bridge, message, encoding)
    except Exception:  # noqa: BLE001  whatever the error, it cannot read this
        return False
    return np.array_equal(samples, read_samples(message, encoding))


@dataclass(frozen=True)
class StampCheck:
    """What a stamp gives away: a warning for the user (empty for none), and whether it is that of the image before."""

    warning: str = ""
    is_repeated: bool = False


ZERO_STAMP = "images have no time stamp: results get none either and cannot be joined by time"
REPEATED_STAMP = "two images have the same time stamp: both are processed, but joins by time will mix them up"


class StampMonitor:
    """Checks each image's stamp once. A stamp of 0 is none: it neither repeats nor jumps.

    The first zero and the first repeated stamp give a warning, as they usually continue; each jump back gives one.
    """

    def __init__(self) -> None:
        self._last_ns = 0
        self._warned: set[str] = set()

    def check(self, stamp_ns: int) -> StampCheck:
        """Checks the next image's stamp, in nanoseconds."""
        last, self._last_ns = self._last_ns, stamp_ns
        if not stamp_ns:
            return StampCheck(self._once(ZERO_STAMP))
        if stamp_ns == last:
            return StampCheck(self._once(REPEATED_STAMP), is_repeated=True)
        if stamp_ns < last:
            return StampCheck(f"time stamps jumped back by {(last - stamp_ns) / 1e9:.3f} s: the detector is reset")
        return StampCheck()

    def _once(self, warning: str) -> str:
        if warning in self._warned:
            return ""
        self._warned.add(warning)
        return warning


def explain_mixture(topic: str, frame_ids: tuple[str, ...]) -> str:
    """Says that images of several cameras, with these frame ids, come on one topic, and what to do."""
    names = ", ".join(f"'{shorten(name)}'" for name in frame_ids[:3])
    return (f"images of several cameras mix on {topic} (frame ids {names}): each change resets the detector, so every "
            "image is observed as a whole; give each camera its own topic and node")


@dataclass(frozen=True)
class CameraState:
    """What headers say about the camera at one moment.

    Attributes:
        period_s: Seconds between two images as the camera takes them; None when unknown.
        mixed: Frame ids of cameras whose images alternate on the topic; empty for one camera.
        reports_losses: Whether the middleware reports images that it has lost.
        topic: Where images are expected; empty while nothing is subscribed to.
        transport: ``raw`` or ``compressed``, as they come; empty while nothing is subscribed to.
        advice: What is published instead of these images, and the argument to give; empty if nothing is known.
    """

    period_s: float | None = None
    mixed: tuple[str, ...] = ()
    reports_losses: bool = False
    topic: str = ""
    transport: str = ""
    advice: str = ""


class CameraInput:
    """Receives images until it is destroyed.

    With ``auto``, it subscribes to what is published, and changes when its publisher goes and another one is there.

    Args:
        node: Gets the subscription.
        transport: ``raw``, ``compressed`` or ``auto``.
        reliability: ``best_effort`` or ``reliable``.
        put: Called with each image in the executor's thread; returns at once.
        frame_stats: Counts losses, gaps and repeated stamps.
    """

    def __init__(self, node: Node, transport: str, reliability: str, put: Callable[[ImageMessage], None],
                 frame_stats: FrameStats) -> None:
        self._node, self._put, self._frame_stats = node, put, frame_stats
        self._stamps, self._rate, self._frame_ids = StampMonitor(), RateWatch(), FrameIdWatch()
        self._reports_losses = False
        self._qos = QoSProfile(
            history=HistoryPolicy.KEEP_LAST, depth=DEPTH, reliability=ReliabilityPolicy[reliability.upper()])
        self._image, self._wanted = node.resolve_topic_name("image"), transport
        self._publishers = partial(published_types, node)
        self._choice = FeedChoice(self._image)
        self._feed = expected_feed(self._image, transport)
        if transport == AUTO:
            self._feed = self._choice.look(self._feed, self._publishers)
        self._subscription = self._subscribe(self._feed)
        # A timer on simulated time would wait for a clock.
        self._timer = node.create_timer(LOOK_S, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME)) \
            if transport == AUTO else None

    @property
    def topic(self) -> str:
        """The full name of the topic."""
        return self._feed.topic

    @property
    def state(self) -> CameraState:
        """What is known of the camera now."""
        advice = advise(self._image, self._wanted, self._feed, self._publishers, partial(image_topics, self._node))
        return CameraState(self._rate.period_s, self._frame_ids.mixed(time.monotonic()), self._reports_losses,
                           self._feed.topic, self._feed.transport, advice)

    def destroy(self) -> None:
        """Ends the subscription. Nothing may be asked of the camera any more."""
        if self._timer:
            self._node.destroy_timer(self._timer)
        self._node.destroy_subscription(self._subscription)
        # They refer back to the camera: a cycle would keep the worker, its pipeline and the network for a long time.
        del self._subscription, self._timer

    def _subscribe(self, feed: Feed) -> Subscription:
        return subscribe(self._node, MESSAGES[feed.transport], feed.topic, self._receive, self._qos, self._count_lost)

    def _look(self) -> None:
        found = self._choice.look(self._feed, self._publishers)
        if found == self._feed:
            return
        self._node.destroy_subscription(self._subscription)
        self._rate.restart()
        self._subscription = self._subscribe(found)
        self._feed = found
        self._node.get_logger().info(f"{found.transport} images from {found.topic}, which has a publisher")

    def _receive(self, message: ImageMessage) -> None:
        stamp = stamp_ns(message.header.stamp)
        checked = self._stamps.check(stamp)
        if self._frame_ids.add(message.header.frame_id, time.monotonic()):
            self._rate.restart()
            self._warn_mixed()
        gap = self._rate.add(stamp)
        self._frame_stats.count(
            repeated=int(checked.is_repeated), judged=int(gap.is_judged), missing=gap.missing, pauses=int(gap.is_pause))
        if checked.warning:
            self._node.get_logger().warning(checked.warning, throttle_duration_sec=LOG_PERIOD_S)
        self._put(message)

    def _warn_mixed(self) -> None:
        mixed = self._frame_ids.mixed(time.monotonic())
        if mixed:
            self._node.get_logger().warning(explain_mixture(self.topic, mixed), once=True)

    def _count_lost(self, more: int) -> None:
        self._reports_losses = True
        if not more:
            return
        self._frame_stats.count(lost=more)
        self._node.get_logger().warning(
            "images are lost on the way here: give the camera's process the DDS profile for images (see README)",
            once=True)
