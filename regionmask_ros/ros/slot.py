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
        self._closed = self._woken = False

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

    @property
    def ended(self) -> bool:
        """It is closed and empty."""
        with self._changed:
            return self._closed and not self._items

    def take(self, timeout_s: float | None = None) -> T | None:
        """The item, as soon as there is one. None when there is none within the time, after ``wake``, and once the slot
        has ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed or self._woken, timeout_s)
            self._woken = False
            return self._items.pop() if self._items else None

    def wake(self) -> None:
        """Whoever waits in ``take``, or comes next, goes on without an item if there is none."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def close(self) -> None:
        """No more items. The one inside, if any, can still be taken. Harmless when called twice."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
