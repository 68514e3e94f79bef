"""Writes bags as many programs leave them, record by record: every part can be missing, old, odd or compressed."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import lz4.frame
import numpy as np
import yaml
from bag_writer import START_NS, STEP_NS, STORE, image
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.typesys import Stores, get_typestore

from regionmask_ros.sources.bags.storage import zstd_module

TOPIC = "/cam/image"
IMAGE = "sensor_msgs/msg/Image"
MAGIC = b"\x89MCAP0\r\n"
FOREIGN = (
    # Topic, type, encoding of messages, encoding of the definition, definition.
    ("/cam/image/_service_event", "pkg/srv/Trigger_Event", "cdr", "ros2msg", "service_msgs/Missing info\n???"),
    ("/act/_action/feedback", "pkg/action/Go_FeedbackMessage", "cdr", "ros2idl", "module { not IDL"),
    ("/json", "pkg.Json", "json", "jsonschema", "{"),
    ("/proto", "foxglove.CompressedImage", "protobuf", "protobuf", "\x00\x01"),
    ("/bare", "", "cdr", "", ""),
)
ODD_QOS = "- history: [1\n  no YAML: }"


@dataclass(frozen=True)
class Kind:
    """How a bag is stored; the values are words of the tests."""

    storage: str = "mcap"
    chunks: str | None = ""
    indexed: bool = True
    compression: str = ""
    metadata: str = "9"
    parts: int = 1
    foreign: bool = False


def pixels_of(index: int, side: int = 8) -> np.ndarray:
    return np.full((side, side, 3), 5 * index, np.uint8)


def stored_images(count: int, side: int = 8) -> list[tuple[int, bytes]]:
    """Time of recording and bytes of each image."""
    times = [START_NS + i * STEP_NS for i in range(count)]
    return [(time, bytes(STORE.serialize_cdr(image(pixels_of(i, side), time), IMAGE))) for i, time in enumerate(times)]


def write_kind(folder: Path, kind: Kind, count: int = 6) -> list[Path]:
    """Writes a bag of ``count`` images. Returns its storage files."""
    folder.mkdir(parents=True)
    rows = stored_images(count)
    if kind.compression == "message":
        rows = [(time, zstd_module().compress(data)) for time, data in rows]
    step = -(-count // kind.parts)
    files, parts = [], [rows[i:i + step] for i in range(0, count, step)]
    for number, part in enumerate(parts):
        file = folder / f"bag_{number}.{kind.storage}"
        if kind.storage == "mcap":
            file.write_bytes(mcap_bytes(part, kind.chunks, kind.indexed, kind.foreign))
        else:
            write_db3(file, part, kind.foreign, 1 if kind.metadata in ("1", "4") else 4)
        if kind.compression == "file":
            packed = file.with_name(f"{file.name}.zstd")
            packed.write_bytes(zstd_module().compress(file.read_bytes()))
            file.unlink()
            file = packed
        files.append(file)
    if kind.metadata != "missing":
        (folder / "metadata.yaml").write_text(metadata_text(kind, files, parts))
    return files


def metadata_text(kind: Kind, files: list[Path], parts: list[list]) -> str:
    prefix = {"old path": "/mnt/robot/bags/monday/", "1": "monday/", "windows": "C:\\bags\\"}.get(kind.metadata, "")
    count = sum(map(len, parts))
    information: dict[str, Any] = {
        "version": int(kind.metadata) if kind.metadata.isdecimal() else 6,
        "storage_identifier": "" if kind.metadata == "no storage" else {"db3": "sqlite3"}.get(kind.storage, "mcap"),
        "relative_file_paths": [prefix + file.name for file in files],
        "duration": {"nanoseconds": (count - 1) * STEP_NS},
        "starting_time": {"nanoseconds_since_epoch": START_NS},
        "message_count": count,
        "topics_with_message_count": [{
            "topic_metadata": {"name": TOPIC, "type": IMAGE, "serialization_format": "cdr",
                               "offered_qos_profiles": ODD_QOS if kind.metadata == "9" else ""},
            "message_count": count}],
        "compression_format": "zstd" if kind.compression else "",
        "compression_mode": kind.compression.upper(),
    }
    if information["version"] >= 5:
        information["files"] = [
            {"path": prefix + file.name, "starting_time": {"nanoseconds_since_epoch": part[0][0]},
             "duration": {"nanoseconds": part[-1][0] - part[0][0]}, "message_count": len(part)}
            for file, part in zip(files, parts)]
    return yaml.safe_dump({"rosbag2_bagfile_information": information})


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<I", len(data)) + data


def record(opcode: int, content: bytes) -> bytes:
    return struct.pack("<BQ", opcode, len(content)) + content


def mcap_bytes(rows: list[tuple[int, bytes]], chunks: str | None = "", indexed: bool = True, foreign: bool = False,
               profile: str = "ros2", image_type: str = IMAGE, encoding: str = "cdr", per_chunk: int = 2) -> bytes:
    """An MCAP file: ``chunks`` is their compression, or None for messages without chunks."""
    qos = text("offered_qos_profiles") + text(ODD_QOS)
    head = record(3, struct.pack("<H", 1) + text(image_type) + text("ros2msg") + text(""))
    head += record(4, struct.pack("<HH", 1, 1) + text(TOPIC) + text(encoding) + struct.pack("<I", len(qos)) + qos)
    for key, (topic, name, form, schema, definition) in enumerate(FOREIGN if foreign else (), 2):
        if name:
            head += record(3, struct.pack("<H", key) + text(name) + text(schema) + text(definition))
        head += record(4, struct.pack("<HH", key, key if name else 0) + text(topic) + text(form) + text(""))
    keys = range(1, 2 + (len(FOREIGN) if foreign else 0))
    data, summary, number_of_chunks = MAGIC + record(1, text(profile) + text("test")), head, 0
    if chunks is None:
        data += head + b"".join(_messages(keys, rows))
    for begin in range(0, len(rows) if chunks is not None else 0, per_chunk):
        part = rows[begin:begin + per_chunk]
        content = (b"" if begin else head) + b"".join(_messages(keys, part))
        packed = {"": bytes, "zstd": zstd_module().compress, "lz4": lz4.frame.compress}[chunks](content)
        times = struct.pack("<QQ", part[0][0], part[-1][0])
        chunk = record(6, times + struct.pack("<QI", len(content), crc32(content)) + text(chunks)
                       + struct.pack("<Q", len(packed)) + packed)
        offsets = b"".join(struct.pack("<HQ", key, 0) for key in keys)
        summary += record(8, times + struct.pack("<QQI", len(data), len(chunk), len(offsets)) + offsets
                          + struct.pack("<Q", 0) + text(chunks) + struct.pack("<QQ", len(packed), len(content)))
        data += chunk
        number_of_chunks += 1
    counts = b"".join(struct.pack("<HQ", key, len(rows)) for key in keys)
    summary += record(0x0B, struct.pack("<QHIIIIQQI", len(rows) * len(keys), 1, len(keys), 0, 0, number_of_chunks,
                                        rows[0][0] if rows else 0, rows[-1][0] if rows else 0, len(counts)) + counts)
    data += record(0x0F, struct.pack("<I", 0))
    start = len(data) if indexed else 0
    return data + (summary if indexed else b"") + record(2, struct.pack("<QQI", start, 0, 0)) + MAGIC


def _messages(keys: range, rows: list[tuple[int, bytes]]) -> list[bytes]:
    return [record(5, struct.pack("<HIQQ", key, 0, time, time) + (data if key == 1 else b"\xff"))
            for time, data in rows for key in keys]


def write_db3(file: Path, rows: list[tuple[int, bytes]], foreign: bool = False, schema: int = 4) -> None:
    """A database as rosbag2 writes it: ``schema`` 1 has no QoS, 4 has definitions."""
    with contextlib.closing(sqlite3.connect(file)) as database:
        fill_db3(database, rows, foreign, schema)


def fill_db3(
    database: sqlite3.Connection, rows: list[tuple[int, bytes]], foreign: bool = False, schema: int = 4,
) -> None:
    more = ", offered_qos_profiles TEXT, type_description_hash TEXT" if schema > 1 else ""
    database.execute(
        f"CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT, type TEXT, serialization_format TEXT{more})")
    database.execute("CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER, timestamp INTEGER, data BLOB)")
    database.execute("CREATE INDEX timestamp_idx ON messages (timestamp ASC)")
    if schema > 1:
        database.execute("CREATE TABLE message_definitions(id INTEGER PRIMARY KEY, topic_type TEXT, encoding TEXT,"
                         " encoded_message_definition TEXT, type_description_hash TEXT)")
    topics = [(TOPIC, IMAGE, "cdr", "", ""), *(FOREIGN if foreign else ())]
    for key, (topic, name, form, encoding, definition) in enumerate(topics, 1):
        database.execute(f"INSERT INTO topics VALUES (?, ?, ?, ?{', ?, ?' if schema > 1 else ''})",
                         (key, topic, name, form, *((ODD_QOS, "") if schema > 1 else ())))
        if schema > 1 and definition:
            database.execute(
                "INSERT INTO message_definitions VALUES (?, ?, ?, ?, '')", (key, name, encoding, definition))
        for time, data in rows:
            database.execute("INSERT INTO messages (topic_id, timestamp, data) VALUES (?, ?, ?)",
                             (key, time, data if key == 1 else b"\xff"))
    database.commit()


def write_crashed_db3(file: Path, rows: list[tuple[int, bytes]], in_log: int) -> None:
    """A database whose writer has died: its last messages are only in the write-ahead log beside it."""
    scratch = file.with_name("writing.db3")
    with contextlib.closing(sqlite3.connect(scratch)) as database:
        fill_db3(database, rows[:-in_log])
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA wal_autocheckpoint = 0")
        database.executemany("INSERT INTO messages (topic_id, timestamp, data) VALUES (1, ?, ?)", rows[-in_log:])
        database.commit()
        for suffix in ("", "-wal", "-shm"):
            Path(f"{file}{suffix}").write_bytes(Path(f"{scratch}{suffix}").read_bytes())
    os.unlink(scratch)


def write_ros1(file: Path, count: int = 6) -> None:
    """A bag of ROS 1."""
    store = get_typestore(Stores.ROS1_NOETIC)
    types = store.types
    with Ros1Writer(file) as writer:
        connection = writer.add_connection(TOPIC, IMAGE, typestore=store)
        for i in range(count):
            pixels = pixels_of(i)
            header = types["std_msgs/msg/Header"](
                i, types["builtin_interfaces/msg/Time"](*divmod(START_NS + i * STEP_NS, 10**9)), "front")
            message = types[IMAGE](header, 8, 8, "bgr8", 0, 24, pixels.reshape(-1))
            writer.write(connection, START_NS + i * STEP_NS, store.serialize_ros1(message, IMAGE))
