"""`run` on bags, and again and again."""

from __future__ import annotations

import csv
import json
import os

import numpy as np
import pytest
from bag_kinds import Kind, write_kind
from bag_writer import START_NS, STEP_NS, image, png, write_bag
from moving_square import moving_square

from regionmask_ros.commands.run import main

FRAMES = 5
IMAGES = [frame.pixels for frame in moving_square(
    FRAMES, (96, 64), square_wh=(20, 30), step=8, grays=(230,), noise=120)]


@pytest.fixture
def bag(tmp_path) -> str:
    """A camera's images, of which the compressed ones are fewer, and another camera."""
    stamps = [START_NS + i * STEP_NS for i in range(FRAMES)]
    return write_bag(tmp_path / "bag", {
        "/front/image": [image(IMAGES[i], s) for i, s in enumerate(stamps)],
        "/front/image/compressed": [png(IMAGES[i], s) for i, s in enumerate(stamps[:3])],
        "/rear/image": [image(IMAGES[0], stamps[0])],
    })


def heads_of(tmp_path, *words: str) -> tuple[np.ndarray, np.ndarray]:
    file = tmp_path / "heads.npz"
    assert main([*words, "--output", str(tmp_path / "out"), "--no-video", "--dump-head", str(file)]) == 0
    with np.load(file) as dump:
        return dump["head"], dump["masked"]


def test_raw_and_compressed_images_of_one_topic(trained, bag, tmp_path, capfd):
    raw, _ = heads_of(tmp_path, bag, "--topic", "/front/image")
    assert len(raw) == FRAMES
    compressed, _ = heads_of(tmp_path, bag, "--topic", "front/image", "--compressed")
    np.testing.assert_array_equal(compressed, raw[:3])
    assert main([bag, "--output", str(tmp_path / "out")]) == 2
    assert "/front/image, /rear/image: name one" in capfd.readouterr().err


def test_each_loop_starts_with_a_reset_and_max_frames_ends_the_last(trained, bag, tmp_path):
    words = [bag, "--topic", "/front/image", "--mask", "dynamic", "--refresh-period", "0", "--score-threshold", "0.05"]
    once, _ = heads_of(tmp_path, *words)
    looped, masked = heads_of(tmp_path, *words, "--loop", "--max-frames", str(2 * FRAMES + 2))
    np.testing.assert_array_equal(looped, np.concatenate([once, once, once[:2]]))
    assert [index for index, one in enumerate(masked) if not one.any()] == [0, FRAMES, 2 * FRAMES]
    rows = list(csv.DictReader((tmp_path / "out" / "detections.csv").open()))
    assert {int(row["frame"]) for row in rows} <= set(range(2 * FRAMES + 2))


def test_what_is_missing_is_told_counted_and_in_the_json_and_any_path_works(trained, tmp_path, capfd):
    folder = tmp_path / os.fsdecode(b"a#b?%41\n\xff")
    files = write_kind(folder, Kind(parts=3))
    files[1].unlink()
    facts = tmp_path / "run.json"
    assert main([str(folder), "--output", str(tmp_path / "out"), "--no-video", "--json", str(facts), "--strict"]) == 3
    told = capfd.readouterr()
    assert "metadata.yaml promises 6 messages on /cam/image, but 4 are there" in told.err
    assert "dropped 2 pictures (2 missing): " in told.err and "/cam/image: 2 of 6 images are missing" in told.err
    bag = json.loads(facts.read_text())["bag"]
    assert json.loads(facts.read_text())["dropped_images"] == 2
    assert (bag["promised_messages"], bag["found_messages"], bag["missing_messages"]) == (6, 4, 2)
    assert "names bag_1.mcap, which is not there" in bag["notes"][0]
    report = (tmp_path / "out" / "report.html").read_text()
    assert "images missing in the bag" in report and "a#b?%41\\x0a\\xff" in report
