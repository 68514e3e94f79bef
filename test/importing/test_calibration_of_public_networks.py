"""Public networks keep their detections in int8."""

from __future__ import annotations

import pytest

pytest.importorskip("onnx", reason="onnx is missing: `make runtimes` brings it")
pytest.importorskip("onnxruntime", reason="onnxruntime is missing: `make runtimes` brings it")

from regionmask_ros.importing import calibration
from regionmask_ros.importing.calibration import calibrate, standard_source
from regionmask_ros.importing.detector import Wishes, import_detector
from regionmask_ros.tiles.quantization.files import unpack_tiles


def test_yolox_nano_agrees_with_fp32_on_pictures_that_were_not_calibrated_on(public_network, real_video, monkeypatch):
    real_video("bikes.mp4")
    # Fewer and smaller pictures than by default, for the sake of time; sensitivities have a test of their own.
    for name, value in (("CALIBRATION_PICTURES", 8), ("COMPARED_PICTURES", 6), ("MAX_PIXELS", 320 * 192)):
        monkeypatch.setattr(calibration, name, value)
    monkeypatch.setattr(calibration, "find_factors", lambda *_: {})
    network = import_detector(public_network("yolox_nano.onnx"), Wishes()).network
    made = calibrate(network, standard_source(), lambda steps, what: steps)
    assert made.agreement > 95
    assert len(unpack_tiles(made.tiles).network.graph.nodes) > 100
