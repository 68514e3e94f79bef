"""Which backend a network gets, and which settings make sense for it."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from regionmask_ros.backends import BackendError, choose_backend, choose_fallback, parse_options
from regionmask_ros.backends.runtimes import RUNTIMES
from regionmask_ros.core.option_table import OPTIONS
from regionmask_ros.errors import UserError
from regionmask_ros.importing.opening import open_network
from regionmask_ros.mask.schedule import PresetOverrides
from regionmask_ros.network.dense import DenseNetwork, HeadSpec, Preprocessing
from regionmask_ros.pipeline.settings import PipelineSettings, make_settings

DEFAULTS = {name: option.default for name, option in OPTIONS.items()}
STREET = DenseNetwork("street", b"model", HeadSpec("yolox", 1, ("out",)), ("car",), Preprocessing(), "images")


@pytest.fixture
def installed(monkeypatch):
    """A function that makes all runtimes but some missing. The others are empty modules: they are loaded, not used."""
    class Runtime:
        def disable_telemetry_events(self) -> None: ...

        def set_default_logger_severity(self, level: int) -> None: ...

    def keep(*names: str) -> None:
        for name in RUNTIMES:
            monkeypatch.setitem(sys.modules, name, Runtime() if name in names else None)

    return keep


def refused(call) -> str:
    with pytest.raises(UserError) as error:
        call()
    assert "\n" not in str(error.value)
    return str(error.value)


def test_auto_is_the_first_runtime_for_onnx_and_cpu_for_others(installed, tiny_network):
    for names, chosen in ((RUNTIMES, "openvino"), (("onnxruntime",), "onnxruntime")):
        installed(*names)
        assert choose_backend("auto", STREET) == chosen == PipelineSettings().for_network(STREET).backend
    installed()
    with pytest.raises(BackendError, match="neither openvino nor onnxruntime is installed; run 'make runtimes'"):
        choose_backend("auto", STREET)
    settings = PipelineSettings().for_network(tiny_network)
    assert (settings.backend, settings.arithmetic, settings.thresholds) == ("cpu", "carry", "trained")


def test_auto_is_the_tile_engine_where_it_detects_what_the_network_does(installed, monkeypatch):
    installed(*RUNTIMES)
    monkeypatch.setattr("regionmask_ros.backends.list_kernel_sets", lambda: ["portable"])
    for agreement, chosen in ((99.0, "cpu"), (98.0, "cpu"), (97.9, "openvino"), (None, "openvino")):
        network = replace(STREET, tiles=b"quantized", tiles_agreement=agreement)
        assert choose_backend("auto", network) == chosen
        assert PipelineSettings().for_network(network).runs_tiles == (chosen == "cpu")
    agreeing = replace(STREET, tiles=b"quantized", tiles_agreement=99.0)
    assert choose_fallback("auto", "cpu", agreeing) == "openvino"
    # The rule in NumPy is far too slow for a camera.
    monkeypatch.setattr("regionmask_ros.backends.list_kernel_sets", list)
    assert choose_backend("auto", agreeing) == "openvino"
    installed()
    assert choose_backend("auto", agreeing) == "cpu"


def test_the_fallback_is_the_other_runtime(installed, tiny_network):
    installed(*RUNTIMES)
    assert choose_fallback("auto", "openvino", STREET) == "onnxruntime"
    assert choose_fallback("auto", "onnxruntime", STREET) == "openvino"
    assert choose_fallback("none", "openvino", STREET) == choose_fallback("none", "loihi2", tiny_network) == ""
    assert choose_fallback("auto", "lava_sim", tiny_network) == choose_fallback("cpu", "loihi2", tiny_network) == "cpu"
    installed("openvino")
    assert choose_fallback("auto", "openvino", STREET) == ""
    assert refused(lambda: choose_fallback("cpu", "openvino", STREET)) == (
        "fallback cpu: cannot run street, which is an ONNX network; use auto or none")


@pytest.mark.parametrize("backend", ["lava_sim", "loihi2"])
def test_sigma_delta_backends_refuse_onnx_networks(backend):
    assert refused(lambda: PipelineSettings(backend=backend).for_network(STREET)) == (
        f"backend {backend}: cannot run street, which is a dense network; use auto, cpu, openvino or onnxruntime, or "
        "start with the network yolo_kp")


@pytest.mark.parametrize("backend", ["lava_sim", "loihi2"])
def test_they_name_the_operators_that_they_lack(backend):
    packaged = open_network("street")
    assert refused(lambda: PipelineSettings(backend=backend).for_network(packaged)) == (
        f"backend {backend}: cannot run street, which is a dense network with what Lava lacks (concatenation, max "
        "pooling, upsampling); use auto, cpu, openvino or onnxruntime, or start with the network yolo_kp")


@pytest.mark.parametrize("backend", RUNTIMES)
def test_dense_backends_refuse_sigma_delta_networks(backend, tiny_network):
    assert refused(lambda: PipelineSettings(backend=backend).for_network(tiny_network)) == (
        f"backend {backend}: cannot run tiny, which is a sigma-delta network; use auto, cpu, lava_sim or loihi2")


@pytest.mark.parametrize("backend", ["auto", "openvino"])
@pytest.mark.parametrize("given", [{"arithmetic": "snap"}, {"thresholds": "trained"}, {"thresholds": "tuned"}])
def test_what_is_about_neurons_is_refused(installed, backend, given):
    installed(*RUNTIMES)
    ((name, value),) = given.items()
    assert refused(lambda: PipelineSettings(backend=backend, **given).for_network(STREET)).startswith(
        f"{name} {value}: not for ONNX networks")


@pytest.mark.parametrize("given", [{"schedule_form": "burst"}, {"schedule_form": "rolling"}, {"tiles": "3x2"}])
def test_what_is_about_tiles_is_refused_for_others(tiny_network, given):
    settings = PipelineSettings(preset="fast", **given)
    assert "for ONNX networks only; tiny is a sigma-delta network" in refused(
        lambda: settings.for_network(tiny_network))


@pytest.mark.parametrize("tiles", ["3", "x", "0x1", "1x0", "9x1", "3x2x1", "-1x2", "3X2", "3x2 ", "٣x٢", "a" * 10_000])
def test_tiles_that_are_no_tiles_are_refused(tiles):
    assert "write auto, or columns x rows such as 3x2" in refused(lambda: PipelineSettings(tiles=tiles))


def test_options_of_the_runtime_reach_it_also_from_auto(installed, tiny_network):
    installed(*RUNTIMES)
    values = {**DEFAULTS, "device": "GPU", "threads": 4, "precision": "fp16", "model_cache": "none"}
    settings = make_settings(values)
    expected = {"device": "GPU", "threads": 4, "precision": "fp16", "cache": "none"}
    assert dict(settings.for_network(STREET).backend_options) == expected
    assert dict(make_settings({**values, "backend": "onnxruntime"}).for_network(STREET).backend_options) == expected
    assert not settings.for_network(tiny_network).backend_options
    assert "set the option backend" in refused(lambda: parse_options("auto", {"conv": "gemm"}))


def test_settings_of_a_network_are_settled(installed, tiny_network):
    installed(*RUNTIMES)
    for network in (STREET, tiny_network):
        for given in ({}, {"preset": "fast"}, {"preset": "careful", "target_masked": 0.8},
                      {"preset": "fast", "overrides": PresetOverrides(refresh_period=5)}):
            settings = PipelineSettings(**given).for_network(network)
            assert settings.for_network(network) == settings and settings.backend != "auto"
            assert settings.is_dense == (network is STREET)
            assert (settings.schedule is None) == (network is STREET or "preset" not in given)


def test_a_target_that_is_out_of_reach_is_refused_once_the_backend_is_known(installed, tiny_network):
    """A preset of an ONNX network runs more rarely instead."""
    installed(*RUNTIMES)
    wanted = {"target_masked": 0.95}
    assert "out of reach" in refused(lambda: PipelineSettings(mask="dynamic", **wanted).for_network(tiny_network))
    assert "out of reach" in refused(lambda: PipelineSettings(mask="dynamic", **wanted).for_network(STREET))
    assert PipelineSettings(preset="fast", **wanted).for_network(STREET).target_masked == 0.95
