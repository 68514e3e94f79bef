"""Arrays pass through JSON with all their bits, and nothing else passes for one."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from regionmask_ros.errors import InvalidFile
from regionmask_ros.fleet.arrays import pack_array, unpack_array

ARRAYS = st.sampled_from(["<f8", "<f4", "<i4"]).flatmap(
    lambda kind: npst.arrays(kind, npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5)))


@given(ARRAYS)
def test_every_bit_comes_back(array):
    back = unpack_array(json.loads(json.dumps(pack_array(array))))
    assert back.dtype == array.dtype and back.shape == array.shape and back.tobytes() == array.tobytes()


@pytest.mark.parametrize("change", [
    {"kind": "O"}, {"shape": [2, 3]}, {"shape": [-1]}, {"shape": [1 << 30]}, {"shape": "no"}, {"data": "no"},
    {"data": "bm8="}, {"data": 3}])
def test_something_else_is_refused(change):
    packed = pack_array(np.arange(4.0))
    with pytest.raises(InvalidFile, match="no packed array"):
        unpack_array({**packed, **change})
    with pytest.raises(InvalidFile, match="no packed array"):
        unpack_array([packed])
