"""Check that backends give the same integers on a video, a folder of pictures or a bag.

Every frame's events go to all backends, and every integer of their heads is compared with the first one's. Exit status:
0 when all are equal, 1 when an integer differs, 2 after an error. Masks that follow results use the first backend's.

example:
  python -m regionmask_ros compare street.mp4 --backends cpu,lava_sim --input-size 448x448
  python -m regionmask_ros compare street.mp4 --random-mask 0.6 --refresh-period 50 --json compare.json
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from .. import __version__
from ..backends import BACKENDS, check_backend, open_backend, resolve_arithmetic
from ..backends.base import BackendResult
from ..core.arithmetic import ARITHMETICS
from ..core.detections import Detections
from ..core.frame import choose_input_size, parse_input_size, resize_frame
from ..core.grid import RegionGrid
from ..core.option_table import options_of
from ..core.options import Group, Value
from ..detection.yolo import decode
from ..encoder.encoder import Encoder
from ..errors import UserError
from ..files.outputs import Outputs
from ..lab.backend_comparison import Comparison
from ..mask.schedule import is_refresh
from ..mask.source import ADAPTIVE, MaskContext
from ..network.files import find_network, load_network
from ..network.graph import Network
from ..pipeline.composition import make_composer
from ..pipeline.settings import MODES, PipelineSettings
from ..sources import Source, open_source
from ._cli import (
    EXIT_OK,
    add_network,
    add_option_groups,
    add_options,
    add_topic,
    command_main,
    parse_pairs,
    read_backend_options,
)

EXIT_DIFFERENT = 1
MASK_SEED = 2026
MASKS = tuple(mode for mode in MODES if ADAPTIVE not in mode.split("+"))
"""An adaptive mask has nothing to add: it is a static one between two refreshes."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help="a video file, a folder of pictures, or a bag (mcap or db3)")
    add_topic(parser)
    parser.add_argument("--backends", metavar="LIST", default="cpu,lava_sim",
                        help="two or more; the first is the reference (default: cpu,lava_sim)")
    parser.add_argument("--arithmetic", default="", help="default: the first that all of them compute")
    parser.add_argument("--mask", choices=MASKS, default="none", help="which regions are sent (default: none masked)")
    parser.add_argument("--static-mask", metavar="FILE", default="", help="a .png (bright = attended) or .npz mask")
    parser.add_argument("--random-mask", metavar="SHARE", type=float,
                        help="mask this share of the regions, others in every frame, in the place of --mask")
    add_options(parser, "refresh_period", "input_size")
    add_network(parser)
    parser.add_argument("--max-frames", metavar="N", type=int, help="stop after N frames")
    parser.add_argument("--json", metavar="FILE", default="", help="write the outcome as JSON")
    add_option_groups(parser, Group.LAVA)
    parser.add_argument("--backend-option", action="append", default=[], help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    names = _backends(args.backends)
    options = _options(args, names)
    arithmetic = _common_arithmetic(names, args.arithmetic)
    if args.max_frames is not None and args.max_frames < 1:
        raise UserError(f"--max-frames {args.max_frames}: must be 1 or more")
    if args.random_mask is not None and not 0.0 <= args.random_mask <= 1.0:
        raise UserError(f"--random-mask {args.random_mask}: must lie between 0 and 1")
    # Checks the settings that it shares with a run.
    PipelineSettings(mask=args.mask, static_mask=args.static_mask, refresh_period=args.refresh_period)
    for name in names:
        check_backend(name, options[name])
    network = load_network(find_network(args.network))
    size = parse_input_size(args.input_size)
    used = (args.source, args.network, args.static_mask)
    with open_source(args.source, args.topic) as source, Outputs(used) as outputs:
        json_path = outputs.file(args.json) if args.json else ""
        input_wh = choose_input_size(source.size_wh) if size == "auto" else size
        start = time.monotonic()
        with contextlib.ExitStack() as stack:
            backends = {}
            for name in names:
                backends[name] = open_backend(name, network, input_wh, arithmetic, options[name])
                stack.callback(backends[name].close)
            comparison = Comparison(backends)
            _feed(args, source, network, input_wh, comparison)
            facts = _facts(args, names, arithmetic, input_wh, backends, comparison, time.monotonic() - start)
        if json_path:
            Path(json_path).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        outputs.commit()
    _tell(facts)
    return EXIT_OK if comparison.equal else EXIT_DIFFERENT


def main(argv: Sequence[str] | None = None) -> int:
    return command_main("compare", argv)


def _backends(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    for name in names:
        resolve_arithmetic(name, "")
    if len(names) < 2 or len(set(names)) != len(names):
        raise UserError(f"--backends {text!r}: name two or more different ones of {', '.join(BACKENDS)}")
    return names


def _options(args: argparse.Namespace, names: Sequence[str]) -> dict[str, dict[str, Value]]:
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


def _common_arithmetic(names: Sequence[str], wanted: str) -> str:
    for name in names:
        resolve_arithmetic(name, wanted)
    common = [rule for rule in ARITHMETICS if all(rule in BACKENDS[name].supported_arithmetic for name in names)]
    if not common:
        raise UserError(f"--backends {','.join(names)}: there is no arithmetic that all of them compute")
    return wanted or common[0]


class _Masks:
    """The mask of every frame, from the reference's results where it follows them."""

    def __init__(self, args: argparse.Namespace, source: Source, network: Network, input_wh: tuple[int, int]) -> None:
        settings = PipelineSettings(
            mask=args.mask, static_mask=args.static_mask, refresh_period=args.refresh_period)
        self._composer = make_composer(settings, RegionGrid.of_input(input_wh), source.size_wh)
        self._follows = settings.uses_dynamic
        if self._follows and network.head is None:
            raise UserError(f"network {network.name}: its output means no boxes that a mask could follow")
        self._frame, self._last, self._head, self._share = 0, Detections.empty(), network.head, args.random_mask
        self._random = np.random.default_rng(MASK_SEED)

    def next(self) -> np.ndarray:
        """bool [rows, cols], True = attended."""
        frame, composer = self._frame, self._composer
        self._frame += 1
        if self._share is None:
            context = MaskContext(self._last, composer.grid, composer.image_wh, frame, since_refresh=frame)
            return composer.compose(context).keep
        kept = self._random.random(composer.grid.shape) >= self._share
        return composer.grid.full(True) if is_refresh(frame, composer.refresh_period) else kept

    def see(self, results: Sequence[BackendResult]) -> None:
        if results and self._follows:
            self._last = decode(
                results[-1].head, self._head, self._composer.image_wh, PipelineSettings.score_threshold, PipelineSettings.nms_iou)


def _feed(args: argparse.Namespace, source: Source, network: Network, input_wh: tuple[int, int],
          comparison: Comparison) -> None:
    masks = _Masks(args, source, network, input_wh)
    encoder = Encoder(network.input_table, network.encoder_threshold, input_wh)
    most = min(args.max_frames or sys.maxsize, sys.maxsize)
    total = min(source.frame_count or sys.maxsize, most)
    with tqdm(islice(source.frames(), most), total=None if total == sys.maxsize else total, unit="frame",
              desc=source.name, disable=None) as progress:
        for number, frame in enumerate(progress):
            events = encoder.step(resize_frame(frame, input_wh), masks.next())
            masks.see(comparison.step(events, number))
            progress.set_postfix_str(f"{sum(comparison.differing.values())} integers differ", refresh=False)
        comparison.drain()


def _facts(args: argparse.Namespace, names: Sequence[str], arithmetic: str, input_wh: tuple[int, int],
           backends: Mapping[str, Any], comparison: Comparison, seconds: float) -> dict[str, Any]:
    return {
        **comparison.facts(), "source": args.source, "input_size": f"{input_wh[0]}x{input_wh[1]}",
        "arithmetic": arithmetic, "backends": {name: backends[name].kernels for name in names},
        "mask": args.mask if args.random_mask is None else f"random {args.random_mask:g}",
        "refresh_period": args.refresh_period, "seconds": round(seconds, 3), "version": __version__,
    }


def _tell(facts: Mapping[str, Any]) -> None:
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


if __name__ == "__main__":
    sys.exit(main())
