"""``model quantize`` with many sources: workers read pictures and measure accuracies, one process quantizes."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

from ..errors import UserError
from ..fleet.calls import UnitResult, Work
from ..fleet.places import Place, assign_names, expand, expand_datasets
from ..fleet.progress import UnitProgress
from ..fleet.quantizing import (
    PICTURES,
    Comparing,
    PictureSource,
    Picturing,
    compare_on,
    find_input,
    join_pictures,
    read_accuracies,
    share_pictures,
    take_pictures,
)
from ..fleet.scheduler import run_units
from ..fleet.units import Unit, make_units
from ..lab.quantization.quantize import Follow, LabelledAccuracy, Pictures, Quantized, quantize_on
from ..network.dense import AnyNetwork, DenseNetwork
from ..sources import Reading
from ._fleet import check_workers, make_limits, open_workers, tell_failures


def quantize_many(args: argparse.Namespace, network: AnyNetwork, name: str, reading: Reading, follow: Follow
                  ) -> Quantized:
    """Quantizes a network on the pictures of many sources.

    Args:
        args: The arguments.
        network: The network.
        name: Name of the int8 version.
        reading: Takes the account of dropped pictures.
        follow: Shows progress of what this process does.

    Returns:
        The int8 version, which is not stored.

    Raises:
        UserError: Arguments contradict each other, or no source can be used.
    """
    check_workers(args)
    places = expand(args.calibrate)
    datasets = expand_datasets(args.dataset) if args.dataset else []

    def read(base: DenseNetwork) -> Pictures:
        return _read(args, base, places, reading)

    def measure(base: DenseNetwork, best: DenseNetwork) -> Iterable[LabelledAccuracy]:
        job = Comparing(base, best, args.images, args.max_pixels, make_limits(args))
        return read_accuracies(_do(args, compare_on, job, _units(datasets), reading, "mAP")) if datasets else []

    return quantize_on(network, name, read, measure, follow)


def _read(args: argparse.Namespace, base: DenseNetwork, places: list[Place], reading: Reading) -> Pictures:
    chosen, quota = share_pictures(len(places))
    units = _units([places[number] for number in chosen])
    job = Picturing(base, quota, args.max_pixels, make_limits(args))
    input_wh = base.fixed_wh
    if input_wh is None:
        # As with one source: the first that can be read decides.
        for unit in units:
            found = _do(args, find_input, job, [unit], reading, "", must=False)
            if found:
                input_wh = tuple(found[0].facts["input_wh"])
                break
    sources = [PictureSource(unit.name, unit.place, input_wh=input_wh or (0, 0)) for unit in units]
    results = _do(args, take_pictures, job, sources, reading, "pictures")
    first = results[0].facts["about"]
    about = first if len(results) == 1 else f"{first} and {len(results) - 1} more"
    return join_pictures([result.files[PICTURES] for result in results], about)


def _units(places: list[Place]) -> list[Unit]:
    return make_units(places, assign_names([str(place) for place in places], {}))


def _do(args: argparse.Namespace, work: Work, job: Any, units: list[Unit] | list[PictureSource], reading: Reading,
        what: str, must: bool = True) -> list[UnitResult]:
    """The results of units, in their order; those that fail are told, and left out."""
    found: dict[str, UnitResult] = {}

    def take(unit: Unit, result: UnitResult) -> None:
        found[unit.key] = result
        if "dropped_reasons" in result.facts:
            reading.dropped.merge(result.facts)

    with open_workers(args, job, len(units)) as workers, UnitProgress(len(units), desc=what) as progress:
        failures = run_units(workers, work, units, take, progress if must else None, args.strict)
    if must:
        tell_failures(failures, len(units))
        if not found:
            raise UserError(f"no source could be used; the first: {failures[0].why}")
    return [found[unit.key] for unit in units if unit.key in found]
