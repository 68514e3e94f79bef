"""Workers in a Ray cluster: a local one, or one that runs already. Ray is imported when it is asked for, not before."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import sys
import threading
import time
from typing import Any

from ..errors import UserError, to_one_line
from ..interrupts import SIGNALS
from .calls import Outcome, Shared, Work, perform

LOCAL = "local"
"""The address of a Ray that is started for this work, and ends with it."""

AHEAD = 1.25
"""Calls that are handed to the cluster, as a share of its processors: so no node waits for this program, and a cluster
that can grow sees the demand."""

COUNT_PERIOD_S = 5.0
"""The processors of the cluster are counted anew after this time, because nodes come and go."""

REACH_S = 10.0
"""So long an address may take to answer."""

MAKE_FLEET = "run 'make fleet', or: pip install 'ray' fsspec"
_ADDRESS = re.compile(r"auto|local|[\w.\-\[\]:]+:[0-9]{1,5}")


def check_address(address: str) -> str:
    """Checks an address of a cluster before anything is started.

    Args:
        address: As given by the user.

    Returns:
        The same.

    Raises:
        UserError: It is none.
    """
    if not _ADDRESS.fullmatch(address):
        raise UserError(f"--ray {address}: no address of a cluster: HOST:PORT or auto; without one, write --ray "
                        "behind the sources")
    return address


class RayCluster:
    """Calls as tasks of Ray, each on one processor. Ray's own retries and its reports about its use are off.

    Args:
        address: Of a running cluster; ``LOCAL``: start one for this work.
        job: The first argument of all work. It is put into the cluster once.
        processors: Of a local Ray; None: those of this machine.

    Raises:
        UserError: Ray is not installed, or there is no cluster at the address.
    """

    def __init__(self, address: str, job: Any, processors: int | None = None) -> None:
        self._ray = _load_ray()
        self._address = address
        if address not in (LOCAL, "auto"):
            _check_reachable(address)
        options: dict[str, Any] = {"num_cpus": processors} if address == LOCAL and processors else {}
        try:
            with _own_signals():
                self._ray.init(address=address, log_to_driver=False, logging_level="error", configure_logging=False,
                               **({"include_dashboard": False} if address == LOCAL else {}), **options)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            raise UserError(f"--ray {address}: no cluster to be reached: {to_one_line(str(error), 200)}") from error
        # Ray counts its own retries without saying so: here each try is counted once.
        self._perform = self._ray.remote(num_cpus=1, max_retries=0)(perform)
        self._shared = self._ray.put(Shared(job))
        self._tickets: dict[Any, int] = {}
        self._processors, self._counted_s = 1, -COUNT_PERIOD_S

    @property
    def capacity(self) -> int:
        """See ``Executor``."""
        return int(self._count() * AHEAD) + 1

    @property
    def place(self) -> str:
        """See ``Executor``."""
        nodes = sum(bool(node["Alive"]) for node in self._ray.nodes())
        return f"Ray: {self._count()} processors on {'1 node' if nodes == 1 else f'{nodes} nodes'}"

    def submit(self, ticket: int, work: Work, item: Any) -> None:
        """See ``Executor``."""
        self._tickets[self._perform.remote(self._shared, ticket, work, item)] = ticket

    def wait(self, timeout_s: float) -> list[Outcome]:
        """See ``Executor``."""
        if not self._tickets:
            return []
        ready, _ = self._ray.wait(list(self._tickets), num_returns=1, timeout=timeout_s)
        if ready:
            ready, _ = self._ray.wait(list(self._tickets), num_returns=len(self._tickets), timeout=0)
        return [self._take(reference) for reference in ready]

    def close(self) -> None:
        """See ``Executor``."""
        if self._ray is None:
            return
        with contextlib.suppress(Exception):  # The cluster may be gone: then there is nothing to stop.
            for reference in self._tickets:
                self._ray.cancel(reference, force=True)
        self._tickets.clear()
        self._ray.shutdown()
        self._ray = None

    def _take(self, reference: Any) -> Outcome:
        ticket = self._tickets.pop(reference)
        try:
            outcome: Outcome = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            # ``perform`` catches what the work raises: the worker cannot even begin.
            return Outcome(ticket, refusal=to_one_line(f"the node cannot do it; it needs regionmask_ros installed: "
                                                       f"{str(error).strip().splitlines()[-1]}"))
        except (self._ray.exceptions.RayError, RuntimeError, OSError) as error:
            return Outcome(ticket, death=to_one_line(f"the worker or its node has ended: {type(error).__name__}"))
        return outcome

    def _count(self) -> int:
        if time.monotonic() - self._counted_s >= COUNT_PERIOD_S:
            self._counted_s = time.monotonic()
            self._processors = max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        return self._processors


def _check_reachable(address: str) -> None:
    """Raises UserError if nobody listens there. Ray itself tries for many minutes."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), REACH_S).close()
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise UserError(f"--ray {address}: no cluster to be reached: {why}") from None


def _load_ray() -> Any:
    """Imports Ray, with its usage statistics off."""
    # Read when Ray is imported and started; also by the processes that it starts.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray
    except ImportError as error:
        raise UserError(f"--ray: Ray cannot be imported ({to_one_line(str(error), 100)}) in {sys.executable}: "
                        f"{MAKE_FLEET}") from None
    return ray


@contextlib.contextmanager
def _own_signals() -> Any:
    """Keeps the handlers of this program: Ray installs one for SIGTERM."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
