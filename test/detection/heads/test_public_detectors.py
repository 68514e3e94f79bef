"""Public detectors on labeled pictures: our decoding is as accurate as a plain one, and both are right."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip("onnx", reason="no onnx: `make runtimes` brings it")
pytest.importorskip("onnxruntime", reason="no onnxruntime: `make runtimes` brings it")

import onnx
from plain_decoders import (
    Found,
    plain_distances,
    plain_fastestdet,
    plain_suppression,
    plain_yolov5,
    plain_yolox,
)

from regionmask_ros.backends.runtimes import run_once
from regionmask_ros.core.detections import Detections
from regionmask_ros.core.look import Look, LookOutput
from regionmask_ros.datasets import open_dataset
from regionmask_ros.detection.heads import decode_looks, find_head
from regionmask_ros.lab.evaluation.scoring import Scorer
from regionmask_ros.network.dense import GraphFacts, Preprocessing
from regionmask_ros.network.labels import COCO
from regionmask_ros.network.onnx.facts import find_producers
from regionmask_ros.network.preprocessing import IMAGENET_BGR, IMAGENET_RGB

FRAMES = (30, 60)
LOWEST, NMS_IOU = 0.02, 0.45
BYTES, UNIT_BGR = Preprocessing("bgr"), Preprocessing("bgr", deviation=(255.0,) * 3)


def yolox(outputs: list[np.ndarray], input_wh: tuple[int, int]) -> Found:
    return plain_yolox(outputs[0][0], input_wh, (8, 16, 32), LOWEST)


def focal(outputs: list[np.ndarray], input_wh: tuple[int, int]) -> Found:
    levels = len(outputs) // 2
    rows = [output[0] for output in outputs]
    return plain_distances(rows[:levels], rows[levels:], input_wh, (8, 16, 32, 64)[:levels], 0.5, LOWEST)


NETWORKS = {
    "yolox_nano.onnx": ("yolox", BYTES, yolox),
    "yolox_nano_relu.onnx": ("yolox", BYTES, yolox),
    "nanodet_m_320.onnx": ("generalized_focal", IMAGENET_BGR, focal),
    "picodet_s_320.onnx": ("generalized_focal", IMAGENET_RGB, focal),
    "fastestdet.onnx": ("fastestdet", UNIT_BGR, lambda outputs, wh: plain_fastestdet(outputs[0][0], wh, wh, LOWEST)),
    "yolov5n_fp16.onnx": ("yolov5", Preprocessing("rgb", deviation=(255.0,) * 3),
                          lambda outputs, wh: plain_yolov5(outputs[0][0], LOWEST)),
}


@pytest.fixture(scope="module")
def sequence(labelled_clip):
    """Labels, and some pictures by number."""
    video = labelled_clip("tud-campus")
    (found,) = open_dataset(f"csv:{video.removesuffix('/video.mp4')}")
    with found.open() as source:
        pictures = {number: frame.bgr() for number, frame in enumerate(source.frames()) if number in FRAMES}
    return found.labels, pictures


def to_input(picture: np.ndarray, input_wh: tuple[int, int], preprocessing: Preprocessing) -> np.ndarray:
    image = cv2.resize(picture, input_wh).astype(np.float32)
    image = image if preprocessing.order == "bgr" else image[:, :, ::-1]
    values = (image - np.float32(preprocessing.mean)) / np.float32(preprocessing.deviation)
    return np.ascontiguousarray(values.transpose(2, 0, 1)[None])


def plain_detections(found: Found, input_wh: tuple[int, int], image_wh: tuple[int, int]) -> Detections:
    kept = np.array(plain_suppression(found, NMS_IOU)).reshape(-1, 6)
    boxes = kept[:, 2:] * (np.array(image_wh) / input_wh)[[0, 1, 0, 1]]
    return Detections(np.clip(boxes, 0, image_wh * 2).astype(np.float32), kept[:, 0].astype(np.float32),
                      kept[:, 1].astype(np.int32))


@pytest.mark.parametrize("file", NETWORKS)
def test_accuracy_is_that_of_plain_decoding(file, public_network, sequence):
    family, preprocessing, decode = NETWORKS[file]
    labels, pictures = sequence
    model = onnx.load(public_network(file))
    # Weights may be listed behind it.
    image = model.graph.input[0]
    height, width = (length.dim_value for length in image.type.tensor_type.shape.dim[2:])
    ours, plain = Scorer(labels, COCO), Scorer(labels, COCO)
    for number, picture in pictures.items():
        image_wh = picture.shape[1], picture.shape[0]
        outputs = run_once(model.SerializeToString(), image.name, to_input(picture, (width, height), preprocessing))
        spec = find_head(outputs, GraphFacts({}, find_producers(model), (width, height)))
        assert (spec.family, spec.num_classes) == (family, 80)
        look = Look((0.0, 0.0, *map(float, image_wh)), (width, height))
        result = LookOutput(look, tuple(outputs[name] for name in spec.outputs))
        ours.add(number, decode_looks([result], spec, image_wh, LOWEST, NMS_IOU).found)
        plain.add(number, plain_detections(decode(list(outputs.values()), (width, height)), (width, height), image_wh))
    assert ours.map50() == pytest.approx(plain.map50(), abs=0.5)
    assert plain.map50() > 60.0
