"""The command `calibrate` makes the same mask from every label format."""

from __future__ import annotations

import json

import numpy as np
import pytest

from regionmask_ros.commands.calibrate import main
from regionmask_ros.core.grid import RegionGrid
from regionmask_ros.mask.static import read_static_mask

FRAMES = 4
X, Y, W, H = 32, 48, 16, 32
"""One person in two of the 6x10 regions."""


COCO = {
    "images": [{"id": t, "file_name": f"{t}.png"} for t in range(FRAMES)],
    "categories": [{"id": 1, "name": "person"}],
    "annotations": [{"image_id": t, "category_id": 1, "bbox": [X, Y, W, H], "iscrowd": 0} for t in range(FRAMES)],
}
LINES = {
    "csv": ["frame,class,x,y,w,h,ignore", *[f"{t},person,{X},{Y},{W},{H},0" for t in range(FRAMES)]],
    "mot": [f"{t + 1},1,{X + 1},{Y + 1},{W},{H},1,1,1.0" for t in range(FRAMES)],
    "kitti": [f"{t} 0 Pedestrian 0 0 0 {X} {Y} {X + W} {Y + H} 1 1 1 0 0 0 0" for t in range(FRAMES)],
    "coco": [json.dumps(COCO)],
}


@pytest.mark.parametrize("kind", LINES)
def test_the_same_objects_give_the_same_mask(make_clip, tmp_path, capfd, kind):
    out, labels = tmp_path / "out", tmp_path / "labels"
    labels.write_text("\n".join(LINES[kind]) + "\n")
    assert main([make_clip(FRAMES, 8), "--labels", f"{kind}:{labels}", "--output", str(out)]) == 0
    keep = read_static_mask(str(out / "static_mask.npz")).fit(RegionGrid(6, 10), (160, 96))
    assert np.argwhere(keep).tolist() == [[3, 2], [4, 2]]
    assert f"{FRAMES} frames, {FRAMES} objects, labelled" in capfd.readouterr().out
