"""Bytes of arrays, and of the process."""

from __future__ import annotations

import numpy as np

from regionmask_ros.lab.bench.clip import Clip
from regionmask_ros.metrics.machine import array_bytes, resident_bytes


def test_memory_behind_views_counts_once_and_shared_memory_not():
    own, shared = np.zeros(1000, np.int32), np.zeros(500, np.int64)
    clip = Clip("made in memory", (own[10:], own[::2].view(np.uint32), shared[:3]), (32, 32), (32, 32), 25.0)
    assert array_bytes([{"a": [clip]}, (own,)]) == 4000 + 24
    assert array_bytes([clip], shared=[shared]) == 4000
    assert array_bytes(["text", 5, None, np]) == 0


def test_resident_memory_follows_what_is_touched_and_freed():
    before = resident_bytes()
    assert before is not None and before > 1 << 20
    block = np.ones(64 << 20, np.uint8)
    there = resident_bytes()
    del block
    after = resident_bytes()
    assert 60 << 20 < there - before < 70 << 20 and there - after > 60 << 20
