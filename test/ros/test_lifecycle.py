"""The life cycle as a manager drives it over ROS, and what many life cycles leave behind."""

from __future__ import annotations

import gc
import os
import threading
import weakref

import pytest
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rig import add_node, are_matched, change, message, send

from regionmask_ros.errors import UserError
from regionmask_ros.ros.session import RosSession

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
ERROR = TransitionCallbackReturn.ERROR


class Manager:
    """Drives a node's life cycle over its services."""

    def __init__(self, peer, wait_for) -> None:
        self._wait_for = wait_for
        self._change = peer.create_client(ChangeState, "/detector/change_state")
        self._get = peer.create_client(GetState, "/detector/get_state")
        assert self._change.wait_for_service(10.0) and self._get.wait_for_service(10.0)

    def change(self, transition: int) -> bool:
        return self._call(self._change, ChangeState.Request(transition=Transition(id=transition))).success

    def state(self) -> int:
        return self._call(self._get, GetState.Request()).current_state.id

    def _call(self, client, request):
        future = client.call_async(request)
        self._wait_for(future.done)
        return future.result()


def test_manager_goes_through_all_states(rig, wait_for):
    node, peer = rig(autostart=False)
    manager = Manager(peer, wait_for)
    walk = [
        (Transition.TRANSITION_CONFIGURE, State.PRIMARY_STATE_INACTIVE),
        (Transition.TRANSITION_ACTIVATE, State.PRIMARY_STATE_ACTIVE),
        (Transition.TRANSITION_DEACTIVATE, State.PRIMARY_STATE_INACTIVE),
        (Transition.TRANSITION_ACTIVATE, State.PRIMARY_STATE_ACTIVE),
        (Transition.TRANSITION_DEACTIVATE, State.PRIMARY_STATE_INACTIVE),
        (Transition.TRANSITION_CLEANUP, State.PRIMARY_STATE_UNCONFIGURED),
        (Transition.TRANSITION_CONFIGURE, State.PRIMARY_STATE_INACTIVE),
        (Transition.TRANSITION_ACTIVATE, State.PRIMARY_STATE_ACTIVE),
    ]
    assert manager.state() == State.PRIMARY_STATE_UNCONFIGURED
    for transition, state in walk:
        assert manager.change(transition) and manager.state() == state
    wait_for(lambda: are_matched(node, peer))
    send(peer, wait_for, [message(0)])
    assert not manager.change(Transition.TRANSITION_CONFIGURE), "an active node cannot be configured"
    assert manager.state() == State.PRIMARY_STATE_ACTIVE
    assert manager.change(Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert manager.state() == State.PRIMARY_STATE_FINALIZED and node._configured is None


def test_invalid_network_fails_the_transition_with_one_line(session, tmp_path, capfd):
    bad = tmp_path / "network.pt"
    bad.write_bytes(b"PK\3\4 no network")
    node = add_node(session, autostart=False, network_file=str(bad))
    assert node.trigger_configure() is FAILURE
    errors = [line for line in capfd.readouterr().err.splitlines() if "[ERROR]" in line or "Traceback" in line]
    assert len(errors) == 1 and "cannot configure" in errors[0] and str(bad) in errors[0]
    assert node._state_machine.current_state[1] == "unconfigured"


def test_unknown_class_fails_the_transition(session, tiny_network):
    node = add_node(session, lambda file: tiny_network, classes=["squares"])
    with pytest.raises(UserError, match="'squares'.*'square'"):
        node.start()


def test_bug_ends_in_the_unconfigured_state_and_can_be_tried_again(session, tiny_network):
    answers = [RuntimeError("boom"), tiny_network]

    def load(file: str):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    node = add_node(session, load, autostart=False)
    assert node.trigger_configure() is not SUCCESS
    assert node._state_machine.current_state[1] == "unconfigured"
    assert node.trigger_configure() is SUCCESS


def test_node_that_is_destroyed_leaves_the_graph_though_somebody_still_refers_to_it(ros_environment, wait_for):
    with RosSession() as session:
        node = add_node(session)
    with RosSession() as session:
        other = session.add(lambda **given: Node("other", **given))
        wait_for(lambda: other.get_node_names() == ["other"])
    node.destroy_node()


def count_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def no_collection():
    """What is free at once needs no garbage collector, which may come hundreds of megabytes later."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def large_parts(node) -> list[weakref.ref]:
    """What holds the arrays of a configured node."""
    pipeline = node._configured.pipeline
    backend = pipeline.backends.current
    parts = (pipeline, pipeline._camera, backend, backend._engine, backend._engine._stack)
    return [weakref.ref(part) for part in parts]


def test_life_cycles_leave_nothing_behind(rig, wait_for, no_collection):
    node, peer = rig(autostart=False)
    manager, threads, descriptors = Manager(peer, wait_for), threading.active_count(), []
    for index in range(12):
        assert manager.change(Transition.TRANSITION_CONFIGURE) and manager.change(Transition.TRANSITION_ACTIVATE)
        wait_for(lambda: are_matched(node, peer))
        send(peer, wait_for, [message(index)])
        parts = large_parts(node)
        assert manager.change(Transition.TRANSITION_DEACTIVATE) and manager.change(Transition.TRANSITION_CLEANUP)
        assert not [part() for part in parts if part() is not None], "a reference cycle keeps them"
        descriptors.append(count_descriptors())
    assert threading.active_count() == threads
    assert descriptors[-1] <= descriptors[0], descriptors
    assert not node._managed_entities and not list(node.timers)
    own = {"/detections", "/mask", "/overlay", "/label_info", "/diagnostics", "/events", "/mask/age"}
    assert not own & {p.topic_name for p in node.publishers}
    assert not {"/image", "/attention"} & {s.topic_name for s in node.subscriptions}


def test_former_backends_are_freed_while_images_come(rig, wait_for, no_collection):
    node, peer = rig(mask_mode="none")
    send(peer, wait_for, [message(0)])
    for index, arithmetic in enumerate(("lava", "snap", "carry"), 1):
        former = large_parts(node)[2:]
        assert change(node, arithmetic=arithmetic).successful
        wait_for(lambda: node._configured.pipeline.settings.arithmetic == arithmetic)
        send(peer, wait_for, [message(index)])
        # A thread closes them.
        wait_for(lambda: all(part() is None for part in former))
