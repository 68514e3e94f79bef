"""Whatever a callback raises: one line, a count, level ERROR, and the node goes on."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.node import Node
from rclpy.parameter import Parameter
from rig import call, call_service, change, message, send
from std_srvs.srv import Trigger

from regionmask_ros.errors import MAX_OUTSIDE_LENGTH
from regionmask_ros.ros import node as node_module
from regionmask_ros.ros.callback_guard import ErrorLog, describe_error


def fail(*given: object) -> None:
    """Raises what nobody foresees."""
    raise LookupError("boom")


@pytest.fixture
def errors_of(wait_for):
    """A function that waits until the node has caught that many errors, and returns the log's last line."""
    def find(node, count: int) -> str:
        wait_for(lambda: node.error_log.errors.count >= count)
        assert node.error_log.errors.count == count
        return node.error_log.errors.last

    return find


def break_subscription(node, peer, wait_for) -> str:
    next(s for s in node.subscriptions if s.topic_name == "/image").callback = fail
    peer.camera.publish(message(1))
    return "subscription /image"


def break_timer(node, peer, wait_for) -> str:
    timers = []
    timers.append(node.create_timer(0.001, lambda: (timers[0].cancel(), fail())))
    return "timer"


def break_guard_condition(node, peer, wait_for) -> str:
    node.create_guard_condition(fail).trigger()
    return "guardcondition"


def break_service(node, peer, wait_for) -> str:
    node._run_between_frames = fail
    call_service(peer, wait_for, Trigger, "refresh")
    return "service ~/refresh"


@pytest.mark.parametrize("break_it", [
    break_subscription, break_timer, break_guard_condition, break_service])
def test_exception_in_a_callback_is_logged_counted_and_reported(rig, wait_for, errors_of, capfd, break_it):
    node, peer = rig()
    send(peer, wait_for, [message(0)])
    receive = next(s for s in node.subscriptions if s.topic_name == "/image").callback
    place = break_it(node, peer, wait_for)
    line = errors_of(node, 1)
    assert line.startswith(f"{place}: LookupError: boom ("), line
    next(s for s in node.subscriptions if s.topic_name == "/image").callback = receive
    wait_for(lambda: peer.values().get("errors in callbacks") == "1")
    report = peer.heard["/diagnostics"][-1].status[0]
    assert report.level == b"\x02" and "boom" in report.message
    assert "boom" in peer.values()["last error in a callback"]
    send(peer, wait_for, [message(2)])
    assert change(node, score_threshold=0.5).successful
    wait_for(lambda: "an error in the node" not in peer.verdict())
    log = capfd.readouterr().err
    assert log.count("boom") == 1 and "Traceback" not in log


def test_message_that_cannot_be_taken_does_not_deafen_the_node(rig, wait_for, errors_of):
    """rclpy keeps the subscription and its callback group locked when the middleware fails to hand over a message."""
    node, peer = rig()
    send(peer, wait_for, [message(0)])
    subscription = next(s for s in node.subscriptions if s.topic_name == "/image")
    right, subscription.msg_type = subscription.msg_type, None
    peer.camera.publish(message(1))
    wait_for(lambda: node.error_log.errors.count)
    assert "subscription /image" in node.error_log.errors.last
    subscription.msg_type = right
    send(peer, wait_for, [message(2)])
    assert call_service(peer, wait_for, Trigger, "refresh").success


@pytest.mark.parametrize("kind", [SetParameters, SetParametersAtomically])
def test_parameter_of_an_unknown_type_is_refused(rig, wait_for, errors_of, kind):
    node, peer = rig()
    good, bad = (Parameter("score_threshold", value=value).to_parameter_msg() for value in (0.25, 0.5))
    bad.value.type = 99
    name = "set_parameters" if kind is SetParameters else "set_parameters_atomically"
    answer = call_service(peer, wait_for, kind, name, parameters=[good, bad])
    results = answer.results if kind is SetParameters else [answer.result]
    assert len(results) == (2 if kind is SetParameters else 1)
    assert not results[-1].successful and "99" in results[-1].reason
    assert node.get_parameter("score_threshold").value == (0.25 if kind is SetParameters else 0.0)
    errors_of(node, 1)
    send(peer, wait_for, [message(0)])


def test_bug_in_a_parameter_callback_refuses_the_set(rig, wait_for, monkeypatch, half_mask, errors_of):
    node, _peer = rig()
    monkeypatch.setattr(node_module, "find_changes", fail)
    answer = change(node, score_threshold=0.5)
    assert not answer.successful and "LookupError: boom" in answer.reason
    monkeypatch.undo()
    assert node.get_parameter("score_threshold").value == 0.0
    errors_of(node, 1)
    assert change(node, score_threshold=0.5).successful


def test_bug_in_a_transition_fails_it_and_is_counted(rig, wait_for, errors_of):
    node, peer = rig()
    node._configured.outputs.destroy = fail
    call(node, node.trigger_deactivate)
    answer = call_service(peer, wait_for, ChangeState, "change_state",
                          transition=Transition(id=Transition.TRANSITION_CLEANUP))
    assert not answer.success and "on_cleanup" in errors_of(node, 1)
    assert not list(node.timers), "what follows the failure is freed all the same"
    call(node, node.trigger_configure)
    call(node, node.trigger_activate)
    wait_for(lambda: peer.values().get("state") == "active" and peer.values().get("errors in callbacks") == "1")


def test_bugs_in_the_worker_cost_frames_and_never_its_thread(rig, wait_for, errors_of):
    node, peer = rig()
    send(peer, wait_for, [message(0)])
    worker, stats = node._active.worker, node._configured.frame_stats
    pipeline = worker._pipeline
    for index, (owner, name) in enumerate([(worker, "_read"), (pipeline, "attend"), (worker, "_deliver")], start=1):
        right = getattr(owner, name)
        setattr(owner, name, fail)
        peer.camera.publish(message(index))
        wait_for(lambda: stats.counts.broken == index)
        setattr(owner, name, right)
        # A reset that fails, too, leaves the guard of the thread.
    process, reset = pipeline.process, pipeline.reset
    pipeline.process = pipeline.reset = fail
    peer.camera.publish(message(5))
    wait_for(lambda: stats.counts.broken == 4)
    pipeline.process, pipeline.reset = process, reset
    errors_of(node, 5)
    send(peer, wait_for, [message(6)])
    assert stats.counts.in_flight == 0 and stats.counts.received == 6


def test_text_of_an_error_is_one_short_printable_line():
    try:
        raise ValueError("a\nb\x1b[31m" + "x" * 10**6)
    except ValueError as error:
        line = describe_error(error)
    assert line.isprintable() and len(line) < MAX_OUTSIDE_LENGTH + 40 and line.startswith("ValueError: a b\\x1b[31mxxx")


def test_errors_of_many_threads_are_all_counted(session):
    log = ErrorLog(session.add(lambda **given: Node("counter", **given)).get_logger())
    threads = [
        threading.Thread(target=lambda: [log.report("here", KeyError("k")) for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log.errors.count == 200


ENDS = """
import sys
from regionmask_ros.commands import detector
from regionmask_ros.ros import node, worker
from regionmask_ros.ros.callback_guard import GuardedExecutor

def fail(*given):
    raise SystemExit(0)

if sys.argv[1] == "executor":
    GuardedExecutor.wait_for_ready_callbacks = fail
elif sys.argv[1] == "worker":
    worker.NewestSlot.take = fail
else:
    def close(*given):
        import time
        time.sleep(600)
    GuardedExecutor.wait_for_ready_callbacks = lambda *given: 1 / 0
    node.DetectorNode.destroy_node = close
sys.exit(detector.main([]))
"""


@pytest.mark.parametrize("part", ["executor", "worker", "executor that fails while cleaning up hangs"])
def test_process_ends_with_a_failure_when_a_vital_thread_ends(trained_file, part):
    ended = subprocess.run(
        [sys.executable, "-c", ENDS, part], capture_output=True, text=True, timeout=120.0, check=False)
    assert ended.returncode == 1, ended.stderr
    lines = [line for line in ended.stderr.splitlines() if line.startswith("regionmask_ros: ")]
    assert len(lines) == 1 and "has ended" in lines[0] and "Traceback" not in ended.stderr
