"""`calibrate` with networks in ONNX files, whose inputs decide about the regions of the mask."""

from __future__ import annotations

from dataclasses import replace

import pytest
from video_writer import write_video

from regionmask_ros.backends.runtimes import RUNTIMES
from regionmask_ros.commands import calibrate, run
from regionmask_ros.core.grid import RegionGrid
from regionmask_ros.mask.static import read_static_mask
from regionmask_ros.network.cards import store_network

for package in ("onnx", *RUNTIMES):
    pytest.importorskip(package, reason=f"no {package}: `make runtimes` brings it")

from dense_camera import SIZE_WH, block_frames  # noqa: E402
from dense_networks import block_network  # noqa: E402


@pytest.mark.parametrize("facts, grid, from_labels", [
    ({"alignment": 64}, RegionGrid(8, 12), False), ({"fixed_wh": (320, 320)}, RegionGrid(20, 20), False),
    ({"fixed_wh": (320, 320)}, RegionGrid(20, 20), True),
], ids=["aligned", "fixed", "fixed, from labels"])
def test_a_mask_fits_the_network_that_it_was_made_for(tmp_path, monkeypatch, facts, grid, from_labels):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    store_network(replace(block_network(), **facts))
    video = write_video(tmp_path / "blocks.mp4", [frame.pixels for frame in block_frames(12)], 20.0)
    out, labels = tmp_path / "out", []
    if from_labels:
        rows = [f"{t},square,{48 + 4 * t},40,40,40,0" for t in range(12)]
        (tmp_path / "labels.csv").write_text("\n".join(["frame,class,x,y,w,h,ignore", *rows, ""]))
        labels = ["--labels", f"csv:{tmp_path / 'labels.csv'}"]
    assert calibrate.main([video, "--output", str(out), "--network", "blocks", *labels]) == 0
    keep = read_static_mask(str(out / "static_mask.npz")).fit(grid, SIZE_WH)
    x, y = (int(share * count) for share, count in zip((90 / 192, 60 / 128), grid.shape[::-1]))
    assert keep[y, x] and not keep[-1].any() and 0.02 < keep.mean() < 0.6
    assert run.main([video, "--output", str(tmp_path / "run"), "--network", "blocks", "--no-video", "--mask", "static",
                     "--static-mask", str(out / "static_mask.npz"), "--model-cache", "none"]) == 0
