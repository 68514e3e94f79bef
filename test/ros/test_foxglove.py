"""A detector's topics by Foxglove's WebSocket protocol, as a viewer gets them."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import struct
import sys

import pytest
from rclpy.serialization import deserialize_message
from rig import message, send
from vision_msgs.msg import Detection2DArray, LabelInfo

from regionmask_ros.commands import view
from regionmask_ros.errors import UserError
from regionmask_ros.ros.client import GraphClient, RemoteDetector
from regionmask_ros.ros.foxglove import FoxgloveServer

SUBPROTOCOL = "foxglove.sdk.v1"
TEXT, BINARY, MESSAGE_DATA = 1, 2, 1


class Viewer:
    """A client of the protocol, so far as the tests need it."""

    def __init__(self, address: str) -> None:
        host, _, port = address.removeprefix("ws://").partition(":")
        self._socket = socket.create_connection((host, int(port)), 60)
        self._file = self._socket.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall((f"GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                              f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
                              f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n").encode())
        assert b" 101 " in self._file.readline()
        while self._file.readline().strip():
            pass

    def read(self) -> tuple[int, bytes]:
        kind, length = self._file.read(2)
        if length >= 126:
            size = 2 if length == 126 else 8
            length = int.from_bytes(self._file.read(size), "big")
        return kind & 15, self._file.read(length)

    def read_channels(self) -> dict[str, dict]:
        """The first channels that are advertised, by topic."""
        while True:
            kind, content = self.read()
            if kind == TEXT and (found := json.loads(content))["op"] == "advertise":
                return {channel["topic"]: channel for channel in found["channels"]}

    def subscribe(self, *channels: dict) -> None:
        """The number of a subscription is that of the channel."""
        numbers = [{"id": channel["id"], "channelId": channel["id"]} for channel in channels]
        content = json.dumps({"op": "subscribe", "subscriptions": numbers}).encode()
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(content))
        head = struct.pack(">BBH", 0x80 | TEXT, 0x80 | 126, len(content))
        self._socket.sendall(head + mask + masked)

    def read_message(self, channel: dict) -> bytes:
        while True:
            kind, content = self.read()
            if kind == BINARY and content[0] == MESSAGE_DATA and struct.unpack("<I", content[1:5])[0] == channel["id"]:
                return content[13:]

    def close(self) -> None:
        self._file.close()
        self._socket.close()


@pytest.fixture
def serve(session):
    """A function that serves the topics of the node of the test, on any free port."""
    with contextlib.ExitStack() as stack:
        def start(port: int = 0) -> FoxgloveServer:
            client = session.add(GraphClient)
            topics = RemoteDetector(client, client.find("/detector", 60.0)[0]).list_topics()
            return stack.enter_context(contextlib.closing(FoxgloveServer(client, topics, port)))

        yield start


def test_a_viewer_gets_the_messages_of_the_node(rig, serve, wait_for):
    pytest.importorskip("foxglove", reason="foxglove-sdk is missing: `make foxglove-setup` brings it")
    node, peer = rig(mask_mode="none")
    server = serve()
    viewer = Viewer(server.address)
    channels = viewer.read_channels()
    assert {"/image", "/detections", "/label_info", "/overlay/compressed", "/mask", "/diagnostics"} <= set(channels)
    detections, labels = channels["/detections"], channels["/label_info"]
    assert (detections["encoding"], detections["schemaName"]) == ("cdr", "vision_msgs/msg/Detection2DArray")
    assert detections["schemaEncoding"] == "ros2msg" and "MSG: vision_msgs/Detection2D" in detections["schema"]
    assert node.count_subscribers("/detections") == 1, "nothing is subscribed to before the viewer asks"
    viewer.subscribe(detections, labels, channels["/overlay/compressed"])
    assert deserialize_message(viewer.read_message(labels), LabelInfo).class_map, "the latched message comes late"
    wait_for(lambda: node.count_subscribers("/detections") == 2 and node.count_subscribers("/overlay/compressed"))
    assert not node.count_subscribers("/mask")
    send(peer, wait_for, [message(0)])
    received = deserialize_message(viewer.read_message(detections), Detection2DArray)
    assert received == peer.heard["detections"][0]
    viewer.close()
    wait_for(lambda: node.count_subscribers("/detections") == 1 and not node.count_subscribers("/overlay/compressed"))
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.2", int(server.address.rpartition(":")[2])), 20)
    with pytest.raises(UserError, match=r"port \d+ on 127\.0\.0\.1: .*choose another one with --port"):
        serve(int(server.address.rpartition(":")[2]))


def test_without_the_library_it_is_one_line(session, monkeypatch):
    monkeypatch.setitem(sys.modules, "foxglove", None)
    with pytest.raises(UserError, match="--foxglove needs foxglove-sdk, .*: run 'make foxglove-setup'"):
        FoxgloveServer(session.add(GraphClient), (), 0)


def test_no_browser_has_no_effect_there(capsys):
    assert view.main(["--foxglove", "--no-browser"]) == 2
    assert "--no-browser has no effect with --foxglove" in capsys.readouterr().err
