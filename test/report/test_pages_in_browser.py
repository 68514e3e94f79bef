"""Pages in a headless Chromium: from 360 to 1920 pixels, light and dark, with slider, video and keyboard."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from browser import LAYOUT, check_page
from made_detections import detections_of

from regionmask_ros.core.frame import Frame
from regionmask_ros.report.against import Comparison
from regionmask_ros.report.images import encode_jpeg
from regionmask_ros.report.page import EmbeddedImage, ImagePair, KeyFigure, Page, write_page
from regionmask_ros.report.run_page import STAGES, FrameRecord, embed_video, run_page, summarize
from regionmask_ros.report.tables import Table
from regionmask_ros.report.twin import join_sides
from regionmask_ros.report.video_file import VideoWriter

RED, BLUE = (40, 40, 220), (220, 40, 40)
LONG = "a-name-without-any-space-" * 8


def plain(color: tuple[int, int, int], shade: int = 0) -> np.ndarray:
    return np.full((96, 160, 3), np.array(color) - shade, np.uint8)


@pytest.fixture(scope="module")
def run_report(tmp_path_factory) -> Path:
    """The page of a run against its twin: the left half of the video is red, the right one blue."""
    folder = tmp_path_factory.mktemp("run")
    video = str(folder / "comparison.mp4")
    with VideoWriter(video, 10.0) as writer:
        for index in range(30):
            writer.add(join_sides(plain(RED, index), plain(BLUE, index)))
    ms = dict.fromkeys(STAGES, 2.0)
    records = [FrameRecord(index, index, index % 8 == 0, 0.5, 3, None, ms) for index in range(30)]
    comparison = Comparison(("person",))
    for index in range(30):
        comparison.add(index, Frame(plain(RED), "bgr", 0, ""), detections_of(), detections_of([10 + index, 20, 60, 80]))
    summary = {**summarize(records), "mask": "balanced", "network": LONG, "input_size": "640x480", "against": {
        "mask": "none", "found": 10, "missed": 5, "extra": 2, "missed_share": 1 / 3, "saved_share": 0.42,
        "saved": "time", "ms": {"total": {"median": 3.0}}}}
    page = run_page("street.mp4", summary, records, embed_video(video, ("masked", "unmasked")), comparison,
                    command=f"run {LONG}", version="1.2.3")
    write_page(str(folder / "report.html"), page)
    return folder / "report.html"


@pytest.fixture(scope="module")
def pair_report(tmp_path_factory) -> Path:
    """A page with two images and a table that is wider than any window."""
    wide = Table(LONG, tuple(f"column {number}" for number in range(60)), (tuple("1,234.5" for _ in range(60)),) * 3,
                 note="A note of some length. " * 12, groups=("counted",) * 30 + ("measured",) * 30)
    pair = ImagePair("Two images", *(EmbeddedImage(name, encode_jpeg(plain(color)))
                                     for name, color in (("kept", RED), ("heat", BLUE))))
    path = tmp_path_factory.mktemp("pair") / "report.html"
    write_page(str(path), Page(f"A title with {LONG}", f"An intro with {LONG}", lead=pair,
                               key_figures=(KeyFigure("Saved", f"{10**15:,}", LONG),) * 3, tables=(wide,)))
    return path


@pytest.mark.parametrize("name", ["run_report", "pair_report"])
def test_nothing_overlaps_or_leaves_its_box_at_any_width(browser, name, request):
    check_page(browser, request.getfixturevalue(name))


def color_at(browser, x: float) -> tuple[int, ...]:
    """The color of the stage at a share of its width, a quarter from the top."""
    box = browser.evaluate("(() => { const b = document.querySelector('.stage').getBoundingClientRect();"
                           " return [b.left, b.top, b.width, b.height]; })()")
    left, top, width, height = box
    return tuple(browser.screenshot()[int(top + height / 4), int(left + x * width)].tolist())


def is_near(color: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return max(abs(a - b) for a, b in zip(color, other)) < 60


FRAME_SHOWN = """new Promise(done => {
  const video = document.querySelector("video");
  if (video.readyState >= 2) done(true); else video.addEventListener("loadeddata", () => done(true));
})"""


@pytest.mark.parametrize("name", ["run_report", "pair_report"])
def test_the_keyboard_moves_the_edge_between_both_sides(browser, name, request):
    browser.show(request.getfixturevalue(name), 1280)
    if name == "run_report":
        assert browser.evaluate(FRAME_SHOWN)
    assert is_near(color_at(browser, 0.25), RED) and is_near(color_at(browser, 0.75), BLUE)
    before = browser.screenshot()
    browser.press("Tab")
    assert browser.evaluate("document.activeElement.className") == "divide"
    # The focus is visible.
    assert (browser.screenshot() != before).any()
    browser.evaluate("document.activeElement.value = 90")
    browser.press("ArrowRight")
    assert browser.evaluate("document.activeElement.value") == "90.5"
    assert is_near(color_at(browser, 0.75), RED) and is_near(color_at(browser, 0.95), BLUE)


def test_the_video_plays_by_itself_and_stops_with_the_button(browser, run_report):
    browser.show(run_report, 1280, moving=True)
    moved = """new Promise(done => {
      const video = document.querySelector("video");
      const look = () => { if (video.currentTime > 0.2) done(true); else requestAnimationFrame(look); };
      look();
    })"""
    assert browser.evaluate(moved)
    assert browser.evaluate("(() => { document.querySelector('button').click();"
                            " return document.querySelector('video').paused; })()")
    assert browser.evaluate("document.querySelector('button').textContent") == "Play"


def test_who_wants_less_motion_starts_the_video(browser, run_report):
    browser.show(run_report, 1280)
    assert browser.evaluate(FRAME_SHOWN) and browser.evaluate("document.querySelector('video').paused")


@pytest.mark.parametrize("content, fault", [
    ("<p style='width: 2000px'>wide</p>", "the page is wider"),
    ("<figure style='overflow: hidden; width: 99px'><p style='width: 200px'>cut off</p></figure>", "to 240 in 40,139"),
    ("<p style='width: 1ch; overflow-wrap: anywhere'>stacked</p>", "letters are stacked"),
    ("<section><p>one</p><p style='margin-top: -2em'>two</p></section>", "overlaps"),
    ("<svg width=200 height=50><text x=5 y=20>first</text><text x=12 y=22>second</text></svg>", "overlaps text second"),
])
def test_the_check_itself_finds_faults(browser, tmp_path, content, fault):
    (tmp_path / "page.html").write_text(f"<!DOCTYPE html><body style='margin: 0'><main>{content}</main>")
    browser.show(tmp_path / "page.html", 1280)
    assert fault in json.dumps(browser.evaluate(LAYOUT))
