"""Parts of the demo: the account of frames, the output folder, the message definitions, the bag."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.serialization import serialize_message
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray, LabelInfo

from regionmask_ros.core.detections import UNTRACKED, Detections
from regionmask_ros.errors import UserError
from regionmask_ros.files.outputs import MARKER, DemoFolder
from regionmask_ros.ros.demo.pages import RecordedBag, write_files
from regionmask_ros.ros.demo.show import Account, make_account
from regionmask_ros.ros.publishers import detections_message, image_message, label_info_message, stamp_from_ns
from regionmask_ros.ros.recorder import BagWriter, make_typestore, msg_type


def test_every_frame_played_is_answered_dropped_or_lost():
    account = Account(played=250, received=249, answered=240, overwritten=6, broken=3)
    assert account.lost == 1
    counts = account.as_json()
    assert counts["played"] == sum(n for key, n in counts.items() if key != "played")
    assert account.line() == (
        "250 frames played = 240 answered + 9 dropped by the node (6 overwritten, 3 broken) + 1 lost before the node"
    )


@pytest.mark.parametrize("counts", [(250, 250, 240, 6, 3), (248, 249, 240, 6, 3)])
def test_counts_that_do_not_add_up_are_rejected(counts):
    with pytest.raises(ValueError):
        Account(*counts)


def test_the_account_is_read_from_the_nodes_diagnostics():
    report = {"frames received": "9", "frames answered": "6", "frames dropped (overwritten)": "2",
              "frames dropped (broken)": "1"}
    assert make_account(10, report) == Account(10, 9, 6, 2, 1)


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_folder_appears_when_it_is_complete_and_replaces_an_older_demos_folder(tmp_path):
    target = tmp_path / "demo output"
    for content in ("one", "two"):
        with DemoFolder(str(target)) as folder:
            (folder.work / content).touch()
            assert not (target / content).exists()
            folder.commit()
        assert files(target) == {content, MARKER} and files(tmp_path) == {"demo output"}


def test_an_error_leaves_only_the_older_folder(tmp_path):
    target = tmp_path / "out"
    with DemoFolder(str(target)) as folder:
        (folder.work / "old").touch()
        folder.commit()
    with pytest.raises(KeyboardInterrupt), DemoFolder(str(target)) as folder:
        (folder.work / "half").touch()
        raise KeyboardInterrupt
    assert files(target) == {"old", MARKER} and files(tmp_path) == {"out"}


def test_a_folder_of_another_program_is_not_touched(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UserError, match="not made by the demo"):
        DemoFolder(str(tmp_path))
    with pytest.raises(UserError, match="not a folder"):
        DemoFolder(str(tmp_path / "thesis.tex"))
    assert files(tmp_path) == {"thesis.tex"}


@pytest.mark.parametrize(("idl_type", "written"), [
    ("boolean", "bool"), ("octet", "byte"), ("double", "float64"), ("float", "float32"), ("uint8", "uint8"),
    ("string", "string"), ("string<12>", "string<=12"), ("sequence<octet>", "byte[]"), ("double[36]", "float64[36]"),
    ("sequence<uint8, 8>", "uint8[<=8]"), ("sequence<string<12>, 8>", "string<=12[<=8]"),
    ("vision_msgs/Pose2D", "vision_msgs/Pose2D"), ("sequence<std_msgs/Header>", "std_msgs/Header[]"),
])
def test_field_types_are_written_as_in_a_msg_file(idl_type, written):
    assert msg_type(idl_type) == written


def test_definitions_have_the_type_hashes_of_ros():
    ours, known = make_typestore(Image, DiagnosticArray), get_typestore(Stores.ROS2_KILTED)
    for name in ("sensor_msgs/msg/Image", "diagnostic_msgs/msg/DiagnosticArray", "std_msgs/msg/Header"):
        assert ours.hash_rihs01(name) == known.hash_rihs01(name)


def test_definitions_of_vision_msgs_have_the_hashes_of_the_generator():
    prefixes = [Path(sys.prefix), *map(Path, filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)))]
    shares = [prefix / "share" / "vision_msgs" / "msg" for prefix in prefixes]
    share = next((share for share in shares if (share / "LabelInfo.json").exists()), None)
    if share is None:
        pytest.skip("this ROS has no type hashes (Humble has none)")
    ours = make_typestore(Detection2DArray, LabelInfo)
    for name in ("Detection2DArray", "LabelInfo"):
        generated = share / f"{name}.json"
        hashes = {h["type_name"]: h["hash_string"] for h in json.loads(generated.read_text())["type_hashes"]}
        assert ours.hash_rihs01(f"vision_msgs/msg/{name}") == hashes[f"vision_msgs/msg/{name}"]


LABELS = ("person", "car")


@pytest.fixture
def bag(tmp_path):
    """Three frames; the second has no overlay, and the third's images were recorded before its detections."""
    writer = BagWriter(tmp_path / "bag")
    writer.write("/label_info", serialize_message(label_info_message(LABELS, 0.4, Header())), time.time_ns())
    for index in range(3):
        header = Header(stamp=stamp_from_ns(10**9 * (index + 1)), frame_id="camera")
        found = Detections(np.full((index, 4), [10, 20, 30, 60], np.float32), np.full(index, 0.5, np.float32),
                           np.ones(index, np.int32), np.array([7, UNTRACKED])[:index])
        mask = np.zeros((48, 64), np.uint8)
        mask[:, :16 * index] = 255
        messages = [
            ("/detections", detections_message(found, LABELS, header)), ("/mask", image_message(mask, "mono8", header)),
        ]
        if index != 1:
            messages.append(("/overlay", image_message(np.full((48, 64, 3), 80 * index, np.uint8), "bgr8", header)))
        for topic, message in messages if index < 2 else reversed(messages):
            writer.write(topic, serialize_message(message), time.time_ns())
    report = DiagnosticStatus(level=b"\x00", values=[KeyValue(key="backend", value="cpu")])
    writer.write("/diagnostics", serialize_message(DiagnosticArray(status=[report])), time.time_ns())
    writer.close()
    return tmp_path / "bag"


def test_bag_has_everything_that_the_page_needs(bag):
    recorded = RecordedBag(bag)
    frames = list(recorded.frames())
    assert [frame.stamp_ns for frame in frames] == [10**9, 2 * 10**9, 3 * 10**9]
    assert [len(frame.detections) for frame in frames] == [0, 1, 2]
    assert frames[2].detections.boxes.tolist() == [[10, 20, 30, 60]] * 2
    assert frames[2].detections.class_ids.tolist() == [1, 1]
    assert frames[2].detections.track_ids.tolist() == [7, UNTRACKED]
    assert [frame.overlay is None for frame in frames] == [False, True, False]
    assert frames[2].overlay.shape == (48, 64, 3) and frames[2].overlay[0, 0].tolist() == [160] * 3
    assert frames[1].mask[0].tolist() == [255] * 16 + [0] * 48
    assert recorded.labels == LABELS and recorded.report == {"backend": "cpu"}


def test_files_are_made_from_the_bag(bag, tmp_path):
    *_, story = write_files(bag, tmp_path, 25.0)
    summary = story.summary()
    assert summary["recorded"] == {"detections": 3, "masks": 3, "overlays": 2}
    assert summary["detections"] == 3 and summary["by_class"] == {"car": 3}
    assert summary["masked_share"] == pytest.approx((0.75 + 0.5) / 2)
    table = (tmp_path / "detections.csv").read_text().splitlines()
    assert table[1] == "1,2000000000,car,0.5000,10.00,20.00,20.00,40.00,7" and len(table) == 4
    assert (tmp_path / "annotated.mp4").stat().st_size > 0
