"""From the start of a process to its first result, with compiled kernels on disk and without.

``python -m regionmask_ros.lab.bench.startup NETWORK STARTED`` is the process that is measured. STARTED is the reading
of the monotonic clock when it was started. It prints wall_s, cpu_s and path as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

import regionmask_ros

from ...errors import UserError

IMAGE_WH = (1280, 720)
WARM_REPEATS = 3
LIMIT_S = {"warm": 1.0, "cold": 30.0}
MAX_DURATION_S = 600


def start_rows(network_file: str, progress: Callable[[range], Iterable[int]]) -> list[dict]:
    """Measures the time from the start of a new process to its first result.

    Args:
        network_file: The network.
        progress: Wraps the numbers of the processes.

    Returns:
        Rows ``cold`` (kernels are compiled into an empty folder) and ``warm`` (the median of some processes that find
        them there), each with wall_s and cpu_s. The start of Python and all imports are part of it.
    """
    with tempfile.TemporaryDirectory() as empty:
        runs = [_run_process(network_file, empty) for _ in progress(range(1 + WARM_REPEATS))]
    return [_row("cold", runs[:1]), _row("warm", runs[1:])]


def _row(kind: str, runs: list[dict]) -> dict:
    return {
        "start": kind, "path": runs[0]["path"], "picture": "{}x{}".format(*IMAGE_WH), "repeats": len(runs),
        **{name: round(float(np.median([run[name] for run in runs])), 3) for name in ("wall_s", "cpu_s")},
        "limit_s": LIMIT_S[kind],
    }


def _run_process(network_file: str, cache: str) -> dict:
    package = str(Path(regionmask_ros.__file__).resolve().parent.parent)
    path = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH", "")])])
    command = [sys.executable, "-m", f"{__package__}.startup", network_file, repr(time.monotonic())]
    try:
        done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path, "XDG_CACHE_HOME": cache}, check=False,
                              capture_output=True, text=True, timeout=MAX_DURATION_S)
    except subprocess.TimeoutExpired:
        raise UserError(f"--start: no result within {MAX_DURATION_S} s") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise UserError(f"--start: the new process failed: {lines[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def print_first_result(network_file: str, started: float) -> None:
    """Processes one frame and prints how long this process took for it.

    Args:
        network_file: The network.
        started: Reading of the monotonic clock when this process was started.
    """
    # These imports are part of what is measured.
    from ...core.frame import Frame
    from ...importing.opening import open_event_network
    from ...pipeline.pipeline import Pipeline
    from ...pipeline.settings import PipelineSettings

    width, height = IMAGE_WH
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
    pipeline = Pipeline(open_event_network(network_file, "bench --start"), PipelineSettings())
    pipeline.process(Frame(pixels, "bgr", 0, "camera"))
    elapsed = {"wall_s": time.monotonic() - started, "cpu_s": time.process_time(), "path": pipeline.kernels}
    print(json.dumps(elapsed))


if __name__ == "__main__":
    print_first_result(sys.argv[1], float(sys.argv[2]))
