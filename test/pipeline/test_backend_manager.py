"""Backends that open beside the current one, are cancelled, fail to open, and take over."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from moving_square import moving_square

from regionmask_ros.backends import Backend, BackendError, open_backend
from regionmask_ros.pipeline.backend_manager import BackendManager
from regionmask_ros.pipeline.pipeline import Pipeline
from regionmask_ros.pipeline.settings import PipelineSettings

SIZE_WH = (96, 64)
CARRY, LAVA, SNAP = (PipelineSettings(backend="cpu", arithmetic=name) for name in ("carry", "lava", "snap"))
HANG_S = 60.0


class SlowOpening:
    """Opens cpu backends; one in Lava's arithmetic waits until it is released or cancelled."""

    def __init__(self) -> None:
        self.release, self.opened, self.closed = threading.Event(), [], []

    def __call__(self, name: str, network: Any, input_wh: Any, arithmetic: str, options: Any,
                 is_cancelled: Callable[[], bool]) -> Backend:
        while arithmetic == "lava" and not self.release.wait(0.01):
            if is_cancelled():
                raise BackendError("cancelled")
        backend = open_backend(name, network, input_wh, arithmetic, options)
        close = backend.close
        backend.close = lambda: (self.closed.append(arithmetic), close())
        self.opened.append(arithmetic)
        return backend


class Changes:
    """Counts the manager's calls, so that a test can wait for the next one."""

    def __init__(self, manager: BackendManager) -> None:
        self._calls = threading.Semaphore(0)
        manager.on_change = self._calls.release

    def wait_for(self, condition: Callable[[], bool]) -> None:
        while not condition():
            assert self._calls.acquire(timeout=HANG_S)


@pytest.fixture
def opening():
    return SlowOpening()


@pytest.fixture
def manager(tiny_network, opening):
    manager = BackendManager(tiny_network, CARRY, opening)
    yield manager
    opening.release.set()
    manager.close()


def lines(manager: BackendManager) -> list[str]:
    return [event.line for event in manager.poll()]


def test_requested_backend_opens_beside_the_current_one(manager, opening):
    changes, current = Changes(manager), manager.ensure_open(SIZE_WH)
    manager.request(LAVA, SIZE_WH, {"arithmetic": "lava"})
    assert manager.opening == "cpu" and not manager.is_ready and manager.take_opened() is None
    assert manager.current is current and not manager.is_new(LAVA) and manager.is_new(CARRY)
    opening.release.set()
    changes.wait_for(lambda: manager.is_ready)
    settings, input_wh, backend = manager.take_opened()
    manager.exchange(settings, input_wh, backend)
    assert manager.current is backend and manager.ensure_open(SIZE_WH) is backend and not manager.opening
    assert settings == LAVA and manager.parameters == {"arithmetic": "lava"}
    first, second = lines(manager)
    assert first == "backend cpu: opening beside cpu" and second.startswith("backend cpu: in use from now on")
    manager.close()
    assert opening.opened == ["carry", "lava"] and sorted(opening.closed) == ["carry", "lava"]


def test_last_request_wins(manager, opening):
    changes = Changes(manager)
    manager.request(LAVA, SIZE_WH, {"number": 1})
    manager.request(SNAP, SIZE_WH, {"number": 2})
    manager.request(SNAP, SIZE_WH, {"number": 3})
    changes.wait_for(lambda: manager.is_ready)
    settings, _, backend = manager.take_opened()
    backend.close()
    assert settings == SNAP and manager.parameters == {"number": 3} and opening.opened == ["snap"]
    assert "backend cpu: cancelled before it was in use" in lines(manager)


def test_request_for_the_current_backend_cancels_one_that_is_ready(manager, opening):
    changes = Changes(manager)
    manager.request(SNAP, SIZE_WH, {})
    changes.wait_for(lambda: manager.is_ready)
    manager.request(replace(CARRY, score_threshold=0.7), SIZE_WH, {"number": 2})
    assert manager.take_opened() is None and manager.parameters == {"number": 2}
    manager.close()
    assert opening.closed == ["snap"]


def test_failed_opening_leaves_the_current_backend(tiny_network):
    def refuse(*arguments: Any) -> Backend:
        raise BackendError("no board")

    now = [0.0]
    manager = BackendManager(tiny_network, CARRY, refuse, lambda: now[0])
    changes = Changes(manager)
    manager.request(LAVA, SIZE_WH, {"arithmetic": "lava"})
    changes.wait_for(lambda: not manager.opening)
    line = "backend cpu could not be opened, cpu stays: no board"
    assert manager.notice.line == line and not manager.notice.is_error and lines(manager)[-1] == line
    assert manager.parameters == {} and manager.is_new(LAVA)
    now[0] = 60.0
    assert not manager.notice and manager.last_notice.line == line


def test_cancelled_manager_does_not_wait_for_an_opening(tiny_network, opening):
    manager = BackendManager(tiny_network, LAVA, opening)
    manager.cancelled.set()
    with pytest.raises(BackendError, match="cancelled"):
        manager.ensure_open(SIZE_WH)
    assert manager.current is None


def test_fallback_takes_over_after_the_second_failure(manager):
    assert manager.fail("it hangs", PipelineSettings(backend="lava_sim")) is None
    assert manager.fail("it hangs", LAVA) is None, "the fallback is the backend that fails"
    assert manager.refuses_frames and manager.notice.is_error
    manager.clear_failures()
    manager.fail("it hangs", None)
    assert manager.fail("it hangs", replace(CARRY, backend="lava_sim", arithmetic="")).backend == "lava_sim"
    assert [event.is_warning for event in manager.poll()] == [True] * 4


def test_pipeline_adopts_the_backend_that_was_opened(tiny_network):
    pipeline, frames = Pipeline(tiny_network, CARRY), moving_square(3, SIZE_WH)
    changes = Changes(pipeline.backends)
    pipeline.process(frames[0])
    pipeline.backends.request(SNAP, SIZE_WH, {})
    changes.wait_for(lambda: pipeline.backends.is_ready)
    pipeline.process(frames[1])
    pipeline.adopt_opened()
    (result,) = pipeline.process(frames[2])
    assert result.mask.refresh and pipeline.settings == SNAP and pipeline.resets == 1
    pipeline.adopt_opened()
    assert pipeline.resets == 1
    pipeline.close()
