"""What the compiler makes of the simd kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from small_networks import random_layers

from regionmask_ros.engine.engine import EventEngine, PackedNetwork, available_kernel_sets, description
from regionmask_ros.engine.simd.kernels import simd_layer_kernel
from regionmask_ros.engine.simd.packing import AVX2, AVX512

PROCESSORS = {"avx512": AVX512, "avx2": AVX2}


@pytest.mark.parametrize("kernel_set", [name for name in available_kernel_sets() if name in PROCESSORS])
def test_products_are_added_up_by_vnni_where_the_description_says_so(kernel_set):
    processor = PROCESSORS[kernel_set]
    engine = EventEngine(PackedNetwork(random_layers(0, (3, 16, 16), 1, 1)), (16, 16), "carry", kernel_set)
    engine.step(np.arange(3, dtype=np.int32), np.full(3, 1600, np.int32))
    packed = engine._stack.layers[1].packed
    kernel: Any = simd_layer_kernel(processor.lanes, packed.vectors, *packed.together, 1, 0)
    # A kernel that comes from the cache has no assembly, so it is compiled again.
    fresh = type(kernel)(kernel.py_func, targetoptions=kernel.targetoptions)
    fresh.compile(kernel.signatures[0])
    assembly = fresh.inspect_asm(fresh.signatures[0])
    fused, separate = assembly.count("vpdpwssd"), assembly.count("vpmaddwd")
    assert fused > separate if processor.has_vnni else fused == 0 < separate
    assert description(kernel_set) == (f"{kernel_set} (vnni)" if processor.has_vnni else kernel_set)


def test_kernel_sets_without_vector_products_have_no_vnni():
    assert description("portable") == "portable" and description("amx") == "amx"
