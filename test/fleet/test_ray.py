"""Units on a Ray cluster of two nodes: equal results although workers and nodes end, and after an interruption.

Only where Ray is installed: `make fleet-test` brings it and runs these tests.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from dying import Dying, add_pixels, add_pixels_when_allowed, work_and_die

from regionmask_ros.commands.run import main
from regionmask_ros.core.option_table import OPTIONS
from regionmask_ros.fleet.calls import UnitResult
from regionmask_ros.fleet.detecting import Detecting, detect
from regionmask_ros.fleet.places import assign_names, expand
from regionmask_ros.fleet.progress import UnitProgress
from regionmask_ros.fleet.ray_cluster import RayCluster
from regionmask_ros.fleet.scheduler import run_units
from regionmask_ros.fleet.units import ImageLimits, Unit, make_units
from regionmask_ros.pipeline.settings import make_settings

pytest.importorskip("ray", reason="no Ray: `make fleet` brings it, `make fleet-test` runs these tests")


@pytest.fixture
def cluster(importable):
    """A cluster of two nodes with one processor each; nodes inherit the environment of the test."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    running = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    running.add_node(num_cpus=1)
    running.wait_for_nodes()
    yield running
    running.shutdown()


@pytest.fixture(scope="module")
def units(day) -> list[Unit]:
    places = expand([str(day)])
    return make_units(places, assign_names([place.path for place in places], {}))


def do(executor: RayCluster, work: Any, units: list[Unit]) -> dict[str, UnitResult]:
    found: dict[str, UnitResult] = {}
    try:
        with UnitProgress(len(units)) as progress:
            assert run_units(
                executor, work, units, lambda unit, result: found.update({unit.key: result}), progress, False) == []
    finally:
        executor.close()
    return found


def wait_for(condition) -> None:
    end = time.monotonic() + 120
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    assert condition()


def detections(folder: Path) -> dict[str, bytes]:
    summary = json.loads((folder / "summary.json").read_text())
    return {row["source"]: (folder / "detections" / f"{row['name']}.csv").read_bytes() for row in summary["sources"]}


def test_detections_are_those_of_single_runs_although_workers_are_killed(trained, cluster, units, singles, tmp_path):
    settings = make_settings({name: option.default for name, option in OPTIONS.items()}).for_network(trained)
    job = Detecting(trained, settings, "", False, False, None, ImageLimits(10_000_000, "auto"))
    deaths = {units[0].key: 1, units[2].key: 2}
    executor = RayCluster(cluster.address, Dying(detect, job, str(tmp_path), deaths))
    assert executor.place == "Ray: 2 processors on 2 nodes" and executor.capacity >= 2
    found = do(executor, work_and_die, units)
    assert {unit.place.path: found[unit.key].files["csv"] for unit in units} == singles
    tries = {unit.key: (tmp_path / unit.key).read_text().split() for unit in units}
    assert {key: len(pids) for key, pids in tries.items()} == {
        unit.key: 1 + deaths.get(unit.key, 0) for unit in units}
    assert len({pid for pids in tries.values() for pid in pids}) > 3, "killed workers were replaced"


def test_units_of_a_node_that_is_removed_are_done_on_another(cluster, units, tmp_path):
    """Both nodes have a unit that waits; the second node goes; only then may the units end."""
    executor = RayCluster(cluster.address, str(tmp_path))
    (second,) = set(cluster.worker_nodes)

    def remove() -> None:
        wait_for(lambda: len(list(tmp_path.iterdir())) >= 2)
        cluster.remove_node(second, allow_graceful=False)
        (tmp_path / "go").touch()

    removal = threading.Thread(target=remove)
    removal.start()
    found = do(executor, add_pixels_when_allowed, units)
    removal.join()
    assert {key: result.facts for key, result in found.items()} == {
        unit.key: add_pixels(None, unit).facts for unit in units}
    begun = [path.name.rpartition("-")[0] for path in tmp_path.iterdir() if path.name != "go"]
    assert len(begun) > len(units), "a unit was begun twice"


def test_an_interrupted_run_goes_on_on_the_cluster(trained, cluster, day, singles, tmp_path, capfd):
    out = tmp_path / "out"
    words = [str(day), "--output", str(out), "--ray", cluster.address]
    process = subprocess.Popen([sys.executable, "-m", "regionmask_ros", "run", *words], stderr=subprocess.PIPE,
                               stdout=subprocess.DEVNULL, text=True)
    wait_for(lambda: list((out / "journal").glob("[!.]*.json")))
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130 and "the same command with --resume" in said and "Traceback" not in said
    known = {path.name: path.stat().st_mtime_ns for path in (out / "journal").glob("[!.]*.json")}
    assert main([*words, "--resume"]) == 0
    assert f"{len(known)} of 3 units are done from an earlier run" in capfd.readouterr().err
    assert {name: (out / "journal" / name).stat().st_mtime_ns for name in known} == known
    assert detections(out) == singles
    assert json.loads((out / "summary.json").read_text())["place"] == "Ray: 2 processors on 2 nodes"


def test_a_local_ray_is_started_and_ends_with_the_command(trained, day, singles, tmp_path, capfd):
    clip = str(day / "rear" / "a.mp4")
    assert main([clip, "--output", str(tmp_path / "out"), "--jobs", "1", "--ray"]) == 0
    assert detections(tmp_path / "out") == {clip: singles[clip]}
    import ray

    assert not ray.is_initialized() and os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def test_no_cluster_at_the_address_is_one_line(day, tmp_path, capfd):
    assert main([str(day), "--output", str(tmp_path / "out"), "--ray", "127.0.0.1:9"]) == 2
    assert "--ray 127.0.0.1:9: no cluster to be reached" in capfd.readouterr().err.splitlines()[-1]
