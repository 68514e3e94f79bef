from __future__ import annotations

import numpy as np
import pytest
from drawn_street import frames
from small_networks import random_layers, random_messages

from checks.soak.reference import SparseReference
from checks.soak.table import Line, format_table, judge_memory
from checks.soak.truth import INPUT_WH, Plan, run_truth
from checks.soak.witness import WitnessedBackend
from regionmask_ros.core.arithmetic import RULES
from regionmask_ros.engine.reference import ReferenceNetwork


@pytest.mark.parametrize("arithmetic", RULES)
@pytest.mark.parametrize(("size", "stride"), [(1, 1), (3, 1), (3, 2), (5, 3)])
def test_the_quick_reference_equals_the_plain_one_in_every_integer(arithmetic, size, stride):
    """Messages of 11 to 21 bits, so that sums also wrap."""
    network, wh = random_layers(size + stride, (3, 8, 12, 5), size, stride, 400), (21, 18)
    rng = np.random.default_rng(size)
    plain, quick = ReferenceNetwork(network, wh, arithmetic), SparseReference(network, wh, arithmetic)
    for density, factor in ((0.4, 1), (0.02, 997), (0.0, 1), (0.02, 1), (0.4, 997)):
        message = random_messages(rng, (wh[1], wh[0], 3), density, factor)
        plain.step(message)
        index = np.flatnonzero(message).astype(np.int32)
        quick.step(index, message.ravel()[index].astype(np.int32))
        for number, layer in enumerate(plain.layers):
            sigma, reference = quick.state(number)
            np.testing.assert_array_equal(sigma, layer.sigma)
            if reference is None:
                assert layer.spec.bias is None
            else:
                np.testing.assert_array_equal(reference, layer.reference)


def test_state_equals_the_reference_until_one_bit_is_wrong(trained, monkeypatch):
    submit, numbers, said = WitnessedBackend.submit, iter(range(1000)), list[str]()

    def disturb(backend, sent, tag):
        submit(backend, sent, tag)
        if next(numbers) == 52:
            backend._inner._engine._stack.state()[2].reshape(-1)[40] ^= 1

    monkeypatch.setattr(WitnessedBackend, "submit", disturb)
    lines = {line.what: line for line in run_truth(trained, frames()[0][::2], Plan(80, 20), said.append)}
    assert ["the state differs" in line for line in said] == [False, False, True]
    assert lines["frames"].value == "60" and lines["resets"].is_met
    states = lines["states that were compared with the reference"]
    assert states.value == "3" and not states.is_met
    assert all("differs in" in line.value for what, line in lines.items() if "frame 60" in what)
    assert "accuracy of the first and the last 10 frames" in lines


def test_a_table_says_what_is_missed():
    table = format_table([Line("a", "1", "2 at least", False), Line("b", "3"), judge_memory(10**9, 1_100_000_000, 5.0)])
    assert [row.split()[-1] for row in table.splitlines()] == ["demanded", "MISSED", "3", "MISSED"]
    assert judge_memory(10**9, 1_049_000_000, 5.0).is_met and not judge_memory(None, 1, 5.0).is_met
    assert INPUT_WH == (320, 192)
