"""Recall of masks at a masked share."""

from __future__ import annotations

import json

import pytest

from regionmask_ros.commands.train_mgnet import main
from regionmask_ros.datasets.labels import LabelledSequence, LabelRow, Labels
from regionmask_ros.errors import UserError
from regionmask_ros.lab.evaluation.mask_recall import measure
from regionmask_ros.mask.mgnet.weights import load_weights
from regionmask_ros.pipeline.settings import PipelineSettings
from regionmask_ros.sources import open_source

FRAMES = 14
BASE = PipelineSettings(score_threshold=0.2)


@pytest.fixture(scope="module")
def walk(make_walk) -> str:
    return make_walk(FRAMES, second_from=8)


def sequence(walk, height: int = 50) -> LabelledSequence:
    rows = [LabelRow(t, "square", 4.0 * t, 30, 40, height) for t in range(FRAMES)]
    rows += [LabelRow(t, "square", 100, 10, 20, 90, ignore=True) for t in range(FRAMES)]
    return LabelledSequence("walk", Labels.of_rows(rows), lambda: open_source(walk), (walk,))


def test_every_method_masks_the_wanted_share(tiny_network, walk):
    rows = {row["method"]: row for row in measure(tiny_network, [sequence(walk)], {"light": load_weights()}, BASE, 0.6)}
    assert set(rows) == {"random", "motion", "boxes+ring, then motion", "light", "light+boxes", "light+boxes, on news"}
    for row in rows.values():
        assert row["masked_share"] == pytest.approx(0.6, abs=0.01)
        one = row["sequences"]["walk"]
        assert one["objects"] == FRAMES - 1, "one object a frame is counted; the first frame and ignored ones are not"
        assert row["recall"] == row["recall_pooled"] == one["recall"] and row["us_median"] > 0
    assert rows["motion"]["recall"] > rows["random"]["recall"], "the block moves, the noise does not"
    assert rows["light"]["looks_share"] == 1.0 and rows["light+boxes, on news"]["looks_share"] < 1.0
    assert 0.0 < rows["light"]["mmac"][0] <= 10.5 and rows["motion"]["mmac"] is None


def test_a_sequence_of_small_objects_is_refused(tiny_network, walk):
    with pytest.raises(UserError, match="walk: no labeled object is taller than 24"):
        measure(tiny_network, [sequence(walk, height=20)], {}, BASE, 0.6)


def test_the_command_measures_without_torch(trained_file, make_clip, tmp_path, capsys):
    folder = tmp_path / "street"
    folder.mkdir()
    (folder / "video.mp4").symlink_to(make_clip(6, 6))
    rows = [f"{t},car,{6 * t},30,40,40,0,1" for t in range(6)]
    (folder / "gt.csv").write_text("frame,class,x,y,w,h,ignore,track\n" + "\n".join(rows) + "\n")
    json_path = tmp_path / "recall.json"
    assert main(["--score", f"csv:{folder}", "--network", str(trained_file), "--json", str(json_path)]) == 0
    assert "light+boxes" in capsys.readouterr().out
    result = json.loads(json_path.read_text())
    assert result["masked"] == 0.6 and {row["method"] for row in result["rows"]} >= {"random", "light"}
