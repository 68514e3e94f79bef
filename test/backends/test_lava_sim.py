"""Lava's simulator as a backend, on a small random network: equal to the CPU engine, in order, and sparing of bytes."""

from __future__ import annotations

import os
import signal
import sys
import time

import numpy as np
import pytest

from regionmask_ros.backends import BACKENDS, BackendError, check_backend, open_backend
from regionmask_ros.core.events import Events
from regionmask_ros.core.frame import Frame
from regionmask_ros.encoder.encoder import Encoder
from regionmask_ros.errors import UserError
from regionmask_ros.pipeline.pipeline import Pipeline
from regionmask_ros.pipeline.settings import PipelineSettings

SIZE_WH = (96, 64)
LATENCY = 5
"""Time steps of the small network: its four convolutions and the encoder."""


def events_of(network, frames: int, keep_share: float = 1.0, seed: int = 0) -> list[Events]:
    """What the encoder sends for noise that changes; from frame 1 on only some regions are kept."""
    rng = np.random.default_rng(seed)
    image, seen = rng.integers(0, 256, (64, 96, 3)).astype(np.uint8), []
    for t in range(frames):
        seen.append((image, np.full((4, 6), True) if t == 0 else rng.random((4, 6)) < keep_share))
        image = np.where(rng.random(image.shape) < 0.2, rng.integers(0, 256, image.shape), image).astype(np.uint8)
    return [_last_events(network, seen[:t + 1]) for t in range(frames)]


def _last_events(network, seen: list[tuple[np.ndarray, np.ndarray]]) -> Events:
    """By an encoder of its own, because events are valid only until the encoder's next step."""
    encoder = Encoder(network.input_table, network.encoder_threshold, SIZE_WH)
    for image, keep in seen:
        events = encoder.step(image, keep)
    return events


def polled(backend) -> list:
    results = []
    while (result := backend.poll(0.0)) is not None:
        results.append(result)
    return results


def run(backend, sent: list[Events], drain: bool = True) -> list:
    results = []
    for number, events in enumerate(sent):
        backend.submit(events, number)
        results += polled(backend)
    if drain:
        backend.drain()
    return results + polled(backend)


def assert_equal_results(found: list, expected: list) -> None:
    assert [r.tag for r in found] == [r.tag for r in expected]
    for one, other in zip(found, expected):
        np.testing.assert_array_equal(one.head, other.head)
        assert (one.layer_events, one.synops) == (other.layer_events, other.synops)


@pytest.fixture(scope="module")
def opened(lava_python, tiny_network):
    """A running simulator; tests leave it drained and reset."""
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


def test_stock_convolution_gives_the_same(lava_python, engine, tiny_network):
    sent = events_of(tiny_network, 4, 0.4)
    backend = open_backend("lava_sim", tiny_network, SIZE_WH, "", {"conv": "stock"})
    try:
        assert "stock" in backend.kernels
        assert_equal_results(run(backend, sent), run(engine, sent))
    finally:
        backend.close()


def test_results_come_in_order_and_as_late_as_it_says(opened, tiny_network):
    """A layer works a time step after the one before it: a result needs the frames of all steps but its last one."""
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


def test_draining_changes_nothing_for_the_frames_after_it(simulator, engine, tiny_network):
    sent = events_of(tiny_network, 9)
    found = run(simulator, sent[:4])
    assert len(found) == 4
    simulator.drain()
    for number, events in enumerate(sent[4:], start=4):
        simulator.submit(events, number)
    simulator.drain()
    assert_equal_results(found + polled(simulator), run(engine, sent))


def test_reset_starts_afresh_and_forgets_what_was_inside(simulator, engine, tiny_network):
    sent = events_of(tiny_network, 6)
    run(simulator, sent[:3], drain=False)
    time.sleep(0.3)  # results of the first run are on the wire by now
    simulator.reset()
    assert simulator.poll(0.1) is None
    assert_equal_results(run(simulator, sent), run(engine, sent))


def test_a_held_pixel_is_no_byte_on_the_wire(opened, tiny_network):
    """Five bytes an event and four a frame, so what a mask holds back is not sent at all."""
    costs = {}
    for share in (1.0, 0.4, 0.0):
        sent, before = events_of(tiny_network, 6, share), opened.wire_bytes
        run(opened, sent)
        costs[share] = opened.wire_bytes - before
        assert costs[share] == sum(4 + 5 * len(events) for events in sent)
    assert costs[0.0] == 6 * 4 + 5 * len(events_of(tiny_network, 1)[0])
    assert costs[0.0] < costs[0.4] < costs[1.0]
    assert costs[0.4] - costs[0.0] < 0.75 * (costs[1.0] - costs[0.0])


def test_a_slow_step_is_a_hang(lava_python, tiny_network):
    """A time step that takes longer than it may: of the stock model on a larger input, here."""
    backend = open_backend("lava_sim", tiny_network, (640, 480), "lava", {"conv": "stock", "step_timeout": 0.1})
    encoder = Encoder(tiny_network.input_table, tiny_network.encoder_threshold, (640, 480))
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3)).astype(np.uint8)
    events, start = encoder.step(noise, np.ones((30, 40), bool)), time.monotonic()
    with pytest.raises(BackendError, match="hangs: no time step in 0.1 s"):
        for number in range(30):
            backend.submit(events, number)
            backend.drain()
    assert time.monotonic() - start < 60.0
    backend.close()


def test_what_cannot_be_opened_is_told_in_one_line(tiny_network, tmp_path, monkeypatch):
    monkeypatch.setenv("REGIONMASK_LAVA_PYTHON", "")
    for python, told in (
        (str(tmp_path / "none"), "no interpreter"), ("/bin/false", "has failed"), ("/bin/true", "has failed"),
    ):
        with pytest.raises(UserError, match=told) as caught:
            open_backend("lava_sim", tiny_network, SIZE_WH, "", {"python": python})
        assert "\n" not in str(caught.value)
    missing = tmp_path / "python"
    missing.write_text("#!/bin/sh\nsleep 60\n")
    missing.chmod(0o755)
    start = time.monotonic()
    with pytest.raises(BackendError, match="not ready within 1 s"):
        open_backend("lava_sim", tiny_network, SIZE_WH, "", {"python": str(missing), "open_timeout": 1})
    assert time.monotonic() - start < 30.0


def test_an_interpreter_without_lava_is_told_apart(tiny_network):
    with pytest.raises(BackendError, match="ModuleNotFoundError.*lava"):
        open_backend("lava_sim", tiny_network, SIZE_WH, "", {"python": sys.executable})


def test_the_quick_check_needs_no_process(monkeypatch, tmp_path):
    start = time.monotonic()
    with pytest.raises(UserError, match="make lava"):
        check_backend("lava_sim", {"python": str(tmp_path / "none")})
    with pytest.raises(UserError, match="does not have it; it has"):
        check_backend("lava_sim", {"speed": "fast"})
    check_backend("cpu", {})
    assert time.monotonic() - start < 1.0
    assert BACKENDS["lava_sim"].arithmetics == ("lava",)
    with pytest.raises(UserError, match="computes lava"):
        PipelineSettings(backend="lava_sim", arithmetic="carry")


def frames(count: int, frame_id: str = "camera") -> list[Frame]:
    rng = np.random.default_rng(5)
    return [Frame(rng.integers(0, 256, (64, 96, 3)).astype(np.uint8), "bgr", t + 1, frame_id) for t in range(count)]


def test_the_pipeline_pairs_results_with_their_own_frames(lava_python, tiny_network):
    """Another camera in between: what was inside comes out first, then all starts afresh."""
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


def test_a_pipeline_goes_on_with_a_new_process_after_a_failure(lava_python, tiny_network):
    pipeline, taken = Pipeline(tiny_network, PipelineSettings(backend="lava_sim")), frames(60)
    try:
        pipeline.process(taken[0])
        os.kill(pipeline.backends.current.pid, signal.SIGKILL)
        with pytest.raises(BackendError):
            for frame in taken[1:-1]:
                pipeline.process(frame)
                time.sleep(0.05)
        assert pipeline.process(taken[-1]) == []
        (result,) = pipeline.drain()
        assert result.frame is taken[-1] and result.mask.refresh
    finally:
        pipeline.close()
