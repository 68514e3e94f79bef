"""The slot for the newest image."""

from __future__ import annotations

import threading

import pytest

from regionmask_ros.ros.worker import NewestSlot


def test_newest_item_replaces_the_older_one_and_put_reports_it():
    slot = NewestSlot()
    assert [slot.put(item) for item in (1, 2, 3)] == [False, True, True]
    assert slot.take() == 3
    assert slot.put(4) is False
    assert slot.take() == 4


def test_take_waits_for_an_item():
    slot, taken = NewestSlot(), []
    taker = threading.Thread(target=lambda: taken.append(slot.take()))
    taker.start()
    assert taker.is_alive()
    slot.put("image")
    taker.join(5.0)
    assert taken == ["image"]


def test_closed_slot_gives_its_last_item_and_then_ends():
    slot = NewestSlot()
    slot.put("last")
    slot.close()
    slot.close()
    assert slot.take() == "last"
    assert slot.take() is None


def test_close_ends_a_waiting_take():
    slot, taken = NewestSlot(), []
    taker = threading.Thread(target=lambda: taken.append(slot.take()))
    taker.start()
    slot.close()
    taker.join(5.0)
    assert taken == [None]


def test_put_into_a_closed_slot_raises():
    slot = NewestSlot()
    slot.close()
    with pytest.raises(RuntimeError):
        slot.put("late")


def test_every_item_is_taken_or_reported_as_replaced_between_threads():
    slot, taken = NewestSlot(), []

    def take_all() -> None:
        while (item := slot.take()) is not None:
            taken.append(item)

    taker = threading.Thread(target=take_all)
    taker.start()
    lost = sum(slot.put(item) for item in range(1, 5001))
    slot.close()
    taker.join(10.0)
    assert taken == sorted(taken) and taken[-1] == 5000
    assert len(taken) + lost == 5000
