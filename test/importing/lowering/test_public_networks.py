"""Public detectors are lowered, and give what ONNX Runtime gives."""

from __future__ import annotations

import pytest

pytest.importorskip("onnx", reason="onnx is missing: `make runtimes` brings it")
pytest.importorskip("onnxruntime", reason="onnxruntime is missing: `make runtimes` brings it")

from lowered_networks import assert_lowered_equals_dense

from regionmask_ros.importing.detector import Wishes, import_detector
from regionmask_ros.importing.lowering.lowering import lower_network
from regionmask_ros.importing.lowering.values import CannotLower
from regionmask_ros.tiles.operators.activations import Kind


@pytest.mark.parametrize(("file", "heads", "rows"), [
    ("yolox_nano.onnx", 9, {"output": [3, 3, 3]}),
    ("yolox_nano_relu.onnx", 9, {"output": [3, 3, 3]}),
    ("nanodet_m_320.onnx", 6, {f"cls_pred_stride_{stride}": [1] for stride in (8, 16, 32)}),
    ("fastestdet.onnx", 3, {}),
    ("yolov5n_fp16.onnx", 3, {}),
])
def test_public_detectors_give_what_onnx_runtime_gives(public_network, file, heads, rows):
    network = import_detector(public_network(file), Wishes()).network
    lowered = assert_lowered_equals_dense(network, (352, 224), (256, 320))
    assert len(lowered.tail.heads) == heads
    assert {name: [len(level) for level in layout.levels] for name, layout in lowered.tail.rows.items()} == rows
    activations = {lowered.graph.node(name).operator.activation.kind for name in lowered.tail.heads}
    assert Kind.SIGMOID in activations, "scores are part of the heads"


def test_a_detector_with_squeeze_and_excitation_is_refused_with_the_name_of_the_node(public_network):
    network = import_detector(public_network("picodet_s_320.onnx"), Wishes()).network
    with pytest.raises(CannotLower) as caught:
        lower_network(network)
    line = str(caught.value)
    assert line.startswith("node 'GlobalAveragePool_0' (GlobalAveragePool): ") and "dense runtime" in line
    assert "\n" not in line
