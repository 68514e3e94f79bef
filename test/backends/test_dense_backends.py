"""The backends of dense networks compute what the model says, share models, and refuse in one line."""

from __future__ import annotations

import gc
import os
import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from python_process import run_python

from regionmask_ros.backends import BACKENDS, BackendError, check_backend, open_backend, resolve_arithmetic
from regionmask_ros.backends.dense import DenseOptions, wait_for
from regionmask_ros.backends.runtimes import RUNTIMES, run_once
from regionmask_ros.core.look import Look, LookImage
from regionmask_ros.errors import UserError
from regionmask_ros.network.dense import Preprocessing

for package in ("onnx", *RUNTIMES):
    pytest.importorskip(package, reason=f"no {package}: `make runtimes` brings it")

from dense_networks import INPUT, dense_network, make_convolutions, make_echo, make_model  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from regionmask_ros.backends import onnxruntime, openvino  # noqa: E402

WH = (96, 64)
each_runtime = pytest.mark.parametrize("runtime", RUNTIMES)


def picture(wh=WH, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (wh[1], wh[0], 3)).astype(np.uint8)


def look(wh=WH, seed=0) -> LookImage:
    return LookImage(Look((0.0, 0.0, 2.0 * wh[0], 2.0 * wh[1]), wh), picture(wh, seed))


def open_one(runtime, network, wh=WH, **given):
    return open_backend(runtime, network, wh, "", {"cache": "none", **given})


def compute(backend, *looks) -> tuple[np.ndarray, ...]:
    backend.submit(list(looks), "tag")
    result = backend.poll(0.0)
    assert result is not None and result.tag == "tag" and backend.poll(0.0) is None
    assert [found.look for found in result.head] == [sent.look for sent in looks]
    return tuple(array for found in result.head for array in found.outputs)


@each_runtime
@pytest.mark.parametrize("wanted", [
    Preprocessing(), Preprocessing("bgr"), Preprocessing("rgb", (0, 0, 0), (255, 255, 255)),
    Preprocessing("bgr", (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)),
], ids=["plain", "bgr", "unit", "all"])
def test_a_picture_is_converted_as_the_network_expects_it(runtime, wanted):
    (values,) = compute(open_one(runtime, dense_network(make_echo(), preprocessing=wanted)), look())
    ordered = picture()[:, :, ::-1] if wanted.order == "bgr" else picture()
    expected = (ordered.astype(np.float64) - np.array(wanted.mean)) / np.array(wanted.deviation)
    assert values.dtype == np.float32 and values.shape == (1, 3, WH[1], WH[0])
    np.testing.assert_allclose(values[0].transpose(1, 2, 0), expected, rtol=1e-5, atol=1e-5)


def test_both_runtimes_compute_the_same():
    network = dense_network(make_convolutions(), preprocessing=Preprocessing("rgb", (0, 0, 0), (255, 255, 255)))
    one, other = (compute(open_one(runtime, network), look(), look((32, 32), 1)) for runtime in RUNTIMES)
    assert [array.shape for array in one] == [(1, 12, 16, 24), (1, 12, 8, 8)] and np.ptp(one[0]) > 0.1
    for here, there in zip(one, other):
        np.testing.assert_allclose(here, there, atol=1e-4)
    values = picture().transpose(2, 0, 1)[None] / 255.0
    np.testing.assert_allclose(run_once(network.model, INPUT, values)["out"], one[0], atol=1e-4)


@each_runtime
def test_outputs_come_in_the_order_of_the_head_and_as_real_numbers(runtime):
    nodes = [helper.make_node("Cast", [INPUT], ["whole"], to=TensorProto.INT64),
             helper.make_node("Neg", [INPUT], ["negative"]), helper.make_node("Abs", [INPUT], ["unread"]),
             helper.make_node("ReduceMax", [INPUT], ["largest"], axes=[2, 3])]
    model = make_model(nodes, ["whole", "negative", "unread", "largest"], kind=TensorProto.UNDEFINED)
    model = with_types(model, {"whole": TensorProto.INT64})
    largest, whole, negative = compute(
        open_one(runtime, dense_network(model, ("largest", "whole", "negative"))), look())
    assert {array.dtype for array in (largest, whole, negative)} == {np.dtype(np.float32)}
    assert largest.shape == (1, 3, 1, 1) and np.array_equal(whole, -negative)


def with_types(model: bytes, types) -> bytes:
    from onnx import load_from_string

    loaded = load_from_string(model)
    for output in loaded.graph.output:
        output.type.tensor_type.elem_type = types.get(output.name, TensorProto.FLOAT)
    return loaded.SerializeToString()


@each_runtime
def test_results_of_earlier_pictures_stay(runtime):
    backend = open_one(runtime, dense_network(make_echo()))
    backend.submit([look(seed=1), look(seed=2)], 1)
    backend.submit([look(seed=3)], 2)
    first, second = backend.poll(0.0), backend.poll(0.0)
    arrays = [found.outputs[0][0].transpose(1, 2, 0) for result in (first, second) for found in result.head]
    assert [array.tolist() for array in arrays] == [picture(seed=seed).tolist() for seed in (1, 2, 3)]


@each_runtime
def test_no_looks_are_no_work_and_a_reset_forgets_results(runtime):
    backend = open_one(runtime, dense_network(make_echo()))
    assert compute(backend) == ()
    backend.submit([look()], "old")
    backend.drain()
    backend.reset()
    assert backend.poll(0.0) is None and len(compute(backend, look())) == 1


@each_runtime
def test_a_closed_backend_can_be_closed_again_and_opened_anew(runtime):
    network = dense_network(make_convolutions())
    backend = open_one(runtime, network)
    expected = compute(backend, look())
    backend.close()
    backend.close()
    again = open_one(runtime, network)
    assert np.array_equal(compute(again, look())[0], expected[0])
    assert again.kernels.startswith(f"{runtime} ") and again.kernels.endswith("CPU, fp32")


@each_runtime
def test_an_int8_network_is_named_as_one(runtime):
    assert open_one(runtime, dense_network(make_echo(), precision="int8")).kernels.endswith("CPU, int8")


@each_runtime
def test_an_image_of_another_size_than_its_look_is_refused(runtime):
    backend = open_one(runtime, dense_network(make_echo()))
    with pytest.raises(BackendError, match="not \\(64, 96, 3\\)"):
        backend.submit([LookImage(Look((0, 0, 1, 1), WH), picture((96, 32)))], 0)


@each_runtime
@pytest.mark.parametrize(("facts", "wh", "line"), [
    ({"fixed_wh": (64, 64)}, (96, 64), "its input is 64x64 only, not 96x64"),
    ({"alignment": 32}, (100, 64), "an input of 100x64 does not fit; width and height are multiples of 32"),
    ({"alignment": 32}, (0, 64), "an input of 0x64 does not fit"),
])
def test_a_size_that_does_not_fit_is_refused(runtime, facts, wh, line):
    with pytest.raises(BackendError, match=line):
        open_one(runtime, dense_network(make_echo(), **facts), wh)


@each_runtime
def test_a_graph_that_refuses_a_size_is_one_line(runtime):
    shape = numpy_helper.from_array(np.array([1, 3 * 64 * 64], np.int64), "shape")
    network = dense_network(make_model([helper.make_node("Reshape", [INPUT, "shape"], ["out"])], ["out"], [shape]))
    assert compute(open_one(runtime, network, (64, 64)), look((64, 64)))[0].shape == (1, 3 * 64 * 64)
    with pytest.raises(BackendError) as refused:
        open_one(runtime, network, WH)
    assert "cannot run network small with an input of 96x64 on CPU" in str(refused.value)
    assert "\n" not in str(refused.value)


@each_runtime
def test_a_damaged_model_is_one_line(runtime):
    with pytest.raises(BackendError, match=f"{runtime} cannot run network small") as refused:
        open_one(runtime, dense_network(make_convolutions()[:-40]))
    assert "\n" not in str(refused.value)
    with pytest.raises(BackendError, match="cannot run the network"):
        run_once(b"\x00" * 64, INPUT, np.zeros((1, 3, 32, 32)))


@pytest.mark.parametrize(("runtime", "given", "line"), [
    ("openvino", {"device": "CUDA"}, "the openvino backend has CPU, GPU, NPU, AUTO; use backend onnxruntime"),
    ("onnxruntime", {"device": "NPU"}, "the onnxruntime backend has CPU, CUDA, TENSORRT; use backend openvino"),
    ("onnxruntime", {"precision": "bf16"}, "precision bf16: onnxruntime on CPU has auto, fp32"),
    ("openvino", {"device": "matrix"}, "device 'matrix': unknown; use one of CPU, GPU"),
    ("openvino", {"threads": "0"}, "threads 0: must be 1 to 256"),
])
def test_an_option_that_a_runtime_does_not_have_is_refused(runtime, given, line):
    with pytest.raises(UserError, match=line):
        check_backend(runtime, given)


@pytest.mark.parametrize(("runtime", "device", "found"), [
    ("openvino", "GPU", "CPU"), ("openvino", "NPU", "CPU"), ("onnxruntime", "CUDA", "CPU"),
    ("onnxruntime", "TENSORRT", "CPU")])
def test_a_device_that_is_not_here_is_refused_and_those_that_are_get_listed(runtime, device, found):
    here = openvino.list_devices() if runtime == "openvino" else onnxruntime.list_devices()
    if any(device in entry for entry in here):
        pytest.skip(f"this machine has {device}")
    with pytest.raises(UserError, match=f"device {device}: not on this machine, {runtime} finds {found}"):
        check_backend(runtime, {"device": device})


def test_openvino_runs_with_the_options_that_it_was_given():
    network = dense_network(make_convolutions())
    plain, wide = open_one("openvino", network), open_one("openvino", network, threads=2)
    auto = open_one("openvino", network, device="AUTO")
    for backend, threads in ((plain, 1), (wide, 2)):
        compiled = backend._runners[WH]._shared.compiled
        assert compiled.get_property("INFERENCE_NUM_THREADS") == threads
        assert compiled.get_property("ENABLE_CPU_PINNING") is False
        assert compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name() == "f32"
    assert auto.kernels.split(", ")[1] == "CPU"
    np.testing.assert_allclose(compute(auto, look())[0], compute(plain, look())[0], rtol=1e-4, atol=1e-3)
    gpu = openvino._make_settings(DenseOptions("GPU", precision="fp16"), 1)
    assert gpu == {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f16"}


def test_onnx_runtime_runs_with_the_options_that_it_was_given(tmp_path):
    network = dense_network(make_convolutions())
    session = open_one("onnxruntime", network, threads=3)._runners[WH]._shared.session
    options = session.get_session_options()
    assert options.intra_op_num_threads == 3 and session.get_providers() == ["CPUExecutionProvider"]
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    cuda = onnxruntime.make_providers(DenseOptions("CUDA"), "fp32")
    assert cuda == [("CUDAExecutionProvider", {}), ("CPUExecutionProvider", {})]
    (first, settings), *others = onnxruntime.make_providers(
        DenseOptions("TENSORRT", precision="fp16", cache=str(tmp_path)), "int8")
    assert first == "TensorrtExecutionProvider" and [name[:4] for name, _ in others] == ["CUDA", "CPUE"]
    assert settings["trt_engine_cache_path"] == str(tmp_path)
    assert settings["trt_fp16_enable"] == settings["trt_int8_enable"] == "True"


def test_a_compiled_model_is_found_again_in_the_cache(tmp_path):
    folder, network = tmp_path / "models", dense_network(make_convolutions())

    def is_from_cache() -> bool:
        backend: Any = open_backend("openvino", network, WH, "", {"cache": str(folder)})
        compute(backend, look())
        return bool(backend._runners[WH]._shared.compiled.get_property("LOADED_FROM_CACHE"))

    assert [is_from_cache(), is_from_cache()] == [False, True]
    for blob in folder.iterdir():
        blob.write_bytes(blob.read_bytes()[:100])
    assert not is_from_cache()


def test_without_a_cache_nothing_is_written_and_the_users_folder_is_the_default(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    network = dense_network(make_convolutions())
    open_one("openvino", network)
    assert list(tmp_path.iterdir()) == []
    open_backend("openvino", network, WH)
    assert list((tmp_path / "regionmask_ros" / "models").glob("*.blob"))


@each_runtime
def test_a_cache_folder_that_cannot_be_written_is_refused(runtime, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="model_cache .*file/models: cannot be written"):
        check_backend(runtime, {"cache": str(tmp_path / "file" / "models")})


def test_cameras_share_a_compiled_model_that_grows_with_them():
    network = dense_network(make_convolutions())
    backends = [open_one("openvino", network)]
    alone = compute(backends[0], look())
    backends += [open_one("openvino", network) for _ in range(2)]
    other = open_one("openvino", dense_network(network.model))
    shared = {id(backend._runners[WH]._shared) for backend in backends}
    assert len(shared) == 1 and id(other._runners[WH]._shared) not in shared
    compiled = backends[0]._runners[WH]._shared.compiled
    assert compiled.get_property("NUM_STREAMS") == openvino._count_streams(3, DenseOptions())
    assert all(np.array_equal(compute(backend, look())[0], alone[0]) for backend in backends)
    held = weakref.ref(backends[0]._runners[WH]._shared)
    for backend in backends:
        backend.close()
    gc.collect()
    assert held() is None


def test_streams_are_as_many_as_cameras_and_cores_at_most(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)))
    assert [openvino._count_streams(cameras, DenseOptions()) for cameras in (1, 2, 3, 5, 9)] == [1, 2, 4, 6, 6]
    assert openvino._count_streams(9, DenseOptions(threads=3)) == 2
    assert openvino._count_streams(9, DenseOptions(threads=8)) == openvino._count_streams(9, DenseOptions("GPU")) == 1


def test_cameras_share_a_session_whatever_their_sizes():
    network = dense_network(make_convolutions())
    one, other = open_one("onnxruntime", network), open_one("onnxruntime", network, (32, 32))
    assert one._runners[WH]._shared is other._runners[(32, 32)]._shared
    assert open_one("onnxruntime", network, threads=2)._runners[WH]._shared is not one._runners[WH]._shared


MEMORY = """
import gc, sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from dense_networks import dense_network, make_convolutions
from regionmask_ros.backends import open_backend
from regionmask_ros.core.look import Look, LookImage

def resident_mb():
    for backend in backends:
        backend.submit([LookImage(Look((0, 0, 64, 64), (64, 64)), np.zeros((64, 64, 3), np.uint8))], 0)
        backend.poll(0.0)
    gc.collect()
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20

network = dense_network(make_convolutions((1024,) * 9, stride=16))
weights_mb = len(network.model) / 2**20
backends = [open_backend(sys.argv[2], network, (64, 64), "", {"cache": "none"}) for _ in range(2)]
before = resident_mb()
backends += [open_backend(sys.argv[2], network, (64, 64), "", {"cache": "none"}) for _ in range(2)]
print(weights_mb, resident_mb() - before)
"""


@each_runtime
def test_further_cameras_do_not_have_weights_of_their_own(runtime):
    done = run_python("-c", MEMORY, str(Path(__file__).parents[1]), runtime)
    assert done.returncode == 0, done.stderr
    weights_mb, two_more_mb = map(float, done.stdout.split())
    assert weights_mb > 30 and two_more_mb < 0.7 * weights_mb


@each_runtime
def test_cameras_compute_at_the_same_time(runtime):
    network = dense_network(make_convolutions())
    backends = [open_one(runtime, network) for _ in range(3)]
    expected = [compute(backends[0], look(seed=seed))[0] for seed in range(3)]
    found: dict[int, list[bool]] = {}

    def work(index: int) -> None:
        found[index] = [np.array_equal(compute(backends[index], look(seed=index))[0], expected[index])
                        for _ in range(20)]

    threads = [threading.Thread(target=work, args=(index,)) for index in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {index: [True] * 20 for index in range(3)}


@each_runtime
def test_an_opening_that_is_not_wanted_any_more_ends(runtime):
    with pytest.raises(BackendError, match="cancelled"):
        open_backend(runtime, dense_network(make_echo()), WH, "", {"cache": "none"}, lambda: True)


def test_a_wait_ends_with_the_work_its_error_or_a_cancellation():
    go_on = threading.Event()
    assert wait_for(lambda: 7, lambda: False, "cancelled") == 7
    with pytest.raises(ZeroDivisionError):
        wait_for(lambda: 1 // 0, lambda: False, "cancelled")
    with pytest.raises(BackendError, match="cancelled"):
        wait_for(go_on.wait, lambda: True, "cancelled")
    go_on.set()


@each_runtime
def test_integer_rules_and_sigma_delta_networks_are_refused(runtime, tiny_network):
    assert resolve_arithmetic(runtime, "") == ""
    with pytest.raises(UserError, match=f"arithmetic 'carry': the {runtime} backend has no integer rules"):
        resolve_arithmetic(runtime, "carry")
    with pytest.raises(UserError, match="cannot run network tiny; use cpu, lava_sim, loihi2"):
        open_backend(runtime, tiny_network, (64, 64))
    with pytest.raises(UserError, match="cannot run network small; use cpu, openvino, onnxruntime"):
        open_backend("lava_sim", dense_network(make_echo()), (64, 64))
    with pytest.raises(UserError, match="cannot run small: it is not quantized"):
        open_backend("cpu", dense_network(make_echo()), (64, 64))
    assert BACKENDS[runtime].is_dense and not BACKENDS[runtime].counts_synops


SILENT = """
import sys
from regionmask_ros.backends import BACKENDS, check_backend
assert not {"onnx", "onnxruntime", "openvino"} & set(sys.modules)
check_backend("openvino", {"cache": "none"})
assert sys.modules["openvino_telemetry"] is None
from openvino.tools.ovc.telemetry_utils import tm
print(tm.__name__)
"""


def test_runtimes_are_imported_when_they_are_needed_and_report_nothing():
    done = run_python("-c", SILENT)
    assert (done.returncode, done.stdout.strip()) == (0, "openvino.tools.ovc.telemetry_stub"), done.stderr
