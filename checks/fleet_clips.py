"""``python -m checks.fleet_clips VIDEO FOLDER``: cuts a video into clips, a small fleet for docs/FLEET.md.

The clips have equal lengths, and lie in as many folders as there shall be cameras.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from regionmask_ros.commands._cli import run_guarded
from regionmask_ros.errors import UserError
from regionmask_ros.report.video_file import VideoWriter
from regionmask_ros.sources import open_source


def write_clips(video: str, folder: Path, clips: int, cameras: int) -> list[Path]:
    """Writes the clips, as H.264.

    Args:
        video: What is cut.
        folder: Gets a folder for each camera, with its clips.
        clips: Number of clips.
        cameras: Number of cameras; they take turns.

    Returns:
        The clips, in the order of time.

    Raises:
        UserError: The video cannot be read, or has fewer frames than there shall be clips.
    """
    written = []
    with open_source(video) as source:
        length = (source.frame_count or 0) // clips
        if length < 1:
            raise UserError(f"{video}: too short for {clips} clips")
        frames = source.frames()
        for number in range(clips):
            path = folder / f"camera{number % cameras + 1}" / f"clip{number + 1:02d}.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            with VideoWriter(str(path), source.fps) as writer:
                for frame in islice(frames, length):
                    writer.add(frame.bgr())
            written.append(path)
    return written


def main(argv: Sequence[str] | None = None) -> int:
    """Cuts the video that the arguments name. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m checks.fleet_clips", description=__doc__)
    parser.add_argument("video")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--cameras", type=int, default=2)
    args = parser.parse_args(argv)

    def call() -> int:
        print(f"{len(write_clips(args.video, args.folder, args.clips, args.cameras))} clips in {args.folder}")
        return 0

    return run_guarded(call)


if __name__ == "__main__":
    sys.exit(main())
