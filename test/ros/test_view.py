"""The command view: what its page gets from a running node, and that nothing else is answered."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from rig import message, send

from regionmask_ros.commands import view
from regionmask_ros.core.option_table import OPTIONS
from regionmask_ros.ros import pictures
from regionmask_ros.ros.client import GraphClient, RemoteDetector
from regionmask_ros.ros.live_view import MAIN, SLIDERS, LiveView
from regionmask_ros.web.server import WebServer

REPOSITORY = Path(__file__).resolve().parents[2]


class Page:
    """What the script of the page does, at a printed address."""

    def __init__(self, address: str) -> None:
        self.host, self.token = address.split("/")[2:4]

    def ask(self, name: str, body: object = None, origin: str = "") -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.host, timeout=60)
        headers = {"Origin": origin or f"http://{self.host}", "Content-Type": "application/json"}
        method, content = ("GET", None) if body is None else ("POST", json.dumps(body))
        connection.request(method, f"/{self.token}/{name}", content, headers)
        answer = connection.getresponse()
        found = answer.status, dict(answer.getheaders()), answer.read()
        connection.close()
        return found

    def read(self, name: str, body: object = None) -> dict[str, object]:
        return json.loads(self.ask(name, body)[2])


@pytest.fixture
def open_page(session):
    """A function that serves the page for the node of the test."""
    servers = []

    def open_it() -> tuple[Page, LiveView]:
        client = session.add(GraphClient)
        live = LiveView(client, RemoteDetector(client, "/detector"))
        servers.append(WebServer(live.make_routes()))
        servers[-1].__enter__()
        return Page(servers[-1].address), live

    yield open_it
    for server in servers:
        server.__exit__()


def test_the_page_shows_and_changes_the_main_parameters(rig, open_page, wait_for):
    node, peer = rig()
    page, _ = open_page()
    send(peer, wait_for, [message(0), message(1)])
    assert page.ask("")[2].startswith(b"<!doctype html>") and page.ask("view.js")[0] == page.ask("view.css")[0] == 200
    options = page.read("options")
    assert options["node"] == "/detector" and [one["name"] for one in options["options"]] == list(MAIN)
    state = wait_for(lambda: (found := page.read("state"))["figures"] and found)
    assert state["state"] == "active" and state["parameters"]["score_threshold"] == 0.0
    assert [name for name, *_ in state["figures"]] == ["latency", "masked", "rate", "lost"]
    assert page.read("parameters", {"score_threshold": 0.55, "mask_mode": "none"})["parameters"]["mask_mode"] == "none"
    assert node.get_parameter("score_threshold").value == 0.55
    assert page.read("parameters", {"score_threshold": 1})["parameters"]["score_threshold"] == 1.0
    assert page.read("call", {"service": "reset"})["message"].startswith("the detector is reset")
    assert node._configured.pipeline.resets == 1


REFUSED = (
    ("parameters", {"mask_mode": "static"}, "/detector refuses: mask static: needs a static mask file"),
    ("parameters", {"refresh_period": 2.5}, "refresh_period '2.5': must be a whole number"),
    ("parameters", {"static_mask": "/etc/passwd"}, "static_mask: cannot be set here"),
    ("parameters", {"preset": ["fast"]}, "preset: cannot be set here"),
    ("call", {"service": "save_static_mask"}, "the page has no such button"),
    ("call", {"service": ["reset"]}, "the page has no such button"),
    ("picture?kind=x", None, "there is no such picture"),
)


def test_what_is_refused_is_one_line(rig, open_page):
    rig()
    page, _ = open_page()
    for name, body, words in REFUSED:
        status, _, content = page.ask(name, body)
        assert status == 400 and words in json.loads(content)["error"]


def test_pictures_come_while_somebody_looks(rig, open_page, wait_for, monkeypatch):
    monkeypatch.setattr(pictures, "IDLE_S", 0.3)
    node, peer = rig(mask_mode="none")
    page, live = open_page()
    count = 0

    def look(kind: str, after: str = "0"):
        """The next answer with a picture, while the camera sends."""
        nonlocal count
        monkeypatch.setattr("regionmask_ros.ros.live_view.PICTURE_WAIT_S", 0.2)
        while True:
            send(peer, wait_for, [message(count % 20)])
            count += 1
            status, headers, content = page.ask(f"picture?kind={kind}&after={after}")
            if status == 200:
                return headers, cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)

    headers, image = look("overlay")
    assert headers["Content-Type"] == "image/jpeg" and image.shape == (64, 96, 3)
    assert int(look("overlay", headers["X-Picture"])[0]["X-Picture"]) > int(headers["X-Picture"])
    headers, image = look("mask")
    assert headers["Content-Type"] == "image/png" and image.shape == (64, 96) and image.min() == 255
    wait_for(lambda: "frames received" in peer.values())
    headers, image = look("camera")
    assert headers["Content-Type"] == "image/jpeg" and image.shape == (64, 96, 3)
    wait_for(lambda: not live.pictures.topic)
    wait_for(lambda: not any(map(node.count_subscribers, ("/mask/compressed", "/overlay/compressed"))))


def test_the_sliders_are_within_what_the_options_allow():
    for name, (low, high, _) in SLIDERS.items():
        OPTIONS[name].check(low)
        OPTIONS[name].check(high)
    assert all(OPTIONS[name].choices for name in set(MAIN) - set(SLIDERS))


def test_the_command_serves_until_ctrl_c(rig):
    rig()
    process = subprocess.Popen(
        [sys.executable, "-m", "regionmask_ros", "view", "--no-browser", "--wait", "100"], cwd=REPOSITORY, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ))
    try:
        assert process.stdout.readline() == "/detector: Ctrl-C ends the view\n"
        page = Page(process.stdout.readline().removeprefix("open "))
        assert page.read("state")["state"] == "active"
        assert page.ask("parameters", {"preset": "fast"}, "http://evil.example")[0] == 403
        page.token = "x" + page.token[1:] if page.token[0] != "x" else "y" + page.token[1:]
        assert page.ask("state")[0] == 404
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60) == ("", "") and process.returncode == 0
    finally:
        process.kill()


def test_a_port_that_is_none_is_one_line(capsys):
    assert view.main(["--port", "70000"]) == 2
    assert "--port 70000: must be between 1 and 65535" in capsys.readouterr().err
