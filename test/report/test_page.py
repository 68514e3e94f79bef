"""The HTML page: complete in itself, well formed, and every text escaped."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from regionmask_ros.report.images import encode_jpeg
from regionmask_ros.report.page import (
    EmbeddedImage,
    EmbeddedVideo,
    Figure,
    Gallery,
    ImagePair,
    KeyFigure,
    Page,
    write_page,
)
from regionmask_ros.report.plots import Panel, per_frame_svg
from regionmask_ros.report.tables import Table

VOID = {"meta", "img", "br", "input"}
NASTY = "<script>alert('x')</script> & \"quotes\" {braces}"


class Outline(HTMLParser):
    """Collects tags, attributes and text, and checks that every element is closed in its turn."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def series(frames: int, first: float = 1.0) -> tuple[tuple[Panel, ...], np.ndarray]:
    values = np.linspace(1000.0, 2000.0, frames)
    values[:1] *= first
    refresh = np.arange(frames) % 8 == 0
    panels = (
        Panel("masked share, %", np.where(refresh, 0.0, 0.8), percent=True),
        Panel("events per frame, counted", values, counted=True),
        Panel("synops per frame, counted", values * 900, counted=True),
        Panel("milliseconds per frame, measured", values / 100),
    )
    return panels, refresh


def outline_of(folder: Path, page: Page) -> Outline:
    write_page(str(folder / "report.html"), page)
    outline = Outline()
    outline.feed((folder / "report.html").read_text(encoding="utf-8"))
    outline.close()
    assert outline.open == []
    return outline


IMAGE = EmbeddedImage(NASTY, encode_jpeg(np.zeros((20, 30, 3), np.uint8)))
FULL = Page(
    NASTY, NASTY,
    key_figures=(KeyFigure(NASTY, NASTY, NASTY),),
    galleries=(Gallery(NASTY, (IMAGE,), NASTY), Gallery(NASTY, (IMAGE,), is_small=True)),
    figures=(Figure(NASTY, per_frame_svg(*series(40))),), figures_heading=NASTY,
    tables=(Table(NASTY, ("name", NASTY), ((NASTY, NASTY),), note=NASTY),),
    command="run " + NASTY, version="1.2.3")
LEADS = {
    "pair of images": ImagePair(NASTY, IMAGE, IMAGE), "video": EmbeddedVideo(NASTY, b"film"),
    "pair of videos": EmbeddedVideo(NASTY, b"film", (NASTY, NASTY)),
}


@pytest.mark.parametrize(("lead", "texts"), [(None, 0), ("pair of images", 3), ("video", 1), ("pair of videos", 3)])
def test_the_page_is_well_formed_and_escapes_its_texts(tmp_path, lead, texts):
    outline = outline_of(tmp_path, replace(FULL, lead=LEADS.get(lead)))
    assert outline.text.count(NASTY) == 19 + texts
    assert {"h1", "table", "svg", "img", "pre", "footer"} <= set(outline.tags)
    assert ("video" in outline.tags) == (lead is not None and "video" in lead)


@pytest.mark.parametrize("lead", [None, *LEADS])
def test_the_page_loads_nothing_and_runs_its_own_script_only(tmp_path, lead):
    outline = outline_of(tmp_path, replace(FULL, lead=LEADS.get(lead)))
    assert not {"link", "iframe", "object", "embed", "base", "form"} & set(outline.tags)
    for _tag, name, value in outline.attributes:
        assert not name.startswith("on")
        if name in ("src", "href", "xlink:href", "poster", "action"):
            assert value.startswith(("data:image/jpeg;base64,", "data:video/mp4;base64,", "#"))
        assert not re.search(r"url\((?!#)", value) and "@import" not in value
    policies = [value for tag, name, value in outline.attributes if name == "content" and "default-src" in value]
    assert len(policies) == 1 and policies[0].startswith("default-src 'none'")
    assert outline.tags.count("script") == (lead is not None and "pair" in lead)
    assert ("script-src 'none'" in policies[0]) == ("script" not in outline.tags)


def test_images_and_plots_have_alternative_texts(tmp_path):
    page = outline_of(tmp_path, FULL)
    assert ("img", "alt", NASTY) in page.attributes and ("div", "aria-label", NASTY) in page.attributes
    assert ("html", "lang", "en") in page.attributes


def test_a_page_without_extras_has_no_empty_parts(tmp_path):
    outline = outline_of(tmp_path, Page("Title", "Intro."))
    assert not {"h2", "table", "figure", "pre", "footer", "script"} & set(outline.tags)


def text_of(svg: str) -> list[str]:
    return [element.text for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("frames", [0, 1, 2, 300, 5000])
def test_a_plot_of_any_length_is_drawn_in_colors_of_the_page(frames):
    svg = per_frame_svg(*series(frames))
    texts = text_of(svg)
    for title in ("masked share, %", "events per frame, counted", "milliseconds per frame, measured", "frame"):
        assert title in texts
    assert ("▾ refresh frame" in texts) == (0 < frames <= 2000)
    assert set(re.findall(r"(?:fill|stroke): (#\w+)", svg)) <= {"#222222", "#cccccc", "#0072b2", "#d55e00"}
    assert "var(--line" in svg or frames == 0
    assert len(svg) < 400_000


def test_the_same_run_gives_the_same_plot_without_a_date():
    assert per_frame_svg(*series(30)) == per_frame_svg(*series(30))
    assert not re.search(r"20\d\d-\d\d-\d\d", per_frame_svg(*series(30)))


def test_a_first_frame_far_above_the_others_does_not_flatten_them():
    plain, steep = text_of(per_frame_svg(*series(30))), text_of(per_frame_svg(*series(30, first=1000.0)))
    assert not [text for text in plain if text.startswith("first frame")]
    assert "first frame: 1.0 M" in steep
    assert [text for text in steep if text.endswith(" k")]


def test_frames_without_a_value_leave_a_gap():
    values = np.array([1.0, np.nan, 3.0])
    assert "some" in text_of(per_frame_svg([Panel("some", values)], np.zeros(3, bool)))


def test_a_peak_in_a_long_run_is_not_lost():
    panels, refresh = series(40_000)
    panels[3].values[23_457] = 7777.0
    texts = text_of(per_frame_svg(panels, refresh))
    assert "8000" in texts or "7500" in texts
