"""A network with branches in the benchmark: the event engine alone, against its dense evaluation."""

from __future__ import annotations

import numpy as np
import pytest
from branched_networks import small_branched
from video_writer import write_video

from regionmask_ros.commands.bench import main
from regionmask_ros.lab.bench.candidates import EventCandidate, keep_mask
from regionmask_ros.lab.bench.measure import exact_head, measure
from regionmask_ros.lab.bench.speed import layer_rows
from regionmask_ros.metrics.dense_reference import rms
from regionmask_ros.network.cards import store_chain
from regionmask_ros.network.formats.branched_file import pack_branched


@pytest.fixture(scope="module")
def network():
    return small_branched()


@pytest.fixture
def images():
    rng = np.random.default_rng(3)
    return [rng.integers(0, 256, (64, 96, 3)).astype(np.uint8) for _ in range(4)]


def test_its_heads_are_compared_with_the_dense_evaluation(network, images, as_clip):
    """Neurons that stay below their thresholds are all that differs."""
    clip = as_clip(images)
    candidate = EventCandidate(network, (96, 64), "unmasked", np.ones((4, 6), bool))
    (record,) = measure(network, [candidate], clip, 1, range(len(images)))
    exact = exact_head(network, images[-1])
    assert 0 < record.head_rms < 0.2 * rms(exact, np.zeros_like(exact)) and len(record.synops) == 3
    assert keep_mask("masked60", network, clip).sum() == round(0.4 * 24)


def test_every_node_has_a_row_with_its_own_counts(network, images, as_clip):
    candidate = EventCandidate(network, (96, 64), "unmasked", np.ones((4, 6), bool))
    rows = {row["layer"]: row for row in layer_rows(network, candidate, as_clip(images), 1, range(len(images)))}
    assert [*rows] == ["encoder", "input", *(node.name for node in network.nodes), "output"]
    counts = candidate.counts()
    assert counts is not None and sum(row["synops_per_frame"] or 0 for row in rows.values()) > 0
    assert rows["pool"]["synops_per_frame"] is None and rows["pool"]["events_per_frame"] > 0
    assert rows["box8"]["events_per_frame"] is None and rows["box8"]["synops_per_frame"] > 0
    assert rows["both"]["events_per_frame"] is None is rows["both"]["synops_per_frame"]


@pytest.mark.parametrize("arguments, reason", [
    (["--engines", "event,onnxruntime_fp32"], "onnxruntime_fp32 does not compute branched"),
    (["--paths", "portable"], "--paths: not for branched"),
    (["--streams", "2"], "--streams: not for branched"),
])
def test_what_cannot_be_measured_is_refused(network, tmp_path, monkeypatch, capsys, arguments, reason, images):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    store_chain("branched", pack_branched(network))
    video = write_video(tmp_path / "clip.mp4", images, 25.0)
    assert main(["--network", "branched", "--sequence", video, *arguments]) == 2
    assert reason in capsys.readouterr().err
