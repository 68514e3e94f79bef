"""`python -m checks.tile_picture`: three frames of a block that moves."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from checks.tile_picture import PICTURE, draw, find_replaced, main, shade
from regionmask_ros.tiles.grid import TileGrid

for package in ("onnx", "onnxruntime"):
    pytest.importorskip(package, reason=f"no {package}: `make runtimes` brings it")

from dense_camera import block_frames  # noqa: E402
from tile_networks import tiled_block_network  # noqa: E402


def test_the_picture_has_three_frames_and_dark_tiles(tmp_path):
    path = tmp_path / "tiles.webp"
    draw(tiled_block_network(), [frame.pixels for frame in block_frames(5, step=8)], path)
    with Image.open(path) as image:
        assert image.width > 100 and image.height > 400
        values = np.asarray(image.convert("L"))
    assert (values < 40).mean() > 0.1 and (values > 200).mean() > 0.1


def test_tiles_that_differ_are_bright():
    before = np.zeros((8, 12, 2), np.uint8)
    after = before.copy()
    after[5, 6, 1] = 1
    replaced = find_replaced(before, after, TileGrid(8, 12, 4))
    assert replaced.sum() == 16 and replaced[4:8, 4:8].all()
    shaded = shade(np.full((32, 48, 3), 200, np.uint8), replaced)
    assert shaded[20, 20, 0] == 200 and shaded[0, 0, 0] == 50


def test_a_network_without_tiles_is_refused_in_one_line(trained, capsys):
    with pytest.raises(Exception, match="not a network of the tile engine"):
        main(["--network", ""])


def test_the_committed_picture_is_small():
    with Image.open(PICTURE) as image:
        assert image.width >= 900
    assert PICTURE.stat().st_size < 300_000
