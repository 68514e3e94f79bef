"""The work of the command ``compare``, whose arguments are in ``arguments/compare.py``."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..backends import BACKENDS, Backend, check_backend, open_backend, resolve_arithmetic
from ..core.arithmetic import RULES
from ..core.option_table import OPTIONS, options_of
from ..core.options import Value
from ..errors import UserError
from ..files.outputs import Outputs, encode_json
from ..importing.opening import open_event_network
from ..lab.backend_comparison import BackendComparison
from ..mask.composer import MaskComposer
from ..mask.source import MaskContext, StatelessSource
from ..pipeline.pipeline import Pipeline
from ..pipeline.settings import PipelineSettings, make_settings
from ..progress import Progress
from ..sources import Source, open_source
from ._cli import command_main, parse_pairs, read_backend_options
from ._effects import check_backends, check_masks
from ._parser import given_options
from ._pictures import make_reading, report_dropped
from .arguments.compare import SHARED_OPTIONS

EXIT_DIFFERENT = 1
MASK_SEED = 2026


def run(args: argparse.Namespace) -> int:
    """Compares the backends and returns the exit status."""
    names = _parse_backends(args.backends)
    options = _parse_options(args, names)
    arithmetic = _choose_arithmetic(names, args.arithmetic)
    if args.max_frames is not None and args.max_frames < 1:
        raise UserError(f"--max-frames {args.max_frames}: must be 1 or more")
    if args.random_mask is not None and not 0.0 <= args.random_mask <= 1.0:
        raise UserError(f"--random-mask {args.random_mask}: must lie between 0 and 1")
    given = given_options(args)
    check_masks(given, {**vars(args), "mask_mode": args.mask})
    check_backends(given, vars(args), names)
    settings = _make_settings(args, arithmetic)
    for name in names:
        check_backend(name, options[name])
    network = open_event_network(args.network, "compare")
    used = (args.source, args.network, args.static_mask)
    reading = make_reading(args)
    with open_source(args.source, args.topic, reading=reading) as source, Outputs(used) as outputs:
        json_path = outputs.file(args.json) if args.json else ""
        input_wh = settings.input_wh(source.size_wh)
        start = time.monotonic()
        with contextlib.ExitStack() as stack:
            backends: dict[str, Backend] = {}
            for name in names:
                backends[name] = open_backend(name, network, input_wh, arithmetic, options[name])
                stack.callback(backends[name].close)
            comparison = BackendComparison(backends)
            pipeline = Pipeline(
                network, replace(settings, input_size=input_wh), lambda *_: comparison,
                None if args.random_mask is None else lambda grid, image_wh: MaskComposer(
                    grid, image_wh, [_RandomSource(args.random_mask)], args.refresh_period),
                require_boxes=settings.uses_dynamic or settings.uses_adaptive or bool(settings.preset))
            _feed(args, source, pipeline, comparison)
            facts = {
                **comparison.facts(), "source": args.source, "input_size": f"{input_wh[0]}x{input_wh[1]}",
                "arithmetic": arithmetic, "backends": {name: backends[name].kernels for name in names},
                "mask": args.mask if args.random_mask is None else f"random {args.random_mask:g}",
                "refresh_period": args.refresh_period, "seconds": round(time.monotonic() - start, 3),
                **reading.dropped.as_json(), "version": __version__,
            }
        if json_path:
            Path(json_path).write_bytes(encode_json(facts))
        outputs.commit()
    _print_outcome(facts)
    status = report_dropped(reading, args)
    return status if comparison.equal else EXIT_DIFFERENT


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command with these arguments, or those of the process. Returns the exit status."""
    return command_main("compare", argv)


def _parse_backends(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    for name in names:
        resolve_arithmetic(name, "")
        if BACKENDS[name].is_dense:
            raise UserError(f"--backends {name}: runs ONNX networks, which have no integers to compare")
    if len(names) < 2 or len(set(names)) != len(names):
        raise UserError(f"--backends {text!r}: name two or more, each once, of "
                        f"{', '.join(name for name, kind in BACKENDS.items() if not kind.is_dense)}")
    return names


def _parse_options(args: argparse.Namespace, names: Sequence[str]) -> dict[str, dict[str, Value]]:
    """For each backend: values of its options by the names of their fields."""
    old: dict[str, dict[str, str]] = {name: {} for name in names}
    for key, value in parse_pairs(args.backend_option).items():
        backend, dot, field = key.partition(".")
        if not dot or backend not in old:
            raise UserError(f"--backend-option {key}: write BACKEND.NAME=VALUE for one of {', '.join(names)}")
        old[backend][field] = value
    values = {name: {**vars(args), **read_backend_options(name, old[name])} for name in names}
    return {
        name: {field: values[name][option.name] for field, option in options_of(BACKENDS[name].options_class).items()}
        for name in names}


def _choose_arithmetic(names: Sequence[str], wanted: str) -> str:
    for name in names:
        resolve_arithmetic(name, wanted)
    common = [rule for rule in RULES if all(rule in BACKENDS[name].supported_arithmetic for name in names)]
    if not common:
        raise UserError(f"--backends {','.join(names)}: there is no arithmetic that all of them compute")
    return wanted or common[0]


class _RandomSource(StatelessSource):
    """Keeps random regions, other ones in each frame: ``masked_share`` of the regions is masked."""

    name = "random"

    def __init__(self, masked_share: float) -> None:
        self._masked_share, self._random = masked_share, np.random.default_rng(MASK_SEED)

    def propose(self, context: MaskContext) -> np.ndarray:
        """The regions of the next frame, bool [rows, cols]."""
        return self._random.random(context.grid.shape) >= self._masked_share


def _make_settings(args: argparse.Namespace, arithmetic: str) -> PipelineSettings:
    """Settings of the pipeline. The backend in them is not opened."""
    values = {name: option.default for name, option in OPTIONS.items()}
    values |= {name: getattr(args, name) for name in SHARED_OPTIONS}
    return make_settings({**values, "mask_mode": args.mask, "arithmetic": arithmetic})


def _feed(args: argparse.Namespace, source: Source, pipeline: Pipeline, comparison: BackendComparison) -> None:
    most = min(args.max_frames or sys.maxsize, sys.maxsize)
    total = min(source.frame_count or sys.maxsize, most)
    with Progress(islice(source.frames(), most), total=None if total == sys.maxsize else total, unit="frame",
                  desc=source.name) as progress:
        for frame in progress:
            pipeline.process(frame)
            progress.set_postfix_str(f"{sum(comparison.differing.values())} integers differ", refresh=False)
        pipeline.drain()


def _print_outcome(facts: Mapping[str, Any]) -> None:
    print(f"{facts['frames']} frames at {facts['input_size']}, {facts['integers']} integers, arithmetic "
          f"{facts['arithmetic']}, mask {facts['mask']}, {facts['seconds']:.1f} s")
    for name, kernels in facts["backends"].items():
        if name == facts["reference"]:
            print(f"  {name} ({kernels}): the reference")
            continue
        print(f"  {name} ({kernels}): {facts['differing_integers'][name]} integers differ, event and synop counts "
              f"differ in {facts['frames_with_differing_counts'][name]} frames")
    first = facts["first_difference"]
    if first:
        print(f"  first: frame {first['frame']}, {first['backend']} has {first['value']} at row, col, channel "
              f"{tuple(first['place'])}, the reference {first['reference_value']}")
