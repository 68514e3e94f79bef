"""``python -m checks.readme_picture``: makes docs/street.webp, the moving picture on top of the README.

A few seconds of the demo's default video, with the demo's parameters. Both runs start with the first frame of it.
Left: preset balanced, right: without masks. Labels are drawn after the images are made small, so that they are sharp.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from regionmask_ros.commands._cli import run_guarded
from regionmask_ros.commands.demo import DEFAULT_MAX_PIXELS, DEFAULT_PARAMETERS, default_video
from regionmask_ros.core.frame import choose_input_size
from regionmask_ros.core.option_table import OPTIONS
from regionmask_ros.core.result import StepResult
from regionmask_ros.errors import UserError
from regionmask_ros.importing.opening import name_network, open_network
from regionmask_ros.pipeline.pipeline import Pipeline
from regionmask_ros.pipeline.settings import make_settings
from regionmask_ros.report.overlay import Overlay
from regionmask_ros.report.twin import join_sides, twin_settings
from regionmask_ros.sources import open_source

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "street.webp"
SIDE_WH = (400, 300)
FIRST, FRAMES = 195, 40
QUALITY, METHOD = 60, 6
MOST_BYTES = 2_000_000


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program.

    Args:
        argv: Its arguments; None: those of the process.

    Returns:
        The exit status.

    Raises:
        UserError: The video is too short, or the picture is too large.
    """
    parser = argparse.ArgumentParser(prog="python -m checks.readme_picture", description=__doc__)
    parser.add_argument("--first", type=int, default=FIRST, help="number of the first frame that is shown")
    parser.add_argument("--frames", type=int, default=FRAMES, help="number of frames that are shown")
    parser.add_argument("--output", type=Path, default=PICTURE, help="where to write")
    args = parser.parse_args(argv)
    images = list(islice(draw_frames(default_video()), args.first, args.first + args.frames))
    if len(images) < args.frames:
        raise UserError(f"the video has no {args.first + args.frames} frames")
    write_animation(args.output, images, 100)
    size = args.output.stat().st_size
    print(f"{args.output}: {args.frames} frames, {size / 1e6:.2f} MB")
    if size > MOST_BYTES:
        raise UserError(f"{args.output}: more than {MOST_BYTES / 1e6:g} MB; show fewer frames")
    return 0


def draw_frames(video: str) -> Iterator[np.ndarray]:
    """Runs both pipelines.

    Args:
        video: The video.

    Yields:
        Both sides of each frame, uint8 [height, width, 3], BGR.
    """
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(open_source(video))
        width, height = choose_input_size(source.size_wh, DEFAULT_MAX_PIXELS)
        values: dict[str, Any] = {**{name: option.default for name, option in OPTIONS.items()}, **DEFAULT_PARAMETERS,
                                  "input_size": f"{width}x{height}"}
        settings, network = make_settings(values), open_network(name_network(values))
        runs = [stack.enter_context(contextlib.closing(Pipeline(network, one.for_network(network))))
                for one in (settings, twin_settings(values, settings))]
        overlays = [Overlay(network.labels) for _ in runs]
        for frame in source.frames():
            (masked,), (unmasked,) = (run.process(frame) for run in runs)
            captions = (f"masked {masked.mask.masked_share:.0%}, {_count(masked)}", f"no mask, {_count(unmasked)}")
            left, right = [overlay.draw(_shrink(result), caption)
                           for overlay, result, caption in zip(overlays, (masked, unmasked), captions)]
            yield join_sides(left, right)


def write_animation(path: Path, images: Sequence[np.ndarray], duration_ms: int) -> None:
    """Writes an animated WebP image that repeats.

    Args:
        path: Where to write.
        images: uint8 [height, width, 3], BGR.
        duration_ms: How long each is shown.
    """
    from PIL import Image

    frames = [Image.fromarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)) for image in images]
    frames[0].save(path, "WEBP", save_all=True, append_images=frames[1:], duration=duration_ms, loop=0,
                   quality=QUALITY, method=METHOD, minimize_size=True)


def _count(result: StepResult) -> str:
    if result.counts is not None:
        return f"{result.counts.total_synops / 1e6:.0f} M synops"
    assert result.tile_counts is not None, "only networks of our own engines are shown here"
    return f"{result.tile_counts.totals.mac_share:.0%} of the MACs"


def _shrink(result: StepResult) -> StepResult:
    """The result on a smaller image."""
    pixels = cv2.resize(result.frame.pixels, SIDE_WH, interpolation=cv2.INTER_AREA)
    scale = np.array([SIDE_WH[0] / result.frame.size_wh[0], SIDE_WH[1] / result.frame.size_wh[1]] * 2, np.float32)
    return replace(result, frame=replace(result.frame, pixels=pixels),
                   detections=replace(result.detections, boxes=result.detections.boxes * scale))


if __name__ == "__main__":
    sys.exit(run_guarded(main))
