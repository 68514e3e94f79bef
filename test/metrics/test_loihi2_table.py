"""The table of costs on Loihi 2: modelled by hand, and with the keys that a measured one has."""

from __future__ import annotations

import pytest

from regionmask_ros.metrics.loihi2 import (
    Allocation,
    LayerCores,
    allocate,
    energy_delay_product,
    even_cost,
    measured_table,
    modelled_table,
)

TWO = Allocation((LayerCores(rows=4, neurons=8000, cores=2), LayerCores(rows=2, neurons=100, cores=1)), chips=1)


def test_modelled_by_hand():
    # The first frame is left out. 100,000 synops on 2 cores: 33 us a step; 10: 32 us, for 4000 neurons a core.
    table = modelled_table(TWO, [(10**9, 10**9), (100_000, 30), (10, 10)], synop_pj=24)
    step_s, synop_j = (33e-6 + 32e-6) / 2, 24e-12 * (100_030 + 20) / 2
    assert (table["kind"], table["steps"]) == ("modelled", 2)
    assert table["step_s"] == pytest.approx(step_s) and table["latency_s"] == pytest.approx(3 * step_s)
    assert table["static_power_w"] == pytest.approx(0.25)
    assert table["energy_j"] == pytest.approx(0.25 * step_s + synop_j)
    assert table["power_w"] == pytest.approx(0.25 + synop_j / step_s)
    assert table["dynamic_energy_j"] == pytest.approx(synop_j)
    assert table["energy_delay_js"] == pytest.approx((0.25 * step_s + synop_j) * 3 * step_s)
    assert table["busiest_core_synops"] == pytest.approx(50_005 / 2)
    assert table["cores"] == [
        {"chip": 0, "core": 0, "synops": 50_005 / 2, "neuron_updates": 8000.0},
        {"chip": 0, "core": 1, "synops": 50_005 / 2, "neuron_updates": 8000.0},
        {"chip": 0, "core": 2, "synops": 20.0, "neuron_updates": 200.0},
    ]


def test_it_says_what_the_models_functions_say():
    frames = [(5, 7), (10**6, 3), (2 * 10**6, 4)]
    table = modelled_table(TWO, frames)
    assert table["energy_delay_js"] == pytest.approx(energy_delay_product([even_cost(TWO, f) for f in frames]))
    assert table["dynamic_energy_j"] == pytest.approx(0.0, abs=1e-18)


def test_a_measured_one_has_the_same_keys_and_no_other_meaning():
    told = {"steps": 100, "step_s": 2e-4, "power_w": 1.5, "static_power_w": 1.25,
            "cores": [{"chip": 0, "core": 4, "synops": 9.0, "neuron_updates": 2.0}]}
    measured, modelled = measured_table(told, 11), modelled_table(TWO, [(1, 1)])
    assert list(measured) == list(modelled) and list(measured["cores"][0]) == list(modelled["cores"][0])
    assert {key: type(value) for key, value in measured.items()} == {k: type(v) for k, v in modelled.items()}
    assert measured["kind"] == "measured" and measured["latency_s"] == pytest.approx(2.2e-3)
    assert measured["energy_delay_js"] == pytest.approx(1.5 * 2e-4 * 2.2e-3)
    with pytest.raises(KeyError):
        measured_table({"steps": 100}, 11)


def test_cores_of_the_trained_network_lie_on_five_chips(trained):
    table = modelled_table(allocate(trained, (448, 448)), [[1000 * n for n in range(1, 11)]])
    assert len(table["cores"]) == 574 and {core["chip"] for core in table["cores"]} == set(range(5))
    assert sum(core["synops"] for core in table["cores"]) == pytest.approx(55_000)
