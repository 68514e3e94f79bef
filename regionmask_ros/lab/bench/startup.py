"""From nothing to the first result: with compiled kernels on disk, and without."""

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
from .first_result import IMAGE_WH

WARM_REPEATS = 3
LIMIT_S = {"warm": 1.0, "cold": 30.0}
MAX_DURATION_S = 600


def start_rows(network_file: str, progress: Callable[[range], Iterable[int]]) -> list[dict]:
    """Rows ``cold`` and ``warm``: wall_s and cpu_s from the start of a fresh process to its first result.

    cold: kernels are compiled into an empty folder. warm: the median of some starts that find them there; Python's own
    start and all imports are part of it.
    """
    with tempfile.TemporaryDirectory() as empty:
        steps = iter(progress(range(1 + WARM_REPEATS)))
        runs = [_first_result(network_file, empty) for _ in steps]
    return [_row("cold", runs[:1]), _row("warm", runs[1:])]


def _row(kind: str, runs: list[dict]) -> dict:
    return {
        "start": kind, "path": runs[0]["path"], "picture": "{}x{}".format(*IMAGE_WH), "repeats": len(runs),
        **{name: round(float(np.median([run[name] for run in runs])), 3) for name in ("wall_s", "cpu_s")},
        "limit_s": LIMIT_S[kind],
    }


def _first_result(network_file: str, cache: str) -> dict:
    package = str(Path(regionmask_ros.__file__).resolve().parent.parent)
    path = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH", "")])])
    command = [sys.executable, "-m", f"{__package__}.first_result", network_file, repr(time.monotonic())]
    try:
        done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path, "XDG_CACHE_HOME": cache},
                              capture_output=True, text=True, timeout=MAX_DURATION_S)
    except subprocess.TimeoutExpired:
        raise UserError(f"--start: no result within {MAX_DURATION_S} s") from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no message"]
        raise UserError(f"--start: the fresh process failed: {said[-1]}")
    return json.loads(done.stdout.splitlines()[-1])
