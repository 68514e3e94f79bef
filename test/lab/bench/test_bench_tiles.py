"""The tile engine in a benchmark, played by its slow reference: its settings, its mask and its multiplications."""

from __future__ import annotations

import numpy as np
import pytest

from regionmask_ros.core.detections import Detections
from regionmask_ros.lab.bench.measure import add_ratios
from regionmask_ros.lab.bench.networks import onnx_rows
from regionmask_ros.lab.bench.tiles import REFRESH_PERIOD, TILE_SETTINGS, TileModel, open_candidates
from regionmask_ros.network.graph import Graph, Node
from regionmask_ros.tiles.network import TileNetwork, quantize_graph
from regionmask_ros.tiles.operators.convolution import Convolution
from regionmask_ros.tiles.operators.geometry import Window
from regionmask_ros.tiles.operators.quantized import Quantization
from regionmask_ros.tiles.reference import TileReference

FRAMES, SIDE, BRIGHT = 12, 128, 240


@pytest.fixture(scope="module")
def tile_network() -> TileNetwork:
    """A mean over 8x8 pixels, and the head, which shows it again."""
    mean = Node("mean", Convolution(Window((8, 8), 8, (0, 0, 0, 0))), ("image",), {
        "weight": np.full((4, 8, 8, 3), 1 / 192, np.float32), "bias": np.zeros(4, np.float32)})
    head = Node("head", Convolution(Window((1, 1), 1, (0, 0, 0, 0)), is_head=True), ("mean",), {
        "weight": np.full((1, 1, 1, 4), 0.25, np.float32), "bias": np.zeros(1, np.float32)})
    return quantize_graph(
        Graph("image", 3, (mean, head), ("head",)), Quantization(np.ones(3, np.float32), np.zeros(3, np.uint8)),
        {"mean": Quantization(np.ones(4, np.float32), np.zeros(4, np.uint8))})


def find_bright(heads, image_wh, lowest) -> Detections:
    """A box around every bright pixel of the head."""
    rows, cols = np.nonzero(heads["head"][:, :, 0] > BRIGHT / 2)
    corners = np.stack([cols, rows, cols + 1, rows + 1], 1).astype(np.float32) * 8
    return Detections(corners, np.full(len(rows), 0.9, np.float32), np.zeros(len(rows), np.int32))


@pytest.fixture
def clip(as_clip):
    """A bright square that stands still, and one that appears far from it in the third frame."""
    images = []
    for frame in range(FRAMES):
        image = np.random.default_rng(frame).integers(0, 20, (SIDE, SIDE, 3)).astype(np.uint8)
        image[:16, :16] = BRIGHT
        if frame >= 2:
            image[96:112, 96:112] = BRIGHT
        images.append(image)
    return as_clip(images)


@pytest.fixture
def candidates(tile_network, clip):
    model = TileModel("squares", find_bright, 1.0, 0.0, "elsewhere")
    engines = {setting: TileReference(tile_network, clip.input_wh) for setting in TILE_SETTINGS}
    return open_candidates(model, engines, clip)


def test_the_tracking_mask_follows_the_engines_own_detections_and_is_refreshed(candidates, clip):
    tracking = candidates[-1]
    assert tracking.setting == "tracking"
    found, shares = [], []
    for image in clip.images:
        raw = tracking.step(image)
        tracking.follow(raw)
        found.append(len(tracking.detect(raw, clip.image_wh, 0.4)))
        shares.append(tracking.mac_share)
    # The second square is outside of the mask until the refresh frame.
    assert found[0] == 4 and set(found[:REFRESH_PERIOD]) == {4} and set(found[REFRESH_PERIOD:]) == {8}
    # A refresh frame attends to everything, and pays for what has changed: the noise.
    assert shares[0] == 1.0 > shares[REFRESH_PERIOD] > 0.9
    # A square and a ring of one region: 2x2 of 8x8 regions in the corner, and 3x3.
    assert 0.0 < max(shares[1:REFRESH_PERIOD]) <= 4 / 64 < max(shares[REFRESH_PERIOD + 1:]) <= 13 / 64
    tracking.reset()
    tracking.step(clip.images[5])
    assert len(tracking.detect(tracking.step(clip.images[5]), clip.image_wh, 0.4)) == 8, "all is new after a reset"


def test_dense_steps_do_everything_and_unmasked_ones_what_has_changed(candidates, clip):
    dense, unmasked, _ = candidates
    shares: dict[str, list[float]] = {"dense": [], "unmasked": []}
    for image in (clip.images[2], clip.images[2], clip.images[3]):
        for candidate in (dense, unmasked):
            candidate.follow(candidate.step(image))
            shares[candidate.setting].append(candidate.mac_share)
    assert shares["dense"] == [1.0, 1.0, 1.0]
    first, same, next_one = shares["unmasked"]
    assert first == 1.0 and same == 0.0 < next_one < 1.0


def test_rows_have_every_setting_and_the_share_of_the_measured_frames(candidates, clip):
    rows = onnx_rows(candidates, clip, 1, range(FRAMES))
    assert [(row["engine"], row["setting"], row["network"], row["path"]) for row in rows] == [
        ("tiles", setting, "squares", "reference") for setting in ("dense", "unmasked", "tracking")]
    dense, unmasked, tracking = (row["mac_share"] for row in rows)
    assert dense == 1.0 > unmasked > tracking > 0.0
    assert all(row["ratio_to"] == {} for row in rows), "our own engine is no baseline"
    rows.append({**rows[0], "engine": "openvino_int8", "median_ms": 2 * rows[0]["median_ms"]})
    add_ratios(rows)
    assert rows[0]["ratio_to"]["openvino_int8"] == pytest.approx(2.0, abs=1e-3)
    assert set(rows[0]) >= {"ratio_to", "ratio_to_cold", "ratio_to_mean", "mean_ms"} and rows[-1]["ratio_to"] == {}
