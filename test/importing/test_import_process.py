"""Files are imported in a process of its own: whatever happens there is one line here."""

from __future__ import annotations

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is missing: `make runtimes` brings it")
pytest.importorskip("onnxruntime", reason="onnxruntime is missing: `make runtimes` brings it")

from detector_graphs import GraphMaker, detector_model  # noqa: E402

from regionmask_ros.errors import UserError  # noqa: E402
from regionmask_ros.importing import process  # noqa: E402
from regionmask_ros.importing.detector import Wishes, import_detector  # noqa: E402
from regionmask_ros.importing.opening import open_event_network, open_network  # noqa: E402
from regionmask_ros.importing.process import import_apart  # noqa: E402
from regionmask_ros.network.cards import store_network  # noqa: E402


def put(path, model) -> str:
    path.write_bytes(model.SerializeToString())
    return str(path)


@pytest.fixture
def small(tmp_path) -> str:
    return put(tmp_path / "small.onnx", detector_model())


def test_the_process_gives_what_the_function_gives(small):
    apart, here = import_apart(small, Wishes()), import_detector(small, Wishes())
    assert apart.notes == here.notes
    assert {**vars(apart.network), "head": None} == {**vars(here.network), "head": None}
    assert apart.network.digest == here.network.digest


def test_errors_name_the_file_as_it_was_given(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"^gone\.onnx: no such file"):
        import_apart("gone.onnx", Wishes())
    (tmp_path / "bad.onnx").write_bytes(b"bad")
    with pytest.raises(UserError, match=r"^bad\.onnx: this is a text file, not a network"):
        import_apart("bad.onnx", Wishes())


def endless_loop():
    """A graph of a few bytes that repeats an addition two to the power of sixty times."""
    make = GraphMaker((96, 64))
    helper = onnx.helper
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["go_on"]), helper.make_node("Add", ["sum", "sum"], ["next"])], "body",
        [helper.make_tensor_value_info("i", 7, []), helper.make_tensor_value_info("go", 9, []),
         helper.make_tensor_value_info("sum", 1, None)],
        [helper.make_tensor_value_info("go_on", 9, []), helper.make_tensor_value_info("next", 1, None)])
    start = make.node("ReduceMean", "images", keepdims=1)
    count, go = make.weight(np.array(1 << 60, np.int64)), make.weight(np.array(True))
    return make.model([make.node("Loop", count, go, start, body=body)])


def hungry():
    """A graph of a few bytes that asks for 256 GB."""
    make = GraphMaker((96, 64))
    zeros = make.node("ConstantOfShape", make.integers(1 << 18, 1 << 18))
    return make.model([make.node("Add", make.node("ReduceMean", "images", keepdims=0), zeros)])


def test_a_graph_that_never_ends_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "CPU_S", 2)
    with pytest.raises(UserError, match=r"loop\.onnx: reading it takes more than 2 s"):
        import_apart(put(tmp_path / "loop.onnx", endless_loop()), Wishes())


def test_a_graph_that_fills_the_memory_is_stopped(tmp_path):
    with pytest.raises(UserError, match=r"hungry\.onnx: ") as caught:
        import_apart(put(tmp_path / "hungry.onnx", hungry()), Wishes())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("line, reason", [
    ("import os; os.abort()", r"the runtime that reads it crashed \(SIGABRT\): it is damaged, or needs too much"),
    ("raise ValueError('odd')", "it cannot be read: ValueError: odd"),
    ("", "it cannot be read: no message"),
])
def test_a_crash_of_the_process_is_one_line(small, tmp_path, monkeypatch, line, reason):
    (tmp_path / "crashing.py").write_text(line)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(process, "_STARTED_BY", "crashing")
    with pytest.raises(UserError, match=rf"small\.onnx: {reason}"):
        import_apart(small, Wishes())


def test_a_process_that_hangs_is_ended(small, tmp_path, monkeypatch):
    (tmp_path / "hanging.py").write_text("import time; time.sleep(600)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(process, "_STARTED_BY", "hanging")
    monkeypatch.setattr(process, "HANG_S", 0.5)
    with pytest.raises(UserError, match=r"small\.onnx: reading it does not end"):
        import_apart(small, Wishes())


def test_any_network_is_opened_by_name_or_file(small, tmp_path, monkeypatch, capsys, trained_file, trained):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    network = open_network(small)
    assert network.head.family == "yolox" and "small.onnx: labels: class_0" in capsys.readouterr().err
    store_network(network)
    assert open_network("small").digest == network.digest
    assert open_network(str(trained_file)).digest == trained.digest
    with pytest.raises(UserError, match="small: a dense network, which has no events: compare works with sigma-delta"):
        open_event_network("small", "compare")
    with pytest.raises(UserError, match="tiny: no such file"):
        open_network("tiny")


def test_an_imported_network_is_opened_without_the_package_onnx(small, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    store_network(import_detector(small, Wishes()).network)
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    assert open_network("small").head.num_classes == 3
    with pytest.raises(UserError, match=r"the package onnx, which reads such files, .*: run 'make runtimes'"):
        import_detector(small, Wishes())
