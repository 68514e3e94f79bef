"""From the video file to the head's integers, against digests of what Lava computed."""

from __future__ import annotations

import hashlib
import json
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from regionmask_ros.pipeline.pipeline import Pipeline
from regionmask_ros.pipeline.settings import PipelineSettings
from regionmask_ros.sources import open_source

VECTORS = json.loads(Path(__file__).with_name("reference_digests.json").read_text())["vectors"]


def sha256(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


@pytest.mark.parametrize("name", VECTORS)
def test_pipeline_equals_lava_on_real_video(name, trained, real_video, tmp_path):
    vector = VECTORS[name]
    settings = {}
    if "masked_regions" in vector:
        grid = np.full(784, 255, np.uint8)
        chosen = vector["masked_regions"]
        grid[np.random.default_rng(chosen["seed"]).permutation(784)[:chosen["count"]]] = 0
        cv2.imwrite(str(tmp_path / "mask.png"), grid.reshape(28, 28))
        settings = {"mask": "static", "static_mask": str(tmp_path / "mask.png"), "refresh_period": 0}
    pipeline = Pipeline(trained, PipelineSettings(input_size=(448, 448), arithmetic="lava", **settings))
    with open_source(real_video(vector["video"])) as source:
        for t, frame in enumerate(islice(source.frames(), len(vector["output_sha256"]))):
            if sha256(frame.pixels) != vector["video_frame_sha256"][t]:
                pytest.skip(f"this OpenCV decodes {vector['video']} to other pixels, so Lava's output does not apply")
            (result,) = pipeline.process(frame)
            assert sha256(result.head.astype("<i4")) == vector["output_sha256"][t], f"frame {t}"
            counts = [result.counts.encoder_events, *result.counts.layer_events]
            assert counts == vector["msg_nonzero"][t]
            assert list(result.counts.synops) == vector["synops"][t]
