"""The overload of `make soak`, for a second: all images are accounted for; its times are for a machine that is idle."""

from __future__ import annotations

from checks.soak.overload import run_overload


def test_every_image_of_an_overload_is_accounted_for(ros_environment, trained_file, real_video):
    said: list[str] = []
    table = {line.what.strip(): line for line in run_overload(real_video("bikes.mp4"), 1.0, said.append, 20)}
    assert "from stamp to answer" in said[0]
    for what in ("lost before the node, in DDS", "received by the node", "dropped: broken",
                 "answers lost after the node, in DDS", "newest first"):
        assert table[what].bar and table[what].is_met, table
    assert "estimated by the node from the camera's rate" in table
