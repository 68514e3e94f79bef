"""Networks side by side: a dense one beside ours, each at the input that it can have."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest

from regionmask_ros.backends.runtimes import RUNTIMES
from regionmask_ros.datasets import open_dataset
from regionmask_ros.lab.bench.clip import Clip
from regionmask_ros.lab.bench.networks import DenseCandidate, add_scores, group_by_input
from regionmask_ros.lab.bench.session import Plan, Session
from regionmask_ros.lab.bench.tables import networks_table

for package in ("onnx", *RUNTIMES):
    pytest.importorskip(package, reason=f"no {package}: `make runtimes` brings it")

from dense_networks import block_network  # noqa: E402


@pytest.fixture(scope="module")
def network():
    return block_network()


def test_a_candidate_detects_in_the_image(network):
    image = np.zeros((64, 96, 3), np.uint8)
    image[10:50, 20:60] = 230
    clip = Clip("made in memory", (image, image), (96, 64), (192, 192), 25.0)
    for runtime in RUNTIMES:
        candidate = DenseCandidate(network, runtime, clip, 1)
        found = candidate.detect(candidate.step(image), clip.image_wh, 0.3)
        assert (candidate.backend, candidate.network, candidate.counts()) == (runtime, "blocks", None)
        # 40x30 in the input; the image is twice as wide and three times as high.
        assert found.boxes[0].tolist() == pytest.approx([2 * 18, 3 * 6, 2 * 62, 3 * 50], abs=17)


def test_networks_are_grouped_by_the_input_that_they_can_have(network, tiny_network):
    fixed = replace(network, name="fixed", fixed_wh=(96, 96))
    for size, expected in (("auto", (192, 128)), ((64, 64), (64, 64))):
        groups = group_by_input([tiny_network, network, fixed], size, 200_000, (192, 128))
        assert groups == {expected: [tiny_network, network], (96, 96): [fixed]}


def test_networks_are_measured_and_scored_beside_our_engine(network, tiny_network, make_clip, tmp_path):
    path, shown = make_clip(14, 6), []
    shutil.copy(path, tmp_path / "video.mp4")
    labels = [f"{t},disc,{6 * t},30,40,40,0,1" for t in range(14)]
    (tmp_path / "gt.csv").write_text("frame,class,x,y,w,h,ignore,track\n" + "\n".join(labels) + "\n")
    fixed = replace(network, name="fixed", fixed_wh=(96, 96), labels=("disc", "square"))
    network = replace(network, labels=("disc", "square"))
    plan = Plan(("unmasked",), ("event",), (), 1, ("auto",), 6, accuracy=str(tmp_path))
    session = Session([tiny_network, network, fixed], plan, shown.append, shown.append)
    session.run({path: None})
    rows = session.result["networks"]
    assert [(row["network"], row["backend"], row["engine"], row["input_size"]) for row in rows] == [
        ("tiny", "cpu", "event", "160x96"), ("blocks", "openvino", "openvino", "160x96"),
        ("fixed", "openvino", "openvino", "96x96")]
    for row in rows:
        assert 0 < row["median_ms"] <= row["p95_ms"] and row["frames"] == 6 and row["head_rms"] is None
        assert row["map50_on"].endswith("video.mp4") and 0.0 <= row["map50"] <= 100.0 and row["map50_frames"] == 14
    assert rows[1]["map50"] > 50.0, "it finds the block"
    assert [row["engine"] for row in session.result["rows"]] == ["event"], "the rows of one network stay what they were"
    (labelled,) = open_dataset(f"csv:{tmp_path}")
    session = Session([tiny_network, network, fixed], replace(plan, accuracy=""), shown.append, shown.append)
    session.run({"csv:street": labelled})
    for row in (*session.result["networks"], *session.result["rows"]):
        assert (row["sequence"], row["map50_on"], row["map50_frames"]) == ("csv:street", "csv:street", 6)
    assert session.result["networks"][1]["map50"] > 50.0
    assert session.result["networks"][0]["map50"] == session.result["rows"][0]["map50"]
    table = networks_table(rows)
    assert [row[0] for row in table.rows] == ["tiny", "blocks", "fixed"]
    for name, group in zip(table.columns, table.groups):
        assert group.startswith("measured") == (name in ("median", "mean", "p95"))


def test_scores_go_to_the_same_input_first():
    about = {"network": "a", "engine": "e", "setting": "dense"}
    scores = [{**about, "input_size": size, "map50": value, "sequence": "street", "frames": 9}
              for size, value in (("64x64", 1.0), ("96x96", 2.0))]
    rows = [{**about, "input_size": size} for size in ("96x96", "160x96")]
    rows.append({**about, "network": "b", "input_size": "96x96"})
    add_scores(rows, scores)
    assert [row["map50"] for row in rows] == [2.0, 1.0, None] and rows[0]["map50_on"] == "street"
