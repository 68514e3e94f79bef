"""Another backend while the node runs, and backends that die or hang, with Lava's simulator."""

from __future__ import annotations

import os
import signal
import threading

import numpy as np
import pytest
from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import GetParameters, SetParametersAtomically
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rig import FRAME_NS, START_NS, Peer, call, call_service, header, make_image, message, watch
from sensor_msgs.msg import Image

from regionmask_ros.core.frame import Frame
from regionmask_ros.pipeline.pipeline import Pipeline
from regionmask_ros.pipeline.settings import PipelineSettings
from regionmask_ros.ros.publishers import IMAGES, image_message

WARN, ERROR = b"\x01", b"\x02"


class Film:
    """Context manager that publishes images with growing stamps."""

    def __init__(self, peer: Peer, period_s: float = 0.05) -> None:
        self._peer, self._period_s, self.sent = peer, period_s, 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._play)

    def _play(self) -> None:
        while not self._over.wait(self._period_s):
            self._peer.camera.publish(image_message(make_image(self.sent % 20), "bgr8", header(self.sent)))
            self.sent += 1

    def __enter__(self) -> Film:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._thread.join()


@pytest.fixture
def ask(wait_for):
    """Functions that set parameters over ROS, as one set, and get one."""

    class Asked:
        def set(self, peer: Peer, **values: object):
            wanted = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
            return call_service(
                peer, wait_for, SetParametersAtomically, "set_parameters_atomically", parameters=wanted).result

        def get(self, peer: Peer, name: str) -> str:
            (value,) = call_service(peer, wait_for, GetParameters, "get_parameters", names=[name]).values
            assert value.type == ParameterType.PARAMETER_STRING
            return value.string_value

    return Asked()


def running(node) -> str:
    return node._configured.pipeline.settings.backend


def child(node) -> int:
    return node._configured.pipeline.backends.current.pid


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def goes_on(peer: Peer, wait_for) -> None:
    """Waits for new results."""
    before = len(peer.heard["detections"])
    wait_for(lambda: len(peer.heard["detections"]) > before + 2)


def level(peer: Peer) -> bytes:
    return peer.heard["/diagnostics"][-1].status[0].level


def stamps(peer: Peer) -> list[int]:
    heard = peer.heard["detections"]
    return [(m.header.stamp.sec * 10**9 + m.header.stamp.nanosec - START_NS) // FRAME_NS for m in heard]


def hanging_interpreter(path, lava_python: str = "/bin/false") -> str:
    """An interpreter that never answers while there is a file ``hang`` beside it, as there is now, and else is Lava's.

    It notes that it hangs by a file ``hangs``.
    """
    path.with_name("hang").touch()
    hang = f"test -e {path.parent}/hang && touch {path.parent}/hangs && exec sleep 600"
    path.write_text(f'#!/bin/sh\n{hang}\nexec {lava_python} "$@"\n')
    path.chmod(0o755)
    return str(path)


def test_change_to_lava_and_back_loses_no_accepted_image(rig, wait_for, ask, lava_python, tiny_network):
    node, peer = rig(mask_mode="none", score_threshold=0.2, lava_python=lava_python)
    watch(peer, wait_for, node, {"/mask": Image}, IMAGES)
    with Film(peer):
        goes_on(peer, wait_for)
        assert ask.set(peer, backend="lava_sim").successful
        assert ask.get(peer, "backend") == "lava_sim" and running(node) == "cpu"
        wait_for(lambda: peer.values().get("backend that is being opened") == "lava_sim")
        goes_on(peer, wait_for)
        wait_for(lambda: running(node) == "lava_sim")
        goes_on(peer, wait_for)
        wait_for(lambda: [peer.values().get(key) for key in ("backend", "arithmetic")] == ["lava_sim", "lava"])
        assert peer.values()["backend that is being opened"] == "" and peer.values()["fresh starts"] == "1"
        leader = child(node)
        assert ask.set(peer, backend="cpu").successful
        wait_for(lambda: running(node) == "cpu")
        wait_for(lambda: gone(leader))
        goes_on(peer, wait_for)
        assert ask.get(peer, "backend") == "cpu"
    counts = wait_for(lambda: (c := node._configured.frame_stats.counts) and not c.in_flight and c)
    assert counts.broken == 0 and counts.received == counts.answered + counts.overwritten
    wait_for(lambda: len(peer.heard["detections"]) == counts.answered)
    assert stamps(peer) == sorted(set(stamps(peer))), "each with its own header, in order"
    assert node._configured.pipeline.resets == 2


def test_new_backend_starts_with_a_refresh_frame(rig, wait_for, ask, lava_python, tiny_network, half_mask):
    """Its results are those of the CPU engine in the same arithmetic from the same image on."""
    masks = {"static_mask": half_mask, "refresh_period": 0, "score_threshold": 0.2}
    node, peer = rig(mask_mode="static", lava_python=lava_python, **masks)
    watch(peer, wait_for, node, {"/mask": Image}, IMAGES)
    for index in range(3):
        peer.camera.publish(message(index))
        wait_for(lambda: len(peer.heard["/mask"]) == index + 1)
    assert ask.set(peer, backend="lava_sim").successful
    wait_for(lambda: running(node) == "lava_sim")
    for index in range(3, 7):
        peer.camera.publish(message(index))
        wait_for(lambda: node._configured.frame_stats.counts.received == index + 1)
        wait_for(lambda: node._active.worker._slot.is_empty)
    wait_for(lambda: len(peer.heard["/mask"]) == 7)  # no more images come, and still all have results
    assert [min(m.data) for m in peer.heard["/mask"]] == [255, 0, 0, 255, 0, 0, 0] and stamps(peer) == list(range(7))
    reference = Pipeline(tiny_network, PipelineSettings(mask="static", arithmetic="lava", **masks))
    for index in range(3, 7):
        (result,) = reference.process(Frame(make_image(index), "bgr", index, ""))
        assert len(peer.heard["detections"][index].detections) == len(result.detections) > 0


def test_results_inside_are_published_when_images_stop(rig, wait_for, lava_python):
    node, peer = rig(backend="lava_sim", input_size="96x64", lava_python=lava_python, mask_mode="none")
    for index in range(8):
        peer.camera.publish(message(index))
        wait_for(lambda: node._configured.frame_stats.counts.received == index + 1)
        wait_for(lambda: node._active.worker._slot.is_empty)
        if index == 3:
            wait_for(lambda: len(peer.heard["detections"]) == 4)  # and the next ones follow
    wait_for(lambda: len(peer.heard["detections"]) == 8)
    assert stamps(peer) == list(range(8))
    assert node._configured.pipeline.resets == 0 and node._configured.frame_stats.counts.in_flight == 0


def test_impossible_backend_is_refused_at_once(rig, wait_for, ask, tmp_path):
    node, peer = rig(lava_python=str(tmp_path / "none"))
    refused = ask.set(peer, backend="lava_sim")
    assert not refused.successful and "no interpreter" in refused.reason
    refused = ask.set(peer, backend="lava_sim", arithmetic="carry")
    assert not refused.successful and "computes lava" in refused.reason
    assert ask.get(peer, "backend") == "auto"
    assert ask.set(peer, arithmetic="lava", fallback="none").successful
    wait_for(lambda: node._configured.pipeline.settings.arithmetic == "lava")


@pytest.mark.parametrize("dead", [True, False], ids=["ends", "takes too long"])
def test_backend_that_cannot_be_opened_leaves_the_current_one_and_its_parameters(rig, wait_for, ask, tmp_path, dead):
    python = "/bin/false" if dead else hanging_interpreter(tmp_path / "python")
    node, peer = rig(mask_mode="none", backend_open_timeout=1.0, lava_python=python)
    with Film(peer):
        goes_on(peer, wait_for)
        assert ask.set(peer, backend="lava_sim").successful
        wait_for(lambda: "could not be opened, cpu stays" in peer.verdict())
        assert ("has failed" if dead else "not ready within 1 s") in peer.verdict() and level(peer) == WARN
        assert "cpu stays" in peer.values()["last trouble with backends"]
        assert ask.get(peer, "backend") == "auto"
        goes_on(peer, wait_for)
    assert node._configured.pipeline.resets == 0 and node._configured.frame_stats.counts.broken == 0


def test_later_one_of_two_requests_wins(rig, wait_for, ask, tmp_path, lava_python):
    """The process of the first one would never be ready. A later pair of requests goes back to what runs."""
    python = hanging_interpreter(tmp_path / "python", lava_python)
    node, peer = rig(backend_open_timeout=600.0, lava_python=python)
    assert ask.set(peer, backend="lava_sim").successful
    wait_for((tmp_path / "hangs").exists)
    (tmp_path / "hang").unlink()
    assert ask.set(peer, backend_step_timeout=20.0).successful
    wait_for(lambda: running(node) == "lava_sim")
    peer.camera.publish(message(0))
    wait_for(lambda: peer.heard["detections"])
    (tmp_path / "hang").touch()
    assert ask.set(peer, backend_step_timeout=21.0).successful
    assert ask.set(peer, backend_step_timeout=20.0).successful
    wait_for(lambda: not node._configured.pipeline.backends.opening)
    assert running(node) == "lava_sim" and not gone(child(node))


def test_backend_changes_while_inactive_and_cleanup_cancels_an_opening(rig, wait_for, ask, tmp_path, lava_python):
    python = hanging_interpreter(tmp_path / "python", lava_python)
    (tmp_path / "hang").unlink()
    node, peer = rig(lava_python=python)
    call(node, node.trigger_deactivate)
    assert ask.set(peer, backend="lava_sim").successful
    wait_for(lambda: running(node) == "lava_sim")
    leader = wait_for(lambda: getattr(node._configured.pipeline.backends.current, "pid", 0))
    (tmp_path / "hang").touch()
    assert ask.set(peer, backend_step_timeout=20.0).successful
    call(node, node.trigger_cleanup)
    assert gone(leader)
    assert not [thread for thread in threading.enumerate() if thread.name == "backend"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["dies", "hangs"])
def test_backend_that_fails_is_restarted_once_and_then_replaced(rig, wait_for, ask, lava_python, number):
    node, peer = rig(
        backend="lava_sim", input_size="96x64", lava_python=lava_python, backend_step_timeout=1.0, mask_mode="none"
    )
    with Film(peer):
        goes_on(peer, wait_for)
        first = child(node)
        os.killpg(first, number)
        wait_for(lambda: "failed and is started again" in peer.verdict())
        assert level(peer) == WARN and peer.values()["restarts of the backend"] == "1"
        goes_on(peer, wait_for)
        assert running(node) == "lava_sim" and gone(first) and ask.get(peer, "backend") == "lava_sim"
        os.killpg(child(node), number)
        wait_for(lambda: running(node) == "cpu")
        wait_for(lambda: "failed twice, cpu takes over" in peer.verdict() and peer.values().get("backend") == "cpu")
        assert level(peer) == WARN and peer.values()["arithmetic"] == "carry"
        goes_on(peer, wait_for)
        wait_for(lambda: ask.get(peer, "backend") == "cpu")
        assert ask.set(peer, backend="lava_sim").successful, "it may be tried again"
        wait_for(lambda: running(node) == "lava_sim")
        wait_for(lambda: "failed twice" not in peer.verdict())
    counts = node._configured.frame_stats.counts
    assert counts.received == counts.answered + counts.overwritten + counts.broken + counts.in_flight
    assert np.all(np.diff(stamps(peer)) > 0)


def test_without_a_fallback_the_node_keeps_running_and_reports_an_error(rig, wait_for, ask, lava_python):
    node, peer = rig(backend="lava_sim", input_size="96x64", lava_python=lava_python, fallback="none", mask_mode="none")
    with Film(peer):
        for _ in range(2):
            goes_on(peer, wait_for)
            os.killpg(child(node), signal.SIGKILL)
            before = node._configured.frame_stats.counts.broken
            wait_for(lambda: node._configured.frame_stats.counts.broken > before)
        wait_for(lambda: "disabled, fallback is none" in peer.verdict())
        wait_for(lambda: level(peer) == ERROR and "disabled" in peer.values().get("last error", ""))
        assert running(node) == "lava_sim" and node._configured.frame_stats.counts.broken > before
        assert ask.set(peer, fallback="cpu").successful
        wait_for(lambda: running(node) == "cpu")
        goes_on(peer, wait_for)
        wait_for(lambda: level(peer) == WARN and "cpu takes over" in peer.verdict())


def test_node_can_be_deactivated_while_its_backend_opens(rig, wait_for, tmp_path, lava_python):
    """The image has another size than the simulator was opened for, and its new process never starts."""
    python = tmp_path / "python"
    hang = f"test -e {tmp_path}/no_more && touch {tmp_path}/hangs && exec sleep 600"
    python.write_text(f'#!/bin/sh\n{hang}\nexec {lava_python} "$@"\n')
    python.chmod(0o755)
    node, peer = rig(backend="lava_sim", lava_python=str(python), backend_open_timeout=600.0)
    (tmp_path / "no_more").touch()
    peer.camera.publish(message(0))
    wait_for((tmp_path / "hangs").exists)
    assert call(node, node.trigger_deactivate) is TransitionCallbackReturn.SUCCESS
    assert node._configured.frame_stats.counts.broken == 1
    assert node._configured.pipeline.backends.health.restarts == 0


def test_input_size_changes_in_the_same_way(rig, wait_for, ask):
    node, peer = rig()
    with Film(peer):
        goes_on(peer, wait_for)
        assert ask.set(peer, input_size="160x128", arithmetic="lava").successful
        wait_for(lambda: peer.values().get("input size") == "160x128" and peer.values().get("arithmetic") == "lava")
        assert ask.set(peer, input_size="auto").successful
        wait_for(lambda: peer.values().get("input size") == "96x64")
    counts = wait_for(lambda: (c := node._configured.frame_stats.counts) and not c.in_flight and c)
    assert counts.broken == 0 and node._configured.pipeline.resets == 2


def test_request_while_a_backend_waits_to_take_over_replaces_it(rig, wait_for, ask):
    node, peer = rig()
    peer.camera.publish(message(0))
    wait_for(lambda: peer.heard["detections"])
    pipeline, go_on = node._configured.pipeline, threading.Event()
    process = pipeline.process
    pipeline.process = lambda *given: (go_on.wait(10.0), process(*given))[1]
    peer.camera.publish(message(1))
    wait_for(lambda: node._configured.frame_stats.counts.received == 2)
    assert ask.set(peer, arithmetic="lava").successful
    wait_for(lambda: pipeline.backends.is_ready)
    for arithmetic in ("", "snap"):
        assert ask.set(peer, arithmetic=arithmetic).successful
    assert pipeline.settings.arithmetic == "carry"
    go_on.set()
    wait_for(lambda: pipeline.settings.arithmetic == "snap" and pipeline.resets == 1)
    assert ask.get(peer, "arithmetic") == "snap"
    wait_for(lambda: len(peer.heard["detections"]) == 2)


def test_change_from_a_backend_that_hangs(rig, wait_for, ask, lava_python):
    """The request is answered, and the new backend opens, before the failure is detected."""
    node, peer = rig(
        backend="lava_sim", input_size="96x64", lava_python=lava_python, backend_step_timeout=3.0, mask_mode="none"
    )
    with Film(peer):
        goes_on(peer, wait_for)
        leader = child(node)
        os.killpg(leader, signal.SIGSTOP)
        stopped_at = node._configured.frame_stats.counts.received
        wait_for(lambda: node._configured.frame_stats.counts.received > stopped_at + 3)
        assert ask.set(peer, backend="cpu").successful
        assert running(node) == "lava_sim" and not gone(leader)
        wait_for(lambda: running(node) == "cpu")
        goes_on(peer, wait_for)
        assert gone(leader) and ask.get(peer, "backend") == "cpu"
    counts = wait_for(lambda: (c := node._configured.frame_stats.counts) and not c.in_flight and c)
    assert counts.received == counts.answered + counts.overwritten + counts.broken and counts.broken > 0
