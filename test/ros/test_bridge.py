"""cv_bridge is used where it reads rightly, and both ways of reading give equal pixels.

The first part runs on the real cv_bridge and is skipped without one. The second needs none: it shows which readings
are trusted of a bridge that is right, and of one that makes the mistakes of known versions.
"""

from __future__ import annotations

import numpy as np
import pytest
from sensor_msgs.msg import Image

from regionmask_ros.ros.camera import BridgeReader, choose_reading
from regionmask_ros.sources.image_message import ENCODINGS, decode_image

PADDINGS = (0, 1, 2, 12)


def make_images():
    """One image of each encoding, byte order and padding."""
    for name, encoding in ENCODINGS.items():
        for bigendian in (0, 1):
            for padding in PADDINGS:
                step = 6 * encoding.channels * encoding.sample_bytes + padding
                built = Image(encoding=name, width=6, height=4, step=step, is_bigendian=bigendian)
                noise = np.random.default_rng(padding).integers(0, 256, step * encoding.rows(4), dtype=np.uint8)
                built.data.frombytes(noise.tobytes())
                yield built


def assert_equal_pixels(reading) -> None:
    for built in make_images():
        frame, own = reading(built), decode_image(built)
        assert frame.order == own.order
        np.testing.assert_array_equal(frame.pixels, own.pixels, err_msg=f"{built.encoding} of step {built.step}")


@pytest.fixture
def real_bridge():
    module = pytest.importorskip("cv_bridge", reason="cv_bridge is missing: a ROS installation brings it")
    return module.CvBridge()


def test_the_installed_cv_bridge_and_our_reading_give_equal_pixels(real_bridge):
    reading, name = choose_reading()
    assert name == "cv_bridge"
    assert_equal_pixels(reading)


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "rgba8", "bgra8", "mono8", "mono16", "8UC3"])
def test_cv_bridge_converts_to_bgr_as_we_do(real_bridge, encoding):
    for built in (p for p in make_images() if p.encoding == encoding and not p.is_bigendian):
        if built.step % (ENCODINGS[encoding].channels * ENCODINGS[encoding].sample_bytes) == 0:
            theirs = real_bridge.imgmsg_to_cv2(built, desired_encoding="bgr8")
            assert np.abs(theirs.astype(int) - decode_image(built).bgr()).max() <= (1 if encoding == "mono16" else 0)


class RightBridge:
    """Reads as cv_bridge promises to; knows no nv12."""

    def imgmsg_to_cv2(self, message: Image, desired_encoding: str) -> np.ndarray:
        if message.encoding == "nv12":
            raise ValueError("unknown encoding")
        encoding = ENCODINGS[message.encoding]
        kind = np.dtype(np.uint8 if encoding.sample_bytes == 1 else np.uint16)
        kind = kind.newbyteorder(">" if message.is_bigendian else "<")
        rows = encoding.rows(message.height)
        shape = rows, message.step // kind.itemsize // encoding.channels, encoding.channels
        return np.ndarray(shape, kind, message.data)[:, :message.width].astype(kind.newbyteorder("="))


class PaddingBlindBridge(RightBridge):
    """Takes the bytes at the end of rows for pixels, as the ROS 1 port does."""

    def imgmsg_to_cv2(self, message: Image, desired_encoding: str) -> np.ndarray:
        encoding = ENCODINGS[message.encoding]
        kind = np.uint8 if encoding.sample_bytes == 1 else np.uint16
        count = encoding.rows(message.height) * message.width * encoding.channels
        return np.frombuffer(message.data, kind, count)


class NativeOnlyBridge(RightBridge):
    """Fails on foreign byte order, as it does with NumPy 2."""

    def imgmsg_to_cv2(self, message: Image, desired_encoding: str) -> np.ndarray:
        if message.is_bigendian:
            raise AttributeError("newbyteorder")
        return super().imgmsg_to_cv2(message, desired_encoding)


@pytest.mark.parametrize(("bridge", "trusted"), [
    (RightBridge, {(name, order) for name in ENCODINGS for order in (0, 1)} - {("nv12", 0), ("nv12", 1)}),
    (NativeOnlyBridge, {(name, 0) for name in ENCODINGS} - {("nv12", 0)}),
    (PaddingBlindBridge, set()),
])
def test_a_bridge_is_trusted_with_what_it_reads_rightly_and_pixels_are_right_all_the_same(bridge, trusted):
    samples = BridgeReader(bridge())
    assert samples.trusted == trusted
    assert_equal_pixels(lambda built: decode_image(built, samples))
