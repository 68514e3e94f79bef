"""Our convolution model computes what Lava's own computes: wrapped, rectangular, sparse or dense."""

from __future__ import annotations

import subprocess
from pathlib import Path

import regionmask_ros

CHILD = Path(regionmask_ros.__file__).parent / "lava_worker"
SCRIPT = Path(__file__).with_name("conv_against_stock.py")


def test_the_matrix_product_equals_lavas_own_convolution(lava_python):
    command = [lava_python, str(SCRIPT), str(CHILD / "conv_models.py"), str(CHILD / "shim.py")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.endswith("layers equal\n"), done.stderr
