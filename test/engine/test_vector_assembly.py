"""What the compiler makes of the vector kernels."""

from __future__ import annotations

import numpy as np
import pytest

from regionmask_ros.engine.engine import EventEngine, PackedNetwork, available_kernel_sets, description
from regionmask_ros.engine.simd.kernels import simd_layer_kernel
from regionmask_ros.engine.simd.packing import AVX2, AVX512
from regionmask_ros.network.graph import ConvSpec

PROCESSORS = {"avx512": AVX512, "avx2": AVX2}


@pytest.mark.parametrize("path", [path for path in available_kernel_sets() if path in PROCESSORS])
def test_products_are_added_up_by_vnni_where_the_description_says_so(path):
    processor = PROCESSORS[path]
    layers = (ConvSpec("a", np.ones((16, 3, 1, 1), np.int32), np.zeros(16, np.int32), 1, 0, 6),
              ConvSpec("b", np.ones((16, 16, 1, 1), np.int32), None, 1, 0, 0))
    engine = EventEngine(PackedNetwork(type("Layers", (), {"layers": layers})), (16, 16), "carry", path)
    engine.step(np.arange(3, dtype=np.int32), np.full(3, 1600, np.int32))
    layer = engine._layers.layers[1]
    kernel = simd_layer_kernel(processor.lanes, layer.packed.vectors, *layer.packed.together, 1, 0)
    # A kernel that comes from the cache has no assembly, so it is compiled anew.
    fresh = type(kernel)(kernel.py_func, targetoptions=kernel.targetoptions)
    fresh.compile(kernel.signatures[0])
    assembly = fresh.inspect_asm(fresh.signatures[0])
    fused, separate = assembly.count("vpdpwssd"), assembly.count("vpmaddwd")
    assert fused > separate if processor.has_vnni else fused == 0 < separate
    assert description(path) == (f"{path} (vnni)" if processor.has_vnni else path)


def test_paths_without_vector_products_have_no_vnni():
    assert description("portable") == "portable" and description("amx") == "amx"
