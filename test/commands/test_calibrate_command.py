"""The command `calibrate`: a mask that `run` accepts, an image, a page, and one line for every mistake."""

from __future__ import annotations

import json
import re

import cv2
import numpy as np
import pytest
import yaml
from bag_writer import START_NS, STEP_NS, detections, image, write_bag

from regionmask_ros.commands.calibrate import main
from regionmask_ros.commands.run import main as run_main
from regionmask_ros.core.grid import RegionGrid
from regionmask_ros.mask.static import read_static_mask

GRID, IMAGE_WH = RegionGrid(6, 10), (160, 96)


@pytest.fixture
def labels(tmp_path) -> str:
    """Persons of 16x32 pixels in two neighboring regions, and one car elsewhere."""
    lines = [f"{t},person,32,32,16,32,0" for t in range(12)] + ["3,car,112,64,32,16,0", "4,any,0,0,90,90,1"]
    (tmp_path / "gt.csv").write_text("frame,class,x,y,w,h,ignore\n" + "\n".join(lines) + "\n")
    return f"csv:{tmp_path / 'gt.csv'}"


def mask_of(folder) -> np.ndarray:
    return read_static_mask(str(folder / "static_mask.npz")).fit(GRID, IMAGE_WH)


def test_labels_give_a_mask_a_page_and_figures(clip, labels, tmp_path, capfd):
    out, figures = tmp_path / "out", tmp_path / "figures.json"
    assert main([clip, "--labels", labels, "--output", str(out), "--cover", "0.9", "--json", str(figures)]) == 0
    printed = capfd.readouterr()
    assert printed.err == "" and "12 frames, 13 objects, labelled" in printed.out
    assert "7.7% of the objects lost" in printed.out
    (lines,) = re.findall(r"(?m)^    mask_mode: .*\n    static_mask: .*$", printed.out)
    assert yaml.safe_load(lines) == {"mask_mode": "static", "static_mask": str(out / "static_mask.npz")}
    # 12 persons make 24 of the 26 heat, more than 90 %: the car's regions are not needed.
    assert np.argwhere(mask_of(out)).tolist() == [[2, 2], [3, 2]]
    summary = json.loads(figures.read_text())
    assert summary["covered_heat"] == pytest.approx(24 / 26) and summary["kept_share"] == pytest.approx(2 / 60)
    assert summary["losses"] == [
        {"name": "person", "size": "24 to 63 px", "objects": 12, "lost": 0, "cut": 0},
        {"name": "car", "size": "below 24 px", "objects": 1, "lost": 1, "cut": 0},
    ]
    page = (out / "report.html").read_text()
    assert "car, below 24 px" in page and "100.0%" in page and page.count("data:image/jpeg") == 2
    assert page.count("<svg") == 1 and "this mask: 3.3% kept, 7.7% lost" in page
    assert cv2.imread(str(out / "static_mask.jpg")).shape == (96, 160, 3)


def test_targets_set_the_number_of_kept_regions(clip, labels, tmp_path):
    cases = ((["--cover", "1"], 4), (["--keep", "0.1"], 6), ([], 4), (["--keep", "0.02", "--ring", "1"], 9),
             (["--classes", "car", "--cover", "1"], 2))
    for words, regions in cases:
        out = tmp_path / "".join(words).replace("-", "").replace(".", "_") / "out"
        assert main([clip, "--labels", labels, "--output", str(out), *words]) == 0
        assert mask_of(out).sum() == regions, words


def test_run_accepts_a_mask_made_without_labels(trained, clip, tmp_path, capfd):
    out = tmp_path / "out"
    assert main([clip, clip, "--output", str(out), "--score-threshold", "0.02"]) == 0
    assert "24 frames" in capfd.readouterr().out
    assert 0 < mask_of(out).sum() <= 60
    assert run_main([clip, "--output", str(tmp_path / "run"), "--static-mask", str(out / "static_mask.npz"),
                     "--no-video"]) == 0


@pytest.mark.parametrize("words, message", [
    (["CLIP", "CLIP", "--labels", "LABELS"], "2 sources but 1 --labels"),
    (["CLIP", "--labels", "csv:/nowhere"], "no such file"),
    (["CLIP", "--labels", "LABELS", "--cover", "0"], "cover 0: must lie above 0"),
    (["CLIP", "--labels", "LABELS", "--keep", "1.5"], "keep 1.5"),
    (["CLIP", "--labels", "LABELS", "--keep", "0.5", "--cover", "0.5"], "not allowed with"),
    (["CLIP", "--labels", "LABELS", "--ring", "-1"], "ring -1"),
    (["CLIP", "--labels", "LABELS", "--classes", "dragon"], "'dragon' is none of the labeled classes"),
    (["/nowhere.mp4"], "no such file"),
    (["CLIP", "--score-threshold", "1"], "no object was seen"),
])
def test_every_mistake_gives_one_line(trained, clip, labels, tmp_path, capfd, words, message):
    out = tmp_path / "out"
    known = {"CLIP": clip, "LABELS": labels}
    assert main([*(known.get(word, word) for word in words), "--output", str(out)]) == 2
    err = [line for line in capfd.readouterr().err.splitlines() if line.startswith("regionmask_ros: error: ")]
    assert len(err) == 1 and message in err[0] and not out.exists()


def test_sources_of_different_shapes_are_rejected(trained, clip, tmp_path, capfd):
    images = tmp_path / "tall"
    images.mkdir()
    cv2.imwrite(str(images / "0.png"), np.zeros((160, 96, 3), np.uint8))
    assert main([clip, str(images), "--output", str(tmp_path / "out")]) == 2
    assert "calibrate them one by one" in capfd.readouterr().err


def test_a_bag_is_a_source_with_its_own_labels(tmp_path, capfd):
    still = np.random.default_rng(0).integers(0, 120, (96, 160, 3)).astype(np.uint8)
    stamps = [START_NS + t * STEP_NS for t in range(4)]
    bag = write_bag(tmp_path / "bag", {
        "/cam": [image(still, s) for s in stamps], "/other": [image(still[:32, :32], stamps[0])],
        "/truth": [detections(s, ("1", "person", 1.0, 8 * t, 32, 16, 16)) for t, s in enumerate(stamps)],
    })
    figures = tmp_path / "figures.json"
    words = [bag, "--topic", "/cam", "--labels", f"bag:{bag}", "--output", str(tmp_path / "out")]
    assert main([*words, "--json", str(figures)]) == 0
    summary = json.loads(figures.read_text())
    assert (summary["frames"], summary["objects"], summary["learned_from"]) == (4, 4, "labelled")
    assert main([*words[:3], "--truth-topic", "/truth", *words[-2:]]) == 2
    assert "none of the --labels is written bag:PATH" in capfd.readouterr().err
