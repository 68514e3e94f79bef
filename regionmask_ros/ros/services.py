"""Services of type std_srvs/Trigger: each answers with success, and with one line for people."""

from __future__ import annotations

from typing import Callable, Mapping

from rclpy.node import Node
from std_srvs.srv import Trigger

from ..errors import UserError


class Triggers:
    """Offers services below the node's own name until it is destroyed.

    actions: by name; each returns the line that tells what it did, or raises UserError.
    """

    def __init__(self, node: Node, actions: Mapping[str, Callable[[], str]]) -> None:
        self._node = node
        self._services = [
            node.create_service(Trigger, f"~/{name}", _answering(action)) for name, action in actions.items()
        ]

    def destroy(self) -> None:
        for service in self._services:
            self._node.destroy_service(service)


def _answering(action: Callable[[], str]) -> Callable[[Trigger.Request, Trigger.Response], Trigger.Response]:
    def answer(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            response.message, response.success = action(), True
        except UserError as error:
            response.message, response.success = str(error), False
        return response

    return answer
