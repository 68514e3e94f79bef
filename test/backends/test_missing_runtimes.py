"""Without OpenVINO and ONNX Runtime, installed or not, the rest works and one line says what to do."""

from __future__ import annotations

import pytest
from python_process import run_python

HIDDEN = """
import sys
for name in ("onnx", "onnxruntime", "openvino"):
    sys.modules[name] = None
import numpy as np
from regionmask_ros.backends import check_backend
from regionmask_ros.backends.runtimes import run_once
from regionmask_ros.errors import UserError
try:
    {}
except UserError as error:
    print(error)
"""


@pytest.mark.parametrize(("call", "line"), [
    ("check_backend('openvino', {})", "openvino is not installed; run 'make runtimes'"),
    ("check_backend('onnxruntime', {})", "onnxruntime is not installed; run 'make runtimes'"),
    ("run_once(b'', 'x', np.zeros((1, 3, 32, 32)))",
     "neither openvino nor onnxruntime is installed; run 'make runtimes'"),
])
def test_a_missing_runtime_is_one_line(call, line):
    done = run_python("-c", HIDDEN.replace("{}", call, 1))
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, line, "")
