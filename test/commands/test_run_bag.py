"""`run` on bags, and again and again."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from bag_writer import START_NS, STEP_NS, image, png, write_bag

from regionmask_ros.commands.run import main

FRAMES = 5


def picture(index: int) -> np.ndarray:
    pixels = np.random.default_rng(0).integers(0, 120, (64, 96, 3)).astype(np.uint8)
    pixels[20:50, 8 * index:8 * index + 20] = 230
    return pixels


@pytest.fixture
def bag(tmp_path) -> str:
    """A camera's pictures, of which the compressed ones are fewer, and another camera."""
    stamps = [START_NS + i * STEP_NS for i in range(FRAMES)]
    return write_bag(tmp_path / "bag", {
        "/front/image": [image(picture(i), s) for i, s in enumerate(stamps)],
        "/front/image/compressed": [png(picture(i), s) for i, s in enumerate(stamps[:3])],
        "/rear/image": [image(picture(0), stamps[0])],
    })


def heads_of(tmp_path, *words: str) -> tuple[np.ndarray, np.ndarray]:
    file = tmp_path / "heads.npz"
    assert main([*words, "--output", str(tmp_path / "out"), "--no-video", "--dump-head", str(file)]) == 0
    with np.load(file) as dump:
        return dump["head"], dump["masked"]


def test_raw_and_compressed_pictures_of_one_topic(trained, bag, tmp_path, capfd):
    raw, _ = heads_of(tmp_path, bag, "--topic", "/front/image")
    assert len(raw) == FRAMES
    compressed, _ = heads_of(tmp_path, bag, "--topic", "front/image", "--compressed")
    np.testing.assert_array_equal(compressed, raw[:3])
    assert main([bag, "--output", str(tmp_path / "out")]) == 2
    assert "/front/image, /rear/image: name one" in capfd.readouterr().err


def test_a_loop_begins_afresh_and_ends_where_it_is_told_to(trained, bag, tmp_path):
    words = [bag, "--topic", "/front/image", "--mask", "dynamic", "--refresh-period", "0", "--score-threshold", "0.05"]
    once, _ = heads_of(tmp_path, *words)
    looped, masked = heads_of(tmp_path, *words, "--loop", "--max-frames", str(2 * FRAMES + 2))
    np.testing.assert_array_equal(looped, np.concatenate([once, once, once[:2]]))
    assert [index for index, one in enumerate(masked) if not one.any()] == [0, FRAMES, 2 * FRAMES]
    rows = list(csv.DictReader((tmp_path / "out" / "detections.csv").open()))
    assert {int(row["frame"]) for row in rows} <= set(range(2 * FRAMES + 2))
