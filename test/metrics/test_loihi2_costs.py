"""The model of Loihi 2 against manual calculations, synops by row against the engine's counts, and tables of costs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionmask_ros.backends.cpu import CpuBackend
from regionmask_ros.core.grid import RegionGrid
from regionmask_ros.encoder.encoder import Encoder
from regionmask_ros.metrics import loihi2
from regionmask_ros.metrics.loihi2 import (
    Allocation,
    Constant,
    FrameCost,
    LayerCores,
    RowSynops,
    allocate,
    core_loads,
    energy_delay_product,
    even_cost,
    measured_table,
    modelled_table,
    rows_cost,
)

ONE = Allocation((LayerCores(rows=4, neurons=8000, cores=2),), chips=3)
TWO = Allocation((LayerCores(rows=4, neurons=8000, cores=2), LayerCores(rows=2, neurons=100, cores=1)), chips=1)


def test_even_cost_of_one_layer():
    # 2 cores, 100,000 synops: 50,000 each, 33 us; neurons 4000 * 2 * 4 ns = 32 us; the shortest step is 10 us.
    cost = even_cost(ONE, [100_000])
    assert cost.latency_s == pytest.approx(2 * 33e-6), "one step for the input, one for the layer"
    assert cost.energy_j == pytest.approx(3 * 0.25 * 33e-6)
    # With 24 pJ per synop: 2.4 uJ more.
    assert even_cost(ONE, [100_000], synop_pj=24).energy_j == pytest.approx(3 * 0.25 * 33e-6 + 2.4e-6)
    # Fewer synops: neuron updates take longest.
    assert even_cost(ONE, [10]).latency_s == pytest.approx(2 * 32e-6)
    assert even_cost(ONE, [10], fixed_us=50).latency_s == pytest.approx(2 * 82e-6)
    # A small layer without synops: the shortest step.
    assert even_cost(Allocation((LayerCores(4, 8, 2),), 1), [0]).latency_s == pytest.approx(2 * 10e-6)


def test_rows_cost_of_one_layer():
    # Rows 0 and 1 lie on the first core: 90,000 synops, 59.4 us.
    rows = [np.array([60_000, 30_000, 0, 10_000])]
    assert rows_cost(ONE, rows).latency_s == pytest.approx(2 * 59.4e-6)
    assert rows_cost(ONE, rows, synop_pj=24).energy_j == pytest.approx(3 * 0.25 * 59.4e-6 + 2.4e-6)


def test_cores_share_a_row_on_their_border():
    np.testing.assert_allclose(core_loads(np.array([6, 4, 2]), 2), [8, 4])
    np.testing.assert_allclose(core_loads(np.array([6, 4]), 4), [3, 3, 2, 2])


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=40), st.integers(1, 60))
def test_no_synop_is_lost_and_even_cost_is_never_higher(rows, cores):
    loads = core_loads(np.array(rows), cores)
    assert loads.sum() == pytest.approx(sum(rows)) and len(loads) == cores
    layers = Allocation((LayerCores(len(rows), 100, cores),), 1)
    assert even_cost(layers, [sum(rows)]).latency_s <= rows_cost(layers, [np.array(rows)]).latency_s * (1 + 1e-9)


def test_the_energy_delay_product_omits_the_first_frame():
    costs = [FrameCost(9.0, 9.0), FrameCost(1.0, 2.0), FrameCost(3.0, 4.0)]
    assert energy_delay_product(costs) == pytest.approx(2.0 * 3.0), "the mean energy times the mean latency"
    assert energy_delay_product(costs[:1]) == pytest.approx(81.0)


def test_constants_are_within_their_bounds_and_have_sources():
    constants = [value for value in vars(loihi2).values() if isinstance(value, Constant)]
    assert len(constants) == 6
    for constant in constants:
        assert constant.low <= constant.value <= constant.high and constant.source and constant.unit


def test_allocation_of_the_trained_network(trained):
    reference = allocate(trained, (448, 448))
    assert sum(layer.cores for layer in reference.layers) == 574 and reference.chips == 5
    assert reference.latency_steps == 11
    # 640x480 has 1.5306 times the outputs in every layer.
    larger = allocate(trained, (640, 480))
    assert [layer.cores for layer in larger.layers] == [343, 172, 86, 43, 86, 25, 49, 22, 49, 7]
    assert larger.chips == 8 and larger.layers[0].rows == 240


def test_other_networks_have_no_allocation(tiny_network):
    assert allocate(tiny_network, (96, 64)) is None


@pytest.mark.parametrize("fixture, arithmetic", [
    ("tiny_network", "carry"), ("tiny_network", "lava"), ("tiny_network", "snap"), ("groups_network", "carry"),
])
def test_rows_sum_to_the_engines_synops(fixture, arithmetic, request):
    network = request.getfixturevalue(fixture)
    input_wh, rng = (96, 64), np.random.default_rng(5)
    encoder = Encoder(network.input_table, network.encoder_threshold, input_wh)
    backend = CpuBackend(network, input_wh, arithmetic)
    rows = RowSynops(network, input_wh, backend.layer_state)
    for _ in range(4):
        image = rng.integers(0, 255, (64, 96, 3)).astype(np.uint8)
        events = encoder.step(image, RegionGrid.of_input(input_wh).full(True))
        backend.submit(events, None)
        assert tuple(int(r.sum()) for r in rows.step(events)) == backend.poll(0.0).synops


def test_rows_show_where_events_occur(tiny_network):
    input_wh = (96, 64)
    encoder = Encoder(tiny_network.input_table, tiny_network.encoder_threshold, input_wh)
    backend = CpuBackend(tiny_network, input_wh, "carry")
    rows, image = RowSynops(tiny_network, input_wh, backend.layer_state), np.full((64, 96, 3), 90, np.uint8)
    keep = RegionGrid.of_input(input_wh).full(True)
    for _ in range(2):
        events = encoder.step(image, keep)
        backend.submit(events, None)
        rows.step(events)
        image[40:44] = 200
    # Rows 40 to 43 of the input reach the outputs 20, 21 (kernel 3, stride 2, padding 1) and 22 through row 43.
    image[40:44] = 30
    events = encoder.step(image, keep)
    backend.submit(events, None)
    assert np.flatnonzero(rows.step(events)[0]).tolist() == [20, 21, 22]


def test_modelled_table_of_two_layers():
    # The first frame is left out. 100,000 synops on 2 cores: 33 us per step; 10: 32 us for 4000 neurons per core.
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


def test_modelled_table_agrees_with_even_cost():
    frames = [(5, 7), (10**6, 3), (2 * 10**6, 4)]
    table = modelled_table(TWO, frames)
    assert table["energy_delay_js"] == pytest.approx(energy_delay_product([even_cost(TWO, f) for f in frames]))
    assert table["dynamic_energy_j"] == pytest.approx(0.0, abs=1e-18)


def test_measured_table_has_the_keys_and_types_of_a_modelled_one():
    profile = {"steps": 100, "step_s": 2e-4, "power_w": 1.5, "static_power_w": 1.25,
               "cores": [{"chip": 0, "core": 4, "synops": 9.0, "neuron_updates": 2.0}]}
    measured, modelled = measured_table(profile, 11), modelled_table(TWO, [(1, 1)])
    assert list(measured) == list(modelled) and list(measured["cores"][0]) == list(modelled["cores"][0])
    assert {key: type(value) for key, value in measured.items()} == {k: type(v) for k, v in modelled.items()}
    assert measured["kind"] == "measured" and measured["latency_s"] == pytest.approx(2.2e-3)
    assert measured["energy_delay_js"] == pytest.approx(1.5 * 2e-4 * 2.2e-3)
    with pytest.raises(KeyError):
        measured_table({"steps": 100}, 11)


def test_the_trained_network_takes_five_chips(trained):
    table = modelled_table(allocate(trained, (448, 448)), [[1000 * n for n in range(1, 11)]])
    assert len(table["cores"]) == 574 and {core["chip"] for core in table["cores"]} == set(range(5))
    assert sum(core["synops"] for core in table["cores"]) == pytest.approx(55_000)
