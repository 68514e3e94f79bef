"""From runs to rows: one for each setting and sequence, and a summary for each setting over all sequences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...metrics.bootstrap import confidence_interval
from ...metrics.loihi2 import energy_delay_product
from .evaluate import SETTLING_FRAMES, SequenceRuns
from .run import SettingRun, without_first_frame
from .scoring import Accuracy, delay_figures

EDP_KINDS = ("rows_low", "rows_high", "even")


class SequenceRows:
    """The rows of one sequence. accuracies: by setting name, for the summary."""

    def __init__(self, runs: SequenceRuns) -> None:
        self._runs = runs
        # Settings of a sequence are resampled with equal draws, so that their differences can be trusted further.
        self.baseline = runs.baseline.scorer.accuracy(runs.name)
        self.accuracies = {name: run.scorer.accuracy(runs.name) for name, run in runs.runs.items()}
        self.rows = [self._row(name, run, self.accuracies[name]) for name, run in runs.runs.items()]

    def _row(self, name: str, run: SettingRun, accuracy: Accuracy) -> dict[str, Any]:
        record, baseline = run.record, self._runs.baseline
        width, height = self._runs.input_wh
        own, theirs = without_first_frame(record.cpu_ms), without_first_frame(baseline.record.cpu_ms)
        row = {
            "sequence": self._runs.name,
            "setting": name,
            "map50": _number(accuracy.map50, 2),
            "map50_ci90": [_number(end, 2) for end in confidence_interval(accuracy.resampled)],
            "map50_drop": _number(self.baseline.map50 - accuracy.map50, 2),
            "map50_drop_ci90": [_number(e, 2) for e in confidence_interval(self.baseline.resampled - accuracy.resampled)],
            "map50_24px": _number(accuracy.map50_tall, 2),
            "ap50": {kind: _number(value, 2) for kind, value in accuracy.ap50.items()},
            "masked_share": _number(without_first_frame(record.masked_share).mean(), 4),
            "encoder_events_per_frame": _number(_mean_events(run), 1),
            "synops_per_frame": _number(_mean_synops(run), 1),
            "synops_gain": _ratio(_mean_synops(baseline), _mean_synops(run)),
            "edp_gain_modelled": {kind: value for kind, value in edp_gain_factors(baseline, run).items()},
            "cpu_ms_median": _number(np.median(own), 4),
            "cpu_ms_mean": _number(own.mean(), 4),
            "cpu_gain": _ratio(theirs.mean(), own.mean()),
            "mask_ms_mean": _number(without_first_frame(record.mask_ms).mean(), 4),
            "new_object_delay_frames": delay_figures(run.scorer, baseline.scorer),
            "frames": run.scorer.frames,
            "first_frame": self._runs.first_frame,
            "input_size": f"{width}x{height}",
            "arithmetic": run.pipeline.settings.arithmetic,
            "thresholds": run.pipeline.settings.thresholds,
        }
        return row if self._runs.move is None else {**row, "moved_view": accuracy_after_shift(self._runs, run)}


def accuracy_after_shift(runs: SequenceRuns, run: SettingRun) -> dict[str, Any]:
    """Accuracy before the view moves, while a mask may settle, and after, each also as a share of the unmasked one."""
    moved = runs.move.frame - runs.first_frame
    figures: dict[str, Any] = {"share": runs.move.share, "frame": runs.move.frame, "settling_frames": SETTLING_FRAMES}
    settled = moved + SETTLING_FRAMES
    for name, span in (("before", (0, moved)), ("settling", (moved, settled)), ("after", (settled, run.scorer.frames))):
        own, theirs = run.scorer.map50_of(*span), runs.baseline.scorer.map50_of(*span)
        masked = np.asarray(run.record.masked_share[slice(*span)], np.float64).mean()
        figures[name] = {
            "map50": _number(own, 2), "of_unmasked": _ratio(own, theirs), "masked_share": _number(masked, 4)}
    return figures


def edp_gain_factors(baseline: SettingRun, run: SettingRun) -> dict[str, float | None]:
    """Modelled energy-delay product of the baseline over the run's: for synops spread evenly (a free synop), and for
    rows laid over cores, the smaller and the larger of the gains with a free and with the dearest synop. None where
    the model does not apply.
    """
    def gain(kind: str) -> float | None:
        theirs, own = getattr(baseline.record, kind), getattr(run.record, kind)
        return _ratio(energy_delay_product(theirs), energy_delay_product(own)) if theirs and own else None

    ends = [value for value in (gain("rows_low"), gain("rows_high")) if value is not None]
    return {"rows_low": min(ends, default=None), "rows_high": max(ends, default=None), "even": gain("even")}


def summarise(sequences: Sequence[SequenceRows]) -> list[dict[str, Any]]:
    """One entry for each setting: arithmetic means of accuracy and masked share, geometric means of gains.

    Drops refer to the unmasked run with trained thresholds; their 90 % interval pools the sequences, each resampled
    on its own.
    """
    summary = []
    for name in sequences[0].accuracies:
        rows = [row for sequence in sequences for row in sequence.rows if row["setting"] == name]
        drops = [s.baseline.map50 - s.accuracies[name].map50 for s in sequences]
        pooled = np.mean([s.baseline.resampled - s.accuracies[name].resampled for s in sequences], axis=0)
        summary.append({
            "setting": name,
            "sequences": len(rows),
            "map50": _number(np.mean([s.accuracies[name].map50 for s in sequences]), 2),
            "map50_drop_mean": _number(np.mean(drops), 2),
            "map50_drop_ci90": [_number(end, 2) for end in confidence_interval(pooled)],
            "map50_drop_worst": _number(max(drops), 2),
            "masked_share": _number(np.mean([row["masked_share"] for row in rows]), 4),
            "synops_gain": _geometric([row["synops_gain"] for row in rows]),
            "edp_gain_modelled": {
                kind: _geometric([row["edp_gain_modelled"][kind] for row in rows]) for kind in EDP_KINDS
            },
            "cpu_gain": _geometric([row["cpu_gain"] for row in rows]),
            "mask_ms_mean": _number(np.mean([row["mask_ms_mean"] for row in rows]), 4),
        })
    return summary


def _mean_events(run: SettingRun) -> float:
    return float(without_first_frame([counts.encoder_events for counts in run.record.counts]).mean())


def _mean_synops(run: SettingRun) -> float:
    return float(without_first_frame([counts.total_synops for counts in run.record.counts]).mean())


def _number(value: float, digits: int) -> float | None:
    """Rounded for JSON, which knows no nan."""
    return None if math.isnan(value) else round(float(value), digits)


def _ratio(above: float, below: float) -> float | None:
    """None where there is nothing to divide by, or no number to divide."""
    return round(above / below, 4) if below > 0.0 and not math.isnan(above) else None


def _geometric(values: Sequence[float | None]) -> float | None:
    present = [value for value in values if value]
    return round(float(np.exp(np.mean(np.log(present)))), 4) if present else None
