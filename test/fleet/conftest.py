"""A day of a robot: short clips of two cameras."""

from __future__ import annotations

from pathlib import Path

import pytest
from drawn_street import frames
from video_writer import write_video

CLIPS = ("front/a", "rear/a", "front/b", "front/c")
LENGTHS = (6, 4, 5, 4)


@pytest.fixture(scope="session")
def day(tmp_path_factory) -> Path:
    """A folder with videos: three of the camera front, one of the camera rear; two have the same name."""
    folder = tmp_path_factory.mktemp("robot") / "day"
    images, _ = frames()
    for number, (name, length) in enumerate(zip(CLIPS, LENGTHS)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_video(folder / f"{name}.mp4", images[3 * number:3 * number + length], 20.0)
    return folder
