"""The dense reference of sigma-delta networks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from small_networks import spread_groups

from regionmask_ros.metrics.dense_reference import dense_head, encode_exactly


def test_a_layer_in_groups_is_one_in_which_other_weights_are_zero(groups_network):
    spread = replace(groups_network, layers=tuple(map(spread_groups, groups_network.layers)))
    value = encode_exactly(groups_network, np.random.default_rng(2).integers(0, 256, (64, 96, 3)).astype(np.uint8))
    np.testing.assert_allclose(dense_head(groups_network, value), dense_head(spread, value), rtol=1e-12, atol=1e-9)
