"""Checks of Lava and Loihi 2: interpreter, versions, and whether the simulator gives the engine's integers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...backends import Backend, open_backend
from ...backends.loihi2 import Loihi2Options, find_obstacle
from ...backends.worker_process import ask_lava_python, find_lava_python
from ...encoder.encoder import Encoder
from ...errors import UserError
from ...lava_worker.processes import SEGMENTS
from ...lava_worker.shim import NEEDED_FROM
from ...network.chain import ConvSpec, Network
from ..backend_comparison import BackendComparison
from .installation import ABSENT, BROKEN, OK, Finding

MAKE_LAVA = "run 'make lava'"
NOT_ON_HARDWARE = "not yet run on hardware"
REQUIRED_SHARED_BYTES = 256 << 20
_TRIAL_WH, _TRIAL_FRAMES = (64, 64), 3


def check_lava() -> Iterator[Finding]:
    """Checks shared memory, Lava's interpreter and packages, the simulator, which it starts, and Loihi 2."""
    yield _check_shared_memory()
    try:
        python = find_lava_python()
        facts = ask_lava_python(python)
    except UserError as error:
        yield Finding("Lava", ABSENT, str(error), f"{MAKE_LAVA}; only the backends lava_sim and loihi2 need it")
        return
    yield _check_interpreter(facts)
    yield _check_versions(facts)
    if facts["packages"]["lava-nc"] is not None:
        yield _check_simulator()
    yield _check_loihi(facts)


def _check_shared_memory() -> Finding:
    try:
        free = shutil.disk_usage(SEGMENTS).free
    except OSError:
        return Finding("shared memory", BROKEN, f"there is no {SEGMENTS}", "mount a tmpfs there; Lava needs it")
    fact = f"{free >> 20} MB free in {SEGMENTS}"
    if free < REQUIRED_SHARED_BYTES:
        return Finding("shared memory", BROKEN, fact, f"lava_sim needs {REQUIRED_SHARED_BYTES >> 20} MB: free some, or "
                       "start the container with --shm-size=1g")
    return Finding("shared memory", OK, fact)


def _check_interpreter(facts: dict[str, Any]) -> Finding:
    version = tuple(int(part) for part in facts["python"].split(".")[:2])
    shim = ", with the import shim" if version >= NEEDED_FROM else ""
    return Finding("Lava's Python", OK, f"{facts['python']} at {facts['interpreter']}{shim}")


def _check_versions(facts: dict[str, Any]) -> Finding:
    packages = facts["packages"]
    versions = ", ".join(f"{name} {version}" for name, version in packages.items() if version)
    absent = [name for name in ("lava-nc", "numpy", "scipy", "networkx") if not packages[name]]
    if absent:
        fact = f"{', '.join(absent)} missing; found {versions or 'none of its packages'}"
        return Finding("Lava", BROKEN, fact, MAKE_LAVA)
    if int(packages["numpy"].split(".")[0]) >= 2:
        return Finding("Lava", BROKEN, f"{versions}: Lava hangs with NumPy 2", MAKE_LAVA)
    return Finding("Lava", OK, versions)


def _check_simulator() -> Finding:
    """Compares the simulator with the engine on a few frames of noise and a network of two layers."""
    network = _make_trial_network()
    backends: dict[str, Backend] = {}
    try:
        for name in ("cpu", "lava_sim"):
            backends[name] = open_backend(name, network, _TRIAL_WH, "lava")
        comparison, rng = BackendComparison(backends), np.random.default_rng(0)
        encoder = Encoder(network.input_table, network.encoder_threshold, _TRIAL_WH)
        for number in range(_TRIAL_FRAMES):
            image = rng.integers(0, 256, (*_TRIAL_WH, 3)).astype(np.uint8)
            comparison.submit(encoder.step(image, encoder.grid.full(True)), number)
        comparison.drain()
    except UserError as error:
        return Finding("lava_sim", BROKEN, str(error), MAKE_LAVA)
    finally:
        for backend in backends.values():
            backend.close()
    if not comparison.equal:
        return Finding("lava_sim", BROKEN, "gives other integers than the event engine", "please report this")
    return Finding("lava_sim", OK, f"{comparison.frames} frames of noise give the integers of the event engine")


def _make_trial_network() -> Network:
    rng = np.random.default_rng(1)
    weights = [2 * rng.integers(-12, 13, shape).astype(np.int32) for shape in ((8, 3, 3, 3), (5, 8, 3, 3))]
    layers = (
        ConvSpec("conv", weights[0], np.full(8, 20, np.int32), 2, 1, 6), ConvSpec("head", weights[1], None, 2, 1, 0))
    table = (np.arange(256, dtype=np.int32) - 128)[:, None].repeat(3, axis=1)
    return Network("trial", layers, None, (), table, 6)


def _check_loihi(facts: dict[str, Any]) -> Finding:
    variables = facts["variables"]
    mode = "environment" if "NXSDKHOST" in variables else "slurm"
    obstacle = find_obstacle(facts, Loihi2Options(host_mode=mode))
    if obstacle:
        what, _, cure = obstacle.partition("; ")
        return Finding("Loihi 2", ABSENT, f"{what}; {NOT_ON_HARDWARE}", cure)
    where = f"NXSDKHOST {variables['NXSDKHOST']}" if mode == "environment" else "a SLURM cluster"
    return Finding("Loihi 2", OK, f"the extension is installed, and there is {where}; {NOT_ON_HARDWARE}")
