"""Agreement: detections of one version of a network as the truth for another one."""

from __future__ import annotations

import numpy as np
import pytest

from regionmask_ros.core.detections import Detections
from regionmask_ros.metrics.agreement import measure_agreement


def found(*rows) -> Detections:
    """Detections from x, score and class of boxes of 20 pixels."""
    boxes = np.array([[x, 0, x + 20, 20] for x, _, _ in rows], np.float32).reshape(-1, 4)
    return Detections(boxes, np.array([score for _, score, _ in rows], np.float32),
                      np.array([class_id for _, _, class_id in rows], np.int32))


def test_agreement_counts_what_the_reference_is_sure_of():
    reference = [found((0, 0.9, 0), (50, 0.5, 1), (100, 0.3, 0), (150, 0.1, 0)), found((0, 0.8, 2))]
    assert measure_agreement(reference, reference) == 100.0
    assert measure_agreement(reference, [found((0, 0.6, 0), (50, 0.5, 1)), found((0, 0.5, 2))]) == 100.0
    assert measure_agreement(reference, [found((0, 0.6, 0)), found((0, 0.5, 2))]) == pytest.approx(66.7, abs=1)
    assert measure_agreement(reference, [found((0, 0.6, 1), (50, 0.5, 1)), found((0, 0.5, 2))]) < 70
    assert measure_agreement(reference, [found(), found()]) == 0.0
    assert np.isnan(measure_agreement([found((0, 0.3, 0))], [found((0, 0.9, 0))]))
