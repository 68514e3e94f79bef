"""Whatever happens to a camera with a dense network, its results hold together; backends that fail are opened anew."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regionmask_ros.backends.runtimes import RUNTIMES
from regionmask_ros.core.frame import Frame
from regionmask_ros.errors import UserError
from regionmask_ros.mask.tiling import make_tiling

for package in ("onnx", *RUNTIMES):
    pytest.importorskip(package, reason=f"no {package}: `make runtimes` brings it")

from dense_camera import block_frames, dense_pipeline, dense_settings  # noqa: E402
from dense_networks import block_network  # noqa: E402
from moving_square import play  # noqa: E402

from regionmask_ros.backends import BackendError  # noqa: E402

NETWORK = block_network()
SIZES = ((192, 128), (96, 64), (130, 200), (40, 30))
CHOICES = (
    {}, {"preset": "careful"}, {"preset": "balanced", "guard": 0.8}, {"preset": "fast", "schedule_form": "rolling"},
    {"preset": "balanced", "schedule_form": "rolling", "tiles": "3x1"}, {"mask": "dynamic", "refresh_period": 4},
    {"mask": "adaptive", "refresh_period": 3}, {"preset": "fast", "mask": "adaptive"},
    {"preset": "careful", "target_masked": 0.8}, {"mask": "dynamic", "target_masked": 0.6, "max_detections": 1},
    {"mask": "dynamic", "dynamic": "mgnet", "refresh_period": 5}, {"preset": "fast", "classes": ("disc",)},
)
EVENTS = st.one_of(
    st.just(("frame", None)), st.just(("frame", None)), st.just(("frame", None)),
    st.tuples(st.just("size"), st.sampled_from(SIZES)), st.tuples(st.just("settings"), st.sampled_from(CHOICES)),
    st.tuples(st.just("runtime"), st.sampled_from(RUNTIMES)), st.tuples(st.just("attend"), st.integers(0, 2)),
    st.sampled_from((("reset", None), ("refresh", None), ("past", None), ("other camera", None))))


@settings(max_examples=8)
@given(st.sampled_from(CHOICES), st.lists(EVENTS, min_size=5, max_size=25), st.integers(0, 2**32 - 1))
def test_results_hold_together(first, events, seed):
    rng = np.random.default_rng(seed)
    pipeline, noted = dense_pipeline(NETWORK, **first)
    size_wh, stamp_ns, camera, ages = SIZES[0], 1000, "camera", None
    for index, (name, value) in enumerate([*events, ("frame", None), ("frame", None)]):
        if name == "size":
            size_wh = value
        elif name == "settings":
            pipeline.reconfigure(dense_settings(pipeline.settings.backend, **value))
        elif name == "runtime":
            pipeline.take_over(replace(pipeline.settings, backend=value))
        elif name == "attend":
            corner = rng.uniform(-20, 150, (value, 2))
            pipeline.attend(np.hstack([corner, corner + rng.uniform(1, 200, (value, 2))]))
        elif name in ("reset", "refresh"):
            getattr(pipeline, name)()
        elif name == "other camera":
            camera += "'"
        stamp_ns += -1 if name == "past" else 1
        pixels = rng.integers(0, 120, (*size_wh[::-1], 3)).astype(np.uint8)
        x, y = (int(rng.integers(0, max(side - 40, 1))) for side in size_wh)
        pixels[y:y + 40, x:x + 40] = 250
        frame = Frame(pixels, "bgr", stamp_ns, camera)
        announced = pipeline.frames_to_refresh
        (result,) = pipeline.process(frame)
        assert result.frame is frame and result.index == index and len(noted.looks) == index + 1
        ages = check(result, noted.looks[-1], pipeline, ages)
        assert announced != 0 or result.mask.refresh
        if name in ("reset", "refresh", "past", "other camera"):
            assert result.mask.refresh and result.mask.keep.all()
    pipeline.close()


def check(result, looks, pipeline, ages: np.ndarray | None) -> np.ndarray:
    """Asserts what holds for every result; returns the ages of its regions."""
    keep, found, size_wh = result.mask.keep, result.detections, result.frame.size_wh
    assert keep.shape == pipeline.grid.shape and (not result.mask.refresh or keep.all())
    assert bool(looks) == bool(keep.any()), "something runs where something is observed, and only there"
    tiling = make_tiling(size_wh, pipeline.input_size, pipeline.grid, (1, 1), 32)
    shown = np.zeros_like(keep)
    for look in looks:
        shown |= tiling.regions_of(look)
    assert shown[keep].all(), "what counts as observed was looked at"
    if ages is not None and ages.shape == keep.shape:
        np.testing.assert_array_equal(result.age, np.where(keep, 0, np.minimum(ages.astype(int) + 1, 65_535)))
    assert np.isfinite(found.boxes).all() and (found.boxes >= 0).all() and (found.boxes <= size_wh * 2).all()
    assert (found.boxes[:, 2:] >= found.boxes[:, :2]).all() and (np.diff(found.scores) <= 0).all()
    assert ((found.scores > 0.0) & (found.scores <= 1.0)).all() and (found.scores >= 0.3 - 1e-6).all()
    masked = bool(pipeline.settings.active_sources)
    assert not masked or len(set(found.track_ids.tolist())) == len(found)
    assert looks or found.resting.all(), "nothing ran: all boxes are predicted ones"
    most, classes = pipeline.settings.max_detections, pipeline.settings.classes
    assert (not most or len(found) <= most) and (not classes or not len(found)), "all blocks are squares"
    assert result.counts is None and set(result.ms) >= {"total", "mask", "resize", "engine", "decode"}
    return result.age


def test_a_backend_that_fails_is_opened_anew_and_starts_from_the_beginning():
    pipeline, noted = dense_pipeline(NETWORK, preset="fast")
    frames = block_frames(8)
    play(pipeline, frames[:2])

    def fail(images, tag) -> None:
        raise BackendError("the device is gone")

    pipeline.backends.current.submit = fail
    with pytest.raises(BackendError, match="gone"):
        pipeline.process(frames[2])
    assert pipeline.backends.current is None
    results = play(pipeline, frames[3:5])
    assert [result.mask.refresh for result in results] == [True, False] and noted.counts == [1, 0, 1, 0]
    assert [len(result.detections) for result in results] == [1, 1] and pipeline.resets == 1
    assert len(noted.opened) == 2


def test_a_backend_that_opens_beside_is_ready_for_all_inputs():
    pipeline, noted = dense_pipeline(NETWORK, "openvino", preset="fast")
    frames = block_frames(4)
    play(pipeline, frames[:2])
    used, ready = set(noted.prepared), threading.Event()
    pipeline.backends.on_change = lambda: pipeline.backends.is_ready and ready.set()
    pipeline.backends.request(replace(pipeline.settings, backend="onnxruntime"), pipeline.input_size, {})
    assert ready.wait(60.0) and pipeline.settings.backend == "openvino"
    pipeline.adopt_opened()
    assert set(pipeline.backends.current.shapes) == used and len(used) == 2
    results = play(pipeline, frames[2:])
    assert pipeline.kernels.startswith("onnxruntime") and [len(result.detections) for result in results] == [1, 1]
    pipeline.close()


def test_an_input_that_the_network_refuses_is_one_line():
    """The network of the file takes no input of this size after all."""
    broken = replace(NETWORK, fixed_wh=(96, 64), model=NETWORK.model[:200])
    pipeline, _ = dense_pipeline(broken)
    with pytest.raises(BackendError, match="cannot run network blocks with an input of 96x64") as error:
        pipeline.process(block_frames(1)[0])
    assert "\n" not in str(error.value)


def test_outputs_that_do_not_fit_the_head_are_one_line():
    """Its strides do not divide this input."""
    pipeline, _ = dense_pipeline(replace(NETWORK, fixed_wh=(304, 304)))
    with pytest.raises(UserError, match="outputs do not fit its head, YOLOX: outputs of shape") as error:
        pipeline.process(block_frames(1)[0])
    assert "\n" not in str(error.value)
