"""Labels stay with their objects: merged from several runs, moved, cut, covered, and in whole samples."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_yolox import draw_scene

from regionmask_ros.lab.distillation.augment import SampleSource, cover_labels, move_labels
from regionmask_ros.lab.distillation.labels import SURE, UNSURE
from regionmask_ros.lab.distillation.pictures import Picture
from regionmask_ros.lab.distillation.teacher import merge_runs

BOX = [10, 10, 50, 90]


def rows(*found) -> np.ndarray:
    return np.array(found, np.float32).reshape(-1, 6)


def as_picture(seed: int, source: int = 0) -> Picture:
    image, labels = draw_scene(seed)
    return Picture(cv2.imencode(".png", image[..., ::-1])[1].tobytes(), labels, source)


def test_what_all_runs_find_keeps_its_score_and_gets_the_mean_box():
    merged = merge_runs([rows([*BOX, 0.8, 0]), rows([12, 10, 52, 90, 0.8, 0])])
    np.testing.assert_allclose(merged, rows([11, 10, 51, 90, 0.8, 0]), atol=1e-4)


def test_what_one_run_of_two_finds_has_half_the_score():
    np.testing.assert_allclose(merge_runs([rows([*BOX, 0.8, 0]), rows()])[:, 4], [0.4], atol=1e-6)


def test_two_objects_of_one_run_and_two_classes_stay_apart():
    merged = merge_runs([rows([*BOX, 0.8, 0], [*BOX, 0.7, 1], [12, 10, 50, 90, 0.6, 0])])
    assert sorted(merged[:, 4].tolist()) == pytest.approx([0.6, 0.7, 0.8])


@given(st.lists(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(1, 40), st.integers(1, 40),
                                   st.floats(0.125, 1, width=32), st.integers(0, 2)), max_size=6),
                min_size=1, max_size=4))
def test_merging_keeps_all_of_the_scores_and_puts_the_best_first(runs):
    given_rows = [rows(*((x, y, x + w, y + h, score, kind) for x, y, w, h, score, kind in run)) for run in runs]
    merged = merge_runs(given_rows)
    assert merged[:, 4].sum() == pytest.approx(sum(run[:, 4].sum() for run in given_rows) / len(runs), rel=1e-4)
    assert (np.diff(merged[:, 4]) <= 0).all()


def test_moved_labels_are_cut_and_mostly_hidden_objects_are_uncertain():
    matrix = np.array([[2.0, 0, -60], [0, 1.0, 0]])
    moved = move_labels(rows([20, 10, 50, 90, 0.9, 1], [60, 0, 80, 20, 0.9, 0]), matrix, (100, 60))
    np.testing.assert_allclose(moved, rows([0, 10, 40, 60, 0.9, 1], [60, 0, 100, 20, 0.9, 0]))
    hidden = move_labels(rows([*BOX, 0.9, 1]), np.array([[1.0, 0, -40], [0, 1, 0]]), (100, 60))
    assert hidden[0, 4] == np.float32(UNSURE)
    assert not len(move_labels(rows([*BOX, 0.9, 1]), np.array([[1.0, 0, -49], [0, 1, -89]]), (100, 60)))


def test_what_is_covered_by_something_pasted_is_uncertain():
    covered = cover_labels(rows([*BOX, 0.9, 1], [60, 0, 80, 20, 0.9, 0]), np.array([0, 0, 55, 95, 0.8, 0], np.float32))
    assert covered[:, 4].tolist() == [np.float32(UNSURE), np.float32(0.9)]


def test_in_samples_labels_lie_on_their_objects(monkeypatch):
    # Colors stay: only then can the test see which block is which.
    monkeypatch.setattr("regionmask_ros.lab.distillation.augment.recolor", lambda _, image: image)
    source, seen = SampleSource([as_picture(seed, seed % 2) for seed in range(6)], 2), [0, 0]
    for seed in range(40):
        image, labels = source.draw(np.random.default_rng(seed), (160, 96))
        assert image.shape == (96, 160, 3) and image.dtype == np.uint8
        assert (labels[:, :4] >= 0).all() and (labels[:, [0, 2]] <= 160).all() and (labels[:, [1, 3]] <= 96).all()
        for x0, y0, x1, y1, score, kind in labels:
            if score >= SURE and min(x1 - x0, y1 - y0) >= 10:
                middle = image[int(y0 + 0.3 * (y1 - y0)):int(y0 + 0.7 * (y1 - y0)) + 1,
                               int(x0 + 0.3 * (x1 - x0)):int(x0 + 0.7 * (x1 - x0)) + 1].reshape(-1, 3)
                color = np.median(middle, axis=0)
                seen[int(kind)] += (color[0] > color[2]) == (kind == 0) and abs(color[0] - color[2]) > 60
                seen.append(0)
    assert sum(seen) >= 0.85 * (len(seen) - 2), "most labels lie on a block of their color"


def test_the_generator_alone_decides_a_sample():
    source = SampleSource([as_picture(seed) for seed in range(3)], 2)
    (image, labels), (again, same) = (source.draw(np.random.default_rng([1, 7]), (96, 64)) for _ in range(2))
    assert np.array_equal(image, again) and np.array_equal(labels, same)
