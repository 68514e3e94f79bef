"""Recordings for the Rerun viewer, read back; without the library, one line that says how to get it."""

from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest
from bag_writer import START_NS, STEP_NS, image, write_bag

from regionmask_ros.commands.run import main
from regionmask_ros.report.rerun import KEPT, MASKED

FRAMES, SIZE_WH = 6, (96, 64)
needs_rerun = "rerun-sdk is not installed: `make rerun-setup` brings it"


def gradient(index: int) -> np.ndarray:
    """uint8 [h, w, 3]: still gray noise, which survives JPEG, and a block that moves."""
    pixels = np.random.default_rng(0).integers(0, 120, (SIZE_WH[1], SIZE_WH[0], 1)).astype(np.uint8).repeat(3, axis=2)
    pixels[20:50, 8 * index:8 * index + 20] = 230
    return pixels


@pytest.fixture
def bag(tmp_path) -> str:
    return write_bag(tmp_path / "bag", {"/cam": [image(gradient(i), START_NS + i * STEP_NS) for i in range(FRAMES)]})


def logged(path, entity: str) -> list[dict]:
    """One dict a frame, in their order: what was logged for that entity, without the archetype's name.

    Times are (arrow's name of their type, nanoseconds)."""
    rerun = pytest.importorskip("rerun", reason=needs_rerun)
    import pyarrow as pa

    rows = []
    for chunk in rerun.chunk.RrdReader(str(path)).stream():
        if chunk.entity_path != entity or chunk.is_static:
            continue
        values = {}
        for field, column in zip(chunk.to_record_batch().schema, chunk.to_record_batch().columns):
            name = field.name.rpartition(":")[2]
            if pa.types.is_temporal(field.type):
                values[name] = [(str(field.type), ns) for ns in column.cast(pa.int64()).to_pylist()]
            else:
                values[name] = column.to_pylist()
        rows += [dict(zip(values, row)) for row in zip(*values.values())]
    return sorted(rows, key=lambda row: row["frame"])


def test_everything_about_a_frame_is_in_the_recording(trained, bag, half_mask, tmp_path, capfd):
    pytest.importorskip("rerun", reason=needs_rerun)
    out, file = tmp_path / "out", tmp_path / "out" / "cam.rrd"
    assert main([bag, "--output", str(out), "--static-mask", half_mask, "--preset-refresh-period", "3",
                 "--score-threshold", "0.05", "--no-video", "--dump-head", str(tmp_path / "h.npz"),
                 "--rerun", str(file)]) == 0
    assert capfd.readouterr().err == "" and sorted(p.name for p in out.iterdir()) == [
        "cam.rrd", "detections.csv", "report.html"]
    images = logged(file, "/camera")
    assert [row["frame"] for row in images] == list(range(FRAMES))
    stamps = [("timestamp[ns]", START_NS + i * STEP_NS) for i in range(FRAMES)]
    assert [row["stamp"] for row in images] == stamps
    for index, row in enumerate(images):
        decoded = cv2.imdecode(np.array(row["blob"][0], np.uint8), cv2.IMREAD_COLOR)
        assert np.abs(decoded.astype(int) - gradient(index)).mean() < 12
    with np.load(tmp_path / "h.npz") as dump:
        masked = dump["masked"]
    for row, grid in zip(logged(file, "/camera/mask"), masked):
        shown = np.array(row["buffer"][0], np.uint8).reshape(SIZE_WH[1], SIZE_WH[0])
        np.testing.assert_array_equal(shown == MASKED, grid.repeat(16, 0).repeat(16, 1))
        assert set(np.unique(shown)) <= {MASKED, KEPT}
    shares = [row["scalars"][0] for row in logged(file, "/figures/masked_share")]
    assert shares == [pytest.approx(100 * grid.mean()) for grid in masked] and 50.0 in shares
    ms, synops = (logged(file, f"/figures/{name}") for name in ("ms", "synops"))
    assert all(row["scalars"][0] > 0 for row in (*ms, *synops))
    assert [row["frame"] for row in ms] == list(range(1, FRAMES)), "the first frame pays for opening"
    arose = [np.array(row["buffer"][0], np.uint8) for row in logged(file, "/events")]
    assert len(arose) == FRAMES and arose[0].min() == 255 and set(np.unique(arose[1])) == {0, 255}


def test_boxes_are_those_of_the_table(trained, bag, tmp_path):
    pytest.importorskip("rerun", reason=needs_rerun)
    file = tmp_path / "cam.rrd"
    assert main([bag, "--output", str(tmp_path), "--score-threshold", "0.02", "--no-video", "--rerun", str(file)]) == 0
    lines = (tmp_path / "detections.csv").read_text().splitlines()[1:]
    expected = [(int(f), f"{name} {track}:" if track else name, float(score), *map(float, box))
                for f, _, name, score, *box, track in (line.split(",") for line in lines)]
    found = []
    for row in logged(file, "/camera/objects"):
        for (cx, cy), (hx, hy), label in zip(row["centers"], row["half_sizes"], row["labels"]):
            name, _, score = label.rpartition(" ")
            found.append((row["frame"], name, float(score), cx - hx, cy - hy, 2 * hx, 2 * hy))
    assert len(found) == len(expected) > 0
    for one, other in zip(found, expected):
        assert one[:2] == other[:2] and one[2:] == pytest.approx(other[2:], abs=0.02)


def test_the_time_of_a_video_is_not_a_date(trained, make_clip, tmp_path):
    pytest.importorskip("rerun", reason=needs_rerun)
    file = tmp_path / "clip.rrd"
    assert main([make_clip(3, 2), "--output", str(tmp_path / "out"), "--no-video", "--rerun", str(file)]) == 0
    times = [("duration[ns]", milliseconds * 10**6) for milliseconds in (0, 50, 100)]
    assert [row["stamp"] for row in logged(file, "/camera")] == times


def test_without_the_library_or_the_ending_nothing_is_done(trained, bag, tmp_path, capfd, monkeypatch):
    monkeypatch.setitem(sys.modules, "rerun", None)
    for name, said in (("cam.rrd", "make rerun-setup"), ("cam.mp4", "must end with .rrd")):
        assert main([bag, "--output", str(tmp_path / "out"), "--rerun", str(tmp_path / name)]) == 2
        (line,) = [one for one in capfd.readouterr().err.splitlines() if "error" in one]
        assert said in line and not (tmp_path / "out").exists() and not (tmp_path / name).exists()


@pytest.mark.parametrize("limit", [1_000, 50_000])
def test_a_full_disk_is_an_error_and_leaves_no_file(trained, tmp_path, capfd, limit):
    pytest.importorskip("rerun", reason=needs_rerun)
    import resource

    images = [image(np.random.default_rng(i).integers(0, 255, (64, 96, 3)).astype(np.uint8), START_NS + i * STEP_NS)
                for i in range(40)]
    bag = write_bag(tmp_path / "noise", {"/cam": images})
    _, hard = before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        rerun = str(tmp_path / "out" / "c.rrd")
        assert main([bag, "--output", str(tmp_path / "out"), "--no-video", "--rerun", rerun]) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "c.rrd: not written completely: File too large" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()
