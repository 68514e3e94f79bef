"""The command `paint`: its page in a browser, what it saves, and what it refuses."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest
import yaml
from browser import CONTRAST, LAYOUT, WIDTHS
from python_process import REPOSITORY

from regionmask_ros.commands._painting import MASK
from regionmask_ros.commands.paint import main
from regionmask_ros.core.grid import RegionGrid
from regionmask_ros.interrupts import LINE
from regionmask_ros.mask.static import read_static_mask

GRID, IMAGE_WH = RegionGrid(6, 10), (160, 96)
BOX = [32, 32, 48, 64]
READY = "document.body.dataset.ready === 'yes' && document.getElementById('counts').textContent.includes('lost')"


@pytest.fixture
def labels(tmp_path) -> str:
    """A person in two regions, in all twelve frames of the clip."""
    lines = [f"{t},person,32,32,16,32,0" for t in range(12)]
    (tmp_path / "gt.csv").write_text("frame,class,x,y,w,h,ignore\n" + "\n".join(lines) + "\n")
    return f"csv:{tmp_path / 'gt.csv'}"


class Served:
    """A process of the command, whose page is there."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.address = process.stdout.readline().removeprefix("open ").strip()
        assert self.address.startswith("http://127.0.0.1:"), process.communicate()[1]

    def ask(self, name: str, body: bytes | None = None, kind: str = MASK) -> tuple[int, bytes]:
        """Status and content of an answer, asked for as the page does."""
        place = urlsplit(self.address)
        headers = {"Origin": f"http://{place.netloc}", "Content-Type": kind} if body is not None else {}
        connection = http.client.HTTPConnection(place.netloc, timeout=60)
        with contextlib.closing(connection):
            connection.request("GET" if body is None else "POST", place.path + name, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()


@contextlib.contextmanager
def painting(folder, *arguments: str) -> Iterator[Served]:
    """The command, in a folder."""
    path = os.pathsep.join([str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])])
    process = subprocess.Popen(
        [sys.executable, "-m", "regionmask_ros", "paint", *arguments, "--no-browser"], cwd=folder, text=True,
        env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with process:
        try:
            yield Served(process)
        finally:
            process.kill()


def mask_of(path) -> np.ndarray:
    return read_static_mask(str(path)).fit(GRID, IMAGE_WH)


def test_a_mask_is_painted_in_the_browser(clip, labels, tmp_path, browser):
    browser.faults.clear()
    with painting(tmp_path, clip, "--labels", labels, "-o", "painted.png") as served:
        counts = "document.getElementById('counts').textContent"
        for width in WIDTHS:
            browser.show(served.address, width, dark=width == WIDTHS[1])
            browser.wait_for(READY)
            assert browser.evaluate(counts) == "3.3 % of the regions observed, 0 of 12 objects lost (0 %)"
            assert browser.evaluate(LAYOUT) == [], width
            contrast, where = browser.evaluate(CONTRAST)
            assert contrast >= 4.5, where
        x, y, width, height = browser.evaluate(
            "(() => { const box = document.getElementById('canvas').getBoundingClientRect();"
            " return [box.left, box.top, box.width, box.height]; })()")

        def middle(row: int, col: int) -> tuple[float, float]:
            return x + (col + 0.5) * width / GRID.cols, y + (row + 0.5) * height / GRID.rows

        browser.press("[")
        browser.press("[")  # from three regions to one
        browser.drag([middle(0, 5), middle(0, 9)])
        browser.wait_for(f"{counts}.startsWith('12 %')")
        browser.drag([middle(2, 2), middle(3, 2)], "right")
        browser.wait_for(f"{counts}.includes('12 of 12 objects lost')")
        browser.press("z", control=True)
        browser.wait_for(f"{counts}.includes('0 of 12 objects lost')")
        browser.evaluate("document.getElementById('canvas').focus()")
        browser.press("ArrowDown")  # from where the mouse was
        browser.press("ArrowDown", shift=True)
        assert browser.evaluate("document.getElementById('where').textContent") == "column 3, row 6: observed"
        browser.press("s", control=True)
        browser.wait_for("document.getElementById('message').className === 'done'")
        assert browser.evaluate("document.getElementById('message').textContent").startswith("Saved: painted.png.")
        assert browser.faults == []
        printed, errors = served.process.communicate()
        assert served.process.returncode == 0, errors
    expected = GRID.cover(np.array([BOX]), IMAGE_WH)
    expected[0, 5:] = expected[4:, 2] = True
    np.testing.assert_array_equal(mask_of(tmp_path / "painted.png"), expected)
    assert cv2.imread(str(tmp_path / "painted.png")).shape == (96, 160, 3), "it fits other inputs of this camera, too"
    assert "15% of the regions observed, 0 of 12 objects lost\n  painted.png\n" in printed
    (lines,) = re.findall(r"(?m)^    mask_mode: .*\n    static_mask: .*$", printed)
    assert yaml.safe_load(lines) == {"mask_mode": "static", "static_mask": str(tmp_path / "painted.png")}


def test_masks_of_wrong_size_or_content_are_refused_and_a_good_one_is_saved_once(clip, labels, tmp_path):
    good = b"1" * 3 + b"0" * 57
    with painting(tmp_path, clip, "--labels", labels, "-o", "painted.npz") as served:
        for body in (b"", good[1:], b"2" * 60, b"\0" * 60, b"{}" * 30, "é".encode() * 30):
            for name in ("save", "count"):
                status, said = served.ask(name, body)
                assert status == 400 and json.loads(said) == {"error": "not a mask of 6x10 regions"}
        assert served.ask("save", good + b"0")[0] == 413 and served.ask("save", good, "text/plain")[0] == 415
        assert b"the mask observes nothing" in served.ask("save", b"0" * 60)[1]
        for name in ("picture?n=9", "picture?n=-1", "picture", "fill?cover=x", "fill?cover=nan", "fill?cover=1e999"):
            assert served.ask(name)[0] == 400, name
        assert not (tmp_path / "painted.npz").exists()
        assert served.ask("save", good) == (200, b'{"file": "painted.npz"}')
        served.ask("end", b"{}", "application/json")
        assert served.process.wait() == 0
    np.testing.assert_array_equal(np.flatnonzero(mask_of(tmp_path / "painted.npz")), [0, 1, 2])
    heat = read_static_mask(str(tmp_path / "painted.npz")).heat
    np.testing.assert_array_equal(heat > 0, GRID.cover(np.array([BOX]), IMAGE_WH))


def test_a_single_picture_is_painted_with_what_the_detector_finds_and_ctrl_c_leaves_nothing(trained, clip, tmp_path):
    ok, pixels = cv2.VideoCapture(clip).read()
    assert ok and cv2.imwrite(str(tmp_path / "one.png"), pixels)
    with painting(tmp_path, "one.png", "--score-threshold", "0.02") as served:
        state = json.loads(served.ask("state")[1])
        assert (state["rows"], state["cols"], state["frames"], state["pictures"]) == (6, 10, 1, 1)
        heat = np.array(state["heat"]).reshape(GRID.shape)
        assert state["objects"] > 0 and heat.max() == 255
        filled = json.loads(served.ask("fill?cover=0.5")[1])["keep"]
        assert 0 < filled.count("1") < 60 and heat.ravel()[np.array(list(filled)) == "1"].min() > 0
        assert served.ask("picture?n=0")[1].startswith(b"\xff\xd8")
        assert (tmp_path / "runs/paint-1").is_dir()
        served.process.send_signal(signal.SIGINT)
        assert LINE in served.process.communicate()[1] and served.process.returncode == 128 + signal.SIGINT
    assert [path.name for path in tmp_path.iterdir()] == ["one.png"]


@pytest.mark.parametrize("words, message", [
    (["CLIP", "-o", "mask.jpg"], "--output mask.jpg: the name of a mask ends with .png or .npz"),
    (["CLIP", "-o", "/nowhere/mask.png"], "/nowhere/mask.png: cannot be written"),
    (["CLIP", "--frames", "-1"], "--frames -1: must be 0 or more"),
    (["CLIP", "--frames", "9", "--labels", "csv:gt.csv"], "--frames: the detector does not run"),
    (["CLIP", "--port", "65536"], "--port 65536: must be 0 to 65535"),
    (["CLIP", "--no-browser", "--quiet"], "nobody would learn the address"),
    (["CLIP", "--truth-topic", "/t"], "--labels is not written bag:PATH"),
    (["CLIP", "--labels", "csv:/nowhere"], "no such file"),
    (["/nowhere.png"], "/nowhere.png: no such file or folder"),
])
def test_every_mistake_gives_one_line(clip, tmp_path, monkeypatch, capfd, words, message):
    monkeypatch.chdir(tmp_path)
    assert main([clip if word == "CLIP" else word for word in words]) == 2
    err = [line for line in capfd.readouterr().err.splitlines() if line.startswith("regionmask_ros: error: ")]
    assert len(err) == 1 and message in err[0] and not list(tmp_path.glob("*/*"))
