"""Plots of accuracy against cost: every point is named, families are joined, the published result is marked."""

from __future__ import annotations

import re

import cv2
import numpy as np
import pytest
from browser import check_page

from regionmask_ros.lab.evaluation.page import PUBLISHED, PagePaths, _point, comparison_table, write_tradeoff_page
from regionmask_ros.report.comparison_plot import CostPoint, comparison_png, comparison_svg
from regionmask_ros.report.plots import PALETTE, Point, TradeoffPanel, tradeoff_png, tradeoff_svg

pytest.importorskip("matplotlib")


def row(setting: str, drop: float, gain: float, sequence: str = "street", network: str = "YOLO-KP") -> dict:
    return {
        "sequence": sequence, "setting": setting, "network": network, "backend": "cpu", "cpu_ms_mean": 6.0 / gain,
        "cpu_ms_p95": 7.0, "sequences": 1, "map50": 50 - drop, "map50_ci90": [40.0, 60.0], "map50_drop": drop,
        "map50_drop_mean": drop, "map50_drop_worst": drop, "map50_drop_ci90": [drop - 1, drop + 1],
        "edp_gain_modelled": {"even": gain, "rows_low": gain, "rows_high": gain}, "cpu_gain": gain / 2,
        "synops_gain": gain, "mac_share": None, "masked_share": 0.5, "mask_ms_mean": 0.1, "input_size": "64x64",
        "frames": 5, "new_object_delay_frames": {"median": 0, "p95": 1},
    }


SETTINGS = (("unmasked", 0.0, 1.0), ("skip2", 4.0, 2.0), ("static@0.2", 1.0, 1.2), ("static@0.6", 5.0, 1.5),
            ("tracking", 0.5, 1.4))


def test_the_unmasked_run_and_frame_skipping_are_the_baselines():
    settings = ("unmasked", "unmasked:trained", "skip2", "skip4:trained", "unmasked-tuned", "careful", "static@0.6")
    baselines = [name for name in settings if _point(name, 1.0, 0.0, (0.0, 0.0)).is_baseline]
    assert baselines == ["unmasked", "unmasked:trained", "skip2", "skip4:trained"]


def test_points_and_the_published_result_are_named():
    points = [Point(name, gain, drop, drop, drop) for name, drop, gain in SETTINGS]
    svg = tradeoff_svg([*points, PUBLISHED], "gain", "test")
    texts = re.findall(r">([^<>]+)</text>", svg)
    assert {name for name, *_ in SETTINGS} | {PUBLISHED.name} <= set(texts)


def test_a_family_is_joined_by_a_line():
    def lines(family: str) -> int:
        points = [Point(name, gain, drop, drop, drop, family=family) for name, drop, gain in SETTINGS[2:4]]
        return tradeoff_svg(points, "gain", "test").count("<path")

    assert lines("static") > lines("")


@pytest.mark.parametrize("names, panels", [(["street"], 1), (["street", "yard"], 3)])
def test_each_of_several_sequences_has_a_panel(names, panels, tmp_path):
    rows = [row(*one, sequence=name) for name in names for one in SETTINGS]
    result = {"rows": rows, "summary": [row(*one) for one in SETTINGS], "calibration_share": 0.33}
    paths = PagePaths(*(str(tmp_path / name) for name in ("page.html", "cpu.png", "ms.png", "edp.png")))
    write_tradeoff_page(paths, result, "regionmask_ros evaluate", "1.0")
    page = (tmp_path / "page.html").read_text()
    assert page.count("<svg") == 3 and PUBLISHED.name in page and "static@0.6" in page
    one = tradeoff_png([TradeoffPanel("", [PUBLISHED])], "gain")
    height, width = cv2.imdecode(np.frombuffer(one, np.uint8), 1).shape[:2]
    for name in ("edp.png", "cpu.png"):
        shape = cv2.imread(str(tmp_path / name)).shape
        assert (shape[0] * shape[1] > 2 * height * width) == (panels > 1)


def test_its_page_is_in_order_in_a_browser(tmp_path, browser):
    many = [*SETTINGS, *((f"{name}@0.{share}", drop + 0.01 * share, gain) for name, drop, gain in SETTINGS[2:]
                         for share in range(3, 8))]
    rows = [row(*one) for one in many]
    paths = PagePaths(*(str(tmp_path / name) for name in ("page.html", "cpu.png", "ms.png", "edp.png")))
    result = {"rows": rows, "summary": rows, "calibration_share": 0.33}
    write_tradeoff_page(paths, result, "regionmask_ros evaluate", "1.0")
    page = (tmp_path / "page.html").read_text()
    assert "Saved by masks" in page and "Lost by masks" in page and "not named" not in page
    check_page(browser, tmp_path / "page.html")


def dense(setting: str, drop: float, gain: float) -> dict:
    """A row of a network without events."""
    nothing = {"even": None, "rows_low": None, "rows_high": None}
    return {**row(setting, drop, gain, network="nano"), "synops_gain": None, "edp_gain_modelled": nothing}


def test_networks_have_a_table_and_a_plot_together(tmp_path):
    rows = [row(*one) for one in SETTINGS] + [dense(*one) for one in SETTINGS]
    result = {"rows": rows, "summary": rows, "calibration_share": 0.33}
    paths = PagePaths(*(str(tmp_path / name) for name in ("page.html", "cpu.png", "ms.png", "edp.png")))
    write_tradeoff_page(paths, result, "regionmask_ros evaluate", "1.0")
    page = (tmp_path / "page.html").read_text()
    # All networks together, each by itself, and the modeled plot of the one that has a model.
    assert page.count("<svg") == 4 and "plots of the modeled energy-delay product leave it out" in page
    assert "All networks: measured CPU" in page and "nano, all sequences: counted" in page
    assert "YOLO-KP, all sequences: modeled" in page and "nano, all sequences: modeled" not in page
    table = comparison_table(rows)
    assert [line[0] for line in table.rows] == ["YOLO-KP"] * 5 + ["nano"] * 5


def test_a_page_without_any_model_has_no_plot_of_it(tmp_path):
    rows = [dense(*one) for one in SETTINGS]
    paths = PagePaths(*(name and str(tmp_path / name) for name in ("page.html", "cpu.png", "ms.png", "")))
    write_tradeoff_page(paths, {"rows": rows, "summary": rows, "calibration_share": 0.33}, "evaluate", "1.0")
    page = (tmp_path / "page.html").read_text()
    assert page.count("<svg") == 2 and PUBLISHED.name not in page
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cpu.png", "ms.png", "page.html"]


def test_networks_differ_by_color_and_settings_by_marker():
    points = [CostPoint(network, setting, ms, 50.0, setting == "unmasked")
              for network, ms in (("one", 2.0), ("two", 8.0)) for setting in ("unmasked", "balanced")]
    svg = comparison_svg(points, "test")
    texts = re.findall(r">([^<>]+)</text>", svg)
    assert {"one", "two", "unmasked", "balanced", "network", "setting"} <= set(texts)
    for color in PALETTE[:2]:
        assert color in svg
    assert PALETTE[2] not in svg and comparison_png(points).startswith(b"\x89PNG")
