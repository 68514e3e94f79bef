"""Another backend while the node runs, and backends that die or hang under it. With Lava's simulator, for real."""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np
import pytest
from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import GetParameters, SetParametersAtomically
from rclpy.parameter import Parameter
from rig import FRAME_NS, START_NS, Peer, header, message, picture, watch
from sensor_msgs.msg import Image

from regionmask_ros.core.frame import Frame
from regionmask_ros.pipeline.pipeline import Pipeline
from regionmask_ros.pipeline.settings import PipelineSettings
from regionmask_ros.ros.publishers import IMAGES, image_message

OPEN_S = 60.0
WARN, ERROR = b"\x01", b"\x02"


class Film:
    """Publishes pictures with growing stamps until it is left."""

    def __init__(self, peer: Peer, period_s: float = 0.05) -> None:
        self._peer, self._period_s, self.sent = peer, period_s, 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._play)

    def _play(self) -> None:
        while not self._over.wait(self._period_s):
            self._peer.camera.publish(image_message(picture(self.sent % 20), "bgr8", header(self.sent)))
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
            client = peer.create_client(SetParametersAtomically, "/detector/set_parameters_atomically")
            assert client.wait_for_service(10.0)
            wanted = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
            future, start = client.call_async(SetParametersAtomically.Request(parameters=wanted)), time.monotonic()
            wait_for(future.done)
            self.took_s = time.monotonic() - start
            return future.result().result

        def get(self, peer: Peer, name: str) -> str:
            client = peer.create_client(GetParameters, "/detector/get_parameters")
            assert client.wait_for_service(10.0)
            future = client.call_async(GetParameters.Request(names=[name]))
            wait_for(future.done)
            (value,) = future.result().values
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


def goes_on(peer: Peer, wait_for, timeout_s: float = 30.0) -> None:
    """New answers come."""
    before = len(peer.heard["detections"])
    wait_for(lambda: len(peer.heard["detections"]) > before + 2, timeout_s)


def level(peer: Peer) -> bytes:
    return peer.heard["/diagnostics"][-1].status[0].level


def stamps(peer: Peer) -> list[int]:
    heard = peer.heard["detections"]
    return [(m.header.stamp.sec * 10**9 + m.header.stamp.nanosec - START_NS) // FRAME_NS for m in heard]


def sleeper(path) -> str:
    """An interpreter that never gets anywhere."""
    path.write_text("#!/bin/sh\nsleep 600\n")
    path.chmod(0o755)
    return str(path)


def test_to_lava_and_back_loses_no_accepted_picture(rig, wait_for, ask, lava_python, tiny_network):
    node, peer = rig(mask_mode="none", score_threshold=0.2)
    watch(peer, wait_for, node, {"/mask": Image}, IMAGES)
    with Film(peer):
        goes_on(peer, wait_for)
        assert ask.set(peer, backend="lava_sim", lava_python=lava_python).successful and ask.took_s < 1.0
        assert ask.get(peer, "backend") == "lava_sim" and running(node) == "cpu"
        wait_for(lambda: peer.values().get("backend that is being opened") == "lava_sim", 5.0)
        goes_on(peer, wait_for)
        wait_for(lambda: running(node) == "lava_sim", OPEN_S)
        goes_on(peer, wait_for)
        wait_for(lambda: peer.values()["backend"] == "lava_sim" and peer.values()["arithmetic"] == "lava", 5.0)
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


def test_the_new_backend_starts_afresh_with_a_refresh_frame(rig, wait_for, ask, lava_python, tiny_network, half_mask):
    """What it answers is what the CPU engine answers in its arithmetic from the same picture on."""
    masks = {"static_mask": half_mask, "refresh_period": 0, "score_threshold": 0.2}
    node, peer = rig(mask_mode="static", **masks)
    watch(peer, wait_for, node, {"/mask": Image}, IMAGES)
    for index in range(3):
        peer.camera.publish(message(index))
        wait_for(lambda: len(peer.heard["/mask"]) == index + 1)
    assert ask.set(peer, backend="lava_sim", lava_python=lava_python).successful
    wait_for(lambda: running(node) == "lava_sim", OPEN_S)
    for index in range(3, 7):
        peer.camera.publish(message(index))
        wait_for(lambda: node._configured.frame_stats.counts.received == index + 1)
        time.sleep(0.05)
    wait_for(lambda: len(peer.heard["/mask"]) == 7)  # no picture comes any more, and still all are answered
    assert [min(m.data) for m in peer.heard["/mask"]] == [255, 0, 0, 255, 0, 0, 0] and stamps(peer) == list(range(7))
    reference_network = Pipeline(tiny_network, PipelineSettings(mask="static", arithmetic="lava", **masks))
    for index in range(3, 7):
        (result,) = reference_network.process(Frame(picture(index), "bgr", index, ""))
        assert len(peer.heard["detections"][index].detections) == len(result.detections) > 0


def test_results_inside_come_out_when_pictures_stop(rig, wait_for, lava_python):
    node, peer = rig(backend="lava_sim", input_size="96x64", lava_python=lava_python, mask_mode="none")
    for index in range(8):
        peer.camera.publish(message(index))
        wait_for(lambda: node._configured.frame_stats.counts.received == index + 1)
        wait_for(lambda: node._active.worker._slot.is_empty, OPEN_S)
        if index == 3:
            wait_for(lambda: len(peer.heard["detections"]) == 4)  # and the next ones follow
    wait_for(lambda: len(peer.heard["detections"]) == 8)
    assert stamps(peer) == list(range(8))
    assert node._configured.pipeline.resets == 0 and node._configured.frame_stats.counts.in_flight == 0


def test_what_is_seen_to_be_impossible_is_refused_at_once(rig, wait_for, ask, tmp_path):
    node, peer = rig()
    refused = ask.set(peer, backend="lava_sim", lava_python=str(tmp_path / "none"))
    assert not refused.successful and "no interpreter" in refused.reason and ask.took_s < 1.0
    refused = ask.set(peer, backend="lava_sim", arithmetic="carry")
    assert not refused.successful and "computes lava" in refused.reason
    assert ask.get(peer, "backend") == "cpu" and ask.get(peer, "lava_python") == ""
    assert ask.set(peer, arithmetic="lava", fallback="none").successful
    wait_for(lambda: node._configured.pipeline.settings.arithmetic == "lava")


@pytest.mark.parametrize("dead", [True, False], ids=["ends", "takes too long"])
def test_what_cannot_be_opened_leaves_the_old_one_and_sets_parameters_back(rig, wait_for, ask, tmp_path, dead):
    node, peer = rig(mask_mode="none", backend_open_timeout=1.0)
    python = "/bin/false" if dead else sleeper(tmp_path / "python")
    with Film(peer):
        goes_on(peer, wait_for)
        assert ask.set(peer, backend="lava_sim", lava_python=python).successful
        wait_for(lambda: "could not be opened, cpu stays" in peer.verdict(), 5.0)
        assert ("has failed" if dead else "not ready within 1 s") in peer.verdict() and level(peer) == WARN
        assert "cpu stays" in peer.values()["last trouble with backends"]
        assert ask.get(peer, "backend") == "cpu" and ask.get(peer, "lava_python") == ""
        goes_on(peer, wait_for)
    assert node._configured.pipeline.resets == 0 and node._configured.frame_stats.counts.broken == 0


def test_of_two_requests_the_later_one_wins(rig, wait_for, ask, tmp_path, lava_python):
    """The first one's process would never be ready. A third one, before the first picture, goes back."""
    node, peer = rig(backend_open_timeout=600.0)
    assert ask.set(peer, backend="lava_sim", lava_python=sleeper(tmp_path / "python")).successful
    assert ask.set(peer, lava_python=lava_python).successful
    wait_for(lambda: running(node) == "lava_sim", OPEN_S)
    peer.camera.publish(message(0))
    wait_for(lambda: peer.heard["detections"])
    assert ask.get(peer, "lava_python") == lava_python
    assert ask.set(peer, lava_python=sleeper(tmp_path / "python")).successful
    assert ask.set(peer, lava_python=lava_python).successful
    wait_for(lambda: not node._configured.pipeline.backends.opening)
    assert running(node) == "lava_sim" and not gone(child(node))


def test_while_inactive_and_when_it_is_cleaned_up_meanwhile(rig, wait_for, ask, tmp_path, lava_python):
    node, peer = rig()
    node.trigger_deactivate()
    assert ask.set(peer, backend="lava_sim", lava_python=lava_python).successful
    wait_for(lambda: running(node) == "lava_sim", OPEN_S)
    leader = node._configured.pipeline.backends.current.pid
    assert ask.set(peer, lava_python=sleeper(tmp_path / "python")).successful
    start = time.monotonic()
    node.trigger_cleanup()
    assert time.monotonic() - start < 5.0 and gone(leader)
    assert not [thread for thread in threading.enumerate() if thread.name == "backend"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["dies", "hangs"])
def test_a_backend_that_fails_is_started_once_more_and_then_replaced(rig, wait_for, ask, lava_python, number):
    node, peer = rig(
        backend="lava_sim", input_size="96x64", lava_python=lava_python, backend_step_timeout=1.0, mask_mode="none"
    )
    with Film(peer):
        goes_on(peer, wait_for, OPEN_S)
        first = child(node)
        os.killpg(first, number)
        wait_for(lambda: "failed and is started again" in peer.verdict())
        assert level(peer) == WARN and peer.values()["restarts of the backend"] == "1"
        goes_on(peer, wait_for, OPEN_S)
        assert running(node) == "lava_sim" and gone(first) and ask.get(peer, "backend") == "lava_sim"
        os.killpg(child(node), number)
        wait_for(lambda: running(node) == "cpu")
        wait_for(lambda: "failed twice, cpu goes on" in peer.verdict() and peer.values()["backend"] == "cpu", 5.0)
        assert level(peer) == WARN and peer.values()["arithmetic"] == "carry"
        goes_on(peer, wait_for)
        wait_for(lambda: ask.get(peer, "backend") == "cpu")
        assert ask.set(peer, backend="lava_sim").successful, "it may be tried again"
        wait_for(lambda: running(node) == "lava_sim", OPEN_S)
        wait_for(lambda: "failed twice" not in peer.verdict())
    counts = node._configured.frame_stats.counts
    assert counts.received == counts.answered + counts.overwritten + counts.broken + counts.in_flight
    assert np.all(np.diff(stamps(peer)) > 0)


def test_without_a_fallback_the_node_lives_and_says_error(rig, wait_for, ask, lava_python):
    node, peer = rig(backend="lava_sim", input_size="96x64", lava_python=lava_python, fallback="none", mask_mode="none")
    with Film(peer):
        for _ in range(2):
            goes_on(peer, wait_for, OPEN_S)
            os.killpg(child(node), signal.SIGKILL)
            before = node._configured.frame_stats.counts.broken
            wait_for(lambda: node._configured.frame_stats.counts.broken > before)
        wait_for(lambda: "given up, fallback is none" in peer.verdict())
        wait_for(lambda: level(peer) == ERROR and "given up" in peer.values()["last error"])
        assert running(node) == "lava_sim" and node._configured.frame_stats.counts.broken > before
        assert ask.set(peer, fallback="cpu").successful
        wait_for(lambda: running(node) == "cpu")
        goes_on(peer, wait_for)
        wait_for(lambda: level(peer) == WARN and "cpu goes on" in peer.verdict(), 5.0)


def test_a_node_that_opens_its_backend_can_be_left(rig, wait_for, tmp_path, lava_python):
    """With a picture of another size than what the simulator was opened for, and a process that never starts."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\ntest -e {tmp_path}/no_more && exec sleep 600\nexec {lava_python} "$@"\n')
    python.chmod(0o755)
    node, peer = rig(backend="lava_sim", lava_python=str(python), backend_open_timeout=600.0)
    (tmp_path / "no_more").touch()
    peer.camera.publish(message(0))
    wait_for(lambda: node._configured.frame_stats.counts.received == 1)
    time.sleep(0.3)
    start = time.monotonic()
    node.trigger_deactivate()
    assert time.monotonic() - start < 5.0 and node._configured.frame_stats.counts.broken == 1
    assert node._configured.pipeline.backends.health.restarts == 0


def test_the_input_size_changes_in_the_same_way(rig, wait_for, ask):
    node, peer = rig()
    with Film(peer):
        goes_on(peer, wait_for)
        assert ask.set(peer, input_size="160x128", arithmetic="lava").successful
        wait_for(lambda: peer.values().get("input size") == "160x128" and peer.values()["arithmetic"] == "lava", 5.0)
        assert ask.set(peer, input_size="auto").successful
        wait_for(lambda: peer.values()["input size"] == "96x64", 5.0)
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
        assert ask.set(peer, arithmetic=arithmetic).successful and ask.took_s < 1.0
    assert pipeline.settings.arithmetic == "carry"
    go_on.set()
    wait_for(lambda: pipeline.settings.arithmetic == "snap")
    assert ask.get(peer, "arithmetic") == "snap" and pipeline.resets == 1
    wait_for(lambda: len(peer.heard["detections"]) == 2)


def test_away_from_a_backend_that_hangs(rig, wait_for, ask, lava_python):
    """Nobody waits for it to be found out: what is set is answered, and opened, meanwhile."""
    node, peer = rig(
        backend="lava_sim", input_size="96x64", lava_python=lava_python, backend_step_timeout=3.0, mask_mode="none"
    )
    with Film(peer):
        goes_on(peer, wait_for, OPEN_S)
        leader = child(node)
        os.killpg(leader, signal.SIGSTOP)
        time.sleep(0.5)
        assert ask.set(peer, backend="cpu").successful and ask.took_s < 1.0
        assert running(node) == "lava_sim" and not gone(leader)
        wait_for(lambda: running(node) == "cpu")
        goes_on(peer, wait_for)
        assert gone(leader) and ask.get(peer, "backend") == "cpu"
    counts = wait_for(lambda: (c := node._configured.frame_stats.counts) and not c.in_flight and c)
    assert counts.received == counts.answered + counts.overwritten + counts.broken and counts.broken > 0
