"""Finds detectors that run, and talks to one: parameters, services, life cycle, topics."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from lifecycle_msgs.srv import GetState
from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import DescribeParameters, GetParameters, ListParameters, SetParametersAtomically
from rclpy.client import Client
from rclpy.node import Node
from rclpy.parameter import Parameter, parameter_value_to_python
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from rclpy.task import Future
from std_srvs.srv import Trigger

from ..errors import UserError, suggest
from .callback_guard import shorten
from .parameter_text import parse_value

MARKS = ("mask_mode", "network_file")
"""A life cycle node with these parameters, both texts, is a detector, in whatever state it is."""

POLL_S = 0.02
SETTLE_S = 0.5
"""The search ends when no other node has come for so long."""

ANSWER_S, ACTION_S = 5.0, 30.0
"""How long a node may take to answer a question, and to do something."""

REPEAT_S, MATCH_S = 0.4, 0.05
"""A query is repeated after this time. After the other, a node usually knows the receiver of its answers."""

JUDGE_S = 1.0
"""The same, for a life cycle node of which it is not known what it is. It is asked again."""


class SilentNode(UserError):
    """The node offers a service no more, or does not answer."""


@dataclass(frozen=True)
class NodeTopic:
    """A topic of a node.

    Attributes:
        topic: Full name.
        kind: Type of the messages.
        is_output: Whether the node publishes it.
        reliability: ``reliable`` or ``best_effort``.
        is_latched: Whether late subscribers get the last message.
    """

    topic: str
    kind: str
    is_output: bool
    reliability: str
    is_latched: bool


class GraphClient(Node):
    """A hidden node that asks others. Its session must spin. For any number of threads.

    Args:
        node_arguments: For ``rclpy.node.Node``.

    Attributes:
        silent: Full names of life cycle nodes that have not answered yet, such as a detector that starts.
    """

    def __init__(self, **node_arguments: Any) -> None:
        super().__init__(f"_regionmask_ros_{uuid.uuid4().hex[:12]}", start_parameter_services=False,
                         enable_rosout=False, **node_arguments)
        self._made: dict[str, Client] = {}
        self._lock = threading.Lock()
        self._verdicts: dict[str, bool] = {}
        self.silent: set[str] = set()

    def ask(self, kind: Any, service: str, timeout_s: float = ANSWER_S, is_query: bool = True, **fields: Any) -> Any:
        """Calls a service.

        Args:
            kind: Its type.
            service: Its full name.
            timeout_s: How long at most.
            is_query: Whether it changes nothing, so that it may be called again: an answer is lost if the node does not
                know its receiver yet.
            fields: The request.

        Returns:
            The response.

        Raises:
            SilentNode: There is no such service, or no answer.
        """
        deadline_s, answers = time.monotonic() + timeout_s, SimpleQueue[Future]()
        client = self._find_client(kind, service, deadline_s)
        while time.monotonic() < deadline_s:
            future = client.call_async(kind.Request(**fields))
            future.add_done_callback(answers.put)
            rest_s = max(deadline_s - time.monotonic(), POLL_S)
            try:
                return answers.get(timeout=min(rest_s, REPEAT_S) if is_query else rest_s).result()
            except Empty:
                client.remove_pending_request(future)
        raise SilentNode(f"{service}: no answer within {timeout_s:.0f} s")

    def _find_client(self, kind: Any, service: str, deadline_s: float) -> Client:
        """The client of a service, once that is there. Raises SilentNode if it does not come."""
        with self._lock:
            is_new = service not in self._made
            if is_new:
                self._made[service] = self.create_client(kind, service)
            client = self._made[service]
        # rclpy's own wait looks only four times a second.
        while not client.service_is_ready():
            if time.monotonic() >= deadline_s:
                raise SilentNode(f"nothing offers the service {service}")
            time.sleep(POLL_S)
        if is_new:
            time.sleep(MATCH_S)
        return client

    def find(self, wanted: str, wait_s: float) -> tuple[str, ...]:
        """Looks for detectors until they are known.

        Args:
            wanted: Full name of the one to find; empty: all.
            wait_s: How long to look for a first one.

        Returns:
            Full names in order. Without ``wanted`` there may be others that take long to show up.
        """
        start_s = changed_s = time.monotonic()
        seen: list[str] = []
        while True:
            names, now_s = self._named(), time.monotonic()
            if names != seen:
                seen, changed_s = names, now_s
            found = tuple(name for name in dict.fromkeys(names) if self._is_detector(name))
            is_settled = now_s - changed_s >= SETTLE_S
            if wanted in found or (found and not wanted and is_settled) or now_s - start_s >= wait_s:
                return found
            time.sleep(POLL_S)

    def _named(self) -> list[str]:
        pairs = self.get_node_names_and_namespaces()
        return sorted(f"{space.rstrip('/')}/{name}" for name, space in pairs if name != self.get_name())

    def _is_detector(self, name: str) -> bool:
        if name not in self._verdicts and self._offers(name, {"get_state": GetState, "get_parameters": GetParameters}):
            try:
                answer = self.ask(GetParameters, f"{name}/get_parameters", JUDGE_S, names=list(MARKS))
                kinds = [value.type for value in answer.values]
                self._verdicts[name] = kinds == [ParameterType.PARAMETER_STRING] * len(MARKS)
                self.silent.discard(name)
            except SilentNode:
                self.silent.add(name)
        return self._verdicts.get(name, False)

    def _offers(self, name: str, services: Mapping[str, Any]) -> bool:
        found = dict(self.get_service_names_and_types())
        return all(f"{kind.__module__.partition('.')[0]}/srv/{kind.__name__}" in found.get(f"{name}/{service}", ())
                   for service, kind in services.items())


def find_detectors(client: GraphClient, wanted: str, wait_s: float) -> tuple[str, ...]:
    """Finds detectors.

    Args:
        client: Looks for them.
        wanted: Full name of the one to look for; empty: all.
        wait_s: How long to look.

    Returns:
        Full names, at least one.

    Raises:
        UserError: There is none.
    """
    found = client.find(wanted, wait_s)
    if found:
        return found
    looked = f"no detector {wanted}{' ' * bool(wanted)}was found within {wait_s:g} s"
    if client.silent:
        named = ", ".join(map(shorten, sorted(client.silent)))
        raise UserError(f"{looked}: {named} does not answer, it may be starting (--wait S waits longer)")
    raise UserError(f"{looked}: is one running, with this ROS_DOMAIN_ID and ROS_AUTOMATIC_DISCOVERY_RANGE? "
                    "(--wait S waits longer)")


def choose_detector(client: GraphClient, wanted: str, wait_s: float) -> str:
    """Finds the detector to talk to.

    Args:
        client: Looks for it.
        wanted: Its name, with or without the first slash; empty: the only one.
        wait_s: How long to look.

    Returns:
        Its full name.

    Raises:
        UserError: There is none, or there are several.
    """
    full = f"/{wanted.strip('/')}" if wanted.strip("/") else ""
    found = find_detectors(client, full, wait_s)
    if full in found:
        return full
    named = ", ".join(map(shorten, found))
    if full:
        raise UserError(f"no detector {full} was found within {wait_s:g} s{suggest(full, found)}; running: {named}")
    if len(found) > 1:
        raise UserError(f"{len(found)} detectors are running: {named}: choose one with --node")
    return found[0]


class RemoteDetector:
    """A detector that runs, in this or another process.

    Args:
        client: Talks to it.
        name: Its full name.

    Attributes:
        name: The same.
    """

    def __init__(self, client: GraphClient, name: str) -> None:
        self._client, self.name = client, name
        self._known: tuple[str, ...] = ()

    def read_state(self) -> str:
        """The state of its life cycle, such as ``active``."""
        return str(self._ask(GetState, "get_state").current_state.label)

    def list_parameters(self) -> tuple[str, ...]:
        """The names of all parameters, in order."""
        return tuple(sorted(self._ask(ListParameters, "list_parameters").result.names))

    def read_parameters(self, names: Iterable[str] = ()) -> dict[str, Any]:
        """Reads parameters.

        Args:
            names: Their names; none: all.

        Returns:
            Values by name.

        Raises:
            UserError: The node does not have one of them, or does not answer.
        """
        wanted = list(names) or list(self.list_parameters())
        self._check_names(wanted)
        values = self._ask(GetParameters, "get_parameters", names=wanted).values
        return {name: _to_plain(parameter_value_to_python(value)) for name, value in zip(wanted, values)}

    def set_texts(self, texts: Mapping[str, str]) -> None:
        """Sets parameters as a whole.

        Args:
            texts: Values as YAML, by name.

        Raises:
            UserError: A value has the wrong type, a parameter is for the start of the node only, or the node refuses:
                with its reason.
        """
        self._check_names(texts)
        described = self._ask(DescribeParameters, "describe_parameters", names=list(texts)).descriptors
        fixed = ", ".join(found.name for found in described if found.read_only)
        if fixed:
            raise UserError(f"{self.name}: {fixed} can be set only when the node starts: start it again with "
                            "-p NAME:=VALUE")
        parameters = [parse_value(name, text, Parameter.Type(found.type))
                      for (name, text), found in zip(texts.items(), described)]
        result = self._act(SetParametersAtomically, "set_parameters_atomically",
                           parameters=[parameter.to_parameter_msg() for parameter in parameters]).result
        if not result.successful:
            raise UserError(f"{self.name} refuses: {result.reason or 'without a reason'}")

    def trigger(self, service: str) -> str:
        """Calls one of its services.

        Args:
            service: ``refresh``, ``reset`` or ``save_static_mask``.

        Returns:
            What the node answers.

        Raises:
            UserError: The node refuses, with its reason; or it is not configured.
        """
        state = self.read_state()
        if state in ("unconfigured", "finalized"):
            raise UserError(f"{self.name} is {state}: configure it first")
        answer = self._act(Trigger, service)
        if not answer.success:
            raise UserError(f"{self.name} refuses: {answer.message}")
        return str(answer.message)

    def list_topics(self) -> tuple[NodeTopic, ...]:
        """Its topics, those that it publishes first, without those that every node has."""
        name, space = self.name.rpartition("/")[2], self.name.rpartition("/")[0] or "/"
        found = []
        for is_output, find, describe in (
                (True, self._client.get_publisher_names_and_types_by_node, self._client.get_publishers_info_by_topic),
                (False, self._client.get_subscriber_names_and_types_by_node,
                 self._client.get_subscriptions_info_by_topic)):
            for topic, _ in find(name, space):
                found += [_describe(topic, one, is_output) for one in describe(topic)
                          if (one.node_name, one.node_namespace) == (name, space) and topic not in COMMON]
        return tuple(sorted(dict.fromkeys(found), key=lambda one: (not one.is_output, one.topic)))

    def find_output(self, kind: str) -> str:
        """Finds the topic on which it publishes messages of a type, remapped or not.

        Args:
            kind: Full name of the type.

        Returns:
            Full name of the topic.

        Raises:
            UserError: There is none: the node is not configured.
        """
        for one in self.list_topics():
            if one.is_output and one.kind == kind:
                return one.topic
        raise UserError(f"{self.name} publishes no {kind}: it is {self.read_state()}")

    def _check_names(self, names: Iterable[str]) -> None:
        self._known = self._known or self.list_parameters()
        for name in names:
            if name not in self._known:
                raise UserError(f"{self.name} has no parameter {name}{suggest(name, self._known)}")

    def _ask(self, kind: Any, service: str, **fields: Any) -> Any:
        return self._client.ask(kind, f"{self.name}/{service}", **fields)

    def _act(self, kind: Any, service: str, **fields: Any) -> Any:
        return self._client.ask(kind, f"{self.name}/{service}", ACTION_S, is_query=False, **fields)


COMMON = ("/rosout", "/parameter_events")


def _describe(topic: str, one: Any, is_output: bool) -> NodeTopic:
    qos = one.qos_profile
    reliability = "reliable" if qos.reliability is ReliabilityPolicy.RELIABLE else "best_effort"
    is_latched = qos.durability is DurabilityPolicy.TRANSIENT_LOCAL
    return NodeTopic(topic, one.topic_type, is_output, reliability, is_latched)


def _to_plain(value: Any) -> Any:
    """A value without arrays, which YAML and JSON do not know."""
    if isinstance(value, bytes) or (value is not None and not isinstance(value, bool | int | float | str)):
        return list(value)
    return value
