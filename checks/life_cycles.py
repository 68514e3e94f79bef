"""``python -m checks.life_cycles``: what the detector's process holds after many life cycles and mode changes.

Each row is a process of its own, the real program, driven over ROS. A row fails if the process ends with more than 10 %
more memory than after the first 20 rounds, with more descriptors, or with more threads than a pool explains.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from regionmask_ros.ros.session import RosSession
from regionmask_ros.ros.setup import use_profile

from .fuzz.kind import use_test_helpers
from .node_process import ACTIVATE, CLEANUP, CONFIGURE, DEACTIVATE, Driver, Usage, measure, start_detector
from .selection import select

SETTLED = 20
"""Rounds after which the memory is compared."""
GROWTH = 0.10
POOLED = 4
"""Threads that a runtime may add to its pool later. One that stays behind in each round is found after five."""
FRAMES = 3

Change = dict[str, Any]
"""Parameters that are set together."""


@dataclass(frozen=True)
class Scenario:
    """What is done in every round.

    Attributes:
        name: Its name in the table.
        run_round: Called in each round with the drivers of all cameras and its number.
        begin: Called once before the first round, to activate the detector; None if each round does.
        cameras: Namespaces; an empty one for a node without.
        parameters: At the start, as on a command line.
    """

    name: str
    run_round: Callable[[Sequence[Driver], int], None]
    begin: Callable[[Sequence[Driver]], None] | None = None
    cameras: tuple[str, ...] = ("",)
    parameters: dict[str, str] = field(default_factory=dict)


def _live(drivers: Sequence[Driver], number: int) -> None:
    for transition in (CONFIGURE, ACTIVATE):
        for driver in drivers:
            driver.change_state(transition)
    for driver in drivers:
        driver.send(FRAMES)
    for transition in (DEACTIVATE, CLEANUP):
        for driver in drivers:
            driver.change_state(transition)


def _activate(drivers: Sequence[Driver]) -> None:
    for driver in drivers:
        driver.change_state(CONFIGURE, ACTIVATE)
        driver.send(FRAMES)


def _changes(changes: Sequence[Change]) -> Callable[[Sequence[Driver], int], None]:
    def run_round(drivers: Sequence[Driver], number: int) -> None:
        for driver in drivers:
            driver.set_parameters_of_detector(changes[number % len(changes)])
            driver.send(FRAMES)

    return run_round


def make_scenarios(folder: Path) -> list[Scenario]:
    """Makes all scenarios, those with ONNX networks only where their runtimes are installed.

    Args:
        folder: Gets the files that they need.

    Returns:
        The scenarios.
    """
    masks = []
    for name, side in (("left", np.s_[:, :320]), ("right", np.s_[:, 320:])):
        kept = np.zeros((480, 640), np.uint8)
        kept[side] = 255
        masks.append(str(folder / f"{name}.png"))
        cv2.imwrite(masks[-1], kept)
    modes: list[Change] = [
        {"preset": "fast"}, {"mask_mode": "none"}, {"mask_mode": "dynamic"}, {"score_threshold": 0.2},
        {"mask_mode": "preset", "preset": "careful"}, {"thresholds": "tuned"}, {"mask_mode": "adaptive"},
        {"thresholds": "trained"}, {"mask_mode": "static", "static_mask": masks[0]}, {"static_mask": masks[1]},
        {"arithmetic": "lava"}, {"mask_mode": "static+dynamic", "dynamic_mask": "mgnet"}, {"input_size": "320x224"},
        {"score_threshold": 0.4, "nms_iou": 0.5}, {"arithmetic": ""}, {"input_size": "auto"}, {"preset": "balanced"},
        {"mask_mode": "preset+adaptive"}, {"thresholds": ""}, {"mask_mode": "preset", "dynamic_mask": "tracking"}]
    scenarios = [
        Scenario("life cycles", _live),
        Scenario("mode changes", _changes(modes), _activate),
        Scenario("life cycles, 2 cameras", _live, cameras=("front", "left")),
    ]
    if all(map(importlib.util.find_spec, ("onnx", "onnxruntime", "openvino"))):
        scenarios += _make_dense(folder, masks)
    return scenarios


def _make_dense(folder: Path, masks: Sequence[str]) -> Iterator[Scenario]:
    use_test_helpers()
    from dense_networks import make_block_detector

    file = folder / "network.onnx"
    contents = cycle([make_block_detector(classes) for classes in (2, 3)])
    file.write_bytes(next(contents))

    def swap(drivers: Sequence[Driver], number: int) -> None:
        file.write_bytes(next(contents))
        _live(drivers, number)

    given = {"network_file": str(file), "model_cache": "none"}
    changes: list[Change] = [
        {"backend": "onnxruntime"}, {"preset": "fast"}, {"schedule": "rolling"}, {"backend": "openvino"},
        {"mask_mode": "preset+static", "static_mask": masks[0]}, {"tiles": "2x1"}, {"static_mask": masks[1]},
        {"backend": "onnxruntime"}, {"schedule": "burst"}, {"input_size": "320x224"}, {"score_threshold": 0.2},
        {"threads": 2}, {"mask_mode": "none"}, {"backend": "openvino"}, {"input_size": "auto"}, {"threads": 1},
        {"mask_mode": "preset"}, {"tiles": "auto", "schedule": "auto"}, {"score_threshold": 0.4},
        {"preset": "balanced"}]
    yield Scenario("life cycles, openvino", _live, parameters={**given, "backend": "openvino"})
    yield Scenario("life cycles, onnxruntime", _live, parameters={**given, "backend": "onnxruntime"})
    yield Scenario("mode changes, both runtimes", _changes(changes), _activate, parameters=given)
    yield Scenario("other networks, 2 cameras", swap, cameras=("front", "left"), parameters=given)


def run_scenario(scenario: Scenario, rounds: int, folder: Path) -> list[Usage]:
    """Runs a scenario in a process of its own.

    Args:
        scenario: What is done.
        rounds: How often.
        folder: Gets the log of the process.

    Returns:
        What the process holds after each round.

    Raises:
        RuntimeError: The detector refuses what it should accept.
        TimeoutError: It does not answer.
    """
    named = [word for camera in scenario.cameras if camera for word in ("--camera", camera)]
    process = start_detector(named, scenario.parameters, folder / "log.txt")
    used = []
    try:
        with RosSession() as session:
            drivers = [session.add(lambda **given: Driver(camera, **given)) for camera in scenario.cameras]  # noqa: B023
            session.spin()
            for driver in drivers:
                driver.wait_until_ready()
            if scenario.begin:
                scenario.begin(drivers)
            for number in range(rounds):
                scenario.run_round(drivers, number)
                if scenario.begin and number + 1 in (SETTLED, rounds):
                    for driver in drivers:
                        driver.wait_until_backend_is_open()
                used.append(measure(process.pid))
    except (RuntimeError, TimeoutError):
        print((folder / "log.txt").read_text()[-2000:], file=sys.stderr)
        raise
    finally:
        process.terminate()
        process.wait(30.0)
    return used


def find_growth(used: Sequence[Usage]) -> list[str]:
    """Says what has grown too much since the first ``SETTLED`` rounds; empty for nothing."""
    first, last = used[min(SETTLED, len(used)) - 1], used[-1]
    found = []
    if last.resident > (1 + GROWTH) * first.resident:
        found.append("memory")
    if last.threads > first.threads + POOLED:
        found.append("threads")
    if last.descriptors > first.descriptors:
        found.append("descriptors")
    return found


def _print_row(name: str, values: Sequence[object]) -> None:
    print(f"{name:<30}" + "".join(f"{value:>12}" for value in values), flush=True)


def main(argv: list[str] | None = None) -> int:
    """Runs the program.

    Args:
        argv: Its arguments; None: those of the process.

    Returns:
        The exit status: 1 when something has grown.
    """
    parser = argparse.ArgumentParser(prog="python -m checks.life_cycles", description=__doc__)
    parser.add_argument("--rounds", type=int, default=200, help="number of rounds of each scenario")
    parser.add_argument("--only", default="", help="only these scenarios, separated by semicolons")
    args = parser.parse_args(argv)
    os.environ.update(ROS_DOMAIN_ID=str(1 + os.getpid() % 100), ROS_AUTOMATIC_DISCOVERY_RANGE="LOCALHOST")
    use_profile()
    begin, failed = time.monotonic(), False
    with tempfile.TemporaryDirectory(prefix="regionmask_ros_life_") as temporary:
        scenarios = make_scenarios(Path(temporary))
        wanted = select(parser, "--only", args.only, (scenario.name for scenario in scenarios))
        _print_row(f"{args.rounds} rounds", ("MB, 1", f"MB, {SETTLED}", "MB, last", "growth", "PSS, last", "threads",
                                             "descriptors", "mappings", "grown"))
        for scenario in scenarios:
            if scenario.name in wanted:
                used = run_scenario(scenario, args.rounds, Path(temporary))
                first, last, grown = used[min(SETTLED, len(used)) - 1], used[-1], find_growth(used)
                failed |= bool(grown)
                _print_row(scenario.name, (
                    used[0].resident >> 20, first.resident >> 20, last.resident >> 20,
                    f"{last.resident / first.resident - 1:+.1%}", last.proportional >> 20,
                    f"{first.threads}-{last.threads}", f"{first.descriptors}-{last.descriptors}",
                    f"{first.mappings}-{last.mappings}", ", ".join(grown) or "nothing"))
    print(f"{time.monotonic() - begin:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
