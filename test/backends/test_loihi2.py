"""The backend loihi2 with a strict stand-in for the closed extension. Not yet run on hardware."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import numpy as np
import pytest

from regionmask_ros.backends import Backend, BackendError, check_backend, open_backend
from regionmask_ros.backends.loihi2 import Loihi2Options, find_obstacle
from regionmask_ros.backends.worker_process import ask_lava_python
from regionmask_ros.commands.run import main as run_command
from regionmask_ros.encoder.encoder import Encoder
from regionmask_ros.errors import UserError
from regionmask_ros.lab.backend_comparison import BackendComparison
from regionmask_ros.metrics.loihi2 import Allocation, LayerCores, modelled_table
from regionmask_ros.network.chain import ConvSpec, Network

SIZE_WH = (96, 64)
ONE_CORE = Allocation((LayerCores(rows=1, neurons=1, cores=1),), 1)


def read_log(tmp_path: Path) -> list[dict]:
    return [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]


def compare(network, options: dict, frames: int = 8) -> tuple[BackendComparison, Backend]:
    """Runs the CPU engine and the board on the same masked noise, and closes the board."""
    rng, encoder = np.random.default_rng(3), Encoder(network.input_table, 6, SIZE_WH)
    board = open_backend("loihi2", network, SIZE_WH, "", options)
    try:
        comparison = BackendComparison({"cpu": open_backend("cpu", network, SIZE_WH, "lava"), "loihi2": board})
        for number in range(frames):
            image = rng.integers(0, 256, (64, 96, 3)).astype(np.uint8)
            comparison.submit(encoder.step(image, rng.random((4, 6)) < (1.0 if number == 0 else 0.4)), number)
        comparison.drain()
    finally:
        board.close()
    return comparison, board


@pytest.mark.parametrize("compression", ["delta_sparse_8", "packed_4", "sparse"])
def test_events_through_the_adapters_give_the_engines_integers(board, even_network, tmp_path, compression):
    comparison, backend = compare(even_network, {"python": board, "compression": compression, "board": "og-01"})
    assert comparison.frames == 8 and comparison.differing == {"loihi2": 0}
    assert backend.latency_steps == 5 and "not yet run on hardware" in backend.kernels
    compiled, stopped = read_log(tmp_path)
    assert compiled["compression"] == compression.upper() and compiled["spike_exp"] == 4
    assert compiled["variables"]["SLURM"] == "1" and compiled["variables"]["BOARD"] == "og-01"
    assert compiled["variables"]["LOIHI_GEN"] == "N3B3" and stopped["event"] == "stopped"


def test_events_over_ethernet_give_the_engines_integers(board, even_network, tmp_path):
    options = {
        "python": board, "io": "ethernet", "host_mode": "ethernet", "nxsdk_host": "10.1.2.3", "generation": "N3C1",
        "nx_options": "--pio-cfg-chip=0x41FF", "ethernet_interface": "enp1s0", "ethernet_mac": "0x80615f11b9d6",
        "ethernet_chip_id": "2,2,1", "ethernet_chip_index": "12",
    }
    comparison, backend = compare(even_network, options)
    assert comparison.frames == 8 and comparison.differing == {"loihi2": 0} and backend.latency_steps == 4
    compiled = read_log(tmp_path)[0]
    assert compiled["link"] == {"interface": "enp1s0", "mac": "0x80615f11b9d6", "loihi": "0x0015edbeefed",
                                "chip": [2, 2, 1], "index": 12}
    assert compiled["variables"]["NXSDKHOST"] == "10.1.2.3" and compiled["variables"]["LOIHI_GEN"] == "N3C1"
    assert compiled["variables"]["NXOPTIONS"] == "--pio-cfg-chip=0x41FF"


@pytest.mark.parametrize("fixture", ["exponents_network", "groups_network"])
def test_layers_with_exponents_of_their_own_or_with_groups_give_the_engines_integers(board, fixture, request):
    comparison, _ = compare(request.getfixturevalue(fixture), {"python": board})
    assert comparison.frames == 8 and comparison.differing == {"loihi2": 0}


def test_no_frame_is_lost_between_runs(board, even_network):
    comparison, _ = compare(even_network, {"python": board, "steps_per_run": 3})
    assert comparison.frames == 8 and comparison.differing == {"loihi2": 0}


def test_a_profile_is_measured(board, even_network):
    _, backend = compare(even_network, {"python": board, "profile": "true", "profile_steps": 30})
    table = backend.profile
    assert table["kind"] == "measured" and list(table) == list(modelled_table(ONE_CORE, [(1,)]))
    assert (table["steps"], table["step_s"], table["power_w"]) == (30, pytest.approx(200e-6), pytest.approx(1.5))
    assert table["latency_s"] == pytest.approx(5 * 200e-6) and table["energy_j"] == pytest.approx(1.5 * 200e-6)
    assert table["dynamic_energy_j"] == pytest.approx(0.25 * 200e-6)
    assert table["energy_delay_js"] == pytest.approx(1.5 * 200e-6 * 1e-3)
    assert table["busiest_core_synops"] == 300.0
    assert list(table["cores"][2]) == list(modelled_table(ONE_CORE, [(1,)])["cores"][0])
    assert table["cores"][2] == {"chip": 1, "core": 0, "synops": 300.0, "neuron_updates": 30.0}


def test_an_error_of_the_extension_is_one_line(board, tiny_network):
    """The chip's synapses, and therefore the stand-in, do not accept odd weights."""
    with pytest.raises(BackendError, match="Misused: Conv: even weights") as caught:
        odd = tiny_network.layers[0].weight.copy()
        odd[0, 0, 0, 0] = 3
        first = ConvSpec("c1", odd, tiny_network.layers[0].bias, 2, 1, 6)
        network = Network("odd", (first, *tiny_network.layers[1:]), None, (), tiny_network.input_table, 6)
        open_backend("loihi2", network, SIZE_WH, "", {"python": board})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("changes, message", [
    ({"partition": "none"}, "partition none is not found; SLURM knows kp-01 in kapoho, og-01 in oheogulch"),
    ({"board": "og-99"}, "board og-99 is not found"),
    ({"partition": "kapoho"}, "partition kapoho is down"),
])
def test_a_missing_board_is_named(board, even_network, changes, message):
    with pytest.raises(BackendError, match=message):
        open_backend("loihi2", even_network, SIZE_WH, "", {"python": board, **changes})


FACTS = {
    "interpreter": "python", "packages": {"lava-nc": "0.10.0"}, "slurm": True, "variables": {},
    "extension": {"lava.utils.loihi2_profiler": True, "lava.proc.embedded_io": True},
}


@pytest.mark.parametrize("facts, options, part", [
    ({"packages": {"lava-nc": None}}, {}, "make lava"),
    ({"extension": {"lava.utils.loihi2_profiler": False}}, {}, "lava-loihi"),
    ({"extension": {"lava.utils.loihi2_profiler": True, "lava.proc.embedded_io": False}}, {}, "lava.proc.embedded_io"),
    ({"slurm": False}, {}, "no command sinfo"),
    ({}, {"host_mode": "environment"}, "SLURM or NXSDKHOST"),
    ({}, {}, ""),
    ({"slurm": False}, {"host_mode": "ethernet", "nxsdk_host": "10.0.0.1"}, ""),
    ({"slurm": False, "variables": {"NXSDKHOST": "10.0.0.1"}}, {"host_mode": "environment"}, ""),
])
def test_what_is_missing_is_named_with_what_to_do(facts, options, part):
    message = find_obstacle({**FACTS, **facts}, Loihi2Options(**options))
    assert part in message and bool(message) == bool(part) and "\n" not in message


@pytest.mark.parametrize("options, message", [
    ({"partition": "a", "board": "b"}, "loihi2_partition and loihi2_board"),
    ({"host_mode": "ethernet"}, "nxsdk_host"),
    ({"ethernet_mac": "90:e2:ba"}, "ethernet_mac"),
    ({"ethernet_chip_id": "2,2"}, "ethernet_chip_id"),
    ({"io": "usb"}, "adapter, ethernet"),
    ({"generation": "Loihi1"}, "N3B3"),
    ({"profile_steps": "many"}, "whole number"),
    ({"profile": "perhaps"}, "true or false"),
])
def test_an_invalid_option_is_named(options, message):
    with pytest.raises(UserError, match=message):
        check_backend("loihi2", options)


def test_without_the_extension_a_run_ends_at_once_with_status_2(lava_python, make_clip, trained_file, tmp_path, capsys):
    facts = ask_lava_python(Path(lava_python))
    if all(facts["extension"].values()):
        pytest.skip("the extension is here")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with pytest.raises(BackendError, match="lava-loihi"):
        check_backend("loihi2", {"python": lava_python})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0
    status = run_command([make_clip(3, 1), "--output", str(tmp_path / "out"), "--backend", "loihi2",
                          "--network", str(trained_file), "--lava-python", lava_python])
    error = capsys.readouterr().err
    assert status == 2 and error.count("\n") == 1 and "lava-loihi" in error and "LOIHI2.md" in error


def test_run_writes_the_profile_into_its_json(board, even_network, make_clip, tmp_path, monkeypatch):
    """With the small network instead of the trained one."""
    monkeypatch.setattr("regionmask_ros.commands.run.open_network", lambda path: even_network)
    given = ["--lava-python", board, "--loihi2-profile", "on", "--loihi2-profile-steps", "20"]
    assert run_command([make_clip(5, 3), "--output", str(tmp_path / "out"), "--no-video", "--input-size", "96x64",
                        "--backend", "loihi2", *given, "--json", str(tmp_path / "run.json"),
                        "--loihi2-table", str(tmp_path / "table.json")]) == 0
    facts = json.loads((tmp_path / "run.json").read_text())
    assert facts["backend"] == "loihi2" and facts["arithmetic"] == "lava" and facts["frames"] == 5
    assert facts["profile_measured"]["steps"] == 20 and facts["profile_measured"]["kind"] == "measured"
    assert json.loads((tmp_path / "table.json").read_text()) == facts["profile_measured"]
