"""What all commands share: options from the option table, and errors as one line and an exit status."""

from __future__ import annotations

import contextlib
import importlib
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..core.option_table import OPTIONS, options_of
from ..core.options import Group, Value
from ..errors import UserError, to_one_line
from ..interrupts import LINE, Interruptions, ended_at_signals
from ..network.names import INSTALLED
from ..progress import no_progress
from ._parser import Parser, add_option, add_options, build_parser, warn_old_name

if TYPE_CHECKING:
    from ..network.dense import AnyNetwork

EXIT_OK, EXIT_USER_ERROR, EXIT_INTERRUPTED = 0, 2, 130
EXIT_DROPPED = 3
"""With ``--strict``: everything was done, but for the pictures that could not be used."""

RUNTIME_OPTIONS = tuple(name for name, option in OPTIONS.items() if option.group is Group.RUNTIME)
"""Names of the options of the backends for ONNX networks."""

COMMANDS = {
    "run": "detect objects in a video, a folder of images or a bag, without ROS",
    "detector": "the ROS 2 node",
    "play": "publish a video, a folder of images or a bag as a camera would",
    "record": "record the topics of a detector into a bag",
    "param": "show and change the parameters of a running detector",
    "call": "call a service of a running detector: refresh, reset, save_static_mask",
    "echo": "print the detections of a running detector",
    "info": "show what detectors are running",
    "view": "look at a running detector in a browser, with sliders for the main parameters",
    "demo": "play a video through the node and make a report",
    "calibrate": "make a static mask for a fixed camera, from labels or from detections",
    "paint": "paint a static mask with the mouse, over the places where objects were",
    "tune_thresholds": "find thresholds that save work, from unlabeled video",
    "train_mgnet": "train a mask network, or measure one",
    "distill": "train a small detector of your own from a larger one, without labels",
    "evaluate": "measure what masks cost in accuracy and save in work, on labeled sequences",
    "doctor": "check the installation",
    "model": "import or inspect a trained network",
    "compare": "check that backends give the same integers on a video",
    "bench": "measure the engine against dense runtimes on the same network",
}
"""The commands and their descriptions, in the order of the help."""


def add_network(parser: Parser) -> None:
    """Adds the option ``--network``."""
    text = (f"The trained network: street, {INSTALLED}, the name of an imported one, or a file (ONNX, or of lava-dl). "
            f"Empty: {INSTALLED}. docs/NETWORKS.md has the commands for other networks.")
    add_option(parser, replace(OPTIONS["network_file"], text=text), "network")


def add_networks(parser: Parser) -> None:
    """Adds the option ``--networks``."""
    parser.add_argument("--networks", metavar="LIST", default="",
                        help="instead of --network: several networks to compare, separated by commas, each a name or "
                             f"a file, such as {INSTALLED},street")


def load_networks(text: str, is_list: bool) -> list[AnyNetwork]:
    """Loads the networks of ``--network`` or ``--networks``.

    Args:
        text: As the user wrote it.
        is_list: Whether it is that of ``--networks``.

    Returns:
        The networks, at least one.

    Raises:
        UserError: One cannot be found or used, or two have the same name.
    """
    # Not above: doctor starts here, too, and reports what networks cannot be read without.
    from ..importing.opening import open_network

    if not is_list:
        return [open_network(text)]
    words = dict.fromkeys(word.strip() for word in text.split(","))
    networks = [open_network(word) for word in words if word]
    names = [network.name for network in networks]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"--networks {text}: two of them are called {name}, so a table could not tell them apart")
    if not networks:
        raise UserError("--networks: names no network")
    return networks


def add_topic(parser: Parser) -> None:
    """Adds the option ``--topic``."""
    parser.add_argument("--topic", metavar="T", default="", help="image topic of a bag that has several")


def add_truth_topic(parser: Parser) -> None:
    """Adds the option ``--truth-topic``."""
    parser.add_argument("--truth-topic", metavar="T", default="",
                        help="topic of the labels of a bag that has detections on several")


def add_reading(parser: Parser) -> None:
    """Adds the options of how pictures are read."""
    add_options(parser, "max_image_pixels", "image_bit_depth")
    add_strict(parser)


def add_strict(parser: Parser) -> None:
    """Adds the option ``--strict``."""
    parser.add_argument("--strict", action="store_true",
                        help=f"exit status {EXIT_DROPPED} if a picture was dropped because it cannot be used "
                             f"(default: {EXIT_OK})")


def add_images(parser: Parser) -> None:
    """Adds the option ``--images``."""
    parser.add_argument("--images", metavar="DIR", default="",
                        help="folder of the images that COCO files name (default: the usual places near each file)")


def read_backend_options(backend: str, pairs: Mapping[str, str]) -> dict[str, Value]:
    """Reads backend options from the old form ``--backend-option NAME=VALUE``, and prints their new names.

    Args:
        backend: Name of the backend.
        pairs: Texts by the names of fields of the backend's options class.

    Returns:
        Values by the names of options.

    Raises:
        UserError: The backend does not have such an option, or the value is not allowed.
    """
    # Not above: doctor starts here, too, and reports what the backends cannot be imported without.
    from ..backends import find_options_class, parse_options

    parse_options(backend, pairs)
    known = options_of(find_options_class(backend))
    for name, text in pairs.items():
        warn_old_name(f"--backend-option {name}={text}", f"{known[name].flag} {text}")
    return {known[name].name: known[name].parse(text) for name, text in pairs.items()}


def parse_pairs(pairs: Sequence[str]) -> dict[str, str]:
    """Reads texts that are written ``NAME=VALUE``.

    Args:
        pairs: The texts.

    Returns:
        Values by name.

    Raises:
        UserError: A text is written in another way, or a name comes twice.
    """
    values: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals) or name in values:
            raise UserError(f"backend option {pair!r}: write NAME=VALUE, each name once")
        values[name] = value
    return values


def format_command(name: str, arguments: Sequence[str]) -> str:
    """Formats the command line that repeats a call, for a report.

    Args:
        name: Name of the command.
        arguments: Its arguments.

    Returns:
        The line, quoted for a shell.
    """
    here = os.path.join(os.getcwd(), "")
    python = sys.executable[len(here):] if sys.executable.startswith(here) else "python3"
    return " ".join(map(_quote, [python, "-m", "regionmask_ros", name, *arguments]))


def _quote(word: str) -> str:
    """A word for a shell, in characters that can be written as UTF-8: a file's name may be any bytes."""
    if word.isprintable():
        return shlex.quote(word)
    safe = (chr(byte) if 32 <= byte < 127 and byte not in b"\\'" else f"\\x{byte:02x}" for byte in os.fsencode(word))
    return f"$'{''.join(safe)}'"


ONE_OPENCV_THREAD = ("OPENCV_FOR_THREADS_NUM", "1")
"""OpenCV's threads make nothing quicker on images of a camera's size, and wait for their next work in a loop: that took
0.8 ms of processor time a frame of a preset. OpenCV reads this when it is loaded."""


def command_main(name: str, argv: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        name: Name of the command.
        argv: Its arguments; None: those of the process.

    Returns:
        The exit status: 2 after an error of the user, which is printed in one line on stderr.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    os.environ.setdefault(*ONE_OPENCV_THREAD)

    def call() -> int:
        with ended_at_signals():
            parser = build_parser(name)
            args = parser.parse_args(parser.replace_names(arguments))
            module = importlib.import_module(f".{name}", __package__)
        args.argv = arguments
        with said_nothing() if args.quiet else contextlib.nullcontext():
            return module.run(args)

    return run_guarded(call)


@contextlib.contextmanager
def said_nothing() -> Iterator[None]:
    """Inside the block, nothing is printed on stdout, and no progress is shown."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere), no_progress():
        yield


def run_guarded(call: Callable[[], int]) -> int:
    """Calls a function, and turns errors that a user can cause into one line and an exit status.

    Args:
        call: Returns an exit status. SIGTERM and SIGHUP count as Ctrl-C while it runs.

    Returns:
        The exit status; after a signal 128 and its number.
    """
    interruptions = Interruptions()
    try:
        with interruptions:
            return call()
    except UserError as error:
        return _print_error(str(error))
    except KeyboardInterrupt:
        print(LINE, file=sys.stderr)
        return interruptions.exit_status
    except BrokenPipeError:
        # The reader of the output has ended, as in "| head". Without this, Python reports it again at exit.
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


def _print_error(line: str) -> int:
    print(f"regionmask_ros: error: {to_one_line(' '.join(line.split()))}", file=sys.stderr)
    return EXIT_USER_ERROR
