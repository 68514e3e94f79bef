"""``python -m checks.fleet_costs SOURCE ...``: where the processor time of a fleet's worker goes, for docs/FLEET.md.

Each source is first read and decoded alone, and then run, in this process and with all threads counted. Kernels are
loaded before. The difference is what the detector costs.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from regionmask_ros.commands._cli import run_guarded
from regionmask_ros.core.option_table import OPTIONS
from regionmask_ros.fleet.calls import Shared, perform
from regionmask_ros.fleet.detecting import Detecting, detect
from regionmask_ros.fleet.places import Place
from regionmask_ros.fleet.units import ImageLimits, Unit
from regionmask_ros.importing.opening import open_network
from regionmask_ros.pipeline.settings import make_settings
from regionmask_ros.sources import open_source

LIMITS = ImageLimits(10_000_000, "auto")


@dataclass(frozen=True)
class Costs:
    """What a source costs.

    Attributes:
        frames: Number of frames.
        read_ms: Processor time of a frame to read and decode it.
        run_ms: The same to read, decode and run it, and to write what was found.
        wall_ms: Time of a frame for all of it.
    """

    frames: int
    read_ms: float
    run_ms: float
    wall_ms: float


def measure(source: str, network: str = "", preset: str = "balanced") -> Costs:
    """Measures a source.

    Args:
        source: A video, a folder of images or a bag.
        network: Name or file of the network; "": the installed one.
        preset: The preset of the masks.

    Returns:
        Its costs.
    """
    opened = open_network(network)
    values = {name: option.default for name, option in OPTIONS.items()} | {"preset": preset}
    settings = make_settings(values).for_network(opened)
    unit = Unit("unit", Place(source))

    def run(most: int | None) -> tuple[int, float, float]:
        job = Detecting(opened, settings, "", False, False, most, LIMITS)
        outcome = perform(Shared(job), 0, detect, unit)
        assert outcome.result is not None, outcome.refusal
        return outcome.result.facts["frames"], outcome.result.cpu_s, outcome.result.wall_s

    run(3)
    frames, read_s = _count_frames(source)
    _, run_s, wall_s = run(None)
    return Costs(frames, read_s * 1e3 / frames, run_s * 1e3 / frames, wall_s * 1e3 / frames)


def _count_frames(source: str) -> tuple[int, float]:
    """Number of frames, and the processor time to decode them all."""
    start_s = time.process_time()
    with open_source(source, reading=LIMITS.new_reading()) as opened:
        frames = sum(1 for _ in opened.frames())
    return frames, time.process_time() - start_s


def main(argv: Sequence[str] | None = None, show: Callable[[str], object] = print) -> int:
    """Measures the sources that the arguments name, and prints a table. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m checks.fleet_costs", description=__doc__)
    parser.add_argument("sources", nargs="+")
    parser.add_argument("--network", default="")
    parser.add_argument("--preset", default="balanced")
    args = parser.parse_args(argv)

    def call() -> int:
        show("| source | frames | decode, ms CPU | all, ms CPU | decoding's share | frames a second and core |")
        show("| --- | ---: | ---: | ---: | ---: | ---: |")
        for source in args.sources:
            costs = measure(source, args.network, args.preset)
            show(f"| {source} | {costs.frames} | {costs.read_ms:.2f} | {costs.run_ms:.2f} | "
                 f"{costs.read_ms / costs.run_ms:.0%} | {1e3 / costs.run_ms:.0f} |")
        return 0

    return run_guarded(call)


if __name__ == "__main__":
    sys.exit(main())
