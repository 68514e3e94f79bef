"""ONNX files: what is read, and that whatever is in a file leads to a result or to one line."""

from __future__ import annotations

import os
import resource

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is missing: `make runtimes` brings it")

from detector_graphs import detector_model  # noqa: E402
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx.external_data_helper import convert_model_to_external_data  # noqa: E402

from regionmask_ros.errors import InvalidFile, UserError  # noqa: E402
from regionmask_ros.network.onnx.interface import unify_interface  # noqa: E402
from regionmask_ros.network.onnx.reading import looks_like_onnx, parse_onnx, read_onnx  # noqa: E402

SMALL = detector_model().SerializeToString()


def value(name, shape=(1, 3, 64, 96), kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def relu_model(*nodes, weights=(), inputs=("images",), opset=13, **more):
    graph = helper.make_graph(list(nodes) or [helper.make_node("Relu", ["images"], ["out"], name="first")], "graph",
                              [value(name) for name in inputs], [value("out", None)], list(weights))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8, **more)


def put(path, model) -> str:
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    return str(path)


def refusal(path) -> str:
    try:
        unify_interface(read_onnx(path).model)
    except InvalidFile as error:
        line = str(error.about(path))
    except UserError as error:
        line = str(error)
    else:
        pytest.fail("the file was not refused")
    assert line.startswith(f"{path}: ") and "\n" not in line
    return line


def test_a_file_is_read_with_its_metadata(tmp_path):
    model = detector_model()
    helper.set_model_props(model, {"names": "{0: 'a'}", "long": "x" * 100_000})
    model.producer_name = "maker"
    file = read_onnx(put(tmp_path / "small.onnx", model))
    assert dict(file.metadata) == {"names": "{0: 'a'}"} and file.producer == "maker"
    assert len(file.model.graph.node) == len(model.graph.node)
    assert len(file.sha256) == 64


def test_nodes_in_another_order_are_sorted(tmp_path):
    model = detector_model()
    nodes = list(model.graph.node)[::-1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    known = {"images", *(tensor.name for tensor in model.graph.initializer)}
    for node in read_onnx(put(tmp_path / "small.onnx", model)).model.graph.node:
        assert known.issuperset(node.input)
        known.update(node.output)


def node(op, *names, **more):
    return helper.make_node(op, list(names[:-1]), [names[-1]], name="first", **more)


def tensor(dims=(2,), content=b"12345678", kind=TensorProto.FLOAT, **fields):
    made = TensorProto(name="w", data_type=kind, dims=dims, **fields)
    if content is not None:
        made.raw_data = content
    return made


def nested(depth):
    graph = helper.make_graph([helper.make_node("Relu", ["images"], ["inner"])], "in", [], [value("inner", None)])
    for _ in range(depth):
        chosen = helper.make_node("If", ["images"], ["inner"], then_branch=graph, else_branch=graph, name="first")
        graph = helper.make_graph([chosen], "in", [], [value("inner", None)])
    return relu_model(node("If", "images", "out", then_branch=graph, else_branch=graph))


@pytest.mark.parametrize("model, reason", [
    (relu_model(node("Relu", "gone", "out")), "node 'first' (Relu) uses 'gone', which no earlier node computes"),
    (relu_model(node("Relu", "b", "a"), node("Relu", "a", "b"), node("Relu", "a", "out")), "a cycle or a gap"),
    (relu_model(node("Relu", "images", "out"), node("Relu", "images", "out")), "computes a value that exists already"),
    (relu_model(node("Mine", "images", "out", domain="evil.org")), ("node 'first' (Mine): an operator of the domain "
                                                                   "'evil.org', which no runtime here has")),
    (relu_model(node("Relux", "images", "out")), "node 'first' (Relux): no operator of opset 13"),
    (relu_model(node("Gelu", "images", "out")), "(Gelu): no operator of opset 13: export it with a newer opset"),
    (relu_model(node("Conv", "images", "w", "out", strides=[1, 0]), weights=[tensor((1, 1, 1, 2))]),
     "node 'first' (Conv): strides of [1, 0], which must be positive: the file is damaged"),
    (relu_model(node("DepthToSpace", "images", "out", blocksize=-2)), "(DepthToSpace): blocksize of [-2]"),
    (relu_model(node("Relu", "out")), "(Relu): 0 inputs and 1 outputs, which this operator does not have"),
    (relu_model(node("Conv", "images", "out")), "(Conv): 1 inputs and 1 outputs"),
    (relu_model(weights=[tensor((8,), None, TensorProto.STRING)]), "weights 'w': shape 8 does not fit its content"),
    (relu_model(weights=[tensor((2,), None, TensorProto.INT64, float_data=[1, 2])]), "does not fit its content"),
    (relu_model(opset=999), "opset 999: export it with an opset from 11 to"),
    (relu_model(opset=3), "opset 3: export it"),
    (relu_model(functions=[helper.make_function("own", "F", ["x"], ["y"], [helper.make_node("Relu", ["x"], ["y"])],
                                                [helper.make_opsetid("", 13)])]), "functions"),
    (relu_model(weights=[tensor((3,))]), "weights 'w': shape 3 does not fit its content"),
    (relu_model(weights=[tensor((1 << 31, 1 << 31))]), "is larger than"),
    (relu_model(weights=[tensor((-2,))]), "weights 'w': impossible shape -2"),
    (relu_model(weights=[tensor((1,) * 40)]), "impossible shape"),
    (relu_model(weights=[tensor(kind=77)]), "numbers of the type 77"),
    (relu_model(weights=[tensor((500_000_000,), None)]), "is larger than"),
    (relu_model(weights=[tensor((1 << 20,), None)]), "does not fit its content"),
    (relu_model(node("Constant", "out", value=tensor((9,)))), "attribute 'value': shape 9 does not fit its content"),
    (relu_model(inputs=("images", "more")), "its inputs are 'images' [1, 3, 64, 96], 'more' [1, 3, 64, 96]: one image"),
    (nested(8), "graphs inside of graphs"),
    (SMALL[:len(SMALL) // 2], "cut off, or damaged"),
    (b"\x08\x08" + b"\xff" * 99, "damaged"),
    (b"hello, world", "a text file, not a network in an ONNX file"),
    (b"\x08\x08", "without a graph"),
    (SMALL.replace(b"Sigmoid", b"Sigmo\xff\xfe"), "names that are not UTF-8: the file is damaged"),
    (b"\x12\x80\x80\x80\x10" + bytes(1 << 25), "more than 16 MB beside the weights"),
])
def test_what_does_not_fit_is_named(tmp_path, model, reason):
    assert reason in refusal(put(tmp_path / "bad.onnx", model))


def test_files_of_many_small_fields_are_refused_before_they_are_parsed(tmp_path, monkeypatch):
    monkeypatch.setattr("regionmask_ros.network.onnx.wire.MAX_FIELDS", 1000)
    assert "more than 1,000 fields" in refusal(put(tmp_path / "bad.onnx", b"\x12\x00" * 1001))


def test_missing_and_strange_files_are_one_line(tmp_path):
    assert "no such file" in refusal(tmp_path / "gone.onnx")
    assert "this is a folder" in refusal(tmp_path)
    os.mkfifo(tmp_path / "pipe.onnx")
    assert "not a regular file" in refusal(tmp_path / "pipe.onnx")
    (tmp_path / "zero.onnx").touch()
    assert "empty file" in refusal(tmp_path / "zero.onnx")
    with open(tmp_path / "huge.onnx", "wb") as file:
        file.truncate(2 << 30)
    assert "larger than 256 MB" in refusal(tmp_path / "huge.onnx")


@pytest.fixture
def external(tmp_path):
    """A model whose weights are in a file beside it, and a function that changes where they are."""
    def make(**changes):
        weight = numpy_helper.from_array(np.arange(3000, dtype=np.float32), "w")
        model = relu_model(weights=[weight])
        convert_model_to_external_data(model, location="weights.bin", size_threshold=0)
        path = tmp_path / "model" / "external.onnx"
        path.parent.mkdir(exist_ok=True)
        onnx.save(model, path)
        model = onnx.load(path, load_external_data=False)
        entries = {entry.key: entry.value for entry in model.graph.initializer[0].external_data}
        del model.graph.initializer[0].external_data[:]
        for key, text in {**entries, **changes}.items():
            model.graph.initializer[0].external_data.add(key=key, value=text)
        return put(path, model)

    return make


def test_external_data_beside_the_file_becomes_part_of_the_model(external):
    (weight,) = read_onnx(external()).model.graph.initializer
    np.testing.assert_array_equal(numpy_helper.to_array(weight), np.arange(3000, dtype=np.float32))
    assert not weight.external_data and weight.data_location == TensorProto.DEFAULT


@pytest.mark.parametrize("changes, reason", [
    ({"location": "../weights.bin"}, "is not beside the file"),
    ({"location": "/etc/passwd"}, "is not beside the file"),
    ({"location": "link.bin"}, "is not beside the file"),
    ({"location": ""}, "is not beside the file"),
    ({"location": "a\0b"}, "is not beside the file"),
    ({"location": "."}, "this is a folder"),
    ({"location": "gone.bin"}, "no such file"),
    ({"offset": "9000"}, "too short"),
    ({"offset": "-4"}, "damaged description"),
    ({"offset": "99999999999999999999999"}, "cannot be read"),
    ({"length": "4"}, "damaged description"),
    ({"length": "many"}, "damaged description"),
])
def test_other_external_data_is_refused(external, tmp_path, changes, reason):
    (tmp_path / "weights.bin").write_bytes(bytes(12_000))
    path = external(**changes)
    (tmp_path / "model" / "link.bin").symlink_to(tmp_path / "weights.bin")
    assert reason in refusal(path) and "weights 'w'" in refusal(path)


def test_two_gigabytes_of_claimed_external_data_are_not_read(external, tmp_path):
    path = external()
    model = onnx.load(path, load_external_data=False)
    weight = model.graph.initializer[0]
    model.graph.initializer.extend([weight] * 20)
    for index, copy in enumerate(model.graph.initializer):
        copy.name, copy.dims[0] = f"w{index}", 1 << 25
        del copy.external_data[:]
        copy.external_data.add(key="location", value="weights.bin")
    assert "claim to be larger than 256 MB" in refusal(put(tmp_path / "model" / "claims.onnx", model))


@settings(max_examples=120)
@given(st.data())
def test_damaged_files_are_read_or_refused_within_little_memory(tmp_path_factory, data):
    damaged = bytearray(SMALL)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        kind = data.draw(st.sampled_from(("flip", "cut", "insert", "repeat")))
        if kind == "flip":
            damaged[place] ^= data.draw(st.integers(1, 255))
        elif kind == "cut":
            del damaged[place:place + data.draw(st.integers(1, 50))]
        elif kind == "insert":
            damaged[place:place] = data.draw(st.binary(min_size=1, max_size=8))
        else:
            damaged[place:place] = damaged[place:place + 200] * 3
    if not damaged:
        return
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        model = parse_onnx(onnx, bytes(damaged), tmp_path_factory.getbasetemp())
        unify_interface(model)
    except InvalidFile as error:
        assert str(error)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


def test_files_are_recognized_by_name_or_first_bytes(tmp_path):
    assert looks_like_onnx("anything.ONNX")
    assert looks_like_onnx(put(tmp_path / "model", SMALL))
    assert not looks_like_onnx(put(tmp_path / "zip", b"PK\x03\x04"))
    assert not looks_like_onnx(tmp_path / "gone") and not looks_like_onnx("")
