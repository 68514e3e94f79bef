"""The programs whose end is tried: the node and the commands, with what they read."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from regionmask_ros.backends.worker_process import find_lava_python
from regionmask_ros.errors import UserError
from regionmask_ros.installed import installed_file

from ..fuzz.kind import use_test_helpers
from .room import Room

_ACTIVE, _PLAYING = "active: images from", "playing anyway"
"""What the node and the player have printed once a signal is their usual end."""

VIDEO = installed_file("bikes.mp4")
_BAG_IMAGES = 8


@dataclass(frozen=True)
class Program:
    """A program that is ended by a signal.

    Attributes:
        name: Its name in the table.
        share: How many moments it gets, relative to the others.
        command: The command line, in a room.
        span_s: A signal comes within this time after the first lines, or after ``running``, in seconds.
        running: What it has printed once a signal is its usual end, with the status 0.
        can_end_well: Whether a signal may be its usual end also before.
        outputs: What may be left in the output folder, relative to it: all of it or nothing. Folders with their
            content.
        has_camera: Whether a camera plays to it.
    """

    name: str
    share: float
    command: Callable[[Room], Sequence[str]]
    span_s: float
    running: str = ""
    can_end_well: bool = False
    outputs: tuple[str, ...] = ()
    has_camera: bool = False


def command_line(*arguments: str | Path) -> list[str]:
    """The command line of one of this package's commands."""
    return [sys.executable, "-m", "regionmask_ros", *map(str, arguments)]


def make_programs(folder: Path) -> list[Program]:
    """All that can run on this computer.

    Args:
        folder: An empty folder for what the programs read.

    Returns:
        The programs.
    """
    bag = _write_bag(folder / "bag")
    files = ("result/annotated.mp4", "result/detections.csv", "result/report.html")
    short = ("--input-size", "160x96", "--max-frames", "60")
    programs = [
        _node("node", 24, 4.0),
        _node("node, two cameras", 8, 5.0, "--camera", "front", "--camera", "left",
              "--ros-args", "-r", "image:=/image"),
        Program("node, not configured", 4, lambda _: command_line(
            "detector", "--ros-args", "-p", "autostart:=false"), 2.5, can_end_well=True),
        Program("run", 10, lambda room: command_line("run", VIDEO, "--output", room.output / "result", *short), 4.0,
                outputs=files),
        Program("run, bag", 4, lambda room: command_line("run", bag, "--output", room.output / "result", *short), 3.0,
                outputs=files),
        Program("play", 6, lambda _: command_line("play", VIDEO, "--loop", "--wait", "0", "--topic", "/nobody"), 3.0,
                _PLAYING, can_end_well=True),
        Program("play, bag", 4, lambda _: command_line(
            "play", bag, "--clock", "--loop", "--topic", "/picture", "--wait", "0"), 3.0, _PLAYING, can_end_well=True),
        Program("record", 8, lambda room: command_line("record", room.output / "new" / "bag"), 4.0, can_end_well=True,
                outputs=("new/bag",)),
        Program("demo", 8, lambda room: command_line(
            "demo", "--output", room.output / "demo", "--video", VIDEO, "--max-frames", "40", "--rate", "2"), 9.0,
            outputs=("demo",)),
    ]
    return [*programs, *_onnx_programs(folder, short, files), *_lava_programs()]


def _node(name: str, share: float, span_s: float, *arguments: str) -> Program:
    return Program(name, share, lambda _: command_line("detector", *arguments), span_s, _ACTIVE, can_end_well=True,
                   has_camera=True)


def _onnx_programs(folder: Path, short: Sequence[str], files: tuple[str, ...]) -> list[Program]:
    """A network that is read in a process of its own; nothing without the packages for it."""
    if not all(map(importlib.util.find_spec, ("onnx", "onnxruntime"))):
        return []
    onnx = str(write_onnx(folder / "small.onnx"))
    return [
        _node("node, ONNX file", 8, 6.0, "--ros-args", "-p", f"network_file:={onnx}"),
        Program("run, ONNX file", 4, lambda room: command_line(
            "run", VIDEO, "--network", onnx, "--output", room.output / "result", *short), 5.0, outputs=files),
        Program("model import", 4, lambda _: command_line("model", "import", onnx), 3.0),
    ]


def _lava_programs() -> list[Program]:
    """The node with Lava's processes; nothing without Lava."""
    try:
        find_lava_python()
    except UserError:
        return []
    return [_node("node, Lava", 8, 9.0, "--ros-args", "-p", "backend:=lava_sim", "-p", "input_size:=96x64")]


def _write_bag(folder: Path) -> Path:
    use_test_helpers()
    import bag_writer

    images = [np.random.default_rng(index).integers(0, 256, (48, 64, 3), np.uint8) for index in range(_BAG_IMAGES)]
    messages = [bag_writer.image(image, bag_writer.START_NS + index * bag_writer.STEP_NS)
                for index, image in enumerate(images)]
    bag_writer.write_bag(folder, {"/picture": messages})
    return folder


def write_onnx(path: Path) -> Path:
    """Writes a small detector with random weights. Needs the package onnx."""
    use_test_helpers()
    from detector_graphs import detector_model

    path.write_bytes(detector_model().SerializeToString())
    return path
