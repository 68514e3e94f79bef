"""The worker process: does calls that arrive on a socket, until the other end closes.

It leads a session of its own, so that Ctrl-C in a terminal reaches the command only, which then ends it. If the command
dies, the socket closes: a call that is going on is interrupted then, so that its temporary files are removed.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import sys
import threading
from multiprocessing.connection import Connection
from typing import Any

from ..interrupts import Interruptions
from .calls import Shared, perform


def main() -> int:
    """Serves the socket whose number is the argument. Returns the exit status."""
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)
    connection = Connection(descriptor)
    requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
    interruptions = Interruptions()
    try:
        with interruptions:
            threading.Thread(target=_receive, args=(connection, requests), daemon=True).start()
            return _serve(connection, requests)
    except KeyboardInterrupt:
        return interruptions.exit_status


def _serve(connection: Connection, requests: queue.SimpleQueue[Any]) -> int:
    shared: Shared | None = None
    while (request := requests.get()) is not None:
        # Only the command that started this process holds the other end.
        message = pickle.loads(request)
        if isinstance(message, Shared):
            shared = message
            continue
        assert shared is not None, "it is sent first"
        outcome = perform(shared, *message)
        try:
            connection.send(outcome)
        except (BrokenPipeError, ConnectionResetError):
            break
    return 0


def _receive(connection: Connection, requests: queue.SimpleQueue[Any]) -> None:
    """Puts what arrives into the queue. At the end of the connection it ends the process, whatever that does."""
    try:
        while True:
            requests.put(connection.recv_bytes())
    except (EOFError, OSError):
        requests.put(None)
        os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
