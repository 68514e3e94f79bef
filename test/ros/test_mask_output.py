from __future__ import annotations

import pytest

pytest.importorskip("rclpy")

from regionmask_ros.errors import UserError
from regionmask_ros.ros.parameters import split_mask_output


def test_each_node_has_a_file_of_its_own():
    names = ["/detector", "/front/detector", "/left/detector", "/robot/front/detector", "/front",
             "/robot_front/detector"]
    files = [split_mask_output("", name) for name in names]
    assert files[0] == ("static_mask.npz",) and files[1] == ("front.detector.static_mask.npz",)
    assert len(set(files)) == len(names)


def test_a_name_of_the_user_is_used_as_it_is():
    assert split_mask_output("day/mask.npz", "/front/detector") == ("day", "mask.npz")
    with pytest.raises(UserError, match="static_mask_output"):
        split_mask_output("../mask.npz", "/front/detector")
