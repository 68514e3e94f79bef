"""Collects what the node knows about itself, for the diagnostics."""

from __future__ import annotations

from rclpy.lifecycle import LifecycleNode

from ..pipeline.pipeline import Pipeline
from .callback_guard import find_error_log
from .camera import CameraState
from .frame_stats import DropReason
from .health import NodeFacts
from .transport import expected_feed


def collect_facts(node: LifecycleNode, pipeline: Pipeline, last_drop: DropReason, converter: str,
                  camera: CameraState, mask_trouble: str) -> NodeFacts:
    """Collects facts.

    Args:
        node: The node.
        pipeline: Its pipeline.
        last_drop: Why the last broken frame was dropped.
        converter: What reads images.
        camera: What is known of the camera.
        mask_trouble: Why the static mask's file cannot be read any more; empty for none.

    Returns:
        The facts of this moment.
    """
    settings, network, backends = pipeline.settings, pipeline.network, pipeline.backends
    transport = node.get_parameter("image_transport").value
    return NodeFacts(
        name=f"{node.get_fully_qualified_name()[1:]}: pictures",
        state=node._state_machine.current_state[1],
        topic=camera.topic or expected_feed(node.resolve_topic_name("image"), transport).topic,
        transport=camera.transport or transport,
        converter=converter,
        backend=settings.backend,
        kernels=pipeline.kernels,
        arithmetic=settings.arithmetic,
        thresholds=settings.thresholds,
        mask_mode=settings.deciding,
        schedule=pipeline.schedule_text,
        network=network.source_file or network.name,
        latency_steps=pipeline.latency_steps,
        profile=pipeline.profile,
        input_wh=pipeline.input_size,
        resets=pipeline.resets,
        last_error=last_drop.text,
        is_failing=last_drop.is_failure,
        opening=backends.opening,
        restarts=backends.health.restarts,
        notice=backends.notice,
        last_notice=backends.last_notice.line,
        errors=find_error_log(node).errors,
        camera=camera,
        mask_trouble=mask_trouble,
        namesakes=count_namesakes(node),
    )


def count_namesakes(node: LifecycleNode) -> int:
    """Returns how many other nodes have this node's name and namespace."""
    own = (node.get_name(), node.get_namespace())
    return max(sum(found == own for found in node.get_node_names_and_namespaces()) - 1, 0)
