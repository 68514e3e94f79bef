"""The tile engine in a benchmark: its settings, its mask and its multiplications."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from regionmask_ros.datasets.labels import LabelRow, Labels
from regionmask_ros.lab.bench.accuracy import SCORE_THRESHOLD, measured_accuracy_rows
from regionmask_ros.lab.bench.measure import add_ratios
from regionmask_ros.lab.bench.networks import onnx_rows

for package in ("onnx", "onnxruntime"):
    pytest.importorskip(package, reason=f"no {package}: `make runtimes` brings it")

from dense_camera import block_frames  # noqa: E402
from dense_networks import block_network  # noqa: E402
from tile_networks import tiled_block_network  # noqa: E402

from regionmask_ros.lab.bench.tables import COUNTED, tile_layers_table  # noqa: E402
from regionmask_ros.lab.bench.tile_layers import tile_layer_rows  # noqa: E402
from regionmask_ros.lab.bench.tiles import REFRESH_PERIOD, TILE_SETTINGS, open_tiles  # noqa: E402

FRAMES, SIZE_WH = 12, (384, 256)


@pytest.fixture(scope="module")
def network():
    return tiled_block_network()


@pytest.fixture
def clip(as_clip):
    """A block that stands still, and one that appears far from it in the third frame, in the noisy half of the image.

    Where all of the image is noisy, it is computed as a whole until the noise is known.
    """
    images = [frame.pixels for frame in block_frames(FRAMES, SIZE_WH, step=0)]
    for frame, image in enumerate(images):
        half = image[SIZE_WH[1] // 2:]
        half[:] = np.clip(half + np.random.default_rng(frame).integers(-9, 10, half.shape), 0, 255)
        if frame >= 2:
            image[176:216, 300:340] = 250
    return as_clip(images)


@pytest.fixture
def candidates(network, clip):
    return open_tiles(network, TILE_SETTINGS, clip, pytest.fail)


def test_the_tracking_mask_follows_the_engines_own_detections_and_is_refreshed(candidates, clip):
    tracking = candidates[-1]
    assert tracking.setting == "tracking"
    found, shares = [], []
    for image in clip.images:
        raw = tracking.step(image)
        tracking.follow(raw)
        found.append(len(tracking.detect(raw, clip.image_wh, 0.4)))
        shares.append(tracking.mac_share)
    # The second block is outside of the mask until the refresh frame.
    assert found == [1] * REFRESH_PERIOD + [2] * (FRAMES - REFRESH_PERIOD)
    assert shares[0] == 1.0
    # A refresh frame attends to everything.
    assert max(shares[1:REFRESH_PERIOD]) < shares[REFRESH_PERIOD] and max(shares[1:REFRESH_PERIOD]) < 0.5
    tracking.reset()
    tracking.step(clip.images[5])
    assert len(tracking.detect(tracking.step(clip.images[5]), clip.image_wh, 0.4)) == 2, "all is new after a reset"


def test_dense_steps_do_everything_and_unmasked_ones_what_has_changed(candidates, clip):
    dense, unmasked, _ = candidates
    shares: dict[str, list[float]] = {"dense": [], "unmasked": []}
    for image in (clip.images[1], clip.images[1], clip.images[2]):
        for candidate in (dense, unmasked):
            candidate.follow(candidate.step(image))
            shares[candidate.setting].append(candidate.mac_share)
    assert shares["dense"] == [1.0, 1.0, 1.0]
    first, same, next_one = shares["unmasked"]
    assert first == 1.0 and same == 0.0 < next_one < 1.0


def test_rows_have_every_setting_and_the_share_of_the_measured_frames(candidates, clip):
    rows = onnx_rows(candidates, clip, 1, range(FRAMES))
    assert [(row["engine"], row["setting"], row["network"]) for row in rows] == [
        ("tiles", setting, "blocks") for setting in ("dense", "unmasked", "tracking")]
    dense, unmasked, tracking = (row["mac_share"] for row in rows)
    assert dense == 1.0 > unmasked > tracking > 0.0
    assert all(row["ratio_to"] == {} for row in rows), "our own engine is no baseline"
    rows.append({**rows[0], "engine": "openvino_int8", "median_ms": 2 * rows[0]["median_ms"]})
    add_ratios(rows)
    assert rows[0]["ratio_to"]["openvino_int8"] == pytest.approx(2.0, abs=1e-3)
    assert set(rows[0]) >= {"ratio_to", "ratio_to_cold", "ratio_to_mean", "mean_ms"} and rows[-1]["ratio_to"] == {}


def test_the_replay_that_is_scored_finds_what_the_measured_frames_showed(network, candidates, clip):
    seen: list[list] = [[] for _ in candidates]

    def record(candidate, boxes):
        follow = candidate.follow

        def follow_and_record(raw):
            found = candidate.detect(raw, clip.image_wh, SCORE_THRESHOLD)
            boxes.append([column.tolist() for column in (found.boxes, found.scores, found.class_ids)])
            follow(raw)

        candidate.follow = follow_and_record

    for candidate, boxes in zip(candidates, seen):
        record(candidate, boxes)
    onnx_rows(candidates, clip, 4, range(FRAMES))
    block = [LabelRow(place, network.labels[0], 300, 176, 40, 40) for place in range(FRAMES)]
    rows = measured_accuracy_rows([network.labels] * len(candidates), candidates,
                                  replace(clip, labels=Labels.of_rows(block)), 4, lambda frames, total: frames)
    for boxes in seen:
        assert len(boxes) == 2 * FRAMES and boxes[:FRAMES] == boxes[FRAMES:]
    # The mask hides the block until the refresh frame.
    dense, unmasked, tracking = (row["map50"] for row in rows)
    assert dense == unmasked > tracking > 0.0 and {row["frames"] for row in rows} == {FRAMES - 4}


def test_layers_add_up_to_the_share_of_the_run(candidates, clip):
    whole = {row["setting"]: row["mac_share"] for row in onnx_rows(candidates, clip, 2, range(FRAMES))}
    for candidate in candidates:
        graph, rows = candidate.graph, tile_layer_rows(candidate, clip, 2, range(FRAMES))
        assert [row["layer"] for row in rows] == [node.name for node in graph.nodes]
        assert [row["dense_macs"] for row in rows] == list(graph.macs(clip.input_wh).values())
        assert sum(row["mac_share"] for row in rows) == pytest.approx(whole[candidate.setting], abs=1e-3)
        for row, node in zip(rows, graph.nodes):
            shape = graph.shapes(clip.input_wh)[node.name]
            assert row["output_size"] == "x".join(map(str, shape)) and row["frames"] == FRAMES - 2
            assert row["operator"].startswith(type(node.operator).__name__)
            assert row["mac_share"] == pytest.approx(
                row["computed_share"] * row["dense_macs"] / sum(graph.macs(clip.input_wh).values()), abs=1e-4)
            assert (row["tiles_per_frame"] > 0) == (row["bytes_per_frame"] > 0) == (row["computed_share"] > 0)
            if candidate.setting == "dense":
                assert row["computed_share"] == 1.0
        table = tile_layers_table(rows)
        assert set(table.groups) == {"", COUNTED} and len(table.rows) == len(graph.nodes)


def test_a_network_that_is_not_quantized_is_left_out_with_the_reason(clip):
    lines: list[str] = []
    assert open_tiles(block_network(), TILE_SETTINGS, clip, lines.append) == []
    assert len(lines) == 1 and lines[0].startswith("tiles is left out: ") and "model import" in lines[0]
