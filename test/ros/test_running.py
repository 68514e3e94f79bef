"""The commands param, call, echo and info, with a node that runs."""

from __future__ import annotations

import contextlib
import json
import threading

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from rclpy.parameter import Parameter
from rig import Peer, header, message, send
from rig import call as call_in_node
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

from regionmask_ros.commands import call, echo, info, param
from regionmask_ros.core.option_table import OPTIONS
from regionmask_ros.errors import UserError
from regionmask_ros.ros import client
from regionmask_ros.ros.echo import describe, format_json, format_line
from regionmask_ros.ros.guarded_node import GuardedNode
from regionmask_ros.ros.node import DetectorNode
from regionmask_ros.ros.parameter_text import format_file, format_value, parse_value
from regionmask_ros.sources.image_message import stamp_ns


@pytest.fixture
def said(capsys, session, monkeypatch):
    """A function that runs a command in the session of the test, and returns its exit status and what it has printed.

    A session of its own would find the node of this process only after seconds.
    """
    @contextlib.contextmanager
    def open_here(args):
        yield session, session.add(client.GraphClient)

    def run(command, *arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(command, "open_client", open_here)
        capsys.readouterr()
        status = command.main([*arguments, "--wait", "60"])
        found = capsys.readouterr()
        return status, found.out + found.err

    return run


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    """A search ends soon after the last node was found."""
    monkeypatch.setattr(client, "SETTLE_S", 0.1)


@pytest.fixture
def remote(session):
    """A function that makes a client of the node, in the node's session."""
    return lambda: client.RemoteDetector(session.add(client.GraphClient), "/detector")


def test_parameters_are_read_and_set_as_a_whole(rig, remote, said):
    node, _peer = rig()
    assert said(param, "set", "score_threshold", "1", "classes", "[disc]") == (
        0, "set in /detector: score_threshold, classes\n")
    status, line = said(param, "set", "refresh_period", "3", "target_masked", "7")
    assert status == 2 and "refuses: Parameter target_masked out of range" in line and line.count("\n") == 1
    assert node.get_parameter("refresh_period").value == 8, "nothing has changed"
    detector = remote()
    assert detector.read_parameters(["classes", "score_threshold"]) == {"classes": ["disc"], "score_threshold": 1.0}
    assert set(OPTIONS) <= set(detector.list_parameters())
    for texts, reason in (({"refresh_perod": "3"}, "no parameter refresh_perod: did you mean refresh_period"),
                          ({"network_file": "x"}, "network_file can be set only when the node starts"),
                          ({"refresh_period": "true"}, "refresh_period 'true': must be a whole number")):
        with pytest.raises(UserError, match=reason):
            detector.set_texts(texts)


def test_a_dumped_file_gives_another_node_the_same_parameters(rig, said, session, tmp_path, tiny_network):
    node, _peer = rig(classes=["square"], static_mask_output="1e5.npz", refresh_period=3)
    status, text = said(param, "dump")
    assert status == 0 and list(yaml.safe_load(text)) == ["/detector"]
    file = tmp_path / "dumped.yaml"
    file.write_text(text)
    arguments = ["--ros-args", "--params-file", str(file)]
    other = session.add(lambda **given: DetectorNode(lambda name: tiny_network, cli_args=arguments, **given))
    for name in OPTIONS:
        assert other.get_parameter(name).value == node.get_parameter(name).value, name


def test_services_are_called_and_refusals_are_one_line(rig, remote, said, wait_for, tmp_path):
    node, peer = rig(output_directory=str(tmp_path))
    detector = remote()
    with pytest.raises(UserError, match="/detector refuses: .*no image has come yet"):
        detector.trigger("save_static_mask")
    send(peer, wait_for, [message(0)])
    assert said(call, "reset") == (0, "/detector: the detector is reset; the next image is observed as a whole\n")
    assert node._configured.pipeline.resets == 1
    call_in_node(node, node.trigger_deactivate)
    call_in_node(node, node.trigger_cleanup)
    with pytest.raises(UserError, match="/detector is unconfigured: configure it first"):
        detector.trigger("refresh")
    assert said(info)[1].startswith("/detector  unconfigured\n"), "it is found in every state"


def test_detections_are_lines_and_json(rig, wait_for, said):
    node, peer = rig(mask_mode="none", score_threshold=0.3)
    done = threading.Event()

    def feed() -> None:
        wait_for(lambda: node.count_subscribers("/detections") > 1 or done.is_set())
        while not done.is_set():
            send(peer, wait_for, [message(len(peer.heard["detections"]))])

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        status, lines = said(echo, "detections", "--json", "--count", "3")
    finally:
        done.set()
        feeder.join()
    rows = [json.loads(line) for line in lines.splitlines()]
    sent = {stamp_ns(found.header.stamp): found for found in peer.heard["detections"]}
    assert status == 0 and len(rows) == 3 and any(row["detections"] for row in rows)
    for row in rows:
        assert row == describe(sent[row["stamp_ns"]]) and row["frame_id"] == "left_optical"


def test_a_line_for_people_and_its_values_for_programs():
    message = Detection2DArray(header=header(2))
    found = Detection2D(id="12", results=[ObjectHypothesisWithPose()])
    found.results[0].hypothesis.class_id, found.results[0].hypothesis.score = "per\x1bson", 0.5
    found.bbox.center.position.x, found.bbox.size_x, found.bbox.size_y = 50.0, 20.0, 8.0
    assert format_line(message) == "1000000000.080000000  0"
    message.detections = [found, Detection2D()]
    assert format_line(message) == "1000000000.080000000  2: per\\x1bson 12 0.50 (40 -4 20x8),  0.00 (0 0 0x0)"
    assert json.loads(format_json(message))["detections"][0] == {
        "class": "per\x1bson", "score": 0.5, "x": 40.0, "y": -4.0, "w": 20.0, "h": 8.0, "track": "12"}


def test_info_shows_the_node(rig, wait_for, capsys):
    _node, peer = rig()
    send(peer, wait_for, [message(0), message(1)])
    wait_for(lambda: peer.values().get("frames answered") == "2")
    status, text = info.main(["--wait", "60"]), capsys.readouterr().out
    assert status == 0 and text.startswith("/detector  active\n") and "2 received, 2 answered" in text
    words = " ".join(text.split())
    assert "in /image sensor_msgs/msg/Image 0.0 best effort" in words
    assert "out /label_info vision_msgs/msg/LabelInfo - reliable, latched" in words
    assert "out /overlay sensor_msgs/msg/Image - reliable, made while subscribed" in words
    for key in ("network", "backend", "mask", "diagnostics", "latency"):
        assert f"\n  {key} " in text


def test_which_detector_is_meant(rig, session, tiny_network):
    rig(Peer)
    session.add(lambda **given: DetectorNode(lambda name: tiny_network, namespace="left", **given))
    asking = session.add(client.GraphClient)
    assert asking.find("/left/detector", 60.0)
    with pytest.raises(UserError, match="2 detectors are running: /detector, /left/detector: choose one with --node"):
        client.choose_detector(asking, "", 60.0)
    assert client.choose_detector(asking, "left/detector", 60.0) == "/left/detector"
    with pytest.raises(UserError, match="no detector /left/detectr was found within 0 s: did you mean /left/detector?"):
        client.choose_detector(asking, "/left/detectr", 0.0)


def test_a_node_that_does_not_answer_is_named(session, monkeypatch):
    monkeypatch.setattr(client, "JUDGE_S", 0.2)
    starting = GuardedNode("starting", context=session._context)
    asking = session.add(client.GraphClient)
    session.spin()
    with pytest.raises(UserError, match="no detector was found .*: /starting does not answer, it may be starting"):
        client.choose_detector(asking, "", 0.5)
    starting.destroy_node()


def test_without_a_detector_it_is_one_line(ros_environment, capsys):
    assert info.main(["--wait", "0.1"]) == 2
    line = capsys.readouterr().err
    assert "no detector was found within 0.1 s: is one running" in line and line.count("\n") == 1


@pytest.mark.parametrize(("command", "arguments", "words"), [
    (param, ["get"], "give one name"), (param, ["list", "preset"], "takes no names"),
    (param, ["set", "preset"], "pairs"),
    (param, ["set", "preset", "fast", "preset", "careful"], "twice"), (param, ["list", "--wait", "nan"], "--wait nan"),
    (echo, ["detections", "--count", "0"], "--count 0"), (call, ["restart"], "did you mean reset?"),
])
def test_wrong_arguments_are_one_line(command, arguments, words, capsys):
    assert command.main(arguments) == 2
    line = capsys.readouterr().err
    assert words in line and line.count("\n") == 1


KINDS = {
    Parameter.Type.BOOL: st.booleans(), Parameter.Type.INTEGER: st.integers(-2**63, 2**63 - 1),
    Parameter.Type.DOUBLE: st.floats(allow_nan=False), Parameter.Type.STRING: st.text(),
    Parameter.Type.STRING_ARRAY: st.lists(st.text(), min_size=1),
}


@settings(max_examples=50)
@given(st.sampled_from(sorted(KINDS, key=str)).flatmap(lambda kind: st.tuples(st.just(kind), KINDS[kind])))
def test_what_is_printed_is_read_again(pair):
    kind, value = pair
    if kind is Parameter.Type.STRING_ARRAY or kind is not Parameter.Type.STRING:
        assert parse_value("it", format_value(value), kind).value == value
    file = format_file("/detector", {"a.b": value, "a.c": value})
    assert yaml.safe_load(file) == {"/detector": {"ros__parameters": {"a": {"b": value, "c": value}}}}


@given(st.sampled_from(sorted(KINDS, key=str)),
       st.text() | st.sampled_from(["1e5", "no", "[1, 2]", "{a: 1}", ".inf", "1" * 400, "2020-01-01"]))
def test_any_text_is_a_value_or_one_line(kind, text):
    try:
        found = parse_value("it", text, kind)
    except UserError as error:
        assert str(error).startswith("it '")
    else:
        assert found.type_ is kind
        assert kind is not Parameter.Type.STRING or found.value == text or yaml.safe_load(text) == found.value
