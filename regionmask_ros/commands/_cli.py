"""The options that say what a mask looks at, and the settings that they make.

What all commands share at the rim: arguments in, one clear line and an exit status out.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from types import ModuleType
from typing import Any

from ..errors import UserError, to_one_line
from ..mask.adaptive import Adaptive
from ..mask.policy import MODES
from ..mask.scheduling import PRESETS, PresetOverrides
from ..pipeline.settings import PipelineSettings

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
    for field in fields(PresetOverrides):
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
        "knobs": PresetOverrides(**{field.name: getattr(args, f"preset_{field.name}") for field in fields(PresetOverrides)}),
        "refresh_period": args.refresh_period,
    }
    if args.static_mask and not PipelineSettings(**chosen).reads_static_mask:
        raise UserError(
            f"--static-mask {args.static_mask}: not used with --mask {mask}; use a mask with static or adaptive in it")
    return chosen


EXIT_OK, EXIT_USER_ERROR, EXIT_INTERRUPTED = 0, 2, 130

COMMANDS = {
    "run": "video, pictures or a bag in; detections, annotated video and report out (no ROS needed)",
    "detector": "the ROS 2 node",
    "play": "publish a video, pictures or a bag as a camera would",
    "record": "what a detector publishes, into a bag",
    "demo": "node and player on a real video, recorded and drawn",
    "calibrate": "make a static mask for a fixed camera, from labels or from what is detected",
    "tune_thresholds": "firing thresholds that save work, from unlabelled video",
    "train_mgnet": "teach a mask network where objects are, or measure how well one knows",
    "evaluate": "what masks cost in accuracy and save in work, on labelled sequences",
    "doctor": "tell what is installed, what works, and what to do",
    "model": "import or inspect a trained network",
    "compare": "check that backends give the same integers on a video",
    "bench": "measure the engine against dense runtimes on the same network",
}


class _Parser(argparse.ArgumentParser):
    """Argument errors are one line, without a usage dump."""

    def error(self, message: str) -> None:
        raise UserError(f"{message} (see {self.prog} --help)")


def build_parser(module: ModuleType, prog: str) -> argparse.ArgumentParser:
    """The parser of one command module."""
    summary, _, rest = (module.__doc__ or "").partition("\n")
    parser = _Parser(
        prog=prog,
        description=summary,
        epilog=rest.strip("\n"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    return parser


def add_network(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--network", metavar="FILE", default="", help="trained network (default: the installed one)")


def add_topic(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--topic", metavar="T", default="", help="topic of a bag that has pictures on several")


def add_truth_topic(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--truth-topic", metavar="T", default="",
                        help="topic of the labels of a bag that has detections on several")


def add_input_size(parser: argparse.ArgumentParser, shaped: str) -> None:
    """shaped: what an automatic size takes its shape from."""
    parser.add_argument("--input-size", metavar="auto|WxH", default="auto",
                        help=f"network input, multiples of 32 (default: auto, the {shaped}'s shape)")


def add_max_pixels(parser: argparse.ArgumentParser) -> None:
    # Not above: commands that need no OpenCV, and tell when it is missing, begin here, too.
    from ..core.frame import MAX_PIXELS

    parser.add_argument("--max-pixels", metavar="N", type=int, default=MAX_PIXELS,
                        help=f"budget of the automatic input size (default: {MAX_PIXELS})")


def format_command(name: str, arguments: Sequence[str]) -> str:
    """The command line that does the same again, for a report."""
    here = os.path.join(os.getcwd(), "")
    python = sys.executable[len(here):] if sys.executable.startswith(here) else "python3"
    return shlex.join([python, "-m", "regionmask_ros", name, *arguments])


def command_main(name: str, argv: Sequence[str] | None = None) -> int:
    """Runs one command. Returns its exit status: 2 after a user's error, which is told in one line on stderr."""
    arguments = list(sys.argv[1:] if argv is None else argv)

    def call() -> int:
        module = importlib.import_module(f".{name}", __package__)
        args = build_parser(module, f"regionmask_ros {name}").parse_args(arguments)
        args.argv = arguments
        return module.run(args)

    return run_guarded(call)


def run_guarded(call: Callable[[], int]) -> int:
    """Calls, and turns what a user can cause into one line and an exit status. SIGTERM and SIGHUP count as Ctrl-C."""
    try:
        with _terminated_as_interrupted():
            return call()
    except UserError as error:
        return _print_error(str(error))
    except KeyboardInterrupt:
        print("regionmask_ros: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (as in "| head"): nobody is left to tell. Python would complain once more
        # when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_USER_ERROR
    except ModuleNotFoundError as error:
        package = (error.name or "a package").partition(".")[0]
        return _print_error(f"{package} is missing in {sys.executable}: run 'make setup' and use .venv/bin/python")
    except MemoryError:
        return _print_error("out of memory; choose a smaller input size")
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return _print_error(f"{place}{error.strerror or error}")


@contextlib.contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Inside the block SIGTERM, and SIGHUP unless it is ignored (as under nohup), raise KeyboardInterrupt.

    So half-written files are taken away, whoever ends the program.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _print_error(line: str) -> int:
    print(f"regionmask_ros: error: {to_one_line(' '.join(line.split()))}", file=sys.stderr)
    return EXIT_USER_ERROR
