"""Measure what masks cost in accuracy and save in work, on labelled sequences.

Whatever a setting learns, it learns on the first part of a sequence (--calibration-share); every setting, unmasked too,
is scored on the rest. The boxes that steer a mask are those of the masked run itself.

data sets: csv:DIR (video.mp4 and gt.csv), mot:DIR (gt/gt.txt and img1/), kitti:DIR (label_02/ and image_02/),
coco:FILE.json. Settings: unmasked; the presets careful, balanced, fast; static, static-labels, tracking, oracle; skip2,
skip3, skip4 (plain frame skipping). With @0.6 for a wanted masked share. Presets run with tuned thresholds; with
:trained behind their name, with trained ones and carry arithmetic.

example:
  python -m regionmask_ros evaluate --dataset csv:street --settings unmasked,tracking,tracking@0.6,skip2 \\
      --json result.json --output result
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Sequence

from tqdm import tqdm

from .. import __version__
from ..bench.machine import machine_facts
from ..datasets import open_dataset
from ..datasets.sequence import LabelledSequence
from ..errors import UserError
from ..evaluation.evaluate import evaluate_sequence
from ..evaluation.rows import SequenceRows, summarise
from ..evaluation.settings import RECIPES, Setting, parse_setting
from ..evaluation.table import sequence_table, summary_table
from ..frames import parse_input_size
from ..network.files import find_network, load_network
from ..network.thresholds import TRAINED, TUNED
from ..pipeline import PipelineSettings
from ..report.outputs import Outputs
from ..report.tradeoff_page import Pictures, write_tradeoff_page
from ._shell import EXIT_OK, add_input_size, add_max_pixels, add_network, command_main, spelt


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dataset", metavar="KIND:PATH", action="append", required=True,
                        help="labelled sequences; may be repeated")
    parser.add_argument("--settings", metavar="LIST", default=",".join(RECIPES),
                        help="what to compare (default: all of them, without @share)")
    parser.add_argument("--calibration-share", metavar="S", type=float, default=0.33,
                        help="first part of a sequence, to learn on and not scored (default: 0.33)")
    add_input_size(parser, "sequence")
    add_max_pixels(parser)
    parser.add_argument("--arithmetic", default="", help="carry, lava or snap (default: carry)")
    parser.add_argument("--thresholds", choices=(TRAINED, TUNED), default=TUNED,
                        help="what the presets run with; with --arithmetic, and everything else, trained "
                             "(default: tuned)")
    add_network(parser)
    parser.add_argument("--json", metavar="FILE", default="", help="write rows and summary as JSON")
    parser.add_argument("--output", metavar="DIR", default="", help="folder for report.html and figures")


def run(args: argparse.Namespace) -> int:
    settings = [parse_setting(name.strip()) for name in dict.fromkeys(args.settings.split(","))]
    if not 0.0 <= args.calibration_share < 1.0:
        raise UserError(f"--calibration-share {args.calibration_share}: must be 0 or more, and below 1")
    base = PipelineSettings(
        input_size=parse_input_size(args.input_size), max_pixels=args.max_pixels, arithmetic=args.arithmetic)
    sequences = [sequence for spelt_so in dict.fromkeys(args.dataset) for sequence in open_dataset(spelt_so)]
    tuned = args.thresholds == TUNED and not args.arithmetic
    network = load_network(find_network(args.network))
    inputs = [path for sequence in sequences for path in sequence.inputs]
    with Outputs(inputs) as outputs:
        json_path = outputs.file(args.json) if args.json else ""
        page = _page(outputs, args.output) if args.output else None
        done = []
        for sequence in sequences:
            done.append(_evaluated(network, sequence, settings, base, args.calibration_share, tuned))
            print(sequence_table(done[-1].rows), end="\n\n", flush=True)
        result = {
            "rows": [row for one in done for row in one.rows], "summary": summarise(done),
            "calibration_share": args.calibration_share, "network": network.digest, "machine": machine_facts(),
            "version": __version__,
        }
        if len(done) > 1:
            print(summary_table(result["summary"]), end="\n\n")
        if json_path:
            Path(json_path).write_text(json.dumps(result, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        if page:
            write_tradeoff_page(page, result, spelt("evaluate", args.argv), __version__)
        for written in outputs.commit():
            print(f"  {written}")
    return EXIT_OK


def main(argv: Sequence[str] | None = None) -> int:
    return command_main("evaluate", argv)


def _page(outputs: Outputs, folder: str) -> Pictures:
    outputs.folder(folder)
    return Pictures(*(
        outputs.file(os.path.join(folder, name)) for name in ("report.html", "map_vs_edp.png", "map_vs_cpu.png")
    ))


def _evaluated(network, sequence: LabelledSequence, settings: Sequence[Setting], base: PipelineSettings,
               calibration_share: float, tuned: bool) -> SequenceRows:
    with sequence.open() as source:
        total = source.frame_count
    with tqdm(total=total, unit="frame", desc=sequence.name, disable=None) as progress:
        runs = evaluate_sequence(network, sequence, settings, base, calibration_share, progress.update, tuned)
    return SequenceRows(runs)
