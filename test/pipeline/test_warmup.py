from __future__ import annotations

import os

import pytest
from python_process import run_python

START = """
import sys
import numpy as np
from regionmask_ros.mask.schedule import PresetOverrides
from regionmask_ros.core.frame import Frame
from regionmask_ros.importing.opening import open_network
from regionmask_ros.network.files import load_network
from regionmask_ros.pipeline.pipeline import Pipeline, PipelineSettings
pipeline = Pipeline(load_network(sys.argv[1]), PipelineSettings(input_size=(64, 64)))
pipeline.process(Frame(np.full((64, 64, 3), 90, np.uint8), "bgr", 0, ""))
pipeline.reconfigure(PipelineSettings(input_size=(64, 64), mask="dynamic", dynamic="mgnet"))
pipeline.process(Frame(np.full((64, 64, 3), 90, np.uint8), "bgr", 1, ""))
# Weak detections of noise are enough to be followed.
pipeline = Pipeline(load_network(sys.argv[1]), PipelineSettings(
    input_size=(64, 64), preset="balanced", score_threshold=0.0, overrides=PresetOverrides(track_threshold=0.0)))
for index in range(4):
    noise = np.random.default_rng(index).integers(0, 256, (96, 96, 3)).astype(np.uint8)
    (result,) = pipeline.process(Frame(noise, "bgr", index, ""))
    assert len(result.detections)
pipeline = Pipeline(open_network("street"), PipelineSettings(preset="fast", score_threshold=0.001))
for index in range(4):
    noise = np.random.default_rng(index).integers(0, 256, (96, 96, 3)).astype(np.uint8)
    (result,) = pipeline.process(Frame(noise, "bgr", index, ""))
"""


def cache_files(folder: str) -> set[str]:
    return {name for _, _, names in os.walk(folder) for name in names if name.endswith(".nbc")}


def test_nothing_is_left_to_compile_for_the_trained_network(trained_file, tmp_path):
    """After warming up, a real start adds no compiled kernel to the cache."""
    run_python("-m", "regionmask_ros.pipeline.warmup", XDG_CACHE_HOME=str(tmp_path)).check_returncode()
    warmed = cache_files(str(tmp_path))
    if not warmed:
        pytest.skip("this Numba keeps no cache here")
    run_python("-c", START, str(trained_file), XDG_CACHE_HOME=str(tmp_path)).check_returncode()
    assert cache_files(str(tmp_path)) == warmed
