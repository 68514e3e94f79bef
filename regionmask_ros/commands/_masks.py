"""The options that say what a mask looks at, and the settings that they make."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import Any

from ..errors import UserError
from ..mask.adaptive import Adaptive
from ..mask.knobs import Knobs
from ..mask.policy import MODES
from ..mask.presets import PRESETS
from ..pipeline_settings import PipelineSettings

DEFAULTS = PipelineSettings()


def add_masks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--mask", choices=MODES, help="which regions are sent (default: none, or static with a file)")
    parser.add_argument("--static-mask", metavar="FILE", default="",
                        help="a .png (bright = attended) or .npz mask; an adaptive mask starts from it")
    parser.add_argument("--dynamic", metavar="NAME", default=DEFAULTS.dynamic,
                        help="dynamic mask: tracking, or mgnet (default: tracking)")
    parser.add_argument("--mgnet-weights", metavar="FILE", default="",
                        help="mask network of mgnet, from train_mgnet (default: the package's)")
    parser.add_argument("--adaptive-half-life", metavar="N", type=float, default=DEFAULTS.adaptive.half_life,
                        help="refresh frames after which an adaptive mask counts what it saw half (default: 8)")
    parser.add_argument("--adaptive-cover", metavar="S", type=float, default=DEFAULTS.adaptive.cover,
                        help="share of what it saw that an adaptive mask attends (default: 0.99)")
    parser.add_argument("--adaptive-ring", metavar="N", type=int, default=DEFAULTS.adaptive.ring,
                        help="regions that a box is widened by before an adaptive mask counts it (default: 1)")
    parser.add_argument("--target-masked", metavar="S", type=float, default=DEFAULTS.target_masked,
                        help="share of the regions to be masked over all frames; 0: as it comes (default: 0)")
    parser.add_argument("--preset", choices=("", *PRESETS), default="",
                        help="a schedule decides what is sent, instead of --mask: careful, balanced or fast")
    for field in fields(Knobs):
        parser.add_argument(f"--preset-{field.name.replace('_', '-')}", metavar="X", type=type(field.default),
                            default=field.default, help=f"{field.metadata['text']} (default: the preset's own)")
    parser.add_argument("--refresh-period", metavar="N", type=int, default=DEFAULTS.refresh_period,
                        help="attend everything every N frames; 0: in the first frame only (default: 8)")


def mask_settings(args: argparse.Namespace) -> dict[str, Any]:
    """What ``PipelineSettings`` is given of them. Raises UserError for a file that no mask would use."""
    mask = args.mask or ("static" if args.static_mask else "none")
    chosen = {
        "mask": mask,
        "static_mask": args.static_mask,
        "dynamic": args.dynamic,
        "mgnet_weights": args.mgnet_weights,
        "adaptive": Adaptive(args.adaptive_half_life, args.adaptive_cover, args.adaptive_ring),
        "target_masked": args.target_masked,
        "preset": args.preset,
        "knobs": Knobs(**{field.name: getattr(args, f"preset_{field.name}") for field in fields(Knobs)}),
        "refresh_period": args.refresh_period,
    }
    if args.static_mask and not PipelineSettings(**chosen).reads_static_mask:
        raise UserError(
            f"--static-mask {args.static_mask}: not used with --mask {mask}; use a mask with static or adaptive in it")
    return chosen
