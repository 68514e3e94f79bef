"""The matrix product computes what Lava's own convolution computes, on any layer and any input."""

from __future__ import annotations

import subprocess
from pathlib import Path

import regionmask_ros

WORKER = Path(regionmask_ros.__file__).parent / "lava_worker"
SCRIPT = Path(__file__).with_name("conv_against_stock.py")


def test_the_matrix_product_equals_lavas_convolution(lava_python):
    command = [lava_python, str(SCRIPT), str(WORKER / "conv_models.py"), str(WORKER / "shim.py")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.endswith("layers equal\n"), done.stderr
