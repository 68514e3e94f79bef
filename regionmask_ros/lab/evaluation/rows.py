"""From runs to rows: one for each setting and sequence, and a summary for each setting over all sequences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from ...datasets.moved_view import ViewShift
from ...metrics.average_precision import confidence_interval
from ...metrics.loihi2 import energy_delay_product
from .evaluate import SETTLING_FRAMES, SequenceRuns
from .scoring import Accuracy, delay_figures
from .setting_run import SettingRun, without_first_frame

EDP_KINDS = ("rows_low", "rows_high", "even")


class Scored(Protocol):
    """What the summary needs of a sequence; ``SequenceRows`` has it."""

    @property
    def baseline(self) -> Accuracy:
        """Accuracy of the unmasked run."""

    @property
    def accuracies(self) -> Mapping[str, Accuracy]:
        """By the name of the setting."""

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One for each setting, in JSON's types."""


class SequenceRows:
    """The rows of one sequence.

    Attributes:
        baseline: Accuracy of the unmasked run.
        accuracies: By the name of the setting, for the summary.
        rows: One for each setting, in JSON's types.
    """

    def __init__(self, runs: SequenceRuns) -> None:
        self._runs = runs
        # Settings of a sequence are resampled with equal draws, which makes the intervals of their differences narrow.
        self.baseline = runs.baseline.scorer.accuracy(runs.name)
        self.accuracies = {name: run.scorer.accuracy(runs.name) for name, run in runs.runs.items()}
        self.rows = [self._row(name, run, self.accuracies[name]) for name, run in runs.runs.items()]

    def _row(self, name: str, run: SettingRun, accuracy: Accuracy) -> dict[str, Any]:
        record, baseline = run.record, self._runs.baseline
        width, height = self._runs.input_wh
        values, baseline_values = without_first_frame(record.cpu_ms), without_first_frame(baseline.record.cpu_ms)
        drops = self.baseline.resampled - accuracy.resampled
        row = {
            "sequence": self._runs.name,
            "setting": name,
            "network": run.pipeline.network.name,
            "backend": run.pipeline.settings.backend,
            "map50": _number(accuracy.map50, 2),
            "map50_ci90": [_number(end, 2) for end in confidence_interval(accuracy.resampled.tolist())],
            "map50_drop": _number(self.baseline.map50 - accuracy.map50, 2),
            "map50_drop_ci90": [_number(end, 2) for end in confidence_interval(drops.tolist())],
            "map50_24px": _number(accuracy.map50_tall, 2),
            "ap50": {kind: _number(value, 2) for kind, value in accuracy.ap50.items()},
            "masked_share": _number(without_first_frame(record.masked_share).mean(), 4),
            "encoder_events_per_frame": _number(_mean_events(run), 1),
            "synops_per_frame": _number(_mean_synops(run), 1),
            "synops_gain": _ratio(_mean_synops(baseline), _mean_synops(run)),
            "mac_share": _mac_share(run),
            "edp_gain_modelled": edp_gain_factors(baseline, run),
            "edp_modelled_js": _number(energy_delay_product(run.record.even), 12) if run.record.even else None,
            "cpu_ms_median": _number(np.median(values), 4),
            "cpu_ms_mean": _number(values.mean(), 4),
            "cpu_ms_p95": _number(np.percentile(values, 95), 4),
            "cpu_gain": _ratio(baseline_values.mean(), values.mean()),
            "cpu_p95_ratio": _ratio(np.percentile(values, 95), np.percentile(baseline_values, 95)),
            "mask_ms_mean": _number(without_first_frame(record.mask_ms).mean(), 4),
            "new_object_delay_frames": delay_figures(run.scorer, baseline.scorer),
            "frames": run.scorer.frames,
            "first_frame": self._runs.first_frame,
            "input_size": f"{width}x{height}",
            "arithmetic": run.pipeline.settings.arithmetic or None,
            "thresholds": run.pipeline.settings.thresholds or None,
        }
        move = self._runs.move
        return row if move is None else {**row, "moved_view": accuracy_after_shift(self._runs, run, move)}


def accuracy_after_shift(runs: SequenceRuns, run: SettingRun, move: ViewShift) -> dict[str, Any]:
    """Accuracy before the view moves, while a mask may adapt, and after, each also as a share of the unmasked one.

    Args:
        runs: All runs of the sequence.
        run: The run of one setting.
        move: How the view moves.

    Returns:
        Figures in JSON's types.
    """
    moved = move.frame - runs.first_frame
    figures: dict[str, Any] = {"share": move.share, "frame": move.frame, "settling_frames": SETTLING_FRAMES}
    settled = moved + SETTLING_FRAMES
    for name, span in (("before", (0, moved)), ("settling", (moved, settled)), ("after", (settled, run.scorer.frames))):
        value, baseline_value = run.scorer.map50_of(*span), runs.baseline.scorer.map50_of(*span)
        masked = np.asarray(run.record.masked_share[slice(*span)], np.float64).mean()
        figures[name] = {
            "map50": _number(value, 2), "of_unmasked": _ratio(value, baseline_value),
            "masked_share": _number(masked, 4)}
    return figures


def edp_gain_factors(baseline: SettingRun, run: SettingRun) -> dict[str, float | None]:
    """Modeled energy-delay product of the baseline over the run's.

    Args:
        baseline: The unmasked run.
        run: The run of one setting.

    Returns:
        ``even``: with synops spread evenly over cores, and a free synop. ``rows_low`` and ``rows_high``: with rows
        spread over cores, the smaller and the larger of the gains with a free and with the most expensive synop. None
        where the model does not apply.
    """
    def gain(kind: str) -> float | None:
        baseline_costs, costs = getattr(baseline.record, kind), getattr(run.record, kind)
        if not (baseline_costs and costs):
            return None
        return _ratio(energy_delay_product(baseline_costs), energy_delay_product(costs))

    ends = [value for value in (gain("rows_low"), gain("rows_high")) if value is not None]
    return {"rows_low": min(ends, default=None), "rows_high": max(ends, default=None), "even": gain("even")}


def summarize(sequences: Sequence[Scored]) -> list[dict[str, Any]]:
    """Means over sequences: arithmetic ones of accuracy, masked share and times, geometric ones of gains and ratios.

    Drops refer to the unmasked run with trained thresholds; their 90 % interval pools the sequences, each resampled
    on its own.

    Args:
        sequences: The rows of each sequence.

    Returns:
        One entry for each setting, in JSON's types.
    """
    summary = []
    for name in sequences[0].accuracies:
        rows = [row for sequence in sequences for row in sequence.rows if row["setting"] == name]
        drops = [s.baseline.map50 - s.accuracies[name].map50 for s in sequences]
        pooled = np.mean([s.baseline.resampled - s.accuracies[name].resampled for s in sequences], axis=0)
        summary.append({
            "setting": name,
            "network": rows[0]["network"],
            "backend": rows[0]["backend"],
            "sequences": len(rows),
            "map50": _number(np.mean([s.accuracies[name].map50 for s in sequences]), 2),
            "map50_drop_mean": _number(np.mean(drops), 2),
            "map50_drop_ci90": [_number(end, 2) for end in confidence_interval(pooled)],
            "map50_drop_worst": _number(max(drops), 2),
            "masked_share": _number(np.mean([row["masked_share"] for row in rows]), 4),
            "synops_gain": _geometric([row["synops_gain"] for row in rows]),
            "mac_share": _mean_number([row["mac_share"] for row in rows]),
            "edp_gain_modelled": {
                kind: _geometric([row["edp_gain_modelled"][kind] for row in rows]) for kind in EDP_KINDS},
            "cpu_ms_mean": _number(np.mean([row["cpu_ms_mean"] for row in rows]), 4),
            "cpu_ms_p95": _number(np.mean([row["cpu_ms_p95"] for row in rows]), 4),
            "cpu_gain": _geometric([row["cpu_gain"] for row in rows]),
            "cpu_p95_ratio": _geometric([row["cpu_p95_ratio"] for row in rows]),
            "mask_ms_mean": _number(np.mean([row["mask_ms_mean"] for row in rows]), 4),
        })
    return summary


def _mean_events(run: SettingRun) -> float:
    if not run.record.counts:
        return math.nan
    return float(without_first_frame([counts.encoder_events for counts in run.record.counts]).mean())


def _mean_synops(run: SettingRun) -> float:
    if not run.record.counts:
        return math.nan
    return float(without_first_frame([counts.total_synops for counts in run.record.counts]).mean())


def _mac_share(run: SettingRun) -> float | None:
    """None where the tile engine does not compute."""
    shares = run.record.mac_shares
    return _number(without_first_frame(shares).mean(), 4) if shares else None


def _mean_number(values: Sequence[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return _number(np.mean(present), 4) if present else None


def _number(value: float | np.floating[Any], digits: int) -> float | None:
    """Rounded for JSON, which knows no nan."""
    return None if math.isnan(value) else round(float(value), digits)


def _ratio(above: float, below: float) -> float | None:
    """None where there is nothing to divide by, or no number to divide."""
    return round(above / below, 4) if below > 0.0 and not math.isnan(above) else None


def _geometric(values: Sequence[float | None]) -> float | None:
    present = [value for value in values if value]
    return round(float(np.exp(np.mean(np.log(present)))), 4) if present else None
