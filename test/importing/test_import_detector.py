"""ONNX files become dense networks: head, labels, preprocessing and sizes are found or asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is missing: `make runtimes` brings it")
pytest.importorskip("onnxruntime", reason="onnxruntime is missing: `make runtimes` brings it")

from detector_graphs import GraphMaker, classifier_model, detector_model, make_detector  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from regionmask_ros.backends.runtimes import run_once  # noqa: E402
from regionmask_ros.errors import UserError  # noqa: E402
from regionmask_ros.importing.detector import Wishes, import_detector, name_from_file  # noqa: E402
from regionmask_ros.importing.picture import draw_scene, to_input  # noqa: E402
from regionmask_ros.network.dense import Preprocessing  # noqa: E402
from regionmask_ros.network.labels import COCO  # noqa: E402
from regionmask_ros.network.preprocessing import IMAGENET_BGR, IMAGENET_RGB  # noqa: E402

BGR, RGB_ONE = Preprocessing("bgr"), Preprocessing("rgb", deviation=(255.0,) * 3)


def put(path: Path, model) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def refusal(path, **wishes) -> str:
    with pytest.raises(UserError) as caught:
        import_detector(path, Wishes(**wishes))
    line = str(caught.value)
    assert line.startswith(f"{path}: ") and "\n" not in line
    return line


def test_a_classifier_has_no_boxes(tmp_path):
    line = refusal(put(tmp_path / "classes.onnx", classifier_model()))
    assert "no boxes: the outputs (" in line and "one value per class, as of a classifier" in line


@pytest.mark.parametrize("traits", [{}, {"shuffles": True, "resizes": True}, {"decoded": True}])
def test_a_fixed_size_is_freed_and_still_gives_the_same(tmp_path, traits):
    path = put(tmp_path / "small one.onnx", detector_model((160, 128), **traits))
    found = import_detector(path, Wishes())
    network = found.network
    assert (network.name, network.fixed_wh, network.alignment) == ("small_one", None, 32)
    assert (network.head.family, network.head.num_classes, network.head.strides) == ("yolox", 3, (8, 16, 32))
    assert network.head.numbers["raw"] == ("decoded" not in traits)
    assert network.preprocessing == BGR and network.input_name == "images" and network.precision == "fp32"
    assert network.labels == ("class_0", "class_1", "class_2")
    assert network.source_file == str(path) and len(network.sha256) == 64
    assert any(note.startswith("labels: class_0") for note in found.notes)
    image = to_input(draw_scene((160, 128)), BGR)
    (before,), (after,) = (run_once(model, "images", image).values()
                           for model in (path.read_bytes(), network.model))
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-5)


def test_a_size_that_cannot_be_freed_stays_and_is_explained(tmp_path):
    make = make_detector((96, 64))
    output = make.nodes[-1].output[0]
    constant = np.zeros((1, 126, 8), np.float32)
    constant[..., :4] = np.random.default_rng(0).random((1, 126, 4))
    found = import_detector(put(tmp_path / "a.onnx", make.model([make.node("Add", output, make.weight(constant))])),
                            Wishes())
    assert found.network.fixed_wh == (96, 64) and found.network.alignment == 1
    (note,) = [note for note in found.notes if note.startswith("input size: fixed at 96x64; ")]
    assert "(Add): its constant of shape [1, 126, 8] belongs to the input size 96x64" in note
    assert run_once(found.network.model, "images", np.zeros((1, 3, 64, 96), np.float32))


def test_free_sizes_stay_free(tmp_path):
    make = make_detector(fixed=False)
    model = make.model([make.nodes[-1].output[0]], shape=["batch", 3, "height", "width"])
    network = import_detector(put(tmp_path / "a.onnx", model), Wishes()).network
    assert network.fixed_wh is None and network.alignment == 32


def test_half_precision_is_hidden_inside(tmp_path):
    model = detector_model()
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    network = import_detector(put(tmp_path / "a.onnx", model), Wishes()).network
    assert network.precision == "fp16" and network.fixed_wh is None
    (output,) = run_once(network.model, "images", np.zeros((1, 3, 32, 64), np.float32)).values()
    assert output.dtype == np.float32 and output.shape == (1, 42, 8)


def test_metadata_gives_labels_and_preprocessing(tmp_path):
    model = detector_model(decoded=True)
    helper.set_model_props(model, {"stride": "32", "names": "{0: 'a', 1: 'b', 2: 'c'}"})
    found = import_detector(put(tmp_path / "a.onnx", model), Wishes())
    assert found.network.labels == ("a", "b", "c") and found.network.preprocessing == RGB_ONE


def test_wishes_come_first(tmp_path):
    (tmp_path / "names.txt").write_text("x\ny\nz\n")
    path = put(tmp_path / "a.onnx", detector_model())
    network = import_detector(path, Wishes("mine", str(tmp_path / "names.txt"), "yolox", "rgb,0..1")).network
    assert (network.name, network.labels, network.preprocessing) == ("mine", ("x", "y", "z"), RGB_ONE)


def test_a_graph_that_normalizes_gets_plain_pixels(tmp_path):
    make = make_detector(data="small")
    make.nodes.insert(0, helper.make_node("Div", ["images", make.weight(np.float32(255))], ["small"], name="scale"))
    found = import_detector(put(tmp_path / "a.onnx", make.model([make.nodes[-1].output[0]])), Wishes())
    assert found.network.preprocessing == Preprocessing("rgb")
    assert any("the graph normalizes its input itself" in note for note in found.notes)


def selected_boxes(wh, follow: bool):
    """A graph whose output is two boxes, in pixels of its input or always of the size that it was written for."""
    make = GraphMaker(wh)
    rows = make.weight(np.array([[[0.1, 0.2, 0.4, 0.7, 0.9, 2], [0.5, 0.3, 0.9, 0.8, 0.8, 0]]], np.float32))
    if follow:
        sides = make.node("Gather", make.node("Shape", "images"), make.integers(3, 2, 3, 2), axis=0)
        sides = make.node("Cast", sides, to=TensorProto.FLOAT)
    else:
        sides = make.weight(np.array(wh * 2, np.float32))
    scale = make.node("Concat", sides, make.weight(np.ones(2, np.float32)), axis=0)
    nothing = make.node("Mul", make.node("ReduceMean", "images", keepdims=0), make.weight(np.float32(0)))
    return make.model([make.node("Add", make.node("Mul", rows, scale), nothing)])


@pytest.mark.parametrize("follow", [True, False])
def test_a_size_is_free_only_if_boxes_follow_it(tmp_path, follow):
    path = put(tmp_path / "a.onnx", selected_boxes((320, 320), follow))
    (tmp_path / "names.txt").write_text("a\nb\nc\n")
    found = import_detector(path, Wishes(preprocess="rgb,0..1", labels=str(tmp_path / "names.txt")))
    assert found.network.head.family == "boxes" and found.network.labels == ("a", "b", "c")
    assert found.network.fixed_wh == (None if follow else (320, 320))
    assert follow or "its boxes are not where they should be" in found.notes[0]


def test_what_cannot_be_known_is_asked_for(tmp_path):
    line = refusal(put(tmp_path / "a.onnx", selected_boxes((320, 320), True)))
    assert "its preprocessing is not known: give it with --preprocess, as rgb,0..1 or bgr,0..255 or " in line


def test_outputs_that_are_no_detections_are_named_with_their_shapes(tmp_path):
    make = GraphMaker((96, 64))
    maps = make.conv("images", 3, 1000, 8, 8)
    output = make.node("GlobalAveragePool", maps)
    assert f"no boxes: the outputs ({output} [1, 1000, 1, 1], at an input of 96x64) are one value per class" in refusal(
        put(tmp_path / "a.onnx", make.model([output])))
    assert f"({maps} [1, 1000, 8, 12], at an input of 96x64) fit no known head" in refusal(
        put(tmp_path / "b.onnx", make.model([maps])))


def test_mistakes_of_the_user_are_one_line(tmp_path):
    path = put(tmp_path / "a.onnx", detector_model())
    assert "head 'mine': unknown; choose from auto, " in refusal(path, head="mine")
    assert "are not of a fastestdet head; try --head auto" in refusal(path, head="fastestdet")
    assert "--preprocess 'red'" in refusal(path, preprocess="red")
    assert "this network has 3: give a file" in refusal(path, labels="coco")
    assert "no such file" in refusal(tmp_path / "gone.onnx")


def test_a_graph_that_no_runtime_runs_is_named(tmp_path):
    make = GraphMaker((96, 64))
    model = make.model([make.node("Reshape", "images", make.integers(5, 7))])
    assert "cannot run the network" in refusal(put(tmp_path / "a.onnx", model))


@pytest.mark.parametrize("path, name", [
    ("/a/yolox_nano.onnx", "yolox_nano"), ("my network (1).onnx", "my_network_1_"), (".onnx", "onnx"),
    ("..", "network"), ("x" * 99 + ".onnx", "x" * 64), ("ä.onnx", "_"),
])
def test_names_come_from_files(path, name):
    assert name_from_file(path) == name


@pytest.mark.parametrize("file, family, preprocessing, precision", [
    ("nanodet_m_320", "generalized_focal", IMAGENET_BGR, "fp32"),
    ("picodet_s_320", "generalized_focal", IMAGENET_RGB, "fp32"),
    ("fastestdet", "fastestdet", Preprocessing("bgr", deviation=(255.0,) * 3), "fp32"),
    ("yolov5n_fp16", "yolov5", RGB_ONE, "fp16"),
])
def test_public_networks_are_imported_with_free_sizes(public_network, file, family, preprocessing, precision):
    found = import_detector(public_network(f"{file}.onnx"), Wishes())
    network = found.network
    assert (network.head.family, network.preprocessing, network.precision) == (family, preprocessing, precision)
    assert network.labels == COCO and (network.fixed_wh, network.alignment) == (None, 32)
    assert not any("warning" in note for note in found.notes)


def test_exchanged_colors_are_noticed_where_they_tell(public_network):
    found = import_detector(public_network("yolox_nano.onnx"), Wishes(preprocess="rgb,0..255"))
    (warning,) = [note for note in found.notes if note.startswith("warning: a drawn scene is recognized better as bgr")]
    assert warning.endswith("import it with --preprocess bgr,0..255")
