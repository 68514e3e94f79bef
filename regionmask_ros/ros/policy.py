"""Makes the SROS 2 policy of the detector from running nodes: what it publishes, subscribes to and answers, no more.

``python -m regionmask_ros.ros.policy`` prints config/security_policy.xml. Names follow the ROS arguments, such as
``--ros-args -r image:=/camera/image_raw -r __ns:=/robot``. docs/SECURITY.md says how the policy is used.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from operator import or_
from xml.sax.saxutils import escape, quoteattr

from rclpy.node import Node
from rclpy.parameter import Parameter

from ..errors import UserError
from ..importing.opening import open_network
from ..network.dense import AnyNetwork
from .node import DetectorNode
from .session import RosSession

COMMAND = "python -m regionmask_ros.ros.policy"

TIMEOUT_S, POLL_S = 30.0, 0.05

VARIANTS: tuple[dict[str, str | bool], ...] = (
    {"image_transport": "raw", "use_sim_time": False},
    {"image_transport": "compressed", "use_sim_time": True},
)
"""Parameters on which the names depend; together they use every name."""


@dataclass(frozen=True)
class Access:
    """Full names of what a node uses.

    Attributes:
        name: Of the node.
        namespace: Of the node.
        publish: Topics that it publishes.
        subscribe: Topics that it subscribes to.
        reply: Services that it offers.
        request: Services that it calls.
    """

    name: str
    namespace: str
    publish: frozenset[str]
    subscribe: frozenset[str]
    reply: frozenset[str]
    request: frozenset[str]

    def __or__(self, other: Access) -> Access:
        """What either of two nodes of the same name uses."""
        return Access(self.name, self.namespace, self.publish | other.publish, self.subscribe | other.subscribe,
                      self.reply | other.reply, self.request | other.request)


def find_access(observer: Node, name: str, namespace: str) -> Access:
    """Finds out what a running node uses, its parameter services, its log and its life cycle included.

    Args:
        observer: Any node that sees it.
        name: Its name.
        namespace: Its namespace.

    Returns:
        The names.
    """
    asked = (observer.get_publisher_names_and_types_by_node, observer.get_subscriber_names_and_types_by_node,
             observer.get_service_names_and_types_by_node, observer.get_client_names_and_types_by_node)
    return Access(name, namespace, *(frozenset(found for found, _ in ask(name, namespace)) for ask in asked))


def find_detector_access(arguments: Sequence[str] = (),
                         load: Callable[[str], AnyNetwork] = open_network) -> Access:
    """Runs a detector with each of ``VARIANTS`` and finds out what it uses.

    It must be the first use of ROS in this process: later ones of Fast DDS may not list their own topics.

    Args:
        arguments: ROS arguments, such as remappings.
        load: Makes the network.

    Returns:
        What it uses in all variants together.

    Raises:
        UserError: The detector does not start.
    """
    with RosSession(["--ros-args", *arguments]) as session:
        node = session.add(partial(DetectorNode, load, parameter_overrides=[Parameter("autostart", value=True)]))
        found = []
        for variant in VARIANTS:
            node.set_parameters_atomically([Parameter(name, value=value) for name, value in variant.items()])
            node.start()
            found.append(_wait_for_access(node))
            node.trigger_deactivate()
            node.trigger_cleanup()
        return reduce(or_, found)


def _wait_for_access(node: Node) -> Access:
    """What a node of this process uses, once the middleware lists all that the node itself has made."""
    publish, subscribe = ({entity.topic_name for entity in made} for made in (node.publishers, node.subscriptions))
    services = len(list(node.services))
    deadline_s = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline_s:
        access = find_access(node, node.get_name(), node.get_namespace())
        if access.publish >= publish and access.subscribe >= subscribe and len(access.reply) >= services:
            return access
        time.sleep(POLL_S)
    raise UserError("the middleware does not list all topics of the node; try again")


def make_policy(access: Access) -> str:
    """Writes a policy for ``ros2 security create_permission``.

    Args:
        access: What the node uses.

    Returns:
        The policy, an XML document with one enclave that has the full name of the node.
    """
    path = f"{access.namespace.rstrip('/')}/{access.name}"
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>', f"<!-- Made by: {COMMAND} -->", '<policy version="0.2.0">',
        "  <enclaves>", f"    <enclave path={quoteattr(path)}>", "      <profiles>",
        f"        <profile ns={quoteattr(access.namespace)} node={quoteattr(access.name)}>"]
    for kind, verb, names in (("service", "reply", access.reply), ("service", "request", access.request),
                              ("topic", "publish", access.publish), ("topic", "subscribe", access.subscribe)):
        if names:
            lines.append(f'          <{kind}s {verb}="ALLOW">')
            lines += [f"            <{kind}>{escape(name)}</{kind}>" for name in sorted(names)]
            lines.append(f"          </{kind}s>")
    lines += ["        </profile>", "      </profiles>", "    </enclave>", "  </enclaves>", "</policy>", ""]
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Prints the policy. Returns the exit status."""
    try:
        print(make_policy(find_detector_access([text for text in arguments if text != "--ros-args"])), end="")
    except UserError as error:
        print(f"regionmask_ros: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
