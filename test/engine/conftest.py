"""What tests of single paths share."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture(scope="session")
def equals_reference():
    """A function: plays messages, int [h, w, c] of each frame, to an engine and to the twin, and compares heads and
    counts of events."""

    def check(engine, reference_network, messages) -> None:
        for message in messages:
            expected = reference_network.step(message)
            index = np.flatnonzero(message).astype(np.int32)
            result = engine.step(index, message.ravel()[index].astype(np.int32))
            np.testing.assert_array_equal(result.head, expected)
            assert list(result.layer_events) == [np.count_nonzero(sent) for sent in reference_network.messages[1:]]

    return check
