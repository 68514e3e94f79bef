"""Images of mcap and db3 bags, raw and compressed, and which bags are rejected."""

from __future__ import annotations

import time

import numpy as np
import pytest
from bag_writer import START_NS, STEP_NS, image, png, write_bag

from regionmask_ros.errors import UserError
from regionmask_ros.sources import BagImages, Reading, open_source
from regionmask_ros.sources.bags.metadata import METADATA

COUNT = 5


def pixels_of(index: int) -> np.ndarray:
    return np.random.default_rng(index).integers(0, 256, (12, 16, 3)).astype(np.uint8)


def raw_images() -> list:
    return [image(pixels_of(i), START_NS + i * STEP_NS) for i in range(COUNT)]


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("make", [image, png])
def test_every_image_has_its_own_stamp_and_camera_frame(tmp_path, storage, make):
    messages = [make(pixels_of(i), START_NS + i * STEP_NS) for i in range(COUNT)]
    with open_source(write_bag(tmp_path / "bag", {"/cam/image": messages}, storage)) as source:
        assert isinstance(source, BagImages) and source.topic == "/cam/image"
        assert (source.name, source.frame_count, source.size_wh) == ("bag", COUNT, (16, 12))
        assert source.fps == pytest.approx(20.0)
        for _ in range(2):
            frames = list(source.frames())
            assert [f.stamp_ns for f in frames] == [START_NS + i * STEP_NS for i in range(COUNT)]
            assert {f.frame_id for f in frames} == {"front_optical"}
            for i, frame in enumerate(frames):
                np.testing.assert_array_equal(frame.bgr(), pixels_of(i))


def test_a_file_in_the_folder_opens_the_bag(tmp_path):
    folder = write_bag(tmp_path / "bag", {"/cam/image": raw_images()})
    (file,) = (tmp_path / "bag").glob("*.mcap")
    with open_source(str(file)) as source:
        assert source.name == "bag" and len(list(source.frames())) == COUNT
    assert folder


def test_one_of_several_topics_must_be_named(tmp_path):
    folder = write_bag(tmp_path / "bag", {"/left": raw_images(), "/right": [image(pixels_of(9), 5)]})
    with pytest.raises(UserError, match="/left, /right: name one"):
        open_source(folder)
    with pytest.raises(UserError, match=r"no images on /rear; the bag has /left \(sensor_msgs/msg/Image, 5\), /right"):
        open_source(folder, "rear")
    with BagImages(folder, preferred="/left") as source:
        assert source.topic == "/left"
    with pytest.raises(UserError, match="name one"):
        open_source(folder, preferred="image")
    with open_source(folder, "right") as source:
        (frame,) = source.frames()
    np.testing.assert_array_equal(frame.bgr(), pixels_of(9))


def test_an_image_without_a_stamp_has_the_time_of_its_recording(tmp_path):
    with open_source(write_bag(tmp_path / "bag", {"/cam": [image(pixels_of(i), 0) for i in range(2)]})) as source:
        stamps = [frame.stamp_ns for frame in source.frames()]
    assert stamps == [START_NS + 3_000_000, START_NS + STEP_NS + 3_000_000]


def test_images_that_cannot_be_used_are_dropped_and_keep_their_numbers(tmp_path):
    messages = raw_images()
    messages[0].step, messages[2].encoding = 1, "h264"
    with open_source(write_bag(tmp_path / "bag", {"/cam": messages})) as source:
        assert [(number, frame.stamp_ns) for number, frame in source.numbered()] == [
            (i, START_NS + i * STEP_NS) for i in (1, 3, 4)]
        dropped = source.reading.dropped
    assert source.dropped == 2 and dropped.reasons == {"damaged": 1, "unsupported": 1}
    assert "/cam at " in dropped.first[0] and "step is 1" in dropped.first[0]


def test_a_bag_of_damaged_images_is_refused(tmp_path):
    messages = raw_images()
    for message in messages:
        message.encoding = "h264"
    with pytest.raises(UserError, match="encoding 'h264'"):
        open_source(write_bag(tmp_path / "bag", {"/cam": messages}))


def test_closing_ends_an_iteration(tmp_path):
    source = open_source(write_bag(tmp_path / "bag", {"/cam": raw_images()}))
    frames = source.frames()
    next(frames)
    source.close()
    assert list(frames) == []


def test_a_bag_without_a_readable_message_is_rejected_in_one_line(tmp_path):
    folder = tmp_path / "bag"
    write_bag(folder, {"/cam": raw_images()})
    data = next(folder.glob("*.mcap"))
    whole = data.read_bytes()
    for content in (b"", whole[:60], b"\x89MCAP0\r\n" + bytes(500), b"not a bag"):
        data.write_bytes(content)
        with pytest.raises(UserError) as error, open_source(str(folder)) as source:
            list(source.frames())
        assert "\n" not in str(error.value) and str(folder) in str(error.value)


@pytest.mark.parametrize("text", [
    "", "rosbag2_bagfile_information: 7", "{", "a: !!python/object/apply:os.system [x]", "[" * 5000, "{a: " * 5000,
    "- " * 5000, "? " * 5000, "x" * (5 << 20), "rosbag2_bagfile_information: {version: " + ":1" * 100_000 + "}",
], ids=lambda text: text[:8])
def test_metadata_that_cannot_be_used_are_left_out_at_once(tmp_path, text):
    folder = write_bag(tmp_path / "bag", {"/cam": raw_images()})
    (tmp_path / "bag" / METADATA).write_text(text)
    begin = time.process_time()
    lines = []
    with open_source(folder, reading=Reading(tell=lines.append)) as source:
        assert len(list(source.frames())) == COUNT
    assert "metadata.yaml cannot be used" in " ".join(lines) or "version" in text
    assert time.process_time() - begin < 0.5


def test_a_video_with_a_topic_is_rejected(tmp_path, make_clip):
    with pytest.raises(UserError, match="no topics"):
        open_source(make_clip(3, 2), "/cam")


def test_raw_and_compressed_topics_of_one_camera_are_one_source(tmp_path):
    both = {"/cam/image": raw_images(), "/cam/image/compressed": [png(pixels_of(7), START_NS)]}
    folder = write_bag(tmp_path / "bag", both)
    with BagImages(folder) as raw, BagImages(folder, only_compressed=True) as compressed:
        assert (raw.topic, compressed.topic) == ("/cam/image", "/cam/image/compressed")
        np.testing.assert_array_equal(next(compressed.frames()).bgr(), pixels_of(7))
    with BagImages(folder, "/cam/image", only_compressed=True) as below:
        assert below.topic == "/cam/image/compressed"
    with BagImages(folder, "cam/image/compressed") as named:
        assert named.compressed
    alone = write_bag(tmp_path / "raw", {"/cam/image": raw_images()})
    with pytest.raises(UserError, match="no topic with compressed images"):
        open_source(alone, only_compressed=True)


def test_compressed_depth_is_not_chosen_beside_a_camera(tmp_path):
    depth = [png(pixels_of(1), START_NS, "16UC1; compressedDepth")]
    camera = {"/cam/image/compressed": [png(pixels_of(7), START_NS)], "/cam/image/compressedDepth": depth}
    folder = write_bag(tmp_path / "bag", camera)
    for only_compressed in (False, True):
        with BagImages(folder, only_compressed=only_compressed) as source:
            assert source.topic == "/cam/image/compressed"
    alone = write_bag(tmp_path / "depth", {"/depth/compressedDepth": depth})
    for only_compressed in (False, True):
        with pytest.raises(UserError, match="compressed depth is not a camera image"):
            open_source(alone, only_compressed=only_compressed)


def test_stamps_are_read_without_decoding_images(tmp_path):
    messages = raw_images()
    messages[2].encoding = "h264"
    messages[3].header.stamp.sec = messages[3].header.stamp.nanosec = 0
    with BagImages(write_bag(tmp_path / "bag", {"/cam": messages})) as source:
        assert source.stamps() == [START_NS + i * STEP_NS + (3_000_000 if i == 3 else 0) for i in range(COUNT)]
