"""The newest-wins slot between a callback that must return at once and a worker that takes its time."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class NewestSlot(Generic[T]):
    """Room for one item. A new one replaces one that nobody has taken yet: old pictures are of no use to a robot.

    For any number of threads that put and one that takes.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._items: list[T] = []
        self._closed = False

    def put(self, item: T) -> bool:
        """Never blocks. Returns True when an item that was not taken had to go.

        Raises RuntimeError when the slot is closed: the item would vanish without being counted.
        """
        with self._changed:
            if self._closed:
                raise RuntimeError("the slot is closed")
            overwritten = bool(self._items)
            self._items[:] = [item]
            self._changed.notify()
            return overwritten

    def take(self) -> T | None:
        """The item, as soon as there is one. None once the slot is closed and empty."""
        with self._changed:
            while not self._items:
                if self._closed:
                    return None
                self._changed.wait()
            return self._items.pop()

    def close(self) -> None:
        """No more items. The one inside, if any, can still be taken. Harmless when called twice."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
