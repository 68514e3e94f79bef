"""ROS messages made from arrays: every byte, header and name."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from builtin_interfaces.msg import Time
from hypothesis import given
from hypothesis import strategies as st
from made_detections import detections_of
from std_msgs.msg import Header

from regionmask_ros.core.detections import Detections
from regionmask_ros.ros.publishers import (
    detections_message,
    image_message,
    jpeg_message,
    label_info_message,
    png_message,
    stamp_from_ns,
)
from regionmask_ros.sources.image_message import stamp_ns

HEADER = Header(stamp=Time(sec=12, nanosec=345), frame_id="front_optical")


def test_image_message_has_header_step_and_every_byte():
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    built = image_message(pixels[:, ::-1], "bgr8", HEADER)
    assert (built.width, built.height, built.step, built.encoding, built.header) == (4, 2, 12, "bgr8", HEADER)
    assert bytes(built.data) == pixels[:, ::-1].tobytes()
    gray = image_message(pixels[:, :, 0], "mono8", HEADER)
    assert (gray.step, bytes(gray.data)) == (4, pixels[:, :, 0].tobytes())


def test_png_message_keeps_the_mask_and_names_its_format():
    mask = np.random.default_rng(1).choice(np.uint8([0, 255]), (20, 30))
    built = png_message(mask, HEADER)
    assert built.header == HEADER and built.format == "mono8; png compressed "
    assert np.array_equal(cv2.imdecode(np.frombuffer(built.data, np.uint8), cv2.IMREAD_UNCHANGED), mask)


def test_jpeg_message_is_close_to_the_image_and_names_its_format():
    image = np.full((20, 30, 3), (10, 120, 240), np.uint8)
    built = jpeg_message(image, HEADER)
    assert built.header == HEADER and built.format == "bgr8; jpeg compressed bgr8"
    decoded = cv2.imdecode(np.frombuffer(built.data, np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(decoded.astype(int) - image).max() <= 3


def test_each_detection_has_name_center_size_and_header():
    found = detections_of([10, 20, 30, 60], [0, 0, 5, 1], scores=(0.75, 0.5), class_ids=(1, 0))
    built = detections_message(found, ("person", "car"), HEADER)
    first, second = built.detections
    assert built.header == first.header == second.header == HEADER
    assert (first.bbox.center.position.x, first.bbox.center.position.y) == (20.0, 40.0)
    assert (first.bbox.size_x, first.bbox.size_y, first.bbox.center.theta) == (20.0, 40.0, 0.0)
    assert [d.results[0].hypothesis.class_id for d in built.detections] == ["car", "person"]
    assert first.results[0].hypothesis.score == 0.75


def test_tracked_object_has_its_number_as_id():
    found = replace(detections_of([0] * 4, [0] * 4), track_ids=np.array([7, -1]))
    assert [one.id for one in detections_message(found, ("person",), HEADER).detections] == ["7", ""]


def test_no_detection_is_an_empty_array_with_a_header():
    built = detections_message(Detections.empty(), ("person",), HEADER)
    assert built.header == HEADER and list(built.detections) == []


def test_label_info_maps_numbers_to_names():
    built = label_info_message(("person", "car"), 0.4, HEADER)
    assert [(c.class_id, c.class_name) for c in built.class_map] == [(0, "person"), (1, "car")]
    assert built.threshold == pytest.approx(0.4)


@given(st.integers(0, 2**31 * 10**9 - 1))
def test_stamp_keeps_its_nanoseconds(nanoseconds):
    assert stamp_ns(stamp_from_ns(nanoseconds)) == nanoseconds
