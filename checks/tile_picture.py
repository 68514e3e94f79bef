"""``python -m checks.tile_picture``: makes docs/tiles.webp, which shows what the tile engine replaces, layer by layer.

Three frames of the demo's default video, from top to bottom, without a mask, with the thresholds of the preset
balanced. From left to right: the image, and of each stride the convolution with most operations. Bright tiles were
replaced in this frame; dark ones still hold what an earlier frame has made of them.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from regionmask_ros.backends.tiles import read_tiles
from regionmask_ros.commands._cli import run_guarded
from regionmask_ros.commands.demo import default_video
from regionmask_ros.core.frame import choose_input_size, resize_frame
from regionmask_ros.errors import UserError
from regionmask_ros.importing.opening import open_network
from regionmask_ros.network.dense import DenseNetwork
from regionmask_ros.report.plots import figure_png, new_figure
from regionmask_ros.sources import open_source
from regionmask_ros.tiles.grid import TileGrid, expand
from regionmask_ros.tiles.network import TileNetwork
from regionmask_ros.tiles.runner import TileRunner
from regionmask_ros.tiles.work import WorkMeter

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "tiles.webp"
LEVEL = 1
MAX_PIXELS = 180_000
FIRST, SHOWN = 200, 3
DARK = 0.25
DPI = 100
STRIDES = (2, 4, 8, 16, 32)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program.

    Args:
        argv: Its arguments; None: those of the process.

    Returns:
        The exit status.

    Raises:
        UserError: The network does not run on the tile engine, or the video is too short.
    """
    parser = argparse.ArgumentParser(prog="python -m checks.tile_picture", description=__doc__)
    parser.add_argument("--network", default="yolox_nano", help="an imported network")
    parser.add_argument("--first", type=int, default=FIRST, help="number of the first frame that is shown")
    parser.add_argument("--output", type=Path, default=PICTURE, help="where to write")
    args = parser.parse_args(argv)
    network = open_network(args.network)
    if not isinstance(network, DenseNetwork):
        raise UserError(f"--network {args.network}: not a network of the tile engine")
    with open_source(default_video()) as source:
        size = choose_input_size(source.size_wh, MAX_PIXELS, network.alignment)
        images = [resize_frame(frame, size) for frame in islice(source.frames(), args.first + SHOWN)]
    if len(images) < args.first + SHOWN:
        raise UserError(f"the video has no {args.first + SHOWN} frames")
    draw(network, images, args.output)
    print(f"{args.output}: {args.output.stat().st_size / 1e3:.0f} kB")
    return 0


def draw(network: DenseNetwork, images: Sequence[np.ndarray], output: Path) -> None:
    """Plays images, and draws the last ones.

    Args:
        network: With its quantized form.
        images: uint8 [rows, cols, 3], RGB, of one size.
        output: The picture.
    """
    from PIL import Image

    stored = read_tiles(network)
    rows, cols = images[0].shape[:2]
    runner = TileRunner(stored.network, stored.tail, (cols, rows))
    names = choose_layers(stored.network, (cols, rows))
    meter, macs = WorkMeter(stored.network, (cols, rows)), sum(stored.network.graph.macs((cols, rows)).values())
    strides = stored.network.graph.strides()
    figure = new_figure(1.8 * len(names), 1.5 * SHOWN)
    axes = figure.subplots(SHOWN, len(names), squeeze=False)
    for number, image in enumerate(images):
        before = {name: runner.engine.held(name).copy() for name in names}
        output_of = runner.step(image, None, stored.network.levels[LEVEL])
        line = number - (len(images) - SHOWN)
        if line < 0:
            continue
        share = meter.measure(output_of.step.counts).macs.sum() / macs
        for axis, name in zip(axes[line], names):
            held = runner.engine.held(name)
            grid = TileGrid(held.shape[0], held.shape[1], strides[name])
            axis.imshow(shade(image, find_replaced(before[name], held, grid)))
            axis.set(xticks=[], yticks=[])
            if line == 0:
                axis.set_title("image" if name == stored.network.graph.input else f"stride {strides[name]}", size=8)
        axes[line][0].set_ylabel(f"{share:.0%} of the MACs", size=8)
    with Image.open(io.BytesIO(figure_png(figure, DPI))) as picture:
        picture.convert("RGB").save(output, "WEBP", quality=70, method=6)


def choose_layers(network: TileNetwork, input_wh: tuple[int, int]) -> list[str]:
    """The image, and of each stride the convolution with most operations."""
    strides, macs = network.graph.strides(), network.graph.macs(input_wh)
    inner = [node.name for node, may in zip(network.graph.nodes, network.has_threshold) if may]
    best = [max((name for name in inner if strides[name] == stride), key=lambda name: macs[name], default="")
            for stride in STRIDES]
    return [network.graph.input, *filter(None, best)]


def find_replaced(before: np.ndarray, after: np.ndarray, grid: TileGrid) -> np.ndarray:
    """Tiles that differ, as pixels of the tensor: bool [rows, cols]."""
    tiles = np.zeros((grid.rows, grid.cols), bool)
    rows, cols = np.nonzero((before != after).any(axis=2))
    tiles[rows // grid.side, cols // grid.side] = True
    return expand(tiles, grid)


def shade(image: np.ndarray, bright: np.ndarray) -> np.ndarray:
    """The image, dark where a tensor was not replaced.

    Args:
        image: uint8 [rows, cols, 3].
        bright: bool, of the tensor's size.

    Returns:
        uint8 [rows, cols, 3].
    """
    wide = cv2.resize(bright.astype(np.uint8), image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    shaded: np.ndarray = (image * np.where(wide, 1.0, DARK)[:, :, None]).astype(np.uint8)
    return shaded


if __name__ == "__main__":
    sys.exit(run_guarded(main))
