"""The backend lava_sim on a small random network: equal to the CPU engine, in order, and with few bytes sent."""

from __future__ import annotations

import os
import signal
import sys

import numpy as np
import pytest
from leftovers import wait_for_exit

from regionmask_ros.backends import BACKENDS, BackendError, check_backend, open_backend
from regionmask_ros.core.events import Events
from regionmask_ros.core.frame import Frame
from regionmask_ros.encoder.encoder import Encoder
from regionmask_ros.errors import UserError
from regionmask_ros.pipeline.pipeline import Pipeline
from regionmask_ros.pipeline.settings import PipelineSettings

SIZE_WH = (96, 64)
LATENCY = 5
"""Time steps of the small network: one for each of its four convolutions, and one for the encoder."""


def events_of(network, frames: int, keep_share: float = 1.0, seed: int = 0) -> list[Events]:
    """The events of changing noise. From frame 1 on, this share of the regions is kept."""
    rng = np.random.default_rng(seed)
    image, inputs = rng.integers(0, 256, (64, 96, 3)).astype(np.uint8), []
    for t in range(frames):
        inputs.append((image, np.full((4, 6), True) if t == 0 else rng.random((4, 6)) < keep_share))
        image = np.where(rng.random(image.shape) < 0.2, rng.integers(0, 256, image.shape), image).astype(np.uint8)
    return [_last_events(network, inputs[:t + 1]) for t in range(frames)]


def _last_events(network, inputs: list[tuple[np.ndarray, np.ndarray]]) -> Events:
    """From a new encoder, because events are valid only until the encoder's next step."""
    encoder = Encoder(network.input_table, network.encoder_threshold, SIZE_WH)
    for image, keep in inputs:
        events = encoder.step(image, keep)
    return events


def polled(backend) -> list:
    results = []
    while (result := backend.poll(0.0)) is not None:
        results.append(result)
    return results


def run(backend, sent: list[Events]) -> list:
    results = []
    for number, events in enumerate(sent):
        backend.submit(events, number)
        results += polled(backend)
    backend.drain()
    return results + polled(backend)


def assert_equal_results(found: list, expected: list) -> None:
    assert [r.tag for r in found] == [r.tag for r in expected]
    for result, wanted in zip(found, expected):
        np.testing.assert_array_equal(result.head, wanted.head)
        assert (result.layer_events, result.synops) == (wanted.layer_events, wanted.synops)


@pytest.fixture(scope="module")
def opened(lava_python, tiny_network):
    """A running simulator. Tests leave it without frames inside."""
    backend = open_backend("lava_sim", tiny_network, SIZE_WH, "lava")
    yield backend
    backend.close()


@pytest.fixture
def simulator(opened):
    opened.reset()
    return opened


@pytest.fixture
def engine(tiny_network):
    return open_backend("cpu", tiny_network, SIZE_WH, "lava")


@pytest.mark.parametrize("keep_share", [1.0, 0.4], ids=["unmasked", "masked"])
def test_heads_and_counts_equal_the_cpu_engine(simulator, engine, tiny_network, keep_share):
    sent = events_of(tiny_network, 12, keep_share)
    assert_equal_results(run(simulator, sent), run(engine, sent))


def test_the_stock_convolution_gives_the_same_integers(lava_python, engine, tiny_network):
    sent = events_of(tiny_network, 4, 0.4)
    backend = open_backend("lava_sim", tiny_network, SIZE_WH, "", {"conv": "stock"})
    try:
        assert "stock" in backend.kernels
        assert_equal_results(run(backend, sent), run(engine, sent))
    finally:
        backend.close()


@pytest.mark.parametrize("fixture, conv, count", [
    ("exponents_network", "gemm", 8), ("groups_network", "gemm", 8), ("groups_network", "stock", 3),
])
def test_layers_with_exponents_of_their_own_or_with_groups_equal_the_cpu_engine(lava_python, request, fixture, conv,
                                                                                count):
    network = request.getfixturevalue(fixture)
    sent, reference = events_of(network, count, 0.4), open_backend("cpu", network, SIZE_WH, "lava")
    backend = open_backend("lava_sim", network, SIZE_WH, "lava", {"conv": conv})
    try:
        assert_equal_results(run(backend, sent), run(reference, sent))
    finally:
        backend.close()


def test_results_come_in_order_with_the_declared_latency(opened, tiny_network):
    """A layer works one time step after the layer before it. A result needs the frames of all steps but the last."""
    sent = events_of(tiny_network, LATENCY + 3)
    assert opened.latency_steps == LATENCY
    for number, events in enumerate(sent[:LATENCY - 1]):
        opened.submit(events, number)
    assert opened.poll(0.3) is None
    for number, events in enumerate(sent[LATENCY - 1:], start=LATENCY - 1):
        opened.submit(events, number)
        assert opened.poll(30.0).tag == number - (LATENCY - 1)
    opened.drain()
    assert len(polled(opened)) == LATENCY - 1


def test_draining_does_not_change_later_frames(simulator, engine, tiny_network):
    sent = events_of(tiny_network, 9)
    found = run(simulator, sent[:4])
    assert len(found) == 4
    simulator.drain()
    for number, events in enumerate(sent[4:], start=4):
        simulator.submit(events, number)
    simulator.drain()
    assert_equal_results(found + polled(simulator), run(engine, sent))


def test_reset_restores_the_initial_state_and_discards_frames(simulator, engine, tiny_network):
    sent = events_of(tiny_network, LATENCY + 3)
    for number, events in enumerate(sent):
        simulator.submit(events, number)
    assert simulator.poll(30.0).tag == 0, "later frames are inside or have results by now"
    simulator.reset()
    assert simulator.poll(0.0) is None
    assert_equal_results(run(simulator, sent), run(engine, sent))


def test_nothing_is_sent_for_a_masked_pixel(opened, tiny_network):
    """Each event takes five bytes and each frame four."""
    costs = {}
    for share in (1.0, 0.4, 0.0):
        sent, before = events_of(tiny_network, 6, share), opened.wire_bytes
        run(opened, sent)
        costs[share] = opened.wire_bytes - before
        assert costs[share] == sum(4 + 5 * len(events) for events in sent)
    assert costs[0.0] == 6 * 4 + 5 * len(events_of(tiny_network, 1)[0])
    assert costs[0.0] < costs[0.4] < costs[1.0]
    assert costs[0.4] - costs[0.0] < 0.75 * (costs[1.0] - costs[0.0])


def test_a_time_step_longer_than_the_limit_counts_as_hung(lava_python, tiny_network):
    """The stock convolution on a larger input takes longer than the limit."""
    backend = open_backend("lava_sim", tiny_network, (640, 480), "lava", {"conv": "stock", "step_timeout": 0.1})
    encoder = Encoder(tiny_network.input_table, tiny_network.encoder_threshold, (640, 480))
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3)).astype(np.uint8)
    events = encoder.step(noise, np.ones((30, 40), bool))
    with pytest.raises(BackendError, match="hangs: no time step in 0.1 s"):
        for number in range(30):
            backend.submit(events, number)
            backend.drain()
    backend.close()


def test_an_error_while_opening_is_one_line(tiny_network, tmp_path, monkeypatch):
    monkeypatch.setenv("REGIONMASK_LAVA_PYTHON", "")
    for python, reason in (
        (str(tmp_path / "none"), "no interpreter"), ("/bin/false", "has failed"), ("/bin/true", "has failed"),
    ):
        with pytest.raises(UserError, match=reason) as caught:
            open_backend("lava_sim", tiny_network, SIZE_WH, "", {"python": python})
        assert "\n" not in str(caught.value)
    silent = tmp_path / "python"
    silent.write_text("#!/bin/sh\nexec sleep 60\n")
    silent.chmod(0o755)
    with pytest.raises(BackendError, match="not ready within 1 s"):
        open_backend("lava_sim", tiny_network, SIZE_WH, "", {"python": str(silent), "open_timeout": 1})


def test_a_missing_lava_is_named_in_the_error(tiny_network):
    with pytest.raises(BackendError, match="ModuleNotFoundError.*lava"):
        open_backend("lava_sim", tiny_network, SIZE_WH, "", {"python": sys.executable})


def test_the_check_starts_no_process(monkeypatch, tmp_path):
    monkeypatch.setattr("subprocess.Popen", None)
    with pytest.raises(UserError, match="make lava"):
        check_backend("lava_sim", {"python": str(tmp_path / "none")})
    with pytest.raises(UserError, match="does not have it; it has"):
        check_backend("lava_sim", {"speed": "fast"})
    check_backend("cpu", {})


def test_lava_sim_computes_arithmetic_lava_only():
    assert BACKENDS["lava_sim"].supported_arithmetic == ("lava",)
    with pytest.raises(UserError, match="computes lava"):
        PipelineSettings(backend="lava_sim", arithmetic="carry")


def frames(count: int, frame_id: str = "camera") -> list[Frame]:
    rng = np.random.default_rng(5)
    return [Frame(rng.integers(0, 256, (64, 96, 3)).astype(np.uint8), "bgr", t + 1, frame_id) for t in range(count)]


def test_the_pipeline_assigns_results_to_their_own_frames(lava_python, tiny_network):
    """Before the first frame of another camera, all results of the former one come out, and the state is reset."""
    settings = PipelineSettings(backend="lava_sim", mask="dynamic", refresh_period=4, score_threshold=0.2)
    taken, results = [*frames(8), *frames(7, "other")], []
    pipeline = Pipeline(tiny_network, settings)
    try:
        for frame in taken:
            results += pipeline.process(frame)
        assert pipeline.latency_steps == LATENCY and pipeline.settings.arithmetic == "lava"
        assert len(results) < len(taken)
        results += pipeline.drain()
    finally:
        pipeline.close()
    assert [r.frame for r in results] == taken and [r.index for r in results] == list(range(15))
    np.testing.assert_array_equal(results[0].head, results[8].head)
    assert results[8].mask.refresh


def test_a_pipeline_continues_with_a_new_worker_after_a_failure(lava_python, tiny_network):
    pipeline, taken = Pipeline(tiny_network, PipelineSettings(backend="lava_sim")), frames(3)
    try:
        pipeline.process(taken[0])
        pid = pipeline.backends.current.pid
        os.kill(pid, signal.SIGKILL)
        wait_for_exit(pid)
        with pytest.raises(BackendError):
            pipeline.process(taken[1])
        assert pipeline.process(taken[-1]) == []
        (result,) = pipeline.drain()
        assert result.frame is taken[-1] and result.mask.refresh
    finally:
        pipeline.close()
