"""Bags as people have them: every kind gives its images, and what is missing or damaged is told in a line."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import struct
import tempfile
from itertools import product
from pathlib import Path

import cv2
import pytest
import yaml
from bag_kinds import (
    FOREIGN,
    IMAGE,
    MAGIC,
    TOPIC,
    Kind,
    mcap_bytes,
    pixels_of,
    record,
    stored_images,
    write_crashed_db3,
    write_db3,
    write_kind,
    write_ros1,
)
from bag_writer import START_NS, STEP_NS
from hypothesis import example, given, settings
from hypothesis import strategies as st

from regionmask_ros.errors import InvalidFile, UserError
from regionmask_ros.sources import Reading, open_source
from regionmask_ros.sources.bags import files
from regionmask_ros.sources.bags.metadata import METADATA
from regionmask_ros.sources.bags.storage import decompress_zstd, zstd_module

COUNT = 6
ODD_NAMES = ("bag", "a b", "a#b", "a?mode=rwc&x=%41", "two\nlines", "ü", os.fsdecode(b"\xff\xfe bag"), "-x", "'\"$(x)")


def read(path: Path | str, topic: str = "") -> tuple[list[int], list[str], dict]:
    """Numbers of the images of a bag, checked by their content; the lines for the user; and the facts for a summary."""
    lines: list[str] = []
    with open_source(str(path), topic, reading=Reading(tell=lines.append)) as source:
        assert source.name.isprintable() and source.name.encode()
        frames = list(source.frames())
        facts = source.facts()["bag"]
    numbers = [(frame.stamp_ns - START_NS) // STEP_NS for frame in frames]
    assert all((frame.bgr() == pixels_of(number, frame.size_wh[0])).all() for frame, number in zip(frames, numbers))
    return numbers, lines, facts


def content_of(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in folder.iterdir()}


KINDS = st.one_of(
    st.builds(Kind, st.just("mcap"), st.sampled_from(["", "lz4", "zstd", None]), st.booleans()),
    st.builds(Kind, st.just("db3")),
).flatmap(lambda kind: st.builds(
    Kind, st.just(kind.storage), st.just(kind.chunks), st.just(kind.indexed), st.sampled_from(["", "file", "message"]),
    st.sampled_from(["missing", "no storage", "old path", "windows", "1", "4", "6", "9"]), st.integers(1, 3),
    st.booleans()))


@given(KINDS, st.sampled_from(ODD_NAMES))
@example(Kind(metadata="9"), "bag")
@example(Kind("db3", metadata="missing"), "bag")
@example(Kind(foreign=True, indexed=False), "bag")
@example(Kind("db3"), "a#b")
@settings(max_examples=20)
def test_all_images_of_a_bag_of_any_kind_are_read_and_it_is_not_touched(kind, name):
    with tempfile.TemporaryDirectory() as folder:
        bag = Path(folder, name)
        write_kind(bag, kind, COUNT)
        before = content_of(bag)
        numbers, lines, facts = read(bag)
        assert numbers == list(range(COUNT))
        assert [METADATA in line for line in lines] == ([True] if kind.metadata == "missing" else [])
        promised = None if kind.metadata == "missing" else COUNT
        assert (facts["promised_messages"], facts["found_messages"]) == (promised, COUNT)
        assert content_of(bag) == before


@given(st.sampled_from(["", "lz4", "zstd", None]), st.booleans(), st.floats(0.0, 1.0))
@settings(max_examples=20)
def test_a_truncated_mcap_gives_what_is_there_in_order(chunks, foreign, part):
    data = mcap_bytes(stored_images(COUNT), chunks, foreign=foreign)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "x.mcap")
        file.write_bytes(data[:round(part * len(data))])
        try:
            numbers, lines, _ = read(file)
        except UserError as error:
            assert "\n" not in str(error)
        else:
            assert numbers == list(range(len(numbers)))
            assert len(numbers) == COUNT or "truncated, the end is missing after" in lines[0]


@given(st.floats(0.0, 1.0), st.sampled_from([8, 64]))
@example(0.9, 8)
@settings(max_examples=15)
def test_a_truncated_database_gives_what_is_there_in_order(part, side):
    rows = stored_images(50, side)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "x.db3")
        write_db3(file, rows)
        data = file.read_bytes()
        file.write_bytes(data[:round(part * len(data))])
        try:
            numbers, lines, _ = read(file)
        except UserError as error:
            assert "\n" not in str(error) and part < 0.8
        else:
            assert numbers == sorted(set(numbers)) and len(numbers) >= (part - 0.6) * 50
            assert len(numbers) == 50 or "truncated, the end is missing" in lines[0]


def test_the_qos_text_does_not_matter(tmp_path):
    """Metadata and file differ in it, and neither is YAML."""
    write_kind(tmp_path / "bag", Kind(metadata="9"))
    assert read(tmp_path / "bag")[:2] == (list(range(COUNT)), [])


def test_types_that_are_not_needed_do_not_matter(tmp_path):
    """Services, actions, JSON, Protobuf, and a channel without a type."""
    for storage in ("mcap", "db3"):
        write_kind(tmp_path / storage, Kind(storage, foreign=True))
        assert read(tmp_path / storage)[0] == list(range(COUNT))


def test_the_log_that_a_crash_has_left_is_read(tmp_path):
    write_crashed_db3(tmp_path / "x.db3", stored_images(COUNT), in_log=4)
    before = content_of(tmp_path)
    numbers, lines, _ = read(tmp_path / "x.db3")
    assert numbers == list(range(COUNT)) and "read with the log that a crash has left" in lines[0]
    assert content_of(tmp_path) == before


def test_without_room_for_a_copy_a_database_is_read_without_its_log(tmp_path, monkeypatch):
    write_crashed_db3(tmp_path / "x.db3", stored_images(COUNT), in_log=4)
    monkeypatch.setattr(files, "_free_bytes", lambda: 1000)
    numbers, lines, _ = read(tmp_path / "x.db3")
    assert numbers == [0, 1] and "read without the log" in lines[0] and "set TMPDIR" in lines[0]
    write_kind(tmp_path / "bag", Kind(compression="file"))
    with pytest.raises(UserError, match="needs more room than .*: set TMPDIR"):
        read(tmp_path / "bag")


def test_a_copy_in_the_temporary_folder_is_removed(tmp_path, monkeypatch):
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    write_crashed_db3(tmp_path / "x.db3", stored_images(COUNT), in_log=4)
    with open_source(str(tmp_path / "x.db3")) as source:
        next(source.frames())
        (folder,) = scratch.iterdir()
        assert folder.stat().st_mode & 0o777 == 0o700 and len(list(folder.iterdir())) <= 2
    assert not list(scratch.iterdir())


def test_without_metadata_one_line_says_what_is_missing(tmp_path):
    write_kind(tmp_path / "bag", Kind("db3", metadata="missing"))
    numbers, lines, _ = read(tmp_path / "bag")
    assert numbers == list(range(COUNT))
    assert lines == [f"{tmp_path}/bag: metadata.yaml is missing: read without it (ros2 bag reindex makes it)"]


def test_a_truncated_file_says_how_many_seconds_are_missing(tmp_path):
    (file,) = write_kind(tmp_path / "bag", Kind(chunks=None))
    data = file.read_bytes()
    file.write_bytes(data[:data.index(pixels_of(4).tobytes()) + 10])
    numbers, lines, facts = read(tmp_path / "bag")
    assert numbers == [0, 1, 2, 3]
    assert f"{file.name}: truncated, the last 0.1 s are missing: mcap recover {file.name}" in lines[0]
    assert "metadata.yaml promises 6 messages on /cam/image, but 4 are there" in lines[1]
    assert (facts["promised_messages"], facts["found_messages"], facts["missing_messages"]) == (6, 4, 2)


def test_an_index_that_does_not_fit_the_file_is_not_used(tmp_path):
    data, more = mcap_bytes(stored_images(COUNT)), record(0x80, b"private")
    (start,) = struct.unpack_from("<Q", data, len(data) - 28)
    moved = data[:8] + more + data[8:-37] + record(2, struct.pack("<QQI", start + len(more), 0, 0)) + MAGIC
    (tmp_path / "x.mcap").write_bytes(moved)
    assert read(tmp_path / "x.mcap")[:2] == (list(range(COUNT)), [])


def test_a_damaged_chunk_is_left_out(tmp_path):
    data = bytearray(mcap_bytes(stored_images(COUNT), "", per_chunk=1))
    data[data.index(pixels_of(2).tobytes()[:60])] ^= 1
    (tmp_path / "x.mcap").write_bytes(data)
    numbers, lines, facts = read(tmp_path / "x.mcap")
    assert numbers == [0, 1, 3, 4, 5]
    assert (facts["promised_messages"], facts["found_messages"], facts["missing_messages"]) == (None, 5, 1)
    assert "damaged and left out: its checksum does not match" in lines[0]
    with open_source(str(tmp_path / "x.mcap")) as source:
        assert len(list(source.frames())) == 5 and source.reading.dropped.reasons == {"missing": 1}


def test_a_chunk_that_the_index_names_twice_is_read_once(tmp_path):
    data = mcap_bytes(stored_images(COUNT), per_chunk=COUNT)
    (start,) = struct.unpack_from("<Q", data, len(data) - 28)
    at = data.index(b"\x08", data.index(b"\x04", start))
    (length,) = struct.unpack_from("<Q", data, at + 1)
    index = data[at:at + 9 + length]
    # Opcode, length, then six fields before the number of chunks.
    chunks = data.index(b"\x0b", at + 9 + length) + 9 + 8 + 2 + 4 * 3
    twice = bytearray(data)
    twice[chunks:chunks + 4] = struct.pack("<I", 2)
    (tmp_path / "x.mcap").write_bytes(bytes(twice[:at]) + index + bytes(twice[at:]))
    assert read(tmp_path / "x.mcap")[0] == list(range(COUNT))


def test_other_messages_on_the_topic_of_the_images_are_not_missing(tmp_path):
    (file,) = write_kind(tmp_path / "bag", Kind("db3"))
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("INSERT INTO topics VALUES (2, ?, 'std_msgs/msg/String', 'cdr', '', '')", (TOPIC,))
        database.execute("INSERT INTO messages (topic_id, timestamp, data) VALUES (2, 1, x'00')")
        database.commit()
    metadata = tmp_path / "bag" / METADATA
    content = yaml.safe_load(metadata.read_text())
    topics = content["rosbag2_bagfile_information"]["topics_with_message_count"]
    topics.append({"topic_metadata": {"name": TOPIC, "type": "std_msgs/msg/String"}, "message_count": 1})
    metadata.write_text(yaml.safe_dump(content))
    numbers, lines, facts = read(tmp_path / "bag")
    assert numbers == list(range(COUNT)) and lines == []
    assert (facts["promised_messages"], facts["found_messages"], facts["missing_messages"]) == (COUNT, COUNT, 0)


def test_a_damaged_page_of_a_database_costs_one_message(tmp_path):
    write_db3(tmp_path / "x.db3", stored_images(COUNT, side=64))
    data = bytearray((tmp_path / "x.db3").read_bytes())
    # The first overflow page of an image names the next one.
    page = struct.unpack(">H", data[16:18])[0]
    at = data.index(pixels_of(3).tobytes()[:100]) // page * page
    following = next(i for i in range(at // page + 1, len(data) // page) if data[i * page + 4:(i + 1) * page] ==
                     bytes([15]) * (page - 4))
    data[following * page:following * page + 4] = struct.pack(">I", 0xFFFFFF)
    (tmp_path / "x.db3").write_bytes(data)
    numbers, lines, _ = read(tmp_path / "x.db3")
    assert len(numbers) == COUNT - 1 and "1 of its messages is damaged and left out" in lines[0]


def test_messages_behind_a_damaged_page_of_a_database_are_read(tmp_path):
    write_db3(tmp_path / "x.db3", stored_images(50))
    data = bytearray((tmp_path / "x.db3").read_bytes())
    page = struct.unpack(">H", data[16:18])[0]
    at = data.index(pixels_of(25).tobytes()) // page * page
    data[at:at + page] = b"\xff" * page
    (tmp_path / "x.db3").write_bytes(data)
    numbers, lines, facts = read(tmp_path / "x.db3")
    assert 25 not in numbers and {0, 49} < set(numbers) and len(numbers) >= 30
    assert "messages on damaged pages are left out" in lines[0] and facts["found_messages"] == len(numbers)
    with open_source(str(tmp_path / "x.db3")) as source:
        assert list(source.frames()) and source.reading.dropped.reasons == {"missing": 1}


def test_bags_that_only_share_a_folder_are_named(tmp_path):
    for name in ("monday.mcap", "tuesday.mcap"):
        (tmp_path / name).write_bytes(mcap_bytes(stored_images(COUNT)))
    numbers, lines, _ = read(tmp_path)
    assert len(numbers) == 2 * COUNT and "monday.mcap, tuesday.mcap are read one after the other" in lines[1]
    write_kind(tmp_path / "split", Kind(parts=3, metadata="missing"))
    assert len(read(tmp_path / "split")[1]) == 1


def test_images_that_are_coded_as_a_video_are_named(tmp_path):
    for kind in ("ffmpeg_image_transport_msgs/msg/FFMPEGPacket", "theora_image_transport/msg/Packet",
                 "foxglove_msgs/msg/CompressedVideo"):
        (tmp_path / "x.mcap").write_bytes(mcap_bytes(stored_images(COUNT), image_type=kind))
        with pytest.raises(UserError, match=rf"{kind}, 6\).*coded as a video are not read: .* republish"):
            read(tmp_path / "x.mcap")


def test_one_file_of_a_split_bag_is_read_alone_and_says_so(tmp_path):
    for storage, metadata in product(("mcap", "db3"), ("6", "missing")):
        folder = tmp_path / f"{storage} {metadata}"
        parts = write_kind(folder, Kind(storage, parts=3, metadata=metadata))
        numbers, lines, facts = read(parts[1])
        assert numbers == [2, 3] and facts["promised_messages"] is None
        assert lines == [f"{parts[1]}: one of 3 files of this bag: the others are not read"]


def test_a_missing_file_of_a_split_bag_is_told_and_counted(tmp_path):
    parts = write_kind(tmp_path / "bag", Kind(parts=3))
    parts[1].unlink()
    numbers, lines, facts = read(tmp_path / "bag")
    assert numbers == [0, 1, 4, 5] and facts["missing_messages"] == 2
    assert "metadata.yaml names bag_1.mcap, which is not there" in lines[0]
    assert "metadata.yaml promises 6 messages on /cam/image, but 4 are there" in lines[1]


def test_a_renamed_file_is_found(tmp_path):
    (file,) = write_kind(tmp_path / "bag", Kind())
    file.rename(file.with_name("monday.mcap"))
    numbers, lines, _ = read(tmp_path / "bag")
    assert numbers == list(range(COUNT)) and "names bag_0.mcap, which is not there" in lines[0]


def test_a_file_beside_those_of_the_metadata_is_not_read(tmp_path):
    parts = write_kind(tmp_path / "bag", Kind())
    (tmp_path / "bag" / "other.mcap").write_bytes(parts[0].read_bytes())
    numbers, lines, _ = read(tmp_path / "bag")
    assert numbers == list(range(COUNT)) and "does not name other.mcap: not read" in lines[0]


def test_a_file_that_was_compressed_or_decompressed_by_hand_is_found(tmp_path):
    (file,) = write_kind(tmp_path / "bag", Kind("db3", compression="file"))
    metadata = tmp_path / "bag" / METADATA
    metadata.write_text(metadata.read_text().replace(".db3.zstd", ".db3"))
    assert read(tmp_path / "bag")[:2] == (list(range(COUNT)), [])
    assert read(file)[:2] == (list(range(COUNT)), [])


def test_compressed_data_that_end_early_are_read_as_far_as_they_go(tmp_path):
    (file,) = write_kind(tmp_path / "bag", Kind(chunks=None, compression="file", metadata="missing"))
    file.write_bytes(file.read_bytes()[:-30])
    try:
        numbers, lines, _ = read(file)
    except UserError as error:
        assert "its compressed data end early" in str(error)
    else:
        assert numbers == list(range(len(numbers))) and "its compressed data end early" in " ".join(lines)


def test_a_bag_of_ros_1_is_read(tmp_path):
    write_ros1(tmp_path / "x.bag")
    numbers, lines, _ = read(tmp_path / "x.bag")
    assert numbers == list(range(COUNT)) and lines == []
    data = (tmp_path / "x.bag").read_bytes()
    (tmp_path / "x.bag").write_bytes(data[:len(data) // 2])
    with pytest.raises(UserError, match="x.bag: not a bag that can be read") as error:
        read(tmp_path / "x.bag")
    assert "\n" not in str(error.value)


def test_images_of_ros_1_in_an_mcap_file_are_read(tmp_path):
    write_ros1(tmp_path / "x.bag")
    from rosbags.rosbag1 import Reader

    with Reader(tmp_path / "x.bag") as reader:
        rows = [(time, data) for _, time, data in reader.messages()]
    (tmp_path / "x.mcap").write_bytes(mcap_bytes(
        rows, profile="ros1", image_type="sensor_msgs/Image", encoding="ros1"))
    assert read(tmp_path / "x.mcap")[0] == list(range(COUNT))


def test_a_topic_that_is_not_there_lists_those_that_are_with_type_and_count(tmp_path):
    write_kind(tmp_path / "bag", Kind(foreign=True))
    with pytest.raises(UserError) as error:
        read(tmp_path / "bag", "/front")
    assert f"no images on /front; the bag has {TOPIC} ({IMAGE}, 6), /act/_action/feedback (" in str(error.value)
    assert "/json (pkg.Json, json, 6)" in str(error.value) and str(error.value).count(", 6)") == 1 + len(FOREIGN)


@pytest.mark.parametrize(("name", "content", "words"), [
    ("x.mcap", b"", "x.mcap: .*empty file"),
    ("x.db3", b"version https://git-lfs.github.com/spec/v1\n", "x.db3: .*a Git LFS pointer instead of the file itself"),
    ("x.mcap", b"\x00\x01\x02", "x.mcap: .*neither MCAP, nor SQLite, nor a ROS 1 bag"),
    ("x.mcap", MAGIC, "no topic with images; it has no topic; .*truncated, the end is missing"),
    ("x.mcap", MAGIC + record(6, struct.pack("<QQQI", 0, 1, 2**60, 0) + struct.pack("<IQ", 0, 2**60)), "no topic"),
    ("x.db3", b"SQLite format 3\0" + bytes(5000), "x.db3"),
    ("x.bag", b"#ROSBAG V2.0\n", "x.bag"),
    ("x.mcap.zstd", b"\x28\xb5\x2f\xfd\x00", "x.mcap.zstd"),
])
def test_what_is_no_bag_is_refused_in_one_line(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    for path in (tmp_path, tmp_path / name):
        with pytest.raises(UserError, match=words) as error:
            read(path)
        assert "\n" not in str(error.value)


def test_a_folder_of_images_with_a_metadata_file_of_another_program_is_no_bag(tmp_path):
    cv2.imwrite(str(tmp_path / "1.png"), pixels_of(1))
    (tmp_path / METADATA).write_text("author: me")
    with open_source(str(tmp_path)) as source:
        assert len(list(source.frames())) == 1 and source.facts() == {}


def test_compressed_data_may_be_several_frames():
    frames = [zstd_module().compress(bytes([number]) * number) for number in range(5)]
    assert decompress_zstd(b"".join(frames)) == b"".join(bytes([number]) * number for number in range(5))
    for data in (b"".join(frames)[:-1], b"".join(frames) + b"x"):
        with pytest.raises(InvalidFile):
            decompress_zstd(data)
    with pytest.raises(InvalidFile, match="larger than 9 bytes"):
        decompress_zstd(b"".join(frames), 9)


def test_a_computed_column_is_refused(tmp_path):
    """Its expression could take any time, and SQLite cannot be interrupted."""
    write_db3(tmp_path / "x.db3", stored_images(COUNT))
    with contextlib.closing(sqlite3.connect(tmp_path / "x.db3")) as database:
        database.execute("ALTER TABLE messages ADD COLUMN slow AS (hex(zeroblob(100000000)))")
    with pytest.raises(UserError, match="no tables topics and messages"):
        read(tmp_path / "x.db3")


def test_a_view_instead_of_a_table_is_refused(tmp_path):
    """It could be a program that never ends."""
    write_db3(tmp_path / "x.db3", stored_images(COUNT))
    database = sqlite3.connect(tmp_path / "x.db3")
    database.execute("ALTER TABLE messages RENAME TO kept")
    database.execute("CREATE VIEW messages AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
                     " SELECT i AS id, 1 AS topic_id, i AS timestamp, x'00' AS data FROM n")
    database.close()
    with pytest.raises(UserError, match="no tables topics and messages"):
        read(tmp_path / "x.db3")
