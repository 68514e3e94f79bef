"""A day of a robot: short clips of two cameras."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from drawn_street import frames
from video_writer import write_video

from regionmask_ros.commands.run import main

CLIPS = ("front/a", "rear/a", "front/b")
LENGTHS = (6, 4, 5)


@pytest.fixture(scope="session")
def day(tmp_path_factory) -> Path:
    """A folder with videos: two of the camera front, one of the camera rear; two have the same name."""
    folder = tmp_path_factory.mktemp("robot") / "day"
    images, _ = frames()
    for number, (name, length) in enumerate(zip(CLIPS, LENGTHS)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_video(folder / f"{name}.mp4", images[3 * number:3 * number + length], 20.0)
    return folder


@pytest.fixture
def importable(monkeypatch):
    """Workers find this folder's modules."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(
        [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]))


@pytest.fixture(scope="session")
def singles(trained, day, tmp_path_factory) -> dict[str, bytes]:
    """The detections of each clip, from a run of its own, by the clip's path."""
    found = {}
    for clip in sorted(day.rglob("*.mp4")):
        folder = tmp_path_factory.mktemp("single")
        assert main([str(clip), "--output", str(folder), "--no-video", "--quiet"]) == 0
        found[str(clip)] = (folder / "detections.csv").read_bytes()
    assert any(content.count(b"\n") > 1 for content in found.values())
    return found
