"""Counting operations is a switch: off, nothing else differs."""

from __future__ import annotations

import numpy as np
import pytest

from regionmask_ros.encoder.encoder import Encoder
from regionmask_ros.engine.engine import EventEngine, PackedNetwork, available_kernel_sets


@pytest.mark.parametrize("kernel_set", available_kernel_sets())
def test_heads_do_not_depend_on_counting(tiny_network, kernel_set):
    random, keep = np.random.default_rng(5), np.ones((4, 6), bool)
    encoder = Encoder(tiny_network.input_table, tiny_network.encoder_threshold, (96, 64))
    packed = PackedNetwork(tiny_network)
    counted, plain = (EventEngine(packed, (96, 64), "carry", kernel_set) for _ in range(2))
    plain.counting = False
    for turn in range(6):
        events = encoder.step(random.integers(0, 256, (64, 96, 3)).astype(np.uint8), keep)
        if turn == 4:
            # Counts are right again from the frame on in which the switch goes back.
            plain.counting = True
        one, other = counted.step_changes(events.changes), plain.step_changes(events.changes)
        np.testing.assert_array_equal(one.head, other.head)
        assert one.synops[0] > 0 and len(one.layer_events) == len(tiny_network.layers) - 1
        if turn < 4:
            assert (other.layer_events, other.synops) == ((), ())
        else:
            assert (other.layer_events, other.synops) == (one.layer_events, one.synops)
