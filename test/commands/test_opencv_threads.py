"""Programs keep OpenCV in one thread, unless the environment says otherwise."""

from __future__ import annotations

import pytest
from python_process import run_python

SCRIPT = """
from contextlib import suppress
from regionmask_ros.commands._cli import command_main
with suppress(SystemExit):
    command_main("run", ["--help"])
import cv2
print(cv2.getNumThreads())
"""


@pytest.mark.parametrize(("changes", "threads"), [({}, "1"), ({"OPENCV_FOR_THREADS_NUM": "2"}, "2")])
def test_a_command_has_the_threads_of_opencv_that_the_environment_asks_for_or_one(changes, threads):
    assert run_python("-c", SCRIPT, **changes).stdout.split()[-1] == threads
