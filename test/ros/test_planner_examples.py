"""The nodes in docs/PLANNERS.md, taken from the page and run against the detector."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
from rig import are_matched, message, send, watch
from sensor_msgs.msg import Image

from regionmask_ros.ros.publishers import IMAGES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "PLANNERS.md"


def example(name: str) -> str:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return next(block for block in blocks if f"class {name}(" in block)


@pytest.fixture
def load(tmp_path):
    """A function that imports an example as a file of its own."""
    def from_page(name: str):
        file = tmp_path / f"{name.lower()}.py"
        file.write_text(example(name))
        spec = importlib.util.spec_from_file_location(name.lower(), file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return getattr(module, name)

    return from_page


@pytest.mark.parametrize("name", ["FreshObjects", "LookLeft"])
def test_an_example_is_short_and_compiles(name):
    (kind,) = [node for node in ast.parse(example(name)).body if isinstance(node, ast.ClassDef)]
    assert kind.end_lineno - kind.lineno < 28


def test_look_left_keeps_the_left_third_observed(rig, session, wait_for, tmp_path, load):
    node, peer = rig(refresh_period=0, mask_mode="static", static_mask=_nothing(tmp_path))
    watch(peer, wait_for, node, {"/mask": Image}, IMAGES)
    send(peer, wait_for, [message(0)])
    session.add(load("LookLeft"))
    wait_for(lambda: node._configured.attention._requests)
    send(peer, wait_for, [message(1)])
    wait_for(lambda: len(peer.heard["/mask"]) == 2)
    sent = np.frombuffer(peer.heard["/mask"][1].data, np.uint8)
    assert (sent == 255).all(), "the test's image is smaller than the box"


def test_observed_objects_are_distinguished_from_unobserved_ones(rig, session, wait_for, half_mask, load, capfd):
    node, peer = rig(refresh_period=0, mask_mode="static", static_mask=half_mask, max_detections=40)
    planner = session.add(load("FreshObjects"))
    wait_for(lambda: are_matched(node, peer, planner))
    send(peer, wait_for, [message(0), message(1)])
    log = []
    wait_for(lambda: log.append(capfd.readouterr().err) or "unobserved" in "".join(log))
    assert "observed now" in "".join(log)


def _nothing(folder: Path) -> str:
    from regionmask_ros.mask.static import save_static_mask

    save_static_mask(str(folder / "nothing.npz"), np.zeros((4, 6), bool), 16)
    return str(folder / "nothing.npz")
