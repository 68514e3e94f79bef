"""``tune_thresholds`` for networks of the tile engine: factors of the tensors and the three levels, for given clips."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..backends.tiles import read_tiles
from ..errors import UserError
from ..files.outputs import write_json
from ..files.paths import display_path
from ..importing.calibration import find_factors
from ..importing.lowering.lowering import lower_network
from ..lab.quantization.quantize import choose_size
from ..lab.tuning.tile_levels import ALLOWED, LADDER, LevelFigures, LevelTrials, choose_level
from ..lab.tuning.trial import ClipSegment, read_segments
from ..metrics.agreement import SURE
from ..network.cards import find_card, store_network
from ..network.dense import DenseNetwork
from ..progress import Progress
from ..sources import Reading
from ..tiles.network import TileNetwork
from ..tiles.quantization.files import StoredTiles, pack_tiles
from ._cli import format_command
from ._pictures import make_reading, report_dropped

_OTHERS = {"arithmetic": "snap", "input_step": 2, "minimise": "edp", "slack": 0.0, "preset": "", "start": "",
           "rounds": 3, "jobs": 0, "ray": ""}
"""Options of the search for YOLO-KP, and their defaults."""
_PRESETS = ("careful", "balanced", "fast")


@dataclass(frozen=True)
class _Tuned:
    """The network with its new thresholds, and figures of the levels."""

    tiles: TileNetwork
    figures: Mapping[str, Any]


def tune_tiles(args: argparse.Namespace, network: DenseNetwork, cuts: Mapping[str, tuple[int, ...]]) -> int:
    """Finds thresholds for clips, and stores them in the card of the network.

    Args:
        args: Of the command.
        network: The network.
        cuts: First frames of shots by path.

    Returns:
        The exit status.

    Raises:
        UserError: The network is not an imported one of the tile engine, or the clips cannot be used.
    """
    _check_options(args)
    card = find_card(args.network)
    if card is None:
        raise UserError(f"{display_path(args.network)}: the thresholds are stored with an imported network: import it "
                        "first, with 'model import', and give its name")
    stored, reading, rng = read_tiles(network), make_reading(args), np.random.default_rng(args.seed)
    read = partial(_read, network, cuts=cuts, args=args, rng=rng, reading=reading)
    tuning, held_out = read(args.clips), read(args.hold_out)
    trials = _make_trials(network, stored, tuning, args.clips)
    checking = _make_trials(network, stored, held_out, args.hold_out) if held_out else None
    tuned = _tune(network, stored, tuning, trials, checking)
    store_network(replace(network, tiles=pack_tiles(replace(stored, network=tuned.tiles))))
    made = {"command": format_command("tune_thresholds", args.argv), "version": __version__, "network": network.name,
            "truth": f"detections from a score of {SURE} on when all is computed, average precision at IoU 0.5",
            **reading.dropped.as_json(), **tuned.figures}
    if args.output:
        write_json(Path(args.output), made)
    _print_figures(tuned.figures)
    print(f"{network.name}: thresholds stored in {display_path(card.parent)}")
    return report_dropped(reading, args)


def _check_options(args: argparse.Namespace) -> None:
    for name, default in _OTHERS.items():
        if getattr(args, name) != default:
            raise UserError(f"--{name.replace('_', '-')}: only for YOLO-KP; networks of the tile engine have one "
                            "search, in one process")


def _read(network: DenseNetwork, words: Sequence[str], cuts: Mapping[str, tuple[int, ...]], args: argparse.Namespace,
          rng: np.random.Generator, reading: Reading) -> list[ClipSegment]:
    with Progress(unit="frame", desc="reading") as progress:
        return [segment for path in words for segment in read_segments(
            path, cuts.get(path, ()), args.frames, args.stretches, args.max_pixels, rng, progress.update, reading,
            partial(choose_size, network))]


def _make_trials(network: DenseNetwork, stored: StoredTiles, segments: Sequence[ClipSegment], clips: Sequence[str]
                 ) -> LevelTrials:
    trials = LevelTrials(network, stored, segments,
                         lambda items: Progress(items, unit="segment", desc="all computed", leave=False))
    if not trials.can_compare:
        raise UserError(f"{', '.join(map(display_path, clips))}: the network finds hardly anything at a score of "
                        f"{SURE}; give other clips")
    return trials


def _tune(network: DenseNetwork, stored: StoredTiles, segments: Sequence[ClipSegment], trials: LevelTrials,
          checking: LevelTrials | None) -> _Tuned:
    before = stored.network
    pictures = [segment.frames[0].pixels for segment in segments]
    factors = find_factors(network, lower_network(network), before.quantizations, pictures,
                           lambda items, what: Progress(items, unit="step", desc=what, leave=False))
    tiles = replace(before, factors=factors)
    figures = [trials.run(tiles, level) for level in Progress(LADDER, unit="level", desc="levels", leave=False)]
    chosen = [choose_level(figures, allowed) for allowed in ALLOWED]
    first, second, third = (one.level for one in chosen)
    tiles = replace(tiles, levels=(first, second, third))
    result: dict[str, Any] = {"trials": list(map(asdict, figures)), "tuning": _compare(trials, before, tiles, chosen)}
    if checking is not None:
        result["held_out"] = _compare(checking, before, tiles, [checking.run(tiles, level) for level in tiles.levels])
    return _Tuned(tiles, result)


def _compare(trials: LevelTrials, before: TileNetwork, tiles: TileNetwork, found: Sequence[LevelFigures]
             ) -> dict[str, Any]:
    """Figures of each preset's level, with the thresholds that were stored until now, and with the new ones."""
    return {preset: {"before": asdict(trials.run(before, level)), "after": asdict(now)}
            for preset, level, now in zip(_PRESETS, before.levels, found)}


def _print_figures(figures: Mapping[str, Any]) -> None:
    for what in ("tuning", "held_out"):
        for preset, one in figures.get(what, {}).items():
            was, now = one["before"], one["after"]
            print(f"{what.replace('_', '-')}, {preset}: level {now['level']:g}, {now['mac_share']:.1f} % of the "
                  f"multiplications, agreement {now['agreement']:.1f}; before: level {was['level']:g}, "
                  f"{was['mac_share']:.1f} %, {was['agreement']:.1f}")
