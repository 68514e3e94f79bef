"""The learned dynamic mask: its weights on disk, boxes on top, when it looks, and the share that it holds."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mgnet_examples import random_weights

from regionmask_ros.core.detections import Detections
from regionmask_ros.core.grid import RegionGrid
from regionmask_ros.errors import UserError
from regionmask_ros.mask.budget import QuantileThreshold
from regionmask_ros.mask.mgnet.source import (
    BOX_SCORE,
    LEVEL_SHARE,
    LONGEST_REUSE,
    RING_SCORE,
    SHORTEST_REUSE,
    MgnetMask,
    add_box_scores,
    region_scores,
)
from regionmask_ros.mask.mgnet.weights import SHIPPED, MaskWeights, load_weights, save_weights
from regionmask_ros.mask.source import MaskContext

GRID, PICTURE = RegionGrid(8, 12), (192, 128)


@dataclass
class Seen:
    """A glance at a picture that is there already."""

    image: np.ndarray
    change: np.ndarray


def seen(seed: int = 0, change: float = 0.0) -> Seen:
    rng = np.random.default_rng(seed)
    return Seen(rng.integers(0, 256, (128, 192, 3)).astype(np.uint8), np.full(GRID.shape, change, np.float32))


def cues(frame: int, frame_view: Seen, *boxes) -> MaskContext:
    n = len(boxes)
    last = Detections(np.array(boxes, np.float32).reshape(n, 4), np.ones(n, np.float32), np.zeros(n, np.int32))
    return MaskContext(last, GRID, PICTURE, frame, frame_view)


@pytest.fixture(scope="module")
def weights() -> MaskWeights:
    return MaskWeights("light", random_weights("light"), 0.6)


def test_the_shipped_network_is_small_and_whole():
    assert SHIPPED.stat().st_size < 500_000
    one = load_weights()
    assert one.architecture == "light" and 0.0 < one.threshold < 1.6


@pytest.mark.parametrize("kind", ["light", "paper"])
def test_weights_come_back(kind, tmp_path):
    path = str(tmp_path / "one.npz")
    save_weights(path, MaskWeights(kind, random_weights(kind), 0.25))
    one = load_weights(path)
    assert one.architecture == kind and one.threshold == 0.25
    for name, value in random_weights(kind).items():
        np.testing.assert_array_equal(one.arrays[name], value)


def archive(**arrays) -> bytes:
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


def not_finite() -> bytes:
    arrays = random_weights("light")
    arrays["score.bias"][0] = np.nan
    return archive(**arrays, threshold=np.float32(0.5))


def of_objects() -> bytes:
    arrays = {**random_weights("light"), "score.bias": np.array([None] * 4, object)}
    return archive(**arrays, threshold=np.float32(0.5))


def not_packed() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name in [*random_weights("light"), "threshold"]:
            file.writestr(f"{name}.npy", b"\x93NUMPY nonsense")
    return content.getvalue()


@pytest.mark.parametrize("content, said", [
    (b"", "empty file"), (b"PK\x03\x04 and no more", "damaged zip"), (b"text", "damaged zip"),
    (archive(keep=np.ones((2, 2))), "not weights of a mask network"),
    (archive(**random_weights("light")), "not weights of a mask network"),
    (archive(**{**random_weights("light"), "score.bias": np.zeros(5, np.float32)}, threshold=np.float32(0)),
     r"score.bias is \[5\], expected \[4\]"),
    (archive(**{**random_weights("light"), "score.bias": np.zeros(4, np.int32)}, threshold=np.float32(0)), "int32"),
    (not_finite(), "numbers that no trained network has"), (of_objects(), "Python objects"),
    (not_packed(), "damaged array"),
], ids=range(10))
def test_a_file_that_is_no_network_is_refused_in_one_line(content, said, tmp_path):
    path = tmp_path / "bad.npz"
    path.write_bytes(content)
    with pytest.raises(UserError, match=said) as error:
        load_weights(str(path))
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(UserError, match="no such file"):
        load_weights(str(tmp_path / "none.npz"))


def test_boxes_come_on_top_of_the_network():
    scores = np.full(GRID.shape, 0.25, np.float32)
    both = add_box_scores(scores, cues(1, seen(), (34, 34, 46, 46)))
    assert both[2, 2] == pytest.approx(0.25 + BOX_SCORE) and both[0, 0] == 0.25
    assert both[1, 1] == both[3, 3] == pytest.approx(0.25 + RING_SCORE)


FLAT = np.zeros((9, 9), np.float32)


def test_scores_are_relative_to_the_frame():
    logits = FLAT.copy()
    logits[:, 5:] = 3.0
    scores = region_scores(logits, FLAT)
    rest = (1.0 - LEVEL_SHARE) * logits.mean()
    assert scores[0, 0] == pytest.approx(1 / (1 + np.exp(logits.mean() - rest)), rel=1e-5)
    assert scores[0, 8] == pytest.approx(1 / (1 + np.exp(logits.mean() - rest - 3.0)), rel=1e-5)
    np.testing.assert_allclose(region_scores(logits + 10.0, FLAT) > 0.9, True, err_msg="but not altogether")


def test_change_counts_where_the_camera_stands_still():
    def gain(elsewhere: float) -> float:
        change = np.full_like(FLAT, elsewhere)
        change[3:6, 3:6] = 1.0
        scores = region_scores(FLAT, change)
        return float(scores[4, 4] - scores[0, 0])

    assert gain(0.0) > 0.3 > gain(0.7) > 0.0 and gain(1.0) == pytest.approx(0.0, abs=1e-6)


def test_a_hole_in_an_object_is_filled():
    object_with_hole = FLAT - 3.0
    object_with_hole[2:7, 2:7] = 3.0
    object_with_hole[4, 4] = -3.0
    full = object_with_hole.copy()
    full[4, 4] = 3.0
    there, whole = region_scores(object_with_hole, FLAT), region_scores(full, FLAT)
    assert there[4, 4] == there[4, 3] and there[4, 4] == pytest.approx(whole[4, 4], abs=0.02)
    assert there[4, 4] > there[0, 0] + 0.5


def test_change_lasts_a_little_but_not_that_of_the_first_frame(weights):
    indifferent = MaskWeights("light", {name: np.zeros_like(value) for name, value in weights.arrays.items()}, 0.6)

    def scores(*changes: float) -> np.ndarray:
        mask = MgnetMask(indifferent, every_frame=True)
        for frame, change in enumerate(changes):
            frame_view = seen()
            frame_view.change[2:6, 2:6] = change
            mask.propose(cues(frame, frame_view))
        return mask.last_scores

    never = scores(0, 0, 0, 0)
    assert scores(0, 0, 0, 0.8)[3, 3] > scores(0, 0, 0.8, 0)[3, 3] > never[3, 3] + 0.1
    np.testing.assert_array_equal(scores(0.8, 0, 0, 0), never, "all of a first frame is new")


def test_what_the_network_said_lasts_a_little(weights):
    def scores(*pictures: int) -> np.ndarray:
        mask = MgnetMask(weights, every_frame=True)
        for frame, image in enumerate(pictures):
            mask.propose(cues(frame, seen(image)))
        return mask.last_scores

    other, later, much_later = (np.abs(scores(1, *[2] * n) - scores(2, 2)).max() for n in (0, 1, 8))
    assert other > later > 10 * much_later


def test_it_looks_where_something_is_new(weights):
    still = MgnetMask(weights)
    for frame in range(2 * (LONGEST_REUSE + 1)):
        still.propose(cues(frame, seen()))
    assert (still.runs, still.frames) == (2, 2 * (LONGEST_REUSE + 1)), "nothing happens: it looks now and then"
    always = MgnetMask(weights, every_frame=True)
    for frame in range(5):
        always.propose(cues(frame, seen()))
    assert always.runs == 5
    moving = MgnetMask(MaskWeights("light", weights.arrays, 0.99))
    for frame in range(2 * (SHORTEST_REUSE + 1)):
        moving.propose(cues(frame, seen(change=0.1 * frame)))
    assert moving.runs == 2, "masked regions change: it looks as often as it may"
    assert SHORTEST_REUSE < LONGEST_REUSE


def test_news_where_everything_is_attended_anyway_are_none(weights):
    mask = MgnetMask(MaskWeights("light", weights.arrays, -1.0))
    assert mask.propose(cues(0, seen())).all()
    for frame in range(1, LONGEST_REUSE + 1):
        mask.propose(cues(frame, seen(change=0.1 * frame)))
    assert mask.runs == 1


def test_frame_0_starts_afresh(weights):
    mask = MgnetMask(weights, 0.6)
    first = [mask.propose(cues(frame, seen(frame, 0.1 * frame))) for frame in range(6)]
    again = [mask.propose(cues(frame, seen(frame, 0.1 * frame))) for frame in range(6)]
    np.testing.assert_array_equal(first, again)


def test_what_a_static_mask_attends_counts_for_the_share(weights):
    static = GRID.full(False)
    static[:3] = True
    mask = MgnetMask(weights, 0.5, static)
    for frame in range(8):
        keep = mask.propose(cues(frame, seen(frame)))
        assert keep[:3].all()
    assert 0.3 < keep.mean() < 0.6


FRAMES, ERROR = 400, 0.1
"""Where the level of whole frames moves more than scores within a frame, nearly all or nothing of a frame is masked.
The mean over n such frames then varies by 0.5 / sqrt(n) with *any* threshold, the true one included: by 0.08 over 40
frames, by 0.025 over 400. The error is four times that."""


@settings(max_examples=20)
@given(st.floats(0.05, 0.95), st.integers(0, 2**31), st.floats(0.2, 1.0))
def test_the_share_is_held_in_the_mean(share, seed, spread):
    rng, holder = np.random.default_rng(seed), QuantileThreshold(share)
    masked = []
    for _ in range(FRAMES):
        scores = np.clip(rng.normal(0.5, 0.2 * spread, (10, 12)) + 0.2 * rng.normal(), 0, 1.9).astype(np.float32)
        masked.append((scores <= holder.threshold(scores)).mean())
    assert abs(np.mean(masked) - share) < ERROR
    assert np.std(masked) > 0.0, "a full frame is masked less than an empty one"


def test_the_share_is_held_after_a_scene_has_changed_for_good():
    rng, holder = np.random.default_rng(3), QuantileThreshold(0.6)
    masked = []
    for frame in range(2000):
        scores = np.clip(rng.normal(0.4 + 0.5 * (frame >= 400), 0.1, (10, 12)), 0, 1.9).astype(np.float32)
        masked.append((scores <= holder.threshold(scores)).mean())
    assert np.mean(masked[400:500]) < 0.05, "at first all of it stands out"
    assert np.mean(masked[1400:]) == pytest.approx(0.6, abs=0.05)
