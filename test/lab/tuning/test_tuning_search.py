"""The search, on work and disagreement that a formula gives."""

from __future__ import annotations

import numpy as np
import pytest

from regionmask_ros.errors import UserError
from regionmask_ros.lab.tuning.search import Journal, Score, count_trials, make_key, search
from regionmask_ros.lab.tuning.trial import ClipMetrics, TrialResult
from regionmask_ros.network.thresholds import LARGEST

START = {"encoder": 6, "conv1": 6, "conv2": 6}
COSTS = {"encoder": 3.0, "conv1": 0.2, "conv2": 0.1}
"""Points of disagreement for each 1/64: the last one is cheap to raise."""


def result(thresholds) -> TrialResult:
    work = float(np.prod([1.0 / value for value in thresholds.values()]))
    points = sum(COSTS[name] * value for name, value in thresholds.items())
    return TrialResult({"clip": ClipMetrics(work, work, work, work, 100.0 - points, 0.1)})


def evaluate(thresholds) -> Score:
    return Score(float(np.log(result(thresholds).clips["clip"].edp_js)), result(thresholds).disagreement, 12.0)


def test_thresholds_that_cost_little_accuracy_grow_and_others_shrink_within_the_bound():
    found = search(START, evaluate, 4, np.random.default_rng(0))
    assert evaluate(found).value < evaluate(START).value and evaluate(found).disagreement <= 12.0
    assert found["encoder"] < 6 < found["conv1"] and found["conv2"] > 12
    assert all(1 <= value <= LARGEST for value in found.values())


def test_the_seed_decides_the_trials_and_they_are_few():
    tried: list[list[str]] = [[], []]
    for keys in tried:
        def record(thresholds, keys=keys) -> Score:
            keys.append(make_key(thresholds))
            return evaluate(thresholds)

        search(START, record, 3, np.random.default_rng(7))
    assert tried[0] == tried[1] and len(tried[0]) <= count_trials(len(START), 3)


def test_an_interrupted_search_continues_where_it_stopped(tmp_path):
    path, runs = tmp_path / "out.json.journal", []

    def with_journal(stop_after: int) -> dict[str, int]:
        journal = Journal(path, "question")

        def run(thresholds) -> TrialResult:
            if len(runs) == stop_after:
                raise KeyboardInterrupt
            runs.append(make_key(thresholds))
            return result(thresholds)

        def record(thresholds) -> Score:
            known = journal.result(make_key(thresholds), lambda: run(thresholds))
            return Score(float(np.log(known.clips["clip"].edp_js)), known.disagreement, 12.0)

        return search(START, record, 3, np.random.default_rng(0))

    with pytest.raises(KeyboardInterrupt):
        with_journal(5)
    assert len(Journal(path, "question")) == 5
    assert with_journal(10_000) == search(START, evaluate, 3, np.random.default_rng(0))
    assert len(runs) == len(set(runs)), "nothing is tried twice"
    with pytest.raises(UserError, match="other options"):
        Journal(path, "another question")
    path.write_text('{"question": 1}')
    with pytest.raises(UserError, match="not the journal"):
        Journal(path, "question")


def test_a_result_weighs_clips_equally_and_omits_clips_without_objects():
    quiet = ClipMetrics(1.0, 10.0, 10.0, 1.0, None, 0.3)
    one = TrialResult({"a": ClipMetrics(1.0, 10.0, 10.0, 2.0, 90.0, 0.1), "b": quiet})
    other = TrialResult({"a": ClipMetrics(4.0, 10.0, 40.0, 2.0, 80.0, 0.1), "b": quiet})
    assert one.disagreement == pytest.approx(10.0) and one.head_rms == pytest.approx(0.2)
    assert one.gain(other, "edp_js") == pytest.approx(2.0) and one.gain(other, "events") == pytest.approx(2.0)
    assert TrialResult.of_json(one.as_json()) == one
