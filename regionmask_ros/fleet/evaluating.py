"""The work of ``evaluate`` with many data sets: the rows of one, as an evaluation of it alone has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..datasets import open_dataset
from ..datasets.bag import BagTopics
from ..datasets.thinned import thin_out
from ..errors import MISSING, InvalidFile, UserError
from ..lab.evaluation.evaluate import evaluate_sequence
from ..lab.evaluation.rows import SequenceRows
from ..lab.evaluation.scoring import Accuracy
from ..lab.evaluation.settings import parse_setting
from ..network.dense import AnyNetwork
from ..pipeline.settings import PipelineSettings
from .addresses import fetched
from .arrays import pack_array, unpack_array
from .calls import UnitResult
from .units import ImageLimits, Unit


@dataclass(frozen=True)
class NetworkPlan:
    """What is evaluated of one network.

    Attributes:
        network: The network.
        settings: Their names.
        base: What they have in common.
    """

    network: AnyNetwork
    settings: tuple[str, ...]
    base: PipelineSettings


@dataclass(frozen=True)
class Evaluating:
    """What all units of an evaluation share. The fields are those of the command's arguments.

    Attributes:
        plans: One for each network.
        topics: In bags.
        images: Folder of the images that COCO files name.
        calibration_share: First part of a sequence, for learning.
        every: Every N-th frame is taken.
        shift_view: By which share of its width the view moves.
        tuned: Whether settings that have tuned thresholds use them.
        limits: Of the pictures.
    """

    plans: tuple[NetworkPlan, ...]
    topics: BagTopics
    images: str
    calibration_share: float
    every: int
    shift_view: float
    tuned: bool
    limits: ImageLimits


@dataclass(frozen=True)
class StoredRows:
    """The rows of a sequence, after a journey or a rest on the disk; ``SequenceRows`` has the same attributes.

    Attributes:
        baseline: Accuracy of the unmasked run.
        accuracies: By the name of the setting.
        rows: One for each setting, in JSON's types.
    """

    baseline: Accuracy
    accuracies: Mapping[str, Accuracy]
    rows: list[dict[str, Any]]


def evaluate_unit(job: Evaluating, unit: Unit) -> UnitResult:
    """Evaluates a data set.

    Args:
        job: What all units share.
        unit: The data set; it may hold several sequences.

    Returns:
        Facts: of each network, the rows and accuracies of each sequence.

    Raises:
        UserError: The data set or the settings cannot be used.
    """
    reading, ticks = job.limits.new_reading(), 0

    def tick() -> None:
        nonlocal ticks
        ticks += 1

    with fetched(unit.place.path) as local:
        try:
            sequences = open_dataset(f"{unit.place.kind}:{local}", job.topics, job.images, reading)
        except UserError as error:
            raise UserError(str(error).replace(local, unit.place.path), error.reason) from error
        for place in (place for sequence in sequences for place in sequence.missing):
            reading.dropped.add(UserError(f"{place}: there is no such image", MISSING), place)
        sequences = [thin_out(sequence, job.every) for sequence in sequences]
        stored = [[_store(SequenceRows(evaluate_sequence(
            plan.network, sequence, [parse_setting(name) for name in plan.settings], plan.base, job.calibration_share,
            tick, job.shift_view, tuned=job.tuned))) for sequence in sequences] for plan in job.plans]
    notes = [note for sequence in sequences for note in sequence.notes]
    return UnitResult({"source": str(unit.place), "networks": stored, "frames": ticks, "notes": notes,
                       **reading.dropped.as_json()})


def read_stored(results: Sequence[UnitResult], plan: int) -> list[StoredRows]:
    """The sequences of a network.

    Args:
        results: Of all data sets, in their order.
        plan: Number of the network.

    Returns:
        All sequences, in order.

    Raises:
        UserError: A journal holds something else.
    """
    try:
        return [StoredRows(_read_accuracy(one["baseline"]),
                           {name: _read_accuracy(value) for name, value in one["accuracies"].items()}, one["rows"])
                for result in results for one in result.facts["networks"][plan]]
    except (InvalidFile, KeyError, TypeError, IndexError, AttributeError) as error:
        raise UserError(f"the journal is damaged: delete it and start again ({error})") from error


def _store(rows: SequenceRows) -> dict[str, Any]:
    return {"baseline": _store_accuracy(rows.baseline), "rows": rows.rows,
            "accuracies": {name: _store_accuracy(one) for name, one in rows.accuracies.items()}}


def _store_accuracy(accuracy: Accuracy) -> dict[str, Any]:
    return {"ap50": dict(accuracy.ap50), "map50": accuracy.map50, "map50_tall": accuracy.map50_tall,
            "resampled": pack_array(accuracy.resampled)}


def _read_accuracy(stored: Mapping[str, Any]) -> Accuracy:
    return Accuracy(stored["ap50"], stored["map50"], stored["map50_tall"], unpack_array(stored["resampled"]))
