"""The command record: every message byte by byte, with the times of /clock; the folder appears when it is complete."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from rig import START_NS, message, send
from rosbags.highlevel import AnyReader
from rosgraph_msgs.msg import Clock

from regionmask_ros.commands import record
from regionmask_ros.datasets.bag import DETECTIONS
from regionmask_ros.ros.publishers import RESULTS, stamp_from_ns
from regionmask_ros.ros.recorder import RECORDED, topics_below
from regionmask_ros.sources.bags.metadata import METADATA, read_metadata

RECORDED_TOPICS = {recorded.topic for recorded in RECORDED}
REPOSITORY = Path(__file__).resolve().parents[2]


def test_messages_of_the_node_are_in_the_bag_with_simulated_times(rig, wait_for, tmp_path):
    folder = tmp_path / "new" / "bag"
    node, peer = rig()
    clock = peer.create_publisher(Clock, "/clock", RESULTS)
    process = subprocess.Popen(
        [sys.executable, "-m", "regionmask_ros", "record", str(folder), "--ros-args", "-p", "use_sim_time:=true"],
        cwd=REPOSITORY, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ),
    )
    try:
        recorded = [publisher for publisher in node.publishers if publisher.topic_name in RECORDED_TOPICS]
        peers = {"/detections": 2, "/diagnostics": 2}
        wait_for(lambda: clock.get_subscription_count() and all(
            publisher.get_subscription_count() >= peers.get(publisher.topic_name, 1) for publisher in recorded
        ))
        for index in range(3):
            clock.publish(Clock(clock=stamp_from_ns(START_NS + index)))
            send(peer, wait_for, [message(index)])
        # Nothing shows when the other process has taken the last messages.
        time.sleep(0.6)
        assert not folder.exists(), "it appears when it is complete"
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=120.0)
    finally:
        process.kill()
    assert process.returncode == 0 and errors == "" and f"recorded in {folder}" in output
    with AnyReader([folder]) as reader:
        assert {c.topic for c in reader.connections} == {topic.topic for topic in RECORDED}
        found: list[tuple[str, int, Any]] = [
            (c.topic, ns, reader.deserialize(raw, c.msgtype)) for c, ns, raw in reader.messages()]
    detections = [(ns, m.header.stamp.sec, m.header.stamp.nanosec) for topic, ns, m in found if topic == "/detections"]
    stamps = [message(i).header.stamp for i in range(3)]
    assert [d[1:] for d in detections] == [(s.sec, s.nanosec) for s in stamps]
    assert {ns for ns, *_ in detections} <= {0, *(START_NS + i for i in range(3))}
    assert not list(folder.parent.glob(".*"))
    # What `ros2 bag play`, `ros2 bag info` and Foxglove open: a visible file that metadata.yaml names.
    assert sorted(file.name for file in folder.iterdir()) == ["bag_0.mcap", "metadata.yaml"]
    promise = read_metadata(str(folder / METADATA))
    assert promise.files == ("bag_0.mcap",) and promise.counts["/detections", DETECTIONS] == len(detections)
    information = yaml.safe_load((folder / METADATA).read_text())["rosbag2_bagfile_information"]
    assert information["storage_identifier"] == "mcap" and information["compression_mode"] == ""


def test_existing_folder_is_left_alone(tmp_path, capsys):
    (tmp_path / "bag").mkdir()
    assert record.main([str(tmp_path / "bag")]) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(("namespace", "first"), [("", "/detections"), ("front", "/front/detections"),
                                                  ("/a/b/", "/a/b/detections")])
def test_topics_follow_the_namespace_and_diagnostics_do_not(namespace, first):
    topics = topics_below(namespace, images=False)
    assert topics[0].topic == first and topics[-1].topic == "/diagnostics" and len(topics) == 3
